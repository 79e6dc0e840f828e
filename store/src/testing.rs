//! Generated calls, for property tests here and in the crates that take calls.
//!
//! Behind the feature `testing`, which is never on in a build that ships.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use bytes::Bytes;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use crate::block::{BlockMeta, Drop, Origin};
use crate::call::{
    Call, CallError, Certificate, Connection, Detail, Digest, EffectKind, Engine, ErrorCode, Http2,
    Injected, Leg, Message, MessageKind, Omitted, Opaque, Phases, Protocol, Redis, Reset, Secure,
    Severity, Side, Sql, SqlError, SqlSent, State, Stream, StreamMessage, TlsHandling, TlsHello,
    TlsReason,
};

/// A small call that went well: `GET` of `path` at `time_ns`, 2 ms long, answered with `status`.
pub fn call(time_ns: i64, path: &str, status: u16) -> Call {
    let accepted: u64 = 1_000_000;
    Call {
        time_ns,
        protocol: Protocol::Http1,
        leg: Leg::Inbound,
        engine: Engine::Splice,
        state: State::Complete,
        probe: false,
        src: SocketAddr::from(([10, 0, 0, 1], 40_000)),
        dst: SocketAddr::from(([10, 0, 0, 2], 8080)),
        connection: Connection {
            id: 1,
            ordinal: 0,
            forwarded_from: None,
        },
        request: Message {
            head: format!("GET {path} HTTP/1.1\r\nHost: shop\r\n\r\n").into(),
            ..Message::default()
        },
        response: Message {
            head: format!("HTTP/1.1 {status} \r\nContent-Length: 2\r\n\r\n").into(),
            body: Bytes::from_static(b"ok"),
            body_size: 2,
            ..Message::default()
        },
        interim: Bytes::new(),
        phases: Phases {
            connected: Some(accepted / 2),
            request_first: Some(accepted),
            request_last: Some(accepted + 10_000),
            response_first: Some(accepted + 1_900_000),
            response_last: Some(accepted + 2_000_000),
            closed: None,
        },
        closed_by: None,
        error: None,
        join_digest: None,
        detail: Detail::None,
        stream: None,
        fault: None,
        secure: None,
    }
}

/// A unary call of gRPC of `path`, 2 ms long with a deadline of 250 ms, that ended with `status`; its
/// messages are two bytes long.
pub fn grpc_call(time_ns: i64, path: &str, status: Option<u16>) -> Call {
    let plain = call(time_ns, path, 200);
    let message = |from, at: Option<u64>| StreamMessage {
        from,
        kind: MessageKind::Grpc,
        at: at.unwrap_or_default(),
        size: 2,
        compressed: false,
        payload: Bytes::from_static(b"\x08\x11"),
        decoded: false,
        omitted: None,
    };
    let messages = vec![
        message(Side::Client, plain.phases.request_last),
        message(Side::Server, plain.phases.response_first),
    ];
    let head = format!(
        ":method: POST\r\n:scheme: http\r\n:path: {path}\r\n:authority: shop\r\n\
         te: trailers\r\ncontent-type: application/grpc\r\ngrpc-timeout: 250m\r\n"
    );
    let trailers = status.map(|status| format!("grpc-status: {status}\r\n"));
    Call {
        protocol: Protocol::Grpc,
        connection: Connection {
            ordinal: 1,
            ..plain.connection
        },
        request: Message {
            head: head.into(),
            body_size: 7,
            ..Message::default()
        },
        response: Message {
            head: ":status: 200\r\ncontent-type: application/grpc\r\n".into(),
            body_size: 7,
            trailers: trailers.unwrap_or_default().into(),
            ..Message::default()
        },
        stream: Some(Box::new(Stream {
            client_messages: 1,
            server_messages: 1,
            messages,
        })),
        ..plain
    }
}

/// A statement with this fingerprint, sent as text, that gave one row.
pub fn sql_call(time_ns: i64, fingerprint: &str) -> Call {
    let command = fingerprint.split(' ').next().unwrap_or_default();
    let detail = Detail::Sql(Sql {
        command: command.to_owned(),
        fingerprint: fingerprint.to_owned(),
        rows: Some(1),
        database: Some("shop".to_owned()),
        user: Some("orders".to_owned()),
        ..Sql::default()
    });
    let statement = fingerprint.replace('?', "7");
    database_call(
        time_ns,
        Protocol::Postgresql,
        detail,
        statement.into(),
        "{\"id\":7}",
    )
}

/// A command of Redis with one key, that gave two bytes.
pub fn redis_call(time_ns: i64, command: &str, key: &str) -> Call {
    let detail = Detail::Redis(Redis {
        command: command.to_owned(),
        key: key.to_owned(),
        keys: u32::from(!key.is_empty()),
        version: 2,
        ..Redis::default()
    });
    let asked = format!("{command} {key}");
    database_call(time_ns, Protocol::Redis, detail, asked.into(), "ok")
}

fn database_call(
    time_ns: i64,
    protocol: Protocol,
    detail: Detail,
    asked: Bytes,
    answer: &'static str,
) -> Call {
    let message = |body: Bytes| Message {
        body_size: body.len() as u64,
        body,
        ..Message::default()
    };
    Call {
        protocol,
        dst: SocketAddr::from(([10, 0, 0, 3], 5432)),
        request: message(asked),
        response: message(Bytes::from_static(answer.as_bytes())),
        detail,
        ..call(time_ns, "/", 200)
    }
}

/// Any call, likely and unlikely ones: every field takes every kind of value.
pub fn any_call() -> impl Strategy<Value = Call> {
    let what = (
        any::<i64>(),
        select(Protocol::ALL),
        select(Leg::ALL),
        select(Engine::ALL),
        select(State::ALL),
        any::<bool>(),
    );
    let ends = (any_address(), any_address(), any_connection());
    let said = (any_request(), any_response(), any_bytes(60));
    let fate = (
        any_phases(),
        option::of(select(Side::ALL)),
        option::of(select(CallError::ALL)),
        option::of(any_digest()),
        any_detail(),
        option::of(any_stream()),
        option::of(any_fault()),
        option::of(any_secure()),
    );
    (what, ends, said, fate).prop_map(|(what, ends, said, fate)| Call {
        time_ns: what.0,
        protocol: what.1,
        leg: what.2,
        engine: what.3,
        state: what.4,
        probe: what.5,
        src: ends.0,
        dst: ends.1,
        connection: ends.2,
        request: said.0,
        response: said.1,
        interim: said.2,
        phases: fate.0,
        closed_by: fate.1,
        error: fate.2,
        join_digest: fate.3,
        detail: fate.4,
        stream: fate.5.map(Box::new),
        fault: fate.6,
        secure: fate.7.map(Into::into),
    })
}

fn any_fault() -> impl Strategy<Value = Injected> {
    ("[a-z0-9-]{0,12}", select(EffectKind::ALL)).prop_map(|(id, effect)| Injected {
        id: id.into(),
        effect,
    })
}

/// What any block could say of itself.
pub fn any_meta() -> impl Strategy<Value = BlockMeta> {
    let drops = vec(
        (
            select(&["budget", "queue"][..]),
            any::<u64>(),
            any::<i64>(),
            any::<i64>(),
        ),
        0..3,
    );
    let rest = (any::<u64>(), any::<i64>(), ".{0,12}", drops);
    (any_origin(), rest).prop_map(|(origin, rest)| BlockMeta {
        origin,
        sequence: rest.0,
        sealed_ns: rest.1,
        redaction_key: rest.2,
        drops: rest
            .3
            .into_iter()
            .map(|(reason, calls, since_ns, until_ns)| Drop {
                reason: reason.to_owned(),
                calls,
                since_ns,
                until_ns,
            })
            .collect(),
    })
}

/// Any recorder of blocks.
pub fn any_origin() -> impl Strategy<Value = Origin> {
    let names = [
        "[a-z-]{0,12}",
        "[a-z-]{0,12}",
        ".{0,12}",
        ".{0,12}",
        ".{0,12}",
    ];
    (any::<u128>(), names, vec(any_address(), 0..3)).prop_map(|(incarnation, names, serves)| {
        let [workload, namespace, pod, pod_uid, revision] = names;
        Origin {
            incarnation,
            workload,
            namespace,
            pod,
            pod_uid,
            revision,
            serves,
        }
    })
}

/// Any address, those of IPv6 with a scope among them.
pub fn any_address() -> impl Strategy<Value = SocketAddr> {
    let scoped = (any::<u128>(), any::<u16>(), any::<u32>(), any::<u32>())
        .prop_map(|(ip, port, flow, scope)| SocketAddrV6::new(ip.into(), port, flow, scope).into());
    let plain = (any::<IpAddr>(), any::<u16>()).prop_map(Into::into);
    // Few addresses occur often, as in life.
    let usual = (0_u8..4, 8080_u16..8083).prop_map(|(ip, port)| ([10, 0, 0, ip], port).into());
    prop_oneof![4 => usual, 2 => plain, 1 => scoped]
}

fn any_connection() -> impl Strategy<Value = Connection> {
    let id = prop_oneof![1_u64..20, any::<u64>()];
    (id, any::<u32>(), option::of(any_address())).prop_map(|(id, ordinal, forwarded_from)| {
        Connection {
            id,
            ordinal,
            forwarded_from,
        }
    })
}

fn any_request() -> impl Strategy<Value = Message> {
    let head = (
        "(GET|POST|DELETE|CONNECT|[A-Z]{1,9})",
        "(/[a-z0-9]{0,6}){1,4}(\\?[a-z]=[a-z0-9]{0,8})?",
        "(Host|host): [a-z]{1,5}(:80)?",
    )
        .prop_map(|(method, target, host)| format!("{method} {target} HTTP/1.1\r\n{host}\r\n\r\n"));
    any_message(prop_oneof![4 => head.prop_map(Bytes::from), 1 => any_bytes(80)])
}

fn any_response() -> impl Strategy<Value = Message> {
    let head = (100_u16..600, "[ -~]{0,20}")
        .prop_map(|(status, reason)| format!("HTTP/1.1 {status} {reason}\r\nA: b\r\n\r\n"));
    any_message(prop_oneof![
        4 => head.prop_map(Bytes::from),
        1 => Just(Bytes::new()),
        1 => any_bytes(80),
    ])
}

fn any_message(head: impl Strategy<Value = Bytes>) -> impl Strategy<Value = Message> {
    (
        head,
        any_bytes(300),
        any::<u64>(),
        option::of(any_digest()),
        any_bytes(40),
        option::of(select(Omitted::ALL)),
        any::<bool>(),
    )
        .prop_map(
            |(head, body, body_size, body_digest, trailers, omitted, decoded)| Message {
                head,
                body,
                body_size,
                body_digest,
                trailers,
                omitted,
                decoded,
            },
        )
}

fn any_phases() -> impl Strategy<Value = Phases> {
    let at = || option::of(prop_oneof![0_u64..10_000_000_000, any::<u64>()]);
    [at(), at(), at(), at(), at(), at()].prop_map(
        |[
            connected,
            request_first,
            request_last,
            response_first,
            response_last,
            closed,
        ]| Phases {
            connected,
            request_first,
            request_last,
            response_first,
            response_last,
            closed,
        },
    )
}

fn any_detail() -> impl Strategy<Value = Detail> {
    let word = || option::of(".{0,16}");
    let opaque = (option::of(select(Side::ALL)), word(), any::<u64>(), word()).prop_map(
        |(first_speaker, recognised, from_byte, reason)| Opaque {
            first_speaker,
            recognised,
            from_byte,
            reason,
        },
    );
    let reset = (select(Side::ALL), any::<u32>()).prop_map(|(by, code)| Reset { by, code });
    let http2 =
        (option::of(reset), any::<bool>()).prop_map(|(reset, pushed)| Http2 { reset, pushed });
    prop_oneof![
        3 => Just(Detail::None),
        1 => any_hello().prop_map(Detail::Tls),
        1 => opaque.prop_map(Detail::Opaque),
        1 => http2.prop_map(Detail::Http2),
        1 => any_sql().prop_map(Detail::Sql),
        1 => any_redis().prop_map(Detail::Redis),
    ]
}

fn any_sql() -> impl Strategy<Value = Sql> {
    let what = (
        "[A-Z]{0,9}",
        "(SELECT|UPDATE) [ -~é]{0,40}",
        select(SqlSent::ALL),
        any::<u32>(),
        option::of(any::<u64>()),
    );
    let error = (any_code(), select(Severity::ALL))
        .prop_map(|(code, severity)| SqlError { code, severity });
    let session = (option::of(".{0,8}"), option::of(".{0,8}"), any::<bool>());
    (what, option::of(error), session).prop_map(|(what, error, session)| Sql {
        command: what.0,
        fingerprint: what.1,
        sent: what.2,
        params: what.3,
        rows: what.4,
        error,
        database: session.0,
        user: session.1,
        in_transaction: session.2,
    })
}

fn any_redis() -> impl Strategy<Value = Redis> {
    let what = ("[A-Z]{0,9}", "([a-z0-9]{0,4}[:./]?){0,4}", any::<u32>());
    let session = (
        option::of(any::<u32>()),
        option::of(".{0,8}"),
        any::<u32>(),
        any::<bool>(),
    );
    (what, option::of(any_code()), session).prop_map(|(what, error, session)| Redis {
        command: what.0,
        key: what.1,
        keys: what.2,
        error,
        database: session.0,
        user: session.1,
        version: session.2,
        in_transaction: session.3,
    })
}

fn any_code() -> impl Strategy<Value = ErrorCode> {
    "[A-Z0-9_]{1,20}".prop_map(|code| ErrorCode::read(code.as_bytes()).expect("a code"))
}

fn any_hello() -> impl Strategy<Value = TlsHello> {
    (
        option::of(".{0,16}"),
        vec("[a-z0-9/.]{0,8}", 0..3),
        vec(any::<u16>(), 0..3),
        any::<[u8; 32]>(),
    )
        .prop_map(|(sni, alpn, versions, random)| TlsHello {
            sni,
            alpn,
            versions,
            random,
        })
}

fn any_secure() -> impl Strategy<Value = Secure> {
    let certificate = (".{0,16}", any::<i64>())
        .prop_map(|(subject, expires_s)| Certificate { subject, expires_s });
    (
        select(TlsHandling::ALL),
        select(TlsReason::ALL),
        any_hello(),
        option::of("[a-z0-9/.]{0,8}"),
        option::of(any::<u16>()),
        option::of(certificate),
    )
        .prop_map(
            |(handling, reason, hello, alpn, version, certificate)| Secure {
                handling,
                reason,
                hello,
                alpn,
                version,
                certificate,
            },
        )
}

fn any_stream() -> impl Strategy<Value = Stream> {
    let message = (
        (select(Side::ALL), select(MessageKind::ALL), any::<u64>()),
        (any::<u64>(), any::<bool>(), any_bytes(40)),
        (any::<bool>(), option::of(select(Omitted::ALL))),
    )
        .prop_map(|(what, said, kept)| StreamMessage {
            from: what.0,
            kind: what.1,
            at: what.2,
            size: said.0,
            compressed: said.1,
            payload: said.2,
            decoded: kept.0,
            omitted: kept.1,
        });
    (any::<u64>(), any::<u64>(), vec(message, 0..4)).prop_map(
        |(client_messages, server_messages, messages)| Stream {
            client_messages,
            server_messages,
            messages,
        },
    )
}

fn any_digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 16]>().prop_map(Digest)
}

fn any_bytes(longest: usize) -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..=longest).prop_map(Bytes::from)
}
