//! The shop's own client of Redis: one connection, one command at a time.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, bail};
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use super::wire::{Answer, command_bytes, read_answer};
use crate::demo::ledger::{Ledger, Question};

/// A client; every clone uses the same connection.
#[derive(Debug, Clone)]
pub(in super::super::super) struct Redis {
    server: SocketAddr,
    ledger: Ledger,
    connection: Arc<Mutex<Option<BufReader<TcpStream>>>>,
}

impl Redis {
    /// A client that connects when it is used first, and writes what it asks into the ledger.
    pub(in super::super::super) fn new(server: SocketAddr, ledger: Ledger) -> Self {
        Self {
            server,
            ledger,
            connection: Arc::default(),
        }
    }

    /// The value of a key, if there is one.
    pub(in super::super::super) async fn get(&self, key: &str) -> anyhow::Result<Option<String>> {
        match self.ask(&["GET", key]).await? {
            Answer::Text(value) => Ok(value.map(text)),
            other => bail!("redis answered {other:?}"),
        }
    }

    /// The values of several keys.
    pub(in super::super::super) async fn get_all(
        &self,
        keys: &[String],
    ) -> anyhow::Result<Vec<Option<String>>> {
        let keys = keys.iter().map(String::as_str);
        let command: Vec<&str> = std::iter::once("MGET").chain(keys).collect();
        match self.ask(&command).await? {
            Answer::Array(values) => Ok(values.into_iter().map(|it| it.map(text)).collect()),
            other => bail!("redis answered {other:?}"),
        }
    }

    /// Keeps a value for some seconds.
    pub(in super::super::super) async fn set(
        &self,
        key: &str,
        value: &str,
        seconds: u32,
    ) -> anyhow::Result<()> {
        let seconds = seconds.to_string();
        match self.ask(&["SET", key, value, "EX", &seconds]).await? {
            Answer::Text(Some(status)) if status == b"OK" => Ok(()),
            other => bail!("redis answered {other:?}"),
        }
    }

    async fn ask(&self, command: &[&str]) -> anyhow::Result<Answer> {
        let mut connection = self.connection.lock().await;
        let stream = match &mut *connection {
            Some(stream) => stream,
            none => {
                let stream = TcpStream::connect(self.server)
                    .await
                    .context("reach redis")?;
                stream.set_nodelay(true)?;
                none.insert(BufReader::new(stream))
            }
        };
        stream.write_all(&command_bytes(command)).await?;
        let answer = read_answer(stream).await.context("hear redis")?;
        self.ledger.ask(Question::redis(command));
        Ok(answer)
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}
