//! Blocks of other versions: kept ones of older sidecars, and what a newer one might write.

use std::net::SocketAddr;
use std::sync::Arc;

use prost::Message as _;

use super::*;
use crate::block::columns::ColumnsBuilder;
use crate::block::directory::DirectoryRecord;
use crate::block::part::Kind;
use crate::block::record::HeadRecord;
use crate::block::writer::PartWriter;
use crate::call::{
    CallError, Certificate, Connection, Detail, Digest, EffectKind, ErrorCode, Http2, Injected,
    Leg, Message, MessageKind, Omitted, Opaque, Protocol, Redis, Reset, Secure, Severity, Side,
    Sql, SqlError, SqlSent, State, Stream, StreamMessage, TlsHandling, TlsHello, TlsReason,
};
use crate::testing::{grpc_call, redis_call, sql_call};

/// Written by the first version. Never written again: what a later version adds gets a file of its
/// own.
const V1: &[u8] = include_bytes!("../../../tests/fixtures/block-v1.bin");
/// The same block and one more, merged by the first version.
const V1_MERGED: &[u8] = include_bytes!("../../../tests/fixtures/block-v1-merged.bin");

/// Written by the first version that knew messages inside bodies, ends of streams and the statuses
/// of gRPC.
const V2: &[u8] = include_bytes!("../../../tests/fixtures/block-v2.bin");
/// The first version's block and this one, merged by the second version.
const V2_MERGED: &[u8] = include_bytes!("../../../tests/fixtures/block-v2-merged.bin");

/// Written by the first version that knew injected faults.
const FAULTS: &[u8] = include_bytes!("../../../tests/fixtures/block-faults.bin");
/// The same calls, written by the first version that had a column of faults.
const FAULT_COLUMN: &[u8] = include_bytes!("../../../tests/fixtures/block-fault-column.bin");
/// Written by the first version that knew calls of databases.
const DATABASES: &[u8] = include_bytes!("../../../tests/fixtures/block-databases.bin");
/// Written by the first version that intercepted TLS.
const SECURE: &[u8] = include_bytes!("../../../tests/fixtures/block-secure.bin");

fn kept_meta() -> BlockMeta {
    BlockMeta {
        origin: Origin {
            incarnation: 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef,
            workload: "orders".into(),
            namespace: "shop".into(),
            pod: "orders-7d4b9c-x2x".into(),
            pod_uid: "5f0c".into(),
            revision: "7d4b9c".into(),
            serves: vec![
                "10.0.0.2:8080".parse().unwrap(),
                "[fd00::2]:0".parse().unwrap(),
            ],
        },
        sequence: 41,
        sealed_ns: 1_790_000_000_000_000_000,
        redaction_key: "k-1".into(),
        drops: vec![Drop {
            reason: "budget".into(),
            calls: 3,
            since_ns: 1_789_999_999_000_000_000,
            until_ns: 1_789_999_999_500_000_000,
        }],
    }
}

fn kept_calls() -> Vec<Call> {
    let mut posted = call(1_789_999_999_700_000_000, "/", 201);
    posted.leg = Leg::Outbound;
    posted.src = "[fd00::2]:51000".parse().unwrap();
    posted.connection = Connection {
        id: 12,
        ordinal: 2,
        forwarded_from: Some(SocketAddr::from(([10, 0, 0, 2], 51_001))),
    };
    posted.request.head =
        "POST /api/orders/17?dry=1 HTTP/1.1\r\nhOST: db.shop\r\nExpect: 100-continue\r\n\r\n"
            .into();
    posted.request.body = "{\"card\":\"[redacted]\"}".into();
    posted.request.body_size = 70_000;
    posted.request.body_digest = Some(Digest([7; 16]));
    posted.request.omitted = Some(Omitted::Limit);
    posted.response.trailers = "Grpc-Status: 0\r\n".into();
    posted.response.decoded = true;
    posted.interim = "HTTP/1.1 100 Continue\r\n\r\n".into();
    posted.closed_by = Some(Side::Server);
    posted.join_digest = Some(Digest(*b"0123456789abcdef"));

    let mut hello = call(1_789_999_999_800_000_000, "/", 200);
    hello.protocol = Protocol::Tls;
    hello.request = Default::default();
    hello.response = Default::default();
    hello.detail = Detail::Tls(TlsHello {
        sni: Some("db.shop".into()),
        alpn: vec!["h2".into(), "http/1.1".into()],
        versions: vec![0x0304, 0x0303],
        random: [9; 32],
    });

    let mut opaque = hello.clone();
    opaque.protocol = Protocol::Opaque;
    opaque.state = State::Lost;
    opaque.error = Some(CallError::ServerReset);
    opaque.detail = Detail::Opaque(Opaque {
        first_speaker: Some(Side::Server),
        recognised: Some("ssh".into()),
        from_byte: 5,
        reason: Some("upgraded".into()),
    });
    let mut probe = call(1_789_999_999_900_000_000, "/healthz", 200);
    probe.probe = true;
    vec![posted, hello, opaque, probe]
}

fn kept_open_calls() -> Vec<Call> {
    let mut running = call(1_789_999_999_950_000_000, "/slow", 200);
    running.state = State::Open;
    running.response = Default::default();
    running.phases.response_first = None;
    running.phases.response_last = None;
    vec![running]
}

#[test]
fn a_block_of_the_first_version_reads() {
    let block = open(Bytes::from_static(V1));
    assert_eq!(block.verify(), Ok(()));
    assert_eq!(block.meta(), &kept_meta());
    assert_eq!(block.calls(), Ok(kept_calls()));
    assert_eq!(block.open_calls(), Ok(Some(kept_open_calls())));
    assert_columns_describe(&block, &kept_calls());
    let summary = block.summary();
    assert_eq!((summary.calls, summary.probes, summary.errors), (4, 1, 1));
    assert_eq!(summary.open, Some(1));
}

#[test]
fn a_merged_block_of_the_first_version_reads() {
    let block = open(Bytes::from_static(V1_MERGED));
    assert_eq!(block.verify(), Ok(()));
    let mut expected = kept_calls();
    expected.extend(calls(20));
    assert_eq!(block.calls().as_ref(), Ok(&expected));
    assert_eq!(block.open_calls(), Ok(Some(kept_open_calls())));
    assert_columns_describe(&block, &expected);
    let sources = [(100, 41, 4), (107, 42, 20)];
    let expected = sources.map(|(block, sequence, calls)| Source {
        block,
        sequence,
        calls,
    });
    assert_eq!(block.sources(), expected);
    assert_eq!(block.open_id(900, 0).to_string(), "c100-4");
}

/// What the second version added.
fn kept_streams() -> Vec<Call> {
    let mut cancelled = grpc_call(1_790_000_000_100_000_000, "/shop.Orders/Watch", Some(13));
    cancelled.error = Some(CallError::ServerCancelled);
    cancelled.detail = Detail::Http2(Http2 {
        reset: Some(Reset {
            by: Side::Server,
            code: 8,
        }),
        pushed: true,
    });
    let message = |from, kind, payload: &'static str| StreamMessage {
        from,
        kind,
        at: 7_000_000,
        size: 300,
        compressed: true,
        payload: payload.into(),
        decoded: true,
        omitted: Some(Omitted::Limit),
    };
    let mut chat = call(1_790_000_000_200_000_000, "/chat", 101);
    chat.protocol = Protocol::WebSocket;
    chat.response.body = Bytes::new();
    chat.response.body_size = 900;
    chat.stream = Some(Box::new(Stream {
        client_messages: 2,
        server_messages: 1,
        messages: vec![
            message(Side::Client, MessageKind::Text, "hello"),
            message(Side::Client, MessageKind::Ping, ""),
            message(Side::Server, MessageKind::Binary, "\u{1}\u{2}"),
        ],
    }));
    vec![cancelled, chat]
}

#[test]
fn a_block_of_the_second_version_reads() {
    let block = open(Bytes::from_static(V2));
    assert_eq!(block.verify(), Ok(()));
    assert_eq!(block.calls(), Ok(kept_streams()));
    assert_eq!(block.open_calls(), Ok(Some(kept_open_calls())));
    assert_columns_describe(&block, &kept_streams());
    let columns = block.columns().unwrap();
    assert_eq!(columns.grpc_status, [14, 0]);
    assert_eq!(columns.streams, [false, false], "it has no such column");
}

#[test]
fn a_merged_block_of_the_second_version_reads() {
    let block = open(Bytes::from_static(V2_MERGED));
    assert_eq!(block.verify(), Ok(()));
    let mut expected = kept_calls();
    expected.extend(kept_streams());
    assert_eq!(block.calls().as_ref(), Ok(&expected));
    assert_columns_describe(&block, &expected);
}

fn kept_faults() -> Vec<Call> {
    let injected = |call: Call, effect| Call {
        fault: Some(Injected {
            id: "f-7k2m9x4p".into(),
            effect,
        }),
        ..call
    };
    let mut reset = call(1_790_000_000_300_000_000, "/pay", 200);
    reset.response = Message::default();
    reset.error = Some(CallError::FaultReset);
    vec![
        injected(reset, EffectKind::Reset),
        injected(
            call(1_790_000_000_400_000_000, "/pay", 503),
            EffectKind::Status,
        ),
    ]
}

#[test]
fn a_block_of_the_first_version_with_faults_reads() {
    let block = open(Bytes::from_static(FAULTS));
    assert_eq!(block.verify(), Ok(()));
    assert_eq!(block.calls(), Ok(kept_faults()));
    assert_columns_describe(&block, &kept_faults());
    let columns = block.columns().unwrap();
    assert_eq!(columns.faults, [0, 0], "it has no such column");
}

#[test]
fn a_block_of_the_first_version_with_a_column_of_faults_reads() {
    let block = open(Bytes::from_static(FAULT_COLUMN));
    assert_eq!(block.verify(), Ok(()));
    assert_eq!(block.calls(), Ok(kept_faults()));
    assert_columns_describe(&block, &kept_faults());
    assert_eq!(block.columns().unwrap().faults, [3, 1]);
}

/// What the first version with databases added.
fn kept_databases() -> Vec<Call> {
    let mut inserted = sql_call(
        1_790_000_000_300_000_000,
        "INSERT INTO orders (id) VALUES (?)",
    );
    inserted.detail = Detail::Sql(Sql {
        command: "INSERT".into(),
        fingerprint: "INSERT INTO orders (id) VALUES (?)".into(),
        sent: SqlSent::Prepared,
        params: 1,
        rows: Some(0),
        error: Some(SqlError {
            code: ErrorCode::read(b"23505").unwrap(),
            severity: Severity::Fatal,
        }),
        database: Some("shop".into()),
        user: Some("orders".into()),
        in_transaction: true,
    });
    let mut read = redis_call(1_790_000_000_400_000_000, "GET", "order:17");
    read.detail = Detail::Redis(Redis {
        command: "GET".into(),
        key: "order:17".into(),
        keys: 1,
        error: ErrorCode::read(b"WRONGTYPE"),
        database: Some(3),
        user: Some("cache".into()),
        version: 3,
        in_transaction: true,
    });
    vec![inserted, read]
}

#[test]
fn a_block_of_the_first_version_with_databases_reads() {
    let block = open(Bytes::from_static(DATABASES));
    assert_eq!(block.verify(), Ok(()));
    assert_eq!(block.calls(), Ok(kept_databases()));
    assert_columns_describe(&block, &kept_databases());
    let columns = block.columns().unwrap();
    let refused = |row: usize| &*columns.texts[columns.refused[row] as usize];
    assert_eq!((refused(0), refused(1)), ("23505", "WRONGTYPE"));
}

/// What the version that intercepts TLS added.
fn kept_secure() -> Vec<Call> {
    let hello = TlsHello {
        sni: Some("api.shop".into()),
        alpn: vec!["h2".into(), "http/1.1".into()],
        versions: vec![0x0304],
        random: [5; 32],
    };
    let mut inside = call(1_790_000_000_300_000_000, "/pay", 200);
    inside.secure = Some(Arc::new(Secure {
        handling: TlsHandling::Intercepted,
        reason: TlsReason::Asked,
        hello: hello.clone(),
        alpn: Some("http/1.1".into()),
        version: Some(0x0304),
        certificate: Some(Certificate {
            subject: "CN=api.shop".into(),
            expires_s: 1_800_000_000,
        }),
    }));
    let mut refused = call(1_790_000_000_400_000_000, "/", 200);
    refused.protocol = Protocol::Tls;
    refused.request = Default::default();
    refused.response = Default::default();
    refused.error = Some(CallError::CertificateRefused);
    refused.detail = Detail::Tls(hello.clone());
    refused.secure = Some(Arc::new(Secure {
        handling: TlsHandling::Intercepted,
        reason: TlsReason::Refused,
        hello,
        alpn: None,
        version: None,
        certificate: None,
    }));
    vec![inside, refused]
}

#[test]
fn a_block_of_the_first_version_that_intercepted_reads() {
    let block = open(Bytes::from_static(SECURE));
    assert_eq!(block.verify(), Ok(()));
    assert_eq!(block.calls(), Ok(kept_secure()));
    assert_columns_describe(&block, &kept_secure());
}

/// A field with a number that this version does not have.
const UNKNOWN_FIELD: &[u8] = b"\xfa\x3e\x05later";

/// A block as a later version could write it: more fields everywhere, and codes that are unknown
/// here.
fn newer_block() -> Bytes {
    let known = call(5, "/api/orders/1", 200);
    let mut columns = ColumnsBuilder::default();
    columns.push(&known);
    columns.columns.protocol[0] = 99;
    columns.columns.error[0] = 212;
    let mut record = HeadRecord::of(&known);
    record.protocol = 99;
    record.state = 1_000;
    record.error = Some(211);
    record.closed_by = Some(88);
    record.request.as_mut().unwrap().omitted = Some(77);
    let mut record = record.encode_to_vec();
    record.extend_from_slice(UNKNOWN_FIELD);

    let mut writer = PartWriter::new(Codec::Raw, 0);
    writer.part(Kind::Columns, 0, |raw| {
        columns.write(raw);
        raw.extend_from_slice(UNKNOWN_FIELD);
        1
    });
    writer.part(Kind::Heads, 0, |raw| {
        prost::encode_length_delimiter(record.len(), raw).unwrap();
        raw.extend_from_slice(&record);
        1
    });
    writer.part(Kind::Open, 0, |_| 0);
    let summary = BlockSummary::of(&columns, None);
    writer.finish(DirectoryRecord {
        meta: Some((&meta(3)).into()),
        summary: Some((&summary).into()),
        ..DirectoryRecord::default()
    })
}

/// The same, with a part of a kind and in a codec that are unknown here.
fn newer_block_with_an_unknown_part() -> Bytes {
    damage::forge(&newer_block(), |directory| {
        let last = directory.parts.last_mut().unwrap();
        (last.kind, last.codec) = (99, 77);
    })
}

#[test]
fn what_a_newer_sidecar_writes_still_reads() {
    for bytes in [newer_block(), newer_block_with_an_unknown_part()] {
        let block = open(bytes);
        assert_eq!(block.verify(), Ok(()));
        let read = block.call(0).unwrap().unwrap();
        let mut expected = call(5, "/api/orders/1", 200);
        expected.response.body = Bytes::new();
        expected.protocol = Protocol::Opaque;
        expected.error = Some(CallError::Other);
        expected.request.omitted = Some(Omitted::Other);
        assert_eq!(read, expected);
        let columns = block.columns().unwrap();
        assert_eq!((columns.protocol[0], columns.error[0]), (99, 212));
    }
}

#[test]
fn a_part_that_is_unknown_is_not_merged_away() {
    let block = open(newer_block_with_an_unknown_part());
    let refused = merge(&[(1, block)]).unwrap_err();
    assert!(matches!(refused, BlockError::Unmergeable(_)), "{refused}");
}

#[test]
fn unknown_fields_of_a_call_survive_a_merge() {
    let merged = open(merge(&[(1, open(newer_block()))]).unwrap());
    let records = merged.raw_records(Kind::Heads).unwrap();
    assert!(records[0].ends_with(UNKNOWN_FIELD));
}
