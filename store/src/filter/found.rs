//! The facts of one whole call.

use std::borrow::Cow;
use std::cell::OnceCell;

use super::content::Sent;
use super::eval::Facts;
use super::facts::{
    REVISION_LABEL, both, database_text, elapsed_micros, grpc_name, grpc_status, grpc_status_name,
    identified, latency_millis, origin_text, url,
};
use super::fields::{cookies, distinct_names, field_names, field_value, query_pairs};
use super::value::Value;
use super::vocabulary::{Field, Peer};
use crate::about::About;
use crate::call::{
    Call, Detail, Http2, Leg, Message, Omitted, Protocol, Side, Stream, TlsHandling,
};
use crate::grpc;
use crate::head::response_status;
use crate::outcome::{Ending, Outcome, refused};
use crate::query::FoundCall;
use crate::sql;

/// A whole call, with what was read from it so far.
pub(crate) struct WholeCall<'a> {
    found: &'a FoundCall,
    /// Whether the bodies of the call were read; without them questions about them stay open.
    bodies: bool,
    about: OnceCell<About<'a>>,
    sent: Sent<'a>,
    answered: Sent<'a>,
}

impl<'a> WholeCall<'a> {
    pub(crate) fn new(found: &'a FoundCall, bodies: bool) -> Self {
        Self {
            found,
            bodies,
            about: OnceCell::new(),
            sent: Sent::by(Side::Client, &found.call),
            answered: Sent::by(Side::Server, &found.call),
        }
    }

    fn call(&self) -> &'a Call {
        &self.found.call
    }

    fn about(&self) -> &About<'a> {
        self.about.get_or_init(|| About::of(&self.found.call))
    }

    fn http_version(&self) -> Value<'_> {
        match self.call().protocol {
            protocol if protocol.is_http2() => Value::text("HTTP/2"),
            // A WebSocket may have been opened by extended CONNECT (RFC 8441).
            Protocol::WebSocket if self.call().request.head.first() == Some(&b':') => {
                Value::text("HTTP/2")
            }
            Protocol::Http1 | Protocol::WebSocket => {
                Value::text(http1_version(&self.call().request.head))
            }
            _ => Value::text(""),
        }
    }

    fn body<'s>(&'s self, sent: &'s Sent<'a>) -> Value<'s> {
        match self.tells(sent) {
            true => sent.text(),
            false => Value::Unknown,
        }
    }

    fn json<'s>(&'s self, sent: &'s Sent<'a>) -> Value<'s> {
        match self.tells(sent) {
            true => sent.json(),
            false => Value::Unknown,
        }
    }

    /// Whether what was sent may be looked at. That nothing was sent is no secret.
    fn tells(&self, sent: &Sent<'_>) -> bool {
        self.bodies && !(self.found.withheld && sent.is_something())
    }

    fn messages(&self, count: fn(&Stream) -> u64) -> Value<'_> {
        let stream = self.call().stream.as_deref();
        stream.map_or(Value::Absent, |stream| Value::int(count(stream)))
    }

    /// What the kept messages of a WebSocket are: the first one, or all, each once.
    fn opcodes(&self, field: Field) -> Value<'_> {
        let call = self.call();
        if call.protocol != Protocol::WebSocket {
            return Value::Absent;
        }
        if !self.bodies {
            return Value::Unknown;
        }
        let mut words: Vec<&str> = Vec::new();
        for message in call.stream.iter().flat_map(|stream| &stream.messages) {
            let word = message.kind.as_str();
            if !words.contains(&word) {
                words.push(word);
            }
        }
        match field {
            Field::WsOpcode => words
                .first()
                .map_or(Value::Absent, |word| Value::text(word)),
            _ => Value::List(words.into_iter().map(Value::text).collect()),
        }
    }

    fn http2_reset(&self) -> Value<'_> {
        match &self.call().detail {
            Detail::Http2(Http2 {
                reset: Some(reset), ..
            }) => Value::Text(reset.name()),
            _ => Value::Absent,
        }
    }

    fn tls_sni(&self) -> Value<'_> {
        let sni = self
            .call()
            .tls_hello()
            .and_then(|hello| hello.sni.as_deref());
        sni.map_or(Value::Absent, Value::text)
    }

    /// What only a statement of SQL has.
    fn sql(&self, field: Field) -> Value<'_> {
        let call = self.call();
        let Detail::Sql(sql) = &call.detail else {
            return Value::Absent;
        };
        let named = |name: &'a Option<String>| name.as_deref().map_or(Value::Absent, Value::text);
        match field {
            Field::SqlQuery if !self.tells(&self.sent) => Value::Unknown,
            Field::SqlQuery => match sql::statement(call) {
                Some(statement) if statement.cut => Value::Cut(statement.text),
                Some(statement) => Value::Text(statement.text),
                None => Value::Unknown,
            },
            Field::SqlRows => sql.rows.map_or(Value::Absent, Value::int),
            Field::SqlDatabase => named(&sql.database),
            Field::SqlUser => named(&sql.user),
            Field::SqlSuccess => self.success(),
            _ => match sql::error_message(call) {
                None => Value::Absent,
                Some(_) if !self.tells(&self.answered) => Value::Unknown,
                Some(message) => message.map_or(Value::Unknown, Value::owned),
            },
        }
    }

    /// Whether a database answered, and no error; absent while nothing came.
    fn success(&self) -> Value<'_> {
        match Ending::of(self.call()).outcome() {
            Outcome::Nothing => Value::Absent,
            outcome => Value::Bool(outcome == Outcome::Answered),
        }
    }
}

impl Facts for WholeCall<'_> {
    fn value(&self, field: Field) -> Value<'_> {
        let call = self.call();
        let head_size = |message: &Message| Value::int(message.head.len() as u64);
        match field {
            Field::Http => Value::Bool(call.protocol.is_http()),
            Field::Http1 => Value::Bool(call.protocol == Protocol::Http1),
            Field::Http2 => Value::Bool(call.protocol.is_http2()),
            Field::Grpc => Value::Bool(call.protocol == Protocol::Grpc),
            Field::WebSocket => Value::Bool(call.protocol == Protocol::WebSocket),
            Field::Tls => Value::Bool(call.protocol == Protocol::Tls),
            Field::Https => Value::Bool(
                call.protocol == Protocol::Tls
                    || call.protocol.is_http() && call.tls_handling().0 == TlsHandling::Intercepted,
            ),
            Field::Opaque => Value::Bool(call.protocol == Protocol::Opaque),
            Field::Postgresql => Value::Bool(call.protocol == Protocol::Postgresql),
            Field::Redis => Value::Bool(call.protocol == Protocol::Redis),
            Field::SqlCommand | Field::RedisCommand => {
                database_text(field, call.protocol, &self.about().method)
            }
            Field::SqlFingerprint | Field::RedisKey => {
                database_text(field, call.protocol, &self.about().path)
            }
            Field::SqlErrorCode | Field::RedisErrorCode => {
                let code = refused(call).map_or_else(String::new, |code| code.to_string());
                database_text(field, call.protocol, &code).into_owned()
            }
            Field::SqlQuery
            | Field::SqlRows
            | Field::SqlDatabase
            | Field::SqlUser
            | Field::SqlSuccess
            | Field::SqlErrorMessage => self.sql(field),
            Field::RedisSuccess if call.protocol != Protocol::Redis => Value::Absent,
            Field::RedisSuccess => self.success(),
            Field::Method => Value::text(&self.about().method),
            Field::Host => Value::text(&self.about().host),
            Field::Path => Value::text(&self.about().path),
            Field::Query => Value::text(&self.about().query),
            Field::Url => url(&self.about().path, &self.about().query),
            Field::Route => Value::Text(self.about().route()),
            Field::Status => Value::Int(
                response_status(&call.response.head)
                    .unwrap_or_default()
                    .into(),
            ),
            Field::HttpVersion => self.http_version(),
            Field::RequestHeadSize => head_size(&call.request),
            Field::ResponseHeadSize => head_size(&call.response),
            Field::RequestSize => Value::int(call.request.body_size),
            Field::ResponseSize => Value::int(call.response.body_size),
            Field::RequestBody => self.body(&self.sent),
            Field::ResponseBody => self.body(&self.answered),
            Field::RequestJson => self.json(&self.sent),
            Field::ResponseJson => self.json(&self.answered),
            Field::WsRequestPayload if call.protocol != Protocol::WebSocket => Value::Absent,
            Field::WsRequestPayload => self.body(&self.sent),
            Field::WsOpcode | Field::WsOpcodes => self.opcodes(field),
            Field::RequestMessages => self.messages(|stream| stream.client_messages),
            Field::ResponseMessages => self.messages(|stream| stream.server_messages),
            Field::Http2Reset => self.http2_reset(),
            Field::Failed => Value::Bool(Ending::of(call).failed()),
            Field::GrpcService | Field::GrpcMethod => {
                grpc_name(field, call.protocol, &self.about().path)
            }
            Field::GrpcStatus => grpc_status(grpc::status(call)),
            Field::GrpcStatusName => grpc_status_name(grpc::status(call)),
            Field::Error => Value::text(call.error.map_or("", |error| error.as_str())),
            Field::State => Value::text(call.state.as_str()),
            Field::Probe => Value::Bool(call.probe),
            Field::Leg => Value::text(call.leg.as_str()),
            Field::Engine => Value::text(call.engine.as_str()),
            Field::Protocol => Value::text(call.protocol.as_str()),
            Field::Timestamp => Value::Time(call.time_ns),
            Field::ElapsedMicros => elapsed_micros(call.phases.latency_ns()),
            Field::LatencyMillis => latency_millis(call.phases.latency_ns()),
            Field::Id => Value::owned(self.found.id.to_string()),
            Field::Connection => Value::int(call.connection.id),
            Field::Ordinal => Value::Int(call.connection.ordinal.into()),
            Field::TlsSni => self.tls_sni(),
            Field::Fault => Value::text(call.fault.as_ref().map_or("", |fault| &fault.id)),
            Field::TlsHandling => Value::text(call.tls_handling().0.as_str()),
            Field::TlsReason => Value::text(call.tls_handling().1.as_str()),
            Field::Workload | Field::Namespace | Field::Pod | Field::Revision => {
                origin_text(&self.found.origin, field)
            }
            Field::Namespaces | Field::Pods | Field::Services => {
                both(field, &self.found.src, &self.found.dst)
            }
            Field::End(Peer::Src, identity) => identified(&self.found.src, identity),
            Field::End(Peer::Dst, identity) => identified(&self.found.dst, identity),
            Field::NoText => Value::text(""),
            Field::NoNumber => Value::Int(0),
            Field::Unrecorded => Value::Absent,
            Field::QueryString
            | Field::RequestHeaders
            | Field::ResponseHeaders
            | Field::ResponseTrailers
            | Field::RequestCookies
            | Field::ResponseCookies
            | Field::LocalLabels
            | Field::RemoteLabels
            | Field::NoMap => Value::Map(field),
        }
    }

    fn entry(&self, field: Field, key: &str) -> Value<'_> {
        let call = self.call();
        let found = match field {
            Field::RequestHeaders => field_value(&call.request.head, key),
            Field::ResponseHeaders => field_value(&call.response.head, key),
            Field::ResponseTrailers => field_value(&call.response.trailers, key),
            Field::RequestCookies | Field::ResponseCookies | Field::QueryString => self
                .pairs(field)
                .into_iter()
                .find(|(name, _)| name == key)
                .map(|(_, value)| value),
            Field::LocalLabels | Field::RemoteLabels => self.label(field, key).map(Cow::Borrowed),
            _ => None,
        };
        match found {
            Some(text) => Value::Text(text),
            None if self.is_cut(field) => Value::Unknown,
            None => Value::Absent,
        }
    }

    fn keys(&self, field: Field) -> Option<Vec<String>> {
        if self.is_cut(field) {
            return None;
        }
        let call = self.call();
        Some(match field {
            Field::RequestHeaders => field_names(&call.request.head),
            Field::ResponseHeaders => field_names(&call.response.head),
            Field::ResponseTrailers => field_names(&call.response.trailers),
            Field::LocalLabels | Field::RemoteLabels => self
                .label(field, REVISION_LABEL)
                .map(|_| REVISION_LABEL.to_owned())
                .into_iter()
                .collect(),
            _ => distinct_names(self.pairs(field)),
        })
    }
}

impl<'a> WholeCall<'a> {
    fn pairs(&self, field: Field) -> Vec<(Cow<'_, str>, Cow<'_, str>)> {
        match field {
            Field::QueryString => query_pairs(&self.about().query),
            Field::RequestCookies => cookies(&self.call().request.head, "cookie"),
            Field::ResponseCookies => cookies(&self.call().response.head, "set-cookie"),
            _ => Vec::new(),
        }
    }

    /// Whether a map is of a head that was cut, and may have more entries.
    fn is_cut(&self, field: Field) -> bool {
        let message = match field {
            Field::RequestHeaders | Field::RequestCookies => &self.call().request,
            Field::ResponseHeaders | Field::ResponseCookies | Field::ResponseTrailers => {
                &self.call().response
            }
            _ => return false,
        };
        message.omitted == Some(Omitted::Head)
    }

    fn label(&self, field: Field, key: &str) -> Option<&'a str> {
        let remote = match self.call().leg {
            Leg::Inbound => &self.found.src,
            Leg::Outbound => &self.found.dst,
        };
        let revision = match field {
            Field::LocalLabels => &self.found.origin.revision,
            _ => &remote.revision,
        };
        (key == REVISION_LABEL && !revision.is_empty()).then_some(revision)
    }
}

/// `HTTP/1.1` and the like, from a request's first line.
fn http1_version(head: &[u8]) -> &str {
    let line = head
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default()
        .trim_ascii_end();
    line.rsplit(|byte| *byte == b' ')
        .next()
        .and_then(|last| std::str::from_utf8(last).ok())
        .filter(|last| last.starts_with("HTTP/"))
        .unwrap_or("")
}
