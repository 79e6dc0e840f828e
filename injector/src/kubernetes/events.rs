//! Events: those that are told, and those by which controllers tell that they could not make a pod.

use std::sync::Arc;

use futures_util::stream::{BoxStream, StreamExt as _};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event as Kept;
use kube::api::Api;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::events::{Event as New, EventType, Recorder, Reporter};
use kube::runtime::watcher::{self, Event as Change};
use kube::{Client, Error};

use super::{FIELD_MANAGER, refused};
use crate::certificates::ClusterError;
use crate::events::Event;
use crate::refusals::Refusal;

/// Reason by which the controllers of Kubernetes say that the API server took no pod of theirs.
const FAILED_CREATE: &str = "FailedCreate";
/// Longest message of somebody else that is read, in bytes.
const MOST_MESSAGE_BYTES: usize = 1024;

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

/// What controllers tell from now on. What they told before is of pods that this replica did not change.
pub(super) fn refusals(client: &Client) -> BoxStream<'static, Refusal> {
    let events: Api<Kept> = Api::all(client.clone());
    let selector = watcher::Config::default().fields(&format!("reason={FAILED_CREATE}"));
    let changes = watcher::watcher(events, selector).default_backoff();
    let refusals = changes.filter_map(async |change| match change {
        Ok(Change::Apply(event)) => Some(Refusal {
            namespace: event.metadata.namespace?,
            maker_uid: event.regarding?.uid?,
            message: shortened(event.note.unwrap_or_default()),
        }),
        Ok(Change::Init | Change::InitApply(_) | Change::InitDone | Change::Delete(_)) => None,
        Err(error) => {
            let error = &error as &(dyn std::error::Error + 'static);
            tracing::warn!(error, "Events cannot be watched");
            None
        }
    });
    refusals.boxed()
}

fn shortened(mut message: String) -> String {
    message.truncate(message.floor_char_boundary(MOST_MESSAGE_BYTES));
    message
}
