//! Accepts connections, over TLS where that is asked for, and serves them with a router, within limits, until the hub stops.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::metrics::counter::Counter;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tower::Service as _;

use crate::app::drained;
use crate::tls::Tls;

/// Most connections to one port; more of them wait to be accepted.
const CONNECTIONS: usize = 1_024;
/// Largest head of a request, in bytes.
const HEAD_BYTES: usize = 64 * 1024;
/// How long the head of a request may take, and how long a connection may idle.
const HEAD_ARRIVAL: Duration = Duration::from_secs(60);
/// How long requests that run when the hub stops may go on.
const LAST_REQUESTS: Duration = Duration::from_secs(20);
/// How long to wait after a connection could not be accepted, as when no file is left to open.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long a handshake may take, with the wait for its turn.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// Most handshakes at a time: each is a signature.
const HANDSHAKES: usize = 64;

/// Serves until `draining` turns true; requests that run then are answered first.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Option<Handshakes>,
    router: Router,
    draining: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    let accepting = async {
        loop {
            // The semaphore is never closed, so a place always comes.
            let place = Arc::clone(&places).acquire_owned().await;
            match listener.accept().await {
                Ok((stream, _)) => {
                    let connection =
                        shake_and_serve(stream, tls.clone(), router.clone(), draining.clone());
                    connections.spawn(async move {
                        connection.await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "accept failed");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
            while connections.try_join_next().is_some() {}
        }
    };
    tokio::select! {
        () = accepting => {}
        () = drained(draining.clone()) => {}
    }
    drop(listener);
    let ended = timeout(LAST_REQUESTS, async {
        while connections.join_next().await.is_some() {}
    });
    if ended.await.is_err() {
        tracing::warn!(
            connections = connections.len(),
            "requests were cut off because the hub stops"
        );
    }
}

/// The handshakes of one port.
#[derive(Clone)]
pub(crate) struct Handshakes {
    tls: Tls,
    turns: Arc<Semaphore>,
    failed: Counter,
}

impl Handshakes {
    /// Handshakes under what `tls` serves; those that fail are counted in `failed`.
    pub(crate) fn new(tls: Tls, failed: Counter) -> Self {
        Self {
            tls,
            turns: Arc::new(Semaphore::new(HANDSHAKES)),
            failed,
        }
    }

    /// `None` if it came to nothing, or there is no certificate yet.
    async fn shake(&self, stream: TcpStream) -> Option<TlsStream<TcpStream>> {
        let acceptor = TlsAcceptor::from(self.tls.current()?);
        let shaken = timeout(HANDSHAKE, async {
            // The semaphore is never closed, so a turn always comes.
            let _turn = self.turns.acquire().await;
            acceptor.accept(stream).await
        });
        match shaken.await {
            Ok(Ok(stream)) => return Some(stream),
            Ok(Err(error)) => tracing::debug!(%error, "handshake failed"),
            Err(_) => tracing::debug!("handshake took too long"),
        }
        self.failed.inc();
        None
    }
}

async fn shake_and_serve(
    stream: TcpStream,
    tls: Option<Handshakes>,
    router: Router,
    draining: watch::Receiver<bool>,
) {
    // Answers are small and waited for; a failure to say so costs milliseconds, nothing more.
    let _ = stream.set_nodelay(true);
    match tls {
        None => serve_connection(stream, router, draining).await,
        Some(tls) => {
            if let Some(stream) = tls.shake(stream).await {
                serve_connection(stream, router, draining).await;
            }
        }
    }
}

async fn serve_connection<S>(stream: S, router: Router, draining: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let answer = service_fn(move |request: Request<Incoming>| {
        let answer = router.clone().call(request.map(Body::new));
        async move { Ok::<_, Infallible>(answer.await.unwrap_or_else(|never| match never {})) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_ARRIVAL)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), answer);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = drained(draining) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended early");
    }
}
