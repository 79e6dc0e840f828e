//! The hub as a whole: it is started, asked to flush, and stopped.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::routing::{MethodRouter, any_service};
use kube::Client;
use remora_store::embedded::{self, Embedded, OpenError};
use remora_store::memory::Memory;
use remora_store::store::CallStore;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinSet, spawn_blocking};

use crate::app::{App, drained};
use crate::auth::{Asked, Gate};
use crate::cluster::{Cluster, ConnectError};
use crate::config::{Config, Keep};
use crate::control::{Control, Flushed};
use crate::descriptors::known::Known;
use crate::keys::{KeyError, RedactionKey};
use crate::server::Handshakes;
use crate::watches::Watches;
use crate::{mcp, reflection, retention, router, server};

/// A hub that runs.
///
/// Dropping it ends it at once; [`Hub::stop`] ends it well.
pub struct Hub {
    app: App,
    api_address: SocketAddr,
    ingest_address: SocketAddr,
    stopping: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

/// Why a hub could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Somebody else has the port, or the address is not this machine's.
    #[error("listen on {address} ({flag})")]
    Listen {
        /// Which flag named the address.
        flag: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// There is no redaction key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// There is no Kubernetes to ask.
    #[error(transparent)]
    Kubernetes(#[from] ConnectError),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] OpenError),
}

impl Hub {
    /// Opens the store that the configuration names, and starts.
    ///
    /// # Errors
    ///
    /// The store, the redaction key or a port cannot be had.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let store = open_store(&config).await?;
        Self::start_over(store, config).await
    }

    /// Starts over a store that is open already; [`Config::keep`] then only says where the redaction
    /// key is.
    ///
    /// # Errors
    ///
    /// The redaction key or a port cannot be had.
    pub async fn start_over(store: Arc<dyn CallStore>, config: Config) -> Result<Self, StartError> {
        Self::start_parts(store, config, |app| {
            any_service(mcp::endpoint(mcp::server(app.clone())))
        })
        .await
    }

    /// Starts with another MCP endpoint in the place of the hub's own, behind the same checks: the
    /// conformance suite scores a server by tools of the suite's own.
    ///
    /// # Errors
    ///
    /// The redaction key or a port cannot be had.
    pub async fn start_with_mcp(
        store: Arc<dyn CallStore>,
        config: Config,
        mcp: MethodRouter<App>,
    ) -> Result<Self, StartError> {
        Self::start_parts(store, config, |_| mcp).await
    }

    async fn start_parts(
        store: Arc<dyn CallStore>,
        config: Config,
        mcp: impl FnOnce(&App) -> MethodRouter<App>,
    ) -> Result<Self, StartError> {
        let key = match &config.keep {
            Keep::Disk(directory) => RedactionKey::of_directory(directory)?,
            Keep::Memory => RedactionKey::random(),
        };
        let (asked, client) = asked(&config).await?;
        let (stopping, draining) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let watches = client
            .map(|client| Watches::start(client, Arc::clone(&store), draining.clone(), &mut tasks));
        let app = App::new(
            store,
            Control::new(key),
            Known::new(config.descriptors.clone(), &config.reflection),
            draining.clone(),
        )
        .with_waits(config.waits)
        .with_watches(watches);
        let gate = Gate {
            hosts: config.hosts.clone(),
            asked,
        };
        let (api, api_address) = listen("--listen", config.listen).await?;
        let (ingest, ingest_address) = listen("--ingest", config.ingest).await?;

        tasks.spawn(server::serve(
            api,
            None,
            router::api(app.clone(), gate.clone(), mcp(&app)),
            draining.clone(),
        ));
        tasks.spawn(server::serve(
            ingest,
            config
                .ingest_tls
                .clone()
                .map(|tls| Handshakes::new(tls, app.metrics.ingest.handshakes_failed.clone())),
            router::ingest(app.clone(), gate),
            draining.clone(),
        ));
        if let Some(tls) = config.ingest_tls.clone() {
            let metrics = Arc::clone(&app.metrics);
            tasks.spawn(async move {
                tokio::select! {
                    () = tls.follow(&metrics) => {}
                    () = drained(draining) => {}
                }
            });
        }
        for server in config.reflection.clone() {
            tasks.spawn(reflection::watch::run(app.clone(), server));
        }
        tasks.spawn(retention::run(app.clone(), config));
        Ok(Self {
            app,
            api_address,
            ingest_address,
            stopping,
            tasks,
        })
    }

    /// Where people and models ask.
    pub fn api_address(&self) -> SocketAddr {
        self.api_address
    }

    /// Where sidecars bring their blocks.
    pub fn ingest_address(&self) -> SocketAddr {
        self.ingest_address
    }

    /// Where calls are kept.
    pub fn store(&self) -> &Arc<dyn CallStore> {
        &self.app.store
    }

    /// Has all sidecars ship what they observed until now, and says which of them did not answer
    /// within `patience`.
    pub async fn flush(&self, patience: Duration) -> Flushed {
        self.app.control.flush(patience).await
    }

    /// Stops accepting, answers what was asked, and ends.
    pub async fn stop(mut self) {
        self.stopping.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
        // The last of its owners closes the store, which takes as long as the disk does.
        let Self { app, .. } = self;
        if spawn_blocking(move || drop(app)).await.is_err() {
            tracing::error!("store could not be closed well");
        }
    }
}

/// Runs a hub until `shutdown` comes, then ends it well.
///
/// # Errors
///
/// The hub could not start.
pub async fn run(config: Config, shutdown: impl Future<Output = ()>) -> Result<(), StartError> {
    let hub = Hub::start(config).await?;
    tracing::info!(api.addr = %hub.api_address, ingest.addr = %hub.ingest_address, "hub is up");
    shutdown.await;
    tracing::info!("hub stops");
    hub.stop().await;
    Ok(())
}

/// What callers must show, and the way to the cluster where it is asked about that.
async fn asked(config: &Config) -> Result<(Asked, Option<Client>), StartError> {
    if config.kubernetes {
        let (cluster, client) = Cluster::connect().await?;
        return Ok((Asked::Kubernetes(Arc::new(cluster)), Some(client)));
    }
    let asked = config.token.clone().map_or(Asked::Nothing, Asked::Token);
    Ok((asked, None))
}

async fn open_store(config: &Config) -> Result<Arc<dyn CallStore>, StartError> {
    let directory = match &config.keep {
        Keep::Memory => return Ok(Arc::new(Memory::new(config.retain_bytes))),
        Keep::Disk(directory) => directory.clone(),
    };
    let opened = spawn_blocking(move || Embedded::open(&directory, embedded::Options::default()));
    let store = opened
        .await
        .expect("opening a store does not panic, and is never cancelled")?;
    Ok(Arc::new(store))
}

async fn listen(
    flag: &'static str,
    address: SocketAddr,
) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::Listen {
        flag,
        address,
        source,
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}
