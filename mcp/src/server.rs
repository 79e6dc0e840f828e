//! Accepts connections and serves them with a router, within limits, until the hub stops.

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
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tower::Service as _;

use crate::app::drained;

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

/// Serves until `draining` turns true; requests that run then are answered first.
pub(crate) async fn serve(listener: TcpListener, router: Router, draining: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    let accepting = async {
        loop {
            // The semaphore is never closed, so a place always comes.
            let place = Arc::clone(&places).acquire_owned().await;
            match listener.accept().await {
                Ok((stream, _)) => {
                    let connection = serve_connection(stream, router.clone(), draining.clone());
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

async fn serve_connection(stream: TcpStream, router: Router, draining: watch::Receiver<bool>) {
    // Answers are small and waited for; a failure to say so costs milliseconds, nothing more.
    let _ = stream.set_nodelay(true);
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
