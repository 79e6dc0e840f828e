//! The shared chain in a Secret, the hub's certificate in another, the authorities in the webhook's
//! configuration and in a ConfigMap of each namespace with sidecars; and Events.

mod events;

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::{BoxStream, StreamExt};
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use kube::api::{Api, ObjectMeta, Patch, PatchParams, PostParams};
use kube::core::PartialObjectMeta;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::events::Recorder;
use kube::runtime::watcher::{self, Event};
use kube::{Client, Error};
use serde_json::{Value, json};

use crate::annotations::INJECT;
use crate::certificates::{Cluster, ClusterError, Kept};
use crate::config::{CA_CONFIG_MAP, CA_KEY};
use crate::refusals::Refusal;

/// Key of the Secret under which the chain lies.
const CHAIN_KEY: &str = "chain.json";
/// Who the API server is told owns the fields that are published.
const FIELD_MANAGER: &str = "remora-injector";
/// Secret, beside the hub, with its certificate and its key.
const HUB_SECRET: &str = "remora-hub-tls";
/// Keys of a Secret of type `kubernetes.io/tls`.
const TLS_KEYS: [&str; 2] = ["tls.crt", "tls.key"];

/// A cluster by its API server.
#[derive(Clone)]
pub struct Kubernetes {
    client: Client,
    secrets: Api<Secret>,
    webhooks: Api<MutatingWebhookConfiguration>,
    recorder: Arc<Recorder>,
    secret: String,
    configuration: String,
}

impl std::fmt::Debug for Kubernetes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kubernetes")
            .field("secret", &self.secret)
            .field("configuration", &self.configuration)
            .finish_non_exhaustive()
    }
}

impl Kubernetes {
    /// The cluster that this process runs in, or that `KUBECONFIG` names. The chain lies in the Secret `secret`
    /// of `namespace`; the authorities are published in the webhook configuration `configuration`.
    ///
    /// # Errors
    ///
    /// There is neither.
    pub async fn connect(
        namespace: &str,
        secret: &str,
        configuration: &str,
    ) -> Result<Self, ClusterError> {
        let refused = |error: Error| refused("find the API server".to_owned(), error);
        let client = Client::try_default().await.map_err(refused)?;
        Ok(Self {
            secrets: Api::namespaced(client.clone(), namespace),
            webhooks: Api::all(client.clone()),
            recorder: events::recorder(client.clone()),
            client,
            secret: secret.to_owned(),
            configuration: configuration.to_owned(),
        })
    }
}

#[async_trait]
impl Cluster for Kubernetes {
    async fn read(&self) -> Result<Option<Kept>, ClusterError> {
        let read = self.secrets.get_opt(&self.secret).await;
        let secret =
            read.map_err(|error| refused(format!("read Secret {}", self.secret), error))?;
        Ok(secret.map(|secret| Kept {
            version: secret.metadata.resource_version.unwrap_or_default(),
            bytes: secret
                .data
                .and_then(|mut data| data.remove(CHAIN_KEY))
                .unwrap_or_default()
                .0,
        }))
    }

    async fn write(&self, bytes: Vec<u8>, version: Option<&str>) -> Result<(), ClusterError> {
        let secret = Secret {
            metadata: ObjectMeta {
                name: Some(self.secret.clone()),
                resource_version: version.map(str::to_owned),
                ..ObjectMeta::default()
            },
            data: Some([(CHAIN_KEY.to_owned(), ByteString(bytes))].into()),
            ..Secret::default()
        };
        let parameters = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        let written = match version {
            None => self.secrets.create(&parameters, &secret).await,
            Some(_) => {
                self.secrets
                    .replace(&self.secret, &parameters, &secret)
                    .await
            }
        };
        match written {
            Ok(_) => Ok(()),
            // It exists by now, was changed, or is gone.
            Err(Error::Api(status)) if [404, 409].contains(&status.code) => {
                Err(ClusterError::Conflict)
            }
            Err(error) => Err(refused(format!("write Secret {}", self.secret), error)),
        }
    }

    async fn publish(&self, bundle: &str) -> Result<(), ClusterError> {
        let action = || {
            format!(
                "publish in MutatingWebhookConfiguration {}",
                self.configuration
            )
        };
        let read = self.webhooks.get(&self.configuration).await;
        let current = read.map_err(|error| refused(action(), error))?;
        let webhooks = current.webhooks.unwrap_or_default();
        let is_there = |webhook: &k8s_openapi::api::admissionregistration::v1::MutatingWebhook| {
            let published = webhook.client_config.ca_bundle.as_ref();
            published.is_some_and(|published| published.0 == bundle.as_bytes())
        };
        if webhooks.iter().all(is_there) {
            return Ok(());
        }
        // One field of each, by its owner: what Helm and Argo keep stays theirs.
        let ca_bundle = ByteString(bundle.as_bytes().to_vec());
        let fields: Vec<Value> = webhooks
            .iter()
            .map(|webhook| json!({"name": webhook.name, "clientConfig": {"caBundle": ca_bundle}}))
            .collect();
        let fields = json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": self.configuration},
            "webhooks": fields,
        });
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        let patched = self
            .webhooks
            .patch(&self.configuration, &parameters, &Patch::Apply(fields))
            .await;
        patched.map(drop).map_err(|error| refused(action(), error))
    }

    async fn hand_to_hub(&self, certificate: &str, key: &str) -> Result<(), ClusterError> {
        let action = || format!("write Secret {HUB_SECRET}");
        let wanted = TLS_KEYS
            .map(str::to_owned)
            .into_iter()
            .zip([certificate, key].map(|text| ByteString(text.as_bytes().to_vec())));
        let wanted: std::collections::BTreeMap<_, _> = wanted.collect();
        let read = self.secrets.get_opt(HUB_SECRET).await;
        let read = read.map_err(|error| refused(action(), error))?;
        if read.is_some_and(|secret| secret.data.as_ref() == Some(&wanted)) {
            return Ok(());
        }
        let secret = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": HUB_SECRET, "labels": labels()},
            "type": "kubernetes.io/tls",
            "data": wanted,
        });
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        let patched = self
            .secrets
            .patch(HUB_SECRET, &parameters, &Patch::Apply(secret))
            .await;
        patched.map(drop).map_err(|error| refused(action(), error))
    }

    async fn put_bundle(&self, namespace: &str, bundle: &str) -> Result<(), ClusterError> {
        let maps: Api<ConfigMap> = Api::namespaced(self.client.clone(), namespace);
        let map = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": CA_CONFIG_MAP, "labels": labels()},
            "data": {CA_KEY: bundle},
        });
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        let patched = maps
            .patch(CA_CONFIG_MAP, &parameters, &Patch::Apply(map))
            .await;
        match patched {
            Ok(_) => Ok(()),
            Err(Error::Api(status)) if status.code == 404 || is_terminating(&status) => {
                Err(ClusterError::NoSuchPlace)
            }
            Err(error) => {
                let action = format!("write ConfigMap {CA_CONFIG_MAP} in namespace {namespace}");
                Err(refused(action, error))
            }
        }
    }

    fn labelled(&self) -> BoxStream<'static, String> {
        // Only their names are wanted.
        let namespaces: Api<PartialObjectMeta<Namespace>> = Api::all(self.client.clone());
        let selector = watcher::Config::default().labels(&format!("{INJECT}=enabled"));
        let events = watcher::watcher(namespaces, selector).default_backoff();
        let names = events.filter_map(async |event| match event {
            Ok(Event::Apply(namespace) | Event::InitApply(namespace)) => namespace.metadata.name,
            Ok(Event::Init | Event::InitDone | Event::Delete(_)) => None,
            Err(error) => {
                let error = &error as &(dyn std::error::Error + 'static);
                tracing::warn!(error, "namespaces cannot be watched");
                None
            }
        });
        names.boxed()
    }

    async fn tell(&self, event: &crate::events::Event) -> Result<(), ClusterError> {
        events::tell(&self.recorder, event).await
    }

    fn refusals(&self) -> BoxStream<'static, Refusal> {
        events::refusals(&self.client)
    }
}

/// What the injector's own objects are found by.
fn labels() -> Value {
    json!({
        "app.kubernetes.io/part-of": "remora",
        "app.kubernetes.io/managed-by": FIELD_MANAGER,
    })
}

/// Whether nothing new may be made in a namespace because it is being deleted.
fn is_terminating(status: &kube::core::Status) -> bool {
    let causes = status.details.as_ref().map(|details| &details.causes);
    causes.is_some_and(|causes| {
        causes
            .iter()
            .any(|cause| cause.reason == "NamespaceTerminating")
    })
}

fn refused(action: String, error: Error) -> ClusterError {
    ClusterError::Refused {
        action,
        source: Box::new(error),
    }
}
