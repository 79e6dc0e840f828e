//! The port of probes and metrics, plain: it tells of the certificate, so it must not need one.

use std::io;
use std::net::TcpListener;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum_server::accept::DefaultAcceptor;
use hyper_util::rt::TokioTimer;

use super::bounded::Bounded;
use super::tls::Tls;
use crate::metrics::Metrics;

/// Most connections: kubelets and scrapers are few.
const MAX_CONNECTIONS: usize = 64;
/// Longest that a connection may be idle, or the head of a request be on its way.
const MAX_IDLE: Duration = Duration::from_secs(5);

#[derive(Clone)]
struct Admin {
    metrics: Metrics,
    tls: Tls,
}

/// Serves for ever, unless the listener fails.
pub(super) async fn serve(listener: TcpListener, metrics: Metrics, tls: Tls) -> io::Result<()> {
    let router = Router::new()
        .route("/metrics", get(show_metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(show_readiness))
        .with_state(Admin { metrics, tls });
    let mut server = axum_server::from_tcp(listener)?
        .acceptor(Bounded::new(DefaultAcceptor::new(), MAX_CONNECTIONS))
        .http1_only();
    server
        .http_builder()
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(MAX_IDLE);
    server.serve(router.into_make_service()).await
}

async fn show_metrics(State(admin): State<Admin>) -> impl IntoResponse {
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, content_type)], admin.metrics.page())
}

async fn show_readiness(State(admin): State<Admin>) -> impl IntoResponse {
    if admin.tls.is_ready() {
        (StatusCode::OK, "ready\n")
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "there is no certificate yet\n",
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    /// What comes until the other side closes.
    async fn rest(connection: &mut TcpStream) -> String {
        let mut rest = Vec::new();
        // A connection that was refused may be reset, which says as much.
        let _ = connection.read_to_end(&mut rest).await;
        String::from_utf8(rest).unwrap()
    }

    #[tokio::test]
    async fn connections_are_few_and_those_that_say_nothing_are_closed() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(serve(listener, Metrics::default(), Tls::default()));
        let mut silent = Vec::new();
        for _ in 0..MAX_CONNECTIONS {
            let mut connection = TcpStream::connect(address).await.unwrap();
            connection
                .write_all(b"GET /healthz HTTP/1.1\r\nX: ")
                .await
                .unwrap();
            silent.push(connection);
        }
        let mut further = TcpStream::connect(address).await.unwrap();
        assert_eq!(rest(&mut further).await, "");
        for connection in &mut silent {
            let said = rest(connection).await;
            assert!(
                said.is_empty() || said.starts_with("HTTP/1.1 408"),
                "{said}"
            );
        }
        let mut asking = TcpStream::connect(address).await.unwrap();
        asking
            .write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            .await
            .unwrap();
        assert!(rest(&mut asking).await.ends_with("ok\n"));
        serving.abort();
    }
}
