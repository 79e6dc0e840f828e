//! The shop's own client of PostgreSQL: one connection, one query at a time, values apart from statements.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, bail};
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use super::wire::{Fields, Message, read};
use crate::demo::ledger::{Ledger, Question};

/// A client; every clone uses the same connection.
#[derive(Debug, Clone)]
pub(in super::super::super) struct Postgres {
    server: SocketAddr,
    ledger: Ledger,
    connection: Arc<Mutex<Option<BufReader<TcpStream>>>>,
}

impl Postgres {
    /// A client that connects when it is used first, and writes what it asks into the ledger.
    pub(in super::super::super) fn new(server: SocketAddr, ledger: Ledger) -> Self {
        Self {
            server,
            ledger,
            connection: Arc::default(),
        }
    }

    /// The rows of a statement with one value, each column as text.
    pub(in super::super::super) async fn query(
        &self,
        statement: &str,
        value: u64,
    ) -> anyhow::Result<Vec<Vec<String>>> {
        let mut connection = self.connection.lock().await;
        let stream = match &mut *connection {
            Some(stream) => stream,
            none => none.insert(self.connect().await.context("reach the database")?),
        };
        let value = value.to_string();
        let mut out = Vec::new();
        Message::new(b'P')
            .text("")
            .text(statement)
            .short(0)
            .append_to(&mut out);
        let bind = Message::new(b'B').text("").text("").short(0).short(1);
        bind.value(value.as_bytes()).short(0).append_to(&mut out);
        Message::new(b'D').byte(b'P').text("").append_to(&mut out);
        Message::new(b'E').text("").long(0).append_to(&mut out);
        Message::new(b'S').append_to(&mut out);
        stream.write_all(&out).await?;
        let rows = rows(stream).await?;
        self.ledger.ask(Question::sql(statement, &value));
        Ok(rows)
    }

    async fn connect(&self) -> anyhow::Result<BufReader<TcpStream>> {
        let stream = TcpStream::connect(self.server).await?;
        stream.set_nodelay(true)?;
        let mut stream = BufReader::new(stream);
        let begin = Message::default().long(0x0003_0000);
        let begin = ["user", "postgres", "database", "postgres"]
            .into_iter()
            .fold(begin, Message::text);
        let mut out = Vec::new();
        begin.byte(0).append_to(&mut out);
        stream.write_all(&out).await?;
        rows(&mut stream).await?;
        Ok(stream)
    }
}

/// Reads until the server is ready for the next query.
async fn rows(stream: &mut BufReader<TcpStream>) -> anyhow::Result<Vec<Vec<String>>> {
    let mut rows = Vec::new();
    let mut refused = None;
    loop {
        let (kind, body) = read(stream).await?.context("the database hung up")?;
        let mut fields = Fields(&body);
        match kind {
            b'Z' => match refused {
                Some(why) => bail!("the database refused: {why}"),
                None => return Ok(rows),
            },
            b'E' => refused = Some(String::from_utf8_lossy(&body).replace('\0', " ")),
            b'R' if fields.long()? != 0 => bail!("the database asks for a password"),
            b'D' => {
                let mut row = Vec::new();
                for _ in 0..fields.short()? {
                    let value = fields.value()?.unwrap_or_default();
                    row.push(String::from_utf8_lossy(value).into_owned());
                }
                rows.push(row);
            }
            _ => {}
        }
    }
}
