//! What a fault has the sidecar say in place of the server.

use bytes::Bytes;
use h2::SendStream;
use h2::server::SendResponse;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::http::{request, response};
use hyper::{Method, Response, StatusCode, Version};
use remora_store::fault::Answer;

use crate::persistence::persists;

/// A head of HTTP/1; `is_last` says that the connection ends behind the message.
pub(super) fn head_of_http1(answer: &Answer, method: &Method, is_last: bool) -> Vec<u8> {
    let status = status(answer);
    let reason = status.canonical_reason().unwrap_or_default();
    let mut head = format!("HTTP/1.1 {} {reason}\r\n", status.as_u16());
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if has_length(answer, method) {
        head.push_str(&format!("content-length: {}\r\n", answer.body.len()));
    }
    if is_last {
        head.push_str("connection: close\r\n");
    }
    head.push_str("\r\n");
    head.into_bytes()
}

/// What hyper has to know of it: only what frames the body and ends the connection.
pub(super) fn framing_of_http1(
    answer: &Answer,
    method: &Method,
    is_last: bool,
) -> response::Builder {
    let mut response = Response::builder().status(status(answer));
    if has_length(answer, method) {
        response = response.header(header::CONTENT_LENGTH, answer.body.len());
    }
    match is_last {
        true => response.header(header::CONNECTION, HeaderValue::from_static("close")),
        false => response,
    }
}

/// Sends it on a stream of HTTP/2.
pub(super) fn send_on_http2(
    answer: &Answer,
    method: &Method,
    respond: &mut SendResponse<Bytes>,
) -> Result<(), h2::Error> {
    let mut response = Response::new(());
    *response.status_mut() = status(answer);
    for (name, value) in &answer.headers {
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
            response.headers_mut().append(name, value);
        }
    }
    if has_length(answer, method) && !answer.body.is_empty() {
        let length = HeaderValue::from(answer.body.len());
        response
            .headers_mut()
            .insert(header::CONTENT_LENGTH, length);
    }
    let is_whole =
        answer.body.is_empty() || *method == Method::HEAD || opens_tunnel(answer, method);
    let mut stream: SendStream<Bytes> = respond.send_response(response, is_whole)?;
    match is_whole {
        true => Ok(()),
        // It is small: what the window has no room for yet waits with h2.
        false => stream.send_data(answer.body.clone(), true),
    }
}

/// The head of a request of HTTP/2 in the lines that records have.
pub(super) fn lines_of_http2(head: &request::Parts) -> Vec<u8> {
    let mut lines = Vec::new();
    let mut add = |name: &[u8], value: &[u8]| {
        lines.extend_from_slice(name);
        lines.extend_from_slice(b": ");
        lines.extend_from_slice(value);
        lines.extend_from_slice(b"\r\n");
    };
    add(b":method", head.method.as_str().as_bytes());
    if let Some(authority) = head.uri.authority() {
        add(b":authority", authority.as_str().as_bytes());
    }
    let path = head.uri.path_and_query();
    add(b":path", path.map_or("", |path| path.as_str()).as_bytes());
    for (name, value) in &head.headers {
        add(name.as_str().as_bytes(), value.as_bytes());
    }
    lines
}

/// Whether a client leaves its connection open behind an answer, which does not promise to keep it alive as a client of
/// HTTP/1.0 would have to be told.
pub(super) fn keeps_open(head: &request::Parts) -> bool {
    let connection = head.headers.get_all(header::CONNECTION).iter();
    head.version == Version::HTTP_11 && persists(true, connection.map(HeaderValue::as_bytes))
}

fn status(answer: &Answer) -> StatusCode {
    StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Whether a tunnel begins behind it, so that it has no body (RFC 9110 section 9.3.6).
pub(super) fn opens_tunnel(answer: &Answer, method: &Method) -> bool {
    *method == Method::CONNECT && status(answer).is_success()
}

/// RFC 9110 section 8.6.
fn has_length(answer: &Answer, method: &Method) -> bool {
    let has_none = [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&status(answer));
    !has_none && !opens_tunnel(answer, method)
}
