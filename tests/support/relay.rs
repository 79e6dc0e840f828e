//! A relay between sidecar and hub that sees every byte and can hold them back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};

/// A relay on a port of its own; it runs as long as the test's runtime.
pub struct Relay {
    port: u16,
    shipped: Arc<Mutex<Vec<u8>>>,
    holding: Arc<AtomicBool>,
}

impl Relay {
    /// Starts a relay to a port of this machine.
    pub async fn start(to: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let relay = Self {
            port: listener.local_addr().unwrap().port(),
            shipped: Arc::default(),
            holding: Arc::default(),
        };
        let (shipped, holding) = (relay.shipped.clone(), relay.holding.clone());
        tokio::spawn(async move {
            loop {
                let (sidecar, _) = listener.accept().await.unwrap();
                tokio::spawn(pass(sidecar, to, shipped.clone(), holding.clone()));
            }
        });
        relay
    }

    /// Where sidecars ship to.
    pub fn ingest(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// From now on what sidecars send goes no further.
    pub fn hold(&self) {
        self.holding.store(true, Ordering::SeqCst);
        self.shipped.lock().unwrap().clear();
    }

    /// What sidecars sent, since the start or since it is held.
    pub fn shipped(&self) -> Vec<u8> {
        self.shipped.lock().unwrap().clone()
    }
}

/// Passes one connection on; a hub that is away closes it.
async fn pass(sidecar: TcpStream, to: u16, shipped: Arc<Mutex<Vec<u8>>>, holding: Arc<AtomicBool>) {
    let Ok(hub) = TcpStream::connect(("127.0.0.1", to)).await else {
        return;
    };
    let (mut from_sidecar, mut to_sidecar) = sidecar.into_split();
    let (mut from_hub, mut to_hub) = hub.into_split();
    let answers = tokio::spawn(async move {
        let _ = copy(&mut from_hub, &mut to_sidecar).await;
    });
    let mut piece = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from_sidecar.read(&mut piece).await {
        shipped.lock().unwrap().extend_from_slice(&piece[..length]);
        if !holding.load(Ordering::SeqCst) && to_hub.write_all(&piece[..length]).await.is_err() {
            break;
        }
    }
    answers.abort();
}
