//! Events as they are told.

use std::sync::Arc;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event as New, EventType, Recorder, Reporter};
use kube::{Client, Error};

use super::{FIELD_MANAGER, refused};
use crate::certificates::ClusterError;
use crate::events::Event;

/// Tells Events under the name of this replica.
pub(super) fn recorder(client: Client) -> Arc<Recorder> {
    Arc::new(Recorder::new(client, Reporter::from(FIELD_MANAGER)))
}

pub(super) async fn tell(recorder: &Recorder, event: &Event) -> Result<(), ClusterError> {
    let maker = &event.maker;
    let new = New {
        type_: EventType::Warning,
        reason: event.reason.to_owned(),
        note: Some(event.note.clone()),
        action: event.action.to_owned(),
        secondary: None,
    };
    let about = ObjectReference {
        api_version: Some(maker.api_version.clone()),
        kind: Some(maker.kind.clone()),
        namespace: Some(maker.namespace.clone()),
        name: Some(maker.name.clone()),
        uid: (!maker.uid.is_empty()).then(|| maker.uid.clone()),
        ..ObjectReference::default()
    };
    match recorder.publish(&new, &about).await {
        Ok(()) => Ok(()),
        Err(Error::Api(status)) if super::is_terminating(&status) => Err(ClusterError::NoSuchPlace),
        Err(error) => {
            let (kind, name) = (&maker.kind, &maker.name);
            Err(refused(format!("make an Event about {kind} {name}"), error))
        }
    }
}
