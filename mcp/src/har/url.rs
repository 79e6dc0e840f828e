//! The URL of a request, written as a browser writes it.

use std::fmt::Write as _;

use remora_store::call::{Call, Protocol};
use remora_store::head::{RequestHead, find_field};

/// Bytes that browsers escape in a path and a query (<https://url.spec.whatwg.org/>), beside those
/// that are not printable.
const ESCAPED: &[u8] = b"\"#<>`{}";

/// An absolute URL, whatever the target was. Escapes that were sent stay as they are.
pub(super) fn of(call: &Call, facts: &RequestHead<'_>) -> String {
    let is_websocket = call.protocol == Protocol::WebSocket;
    let scheme = match (find_field(&call.request.head, b":scheme"), is_websocket) {
        (Some(b"https"), true) => "wss",
        (Some(b"https"), false) => "https",
        (_, true) => "ws",
        (_, false) => "http",
    };
    let host = match is_authority(&facts.host) {
        true => facts.host.to_string(),
        false => call.dst.to_string(),
    };
    let mut url = format!("{scheme}://{host}");
    if facts.path.starts_with('/') {
        escape(&facts.path, &mut url);
    } else {
        url.push('/');
        // The asterisk stands for the server itself, which has no path of its own.
        if facts.path != "*" {
            escape(&facts.path, &mut url);
        }
    }
    if !facts.query.is_empty() {
        url.push('?');
        escape(&facts.query, &mut url);
    }
    url
}

fn is_authority(host: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:[]%".contains(&byte);
    !host.is_empty() && host.bytes().all(plain)
}

fn escape(text: &str, url: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && !ESCAPED.contains(&byte) {
            url.push(char::from(byte));
        } else {
            // A `String` takes everything that is written to it.
            let _ = write!(url, "%{byte:02X}");
        }
    }
}
