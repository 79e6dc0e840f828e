//! The injector that runs: the webhook over TLS, its certificates, and a port for probes and metrics.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use hyper_util::rt::TokioTimer;
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;

use self::tls::{Tls, TlsError};
use crate::bundles;
use crate::certificates::{Cluster, KeepError, Keeper};
use crate::config::Config;
use crate::events::{self, Event};
use crate::metrics::Metrics;
use crate::refusals::{self, Refusals};
use crate::webhook::{self, Listeners};

mod admin;
mod bounded;
mod tls;

/// How often the shared chain is looked at: a Secret that was deleted or a bundle that was overwritten is
/// healed within this, and a new leaf is served.
pub const KEEP_EVERY: Duration = Duration::from_secs(10);
/// How long a replica that was asked to stop takes new connections: what routes to it hears of it later.
pub const LINGER: Duration = Duration::from_secs(5);
/// Longest that one look at the chain may take.
const MAX_KEEP: Duration = Duration::from_secs(30);
/// Longest that a connection may be idle, or the head of a request be on its way. API servers close after 90 s,
/// and should be first: what they ask while we close is lost, and its pod has no sidecar.
const MAX_IDLE: Duration = Duration::from_secs(120);
/// How long reviews that have begun may go on once the injector is asked to stop.
const DRAIN: Duration = Duration::from_secs(5);

/// Why the injector does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// An address cannot be listened on.
    #[error("failed to listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// A server ended by itself.
    #[error("failed to serve")]
    Serve(#[from] io::Error),
}

/// Why one look at the chain was in vain.
#[derive(Debug, thiserror::Error)]
enum LookError {
    #[error("the API server did not answer within {} s", MAX_KEEP.as_secs())]
    Late,
    #[error(transparent)]
    Keep(#[from] KeepError),
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// An injector that listens, and has no certificate yet.
#[derive(Debug)]
pub struct Server {
    webhook: TcpListener,
    admin: TcpListener,
    router: Router,
    refusals: Refusals,
    injected: mpsc::Receiver<String>,
    events: mpsc::Receiver<Event>,
    metrics: Metrics,
}

/// What takes how long, and what time it is.
#[derive(Debug, Clone, Copy)]
pub struct Pace<F> {
    /// How often the certificates are looked at. Default [`KEEP_EVERY`].
    pub every: Duration,
    /// How long connections are still taken after the call to stop. Default [`LINGER`].
    pub linger: Duration,
    /// The time in seconds since 1970.
    pub now_s: F,
}

impl Pace<fn() -> u64> {
    /// The pace of a cluster.
    pub fn real() -> Self {
        Self {
            every: KEEP_EVERY,
            linger: LINGER,
            now_s: || {
                let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
                since.unwrap_or_default().as_secs()
            },
        }
    }
}

impl Server {
    /// Listens on `webhook` (TLS) and `admin` (probes and metrics, plain).
    pub fn bind(config: Config, webhook: SocketAddr, admin: SocketAddr) -> Result<Self, RunError> {
        let metrics = Metrics::default();
        let (injecting, injected) = mpsc::channel(bundles::WAITING);
        let (event_sender, events) = mpsc::channel(events::WAITING);
        let refusals = Refusals::default();
        let listeners = Listeners {
            injected: injecting,
            events: event_sender,
        };
        Ok(Self {
            webhook: listen(webhook)?,
            admin: listen(admin)?,
            router: webhook::router(config, metrics.clone(), refusals.clone(), listeners),
            refusals,
            injected,
            events,
            metrics,
        })
    }

    /// Where the webhook is served.
    pub fn webhook_address(&self) -> io::Result<SocketAddr> {
        self.webhook.local_addr()
    }

    /// Where probes and metrics are served.
    pub fn admin_address(&self) -> io::Result<SocketAddr> {
        self.admin.local_addr()
    }

    /// Serves until `stop` ends, then finishes what has begun.
    pub async fn run<C: Cluster>(
        self,
        keeper: Keeper<C>,
        pace: Pace<impl Fn() -> u64>,
        stop: impl Future<Output = ()>,
    ) -> Result<(), RunError> {
        let tls = Tls::default();
        let admin = admin::serve(self.admin, self.metrics.clone(), tls.clone());
        let (bundle, published) = watch::channel(Arc::default());
        let keep = keep(&keeper, &pace, &tls, &bundle, &self.metrics);
        let distribute =
            bundles::distribute(keeper.cluster(), published, self.injected, &self.metrics);
        let tell = events::tell(
            async |event: &Event| keeper.cluster().tell(event).await,
            self.events,
            &self.metrics,
        );
        let hear = refusals::hear(keeper.cluster().refusals(), &self.refusals);
        let webhook = async {
            let mut stop = pin!(stop);
            let config = tokio::select! {
                config = tls.first() => config,
                () = &mut stop => return Ok(()),
            };
            let stop = async {
                stop.await;
                tokio::time::sleep(pace.linger).await;
            };
            serve_webhook(self.webhook, self.router, config, stop).await
        };
        let ended = tokio::select! {
            ended = webhook => ended,
            ended = admin => ended,
            never = keep => match never {},
            never = distribute => match never {},
            never = tell => match never {},
            never = hear => match never {},
        };
        ended.map_err(RunError::from)
    }
}

/// Keeps the certificates for ever. A cluster that does not answer leaves the served one in place.
async fn keep<C: Cluster>(
    keeper: &Keeper<C>,
    pace: &Pace<impl Fn() -> u64>,
    tls: &Tls,
    bundle: &watch::Sender<Arc<str>>,
    metrics: &Metrics,
) -> Infallible {
    let mut ticks = tokio::time::interval(pace.every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = look(keeper, (pace.now_s)(), tls, bundle, metrics).await {
            metrics.certificate_failures.inc();
            let error = &error as &(dyn std::error::Error + 'static);
            tracing::warn!(error, "the certificates could not be kept");
        }
    }
}

async fn look<C: Cluster>(
    keeper: &Keeper<C>,
    now_s: u64,
    tls: &Tls,
    bundle: &watch::Sender<Arc<str>>,
    metrics: &Metrics,
) -> Result<(), LookError> {
    let kept = tokio::time::timeout(MAX_KEEP, keeper.keep(now_s)).await;
    let chain = kept.map_err(|_| LookError::Late)??;
    tls.serve(&chain)?;
    // Sidecars have `settle` to hear of an authority before a leaf of it is handed to the hub.
    let published: Arc<str> = chain.bundle().into();
    bundle.send_if_modified(|bundle| {
        let is_new = *bundle != published;
        *bundle = published;
        is_new
    });
    let expiry = i64::try_from(chain.good_until_s()).unwrap_or(i64::MAX);
    metrics.certificate_expiry.set(expiry);
    // Last: a webhook serves whether or not there is a hub.
    let handed = tokio::time::timeout(MAX_KEEP, keeper.hand_to_hub(&chain)).await;
    handed.map_err(|_| LookError::Late)??;
    Ok(())
}

async fn serve_webhook(
    listener: TcpListener,
    router: Router,
    tls: RustlsConfig,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let handle = Handle::new();
    let mut server = axum_server::from_tcp(listener)?
        .acceptor(tls::acceptor(tls))
        .handle(handle.clone())
        .http1_only();
    server
        .http_builder()
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(MAX_IDLE);
    let serving = server.serve(router.into_make_service());
    let stopping = async {
        stop.await;
        handle.graceful_shutdown(Some(DRAIN));
        std::future::pending::<()>().await;
    };
    tokio::select! {
        ended = serving => ended,
        () = stopping => Ok(()),
    }
}

fn listen(address: SocketAddr) -> Result<TcpListener, RunError> {
    let listener = TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    listener.map_err(|source| RunError::Listen { address, source })
}
