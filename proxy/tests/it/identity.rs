//! Byte identity: what one end sends arrives at the other as it was sent, and ends the same way,
//! whether calls are recorded or not.

use std::io;
use std::time::Duration;

use rand::RngExt;
use remora_store::call::Side;
use test_case::test_matrix;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::TcpStream;

use crate::corpus::{Action, Step, exchanges};
use crate::rig::{Rig, within};

/// How bytes are cut into writes.
#[derive(Debug, Clone, Copy)]
enum Cut {
    Whole,
    OneByte,
    /// At random places.
    Random,
}

/// Writes of one byte after which the rest of a large message goes at once.
const ONE_BYTE_WRITES: usize = 5_000;

/// The two ends of a connection that goes through the sidecar.
struct Ends {
    client: TcpStream,
    server: TcpStream,
}

impl Ends {
    fn both(&mut self, first: Side) -> (&mut TcpStream, &mut TcpStream) {
        match first {
            Side::Client => (&mut self.client, &mut self.server),
            _ => (&mut self.server, &mut self.client),
        }
    }
}

/// Plays the steps; panics if an end notices anything else than what the other did.
async fn play(rig: &Rig, steps: &[Step], cut: Cut) {
    let (client, server) = rig.connect().await;
    let mut ends = Ends { client, server };
    for Step { side, action } in steps {
        match action {
            Action::Send(bytes) => {
                let (sender, receiver) = ends.both(*side);
                let arrived = transfer(sender, receiver, bytes, cut).await;
                assert!(arrived == *bytes, "the bytes of the {side} were changed");
            }
            Action::Fin => {
                let (sender, receiver) = ends.both(*side);
                sender.shutdown().await.unwrap();
                let count = within(receiver.read(&mut [0; 16])).await.unwrap();
                assert_eq!(count, 0, "the {side} closed, the other end read on");
            }
            Action::Rst => {
                let (sender, receiver) = match side {
                    Side::Client => (ends.client, ends.server),
                    _ => (ends.server, ends.client),
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
            Cut::OneByte if pieces.len() < ONE_BYTE_WRITES => 1,
            Cut::OneByte => rest.len(),
            Cut::Random => rand::rng().random_range(1..=rest.len()),
        };
        let (piece, left) = rest.split_at(size);
        pieces.push(piece);
        rest = left;
    }
    pieces
}

/// Ends that the observers do not tell apart, so that the corpus does without them.
fn resets_after_a_close() -> Vec<Vec<Step>> {
    [Side::Client, Side::Server]
        .map(|side| {
            let actions = [Action::Send(b"bye".to_vec()), Action::Fin, Action::Rst];
            actions.map(|action| Step { side, action }).to_vec()
        })
        .to_vec()
}

#[test_matrix([true, false], [Cut::Whole, Cut::OneByte, Cut::Random])]
#[tokio::test]
async fn what_one_end_sends_arrives_as_it_was_sent(record: bool, cut: Cut) {
    let rig = Rig::start(record).await;
    for exchange in exchanges() {
        println!("{}", exchange.name);
        play(&rig, &exchange.steps, cut).await;
    }
    for steps in resets_after_a_close() {
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
    let err = rig.connect_in_vain().await;
    assert_eq!(err.kind(), io::ErrorKind::ConnectionReset);
}
