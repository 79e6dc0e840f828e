//! `fields=`: which parts of a call are shown (pure).

use serde_json::{Map, Value};

use remora_store::filter::nearest;
use remora_store::query::FoundCall;

use crate::call_json::CallJson;
use crate::descriptors::Descriptors;
use crate::error::ApiError;
use crate::params::quoted;
use crate::related::Related;

/// Most paths in one selection.
const PATHS_AT_A_TIME: usize = 64;

/// Every path that can be asked for. A path of an object stands for all that is in it.
pub const PATHS: &[&str] = &[
    "id",
    "time",
    "protocol",
    "leg",
    "engine",
    "state",
    "probe",
    "src",
    "src.workload",
    "src.pod",
    "src.namespace",
    "src.ip",
    "src.port",
    "src.service",
    "src.revision",
    "dst",
    "dst.workload",
    "dst.pod",
    "dst.namespace",
    "dst.ip",
    "dst.port",
    "dst.service",
    "dst.revision",
    "method",
    "host",
    "path",
    "route",
    "query",
    "status",
    "error_code",
    "error",
    "fault",
    "fault.id",
    "fault.effect",
    "request",
    "request.headers",
    "request.body",
    "request.body_encoding",
    "request.size",
    "request.truncated",
    "request.omitted",
    "request.decoded",
    "request.trailers",
    "response",
    "response.headers",
    "response.body",
    "response.body_encoding",
    "response.size",
    "response.truncated",
    "response.omitted",
    "response.decoded",
    "response.trailers",
    "interim",
    "phases_ns",
    "phases_ns.connected",
    "phases_ns.request_first",
    "phases_ns.request_last",
    "phases_ns.response_first",
    "phases_ns.response_last",
    "phases_ns.closed",
    "latency_ms",
    "connection",
    "connection.id",
    "connection.ordinal",
    "connection.reused",
    "closed_by",
    "grpc",
    "grpc.service",
    "grpc.method",
    "grpc.status",
    "grpc.status_name",
    "grpc.message",
    "grpc.kind",
    "grpc.kind_from",
    "grpc.deadline_ms",
    "grpc.request_encoding",
    "grpc.response_encoding",
    "http2",
    "http2.reset",
    "http2.pushed",
    "sql",
    "sql.statement",
    "sql.fingerprint",
    "sql.params",
    "sql.sent",
    "sql.rows",
    "sql.error",
    "sql.database",
    "sql.user",
    "sql.in_transaction",
    "redis",
    "redis.command",
    "redis.key",
    "redis.keys",
    "redis.error",
    "redis.database",
    "redis.user",
    "redis.version",
    "redis.in_transaction",
    "message_counts",
    "message_counts.client",
    "message_counts.server",
    "messages",
    "joined",
    "joined.id",
    "joined.how",
    "joined.confidence",
    "joined.missing",
    "joined.alternatives",
    "joined.clock_ahead_ns",
    "parent",
    "parent.id",
    "parent.confidence",
    "parent.how",
    "parent.alternatives",
    "tls",
    "tls.handling",
    "tls.reason",
    "tls.sni",
    "tls.alpn",
    "tls.versions",
    "tls.chosen_alpn",
    "tls.version",
    "tls.certificate",
    "tls.certificate.subject",
    "tls.certificate.expires",
    "opaque",
    "opaque.first_speaker",
    "opaque.recognised",
    "opaque.from_byte",
    "opaque.reason",
];

/// Paths beside those of bodies that show what is in them.
const IN_BODIES: &[&str] = &[
    "messages",
    "sql",
    "sql.statement",
    "sql.params",
    "sql.error",
];

/// Which parts of a call are shown, all of them if nothing is chosen; and by which types its messages
/// are read.
#[derive(Debug, Clone, Default)]
pub struct Fields {
    paths: Option<Vec<&'static str>>,
    descriptors: Descriptors,
}

impl Fields {
    /// Reads a comma list of paths.
    ///
    /// # Errors
    ///
    /// There is no such path; the error names the nearest one.
    pub fn parse(list: Option<&str>) -> Result<Self, ApiError> {
        let Some(list) = list else {
            return Ok(Self::default());
        };
        let mut chosen = Vec::new();
        for path in list.split(',').map(str::trim) {
            if chosen.len() == PATHS_AT_A_TIME {
                return Err(ApiError::bad_request(
                    "bad_parameter",
                    format!("fields takes {PATHS_AT_A_TIME} paths at most"),
                )
                .field("fields"));
            }
            match PATHS.iter().find(|known| **known == path) {
                Some(&known) => chosen.push(known),
                None => return Err(unknown_path(path)),
            }
        }
        Ok(Self {
            paths: Some(chosen),
            ..Self::default()
        })
    }

    /// The same, with messages read by these types.
    #[must_use]
    pub fn read_by(self, descriptors: &Descriptors) -> Self {
        Self {
            descriptors: descriptors.clone(),
            ..self
        }
    }

    /// Whether a body is among them.
    pub fn show_bodies(&self) -> bool {
        let Some(paths) = &self.paths else {
            return true;
        };
        paths.iter().any(|path| {
            if IN_BODIES.contains(path) {
                return true;
            }
            let part = path
                .strip_prefix("request")
                .or_else(|| path.strip_prefix("response"));
            part.is_some_and(|part| part.is_empty() || part.starts_with(".body"))
        })
    }

    /// Whether what a call belongs to is among them.
    pub fn show_relations(&self) -> bool {
        let is_relation = |path: &&str| path.starts_with("joined") || path.starts_with("parent");
        self.paths
            .as_ref()
            .is_none_or(|paths| paths.iter().any(is_relation))
    }

    fn whole(&self, found: &FoundCall, related: Related) -> Value {
        let call = CallJson {
            joined: related.joined,
            parent: related.parent,
            ..CallJson::new(found, &self.descriptors)
        };
        serde_json::to_value(call).expect("a call has only text keys and finite numbers")
    }

    /// The chosen paths, in the order they were asked for; none if nothing is chosen.
    pub fn paths(&self) -> &[&'static str] {
        self.paths.as_deref().unwrap_or_default()
    }

    /// What is at each of the chosen paths; `null` for what the call does not have.
    pub fn values(&self, found: &FoundCall) -> Vec<Value> {
        let whole = self.whole(found, Related::default());
        let at = |path: &&str| {
            let found = path
                .split('.')
                .try_fold(&whole, |value, key| value.get(key));
            found.cloned().unwrap_or_default()
        };
        self.paths().iter().map(at).collect()
    }

    /// The call with only the chosen parts. One that the call does not have is `null`.
    pub fn select(&self, found: &FoundCall) -> Value {
        self.select_related(found, Related::default())
    }

    /// The same, of a call of which it is known what it belongs to.
    pub fn select_related(&self, found: &FoundCall, related: Related) -> Value {
        let whole = self.whole(found, related);
        let Some(paths) = &self.paths else {
            return whole;
        };
        let mut selected = Map::new();
        for path in paths {
            match path.split_once('.') {
                None => {
                    selected.insert(
                        (*path).to_owned(),
                        whole.get(path).cloned().unwrap_or_default(),
                    );
                }
                Some((object, key)) => {
                    let value = whole
                        .get(object)
                        .and_then(|object| object.get(key))
                        .cloned()
                        .unwrap_or_default();
                    let object = selected
                        .entry(object)
                        .or_insert_with(|| Value::Object(Map::new()));
                    if let Value::Object(object) = object {
                        object.insert(key.to_owned(), value);
                    }
                }
            }
        }
        Value::Object(selected)
    }
}

fn unknown_path(path: &str) -> ApiError {
    let error = ApiError::bad_request(
        "unknown_field",
        format!("a call has no field {}", quoted(path)),
    )
    .field("fields");
    match nearest(path, PATHS.iter().copied()) {
        Some(near) => error.hint(format!("did you mean {near}?")),
        None => error.hint("the fields are those of a call in /openapi.json, such as id, status, src.workload, request.headers"),
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case(None, true; "everything")]
    #[test_case(Some("id,status"), false; "facts alone")]
    #[test_case(Some("request.headers"), false; "headers alone")]
    #[test_case(Some("request"), true; "all of the request")]
    #[test_case(Some("response.body"), true; "a body")]
    #[test_case(Some("messages"), true; "messages")]
    #[test_case(Some("id,sql.params"), true; "bind values")]
    #[test_case(Some("sql.fingerprint,sql.rows,error_code"), false; "a statement without its values")]
    #[test_case(Some("message_counts,grpc"), false; "what gRPC says")]
    fn bodies_are_read_only_if_shown(list: Option<&str>, expected: bool) {
        assert_eq!(Fields::parse(list).unwrap().show_bodies(), expected);
    }

    #[test]
    fn an_unknown_field_is_refused_with_the_nearest_one() {
        let error = Fields::parse(Some("id,reqest.headers")).unwrap_err();
        assert_eq!(error.hint_text(), Some("did you mean request.headers?"));
    }
}
