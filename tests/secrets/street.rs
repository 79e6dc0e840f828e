//! Two sidecars in a row, and behind them an application that plays the planted exchanges.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::header;
use super::planted::{Planted, answer, secret};
use crate::support::api::Client;
use crate::support::eventually;
use crate::support::process::{HubPlace, Running, start_mapped};
use crate::support::relay::Relay;

/// A caller's sidecar, a callee's sidecar, and the application behind both.
pub struct Street {
    pub relay: Relay,
    /// Each with its spool.
    pub sidecars: Vec<(Running, tempfile::TempDir)>,
    port: u16,
}

impl Street {
    pub async fn start(place: &HubPlace, planted: &[Planted]) -> Self {
        let relay = Relay::start(place.ingest_port).await;
        let mut port = play_planted(planted).await;
        let mut sidecars = Vec::new();
        for (leg, workload) in [("inbound", "callee"), ("outbound", "caller")] {
            let spool = tempfile::tempdir().unwrap();
            let folder = spool.path().display().to_string();
            let options = ["--workload", workload, "--spool", &folder];
            let (sidecar, before) = start_mapped(&relay.ingest(), leg, port, &options);
            sidecars.push((sidecar, spool));
            port = before;
        }
        Self {
            relay,
            sidecars,
            port,
        }
    }

    /// Sends a request as it is, and checks that the answer comes as it is.
    pub async fn play(&self, exchange: &Planted) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        stream.write_all(&exchange.request).await.unwrap();
        let mut response = Vec::new();
        stream.read_to_end(&mut response).await.unwrap();
        assert!(
            response == exchange.response,
            "{} was answered with {}",
            exchange.path,
            String::from_utf8_lossy(&response)
        );
    }

    /// Until both sidecars have the hub's key, they tag the same token differently.
    pub async fn wait_for_the_key(&self, place: &HubPlace) {
        let client = Client::new();
        let token = format!("Bearer {}", secret());
        let mut number = 0;
        eventually("both sidecars use the same key", || {
            number += 1;
            let path = format!("/key/{number}");
            let (client, token) = (client.clone(), token.clone());
            async move {
                let uri = format!("http://127.0.0.1:{}{path}", self.port);
                client.get(&uri, &[("authorization", &token)]).await?;
                let calls = eventually("both legs are stored", || async {
                    let filter = format!("path == \"{path}\"");
                    let calls = client.matching(&place.api(), &filter).await?;
                    (calls.len() == 2).then_some(calls)
                })
                .await;
                let tags = calls.iter().map(|call| header(call, "authorization"));
                let [one, other] = &tags.collect::<Vec<_>>()[..] else {
                    return None;
                };
                (one == other).then_some(())
            }
        })
        .await;
    }
}

/// Request and response by path.
type Exchanges = HashMap<&'static str, (Vec<u8>, Vec<u8>)>;

/// Starts a server that checks what it gets to the byte, and answers as planted.
async fn play_planted(planted: &[Planted]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let exchanges: Exchanges = planted.iter().map(Planted::played).collect();
    let exchanges = Arc::new(exchanges);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(answer_one(stream, exchanges.clone()));
        }
    });
    port
}

async fn answer_one(mut stream: TcpStream, exchanges: Arc<Exchanges>) -> std::io::Result<()> {
    let mut got = Vec::new();
    loop {
        if stream.read_buf(&mut got).await? == 0 {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&got);
        let target = text.split(' ').nth(1).unwrap_or_default();
        let path = target.split('?').next().unwrap_or_default();
        match exchanges.get(path) {
            // Anything but the very bytes that were sent is never answered as planted.
            Some((request, response)) if got == *request => {
                return stream.write_all(response).await;
            }
            Some((request, _)) if got.len() < request.len() => {}
            _ if !text.contains("\r\n\r\n") => {}
            _ => return stream.write_all(&answer("", b"")).await,
        }
    }
}
