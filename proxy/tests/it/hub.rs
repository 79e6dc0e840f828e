//! A hub that a test plays: it speaks the ingest port's protocol over real sockets, and can be
//! stopped, silent, refusing, or killed in the midst of a request.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use remora_store::block::Block;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// How the hub treats requests with blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Stores them.
    Store,
    /// Stores them, but not before it is in another mood.
    Busy,
    /// Reads them and never answers.
    Silent,
    /// Answers with a status and perhaps `Retry-After`, and stores nothing.
    Refuse(u16, Option<u64>),
    /// Stores them, and breaks the connection instead of answering.
    BreakAfterStoring,
    /// Breaks the connection after the first bytes.
    BreakBefore,
}

/// What the hub has seen and kept.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Blocks by incarnation and sequence.
    pub(crate) blocks: BTreeMap<(u128, u64), Block>,
    /// Blocks that came again.
    pub(crate) doubles: u64,
    /// Connections that were made.
    pub(crate) connections: u64,
    /// Requests with blocks.
    pub(crate) requests: u64,
    /// Queries of the control channel.
    pub(crate) polls: Vec<String>,
    /// The last sequence of each sidecar that said goodbye.
    pub(crate) goodbyes: Vec<u64>,
    /// Whether it is as old as those that refuse a goodbye.
    pub(crate) knows_no_goodbye: bool,
    /// `Authorization` and `Host` of the last request.
    pub(crate) authorization: Option<String>,
    pub(crate) host: Option<String>,
    /// Every byte that came over a socket.
    pub(crate) wire: Vec<u8>,
    /// Sequences of blocks that are called bad.
    pub(crate) bad: BTreeSet<u64>,
    /// A token without which nothing is stored.
    pub(crate) token: Option<String>,
}

impl Ledger {
    /// Finished calls in all blocks.
    pub(crate) fn calls(&self) -> u64 {
        self.blocks
            .values()
            .map(|block| u64::from(block.len()))
            .sum()
    }

    /// Calls that blocks tell were dropped, for `reason` or for any.
    pub(crate) fn dropped(&self, reason: Option<&str>) -> u64 {
        self.blocks
            .values()
            .flat_map(|block| &block.meta().drops)
            .filter(|drop| reason.is_none_or(|reason| drop.reason == reason))
            .map(|drop| drop.calls)
            .sum()
    }
}

struct Shared {
    ledger: Mutex<Ledger>,
    mood: watch::Sender<Mood>,
    epoch: watch::Sender<u64>,
    key: Mutex<(String, String)>,
    asked_before: Mutex<BTreeSet<String>>,
}

/// The hub. It keeps what it has through [`Hub::stop`] and [`Hub::start_again`].
pub(crate) struct Hub {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    serving: Option<JoinHandle<()>>,
}

impl Hub {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            ledger: Mutex::default(),
            mood: watch::channel(Mood::Store).0,
            epoch: watch::channel(0).0,
            key: Mutex::new(("k-1".to_owned(), "11".repeat(32))),
            asked_before: Mutex::default(),
        });
        let serving = Some(tokio::spawn(serve(listener, Arc::clone(&shared))));
        Self {
            address,
            shared,
            serving,
        }
    }

    pub(crate) fn uri(&self) -> hyper::Uri {
        format!("http://{}", self.address).parse().unwrap()
    }

    /// Breaks every connection and listens no more.
    pub(crate) async fn stop(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
            let _ = serving.await;
        }
    }

    /// Listens again at the same address.
    pub(crate) async fn start_again(&mut self) {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(self.address).unwrap();
        let listener = socket.listen(64).unwrap();
        self.serving = Some(tokio::spawn(serve(listener, Arc::clone(&self.shared))));
    }

    pub(crate) fn set_mood(&self, mood: Mood) {
        self.shared.mood.send_replace(mood);
    }

    pub(crate) fn set_key(&self, id: &str, key: String) {
        *self.shared.key.lock().unwrap() = (id.to_owned(), key);
    }

    pub(crate) fn ask_for(&self, epoch: u64) {
        self.shared.epoch.send_replace(epoch);
    }

    /// Finished calls in all blocks.
    pub(crate) fn calls(&self) -> u64 {
        self.ledger().calls()
    }

    /// Calls that blocks tell were dropped, for `reason` or for any.
    pub(crate) fn dropped(&self, reason: Option<&str>) -> u64 {
        self.ledger().dropped(reason)
    }

    /// Requests with blocks so far.
    pub(crate) fn requests(&self) -> u64 {
        self.ledger().requests
    }

    /// Blocks that came again.
    pub(crate) fn doubles(&self) -> u64 {
        self.ledger().doubles
    }

    /// Everything at once; not to be held while anything else is asked.
    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.shared.ledger.lock().unwrap()
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let shared = Arc::clone(&shared);
        shared.ledger.lock().unwrap().connections += 1;
        connections.spawn(async move {
            let tapped = Tapped {
                stream,
                shared: Arc::clone(&shared),
            };
            let service = service_fn(|request| answer(request, &shared));
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(tapped), service)
                .await;
        });
    }
}

type Answer = Result<Response<Full<Bytes>>, std::io::Error>;

async fn answer(request: Request<Incoming>, shared: &Shared) -> Answer {
    match request.uri().path() {
        "/ingest/v1/blocks" => blocks(request, shared).await,
        "/ingest/v1/control" => Ok(control(&request, shared).await),
        _ => Ok(status(404, "{}")),
    }
}

async fn blocks(request: Request<Incoming>, shared: &Shared) -> Answer {
    let header = |name: &str| {
        let value = request.headers().get(name)?;
        Some(value.to_str().unwrap().to_owned())
    };
    let incarnation = u128::from_str_radix(&header("x-remora-incarnation").unwrap(), 16).unwrap();
    let authorization = header("authorization");
    {
        let mut ledger = shared.ledger.lock().unwrap();
        ledger.requests += 1;
        ledger.host = header("host");
        ledger.authorization.clone_from(&authorization);
        if ledger.token.is_some() && ledger.token != authorization {
            return Ok(status(401, "{}"));
        }
    }
    let mood = shared.mood.borrow().clone();
    if mood == Mood::BreakBefore {
        return Err(std::io::ErrorKind::ConnectionReset.into());
    }
    let body = request
        .into_body()
        .collect()
        .await
        .map_err(std::io::Error::other)?;
    if mood == Mood::Busy {
        let mut moods = shared.mood.subscribe();
        let _ = moods.wait_for(|mood| *mood != Mood::Busy).await;
    }
    match mood {
        Mood::Silent => std::future::pending().await,
        Mood::Refuse(code, after) => Ok(refusal(code, after)),
        Mood::BreakAfterStoring => {
            store(incarnation, body.to_bytes(), shared);
            Err(std::io::ErrorKind::ConnectionReset.into())
        }
        _ => Ok(store(incarnation, body.to_bytes(), shared)),
    }
}

fn store(incarnation: u128, mut body: Bytes, shared: &Shared) -> Response<Full<Bytes>> {
    let mut blocks = Vec::new();
    while !body.is_empty() {
        let length = body.split_to(4);
        let length = u32::from_le_bytes(length[..].try_into().unwrap());
        let block = Block::open(body.split_to(length as usize)).unwrap();
        block.verify().unwrap();
        assert_eq!(block.meta().origin.incarnation, incarnation);
        blocks.push(block);
    }
    let mut ledger = shared.ledger.lock().unwrap();
    let bad = |block: &Block| ledger.bad.contains(&block.meta().sequence);
    if let Some(index) = blocks.iter().position(bad) {
        let error =
            format!(r#"{{"error":{{"code":"bad_block","message":"bad","index":{index}}}}}"#);
        return status(400, &error);
    }
    let (mut stored, mut doubles) = (0, 0);
    for block in blocks {
        match ledger
            .blocks
            .insert((incarnation, block.meta().sequence), block)
        {
            None => stored += 1,
            Some(_) => doubles += 1,
        }
    }
    ledger.doubles += doubles;
    status(
        200,
        &format!(r#"{{"stored":{stored},"duplicates":{doubles}}}"#),
    )
}

async fn control(request: &Request<Incoming>, shared: &Shared) -> Response<Full<Bytes>> {
    let query = request.uri().query().unwrap().to_owned();
    let value = |name: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).unwrap().1.to_owned()
    };
    if query.ends_with("&goodbye=true") {
        let mut ledger = shared.ledger.lock().unwrap();
        ledger.goodbyes.push(value("sequence").parse().unwrap());
        let code = if ledger.knows_no_goodbye { 400 } else { 200 };
        return status(code, "{}");
    }
    let epoch: u64 = value("epoch").parse().unwrap();
    shared.ledger.lock().unwrap().polls.push(query.clone());
    let first = shared
        .asked_before
        .lock()
        .unwrap()
        .insert(value("incarnation"));
    if !first {
        let mut wanted = shared.epoch.subscribe();
        let news = wanted.wait_for(|wanted| *wanted > epoch);
        let _ = tokio::time::timeout(Duration::from_secs(25), news).await;
    }
    let wanted = *shared.epoch.borrow();
    let (id, key) = shared.key.lock().unwrap().clone();
    status(
        200,
        &format!(r#"{{"epoch":{wanted},"redaction_key":{{"id":"{id}","key":"{key}"}},"hub":"0"}}"#),
    )
}

fn status(code: u16, body: &str) -> Response<Full<Bytes>> {
    let body = Full::new(Bytes::from(body.to_owned()));
    Response::builder().status(code).body(body).unwrap()
}

fn refusal(code: u16, after: Option<u64>) -> Response<Full<Bytes>> {
    let mut response = status(code, r#"{"error":{"code":"later","message":"not now"}}"#);
    if let Some(after) = after {
        response.headers_mut().insert("retry-after", after.into());
    }
    response
}

/// Keeps a copy of every byte that is read.
struct Tapped {
    stream: TcpStream,
    shared: Arc<Shared>,
}

impl AsyncRead for Tapped {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let read = &buffer.filled()[before..];
        self.shared
            .ledger
            .lock()
            .unwrap()
            .wire
            .extend_from_slice(read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tapped {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Waits until `condition` holds; a test that waits too long fails.
pub(crate) async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + crate::rig::DEADLINE;
    while !condition() {
        assert!(
            tokio::time::Instant::now() < deadline,
            "{what} never came true"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
