//! The list of calls that are still running, and when it is worth sending again.

use std::rc::Rc;
use std::time::Duration;

use remora_store::call::{Call, Omitted, Side, StreamMessage};
use tokio::time::Instant;

use crate::tap::Tap;

/// How long a call has to run before it is told of while it runs.
const OPEN_AFTER: Duration = Duration::from_millis(250);

/// How often a list of the same calls is sent again while bytes pass in them, so that sizes and
/// messages keep up.
const REPEAT_INTERVAL: Duration = Duration::from_secs(5);

/// How often a list is sent again though nothing moves: the block that told of it last may have
/// expired meanwhile.
const RENEWAL_INTERVAL: Duration = Duration::from_secs(300);

/// Share of the time that looking for open calls may take: one part in this many.
///
/// With ten thousand open connections a look takes milliseconds; it then happens less often.
const LOOK_SHARE: u32 = 20;

/// Bytes of heads and bodies in a list beyond which bodies and messages are left out.
const BODIES_LIMIT_BYTES: usize = 256 * 1024;

/// Bytes in a list beyond which further calls are left out; a block has to hold it.
const LIST_LIMIT_BYTES: usize = 1024 * 1024;

/// Calls in a list beyond which further calls are left out.
const LIST_LIMIT_CALLS: usize = 4096;

/// What was last said of the open calls.
pub(super) struct OpenList {
    /// `None` where it is not known to have got through.
    sent: Option<Vec<Key>>,
    sent_at: Option<Instant>,
    due: Option<Instant>,
    look_again_at: Option<Instant>,
}

/// What the list says of a call, as far as that makes it worth sending.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Key {
    connection: u64,
    ordinal: u32,
    responding: bool,
    /// Bytes and messages that have passed: what changes here can wait.
    progress: u64,
}

impl Key {
    fn of(call: &Call) -> Self {
        let stream = call.stream.as_deref();
        let messages = stream.map_or(0, |stream| {
            stream.client_messages + stream.server_messages + stream.messages.len() as u64
        });
        Self {
            connection: call.connection.id,
            ordinal: call.connection.ordinal,
            responding: call.phases.response_first.is_some(),
            progress: call
                .request
                .body_size
                .wrapping_add(call.response.body_size)
                .wrapping_add(messages),
        }
    }

    /// Whether this is the same call, as far as it can be told without looking at its bytes.
    fn is_same_call(&self, other: &Self) -> bool {
        let progress = other.progress;
        Self { progress, ..*self } == *other
    }
}

impl Default for OpenList {
    /// Nothing was said, and a hub takes that for an empty list.
    fn default() -> Self {
        Self {
            sent: Some(Vec::new()),
            sent_at: None,
            due: None,
            look_again_at: None,
        }
    }
}

impl OpenList {
    /// The list, if it is worth sending: at once if it has other calls, after a while if only bytes
    /// passed in them.
    pub(super) fn look(&mut self, taps: &[Rc<Tap>], now: Instant) -> Option<Vec<Call>> {
        if let Some(at) = self.look_again_at.filter(|at| now < *at) {
            self.due = Some(at);
            return None;
        }
        let (calls, younger) = gather(taps, OPEN_AFTER);
        let took = now.elapsed();
        self.look_again_at = Some(now + took * LOOK_SHARE);
        let keys: Vec<_> = calls.iter().map(Key::of).collect();
        let wait = match &self.sent {
            Some(sent) if *sent == keys => RENEWAL_INTERVAL,
            Some(sent) if sent.len() == keys.len() => {
                let same = sent.iter().zip(&keys).all(|(a, b)| a.is_same_call(b));
                if same {
                    REPEAT_INTERVAL
                } else {
                    Duration::ZERO
                }
            }
            _ => Duration::ZERO,
        };
        let send_at = self.sent_at.map_or(now, |at| at + wait);
        let nothing_said = keys.is_empty() && wait == RENEWAL_INTERVAL;
        let send = now >= send_at && !nothing_said;
        self.due = if younger {
            Some(now + OPEN_AFTER.max(took * LOOK_SHARE))
        } else if keys.is_empty() {
            None
        } else if send {
            Some(now + RENEWAL_INTERVAL)
        } else {
            Some(send_at)
        };
        if send {
            self.sent_at = Some(now);
            self.sent = Some(keys);
        }
        send.then_some(calls)
    }

    /// The list with every open call, however young; `None` if it was empty and said to be.
    pub(super) fn all(&mut self, taps: &[Rc<Tap>], now: Instant) -> Option<Vec<Call>> {
        let (calls, _) = gather(taps, Duration::ZERO);
        if calls.is_empty() && self.sent.as_ref().is_some_and(Vec::is_empty) {
            return None;
        }
        self.sent = Some(calls.iter().map(Key::of).collect());
        self.sent_at = Some(now);
        Some(calls)
    }

    /// When to look again even if nothing happens.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// The list did not get through: it is sent again, even if it is empty by then.
    pub(super) fn forget(&mut self) {
        self.sent = None;
    }
}

/// Calls open for at least `min_age`, and whether there are younger ones.
fn gather(taps: &[Rc<Tap>], min_age: Duration) -> (Vec<Call>, bool) {
    let mut listed = Vec::new();
    let mut found = Vec::new();
    let mut younger = false;
    let mut bytes = 0;
    for tap in taps {
        let at_ns = tap.open_calls(&mut found);
        for mut call in found.drain(..) {
            let began_ns = call.phases.request_first.unwrap_or_default();
            if u128::from(at_ns.saturating_sub(began_ns)) < min_age.as_nanos() {
                younger = true;
                continue;
            }
            if bytes + kept_bytes(&call) > BODIES_LIMIT_BYTES {
                leave_bodies_out(&mut call);
            }
            bytes += kept_bytes(&call);
            if bytes > LIST_LIMIT_BYTES || listed.len() >= LIST_LIMIT_CALLS {
                return (listed, younger);
            }
            listed.push(call);
        }
    }
    (listed, younger)
}

/// What a message takes beside its payload.
const MESSAGE_BYTES: usize = size_of::<StreamMessage>();

/// Bytes of heads, bodies, trailers and messages in a record.
pub(crate) fn kept_bytes(call: &Call) -> usize {
    let message = |message: &remora_store::call::Message| {
        message.head.len() + message.body.len() + message.trailers.len()
    };
    let messages = call.stream.iter().flat_map(|stream| &stream.messages);
    let messages: usize = messages
        .map(|message| MESSAGE_BYTES + message.payload.len())
        .sum();
    message(&call.request) + message(&call.response) + call.interim.len() + messages
}

fn leave_bodies_out(call: &mut Call) {
    let messages = call
        .stream
        .as_mut()
        .map(|stream| std::mem::take(&mut stream.messages))
        .unwrap_or_default();
    for (message, from) in [
        (&mut call.request, Side::Client),
        (&mut call.response, Side::Server),
    ] {
        let said = messages.iter().any(|message| message.from == from);
        if !message.body.is_empty() || said {
            message.body = bytes::Bytes::new();
            message.omitted = Some(Omitted::Budget);
        }
    }
}
