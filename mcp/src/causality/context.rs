//! What a request says of what it belongs to: trace ids, request ids, and ids in its path.

use std::hash::{DefaultHasher, Hash, Hasher};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use remora_store::about::About;
use remora_store::head::fields;

/// Most ids of one kind that are read of a request.
const MAX_IDS: usize = 4;
/// Most ids of the path and the query of one request.
const MAX_PATH_IDS: usize = 8;
/// A run of letters and digits in a path is an id if it is at least so long, and holds a digit.
const MIN_PATH_ID_BYTES: usize = 8;

/// What a request says of what it belongs to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Context {
    /// Trace ids, each with the span that the request was sent from; 0 where that is not said.
    pub(super) traces: Vec<(u128, u64)>,
    /// Digests of request ids.
    pub(super) request_ids: Vec<u64>,
    /// Digests of ids in path and query.
    pub(super) path_ids: Vec<u64>,
}

impl Context {
    /// Reads a request's head.
    pub(super) fn read(head: &[u8], about: &About<'_>) -> Self {
        let mut context = Self::default();
        let (mut b3_trace, mut b3_span) = (None, None);
        for (name, value) in fields(head) {
            match name.to_ascii_lowercase().as_slice() {
                b"traceparent" => context.add_trace(traceparent(value)),
                b"b3" => context.add_trace(b3(value)),
                b"x-b3-traceid" => b3_trace = hex(value),
                b"x-b3-spanid" => b3_span = hex(value),
                b"uber-trace-id" => context.add_trace(uber(value)),
                b"x-amzn-trace-id" => context.add_trace(amazon(value)),
                b"x-cloud-trace-context" => context.add_trace(cloud(value)),
                b"grpc-trace-bin" => context.add_trace(grpc(value)),
                b"x-request-id" | b"x-correlation-id" => context.add_request_id(value),
                _ => {}
            }
        }
        context.add_trace(b3_trace.map(|trace| (trace, b3_span.map_or(0, narrow))));
        for part in [&about.path, &about.query] {
            context.add_path_ids(part.as_bytes());
        }
        context
    }

    fn add_trace(&mut self, trace: Option<(u128, u64)>) {
        let Some(trace) = trace.filter(|(id, _)| *id != 0) else {
            return;
        };
        if self.traces.len() < MAX_IDS && !self.traces.contains(&trace) {
            self.traces.push(trace);
        }
    }

    fn add_request_id(&mut self, value: &[u8]) {
        let id = digest(value);
        if !value.is_empty() && self.request_ids.len() < MAX_IDS && !self.request_ids.contains(&id)
        {
            self.request_ids.push(id);
        }
    }

    fn add_path_ids(&mut self, text: &[u8]) {
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        for run in text.split(|byte| !is_part(byte)) {
            let is_id = run.len() >= MIN_PATH_ID_BYTES && run.iter().any(u8::is_ascii_digit);
            if is_id && self.path_ids.len() < MAX_PATH_IDS {
                self.path_ids.push(digest(run));
            }
        }
    }
}

fn digest(bytes: &[u8]) -> u64 {
    // With fixed keys: the same on every machine.
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

/// `00-<trace>-<span>-<flags>` (W3C Trace Context section 3.2.2).
fn traceparent(value: &[u8]) -> Option<(u128, u64)> {
    let mut parts = value.split(|&byte| byte == b'-');
    let _version = parts.next().filter(|version| version.len() == 2)?;
    let trace = parts.next().filter(|trace| trace.len() == 32)?;
    Some((hex(trace)?, narrow(hex(parts.next()?)?)))
}

/// `<trace>-<span>[-<sampled>[-<parent>]]`; a lone `0` samples nothing and names nothing.
fn b3(value: &[u8]) -> Option<(u128, u64)> {
    let mut parts = value.split(|&byte| byte == b'-');
    let trace = hex(parts.next()?)?;
    Some((trace, narrow(hex(parts.next()?)?)))
}

/// `<trace>:<span>:<parent>:<flags>` of Jaeger, the colons perhaps escaped.
fn uber(value: &[u8]) -> Option<(u128, u64)> {
    let text = std::str::from_utf8(value).ok()?;
    let text = text.replace("%3A", ":").replace("%3a", ":");
    let mut parts = text.split(':');
    let trace = hex(parts.next()?.as_bytes())?;
    Some((trace, narrow(hex(parts.next()?.as_bytes())?)))
}

/// `Root=1-<time>-<unique>;Parent=<span>;Sampled=1` of AWS X-Ray.
fn amazon(value: &[u8]) -> Option<(u128, u64)> {
    let text = std::str::from_utf8(value).ok()?;
    let of = |wanted: &str| {
        let mut parts = text.split(';').filter_map(|part| part.split_once('='));
        parts.find_map(|(name, value)| (name.trim() == wanted).then(|| value.trim()))
    };
    let root = of("Root")?.strip_prefix("1-")?.replace('-', "");
    let span = of("Parent").and_then(|span| hex(span.as_bytes()));
    Some((hex(root.as_bytes())?, span.map_or(0, narrow)))
}

/// `<trace>/<span in decimal>;o=1` of Google Cloud.
fn cloud(value: &[u8]) -> Option<(u128, u64)> {
    let text = std::str::from_utf8(value).ok()?;
    let text = text.split(';').next()?;
    let (trace, span) = text.split_once('/').unwrap_or((text, ""));
    Some((hex(trace.as_bytes())?, span.parse().unwrap_or(0)))
}

/// OpenCensus' binary form in base64: version 0, then numbered fields of which 0 is the trace and 1 the span.
fn grpc(value: &[u8]) -> Option<(u128, u64)> {
    let decoded = STANDARD
        .decode(value)
        .or_else(|_| STANDARD_NO_PAD.decode(value))
        .ok()?;
    let fields = decoded.strip_prefix(&[0, 0])?;
    let (trace, rest) = fields.split_first_chunk::<16>()?;
    let span = rest.strip_prefix(&[1]).and_then(|rest| rest.first_chunk());
    Some((
        u128::from_be_bytes(*trace),
        span.map_or(0, |span| u64::from_be_bytes(*span)),
    ))
}

/// Up to 32 hexadecimal digits.
fn hex(digits: &[u8]) -> Option<u128> {
    if digits.is_empty() || digits.len() > 32 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u128::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "spans have 64 bits; what is longer is none"
)]
fn narrow(span: u128) -> u64 {
    span as u64
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use remora_store::head::RequestHead;

    use super::*;

    const TRACE: u128 = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736;
    const SPAN: u64 = 0x00f0_67aa_0ba9_02b7;

    fn read(head: &str) -> Context {
        Context::read(head.as_bytes(), &RequestHead::parse(head.as_bytes()).into())
    }

    #[test_case("traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", Some((TRACE, SPAN)); "w3c")]
    #[test_case("Traceparent: 00-00000000000000000000000000000000-00f067aa0ba902b7-01", None; "w3c with no trace")]
    #[test_case("traceparent: 00-4bf9-00f067aa0ba902b7-01", None; "w3c cut short")]
    #[test_case("b3: 4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1", Some((TRACE, SPAN)); "b3 in one")]
    #[test_case("b3: 0", None; "b3 that samples nothing")]
    #[test_case("X-B3-SpanId: 00f067aa0ba902b7\r\nX-B3-TraceId: 4bf92f3577b34da6a3ce929d0e0e4736", Some((TRACE, SPAN)); "b3 in several")]
    #[test_case("X-B3-TraceId: a3ce929d0e0e4736", Some((0xa3ce_929d_0e0e_4736, 0)); "b3 of 64 bits")]
    #[test_case("uber-trace-id: 4bf92f3577b34da6a3ce929d0e0e4736:f067aa0ba902b7:0:1", Some((TRACE, SPAN)); "jaeger")]
    #[test_case("uber-trace-id: 4bf92f3577b34da6a3ce929d0e0e4736%3Af067aa0ba902b7%3A0%3A1", Some((TRACE, SPAN)); "jaeger escaped")]
    #[test_case("X-Amzn-Trace-Id: Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent=00f067aa0ba902b7;Sampled=1", Some((TRACE, SPAN)); "x-ray")]
    #[test_case("X-Cloud-Trace-Context: 4bf92f3577b34da6a3ce929d0e0e4736/67667974448284343;o=1", Some((TRACE, SPAN)); "cloud")]
    #[test_case("grpc-trace-bin: AABL+S81d7NNpqPOkp0ODkc2AQDwZ6oLqQK3AgE=", Some((TRACE, SPAN)); "open census")]
    #[test_case("grpc-trace-bin: AABL+S81d7NNpqPOkp0ODkc2AQDwZ6oLqQK3AgE", Some((TRACE, SPAN)); "open census without padding")]
    #[test_case("traceparent: \u{202e}", None; "no trace at all")]
    fn a_trace_is_read_in_every_spelling(field: &str, expected: Option<(u128, u64)>) {
        let context = read(&format!("GET / HTTP/1.1\r\n{field}\r\n\r\n"));
        assert_eq!(context.traces, expected.into_iter().collect::<Vec<_>>());
    }

    #[test_case("/orders/12345678", 1; "a long number")]
    #[test_case("/orders/1234567", 0; "a short one")]
    #[test_case("/checkout/continue", 0; "words")]
    #[test_case("/a/0b5c7e9a-7a5e-4a57-9d5e-0d6f0f4a1b2c?ref=a1b2c3d4e5", 2; "a uuid and a query")]
    fn ids_in_paths_are_long_and_hold_a_digit(target: &str, expected: usize) {
        let context = read(&format!("GET {target} HTTP/1.1\r\n\r\n"));
        assert_eq!(context.path_ids.len(), expected);
    }

    #[test]
    fn no_more_is_read_than_there_is_room_for() {
        let mut head = format!("GET /{} HTTP/1.1\r\n", "a1234567/".repeat(100));
        for id in 1..100 {
            head.push_str(&format!("x-request-id: {id}\r\nb3: {id:x}-1\r\n"));
        }
        let context = read(&head);
        let counts = [
            context.traces.len(),
            context.request_ids.len(),
            context.path_ids.len(),
        ];
        assert_eq!(counts, [MAX_IDS, MAX_IDS, MAX_PATH_IDS]);
    }
}
