//! Keeps the shared chain: reads it, renews it, publishes it, and only then has it served.

use async_trait::async_trait;
use futures_util::stream::BoxStream;

use super::chain::{CertificateError, Chain, Lifetimes, Names};
use crate::events::Event;
use crate::refusals::Refusal;

/// How often a write is tried again because another replica was faster.
const MOST_ATTEMPTS: u32 = 4;

/// What the replicas share, where authorities are published, and where people are told.
#[async_trait]
pub trait Cluster: Send + Sync {
    /// What is kept, and its version; `None` if there is nothing.
    async fn read(&self) -> Result<Option<Kept>, ClusterError>;

    /// Keeps `bytes` instead of what had `version`, or where nothing was.
    ///
    /// # Errors
    ///
    /// [`ClusterError::Conflict`] if something else is kept by now.
    async fn write(&self, bytes: Vec<u8>, version: Option<&str>) -> Result<(), ClusterError>;

    /// Has the API server trust the authorities in `bundle`. Publishing the same twice costs nothing.
    async fn publish(&self, bundle: &str) -> Result<(), ClusterError>;

    /// Hands the hub its certificate and its key. Handing over the same twice costs nothing.
    async fn hand_to_hub(&self, certificate: &str, key: &str) -> Result<(), ClusterError>;

    /// Has sidecars in `namespace` trust the authorities in `bundle`.
    ///
    /// # Errors
    ///
    /// [`ClusterError::NoSuchPlace`] if the namespace is gone, or about to be.
    async fn put_bundle(&self, namespace: &str, bundle: &str) -> Result<(), ClusterError>;

    /// The namespaces whose label asks for sidecars: those that are there, then each that is labelled
    /// later; some more than once. Never ends.
    fn labelled(&self) -> BoxStream<'static, String>;

    /// Has people find `event` where they look. Telling the same again within some minutes counts it.
    ///
    /// # Errors
    ///
    /// [`ClusterError::NoSuchPlace`] if the namespace is gone, or about to be.
    async fn tell(&self, event: &Event) -> Result<(), ClusterError>;

    /// What controllers say from now on of pods that they could not make. Never ends.
    fn refusals(&self) -> BoxStream<'static, Refusal>;
}

/// What is kept.
#[derive(Debug, Clone)]
pub struct Kept {
    /// As it was written.
    pub bytes: Vec<u8>,
    /// Changes with each write.
    pub version: String,
}

/// Why the cluster did not do as asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// Another replica was faster.
    #[error("another replica wrote first")]
    Conflict,
    /// What it should go into is not there any more.
    #[error("the namespace is gone")]
    NoSuchPlace,
    /// The API server refused, or could not be reached.
    #[error("failed to {action}")]
    Refused {
        /// What was asked, with the name of the object.
        action: String,
        /// What it said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Why the certificates are not kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeepError {
    /// The cluster did not do as asked.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// A certificate could not be made.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// A chain cannot be written down.
    #[error("failed to encode the chain")]
    Encode(#[from] serde_json::Error),
}

/// Keeps the chain of one replica in step with the others'.
#[derive(Debug)]
pub struct Keeper<C> {
    cluster: C,
    names: Names,
    lifetimes: Lifetimes,
}

impl<C: Cluster> Keeper<C> {
    /// A keeper for servers that are reached by `names`.
    pub fn new(cluster: C, names: Names, lifetimes: Lifetimes) -> Self {
        Self {
            cluster,
            names,
            lifetimes,
        }
    }

    /// What the replicas share lies in it.
    pub fn cluster(&self) -> &C {
        &self.cluster
    }

    /// Renews what is due and publishes the authorities; gives the chain to serve.
    pub async fn keep(&self, now_s: u64) -> Result<Chain, KeepError> {
        let chain = self.agree(now_s).await?;
        // Before it is served: an API server refuses a leaf whose authority it does not know.
        self.cluster.publish(&chain.bundle()).await?;
        Ok(chain)
    }

    /// Hands the hub its part of `chain`.
    pub async fn hand_to_hub(&self, chain: &Chain) -> Result<(), KeepError> {
        if let Some((certificate, key)) = chain.of_hub() {
            self.cluster.hand_to_hub(certificate, key).await?;
        }
        Ok(())
    }

    /// The chain that all replicas have, renewed if it was due.
    async fn agree(&self, now_s: u64) -> Result<Chain, KeepError> {
        for _ in 0..MOST_ATTEMPTS {
            let kept = self.cluster.read().await?;
            // What cannot be read is of no use to anybody, and is made anew.
            let chain = kept
                .as_ref()
                .and_then(|kept| serde_json::from_slice::<Chain>(&kept.bytes).ok());
            let next = Chain::next(chain.as_ref(), &self.names, &self.lifetimes, now_s)?;
            let next = match (next, chain) {
                (Some(next), _) => next,
                (None, Some(chain)) => return Ok(chain),
                (None, None) => continue,
            };
            let version = kept.as_ref().map(|kept| kept.version.as_str());
            match self
                .cluster
                .write(serde_json::to_vec(&next)?, version)
                .await
            {
                Ok(()) => return Ok(next),
                Err(ClusterError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(ClusterError::Conflict.into())
    }
}
