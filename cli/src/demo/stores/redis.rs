//! A stand-in for Redis: texts under keys, in version 2 of the protocol.
//!
//! Knows `PING`, `ECHO`, `GET`, `MGET`, `SET` with `EX`, `DEL` and `QUIT`; what else a client asks is
//! answered with Redis's own error. Keys that are due are gone when they are asked for.

mod client;
mod wire;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

pub(in super::super) use client::Redis;
use wire::{Reply, read_command};

/// What is kept, until when.
type Values = HashMap<Vec<u8>, (Vec<u8>, Option<Instant>)>;

/// The data of a server; every clone is the same.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct Store(Arc<Mutex<Values>>);

/// Serves clients until the task is aborted.
pub(in super::super) async fn serve(listener: TcpListener, store: Store) {
    let mut clients = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        clients.spawn(attend(stream, store.clone()));
        while clients.try_join_next().is_some() {}
    }
}

/// Answers one client until it leaves, or says what is no command.
async fn attend(stream: TcpStream, store: Store) {
    let mut stream = BufReader::new(stream);
    while let Ok(Some(command)) = read_command(&mut stream).await {
        let Some((name, arguments)) = command.split_first() else {
            continue;
        };
        let is_last = name.eq_ignore_ascii_case(b"QUIT");
        let reply = store.answer(name, arguments);
        // A client that does not hear the answer has left.
        if stream.write_all(&reply.to_bytes()).await.is_err() || is_last {
            return;
        }
    }
}

impl Store {
    /// Keeps a value for ever.
    pub(in super::super) fn set(&self, key: &str, value: &str) {
        self.put(key.as_bytes(), value.as_bytes(), None);
    }

    fn put(&self, key: &[u8], value: &[u8], lasting: Option<Duration>) {
        let due = lasting.map(|lasting| Instant::now() + lasting);
        let entry = (value.to_vec(), due);
        self.values().insert(key.to_vec(), entry);
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        let mut values = self.values();
        let (value, due) = values.get(key)?;
        if due.is_none_or(|due| Instant::now() < due) {
            return Some(value.clone());
        }
        values.remove(key);
        None
    }

    fn values(&self) -> std::sync::MutexGuard<'_, Values> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, name: &[u8], arguments: &[Vec<u8>]) -> Reply {
        let name = String::from_utf8_lossy(name).to_ascii_uppercase();
        match (name.as_str(), arguments) {
            ("PING", []) => Reply::Status("PONG"),
            ("PING" | "ECHO", [text]) => Reply::Text(Some(text.clone())),
            ("QUIT", _) => Reply::Status("OK"),
            ("GET", [key]) => Reply::Text(self.get(key)),
            ("MGET", [_, ..]) => {
                let values = arguments.iter().map(|key| Reply::Text(self.get(key)));
                Reply::Array(values.collect())
            }
            ("SET", [key, value]) => {
                self.put(key, value, None);
                Reply::Status("OK")
            }
            ("SET", [key, value, option, seconds]) if option.eq_ignore_ascii_case(b"EX") => {
                match std::str::from_utf8(seconds)
                    .ok()
                    .and_then(|it| it.parse().ok())
                {
                    Some(seconds @ 1..) => {
                        self.put(key, value, Some(Duration::from_secs(seconds)));
                        Reply::Status("OK")
                    }
                    _ => Reply::error("ERR value is not an integer or out of range"),
                }
            }
            ("DEL", [_, ..]) => {
                let mut values = self.values();
                let gone = arguments.iter().filter(|key| values.remove(*key).is_some());
                Reply::Number(gone.count())
            }
            ("SET", _) => Reply::error("ERR syntax error"),
            ("GET" | "MGET" | "DEL" | "PING" | "ECHO", _) => {
                let name = name.to_ascii_lowercase();
                let wrong = format!("ERR wrong number of arguments for '{name}' command");
                Reply::Error(wrong)
            }
            _ => Reply::error("ERR unknown command"),
        }
    }
}

#[cfg(test)]
mod tests;
