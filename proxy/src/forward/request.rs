//! The head of a request as the proxy gets it, and as the origin does. Pure.
//!
//! What is for the proxy is taken out, the target becomes what an origin expects, and Host what the target
//! says (RFC 9112 section 3.2.2). Everything else stays: order, case, spacing, and the fields about the
//! connection, since there is one to the origin for each of the client's.

use super::refusal::Refusal;
use super::target::{Origin, absolute_form, authority_form};
use crate::observe::body::Body;
use crate::observe::head::{Facts, Method, Start};
use crate::persistence::persists;

/// A request that was understood.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) origin: Origin,
    /// The head as the origin sees it; of CONNECT, as it is recorded if it fails.
    pub(super) head: Vec<u8>,
    pub(super) kind: Kind,
}

/// What is asked of the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A tunnel.
    Tunnel,
    /// To pass a request on, whose body is framed so.
    Pass { method: Method, body: Body },
}

impl Request {
    /// Whether it asks for a head alone.
    pub(super) fn is_head(&self) -> bool {
        matches!(
            self.kind,
            Kind::Pass {
                method: Method::Head,
                ..
            }
        )
    }
}

/// Reads a whole head, of which `facts` say what framing needs.
pub(super) fn read(head: &[u8], facts: &Facts) -> Result<Request, Refusal> {
    let Start::Request(method) = facts.start else {
        return Err(Refusal::bad_request("that is no request"));
    };
    let (line, fields) = head.split_at(line_length(head));
    let (word, target, version) = parts(line);
    if method == Method::Connect {
        return Ok(Request {
            origin: authority_form(target)?,
            head: [line, &for_origin(fields, None)?].concat(),
            kind: Kind::Tunnel,
        });
    }
    let absolute = absolute_form(word, target)?;
    let body = Body::of_request(facts).ok_or_else(|| {
        Refusal::bad_request(
            "Content-Length and Transfer-Encoding do not say where the request ends",
        )
    })?;
    let line = [word, b" ", &absolute.path, b" ", version].concat();
    let fields = for_origin(fields, Some(absolute.authority))?;
    Ok(Request {
        origin: absolute.origin,
        head: [line, fields].concat(),
        kind: Kind::Pass { method, body },
    })
}

/// Whether a message says that it is the last one on its connection.
pub(super) fn is_last(head: &[u8]) -> bool {
    let (line, fields) = head.split_at(line_length(head));
    let is_old = memchr::memmem::find(line, b"HTTP/1.0").is_some();
    !persists(
        !is_old,
        lines(fields).filter_map(|line| value_of(line, b"connection")),
    )
}

/// Method, target, and the version with the line end. The target may hold spaces, as some servers allow.
fn parts(line: &[u8]) -> (&[u8], &[u8], &[u8]) {
    let first = memchr::memchr(b' ', line).unwrap_or(line.len());
    let last = memchr::memrchr(b' ', line).unwrap_or(line.len());
    let between = |from: usize, to: usize| line.get(from..to).unwrap_or_default();
    (
        between(0, first),
        between(first + 1, last),
        between(last + 1, line.len()),
    )
}

/// The field lines without those that are for the proxy; with `authority` as the host.
fn for_origin(fields: &[u8], authority: Option<&str>) -> Result<Vec<u8>, Refusal> {
    let mut kept = Vec::with_capacity(fields.len());
    let mut has_host = false;
    // Whether the field that a folded line continues was left out.
    let mut is_left_out = false;
    for line in lines(fields) {
        if !matches!(line, [b' ' | b'\t', ..]) {
            is_left_out = is_for_proxy(line);
            if let (Some(host), Some(authority)) = (value_of(line, b"host"), authority) {
                if has_host {
                    return Err(Refusal::bad_request("there are two Host fields"));
                }
                has_host = true;
                if !host.eq_ignore_ascii_case(authority.as_bytes()) {
                    kept.extend(host_line(authority));
                    is_left_out = true;
                }
            }
        }
        if !is_left_out {
            kept.extend_from_slice(line);
        }
    }
    if let Some(authority) = authority.filter(|_| !has_host) {
        kept.splice(0..0, host_line(authority));
    }
    Ok(kept)
}

fn host_line(authority: &str) -> Vec<u8> {
    format!("Host: {authority}\r\n").into_bytes()
}

fn is_for_proxy(line: &[u8]) -> bool {
    value_of(line, b"proxy-connection").is_some()
        || value_of(line, b"proxy-authorization").is_some()
}

/// The value of a field line, if it is of that name.
fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (found, value) = line.split_at(memchr::memchr(b':', line)?);
    found
        .trim_ascii_end()
        .eq_ignore_ascii_case(name)
        .then(|| value.get(1..).unwrap_or_default().trim_ascii())
}

/// The lines of a head, each with its end.
fn lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    head.split_inclusive(|byte| *byte == b'\n')
}

fn line_length(head: &[u8]) -> usize {
    memchr::memchr(b'\n', head).map_or(head.len(), |end| end + 1)
}

#[cfg(test)]
mod tests;
