//! Whether a header of a request goes on with the calls that it causes, and at which hop it is lost.

use std::collections::HashSet;

use remora_store::call::Omitted;
use remora_store::head::find_field;

use super::super::words::subject;
use crate::traffic::{Observed, View};

/// What became of a header.
#[derive(Debug, Default)]
pub(super) struct Followed<'a> {
    /// Calls that were caused by one that has the header.
    pub(super) caused: usize,
    /// Those of them that are without it, or have another value, in the order of their causes.
    pub(super) lost: Vec<&'a Observed>,
}

impl Followed<'_> {
    /// The hop at which it is lost first.
    pub(super) fn first_hop(&self) -> Option<String> {
        self.lost.first().map(|call| subject(call))
    }
}

/// Follows a header, by its name in lower case, from the calls in `view` through everything that they surely
/// caused, as long as it is there.
pub(super) fn follow<'a>(view: &View<'a>, name: &str) -> Followed<'a> {
    let traffic = view.traffic();
    let mut followed = Followed::default();
    let mut seen = HashSet::new();
    let mut ahead: Vec<usize> = view.exchanges().filter_map(|it| it.inbound).collect();
    ahead.reverse();
    while let Some(inbound) = ahead.pop() {
        let sent = traffic.leg(inbound).and_then(|call| value(call, name));
        let Some(sent) = sent.filter(|_| seen.insert(inbound)) else {
            continue;
        };
        for (leg, caused) in traffic.effects_by_place(inbound) {
            // What was cut may have it.
            if !caused.is_http_request() || caused.found.call.request.omitted == Some(Omitted::Head)
            {
                continue;
            }
            followed.caused += 1;
            match value(caused, name) == Some(sent) {
                true => ahead.extend(traffic.exchange_of(leg).and_then(|it| it.inbound)),
                false => followed.lost.push(caused),
            }
        }
    }
    followed
}

/// The value by which a header is the same one on the next hop: of trace headers the id of the trace, since
/// each hop has a span of its own.
fn value<'a>(call: &'a Observed, name: &str) -> Option<&'a [u8]> {
    let value = find_field(&call.found.call.request.head, name.as_bytes())?;
    let part = |separator: u8, place: usize| value.split(move |byte| *byte == separator).nth(place);
    Some(match name {
        "traceparent" => part(b'-', 1).unwrap_or(value),
        "b3" => part(b'-', 0).unwrap_or(value),
        "uber-trace-id" => part(b':', 0).unwrap_or(value),
        _ => value,
    })
}
