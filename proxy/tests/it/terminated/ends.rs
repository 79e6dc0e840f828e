//! A real client and a real server of HTTP/2 at the two ends of a connection through the sidecar.

use std::future::poll_fn;
use std::task::Poll;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::server::SendResponse;
use h2::{RecvStream, client, server};
use hyper::{HeaderMap, Method, Request};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::rig::{Rig, within};

type Serving = server::Connection<TcpStream, Bytes>;
pub(crate) type Accepted = (Request<RecvStream>, SendResponse<Bytes>);

/// Both ends of a connection through the sidecar.
pub(crate) struct Ends {
    pub(crate) sender: SendRequest<Bytes>,
    pub(crate) serving: Serving,
    pub(crate) driving: JoinSet<Result<(), h2::Error>>,
}

pub(crate) async fn connect(rig: &Rig, server: server::Builder, client: client::Builder) -> Ends {
    let (client_stream, server_stream) = rig.connect().await;
    let (asking, serving) = within(async {
        tokio::join!(
            client.handshake::<_, Bytes>(client_stream),
            server.handshake::<_, Bytes>(server_stream),
        )
    })
    .await;
    let (sender, connection) = asking.unwrap();
    let mut driving = JoinSet::new();
    driving.spawn(connection);
    Ends {
        sender,
        serving: serving.unwrap(),
        driving,
    }
}

pub(crate) async fn connect_plainly(rig: &Rig) -> Ends {
    connect(rig, server::Builder::new(), client::Builder::new()).await
}

impl Ends {
    /// The next request at the server, while the connection goes on.
    pub(crate) async fn accept(&mut self) -> Accepted {
        within(self.serving.accept()).await.unwrap().unwrap()
    }

    /// What `wanted` gives, while the server's end goes on.
    pub(crate) async fn serve_while<T>(&mut self, wanted: impl Future<Output = T>) -> T {
        let mut wanted = std::pin::pin!(wanted);
        within(poll_fn(|cx| {
            // Nobody asks for anything new meanwhile.
            assert!(!matches!(
                self.serving.poll_accept(cx),
                Poll::Ready(Some(Ok(_)))
            ));
            wanted.as_mut().poll(cx)
        }))
        .await
    }
}

pub(crate) fn request(path: &str) -> Request<()> {
    Request::builder()
        .method(Method::POST)
        .uri(format!("http://shop{path}"))
        .header("x-one", "1")
        .header("x-two", "2")
        .header("x-one", "3")
        .body(())
        .unwrap()
}

pub(crate) async fn read(body: &mut RecvStream) -> Result<(Vec<u8>, Option<HeaderMap>), h2::Error> {
    let mut bytes = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len())?;
        bytes.extend_from_slice(&piece);
    }
    Ok((bytes, body.trailers().await?))
}
