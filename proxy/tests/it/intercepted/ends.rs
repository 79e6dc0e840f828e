//! How a connection that is looked into ends, and how much it holds meanwhile.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use remora_store::call::{CallError, TlsHandling, TlsReason};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use super::passed::hello_with;
use super::*;

const INSIDE: (TlsHandling, TlsReason) = (TlsHandling::Intercepted, TlsReason::Asked);

/// A sidecar, and both ends of a connection that it looks into.
pub(super) type Ends = (
    Rig,
    client::TlsStream<TcpStream>,
    server::TlsStream<TcpStream>,
);

/// What servers show and clients trust.
struct Parties {
    pki: Pki,
    server: Arc<ServerConfig>,
    client: TlsConnector,
}

async fn parties(listener: &tokio::net::TcpListener) -> (Parties, Rig) {
    let pki = Pki::new();
    let server = pki.server(&pki.identity(Flaw::None), &[], false);
    let rig = intercepting(&pki, listener.local_addr().unwrap(), "auto").await;
    let mut roots = RootCertStore::empty();
    let ca = pki.folder().join("ca/ca.pem");
    roots
        .add(CertificateDer::from_pem_file(ca).unwrap())
        .unwrap();
    let client = connector(roots);
    let parties = Parties {
        pki,
        server,
        client,
    };
    (parties, rig)
}

fn connector(roots: impl Into<Arc<RootCertStore>>) -> TlsConnector {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

impl Parties {
    async fn meet(
        &self,
        rig: &Rig,
        listener: &tokio::net::TcpListener,
    ) -> (client::TlsStream<TcpStream>, server::TlsStream<TcpStream>) {
        let accepting = async {
            let (socket, _) = listener.accept().await.unwrap();
            let acceptor = TlsAcceptor::from(Arc::clone(&self.server));
            acceptor.accept(socket).await.unwrap()
        };
        let connecting = async {
            let socket = TcpStream::connect(rig.address).await.unwrap();
            let name = ServerName::try_from(NAME).unwrap();
            self.client.connect(name, socket).await.unwrap()
        };
        let (server, client) = within(async { tokio::join!(accepting, connecting) }).await;
        (client, server)
    }
}

pub(super) async fn connect() -> Ends {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (parties, rig) = parties(&listener).await;
    let (client, server) = parties.meet(&rig, &listener).await;
    (rig, client, server)
}

#[tokio::test]
async fn an_end_that_is_announced_arrives_so_and_the_other_direction_goes_on() {
    let (rig, mut client, mut server) = connect().await;
    client.write_all(b"question").await.unwrap();
    client.shutdown().await.unwrap();
    let mut asked = Vec::new();
    within(server.read_to_end(&mut asked)).await.unwrap();
    assert_eq!(asked, b"question");
    server.write_all(b"answer").await.unwrap();
    server.shutdown().await.unwrap();
    let mut answered = Vec::new();
    within(client.read_to_end(&mut answered)).await.unwrap();
    assert_eq!(answered, b"answer");
    drop((client, server));
    let calls = calls_of(rig).await;
    assert_eq!(handled(&calls), [INSIDE]);
    assert_eq!(calls[0].error, None);
}

#[tokio::test]
async fn an_end_that_is_not_announced_stays_one() {
    let (rig, mut client, mut server) = connect().await;
    server
        .write_all(b"HTTP/1.0 200 OK\r\n\r\ncut")
        .await
        .unwrap();
    server.flush().await.unwrap();
    // The socket is closed, and nothing said about it inside.
    let (socket, _) = server.into_inner();
    drop(socket);
    let mut answered = Vec::new();
    let ended = within(client.read_to_end(&mut answered)).await;
    assert_eq!(ended.unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
    assert!(answered.ends_with(b"cut"));
    drop(client);
    assert_eq!(handled(&calls_of(rig).await), [INSIDE]);
}

#[tokio::test]
async fn a_reset_arrives_as_one() {
    let (rig, mut client, mut server) = connect().await;
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    within(server.read_exact(&mut [0; 16])).await.unwrap();
    let (socket, _) = server.into_inner();
    socket.set_zero_linger().unwrap();
    drop(socket);
    let ended = within(client.read(&mut [0; 1])).await;
    assert_eq!(
        ended.unwrap_err().kind(),
        std::io::ErrorKind::ConnectionReset
    );
    let calls = calls_of(rig).await;
    assert_eq!(calls[0].error, Some(CallError::ServerReset));
}

/// What a server sent just before it reset the connection still reaches a client, though the sidecar holds
/// something that the server did not take.
#[tokio::test]
async fn a_response_ahead_of_a_reset_arrives() {
    let (rig, mut client, mut server) = connect().await;
    let stuck = Duration::from_millis(300);
    while tokio::time::timeout(stuck, client.write(&[b'x'; 65536]))
        .await
        .is_ok()
    {}
    within(server.read_exact(&mut [0; 1000])).await.unwrap();
    let answer = b"HTTP/1.1 413 Too Large\r\n\r\n";
    server.write_all(answer).await.unwrap();
    server.flush().await.unwrap();
    // Closing with unread bytes resets.
    drop(server);
    let mut arrived = Vec::new();
    let ended = within(client.read_to_end(&mut arrived)).await;
    assert_eq!(
        String::from_utf8_lossy(&arrived),
        String::from_utf8_lossy(answer)
    );
    assert_eq!(
        ended.unwrap_err().kind(),
        std::io::ErrorKind::ConnectionReset
    );
    drop(client);
    assert_eq!(handled(&calls_of(rig).await), [INSIDE]);
}

/// More than all buffers on the way hold.
const MUCH: usize = 24 << 20;

#[tokio::test]
async fn much_that_is_read_late_arrives_whole_both_ways_at_once() {
    let (rig, client, server) = connect().await;
    let (mut from_client, mut to_server) = tokio::io::split(client);
    let (mut from_server, mut to_client) = tokio::io::split(server);
    let sent: Vec<u8> = (0..MUCH).map(|place| (place % 251) as u8).collect();
    let (up, down) = (sent.clone(), sent.clone());
    let sending = tokio::spawn(async move {
        tokio::join!(
            async {
                to_server.write_all(&up).await.unwrap();
                to_server.shutdown().await.unwrap();
            },
            async {
                to_client.write_all(&down).await.unwrap();
                to_client.shutdown().await.unwrap();
            }
        )
    });
    let (mut above, mut below) = (Vec::new(), Vec::new());
    within(async {
        let (read_up, read_down) = tokio::join!(
            from_server.read_to_end(&mut above),
            from_client.read_to_end(&mut below)
        );
        read_up.unwrap();
        read_down.unwrap();
    })
    .await;
    within(sending).await.unwrap();
    assert!(above == sent && below == sent);
    drop((from_client, from_server));
    let calls = calls_of(rig).await;
    assert_eq!(calls[0].request.body_size, MUCH as u64);
}

/// As a client does that checks the certificate itself, when the handshake is over; or one that did not need the
/// connection after all.
async fn leave(mut client: client::TlsStream<TcpStream>, mut server: server::TlsStream<TcpStream>) {
    client.shutdown().await.unwrap();
    within(server.read_to_end(&mut Vec::new())).await.unwrap();
    server.shutdown().await.unwrap();
    within(client.read_to_end(&mut Vec::new())).await.unwrap();
}

#[tokio::test]
async fn clients_that_leave_without_a_word_are_recorded_and_then_not_looked_into() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (parties, rig) = parties(&listener).await;
    for _ in 0..2 {
        let (client, server) = parties.meet(&rig, &listener).await;
        leave(client, server).await;
    }
    let mut client = TcpStream::connect(rig.address).await.unwrap();
    let (mut server, _) = within(listener.accept()).await.unwrap();
    let hello = hello_with(&[]);
    client.write_all(&hello).await.unwrap();
    let mut arrived = vec![0; hello.len()];
    within(server.read_exact(&mut arrived)).await.unwrap();
    assert_eq!(arrived, hello);
    drop((client, server));
    let calls = calls_of(rig).await;
    let again = (TlsHandling::Passthrough, TlsReason::RefusedBefore);
    assert_eq!(handled(&calls), [INSIDE, INSIDE, again]);
    let errors: Vec<_> = calls.iter().map(|call| call.error).collect();
    let failed = Some(CallError::TlsFailed);
    assert_eq!(errors[..2], [failed; 2]);
}

#[tokio::test]
async fn connections_that_are_not_used_are_nothing_unusual_once_a_client_was_heard() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (parties, rig) = parties(&listener).await;
    for round in 0..5 {
        let (mut client, mut server) = parties.meet(&rig, &listener).await;
        if [0, 4].contains(&round) {
            client.write_all(b"question").await.unwrap();
            within(server.read_exact(&mut [0; 8])).await.unwrap();
        }
        leave(client, server).await;
    }
    let calls = calls_of(rig).await;
    assert_eq!(handled(&calls), [INSIDE; 2]);
}

#[tokio::test]
async fn clients_that_refuse_lose_one_connection_however_many_they_open_at_once() {
    const MANY: usize = 20;
    /// How long one of them may find out before others do.
    const TRIAL: Duration = Duration::from_secs(1);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (parties, rig) = parties(&listener).await;
    let acceptor = TlsAcceptor::from(Arc::clone(&parties.server));
    let serving = tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let accepting = acceptor.accept(socket);
            tokio::spawn(async move {
                if let Ok(mut server) = accepting.await {
                    let _ = server.read_to_end(&mut Vec::new()).await;
                    let _ = server.shutdown().await;
                }
            });
        }
    });
    // They know the server's own authority, and nobody else.
    let connector = connector(parties.pki.roots());
    let began = Instant::now();
    let clients = (0..MANY).map(|_| {
        let (connector, address) = (connector.clone(), rig.address);
        tokio::spawn(async move {
            let socket = TcpStream::connect(address).await.unwrap();
            let name = ServerName::try_from(NAME).unwrap();
            let mut client = connector.connect(name, socket).await?;
            client.shutdown().await?;
            client.read_to_end(&mut Vec::new()).await?;
            io::Result::Ok(began.elapsed())
        })
    });
    let mut served = Vec::new();
    for client in clients.collect::<Vec<_>>() {
        served.extend(within(client).await.unwrap());
    }
    serving.abort();
    let handled = handled(&calls_of(rig).await);
    let count = |wanted| handled.iter().filter(|one| **one == wanted).count();
    let refused = count((TlsHandling::Intercepted, TlsReason::Refused));
    let before = count((TlsHandling::Passthrough, TlsReason::RefusedBefore));
    assert_eq!(refused, MANY - served.len());
    // Where the first one had no time to find out, others had to as well, or passed undecided.
    if served.iter().min().is_some_and(|first| *first < TRIAL) {
        assert_eq!((refused, before), (1, MANY - 1));
    } else {
        let undecided = count((TlsHandling::Passthrough, TlsReason::OnTrial));
        assert_eq!(refused + before + undecided, MANY);
    }
}
