//! HTTP/2 through h2: a server towards the client and a client towards the server.
//!
//! The server's limits are known before the client is told any, and are passed on to it. Frames are made
//! anew; streams, their order, their resets and how the connection ends are passed on.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::client::SendRequest;
use h2::{Reason, client, server};
use hyper::Request;
use remora_store::call::Side;
use remora_store::fault::Effect;
use tokio::task::JoinSet;

use super::answer;
use super::first_words::is_http2_server;
use super::stream::{self, Orphan};
use super::windows::{NARROW_BYTES, Window};
use super::wire::{Handle, Wire};
use super::{Carried, HEAD_LIMIT_BYTES, finish_and_read_out, give_over};
use crate::link::Link;
use crate::splice::Outcome;

/// Largest field section that is taken, unpacked.
const FIELDS_LIMIT_BYTES: u32 = 4 * HEAD_LIMIT_BYTES as u32;

/// Most streams that the window of a connection fits: of more, those that nobody reads may hold up the others.
const FITTING_LIMIT: u32 = 16;

/// Most streams that are throttled and that it fits beside them.
const THROTTLED_LIMIT: u32 = 256;

/// Most streams at a time, where the server allows more or says nothing: each is a task with its heads.
const STREAMS_LIMIT: u32 = 1_000;

type Asking<'a> = client::Connection<Handle<'a>, Bytes>;
type Serving<'a> = server::Connection<Handle<'a>, Bytes>;

/// Carries a connection until it is over, or the server turns out to speak something else.
pub(super) async fn relay<'a>(
    near: &Rc<Wire<'a>>,
    far: &Rc<Wire<'a>>,
    client: Link<'_>,
    server: Link<'_>,
) -> Carried {
    let (sender, asking) = match ask(far, client).await {
        Ok(Some(asking)) => asking,
        // What it answers is for the client to make sense of.
        Ok(None) => return give_over(near, far, b"", b""),
        Err(by) => return Carried::Over(Outcome::Reset(by)),
    };
    let streams = Streams {
        near,
        far,
        sender: Some(sender),
        asking: Some(asking),
        running: JoinSet::new(),
        throttled: Rc::new(()),
        up: near.window(),
        down: far.window(),
        orphans: Vec::new(),
    };
    Carried::Over(streams.relay(client, server).await)
}

/// Opens the connection to the server and waits for its settings; `None` if it speaks something else.
async fn ask<'a>(
    far: &Rc<Wire<'a>>,
    client: Link<'_>,
) -> Result<Option<(SendRequest<Bytes>, Asking<'a>)>, Side> {
    far.input.borrow_mut().hold(true);
    let handshake = client::Builder::new()
        .enable_push(false)
        .initial_connection_window_size(NARROW_BYTES)
        .max_header_list_size(FIELDS_LIMIT_BYTES)
        .handshake(Handle(Rc::clone(far)));
    let (sender, mut asking) = handshake.await.map_err(|_| Side::Server)?;
    let is_http2 = tokio::select! {
        biased;
        _ = &mut asking => return Err(Side::Server),
        () = client.reset_by_peer() => return Err(Side::Client),
        is_http2 = is_http2_server(far) => is_http2?,
    };
    far.input.borrow_mut().hold(false);
    if !is_http2 {
        return Ok(None);
    }
    // The settings have come: this reads them.
    let ended = poll_fn(|cx| Poll::Ready(Pin::new(&mut asking).poll(cx).is_ready())).await;
    match ended {
        true => Err(Side::Server),
        false => Ok(Some((sender, asking))),
    }
}

/// Both halves, and the streams between them.
struct Streams<'a> {
    near: &'a Rc<Wire<'a>>,
    far: &'a Rc<Wire<'a>>,
    /// Gone once there will be no more streams.
    sender: Option<SendRequest<Bytes>>,
    /// Gone once the connection to the server is over.
    asking: Option<Asking<'a>>,
    running: JoinSet<Option<Orphan>>,
    /// Each stream that is throttled holds one more of it.
    throttled: Rc<()>,
    /// What the client may have on its way, and what the server may.
    up: Window<'a>,
    down: Window<'a>,
    /// Streams that ended with the connection to the server.
    orphans: Vec<Orphan>,
}

impl<'a> Streams<'a> {
    async fn relay(mut self, client: Link<'_>, server: Link<'_>) -> Outcome {
        let Some(mut serving) = self.serve().await else {
            return Outcome::Reset(Side::Client);
        };
        let mut reset = Box::pin(client.reset_by_peer());
        let outcome = poll_fn(|cx| {
            if reset.as_mut().poll(cx).is_ready() {
                self.near.note_broken();
            }
            self.turn(&mut serving, cx)
        })
        .await;
        drop(reset);
        match outcome {
            Outcome::Reset(_) => outcome,
            Outcome::Closed(first) => {
                drop(serving);
                self.take_leave().await;
                tokio::join!(finish_and_read_out(client), finish_and_read_out(server));
                Outcome::Closed(first)
            }
        }
    }

    /// Accepts the client, under the limits that the server set.
    async fn serve(&mut self) -> Option<Serving<'a>> {
        let mut builder = server::Builder::new();
        builder
            .initial_connection_window_size(NARROW_BYTES)
            .max_header_list_size(FIELDS_LIMIT_BYTES);
        if let Some(asking) = &self.asking {
            let limit = u32::try_from(asking.max_concurrent_send_streams());
            builder.max_concurrent_streams(limit.unwrap_or(u32::MAX).min(STREAMS_LIMIT));
        }
        let sender = self.sender.as_ref();
        if sender.is_some_and(SendRequest::is_extended_connect_protocol_enabled) {
            builder.enable_connect_protocol();
        }
        builder.handshake(Handle(Rc::clone(self.near))).await.ok()
    }

    /// Moves everything on; ready when the connection is over.
    fn turn(&mut self, serving: &mut Serving<'a>, cx: &mut Context<'_>) -> Poll<Outcome> {
        self.ask_on(serving, cx);
        let is_over = self.accept(serving, cx);
        while let Poll::Ready(Some(ended)) = self.running.poll_join_next(cx) {
            // One that panicked has reset itself.
            self.orphans.extend(ended.ok().flatten());
        }
        self.make_room(serving);
        if self.near.is_broken() {
            return Poll::Ready(Outcome::Reset(Side::Client));
        }
        // What the server sent before it went away is on its way as long as streams run.
        let is_abandoned = self.asking.is_none() && self.running.is_empty();
        match (is_over, is_abandoned) {
            (_, true) if self.far.is_broken() => Poll::Ready(Outcome::Reset(Side::Server)),
            (true, _) if !self.far.is_at_end() => Poll::Ready(Outcome::Closed(Side::Client)),
            (true, _) => Poll::Ready(Outcome::Closed(Side::Server)),
            (_, true) if self.far.is_at_end() && !self.near.is_blocked() => {
                Poll::Ready(Outcome::Closed(Side::Server))
            }
            _ => Poll::Pending,
        }
    }

    /// Drives the connection to the server; how it ends is told to the client.
    fn ask_on(&mut self, serving: &mut Serving<'a>, cx: &mut Context<'_>) {
        let Some(asking) = &mut self.asking else {
            return;
        };
        let ended = Pin::new(asking).poll(cx);
        if let Poll::Ready(ended) = ended {
            self.asking = None;
            self.sender = None;
            match ended
                .err()
                .filter(h2::Error::is_go_away)
                .and_then(|err| err.reason())
            {
                Some(Reason::NO_ERROR) => serving.graceful_shutdown(),
                Some(reason) => serving.abrupt_shutdown(reason),
                None => {}
            }
        } else if let Some(sender) = &mut self.sender
            && let Poll::Ready(Err(err)) = sender.poll_ready(cx)
        {
            // It takes no more streams, and finishes those that run.
            self.sender = None;
            if err.is_go_away() {
                serving.graceful_shutdown();
            }
        }
    }

    /// Windows fit the streams that run. Of those that are throttled the server's direction has what they hold
    /// beside what the others need.
    fn make_room(&mut self, serving: &mut Serving<'a>) {
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let running = count(self.running.len());
        if let Some(bytes) = self.up.fit(running.min(FITTING_LIMIT)) {
            serving.set_target_window_size(bytes);
        }
        let throttled = count(Rc::strong_count(&self.throttled) - 1).min(THROTTLED_LIMIT);
        let others = running.saturating_sub(throttled).min(FITTING_LIMIT);
        if let Some(asking) = &mut self.asking
            && let Some(bytes) = self.down.fit(others + throttled)
        {
            asking.set_target_window_size(bytes);
        }
    }

    /// Takes new streams, and drives the connection to the client; true when that is over.
    fn accept(&mut self, serving: &mut Serving<'a>, cx: &mut Context<'_>) -> bool {
        loop {
            match serving.poll_accept(cx) {
                Poll::Pending => return false,
                Poll::Ready(None | Some(Err(_))) => return true,
                Poll::Ready(Some(Ok((request, mut respond)))) => match &self.sender {
                    Some(sender) => {
                        let (head, body) = request.into_parts();
                        let number = respond.stream_id().as_u32();
                        let injection = self
                            .near
                            .strike(Some(number), || answer::lines_of_http2(&head));
                        let throttled = injection
                            .as_ref()
                            .filter(|by| matches!(by.effect, Effect::Throttle { .. }))
                            .map(|_| Rc::clone(&self.throttled));
                        let request = Request::from_parts(head, body);
                        let stream = stream::serve(request, respond, sender.clone(), injection);
                        self.running.spawn_local(async move {
                            let ended = stream.await;
                            drop(throttled);
                            ended
                        });
                    }
                    None => respond.send_reset(Reason::REFUSED_STREAM),
                },
            }
        }
    }

    /// The client is gone: what runs for it is reset, and the server told so.
    async fn take_leave(&mut self) {
        self.sender = None;
        self.running.abort_all();
        while self.running.join_next().await.is_some() {}
        if let Some(asking) = self.asking.take() {
            // It is over either way.
            let _ = asking.await;
        }
    }
}
