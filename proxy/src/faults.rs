//! Injected faults: which ones this sidecar carries out, and on what.
//!
//! The control channel begins and ends them on its thread, the data plane asks on its own for each request
//! of a connection that one may meet. A fault ends by itself on the sidecar's monotonic clock, whether or
//! not the hub is there. While none is active a connection costs one look at a number.
//!
//! Filters see of a request what its record shows, secrets masked: else whoever may begin a fault could ask for a
//! secret letter by letter, by whether it strikes.

mod held;
mod life;
mod pace;
mod subject;

use std::collections::HashMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;
use remora_store::fault::{
    Effect, FaultOrder, FaultOrders, FaultReport, FaultSpec, FaultState, MOST_FAULTS, MOST_LIFE,
    RefusedFault,
};
use tokio::time::Instant;

use crate::keys::RedactionKey;
use crate::redact::{Redaction, Redactor};
use held::Held;
pub(crate) use life::Life;
pub(crate) use pace::Pace;
pub(crate) use subject::{Carrier, Subject, Target};

/// Most faults that were refused and are still told of.
const MOST_REFUSED: usize = 16;

/// The faults of one sidecar.
#[derive(Debug)]
pub struct Faults {
    /// One may be active: what is looked at before anything is locked.
    active: AtomicBool,
    /// Goes up whenever one begins or is stopped.
    generation: AtomicU64,
    state: Mutex<State>,
    redactor: Mutex<Redactor>,
}

#[derive(Default)]
struct State {
    held: Vec<Held>,
    refused: Vec<RefusedFault>,
    connections: HashMap<u64, Connection>,
    last_number: u64,
}

/// An open connection.
struct Connection {
    target: Target,
    carrier: Carrier,
    /// Has it look whether a fault means it.
    waker: Option<Waker>,
}

/// What is done to one request.
#[derive(Debug, Clone)]
pub(crate) struct Injection {
    /// Name of the fault.
    pub(crate) id: Box<str>,
    pub(crate) effect: Effect,
    /// How long it may be at work.
    pub(crate) life: Life,
}

impl Faults {
    /// None yet; filters see requests under this redaction.
    pub fn new(redaction: &Redaction) -> Self {
        Self {
            active: AtomicBool::default(),
            generation: AtomicU64::default(),
            state: Mutex::default(),
            redactor: Mutex::new(Redactor::new(&RedactionKey::local(), redaction)),
        }
    }

    /// Has filters see the tags that records have under `key`.
    pub(crate) fn set_key(&self, key: &RedactionKey) {
        lock(&self.redactor).set_key(key);
    }

    /// Does what the hub asks for.
    pub fn follow(&self, orders: FaultOrders) {
        for id in &orders.stop {
            self.stop(id);
        }
        for order in orders.start {
            self.start(order);
        }
    }

    /// Begins a fault. One that is known is left as it is, and one that cannot be carried out is told of
    /// in the next report.
    fn start(&self, order: FaultOrder) {
        let now = Instant::now();
        let mut state = self.lock();
        if state.knows(&order.id) {
            return;
        }
        let life = Duration::from_millis(order.left_ms).min(MOST_LIFE);
        let held = serde_json::from_value::<FaultSpec>(order.fault)
            .map_err(|error| format!("this sidecar does not know such a fault: {error}"))
            .and_then(|spec| Held::new(spec, now + life).map_err(|error| error.to_string()));
        let running = state.held.iter().filter(|held| held.is_there(now)).count();
        let refused = match held {
            Ok(_) if running >= MOST_FAULTS => {
                format!("{MOST_FAULTS} faults act in this sidecar already, and it takes no more")
            }
            Ok(held) => {
                tracing::info!(fault.id = order.id, life_ms = order.left_ms, "fault begins");
                state.held.push(held);
                self.announce(&mut state);
                return;
            }
            Err(why) => why,
        };
        tracing::warn!(fault.id = order.id, reason = refused, "fault refused");
        if state.refused.len() == MOST_REFUSED {
            state.refused.remove(0);
        }
        state.refused.push(RefusedFault {
            id: order.id,
            why: refused,
        });
    }

    /// Ends a fault.
    fn stop(&self, id: &str) {
        let mut state = self.lock();
        let now = Instant::now();
        if let Some(held) = state.held.iter_mut().find(|held| held.is_called(id)) {
            held.stop(now);
            tracing::info!(fault.id = id, "fault stopped");
            self.announce(&mut state);
        }
        state.refused.retain(|refused| refused.id != id);
    }

    /// Has every connection look at what there is now.
    fn announce(&self, state: &mut State) {
        self.active.store(true, Ordering::Release);
        self.generation.fetch_add(1, Ordering::AcqRel);
        for connection in state.connections.values() {
            if let Some(waker) = &connection.waker {
                waker.wake_by_ref();
            }
        }
    }

    /// What there is to tell.
    pub fn report(&self) -> FaultReport {
        let now = Instant::now();
        let state = self.lock();
        let held = state.held.iter();
        FaultReport {
            allowed: true,
            held: held
                .map(|held| held.report(now, state.connections.values()))
                .collect(),
            refused: state.refused.clone(),
        }
    }

    /// The hub has heard a report: what was over by then need not be told again.
    pub fn forget_told(&self, report: &FaultReport) {
        let is_told = |held: &Held| {
            let mut told = report.held.iter();
            told.any(|told| told.state.is_over() && held.is_called(&told.fault.id))
        };
        self.lock().held.retain(|held| !is_told(held));
    }

    /// Whether a fault that is active may meet a request on the way to `target`.
    fn concerns(&self, target: &Target) -> bool {
        if !self.active.load(Ordering::Acquire) {
            return false;
        }
        let now = Instant::now();
        let state = self.lock();
        let mut active = state.active(now).peekable();
        if active.peek().is_none() {
            self.active.store(false, Ordering::Release);
        }
        active.any(|held| held.may_meet(target))
    }

    /// The fault that is meant for a request, which is counted as met.
    fn strike(&self, target: &Target, head: impl FnOnce() -> Vec<u8>) -> Option<Injection> {
        if !self.concerns(target) {
            return None;
        }
        let head = self.redacted(head())?;
        let now = Instant::now();
        let mut state = self.lock();
        let held = &mut state.held;
        held.iter_mut()
            .find_map(|held| held.strike(now, target, &head))
    }

    /// The head as filters see it; `None` if redaction panicked, and then no fault means it.
    fn redacted(&self, head: Vec<u8>) -> Option<Bytes> {
        let redact = || lock(&self.redactor).request_head(head);
        catch_unwind(AssertUnwindSafe(redact)).ok()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// Nothing that holds one of the locks leaves half a change that matters behind.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn knows(&self, id: &str) -> bool {
        self.held.iter().any(|held| held.is_called(id))
            || self.refused.iter().any(|refused| refused.id == id)
    }

    fn active(&self, now: Instant) -> impl Iterator<Item = &Held> {
        let held = self.held.iter();
        held.filter(move |held| held.state(now) == FaultState::Active)
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held: Vec<_> = self.held.iter().map(Held::name).collect();
        f.debug_struct("State").field("held", &held).finish()
    }
}

#[cfg(test)]
mod tests;
