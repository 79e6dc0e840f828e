//! Whether two legs can be of one call, by what each says of itself.

use remora_store::call::{Detail, Digest, Engine, Message, State};
use remora_store::head::response_status;
use remora_store::query::FoundCall;

/// How much longer the callee may say that a call took than the caller: clocks run a little unlike.
const LATENCY_SLACK_NS: u64 = 5_000_000;
/// The same in proportion: one part in a thousand.
const LATENCY_SLACK_SHARE: u64 = 1_000;
/// What the name of a redaction key begins with that a sidecar made for itself.
const LOCAL_KEY: &str = "local-";

/// What two legs say of each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Agreement {
    /// They are not of one call.
    Differ,
    /// They could be; there is nothing to compare.
    Silent,
    /// Both saw the same bytes.
    Same,
}

/// Compares two legs.
pub(super) fn agreement(outbound: &FoundCall, inbound: &FoundCall) -> Agreement {
    let (sent, received) = (&outbound.call, &inbound.call);
    let is_same_speech = sent.protocol == received.protocol
        || (sent.protocol.is_http() && received.protocol.is_http());
    if !is_same_speech {
        return Agreement::Differ;
    }
    if let (Some(one), Some(other)) = (handshake(outbound), handshake(inbound)) {
        return match one == other {
            true => Agreement::Same,
            false => Agreement::Differ,
        };
    }
    // What an engine that acts sends on is not what it got.
    let untouched = sent.engine == Engine::Splice && received.engine == Engine::Splice;
    let comparable = untouched && share_a_key(outbound, inbound);
    if comparable && let (Some(one), Some(other)) = (sent.join_digest, received.join_digest) {
        return match one == other {
            true => Agreement::Same,
            false => Agreement::Differ,
        };
    }
    match could_be_one(outbound, inbound) {
        true => Agreement::Silent,
        false => Agreement::Differ,
    }
}

/// Whether nothing beside the request speaks against it: how they were answered, and how long they took.
pub(super) fn could_be_one(outbound: &FoundCall, inbound: &FoundCall) -> bool {
    let (sent, received) = (&outbound.call, &inbound.call);
    let statuses = (
        response_status(&sent.response.head),
        response_status(&received.response.head),
    );
    if let (Some(one), Some(other)) = statuses
        && one != other
    {
        return false;
    }
    if let (Some(outer), Some(inner)) = (sent.phases.latency_ns(), received.phases.latency_ns()) {
        let slack = LATENCY_SLACK_NS + outer / LATENCY_SLACK_SHARE;
        if inner > outer.saturating_add(slack) {
            return false;
        }
    }
    // One that broke off was not seen to the same byte by both.
    let whole =
        |found: &FoundCall| found.call.state == State::Complete && found.call.error.is_none();
    let untouched = sent.engine == Engine::Splice && received.engine == Engine::Splice;
    let comparable = untouched && whole(outbound) && whole(inbound);
    !comparable
        || (is_same_body(outbound, inbound, &sent.request, &received.request)
            && is_same_body(outbound, inbound, &sent.response, &received.response))
}

fn is_same_body(
    outbound: &FoundCall,
    inbound: &FoundCall,
    sent: &Message,
    received: &Message,
) -> bool {
    let digests = match share_a_key(outbound, inbound) {
        true => sent.body_digest.zip(received.body_digest),
        false => None,
    };
    sent.body_size == received.body_size && digests.is_none_or(|(one, other)| one == other)
}

/// Whether the digests of two legs were made with one key. One that a sidecar made for itself is compared
/// with nobody else's, whatever it is called.
pub(super) fn share_a_key(one: &FoundCall, other: &FoundCall) -> bool {
    let key = &one.redaction_key;
    *key == other.redaction_key
        && !key.is_empty()
        && (!key.starts_with(LOCAL_KEY) || one.origin.incarnation == other.origin.incarnation)
}

/// The digest of a leg that others can be compared with, and the name of its key.
pub(super) fn shared_digest(found: &FoundCall) -> Option<(&str, Digest)> {
    let key = &*found.redaction_key;
    let comparable =
        !key.is_empty() && !key.starts_with(LOCAL_KEY) && found.call.engine == Engine::Splice;
    comparable.then_some((key, found.call.join_digest?))
}

/// The random bytes of a ClientHello.
pub(super) fn handshake(found: &FoundCall) -> Option<[u8; 32]> {
    match &found.call.detail {
        Detail::Tls(hello) if hello.random != [0; 32] => Some(hello.random),
        _ => None,
    }
}
