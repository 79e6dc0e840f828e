//! The names that a filter may use, and what each stands for.
//!
//! Names without a note are KFL2's, with KFL2's meaning.

mod mistakes;

use super::value::Type;
use mistakes::MISTAKES;

/// A fact of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Field {
    Http,
    Http1,
    Http2,
    Grpc,
    WebSocket,
    Tls,
    Https,
    Opaque,
    Postgresql,
    Redis,
    Method,
    Url,
    Path,
    Query,
    QueryString,
    Route,
    Host,
    Status,
    HttpVersion,
    RequestHeaders,
    ResponseHeaders,
    ResponseTrailers,
    RequestCookies,
    ResponseCookies,
    RequestHeadSize,
    RequestSize,
    ResponseHeadSize,
    ResponseSize,
    RequestBody,
    ResponseBody,
    RequestJson,
    ResponseJson,
    Error,
    State,
    Probe,
    Leg,
    Engine,
    Protocol,
    Timestamp,
    ElapsedMicros,
    LatencyMillis,
    Id,
    Connection,
    Ordinal,
    Workload,
    Namespace,
    Pod,
    Revision,
    Namespaces,
    Pods,
    Services,
    LocalLabels,
    RemoteLabels,
    TlsSni,
    TlsHandling,
    TlsReason,
    /// Name of the injected fault; empty where there was none.
    Fault,
    Failed,
    GrpcService,
    GrpcMethod,
    GrpcStatus,
    GrpcStatusName,
    RequestMessages,
    ResponseMessages,
    Http2Reset,
    WsOpcode,
    WsOpcodes,
    WsRequestPayload,
    /// Command of a statement of PostgreSQL.
    SqlCommand,
    SqlQuery,
    SqlFingerprint,
    SqlRows,
    SqlDatabase,
    SqlUser,
    SqlSuccess,
    SqlErrorCode,
    SqlErrorMessage,
    /// Command of a call of Redis.
    RedisCommand,
    RedisKey,
    RedisSuccess,
    RedisErrorCode,
    End(Peer, Identity),
    /// A text that is never known here.
    NoText,
    /// A number that is never known here.
    NoNumber,
    /// A map that is always empty here.
    NoMap,
    /// A fact of a protocol that is not recorded yet: absent in every call.
    Unrecorded,
}

/// One of the two ends of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Peer {
    Src,
    Dst,
}

/// What is known of an end of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Identity {
    Ip,
    Port,
    /// The pod, else the workload, else the service.
    Name,
    Workload,
    Namespace,
    Pod,
    Service,
    ServiceNamespace,
    Revision,
}

/// A name with what it stands for.
pub(crate) struct Name {
    pub(crate) name: &'static str,
    pub(crate) field: Field,
    pub(crate) r#type: Type,
}

const fn name(name: &'static str, field: Field, r#type: Type) -> Name {
    Name {
        name,
        field,
        r#type,
    }
}

const TEXTS: Type = Type::List(&Type::Text);

/// Every name of a fact.
pub(crate) const NAMES: &[Name] = {
    use Field::*;
    use Identity::{Ip, Name as Called, Port, Service, ServiceNamespace};
    use Peer::{Dst, Src};
    use Type::{Any, Bool, Double, Int, Map, Text, Time};
    &[
        name("http", Http, Bool),
        name("http1", Http1, Bool),
        name("http2", Http2, Bool),
        name("grpc", Grpc, Bool),
        name("ws", WebSocket, Bool),
        name("tls", Tls, Bool),
        name("tlsx", Tls, Bool),
        // KFL2's macro means decrypted HTTP; what is inside passed-through TLS is not known, and mostly that.
        name("https", Https, Bool),
        name("tlsx_sni", TlsSni, Text),
        name("tls_handling", TlsHandling, Text),
        name("tls_reason", TlsReason, Text),
        name("tcp", Opaque, Bool),
        name("opaque", Opaque, Bool),
        name("method", Method, Text),
        name("url", Url, Text),
        name("path", Path, Text),
        name("query", Query, Text),
        name("query_string", QueryString, Map),
        name("route", Route, Text),
        name("host", Host, Text),
        name("status_code", Status, Int),
        name("status", Status, Int),
        name("http_version", HttpVersion, Text),
        name("request.headers", RequestHeaders, Map),
        name("response.headers", ResponseHeaders, Map),
        name("response.trailers", ResponseTrailers, Map),
        name("request.cookies", RequestCookies, Map),
        name("response.cookies", ResponseCookies, Map),
        name("request_headers_size", RequestHeadSize, Int),
        name("request_body_size", RequestSize, Int),
        name("response_headers_size", ResponseHeadSize, Int),
        name("response_body_size", ResponseSize, Int),
        name("request.body", RequestBody, Text),
        name("response.body", ResponseBody, Text),
        name("request.json", RequestJson, Any),
        name("response.json", ResponseJson, Any),
        name("error", Error, Text),
        name("failed", Failed, Bool),
        name("fault", Fault, Text),
        name("grpc_service", GrpcService, Text),
        name("grpc_method", GrpcMethod, Text),
        name("grpc_status", GrpcStatus, Int),
        name("grpc_status_name", GrpcStatusName, Text),
        name("request_messages", RequestMessages, Int),
        name("response_messages", ResponseMessages, Int),
        name("http2_reset", Http2Reset, Text),
        name("ws_opcode", WsOpcode, Text),
        name("ws_opcodes", WsOpcodes, TEXTS),
        name("ws_request_payload_data", WsRequestPayload, Text),
        name("postgresql", Postgresql, Bool),
        name("postgresql_command", SqlCommand, Text),
        name("postgresql_query", SqlQuery, Text),
        name("postgresql_fingerprint", SqlFingerprint, Text),
        name("postgresql_rows", SqlRows, Int),
        name("postgresql_database", SqlDatabase, Text),
        name("postgresql_user", SqlUser, Text),
        name("postgresql_success", SqlSuccess, Bool),
        name("postgresql_error_code", SqlErrorCode, Text),
        name("postgresql_error_message", SqlErrorMessage, Text),
        name("redis", Redis, Bool),
        name("redis_type", RedisCommand, Text),
        name("redis_command", RedisCommand, Text),
        name("redis_key", RedisKey, Text),
        name("redis_success", RedisSuccess, Bool),
        name("redis_error_code", RedisErrorCode, Text),
        name("state", State, Text),
        name("probe", Probe, Bool),
        name("leg", Leg, Text),
        name("engine", Engine, Text),
        name("protocol", Protocol, Text),
        name("timestamp", Timestamp, Time),
        name("elapsed_time", ElapsedMicros, Int),
        name("latency_ms", LatencyMillis, Double),
        name("id", Id, Text),
        name("conn_id", Connection, Int),
        name("index", Ordinal, Int),
        name("workload", Workload, Text),
        name("namespace", Namespace, Text),
        name("pod", Pod, Text),
        name("revision", Revision, Text),
        name("namespaces", Namespaces, TEXTS),
        name("pods", Pods, TEXTS),
        name("services", Services, TEXTS),
        name("local_labels", LocalLabels, Map),
        name("remote_labels", RemoteLabels, Map),
        name("local_annotations", NoMap, Map),
        name("remote_annotations", NoMap, Map),
        name("src.ip", End(Src, Ip), Text),
        name("src.port", End(Src, Port), Int),
        name("src.name", End(Src, Called), Text),
        name("src.workload", End(Src, Identity::Workload), Text),
        name("src.namespace", End(Src, Identity::Namespace), Text),
        name("src.pod.name", End(Src, Identity::Pod), Text),
        name("src.pod.namespace", End(Src, Identity::Namespace), Text),
        name("src.service.name", End(Src, Service), Text),
        name("src.service.namespace", End(Src, ServiceNamespace), Text),
        name("src.revision", End(Src, Identity::Revision), Text),
        name("src.dns", NoText, Text),
        name("dst.ip", End(Dst, Ip), Text),
        name("dst.port", End(Dst, Port), Int),
        name("dst.name", End(Dst, Called), Text),
        name("dst.workload", End(Dst, Identity::Workload), Text),
        name("dst.namespace", End(Dst, Identity::Namespace), Text),
        name("dst.pod.name", End(Dst, Identity::Pod), Text),
        name("dst.pod.namespace", End(Dst, Identity::Namespace), Text),
        name("dst.service.name", End(Dst, Service), Text),
        name("dst.service.namespace", End(Dst, ServiceNamespace), Text),
        name("dst.revision", End(Dst, Identity::Revision), Text),
        name("dst.dns", NoText, Text),
        name("node_id", NoText, Text),
        name("node_name", NoText, Text),
        name("node_ip", NoText, Text),
        name("local_node_name", NoText, Text),
        name("remote_node_name", NoText, Text),
        name("local_process_name", NoText, Text),
        name("remote_process_name", NoText, Text),
        name("local_resolution_status", NoText, Text),
        name("remote_resolution_status", NoText, Text),
        name("worker", NoText, Text),
        name("stream", NoText, Text),
        name("capture_source", NoText, Text),
        name("capture_backend", NoText, Text),
        name("flow_id", NoNumber, Int),
        name("has_pcap", Unrecorded, Bool),
        name("mysql_command", Unrecorded, Text),
        name("mysql_query", Unrecorded, Text),
        name("mysql_database", Unrecorded, Text),
        name("mysql_success", Unrecorded, Bool),
        name("mysql_error_code", Unrecorded, Int),
        name("mysql_error_message", Unrecorded, Text),
        name("mongodb_command", Unrecorded, Text),
        name("mongodb_database", Unrecorded, Text),
        name("mongodb_collection", Unrecorded, Text),
        name("mongodb_success", Unrecorded, Bool),
        name("kafka_api_key", Unrecorded, Int),
        name("kafka_api_key_name", Unrecorded, Text),
        name("kafka_client_id", Unrecorded, Text),
        name("kafka_request_summary", Unrecorded, Text),
        name("amqp_method", Unrecorded, Text),
        name("amqp_summary", Unrecorded, Text),
        name("dns_questions", Unrecorded, TEXTS),
        name("dns_answers", Unrecorded, TEXTS),
        name("dns_question_types", Unrecorded, TEXTS),
        name("dns_request", Unrecorded, Bool),
        name("dns_response", Unrecorded, Bool),
        name("conn_state", Unrecorded, Text),
    ]
};

/// Names of protocols, each true for its calls, that are not recorded yet: false in every call.
pub(crate) const UNRECORDED_PROTOCOLS: &[&str] = &[
    "gql", "gqlv1", "gqlv2", "mysql", "mongodb", "kafka", "amqp", "dns", "ldap", "radius",
    "diameter", "icmp", "sctp", "udp", "conn", "flow", "tcp_conn", "tcp_flow", "udp_conn",
    "udp_flow",
];

/// The protocol called `name`, if it is not recorded yet.
pub(crate) fn unrecorded_protocol(name: &str) -> Option<&'static str> {
    let known = UNRECORDED_PROTOCOLS.iter();
    known.copied().find(|protocol| *protocol == name)
}

/// The name spelled `name`.
pub(crate) fn find(name: &str) -> Option<&'static Name> {
    NAMES.iter().find(|known| known.name == name)
}

/// The parts of the object spelled `name`, such as `src.pod`, as full names; empty if there is none.
pub(crate) fn parts_of(name: &str) -> Vec<&'static str> {
    NAMES
        .iter()
        .map(|known| known.name)
        .filter(|known| {
            known
                .strip_prefix(name)
                .is_some_and(|rest| rest.starts_with('.'))
        })
        .collect()
}

/// The name that was meant by `wrong`, if that can be told.
pub(crate) fn meant_by(wrong: &str) -> Option<&'static str> {
    let lower = wrong.to_ascii_lowercase();
    MISTAKES
        .iter()
        .find(|(mistake, _)| *mistake == lower)
        .map(|(_, meant)| *meant)
        .or_else(|| {
            let names = NAMES.iter().map(|known| known.name);
            super::suggest::nearest(wrong, names.chain(UNRECORDED_PROTOCOLS.iter().copied()))
        })
        .or_else(|| {
            let last = wrong.rsplit('.').next().filter(|last| *last != wrong)?;
            find(last).map(|known| known.name)
        })
}

#[cfg(test)]
mod tests;
