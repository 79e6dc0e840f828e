//! What the forward proxy answers itself, where it cannot pass a request on. Pure.

use remora_store::call::CallError;

use super::target::Origin;

/// An answer of the proxy's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// Status code and reason phrase.
    status: &'static str,
    /// The kind of failure, as RFC 9209 section 2.3 names it.
    kind: &'static str,
    text: String,
}

/// Why no connection to an origin was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unreached {
    /// The name has no address, or nobody could be asked.
    NoName,
    /// It is this proxy.
    Loop,
    /// Connecting failed.
    Connect(CallError),
}

/// Why what an origin answered is not passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// It does not begin like a response of HTTP/1.
    NoResponse,
    /// Its head is longer than what is read.
    TooLong,
}

impl Refusal {
    /// The request makes no sense to a proxy.
    pub(super) fn bad_request(text: impl Into<String>) -> Self {
        Self {
            status: "400 Bad Request",
            kind: "http_request_error",
            text: text.into(),
        }
    }

    /// The head is longer than what is read.
    pub(super) fn too_long(limit_bytes: usize) -> Self {
        Self {
            status: "431 Request Header Fields Too Large",
            kind: "http_request_error",
            text: format!("the head is longer than {} KiB", limit_bytes / 1024),
        }
    }

    /// The proxy itself lacks something.
    pub(super) fn own_failure(err: &std::io::Error) -> Self {
        Self {
            status: "500 Internal Server Error",
            kind: "proxy_internal_error",
            text: format!("the proxy itself failed: {err}"),
        }
    }

    /// The origin was not reached.
    pub(super) fn unreached(origin: &Origin, why: Unreached) -> Self {
        let (status, kind, what) = match why {
            Unreached::NoName => ("502 Bad Gateway", "dns_error", "the name has no address"),
            Unreached::Loop => (
                "502 Bad Gateway",
                "proxy_loop_detected",
                "that is this proxy itself, and it would ask itself for ever",
            ),
            Unreached::Connect(error) => match error {
                CallError::ConnectRefused => (
                    "502 Bad Gateway",
                    "connection_refused",
                    "connection refused, nothing listens there",
                ),
                CallError::ConnectTimeout => (
                    "504 Gateway Timeout",
                    "connection_timeout",
                    "no answer to the connection attempt",
                ),
                CallError::ConnectUnreachable => (
                    "502 Bad Gateway",
                    "destination_ip_unroutable",
                    "there is no way to it",
                ),
                _ => (
                    "502 Bad Gateway",
                    "connection_terminated",
                    "the connection failed",
                ),
            },
        };
        Self {
            status,
            kind,
            text: format!("cannot connect to {origin}: {what}"),
        }
    }

    /// The origin answered with something else than a response.
    pub(super) fn unreadable(origin: &Origin, why: Unreadable, limit_bytes: usize) -> Self {
        let (kind, what) = match why {
            Unreadable::NoResponse => (
                "http_protocol_error",
                "what it answered is no response of HTTP/1".to_owned(),
            ),
            Unreadable::TooLong => (
                "http_response_header_section_size",
                format!(
                    "the head of its response is longer than {} KiB",
                    limit_bytes / 1024
                ),
            ),
        };
        Self {
            status: "502 Bad Gateway",
            kind,
            text: format!("{origin} was reached, but {what}"),
        }
    }

    /// The kind of failure, for counting.
    pub(super) fn kind(&self) -> &'static str {
        self.kind
    }

    /// What is wrong.
    #[cfg(test)]
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The whole response; the connection ends with it. To HEAD it has no body, whatever its head says.
    pub(super) fn response(&self, is_head: bool) -> Vec<u8> {
        let body = format!("remora: {}\n", self.text);
        let shown = if is_head { "" } else { &body };
        format!(
            "HTTP/1.1 {}\r\nProxy-Status: remora; error={}\r\nContent-Type: text/plain; charset=utf-8\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{shown}",
            self.status,
            self.kind,
            body.len()
        )
        .into_bytes()
    }
}
