//! What is known of a call in trusted words: the lines ahead of the fence.

use std::fmt::Write as _;

use remora_store::about::About;
use remora_store::query::FoundCall;

use super::super::calls_search::outcome;
use super::super::table::ms;
use super::super::text;
use crate::call_json::{BODIES_TAKE, CallJson, NOT_PERMITTED, PhasesJson, milliseconds};
use crate::causality::How;
use crate::related::{AlternativeJson, ParentJson, Related};

/// What is known of the call in trusted words.
pub(super) fn write_first_line(found: &FoundCall, json: &CallJson, text: &mut String) {
    let call = &found.call;
    let about = About::of(call);
    let (src, dst) = (
        text::party(&found.src, false),
        text::party(&found.dst, true),
    );
    let _ = write!(
        text,
        "{} {} {} {src} -> {dst}",
        found.id, json.time, call.leg
    );
    let _ = match &*about.method {
        "" => write!(text, " {}", call.protocol),
        method => write!(text, " {}", text::question(method, &about.route())),
    };
    let latency = ms(call.phases.latency_ns().map(milliseconds));
    let _ = writeln!(text, " {} {latency} ms, {}", outcome(found), call.state);
    if let Some(fault) = &call.fault {
        let id = text::name(&fault.id).unwrap_or("(odd name)");
        let effect = fault.effect;
        let _ = writeln!(
            text,
            "injected fault \"{id}\" met it ({effect}): what that explains says nothing of the server"
        );
    }
    if found.withheld {
        let _ = writeln!(
            text,
            "bodies and messages are withheld, {NOT_PERMITTED}: {BODIES_TAKE}"
        );
    }
}

/// What the call belongs to.
pub(super) fn write_related(related: &Related, text: &mut String) {
    let listed = |alternatives: &[AlternativeJson]| {
        let ids: Vec<&str> = alternatives.iter().map(|one| one.id.as_str()).collect();
        ids.join(" or ")
    };
    let Some(joined) = &related.joined else {
        return;
    };
    match (&joined.id, joined.how, joined.confidence) {
        (Some(id), Some(how), Some(confidence)) => {
            let _ = write!(text, "other leg {id} ({how} {confidence})");
        }
        _ if joined.alternatives.is_empty() => text.push_str("other leg not seen"),
        _ => {
            let _ = write!(text, "other leg one of {}", listed(&joined.alternatives));
        }
    }
    match &related.parent {
        None => {}
        Some(ParentJson {
            id: Some(id),
            how,
            confidence,
            ..
        }) => {
            let _ = write!(text, "; caused by {id} ({how} {confidence})");
        }
        Some(parent) if parent.how == How::Background.as_str() => {
            text.push_str("; no call caused it");
        }
        Some(parent) => {
            text.push_str("; which call caused it cannot be told");
            if !parent.alternatives.is_empty() {
                let _ = write!(text, ", perhaps {}", listed(&parent.alternatives));
            }
        }
    }
    text.push('\n');
}

/// When the parts of the call passed, counted from the first byte of the request.
pub(super) fn write_timing(json: &CallJson, text: &mut String) {
    let PhasesJson {
        connected,
        request_first,
        request_last,
        response_first,
        response_last,
        closed,
    } = json.phases_ns;
    let began = request_first.unwrap_or_default();
    text.push_str("timing in ms from the first request byte:");
    let phases = [
        ("connected", connected),
        ("request_last", request_last),
        ("response_first", response_first),
        ("response_last", response_last),
        ("closed", closed),
    ];
    for (name, at) in phases {
        if let Some(at) = at {
            let _ = write!(
                text,
                " {name}={:.3}",
                (at as f64 - began as f64) / 1_000_000.0
            );
        }
    }
    let closed = json
        .closed_by
        .map_or_else(String::new, |side| format!(", closed by {side}"));
    let _ = writeln!(
        text,
        "; connection {} call {}{closed}",
        json.connection.id, json.connection.ordinal
    );
}
