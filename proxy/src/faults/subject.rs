//! One connection, as faults see it.

use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Context;

use remora_store::call::Leg;

use super::{Connection, Faults, Injection};
use crate::detect::Family;

/// Where the requests of a connection go.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) leg: Leg,
    pub(crate) address: SocketAddr,
    /// The name that the address was looked up by.
    pub(crate) called: Option<Arc<str>>,
}

/// How a connection is carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// Nobody knows yet: nothing was passed on, and faults are looked at again before anything is.
    Undecided,
    /// By its messages, so that faults act on it.
    Terminate,
    /// As bytes: requests on it pass as they are.
    Splice,
    /// As bytes, and there are no requests of HTTP on it.
    Foreign,
}

impl Carrier {
    /// That of a connection whose bytes are passed on; `None` where they have not told what it is.
    ///
    /// What is inside TLS may be requests, on which no fault acts.
    pub(crate) fn of_spliced(family: Option<Family>) -> Self {
        match family {
            Some(Family::Redis | Family::Postgres | Family::Opaque) => Self::Foreign,
            Some(Family::Http1 | Family::Http2 | Family::Tls) | None => Self::Splice,
        }
    }
}

/// An open connection; known to the faults for as long as this lives.
pub(crate) struct Subject {
    faults: Arc<Faults>,
    number: u64,
    target: Target,
    /// The other engine may take it over.
    may_change: Cell<bool>,
    /// The generation for which `is_concerned` was found out.
    seen: Cell<Option<u64>>,
    /// What the connection speaks was known by then.
    is_known: Cell<bool>,
    is_concerned: Cell<bool>,
}

impl Subject {
    /// A connection that is about to be carried.
    pub(crate) fn new(faults: &Arc<Faults>, target: Target, may_change: bool) -> Self {
        let mut state = faults.lock();
        state.last_number += 1;
        let number = state.last_number;
        let connection = Connection {
            target: target.clone(),
            carrier: Carrier::Undecided,
            waker: None,
        };
        state.connections.insert(number, connection);
        drop(state);
        Self {
            faults: Arc::clone(faults),
            number,
            target,
            may_change: Cell::new(may_change),
            seen: Cell::new(None),
            is_known: Cell::new(false),
            is_concerned: Cell::new(false),
        }
    }

    /// Whether a fault that is active may meet its requests.
    pub(crate) fn is_concerned(&self) -> bool {
        self.faults.concerns(&self.target)
    }

    /// Notes how the connection is carried from now on.
    pub(crate) fn carried_by(&self, carrier: Carrier) {
        if let Some(connection) = self.faults.lock().connections.get_mut(&self.number) {
            connection.carrier = carrier;
        }
    }

    /// The connection could not be carried by its messages any longer, and is not tried again.
    pub(crate) fn given_over(&self, family: Option<Family>) {
        self.may_change.set(false);
        self.carried_by(Carrier::of_spliced(family));
    }

    /// What is done to a request with this head.
    pub(crate) fn strike(&self, head: impl FnOnce() -> Vec<u8>) -> Option<Injection> {
        self.faults.strike(&self.target, head)
    }

    /// Whether a fault waits until this connection, whose bytes are passed on as they are, is at rest and can
    /// be carried by its messages. Asked by the task of the connection, which is woken when that changes.
    /// `is_watched` says that somebody looks at what the connection speaks; where nobody does, `family` never
    /// tells more, and is asked once for each change of the faults.
    pub(crate) fn is_to_change(
        &self,
        cx: &Context<'_>,
        is_watched: bool,
        family: impl FnOnce() -> Option<Family>,
    ) -> bool {
        let generation = self.faults.generation.load(Ordering::Acquire);
        let seen = self.seen.replace(Some(generation));
        let may_tell_more = self.is_concerned.get() && !self.is_known.get();
        if seen == Some(generation) && !may_tell_more {
            return self.is_concerned.get() && self.may_change.get();
        }
        let family = family();
        self.is_known.set(family.is_some() || !is_watched);
        let carrier = Carrier::of_spliced(family);
        if let Some(connection) = self.faults.lock().connections.get_mut(&self.number) {
            connection.carrier = carrier;
            connection.waker = Some(cx.waker().clone());
        }
        // One may have begun before the waker was there.
        let generation = self.faults.generation.load(Ordering::Acquire);
        self.seen.set(Some(generation));
        self.is_concerned.set(self.is_concerned());
        self.is_concerned.get() && self.may_change.get()
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        self.faults.lock().connections.remove(&self.number);
    }
}
