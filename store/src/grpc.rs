//! What a call says as gRPC: service, method, status, deadline, and the kind that was observed (pure).
//!
//! Read from heads, trailers and counts of messages as the "gRPC over HTTP/2" protocol description
//! has them. What the messages hold is not read here.

use std::borrow::Cow;
use std::time::Duration;

use crate::call::{Call, Protocol};
use crate::head::{RequestHead, find_field};

/// What a call says as gRPC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grpc {
    /// Full name of the service, such as `shop.v1.Orders`; `None` where the path names none.
    pub service: Option<String>,
    /// Name of the method within it.
    pub method: Option<String>,
    /// `grpc-status`; `None` where none was sent, or not yet.
    pub status: Option<u16>,
    /// `grpc-message`, percent-decoded.
    pub message: Option<String>,
    /// `grpc-timeout`: how long the client was ready to wait.
    pub deadline: Option<Duration>,
    /// `grpc-encoding` of the request's messages, where the client named one.
    pub request_encoding: Option<String>,
    /// The same of the response's.
    pub response_encoding: Option<String>,
    /// The kind of call that the counts of messages tell so far; `None` where they were not counted.
    pub observed: Option<Kind>,
}

/// The four kinds of call. Seen from outside, a stream of one message is no stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// At most one message each way.
    Unary,
    /// Several messages from the client.
    ClientStream,
    /// Several messages from the server.
    ServerStream,
    /// Several messages both ways.
    Bidi,
}

impl Kind {
    /// The kind that streams on these sides.
    pub const fn of(client_streams: bool, server_streams: bool) -> Self {
        match (client_streams, server_streams) {
            (false, false) => Self::Unary,
            (true, false) => Self::ClientStream,
            (false, true) => Self::ServerStream,
            (true, true) => Self::Bidi,
        }
    }

    /// The fixed word for this kind.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unary => "unary",
            Self::ClientStream => "client_stream",
            Self::ServerStream => "server_stream",
            Self::Bidi => "bidi",
        }
    }
}

impl Grpc {
    /// What `call` says; `None` where it is not gRPC.
    pub fn of(call: &Call) -> Option<Self> {
        if call.protocol != Protocol::Grpc {
            return None;
        }
        let head = RequestHead::parse(&call.request.head);
        let names = split_path(&head.path);
        let text = |head, name| find_field(head, name).map(|value| lossy(value).into_owned());
        Some(Self {
            service: names.map(|(service, _)| service.to_owned()),
            method: names.map(|(_, method)| method.to_owned()),
            status: status(call),
            message: ending_field(call, b"grpc-message").map(unescaped),
            deadline: find_field(&call.request.head, b"grpc-timeout").and_then(timeout),
            request_encoding: text(&call.request.head, b"grpc-encoding"),
            response_encoding: text(&call.response.head, b"grpc-encoding"),
            observed: call
                .stream
                .as_ref()
                .map(|stream| Kind::of(stream.client_messages > 1, stream.server_messages > 1)),
        })
    }
}

/// `grpc-status` of a gRPC call: of the trailers, else of a head that came without any (a
/// "Trailers-Only" response). `None` where the call is not gRPC, or says no number.
pub fn status(call: &Call) -> Option<u16> {
    if call.protocol != Protocol::Grpc {
        return None;
    }
    let digits = ending_field(call, b"grpc-status")?;
    let text = std::str::from_utf8(digits).ok()?;
    let status = text
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then_some(text)?
        .parse()
        .ok()?;
    // A column counts them from one.
    (status < u16::MAX).then_some(status)
}

/// Names of the statuses, by their number.
const STATUS_NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// Name of a status, such as `NOT_FOUND`; one that gRPC does not have is written `STATUS_42`.
pub fn status_name(status: u16) -> Cow<'static, str> {
    match STATUS_NAMES.get(usize::from(status)) {
        Some(name) => Cow::Borrowed(name),
        None => Cow::Owned(format!("STATUS_{status}")),
    }
}

/// The status with this name, in any case.
pub fn status_of_name(name: &str) -> Option<u16> {
    let mut names = (0..).zip(STATUS_NAMES);
    let found = names.find(|(_, known)| known.eq_ignore_ascii_case(name));
    found.map(|(status, _)| status)
}

/// Every name of a status.
pub fn status_names() -> impl Iterator<Item = &'static str> {
    STATUS_NAMES.into_iter()
}

/// Whether a status says that the server failed, as a 5xx does, and not that the request was wrong:
/// UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS, and whatever gRPC
/// does not know, which clients take for UNKNOWN.
///
/// Those that `google/rpc/code.proto` maps to 5xx, and OpenTelemetry to an error of the server.
pub const fn is_server_failure(status: u16) -> bool {
    matches!(status, 2 | 4 | 12..=15 | 17..)
}

/// Service and method of a path such as `/shop.v1.Orders/Get`.
pub fn split_path(path: &str) -> Option<(&str, &str)> {
    let (service, method) = path.strip_prefix('/')?.rsplit_once('/')?;
    (!service.is_empty() && !method.is_empty()).then_some((service, method))
}

fn ending_field<'a>(call: &'a Call, name: &[u8]) -> Option<&'a [u8]> {
    let response = &call.response;
    find_field(&response.trailers, name).or_else(|| find_field(&response.head, name))
}

fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// Undoes the percent-encoding of `grpc-message`; what is no escape stays as it is.
fn unescaped(value: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        let escaped = match (first, after) {
            (b'%', [high, low, tail @ ..]) => hex(*high).zip(hex(*low)).map(|pair| (pair, tail)),
            _ => None,
        };
        match escaped {
            Some(((high, low), tail)) => {
                bytes.push(high << 4 | low);
                rest = tail;
            }
            None => bytes.push(*first),
        }
    }
    lossy(&bytes).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

/// At most eight digits and a unit.
fn timeout(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    let plain = (1..=8).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    let count: u64 = std::str::from_utf8(digits)
        .ok()
        .filter(|_| plain)?
        .parse()
        .ok()?;
    Some(match unit {
        b'H' => Duration::from_secs(count * 3600),
        b'M' => Duration::from_secs(count * 60),
        b'S' => Duration::from_secs(count),
        b'm' => Duration::from_millis(count),
        b'u' => Duration::from_micros(count),
        b'n' => Duration::from_nanos(count),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;
    use crate::call::Stream;
    use crate::testing::grpc_call;

    #[test]
    fn a_call_says_what_its_heads_trailers_and_counts_say() {
        let mut call = grpc_call(5, "/shop.v1.Orders/Get", Some(5));
        call.response.trailers =
            "grpc-status: 5\r\ngrpc-message: no order%20%2717%27 caf%C3%A9 100%\r\n".into();
        let grpc = Grpc::of(&call).unwrap();
        let names = (grpc.service.as_deref(), grpc.method.as_deref());
        assert_eq!(names, (Some("shop.v1.Orders"), Some("Get")));
        assert_eq!(grpc.status, Some(5));
        assert_eq!(grpc.message.as_deref(), Some("no order '17' café 100%"));
        assert_eq!(grpc.deadline, Some(Duration::from_millis(250)));
        assert_eq!(grpc.observed, Some(Kind::Unary));
    }

    #[test]
    fn a_response_without_trailers_says_its_status_in_the_head() {
        let mut call = grpc_call(5, "/a.B/C", None);
        call.response.head = ":status: 200\r\ngrpc-status: 12\r\n".into();
        assert_eq!(status(&call), Some(12));
    }

    #[test_case("", None; "none")]
    #[test_case("grpc-status: \r\n", None; "empty")]
    #[test_case("grpc-status: -1\r\n", None; "negative")]
    #[test_case("grpc-status: +1\r\n", None; "with a sign")]
    #[test_case("grpc-status: 65535\r\n", None; "too large for a column")]
    #[test_case("Grpc-Status: 42\r\n", Some(42); "unknown, in any case")]
    fn the_status_of_trailers(trailers: &'static str, expected: Option<u16>) {
        let mut call = grpc_call(5, "/a.B/C", None);
        call.response.trailers = trailers.into();
        assert_eq!(status(&call), expected);
    }

    #[test]
    fn only_grpc_has_a_status_of_grpc() {
        let mut call = grpc_call(5, "/a.B/C", Some(0));
        call.protocol = Protocol::Http2;
        assert_eq!((status(&call), Grpc::of(&call)), (None, None));
    }

    #[test_case("/a.B/C", Some(("a.B", "C")))]
    #[test_case("/prefix/a.B/C", Some(("prefix/a.B", "C")))]
    #[test_case("/C", None)]
    #[test_case("//C", None)]
    #[test_case("/a/", None)]
    #[test_case("a/b", None)]
    fn a_path_names(path: &str, expected: Option<(&str, &str)>) {
        assert_eq!(split_path(path), expected);
    }

    #[test_case("1S", Some(1_000_000_000))]
    #[test_case("99999999H", Some(359_999_996_400_000_000_000))]
    #[test_case("250m", Some(250_000_000))]
    #[test_case("7u", Some(7_000))]
    #[test_case("100000000n", None; "nine digits")]
    #[test_case("5", None; "no unit")]
    #[test_case("S", None; "no digits")]
    #[test_case("-5S", None; "negative")]
    fn a_timeout_lasts(value: &str, expected: Option<u128>) {
        assert_eq!(
            timeout(value.as_bytes()).map(|lasts| lasts.as_nanos()),
            expected
        );
    }

    #[test_case(0, 0, Kind::Unary)]
    #[test_case(1, 1, Kind::Unary)]
    #[test_case(3, 1, Kind::ClientStream)]
    #[test_case(1, 2, Kind::ServerStream)]
    #[test_case(2, 2, Kind::Bidi)]
    fn counts_tell_the_kind(client: u64, server: u64, expected: Kind) {
        let mut call = grpc_call(5, "/a.B/C", Some(0));
        call.stream = Some(Box::new(Stream {
            client_messages: client,
            server_messages: server,
            ..Stream::default()
        }));
        assert_eq!(Grpc::of(&call).unwrap().observed, Some(expected));
    }

    #[test]
    fn names_lead_back_to_their_status() {
        for (status, name) in (0..).zip(status_names()) {
            assert_eq!(status_of_name(name), Some(status));
            assert_eq!(status_name(status), name);
        }
        assert_eq!(status_name(42), "STATUS_42");
        assert_eq!(status_of_name("STATUS_42"), None);
    }
}
