//! A call as an entry of a HAR archive, version 1.2: what a browser's network panel opens.
//!
//! <http://www.softwareishard.com/blog/har-12-spec/>. What the format has no place for is in the
//! custom field `_remora`. Calls that are no HTTP have no entry.

mod body;
mod url;
mod websocket;

use remora_store::call::{Phases, Protocol};
use remora_store::head::{RequestHead, http_version, reason, response_status, shown};
use remora_store::query::FoundCall;
use serde::Serialize;

use crate::call_json::{FaultMarkJson, MessageCountsJson, PartyJson, PhasesJson};
use crate::clock::rfc3339;
use body::{Content, PostData};
use websocket::WebSocketMessage;

/// Version of the format.
pub const VERSION: &str = "1.2";

/// One request with its response.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    started_date_time: String,
    time: f64,
    request: Request,
    response: Response,
    cache: Cache,
    timings: Timings,
    #[serde(rename = "serverIPAddress")]
    server_ip_address: String,
    connection: String,
    /// How browsers tell a WebSocket from what they load.
    #[serde(rename = "_resourceType", skip_serializing_if = "Option::is_none")]
    resource_type: Option<&'static str>,
    #[serde(rename = "_webSocketMessages", skip_serializing_if = "Option::is_none")]
    web_socket_messages: Option<Vec<WebSocketMessage>>,
    #[serde(rename = "_remora")]
    remora: Remora,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    method: String,
    url: String,
    http_version: String,
    cookies: Vec<Cookie>,
    headers: Vec<Pair>,
    query_string: Vec<Pair>,
    #[serde(skip_serializing_if = "Option::is_none")]
    post_data: Option<PostData>,
    headers_size: i64,
    body_size: i64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    /// 0 where there was none, as browsers write it.
    status: u16,
    status_text: String,
    http_version: String,
    cookies: Vec<Cookie>,
    headers: Vec<Pair>,
    content: Content,
    #[serde(rename = "redirectURL")]
    redirect_url: String,
    headers_size: i64,
    body_size: i64,
    /// Where browsers write why there was no response.
    #[serde(rename = "_error", skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
}

/// Nothing is known of the caller's cache, which the format writes as an empty object.
#[derive(Debug, Serialize)]
struct Cache {}

#[derive(Debug, Serialize)]
struct Pair {
    name: String,
    value: String,
}

#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Cookie {
    name: String,
    value: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http_only: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secure: Option<bool>,
}

/// Milliseconds; -1 for what is not known, or was not part of the call.
#[derive(Debug, PartialEq, Serialize)]
struct Timings {
    blocked: f64,
    dns: f64,
    connect: f64,
    send: f64,
    wait: f64,
    receive: f64,
    ssl: f64,
}

/// What the format has no place for.
#[derive(Debug, Serialize)]
struct Remora {
    id: String,
    leg: &'static str,
    state: &'static str,
    protocol: &'static str,
    src: PartyJson,
    dst: PartyJson,
    phases_ns: PhasesJson,
    /// The injected fault that met the call: what it explains says nothing of the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<FaultMarkJson>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    trailers: Vec<(String, String)>,
    /// How many messages there were, whether or not they were kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    message_counts: Option<MessageCountsJson>,
}

impl Entry {
    /// A call as an entry; `None` if it is no HTTP call.
    pub fn new(found: &FoundCall) -> Option<Self> {
        let call = &found.call;
        if !call.protocol.is_http() {
            return None;
        }
        let timings = Timings::of(&call.phases);
        let is_websocket = call.protocol == Protocol::WebSocket;
        Some(Self {
            started_date_time: rfc3339(call.time_ns),
            time: timings.total(),
            request: Request::of(found),
            response: Response::of(found),
            cache: Cache {},
            timings,
            server_ip_address: call.dst.ip().to_canonical().to_string(),
            // Connections are numbered within one run of one sidecar.
            connection: format!(
                "{:08x}-{}",
                found.origin.incarnation >> 96,
                call.connection.id
            ),
            resource_type: is_websocket.then_some("websocket"),
            web_socket_messages: is_websocket.then(|| websocket::messages(found)),
            remora: Remora {
                id: found.id.to_string(),
                leg: call.leg.as_str(),
                state: call.state.as_str(),
                protocol: call.protocol.as_str(),
                src: PartyJson::new(&found.src),
                dst: PartyJson::new(&found.dst),
                phases_ns: PhasesJson::new(&call.phases),
                fault: call.fault.as_ref().map(FaultMarkJson::new),
                trailers: shown::trailers(&call.response.trailers),
                message_counts: call.stream.as_deref().map(MessageCountsJson::of),
            },
        })
    }
}

impl Request {
    fn of(found: &FoundCall) -> Self {
        let call = &found.call;
        let message = &call.request;
        let facts = RequestHead::parse(&message.head);
        let fields = shown::fields(&message.head);
        let cookies = values(&fields, "cookie")
            .flat_map(|line| line.split(';'))
            .filter_map(name_and_value);
        let pairs = form_urlencoded::parse(facts.query.as_bytes());
        Self {
            method: facts.method.to_string(),
            url: url::of(call, &facts),
            http_version: http_version(&message.head).to_owned(),
            cookies: cookies.collect(),
            query_string: pairs
                .map(|(name, value)| Pair {
                    name: name.into_owned(),
                    value: value.into_owned(),
                })
                .collect(),
            post_data: PostData::of(message, found.withheld, value(&fields, "content-type")),
            headers_size: size(message.head.len() as u64),
            body_size: size(message.body_size),
            headers: headers(fields),
        }
    }
}

impl Response {
    fn of(found: &FoundCall) -> Self {
        let call = &found.call;
        let message = &call.response;
        let fields = shown::fields(&message.head);
        let headers_size = match message.head.as_ref() {
            [] => -1,
            head => size(head.len() as u64),
        };
        Self {
            status: response_status(&message.head).unwrap_or_default(),
            status_text: reason(&message.head).into_owned(),
            http_version: http_version(&message.head).to_owned(),
            cookies: values(&fields, "set-cookie")
                .filter_map(set_cookie)
                .collect(),
            content: Content::of(message, found.withheld, value(&fields, "content-type")),
            redirect_url: value(&fields, "location").unwrap_or_default().to_owned(),
            headers_size,
            body_size: size(message.body_size),
            error: call.error.map(|error| error.as_str()),
            headers: headers(fields),
        }
    }
}

impl Timings {
    /// From the first byte of the request on. When the connection was made is no part of that: it is
    /// in `_remora`.
    fn of(phases: &Phases) -> Self {
        let between = |from: Option<u64>, to: Option<u64>| {
            from.zip(to)
                .and_then(|(from, to)| to.checked_sub(from))
                .map_or(-1.0, |ns| ns as f64 / 1e6)
        };
        // A response may begin before its request has ended; sending is over then.
        let sent = match (phases.request_last, phases.response_first) {
            (Some(last), Some(first)) => Some(last.min(first)),
            (last, _) => last,
        };
        Self {
            blocked: -1.0,
            dns: -1.0,
            connect: -1.0,
            send: between(phases.request_first, sent),
            wait: between(sent, phases.response_first),
            receive: between(phases.response_first, phases.response_last),
            ssl: -1.0,
        }
    }

    /// All that is known, added up: what the format wants as the time of the whole.
    fn total(&self) -> f64 {
        let parts = [self.send, self.wait, self.receive];
        parts.into_iter().filter(|ms| *ms >= 0.0).sum()
    }
}

/// The headers without the pseudo fields of HTTP/2, which the format writes elsewhere.
fn headers(fields: Vec<(String, String)>) -> Vec<Pair> {
    let fields = fields.into_iter();
    let fields = fields.filter(|(name, _)| !name.starts_with(':'));
    fields.map(|(name, value)| Pair { name, value }).collect()
}

fn values<'a>(fields: &'a [(String, String)], wanted: &str) -> impl Iterator<Item = &'a str> {
    let of_name = move |(name, _): &&(String, String)| name.eq_ignore_ascii_case(wanted);
    fields
        .iter()
        .filter(of_name)
        .map(|(_, value)| value.as_str())
}

fn value<'a>(fields: &'a [(String, String)], wanted: &str) -> Option<&'a str> {
    values(fields, wanted).next()
}

fn name_and_value(pair: &str) -> Option<Cookie> {
    let (name, value) = pair.trim().split_once('=')?;
    Some(Cookie {
        name: name.trim().to_owned(),
        value: value.trim().to_owned(),
        ..Cookie::default()
    })
}

/// A cookie as a `Set-Cookie` field says it (RFC 6265 section 5.2), but for its end.
fn set_cookie(line: &str) -> Option<Cookie> {
    let mut parts = line.split(';');
    let mut cookie = name_and_value(parts.next()?)?;
    for part in parts {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let value = value.trim().to_owned();
        match name.trim().to_ascii_lowercase().as_str() {
            "path" => cookie.path = Some(value),
            "domain" => cookie.domain = Some(value),
            "httponly" => cookie.http_only = Some(true),
            "secure" => cookie.secure = Some(true),
            _ => {}
        }
    }
    Some(cookie)
}

fn size(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
