//! HTTP/1 through hyper: a server towards the client and a client towards the server, in one task.
//!
//! Where hyper is done, whatever the reason, the connection is spliced from that byte on: after an upgrade
//! or CONNECT, after a message that it cannot read, and to pass on how each side closes.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;

use hyper::body::Incoming;
use hyper::service::Service;
use hyper::{Request, client, server};
use hyper_util::rt::TokioIo;
use remora_store::call::Side;

use super::exchange::Exchanges;
use super::passing::Passing;
use super::wire::{Handle, Wire};
use super::{Carried, HEAD_LIMIT_BYTES, finish_and_read_out, give_over};
use crate::link::Link;
use crate::splice::Outcome;

/// What hyper may hold of one message, beside its largest head.
const BUFFER_BYTES: usize = 2 * HEAD_LIMIT_BYTES;

/// Carries a connection for as long as hyper can.
pub(super) async fn relay<'a>(
    near: &Rc<Wire<'a>>,
    far: &Rc<Wire<'a>>,
    client: Link<'_>,
    server: Link<'_>,
) -> Carried {
    near.input.borrow_mut().expect_request();
    near.output.be_silent();
    far.output.be_silent();
    let handshake = client::conn::http1::Builder::new()
        .max_buf_size(BUFFER_BYTES)
        .handshake(TokioIo::new(Handle(Rc::clone(far))));
    // It only sets things up.
    let Ok((sender, mut asking)) = handshake.await else {
        return Carried::Over(Outcome::Reset(Side::Sidecar));
    };
    let exchanges = Rc::new(Exchanges::new(Rc::clone(near), Rc::clone(far), sender));
    let mut serving = server::conn::http1::Builder::new()
        .half_close(true)
        .auto_date_header(false)
        .header_read_timeout(None)
        .max_buf_size(BUFFER_BYTES)
        .serve_connection(
            TokioIo::new(Handle(Rc::clone(near))),
            Relay(Rc::clone(&exchanges)),
        );
    let mut state = State {
        exchanges: &exchanges,
        is_asking_over: false,
        is_serving_over: false,
        end_passed: Cell::new(false),
        is_client_closing: false,
        server,
    };
    let mut reset = pin!(client.reset_by_peer());
    let mut closing = pin!(client.closed_by_peer());
    let ended = poll_fn(|cx| {
        // What comes from the server first, so that it is written in the same turn.
        state.is_asking_over = state.is_asking_over || asking.poll_without_shutdown(cx).is_ready();
        state.is_serving_over = state.is_serving_over || Pin::new(&mut serving).poll(cx).is_ready();
        if reset.as_mut().poll(cx).is_ready() {
            near.note_broken();
        }
        near.look_ahead(cx);
        state.is_client_closing = state.is_client_closing
            || exchanges.is_held_back() && closing.as_mut().poll(cx).is_ready();
        exchanges.let_body_follow();
        let judgement = state.judge();
        for wire in [near, far] {
            if wire.input.borrow_mut().take_asked() {
                cx.waker().wake_by_ref();
            }
        }
        judgement
    })
    .await;
    match ended {
        Some(outcome @ Outcome::Closed(Side::Sidecar)) => {
            // It may still be sending what nobody wants, and would lose the answer to a reset.
            finish_and_read_out(client).await;
            return Carried::Over(outcome);
        }
        Some(outcome @ Outcome::Closed(Side::Client)) => {
            // Each end is told in its own words; either may be gone.
            let _ = server.finish_as(client);
            let _ = client.finish_sending();
            return Carried::Over(outcome);
        }
        Some(outcome) => return Carried::Over(outcome),
        None => {}
    }
    let end_passed = state.end_passed.get();
    let unread_up = serving.into_parts().read_buf;
    let unread_down = asking.into_parts().read_buf;
    let mut carried = give_over(near, far, &unread_up, &unread_down);
    if let Carried::On(up, _) = &mut carried {
        up.finished = end_passed;
    }
    carried
}

/// How far the two halves are.
struct State<'a> {
    exchanges: &'a Exchanges<'a>,
    is_asking_over: bool,
    is_serving_over: bool,
    /// The client's close was passed on.
    end_passed: Cell<bool>,
    /// The client closed while a fault held its request back, behind bytes that nobody has read yet.
    is_client_closing: bool,
    server: Link<'a>,
}

impl State<'_> {
    /// Whether to go on; else how the connection ends, or `None` where the splice takes over.
    fn judge(&self) -> Poll<Option<Outcome>> {
        let (near, far) = (&self.exchanges.client, &self.exchanges.server);
        if near.is_broken() {
            return Poll::Ready(Some(Outcome::Reset(Side::Client)));
        }
        // A server that goes away meanwhile takes nothing from what a fault does: that is passed on behind.
        if far.is_broken() && !self.exchanges.is_in_a_fault() {
            return Poll::Ready(Some(Outcome::Reset(Side::Server)));
        }
        if let Some(end) = self.ended_by_fault() {
            return Poll::Ready(Some(end));
        }
        // A body that broke off: its sender closed, or framed it so that nobody can tell its end.
        for (from, to, by) in [(near, far, Side::Client), (far, near, Side::Server)] {
            if to.output.is_cut() {
                return Poll::Ready((!from.is_at_end()).then_some(Outcome::Reset(by)));
            }
        }
        let is_idle = near.output.is_silent() && !self.exchanges.is_in_a_fault();
        let is_lost = self.exchanges.is_given_up()
            || near.input.borrow().is_lost()
            || far.input.borrow().is_lost();
        if self.is_serving_over
            || is_idle && is_lost
            || is_idle && self.is_asking_over && !self.exchanges.is_waiting()
        {
            return Poll::Ready(None);
        }
        self.pass_end();
        Poll::Pending
    }

    /// How the connection ends by what a fault does, or by the client while one holds its request back.
    fn ended_by_fault(&self) -> Option<Outcome> {
        let is_client_gone = self.is_client_closing || self.exchanges.client.is_at_end();
        if self.exchanges.is_held_back() && is_client_gone {
            return Some(Outcome::Closed(Side::Client));
        }
        match self.exchanges.end()? {
            // The last answer goes first.
            Outcome::Closed(_) if !self.is_serving_over => None,
            end => Some(end),
        }
    }

    /// A client that closes behind its request still waits for the response, or has gone away; the
    /// server is to know either.
    fn pass_end(&self) {
        let (near, far) = (&self.exchanges.client, &self.exchanges.server);
        let is_due = near.is_at_end() && near.input.borrow().is_drained() && far.output.is_silent();
        if is_due && !self.end_passed.replace(true) && self.server.finish_sending().is_err() {
            far.note_broken();
        }
    }
}

/// The exchanges, as hyper wants to be given them.
struct Relay<'a>(Rc<Exchanges<'a>>);

impl<'a> Service<Request<Incoming>> for Relay<'a> {
    type Response = hyper::Response<Passing>;
    type Error = std::convert::Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + 'a>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let exchanges = Rc::clone(&self.0);
        exchanges.client.input.borrow_mut().understand();
        Box::pin(async move { exchanges.pass(request).await })
    }
}
