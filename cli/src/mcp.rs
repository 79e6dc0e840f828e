//! `remora mcp`: MCP over standard input and output for clients that speak nothing else, relayed to a
//! hub, in a cluster through kubectl.
//!
//! Nothing is understood here but what a message needs on its way: its id, its method and its
//! protocol. Each message is one HTTP request, so a hub that was away is asked again with the next.

mod kept;
mod kubernetes;
mod lines;
mod message;
mod relay;
mod way;

use std::collections::HashMap;
use std::io::{BufReader, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, JoinError, JoinSet};
use tokio::time::timeout;

use crate::arguments::Mcp;
use crate::runtime::{self, UsageError};
use kubernetes::Kubernetes;
use lines::Line;
use message::{INVALID_REQUEST, Message};
use relay::Relay;
use way::Way;

/// Most requests that are relayed at a time.
const AT_A_TIME: usize = 64;
/// Most messages that wait on their way in or out.
const WAITING: usize = 16;
/// How long answers that are still to come are waited for when no question can come any more.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

pub(crate) fn run(arguments: Mcp) -> anyhow::Result<ExitCode> {
    let relay = Relay::new(way(arguments)?);
    runtime::single_threaded()?.block_on(async {
        let stop = runtime::stop_signal();
        let input = read_input()?;
        let (output, written) = write_output()?;
        tokio::select! {
            () = Bridge::new(relay, output).run(input) => {
                // Either it comes when all is written, or nobody reads.
                let _ = timeout(LAST_ANSWERS, written).await;
            }
            () = stop => {}
        }
        anyhow::Ok(())
    })?;
    Ok(ExitCode::SUCCESS)
}

fn way(arguments: Mcp) -> Result<Way, UsageError> {
    if arguments.kubernetes {
        let cluster = Kubernetes::new(
            arguments.kubectl,
            arguments.context,
            arguments.namespace,
            arguments.service_account,
        );
        return Ok(Way::Kubernetes(Box::new(cluster)));
    }
    let url =
        way::endpoint(&arguments.hub).map_err(|problem| usage(&format!("--hub {problem}")))?;
    if let Some(file) = &arguments.token_file {
        check_token(file).map_err(|problem| usage(&problem))?;
    }
    Ok(Way::Address {
        url,
        token_file: arguments.token_file,
    })
}

fn usage(problem: &str) -> UsageError {
    UsageError::all(&[problem.to_owned()])
}

fn check_token(file: &Path) -> Result<(), String> {
    match std::fs::read_to_string(file) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("--token-file {}: {error}", file.display())),
    }
}

/// Lines of standard input, until its end. They are read by a thread of their own, which a read that
/// never returns cannot keep the process from ending.
fn read_input() -> anyhow::Result<mpsc::Receiver<Line>> {
    let (sender, receiver) = mpsc::channel(WAITING);
    let read = move || {
        let mut input = BufReader::new(std::io::stdin());
        loop {
            match lines::next(&mut input) {
                Ok(Some(line)) => {
                    if sender.blocking_send(line).is_err() {
                        return;
                    }
                }
                Ok(None) => return,
                Err(error) => return tracing::warn!(%error, "standard input cannot be read"),
            }
        }
    };
    std::thread::Builder::new()
        .name("stdin".to_owned())
        .spawn(read)
        .context("start a thread")?;
    Ok(receiver)
}

/// Writes messages to standard output, a line each, and says when it is done: when no more can come,
/// or nobody reads them.
fn write_output() -> anyhow::Result<(mpsc::Sender<Bytes>, oneshot::Receiver<()>)> {
    let (sender, mut receiver) = mpsc::channel::<Bytes>(WAITING);
    let (done, written) = oneshot::channel();
    let write = move || {
        // Dropped where the thread ends.
        let _done: oneshot::Sender<()> = done;
        let mut output = std::io::stdout();
        while let Some(line) = receiver.blocking_recv() {
            let written = output
                .write_all(&line)
                .and_then(|()| output.write_all(b"\n"))
                .and_then(|()| output.flush());
            if written.is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new()
        .name("stdout".to_owned())
        .spawn(write)
        .context("start a thread")?;
    Ok((sender, written))
}

/// The requests that are under way, and where their answers go.
struct Bridge {
    relay: Arc<Relay>,
    output: mpsc::Sender<Bytes>,
    /// Each gives the id of its request, as it is written, when it is done.
    requests: JoinSet<String>,
    running: HashMap<String, AbortHandle>,
}

impl Bridge {
    fn new(relay: Relay, output: mpsc::Sender<Bytes>) -> Self {
        Self {
            relay: Arc::new(relay),
            output,
            requests: JoinSet::new(),
            running: HashMap::new(),
        }
    }

    /// Relays until the input ends, or nobody reads the output.
    async fn run(mut self, mut input: mpsc::Receiver<Line>) {
        let output = self.output.clone();
        loop {
            tokio::select! {
                // At the most requests, further lines wait; so does a client that writes them.
                line = input.recv(), if self.running.len() < AT_A_TIME => match line {
                    Some(line) => self.take(line).await,
                    None => break,
                },
                Some(done) = self.requests.join_next() => self.forget(done),
                () = output.closed() => return,
            }
        }
        let answered = timeout(LAST_ANSWERS, async {
            while self.requests.join_next().await.is_some() {}
        });
        if answered.await.is_err() {
            tracing::warn!(
                requests = self.requests.len(),
                "requests were given up at the end of the input"
            );
            self.requests.shutdown().await;
        }
    }

    async fn take(&mut self, line: Line) {
        let message = match line {
            Line::TooLong => Err(message::refusal(
                &serde_json::Value::Null,
                INVALID_REQUEST,
                &format!("a message is longer than {} bytes", lines::LONGEST),
            )),
            Line::Whole(line) => Message::read(line),
        };
        match message {
            Ok(Message::Request(request)) => {
                // An id is free as soon as its answer is written, and a client may be quick.
                while let Some(done) = self.requests.try_join_next() {
                    self.forget(done);
                }
                let id = request.id.to_string();
                if self.running.contains_key(&id) {
                    let why = "a request of this id is under way";
                    return self
                        .write(message::refusal(&request.id, INVALID_REQUEST, why))
                        .await;
                }
                let (relay, output) = (Arc::clone(&self.relay), self.output.clone());
                let key = id.clone();
                let task = self.requests.spawn(async move {
                    relay.request(request, &output).await;
                    key
                });
                self.running.insert(id, task);
            }
            Ok(Message::Cancel(id)) => {
                // To break off the HTTP request is how a hub is told, in every protocol.
                if let Some(task) = self.running.remove(&id.to_string()) {
                    task.abort();
                }
            }
            Ok(Message::Notification(notification)) => self.relay.notify(notification).await,
            Ok(Message::Answer) => {
                tracing::debug!("an answer to nothing that was asked is left out")
            }
            Err(refusal) => self.write(refusal).await,
        }
    }

    /// A request is done. An error is one that was cancelled, which is forgotten already.
    fn forget(&mut self, done: Result<String, JoinError>) {
        if let Ok(id) = done {
            self.running.remove(&id);
        }
    }

    async fn write(&self, line: Bytes) {
        // An error means that nobody reads any more, which ends the bridge.
        let _ = self.output.send(line).await;
    }
}
