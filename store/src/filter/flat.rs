//! From the fields of the flat filter to the same tree that CEL becomes.

use std::sync::Arc;

use super::expr::{Comparison, Expr, Place};
use super::suggest::nearest;
use super::value::Value;
use super::vocabulary::{Field, Identity, Peer};
use super::{Filter, FilterError, FlatFilter, StatusFilter};

/// Longest value of a field, in bytes.
const MAX_VALUE_BYTES: usize = 1024;

const METHODS: [&str; 9] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
];

pub(super) fn lower(flat: &FlatFilter) -> Result<Filter, FilterError> {
    let mut parts = Vec::new();
    let mut add = |name, value: &Option<String>, make: fn(&str) -> Result<Expr, FilterError>| {
        let Some(value) = value else {
            return Ok(());
        };
        parts.push(make(checked(name, value)?)?);
        Ok::<(), FilterError>(())
    };
    add("src", &flat.src, |value| Ok(party(Peer::Src, value)))?;
    add("dst", &flat.dst, |value| Ok(party(Peer::Dst, value)))?;
    add("method", &flat.method, method)?;
    add("route", &flat.route, |value| {
        Ok(equals(Field::Route, from_root("route", value)?))
    })?;
    add("path_prefix", &flat.path_prefix, |value| {
        let path = Expr::Field(Field::Path);
        let start = text(from_root("path_prefix", value)?);
        Ok(Expr::Text(Place::Start, Box::new([path, start])))
    })?;
    add("header", &flat.header, header)?;
    add("revision", &flat.revision, |value| {
        Ok(equals(Field::Revision, value))
    })?;
    add("namespace", &flat.namespace, |value| {
        Ok(either_end(Identity::Namespace, value))
    })?;
    add("trace_id", &flat.trace_id, |value| Ok(trace(value)))?;
    if let Some(wanted) = &flat.status {
        parts.push(status(wanted)?);
    }
    if let Some(least) = flat.min_ms {
        parts.push(slower_than(least)?);
    }
    let fields = match parts.is_empty() {
        true => Filter::default(),
        false => Filter {
            source: source_of(flat),
            expr: Some(Arc::new(Expr::All(parts))),
        },
    };
    match &flat.r#where {
        None => Ok(fields),
        Some(cel) => {
            let filter = Filter::parse(cel).map_err(|error| in_field("where", error))?;
            Ok(fields.and(filter))
        }
    }
}

/// The fields as they were given, for people who ask what a filter was.
fn source_of(flat: &FlatFilter) -> String {
    let without_where = FlatFilter {
        r#where: None,
        ..flat.clone()
    };
    serde_json::to_string(&without_where).unwrap_or_default()
}

fn in_field(name: &str, error: FilterError) -> FilterError {
    FilterError {
        message: format!("{name}: {}", error.message),
        hint: error.hint,
    }
}

fn checked<'a>(name: &str, value: &'a str) -> Result<&'a str, FilterError> {
    if value.trim().is_empty() {
        let error = FilterError::new(format!("{name}: the value is empty"));
        return Err(error.hint("leave the field out to ask for every value"));
    }
    if value.len() > MAX_VALUE_BYTES {
        return Err(FilterError::new(format!(
            "{name}: the value is longer than {MAX_VALUE_BYTES} bytes"
        )));
    }
    Ok(value)
}

fn text(text: &str) -> Expr {
    Expr::Const(Value::owned(text.to_owned()))
}

fn equals(field: Field, value: &str) -> Expr {
    let parts = Box::new([Expr::Field(field), text(value)]);
    Expr::Compare(Comparison::Equal, parts)
}

fn party(peer: Peer, value: &str) -> Expr {
    let named = [
        Identity::Workload,
        Identity::Service,
        Identity::Pod,
        Identity::Ip,
    ];
    let mut ways: Vec<Expr> = named
        .into_iter()
        .map(|identity| equals(Field::End(peer, identity), value))
        .collect();
    if let Ok(address) = value.parse::<std::net::SocketAddr>() {
        let port = [
            Expr::Field(Field::End(peer, Identity::Port)),
            Expr::Const(Value::Int(address.port().into())),
        ];
        ways.push(Expr::All(vec![
            equals(Field::End(peer, Identity::Ip), &address.ip().to_string()),
            Expr::Compare(Comparison::Equal, Box::new(port)),
        ]));
    }
    Expr::Any(ways)
}

fn either_end(identity: Identity, value: &str) -> Expr {
    Expr::Any(vec![
        equals(Field::End(Peer::Src, identity), value),
        equals(Field::End(Peer::Dst, identity), value),
    ])
}

fn method(value: &str) -> Result<Expr, FilterError> {
    if METHODS.contains(&value) {
        return Ok(equals(Field::Method, value));
    }
    let error = FilterError::new(format!("method: {value:?} is not a method"));
    if let Some(near) = nearest(value, METHODS) {
        return Err(error.hint(format!("\"{near}\"")));
    }
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    match value.chars().all(token) {
        true => Ok(equals(Field::Method, value)),
        false => Err(error.hint(format!("one of: {}", METHODS.join(", ")))),
    }
}

/// A path or a route begins with a slash.
fn from_root<'a>(name: &str, value: &'a str) -> Result<&'a str, FilterError> {
    if value.starts_with('/') || value == "*" {
        return Ok(value);
    }
    let error = FilterError::new(format!("{name}: {value:?} does not begin with a slash"));
    Err(match value.split_once(" /") {
        Some((_, path)) => error.hint(format!("\"/{path}\", and the method in `method`")),
        None => error.hint(format!("\"/{value}\"")),
    })
}

fn status(wanted: &StatusFilter) -> Result<Expr, FilterError> {
    let bound = |comparison, status: u16| {
        let parts = Box::new([
            Expr::Field(Field::Status),
            Expr::Const(Value::Int(status.into())),
        ]);
        Expr::Compare(comparison, parts)
    };
    let class = match wanted {
        StatusFilter::Code(code @ 100..=599) => return Ok(bound(Comparison::Equal, *code)),
        StatusFilter::Code(code) => {
            let error = FilterError::new(format!("status: {code} is not a status"));
            return Err(error.hint("100 to 599, or a class such as \"5xx\""));
        }
        StatusFilter::Class(class) => class.trim(),
    };
    if let Ok(code) = class.parse() {
        return status(&StatusFilter::Code(code));
    }
    if let Some(grpc) = crate::grpc::status_of_name(class) {
        let parts = [
            Expr::Field(Field::GrpcStatus),
            Expr::Const(Value::Int(grpc.into())),
        ];
        return Ok(Expr::Compare(Comparison::Equal, Box::new(parts)));
    }
    let first = class.chars().next().and_then(|first| first.to_digit(10));
    let well_formed = class.len() == 3 && class.to_ascii_lowercase().ends_with("xx");
    match first.and_then(|first| u16::try_from(first).ok()) {
        Some(first @ 1..=5) if well_formed => Ok(Expr::All(vec![
            bound(Comparison::GreaterOrEqual, first * 100),
            bound(Comparison::Less, (first + 1) * 100),
        ])),
        Some(first @ 1..=5) => {
            let error = FilterError::new(format!("status: {class:?} is not a class of statuses"));
            Err(error.hint(format!("\"{first}xx\"")))
        }
        _ => {
            let error = FilterError::new(format!("status: {class:?} is not a class of statuses"));
            Err(match nearest(&class.to_ascii_uppercase(), crate::grpc::status_names()) {
                Some(near) => error.hint(format!("\"{near}\"")),
                None => error.hint("\"1xx\" to \"5xx\", a status such as 404, or one of gRPC such as NOT_FOUND"),
            })
        }
    }
}

fn slower_than(least_ms: f64) -> Result<Expr, FilterError> {
    if !least_ms.is_finite() || least_ms < 0.0 {
        let error = FilterError::new(format!("min_ms: {least_ms} is not a latency"));
        return Err(error.hint("milliseconds, 0 or more"));
    }
    let parts = Box::new([
        Expr::Field(Field::LatencyMillis),
        Expr::Const(Value::Double(least_ms)),
    ]);
    Ok(Expr::Compare(Comparison::GreaterOrEqual, parts))
}

fn header(value: &str) -> Result<Expr, FilterError> {
    let (name, wanted) = match value.split_once(':') {
        Some((name, wanted)) => (name.trim(), Some(wanted.trim())),
        None => (value.trim(), None),
    };
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if name.is_empty() || !name.chars().all(token) {
        let error = FilterError::new(format!("header: {name:?} is not the name of a header"));
        return Err(error.hint("such as \"cache-control\" or \"content-type: application/json\""));
    }
    let key = name.to_ascii_lowercase();
    let of = |map| match wanted {
        None => Expr::In(Box::new([text(&key), Expr::Field(map)])),
        Some(wanted) => entry_is(map, &key, Comparison::Equal, wanted),
    };
    Ok(Expr::Any(vec![
        of(Field::RequestHeaders),
        of(Field::ResponseHeaders),
    ]))
}

fn entry(map: Field, key: &str) -> Expr {
    Expr::Entry(Box::new([Expr::Field(map), text(key)]))
}

fn entry_is(map: Field, key: &str, comparison: Comparison, value: &str) -> Expr {
    Expr::Compare(comparison, Box::new([entry(map, key), text(value)]))
}

/// A trace id where tracers put it: W3C, B3 in one header or several, or a request id.
fn trace(id: &str) -> Expr {
    let request = Field::RequestHeaders;
    let found =
        |place, key, part: String| Expr::Text(place, Box::new([entry(request, key), text(&part)]));
    Expr::Any(vec![
        found(Place::Anywhere, "traceparent", format!("-{id}-")),
        found(Place::Start, "b3", format!("{id}-")),
        entry_is(request, "x-b3-traceid", Comparison::Equal, id),
        entry_is(request, "x-request-id", Comparison::Equal, id),
    ])
}
