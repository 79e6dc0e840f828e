//! Byte identity: what one end sends arrives at the other as it was sent, and ends the same way,
//! whether calls are recorded or not.

use std::io;
use std::time::Duration;

use rand::RngExt;
use test_case::test_matrix;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::TcpStream;

use crate::rig::{Rig, within};

/// One thing that one end does; the other end has to notice exactly that.
#[derive(Debug, Clone)]
enum Step {
    Sends(End, Vec<u8>),
    Closes(End),
    Resets(End),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Client,
    Server,
}

/// How bytes are cut into writes.
#[derive(Debug, Clone, Copy)]
enum Cut {
    Whole,
    OneByte,
    /// At random places.
    Random,
}

/// The two ends of a connection that goes through the sidecar.
struct Ends {
    client: TcpStream,
    server: TcpStream,
}

impl Ends {
    fn both(&mut self, first: End) -> (&mut TcpStream, &mut TcpStream) {
        match first {
            End::Client => (&mut self.client, &mut self.server),
            End::Server => (&mut self.server, &mut self.client),
        }
    }
}

/// Plays the steps; panics if an end notices anything else than what the other did.
async fn play(rig: &Rig, steps: &[Step], cut: Cut) {
    let (client, server) = rig.connect().await;
    let mut ends = Ends { client, server };
    for step in steps {
        match step {
            Step::Sends(from, bytes) => {
                let (sender, receiver) = ends.both(*from);
                let arrived = transfer(sender, receiver, bytes, cut).await;
                assert!(arrived == *bytes, "{from:?}'s bytes were changed");
            }
            Step::Closes(from) => {
                let (sender, receiver) = ends.both(*from);
                sender.shutdown().await.unwrap();
                let count = within(receiver.read(&mut [0; 16])).await.unwrap();
                assert_eq!(count, 0, "{from:?} closed, the other end read on");
            }
            Step::Resets(from) => {
                let (sender, receiver) = match from {
                    End::Client => (ends.client, ends.server),
                    End::Server => (ends.server, ends.client),
                };
                return reset(sender, receiver).await;
            }
        }
    }
}

/// After a close that was noticed, reading goes on to say "closed"; the error condition tells.
async fn reset(sender: TcpStream, receiver: TcpStream) {
    sender.set_zero_linger().unwrap();
    drop(sender);
    within(receiver.ready(Interest::ERROR)).await.unwrap();
}

async fn transfer(
    sender: &mut TcpStream,
    receiver: &mut TcpStream,
    bytes: &[u8],
    cut: Cut,
) -> Vec<u8> {
    let mut arrived = vec![0; bytes.len()];
    let send = async {
        for piece in pieces(bytes, cut) {
            sender.write_all(piece).await.unwrap();
            // Lets the piece travel on its own instead of joining the next one.
            tokio::task::yield_now().await;
        }
    };
    within(async { tokio::join!(send, receiver.read_exact(&mut arrived)).1 })
        .await
        .unwrap();
    arrived
}

fn pieces(bytes: &[u8], cut: Cut) -> Vec<&[u8]> {
    let mut rest = bytes;
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        let size = match cut {
            Cut::Whole => rest.len(),
            Cut::OneByte => 1,
            Cut::Random => rand::rng().random_range(1..=rest.len()),
        };
        let (piece, left) = rest.split_at(size);
        pieces.push(piece);
        rest = left;
    }
    pieces
}

const GET: &[u8] =
    b"GET /orders/7?full=1 HTTP/1.1\r\nhOsT: shop\r\nX-Twice: a\r\nx-twice: b\r\n\r\n";

fn exchanges() -> Vec<(&'static str, Vec<Step>)> {
    use End::{Client, Server};
    use Step::{Closes, Resets, Sends};
    let sends = |end, bytes: &[u8]| Sends(end, bytes.to_vec());
    vec![
        (
            "a call on a connection that stays",
            vec![
                sends(Client, GET),
                sends(Server, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"),
                sends(Client, GET),
                sends(Server, b"HTTP/1.1 304 Not Modified\r\n\r\n"),
                Closes(Client),
                Closes(Server),
            ],
        ),
        (
            "a body that ends with the connection",
            vec![
                sends(Client, GET),
                sends(Server, b"HTTP/1.0 200 OK\n\nas long as it takes"),
                Closes(Server),
                Closes(Client),
            ],
        ),
        (
            "a client that closes its half first",
            vec![
                sends(Client, GET),
                Closes(Client),
                sends(Server, b"HTTP/1.1 200 OK\r\n\r\nstill here"),
                Closes(Server),
            ],
        ),
        (
            "a server that closes its half and goes on reading",
            vec![
                sends(Server, b"bye"),
                Closes(Server),
                sends(Client, b"one more thing"),
                Closes(Client),
            ],
        ),
        (
            "a server that speaks first",
            vec![
                sends(Server, b"J\0\0\0\x0a8.0.36\0"),
                sends(Client, b"\x01\x02\x03"),
                sends(Server, b"\0"),
                Closes(Client),
                Closes(Server),
            ],
        ),
        (
            "bytes of no protocol",
            vec![
                sends(Client, &(0..=255).collect::<Vec<u8>>()),
                sends(Server, &(0..=255).rev().collect::<Vec<u8>>()),
                Closes(Server),
                Closes(Client),
            ],
        ),
        ("nothing at all", vec![Closes(Client), Closes(Server)]),
        ("a client that resets at once", vec![Resets(Client)]),
        ("a server that resets at once", vec![Resets(Server)]),
        (
            "a server that resets in mid-response",
            vec![
                sends(Client, GET),
                sends(
                    Server,
                    b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf",
                ),
                Resets(Server),
            ],
        ),
        (
            "a client that resets while it is answered",
            vec![
                sends(Client, GET),
                sends(
                    Server,
                    b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf",
                ),
                Resets(Client),
            ],
        ),
        (
            "a client that resets after it closed",
            vec![sends(Client, GET), Closes(Client), Resets(Client)],
        ),
        (
            "a server that resets after it closed",
            vec![sends(Client, GET), Closes(Server), Resets(Server)],
        ),
    ]
}

#[test_matrix([true, false], [Cut::Whole, Cut::OneByte, Cut::Random])]
#[tokio::test]
async fn what_one_end_sends_arrives_as_it_was_sent(record: bool, cut: Cut) {
    let rig = Rig::start(record).await;
    for (name, steps) in exchanges() {
        println!("{name}");
        play(&rig, &steps, cut).await;
    }
    rig.stop().await;
}

/// Both directions at once, each larger than every buffer between the ends.
#[test_matrix([true, false])]
#[tokio::test]
async fn large_streams_pass_both_ways_at_once(record: bool) {
    let rig = Rig::start(record).await;
    let (mut client, mut server) = rig.connect().await;
    let up: Vec<u8> = (0..8_000_000_u32).map(|i| (i % 251) as u8).collect();
    let down: Vec<u8> = (0..8_000_000_u32).map(|i| (i % 241) as u8).collect();
    let (mut client_read, mut client_write) = client.split();
    let (mut server_read, mut server_write) = server.split();
    let (mut at_server, mut at_client) = (Vec::new(), Vec::new());
    let (sent_up, sent_down, read_up, read_down) = within(async {
        tokio::join!(
            async {
                client_write.write_all(&up).await?;
                client_write.shutdown().await
            },
            async {
                server_write.write_all(&down).await?;
                server_write.shutdown().await
            },
            server_read.read_to_end(&mut at_server),
            client_read.read_to_end(&mut at_client),
        )
    })
    .await;
    sent_up.and(sent_down).and(read_up).and(read_down).unwrap();
    assert!(at_server == up && at_client == down, "bytes were changed");
}

/// What a server sent just before it reset the connection still reaches a client that reads late.
#[tokio::test]
async fn a_response_ahead_of_a_reset_arrives() {
    let rig = Rig::start(true).await;
    let (mut client, mut server) = rig.connect().await;
    client.write_all(&[b'x'; 100_000]).await.unwrap();
    server.read_exact(&mut [0; 1000]).await.unwrap();
    server
        .write_all(b"HTTP/1.1 413 Too Large\r\n\r\n")
        .await
        .unwrap();
    // Closing with unread bytes resets.
    drop(server);
    let mut arrived = Vec::new();
    let err = within(client.read_to_end(&mut arrived)).await.unwrap_err();
    assert_eq!(err.kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(arrived, b"HTTP/1.1 413 Too Large\r\n\r\n");
}

/// A client that gives up on a stuck server takes its connection to the server with it.
#[tokio::test]
async fn a_reset_passes_a_server_that_does_not_read() {
    let rig = Rig::start(true).await;
    let (client, server) = rig.connect().await;
    fill(&client).await;
    client.set_zero_linger().unwrap();
    drop(client);
    within(server.ready(Interest::ERROR)).await.unwrap();
}

/// Writes until nothing more fits between the ends.
async fn fill(sender: &TcpStream) {
    let chunk = [b'x'; 65536];
    loop {
        let writable = tokio::time::timeout(Duration::from_millis(300), sender.writable()).await;
        if writable.is_err() {
            return;
        }
        // It may have been taken back meanwhile.
        let _ = sender.try_write(&chunk);
    }
}

#[tokio::test]
async fn a_port_on_which_nothing_listens_resets_the_client() {
    let rig = Rig::start_towards_nothing().await;
    let mut client = TcpStream::connect(rig.address).await.unwrap();
    let err = within(client.read(&mut [0; 16])).await.unwrap_err();
    assert_eq!(err.kind(), io::ErrorKind::ConnectionReset);
}
