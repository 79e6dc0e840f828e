//! Whether a pod that is made in a namespace gets a sidecar, as the API server has it: it is asked to try one.
//!
//! The API server ignores a webhook that does not answer, and says so to nobody. So the pod that is only tried has the
//! label [`CHECK`], by which one more webhook of the configuration is asked, of such pods alone, and of them the API
//! server says why it did not reach it.

mod verdict;

use std::time::Duration;

use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{Api, ApiResource, DynamicObject, PostParams};
use kube::{Client, Error, ResourceExt as _};
use serde_json::json;
use tokio::time::timeout;

use crate::annotations::{CHECK, INJECT};

pub use verdict::Verdict;

/// Longest that the API server may take. It waits 3 s for each webhook itself.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// Why nothing is known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// There is no API server, or it does not answer.
    #[error("failed to ask the API server")]
    Ask(#[source] Box<Error>),
    /// It took too long.
    #[error("the API server did not answer within {} s", MAX_WAIT.as_secs())]
    Late,
    /// It took nothing of whoever asks.
    #[error("failed to try a pod in namespace {namespace}: {message}")]
    NotAllowed {
        /// The namespace.
        namespace: String,
        /// The API server's words.
        message: String,
    },
}

/// Tries a pod in `namespace`, which has the label that asks for sidecars itself if `labelled`; nothing is made.
///
/// # Errors
///
/// Whoever asks may not make pods there, the namespace does not exist, or there is no API server.
pub async fn check(namespace: &str, labelled: bool) -> Result<Verdict, CheckError> {
    let verdict = timeout(MAX_WAIT, ask(namespace, labelled)).await;
    verdict.map_err(|_| CheckError::Late)?
}

async fn ask(namespace: &str, labelled: bool) -> Result<Verdict, CheckError> {
    let refused = |error| CheckError::Ask(Box::new(error));
    let client = Client::try_default().await.map_err(refused)?;
    let pods: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), namespace, &ApiResource::erase::<Pod>(&()));
    let trial = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    match pods.create(&trial, &pod(labelled)).await {
        Ok(made) => {
            let asks = labelled || asks(client, namespace).await;
            Ok(Verdict::of_pod(made.annotations(), asks))
        }
        Err(Error::Api(status)) => match Verdict::of_refusal(&status) {
            Some(verdict) => Ok(verdict),
            None => Err(CheckError::NotAllowed {
                namespace: namespace.to_owned(),
                message: status.message,
            }),
        },
        Err(error) => Err(refused(error)),
    }
}

/// Whether the label of a namespace asks for sidecars. Where that may not be read, it counts as doing so.
async fn asks(client: Client, namespace: &str) -> bool {
    let namespaces: Api<Namespace> = Api::all(client);
    let read = namespaces.get(namespace).await;
    read.map_or(true, |namespace| {
        let labels = namespace.metadata.labels.unwrap_or_default();
        labels.get(INJECT).is_some_and(|value| value == "enabled")
    })
}

/// A pod that hardly any policy refuses.
fn pod(labelled: bool) -> DynamicObject {
    let resources = json!({"cpu": "10m", "memory": "16Mi"});
    let spec = json!({
        "serviceAccountName": "default",
        "automountServiceAccountToken": false,
        "securityContext": {"runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{
            "name": "check",
            "image": "remora.dev/never-pulled",
            "resources": {"requests": resources, "limits": resources},
            "securityContext": {
                "allowPrivilegeEscalation": false,
                "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": true,
            },
        }],
    });
    let mut pod =
        DynamicObject::new("", &ApiResource::erase::<Pod>(&())).data(json!({"spec": spec}));
    pod.metadata.name = None;
    pod.metadata.generate_name = Some("remora-check-".to_owned());
    let labels = pod.labels_mut();
    labels.insert(CHECK.to_owned(), "true".to_owned());
    if labelled {
        labels.insert(INJECT.to_owned(), "enabled".to_owned());
    }
    pod
}
