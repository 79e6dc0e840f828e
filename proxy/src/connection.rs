//! The life of one connection: destination, dial, engine, end.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use remora_store::call::{CallError, Leg};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::config::{EngineChoice, Upstream};
use crate::faults::{Faults, Subject, Target};
use crate::link::Link;
use crate::metrics::{Metrics, Traffic};
use crate::observe::ConnectionFacts;
use crate::record::Recorder;
use crate::socket;
use crate::splice::{Outcome, Rest, Scratch, Watchers, splice_until};
use crate::tap::Tap;
use crate::terminate;
use crate::tls::Interception;

mod arrival;
mod attempts;
mod dial;
mod inside;

pub(crate) use arrival::Arrival;
pub(crate) use dial::{Dialled, addresses, connect_to_any, dial_error};
use dial::{connect_to, dial};

/// Whether connections are watched.
pub(crate) enum Recording {
    On(Rc<Recorder>),
    /// Observers keep crashing the sidecar: connections are counted as not recorded.
    Suspended(Rc<Recorder>),
    /// It was not asked for.
    Off,
}

/// What the connections of a data-plane thread have in common.
pub(crate) struct Plane {
    engine: EngineChoice,
    faults: Option<Arc<Faults>>,
    /// Looks into the TLS of outbound connections, where that was asked for.
    interception: Option<Interception>,
    pub(crate) recording: Recording,
    pub(crate) scratch: Scratch,
    pub(crate) metrics: Metrics,
    last_id: Cell<u64>,
    open: Cell<usize>,
    /// How many have been opened.
    opened: Cell<u64>,
    /// The sidecar's own ends of its connections to servers.
    dialled: RefCell<HashSet<SocketAddr>>,
    emptied: Notify,
}

impl Plane {
    /// A plane without connections.
    pub(crate) fn new(
        engine: EngineChoice,
        faults: Option<Arc<Faults>>,
        interception: Option<Interception>,
        recording: Recording,
        metrics: Metrics,
    ) -> Rc<Self> {
        Rc::new(Self {
            engine,
            faults,
            interception,
            recording,
            scratch: Scratch::new(),
            metrics,
            last_id: Cell::new(0),
            open: Cell::new(0),
            opened: Cell::new(0),
            dialled: RefCell::default(),
            emptied: Notify::new(),
        })
    }

    /// Whether the sidecar itself made the connection that this peer is the other end of.
    pub(crate) fn dialled(&self, peer: SocketAddr) -> bool {
        self.dialled.borrow().contains(&peer)
    }

    /// Returns when no connection is open.
    pub(crate) async fn wait_until_empty(&self) {
        while self.open.get() > 0 {
            self.emptied.notified().await;
        }
    }

    /// Returns when no connection was open for `quiet`.
    pub(crate) async fn wait_until_quiet(&self, quiet: Duration) {
        loop {
            self.wait_until_empty().await;
            let opened = self.opened.get();
            tokio::time::sleep(quiet).await;
            if self.opened.get() == opened {
                return;
            }
        }
    }

    /// Begins to watch a connection, if connections are watched.
    pub(crate) fn watch(&self, ends: &Ends, arrival: Arrival) -> Option<Rc<Tap>> {
        let recorder = match &self.recording {
            Recording::On(recorder) => recorder,
            Recording::Suspended(recorder) => {
                recorder.leave_unwatched();
                return None;
            }
            Recording::Off => return None,
        };
        let id = self.last_id.get() + 1;
        self.last_id.set(id);
        let facts = ConnectionFacts {
            id,
            leg: ends.leg,
            src: ends.src,
            dst: ends.dst,
            accepted_ns: arrival.wall_ns,
        };
        Some(recorder.watch(facts, arrival.instant))
    }

    /// A connection to a server as faults see it, where any are allowed.
    fn subject(&self, leg: Leg, server: &Dialled) -> Option<Subject> {
        let faults = self.faults.as_ref()?;
        let target = Target {
            leg,
            address: server.address,
            called: server.called.clone(),
        };
        let may_change = self.engine != EngineChoice::Splice;
        Some(Subject::new(faults, target, may_change))
    }

    /// Whether a connection goes through the engine that can act: where it has to, or where it always does.
    fn is_terminated(&self, subject: Option<&Subject>) -> bool {
        match self.engine {
            EngineChoice::Splice => false,
            EngineChoice::Terminate => true,
            EngineChoice::Auto => subject.is_some_and(Subject::is_concerned),
        }
    }
}

/// Between whom a connection is.
pub(crate) struct Ends {
    pub(crate) leg: Leg,
    pub(crate) src: SocketAddr,
    /// Where it goes, as the client addressed it.
    pub(crate) dst: SocketAddr,
}

/// A connection as it was accepted.
pub(crate) struct Accepted {
    pub(crate) client: TcpStream,
    pub(crate) ends: Ends,
    pub(crate) upstream: Upstream,
    pub(crate) traffic: Traffic,
}

/// Serves a connection until it is over.
pub(crate) async fn serve(plane: Rc<Plane>, accepted: Accepted) {
    let _open = Open::new(&plane);
    let leg = accepted.ends.leg;
    plane.metrics.accepted(leg);
    let tap = plane.watch(&accepted.ends, Arrival::now());
    let client = Leash::new(accepted.client);
    match dial(&plane, &accepted.upstream, &client.stream).await {
        Ok(server) => carry(&plane, leg, client, server, tap, &accepted.traffic).await,
        Err(error) => fail(&plane, leg, tap.as_deref(), error),
    }
}

/// Carries a connection whose server was reached until it is over.
pub(crate) async fn carry(
    plane: &Plane,
    leg: Leg,
    client: Leash,
    server: Dialled,
    tap: Option<Rc<Tap>>,
    traffic: &Traffic,
) {
    if let Some(tap) = &tap {
        tap.connected(server.local.address, server.address);
    }
    let subject = plane.subject(leg, &server);
    let watchers = Watchers {
        scratch: &plane.scratch,
        traffic,
        tap: tap.as_deref(),
        subject: subject.as_ref(),
    };
    match &plane.interception {
        // Boxed, so that other connections stay small.
        Some(interception) if leg == Leg::Outbound => {
            Box::pin(inside::serve(plane, interception, client, server, watchers)).await;
        }
        _ => {
            let ends = (&client.stream, &server.leash.stream);
            if relay(plane, ends, watchers, Rest::default()).await {
                client.release();
                server.leash.release();
            }
        }
    }
}

/// Passes on what comes, behind what was read already; whether it ended in the ordinary way.
async fn relay(
    plane: &Plane,
    (near, far): (&TcpStream, &TcpStream),
    watchers: Watchers<'_>,
    up: Rest,
) -> bool {
    let (near, far) = (Link::Plain(near), Link::Plain(far));
    matches!(
        run(plane, near, far, watchers, up).await,
        Outcome::Closed(_)
    )
}

/// Has an engine carry what passes between two ends, behind what was read already.
async fn run(
    plane: &Plane,
    near: Link<'_>,
    far: Link<'_>,
    watchers: Watchers<'_>,
    up: Rest,
) -> Outcome {
    let mut up = up;
    if !plane.is_terminated(watchers.subject) {
        let read = std::mem::take(&mut up);
        let stop = |cx: &Context<'_>| watchers.is_to_change(cx);
        let spliced = splice_until(near, far, watchers, read, Rest::default(), stop).await;
        if let Some(outcome) = spliced {
            return outcome;
        }
    }
    // Boxed, so that connections which are spliced stay small.
    Box::pin(terminate::terminate(near, far, watchers, up)).await
}

/// The server was not reached.
fn fail(plane: &Plane, leg: Leg, tap: Option<&Tap>, error: CallError) {
    plane.metrics.dial_failed(leg, error);
    if let Some(tap) = tap {
        tap.connect_failed(error);
    }
}

/// A connection that is reset when dropped: ending it any other way than by passing on a close
/// must not look like one.
pub(crate) struct Leash {
    pub(crate) stream: TcpStream,
    released: bool,
}

impl Leash {
    /// One that nobody has closed yet.
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            released: false,
        }
    }

    /// Lets the connection close in the ordinary way.
    pub(crate) fn release(mut self) {
        self.released = true;
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        if !self.released {
            socket::reset_on_close(&self.stream);
        }
    }
}

/// Counts a connection for as long as it lives.
pub(crate) struct Open<'a>(&'a Plane);

impl<'a> Open<'a> {
    /// One more is open.
    pub(crate) fn new(plane: &'a Plane) -> Self {
        plane.open.update(|open| open + 1);
        plane.opened.update(|opened| opened + 1);
        plane.metrics.open_connections.inc();
        Self(plane)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.open.update(|open| open - 1);
        self.0.metrics.open_connections.dec();
        if self.0.open.get() == 0 {
            self.0.emptied.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests;
