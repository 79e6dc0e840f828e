//! What facts are made of, alike for a whole call and for a row of the columns of a block.

use super::value::Value;
use super::vocabulary::{Field, Identity};
use crate::block::Origin;
use crate::call::Protocol;
use crate::grpc;
use crate::names::Party;

/// The only label that is known: the one that tells the revisions of a workload apart.
pub(crate) const REVISION_LABEL: &str = "pod-template-hash";

pub(crate) fn url<'a>(path: &'a str, query: &'a str) -> Value<'a> {
    match query {
        "" => Value::text(path),
        _ => Value::owned(format!("{path}?{query}")),
    }
}

pub(crate) fn grpc_status<'a>(status: Option<u16>) -> Value<'a> {
    status.map_or(Value::Absent, |status| Value::Int(status.into()))
}

pub(crate) fn grpc_status_name<'a>(status: Option<u16>) -> Value<'a> {
    status.map_or(Value::Absent, |status| {
        Value::Text(grpc::status_name(status))
    })
}

/// Service or method of a path, where the call is gRPC.
pub(crate) fn grpc_name(field: Field, protocol: Protocol, path: &str) -> Value<'_> {
    let names = grpc::split_path(path).filter(|_| protocol == Protocol::Grpc);
    names.map_or(Value::Absent, |(service, method)| match field {
        Field::GrpcService => Value::text(service),
        _ => Value::text(method),
    })
}

/// A text of a database call, which is absent from the calls of every other protocol.
pub(crate) fn database_text(field: Field, protocol: Protocol, text: &str) -> Value<'_> {
    let of = match field {
        Field::RedisCommand | Field::RedisKey | Field::RedisErrorCode => Protocol::Redis,
        _ => Protocol::Postgresql,
    };
    match protocol == of {
        true => Value::text(text),
        false => Value::Absent,
    }
}

pub(crate) fn elapsed_micros<'a>(latency_ns: Option<u64>) -> Value<'a> {
    latency_ns.map_or(Value::Absent, |ns| Value::int(ns / 1_000))
}

pub(crate) fn latency_millis<'a>(latency_ns: Option<u64>) -> Value<'a> {
    latency_ns.map_or(Value::Absent, |ns| Value::Double(ns as f64 / 1e6))
}

pub(crate) fn origin_text(origin: &Origin, field: Field) -> Value<'_> {
    Value::text(match field {
        Field::Workload => &origin.workload,
        Field::Namespace => &origin.namespace,
        Field::Pod => &origin.pod,
        _ => &origin.revision,
    })
}

/// What is known of an end of a call; the text is empty where it is not known.
pub(crate) fn identified(party: &Party, identity: Identity) -> Value<'_> {
    match identity {
        Identity::Ip => Value::owned(party.address.ip().to_canonical().to_string()),
        Identity::Port => Value::Int(party.address.port().into()),
        Identity::Name => {
            let known = [&party.pod, &party.workload, &party.service];
            let first = known.into_iter().find(|text| !text.is_empty());
            Value::text(first.map_or("", String::as_str))
        }
        Identity::Workload => Value::text(&party.workload),
        Identity::Namespace => Value::text(&party.namespace),
        Identity::Pod => Value::text(&party.pod),
        Identity::Service => Value::text(&party.service),
        Identity::ServiceNamespace if party.service.is_empty() => Value::text(""),
        Identity::ServiceNamespace => Value::text(&party.namespace),
        Identity::Revision => Value::text(&party.revision),
    }
}

/// What is known of both ends together, without the empty texts.
pub(crate) fn both<'a>(field: Field, src: &'a Party, dst: &'a Party) -> Value<'a> {
    let known = |party: &'a Party| match field {
        Field::Namespaces => &party.namespace,
        Field::Pods => &party.pod,
        _ => &party.service,
    };
    let mut texts = vec![known(src)];
    if known(dst) != known(src) {
        texts.push(known(dst));
    }
    texts.retain(|text| !text.is_empty());
    Value::List(texts.into_iter().map(|text| Value::text(text)).collect())
}
