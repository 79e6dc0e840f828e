//! A filter over a request whose response is still to come: what decides over a fault.
//!
//! Only what the request's head and its destination say can be asked. The rest is an error when the
//! filter is read, and not a fault that never strikes. Health checks of a kubelet pass only where the filter asks for
//! `probe`: a fault is meant for callers, and a pod that fails its probes is one that they do not reach.

use std::net::{IpAddr, SocketAddr};

use super::eval::{Facts, Truth, truth};
use super::expr::Expr;
use super::facts::{grpc_name, url};
use super::fields::{cookies, distinct_names, field_names, field_value, query_pairs};
use super::value::Value;
use super::vocabulary::{Field, NAMES};
use super::{Filter, FilterError, FlatFilter};
use crate::call::{Leg, Protocol};
use crate::head::{RequestHead, find_field, http_version};
use crate::route::route;

/// A filter over requests.
#[derive(Debug, Clone)]
pub struct RequestFilter {
    filter: Filter,
    destination: Option<Destination>,
    asks_for_probes: bool,
}

/// Where requests have to go.
#[derive(Debug, Clone)]
enum Destination {
    Place(SocketAddr),
    Ip(IpAddr),
    /// A name by which the client calls it, in lower case.
    Name(String),
}

impl RequestFilter {
    /// Reads a filter for the requests of this leg.
    ///
    /// # Errors
    ///
    /// A field has no value that a request could have, or asks what its head does not tell; the error
    /// names the field.
    pub fn read(flat: &FlatFilter, leg: Leg) -> Result<Self, FilterError> {
        refuse_undecidable(flat, leg)?;
        let destination = flat.dst.as_deref().map(Destination::read);
        let rest = FlatFilter {
            dst: None,
            ..flat.clone()
        };
        let filter = Filter::from_flat(&rest)?;
        let fields = match &flat.r#where {
            Some(cel) => fields_of(&Filter::parse(cel)?),
            None => Vec::new(),
        };
        check_fields(&fields)?;
        Ok(Self {
            filter,
            destination,
            asks_for_probes: fields.contains(&Field::Probe),
        })
    }

    /// Whether a connection to `address` may carry a request that passes; `called` is the name that it
    /// was looked up by, where that is known.
    pub fn may_meet(&self, address: SocketAddr, called: Option<&str>) -> bool {
        match &self.destination {
            None => true,
            Some(Destination::Name(_)) => true,
            Some(destination) => destination.is(address, called, ""),
        }
    }

    /// Whether a request passes: its head as sent, or in the lines of HTTP/2 that records have.
    ///
    /// One that would take more work than is allowed does not.
    pub fn matches(&self, head: &[u8], address: SocketAddr, called: Option<&str>) -> bool {
        let request = Request {
            head,
            facts: RequestHead::parse(head),
        };
        let destination = self.destination.as_ref();
        (self.asks_for_probes || !request.is_probe())
            && destination.is_none_or(|it| it.is(address, called, &request.facts.host))
            && self
                .filter
                .expr()
                .is_none_or(|expr| truth(expr, &request) == Ok(Truth::Yes))
    }
}

impl Destination {
    fn read(text: &str) -> Self {
        if let Ok(place) = text.parse() {
            return Self::Place(place);
        }
        match text.parse() {
            Ok(ip) => Self::Ip(ip),
            Err(_) => Self::Name(text.to_ascii_lowercase()),
        }
    }

    fn is(&self, address: SocketAddr, called: Option<&str>, host: &str) -> bool {
        let ip = address.ip().to_canonical();
        match self {
            Self::Place(place) => place.port() == address.port() && place.ip().to_canonical() == ip,
            Self::Ip(wanted) => wanted.to_canonical() == ip,
            Self::Name(name) => [host, called.unwrap_or_default()]
                .iter()
                .any(|host| is_called(name, host)),
        }
    }
}

/// Whether a `host[:port]` is the name, or the name within a domain: `payment` is called as
/// `payment.shop.svc.cluster.local:8080` as well.
fn is_called(name: &str, host: &str) -> bool {
    let bare = match host.rsplit_once(':') {
        Some((bare, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => bare,
        _ => host,
    };
    let start = bare.get(..name.len());
    let rest = bare.get(name.len()..).unwrap_or_default();
    start.is_some_and(|start| start.eq_ignore_ascii_case(name))
        && (rest.is_empty() || rest.starts_with('.'))
}

/// Fields of the flat filter that a request does not decide, each with what would be right.
fn refuse_undecidable(flat: &FlatFilter, leg: Leg) -> Result<(), FilterError> {
    let head = "a fault is decided by the head of the request: method, route, path_prefix, header, dst or where";
    let refused = [
        (
            "src",
            flat.src.is_some(),
            match leg {
                Leg::Outbound => "leave it out: the caller is the `workload` of the fault",
                Leg::Inbound => "leave it out; a `header` can tell callers apart",
            },
        ),
        (
            "dst",
            flat.dst.is_some() && leg == Leg::Inbound,
            "leave it out: the callee is the `workload` of the fault",
        ),
        ("status", flat.status.is_some(), head),
        ("min_ms", flat.min_ms.is_some(), head),
        (
            "revision",
            flat.revision.is_some(),
            "leave it out: a fault acts in every pod of its `workload`",
        ),
        (
            "namespace",
            flat.namespace.is_some(),
            "leave it out, and give the `namespace` of the fault's workload",
        ),
    ];
    for (name, is_given, hint) in refused {
        if is_given {
            let message =
                format!("filter.{name} is not known when a request has to be decided about");
            return Err(FilterError::new(message).hint(hint));
        }
    }
    match flat.dst.as_deref() {
        Some(dst) if dst.trim().is_empty() => Err(FilterError::new("dst: the value is empty")
            .hint("leave the field out to ask for every value")),
        _ => Ok(()),
    }
}

/// Names that CEL may use: what is in the head of a request.
fn is_decidable(field: Field) -> bool {
    matches!(
        field,
        Field::Http
            | Field::Http1
            | Field::Http2
            | Field::Grpc
            | Field::Method
            | Field::Url
            | Field::Path
            | Field::Query
            | Field::QueryString
            | Field::Route
            | Field::Host
            | Field::HttpVersion
            | Field::RequestHeaders
            | Field::RequestCookies
            | Field::RequestHeadSize
            | Field::GrpcService
            | Field::GrpcMethod
            | Field::Probe
    )
}

/// What a filter asks for.
fn fields_of(filter: &Filter) -> Vec<Field> {
    let mut fields = Vec::new();
    if let Some(expr) = filter.expr() {
        expr.walk(&mut |part| {
            if let Expr::Field(field) = part {
                fields.push(*field);
            }
        });
    }
    fields
}

fn check_fields(fields: &[Field]) -> Result<(), FilterError> {
    let Some(field) = fields.iter().find(|field| !is_decidable(**field)) else {
        return Ok(());
    };
    let name = NAMES.iter().find(|known| known.field == *field);
    let name = name.map_or("it", |known| known.name);
    Err(FilterError::new(format!(
        "filter.where: `{name}` is not known when a request has to be decided about"
    ))
    .hint(
        "what its head says, such as method, path, query_string, route, host and request.headers",
    ))
}

/// A request without its response.
struct Request<'a> {
    head: &'a [u8],
    facts: RequestHead<'a>,
}

impl Request<'_> {
    fn protocol(&self) -> Protocol {
        let is_grpc = find_field(self.head, b"content-type")
            .is_some_and(|kind| kind.starts_with(b"application/grpc"));
        match (http_version(self.head), is_grpc) {
            ("HTTP/2", true) => Protocol::Grpc,
            ("HTTP/2", false) => Protocol::Http2,
            _ => Protocol::Http1,
        }
    }

    /// Whether a kubelet asks for the pod's health, as records tell it.
    fn is_probe(&self) -> bool {
        find_field(self.head, b"user-agent").is_some_and(|agent| agent.starts_with(b"kube-probe/"))
    }
}

impl Facts for Request<'_> {
    fn value(&self, field: Field) -> Value<'_> {
        let facts = &self.facts;
        match field {
            Field::Http => Value::Bool(true),
            Field::Http1 => Value::Bool(self.protocol() == Protocol::Http1),
            Field::Http2 => Value::Bool(self.protocol().is_http2()),
            Field::Grpc => Value::Bool(self.protocol() == Protocol::Grpc),
            Field::Method => Value::text(&facts.method),
            Field::Host => Value::text(&facts.host),
            Field::Path => Value::text(&facts.path),
            Field::Query => Value::text(&facts.query),
            Field::Url => url(&facts.path, &facts.query),
            Field::Route => Value::owned(route(&facts.path)),
            Field::HttpVersion => Value::text(http_version(self.head)),
            Field::RequestHeadSize => Value::int(self.head.len() as u64),
            Field::Probe => Value::Bool(self.is_probe()),
            Field::GrpcService | Field::GrpcMethod => grpc_name(field, self.protocol(), &facts.path),
            Field::QueryString
            | Field::RequestHeaders
            | Field::RequestCookies
            // The flat filter asks for a header on either side: of the response there is none yet.
            | Field::ResponseHeaders => Value::Map(field),
            _ => Value::Absent,
        }
    }

    fn entry(&self, field: Field, key: &str) -> Value<'_> {
        let pairs = match field {
            Field::RequestHeaders => {
                return field_value(self.head, key).map_or(Value::Absent, Value::Text);
            }
            Field::RequestCookies => cookies(self.head, "cookie"),
            Field::QueryString => query_pairs(&self.facts.query),
            _ => Vec::new(),
        };
        let found = pairs.into_iter().find(|(name, _)| name == key);
        found.map_or(Value::Absent, |(_, value)| Value::Text(value))
    }

    fn keys(&self, field: Field) -> Option<Vec<String>> {
        Some(match field {
            Field::RequestHeaders => field_names(self.head),
            Field::RequestCookies => distinct_names(cookies(self.head, "cookie")),
            Field::QueryString => distinct_names(query_pairs(&self.facts.query)),
            _ => Vec::new(),
        })
    }
}

#[cfg(test)]
mod tests;
