//! The tap of a connection: where the bytes that pass are shown to its observer.
//!
//! It keeps the observer's clock, hands its calls to the recorder, and stands between it and the
//! traffic: an observer that panics is put away, and the bytes flow on.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;

use remora_store::call::{Call, CallError, Engine, Secure, Side};
use tokio::time::Instant;

use crate::budget::Budget;
use crate::detect::Family;
use crate::faults::Injection;
use crate::observe::{ConnectionFacts, End, Limits, Observer, Recorded};
use crate::record::Recorder;
use crate::tap::blind::Blind;

mod blind;

/// Shows one connection to its observer.
pub(crate) struct Tap {
    id: u64,
    accepted: Instant,
    recorder: Rc<Recorder>,
    engine: Cell<Engine>,
    secure: RefCell<Option<Arc<Secure>>>,
    watch: RefCell<Watch>,
}

/// Who watches the connection.
#[expect(
    clippy::large_enum_variant,
    reason = "the large one is the usual one, and boxing costs an allocation per connection"
)]
enum Watch {
    Observer(Observer, ConnectionFacts),
    /// The observer panicked: what is left is to count.
    Blind(Blind),
    /// Nobody: the connection is over.
    Over,
}

impl Tap {
    pub(crate) fn new(
        recorder: Rc<Recorder>,
        facts: ConnectionFacts,
        accepted: Instant,
        limits: Limits,
        budget: Budget,
    ) -> Self {
        let observer = Observer::new(facts.clone(), limits, budget);
        Self {
            id: facts.id,
            accepted,
            recorder,
            engine: Cell::new(Engine::Splice),
            secure: RefCell::default(),
            watch: RefCell::new(Watch::Observer(observer, facts)),
        }
    }

    /// The server was reached, from this address of the sidecar's.
    pub(crate) fn connected(&self, forwarded_from: SocketAddr, server: SocketAddr) {
        self.observe(|observer, at, _| observer.connected(at, forwarded_from, server));
    }

    /// Another engine than the splice carries the connection.
    pub(crate) fn carried_by(&self, engine: Engine) {
        self.engine.set(engine);
        self.observe(|observer, _, _| observer.carried_by(engine));
    }

    /// A fault meets a request: that of a stream of HTTP/2, or the one whose turn it is.
    pub(crate) fn struck(&self, stream: Option<u32>, by: &Injection) {
        self.observe(|observer, _, _| observer.struck(stream, &by.id, by.effect.kind()));
    }

    /// What the connection is known to speak.
    pub(crate) fn family(&self) -> Option<Family> {
        match &*self.watch.borrow() {
            Watch::Observer(observer, _) => observer.family(),
            Watch::Blind(_) | Watch::Over => None,
        }
    }

    /// Whether nothing was said, or what is said next begins a call of HTTP/1, with none under way.
    pub(crate) fn is_at_rest(&self) -> bool {
        match &*self.watch.borrow() {
            Watch::Observer(observer, _) => observer.is_at_rest(),
            Watch::Blind(_) | Watch::Over => false,
        }
    }

    /// This was decided about the TLS of the connection; of one that is intercepted, what was inside is shown.
    pub(crate) fn secured(&self, secure: Arc<Secure>) {
        self.secure.replace(Some(Arc::clone(&secure)));
        self.observe(|observer, _, _| observer.secured(secure));
    }

    /// Nobody is known yet who accepts what the client was shown.
    pub(crate) fn on_trial(&self) {
        self.observe(|observer, _, _| observer.on_trial());
    }

    /// The client and the sidecar did not come to terms on TLS.
    pub(crate) fn handshake_failed(&self, error: CallError) {
        self.observe(|observer, at, out| observer.handshake_failed(at, error, out));
    }

    /// The server was not reached.
    pub(crate) fn connect_failed(&self, error: CallError) {
        self.observe(|observer, at, out| observer.connect_failed(at, error, out));
    }

    /// These bytes were read from that side and are about to be written to the other.
    pub(crate) fn bytes(&self, from: Side, bytes: &[u8]) {
        self.observe(|observer, at, out| observer.bytes(from, bytes, at, out));
        if let Watch::Blind(blind) = &mut *self.watch.borrow_mut() {
            blind.count(from, bytes.len());
        }
    }

    /// One direction ended.
    pub(crate) fn end(&self, from: Side, how: End) {
        self.observe(|observer, at, out| observer.end(from, how, at, out));
    }

    /// The connection is over.
    pub(crate) fn closed(&self, by: Side) {
        self.observe(|observer, at, out| observer.closed(by, at, out));
        if let Watch::Blind(blind) = self.watch.replace(Watch::Over) {
            let call = blind.into_call(by, self.at_ns());
            self.recorder.collect(|out| {
                out.push(Recorded {
                    call,
                    cost_bytes: 0,
                })
            });
        }
    }

    /// The sidecar stops: whatever runs is recorded as it is.
    pub(crate) fn stopped(&self) {
        self.closed(Side::Sidecar);
    }

    /// Adds what runs on this connection now; answers the time at which that is so.
    pub(crate) fn open_calls(&self, out: &mut Vec<Call>) -> u64 {
        let at_ns = self.at_ns();
        self.guarded(|observer| observer.open_calls(at_ns, out));
        at_ns
    }

    fn observe(&self, show: impl FnOnce(&mut Observer, u64, &mut Vec<Recorded>)) {
        let at_ns = self.at_ns();
        let mut dropped = 0;
        self.recorder.collect(|out| {
            self.guarded(|observer| {
                show(observer, at_ns, out);
                dropped = observer.take_dropped();
            });
        });
        self.recorder.count_drop("budget", dropped);
    }

    /// Nothing that an observer does may reach the copy loop. Its state is of no use after a
    /// panic, so it is dropped, and the connection goes on as an opaque one.
    fn guarded(&self, look: impl FnOnce(&mut Observer)) {
        let mut watch = self.watch.borrow_mut();
        let Watch::Observer(observer, facts) = &mut *watch else {
            return;
        };
        if catch_unwind(AssertUnwindSafe(|| look(observer))).is_err() {
            self.recorder.metrics().observer_panics.inc();
            tracing::error!(
                connection.id = self.id,
                "observer panicked, the rest of the connection is recorded as opaque"
            );
            self.recorder.count_drop("crash", calls_lost_with(observer));
            let secure = self.secure.borrow().clone();
            let since_ns = self.at_ns();
            *watch = Watch::Blind(Blind::new(
                facts.clone(),
                self.engine.get(),
                secure,
                since_ns,
            ));
        }
    }

    fn at_ns(&self) -> u64 {
        u64::try_from(self.accepted.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Calls of which an observer that panicked will not tell any more, as far as it still can say.
fn calls_lost_with(observer: &mut Observer) -> u64 {
    let count = || {
        let mut running = Vec::new();
        observer.open_calls(u64::MAX, &mut running);
        running.len() as u64 + observer.take_dropped()
    };
    catch_unwind(AssertUnwindSafe(count)).unwrap_or(0)
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.recorder.forget(self.id);
    }
}

#[cfg(test)]
mod tests;
