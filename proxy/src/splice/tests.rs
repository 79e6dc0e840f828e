use std::io::Write as _;
use std::time::Duration;

use remora_store::call::Leg;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::*;
use crate::metrics::{Metrics, registry};

/// Both ends of a connection: ours, and that of a program which is not part of the test's runtime.
async fn connection() -> (TcpStream, std::net::TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let theirs = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (ours, _) = listener.accept().await.unwrap();
    (ours, theirs)
}

/// Says something, and resets the connection without waiting for an answer.
fn say_and_reset(mut end: std::net::TcpStream, text: &[u8]) {
    end.write_all(text).unwrap();
    socket2::SockRef::from(&end)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
}

#[tokio::test]
async fn a_connection_that_both_sides_reset_at_once_is_over() {
    let (client, client_end) = connection().await;
    let (server, server_end) = connection().await;
    say_and_reset(client_end, b"a question");
    say_and_reset(server_end, b"an answer");
    let scratch = Scratch::new();
    let traffic = Metrics::register(&mut registry()).traffic(Leg::Inbound);
    let watchers = Watchers {
        scratch: &scratch,
        traffic: &traffic,
        tap: None,
        subject: None,
    };
    let outcome = timeout(
        Duration::from_secs(10),
        splice_on(
            Link::Plain(&client),
            Link::Plain(&server),
            watchers,
            Rest::default(),
            Rest::default(),
        ),
    )
    .await;
    assert!(matches!(outcome, Ok(Outcome::Reset(_))), "{outcome:?}");
}
