//! Blocks written, read, merged, damaged, and read by versions other than their writer's.

mod damage;
mod versions;

use std::net::SocketAddr;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::about::About;
use crate::call::{Call, CallId, Omitted};
use crate::head::response_status;
use crate::testing::{any_call, any_meta, call};

const CODECS: [Codec; 3] = [Codec::Raw, Codec::Lz4, Codec::Zstd];

fn meta(sequence: u64) -> BlockMeta {
    BlockMeta {
        origin: Origin {
            incarnation: 7,
            workload: "orders".into(),
            namespace: "shop".into(),
            serves: vec![SocketAddr::from(([10, 0, 0, 2], 8080))],
            ..Origin::default()
        },
        sequence,
        sealed_ns: 1_000,
        redaction_key: "k-1".into(),
        drops: Vec::new(),
    }
}

fn calls(count: usize) -> Vec<Call> {
    (0..count)
        .map(|index| call(index as i64 * 1_000, &format!("/api/orders/{index}"), 200))
        .collect()
}

fn open(bytes: Bytes) -> Block {
    Block::open(bytes).expect("a block that was just sealed opens")
}

fn assert_columns_describe(block: &Block, calls: &[Call]) {
    let columns = block.columns().unwrap();
    assert_eq!(columns.len(), calls.len());
    let text = |number: u32| columns.texts[number as usize].as_str();
    for (at, call) in calls.iter().enumerate() {
        let about = About::of(call);
        assert_eq!(columns.time_ns[at], call.time_ns);
        assert_eq!(columns.protocol[at], call.protocol.code());
        assert_eq!(columns.leg[at], call.leg.code());
        assert_eq!(columns.state[at], call.state.code());
        assert_eq!(columns.probe[at], call.probe);
        assert_eq!(columns.addresses[columns.src[at] as usize], call.src);
        assert_eq!(columns.addresses[columns.dst[at] as usize], call.dst);
        assert_eq!(text(columns.method[at]), about.method);
        assert_eq!(text(columns.host[at]), about.host);
        assert_eq!(text(columns.path[at]), about.path);
        assert_eq!(text(columns.query[at]), about.query);
        assert_eq!(text(columns.route[at]), about.route());
        let status = response_status(&call.response.head).unwrap_or(0);
        assert_eq!(columns.status[at], status);
        let error = call.error.map_or(0, |error| error.code() + 1);
        assert_eq!(columns.error[at], error);
        let latency = call.phases.latency_ns();
        assert_eq!(
            columns.latency_ns[at],
            latency.map_or(0, |ns| ns.saturating_add(1))
        );
        assert_eq!(columns.request_size[at], call.request.body_size);
        assert_eq!(columns.response_size[at], call.response.body_size);
        assert_eq!(columns.connection[at], call.connection.id);
        assert_eq!(columns.ordinal[at], call.connection.ordinal);
        let grpc_status = crate::grpc::status(call).map_or(0, |status| status + 1);
        assert_eq!(columns.grpc_status[at], grpc_status);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_sealed_reads_back(
        meta in any_meta(),
        calls in vec(any_call(), 0..40),
        open_calls in proptest::option::of(vec(any_call(), 0..4)),
        codec in select(&CODECS[..]),
    ) {
        let block = open(seal(&meta, &calls, open_calls.as_deref(), codec));
        prop_assert_eq!(block.verify(), Ok(()));
        prop_assert_eq!(block.meta(), &meta);
        prop_assert_eq!(block.len() as usize, calls.len());
        prop_assert_eq!(&block.calls().unwrap(), &calls);
        prop_assert_eq!(block.open_calls().unwrap(), open_calls);
        assert_columns_describe(&block, &calls);
        let streams: Vec<bool> = calls.iter().map(Call::is_stream).collect();
        prop_assert_eq!(block.columns().unwrap().streams, streams);
        let faults = |call: &Call| call.fault.as_ref().map_or(0, |it| it.effect.code() + 1);
        let faults: Vec<u8> = calls.iter().map(faults).collect();
        prop_assert_eq!(block.columns().unwrap().faults, faults);
        let heads = block.heads().unwrap();
        for (at, call) in calls.iter().enumerate() {
            let found = block.call(at as u32).unwrap();
            prop_assert_eq!(found.as_ref(), Some(call));
            prop_assert_eq!(heads.request(at), &*call.request.head);
            prop_assert_eq!(heads.response(at), &*call.response.head);
            let mut bare = call.clone();
            bare.request.body = Bytes::new();
            bare.response.body = Bytes::new();
            if let Some(stream) = &mut bare.stream {
                stream.messages.clear();
            }
            prop_assert_eq!(heads.call(at), Some(bare.clone()));
            prop_assert_eq!(block.call_without_bodies(at as u32).unwrap(), Some(bare));
        }
        prop_assert_eq!(block.call(calls.len() as u32), Ok(None));
    }

    #[test]
    fn merged_blocks_hold_every_call_under_its_id(
        meta in any_meta(),
        batches in vec((vec(any_call(), 0..30), proptest::option::of(vec(any_call(), 0..3))), 1..6),
        codec in select(&CODECS[..]),
        split in 0_usize..6,
    ) {
        let blocks: Vec<(u64, Block)> = batches
            .iter()
            .zip(1..)
            .map(|((calls, running), number)| {
                let meta = BlockMeta { sequence: number, ..meta.clone() };
                (number * 10, open(seal(&meta, calls, running.as_deref(), codec)))
            })
            .collect();
        // Some first, and what that gives with the others: merged blocks merge again.
        let (some, others) = blocks.split_at(split.min(blocks.len()));
        let mut again = others.to_vec();
        if !some.is_empty() {
            again.insert(0, (1_000, open(merge(some).unwrap())));
        }
        let merged = open(merge(&again).unwrap());
        prop_assert_eq!(merged.verify(), Ok(()));
        let expected: Vec<Call> = batches.iter().flat_map(|(calls, _)| calls.clone()).collect();
        prop_assert_eq!(&merged.calls().unwrap(), &expected);
        assert_columns_describe(&merged, &expected);
        let ids: Vec<CallId> = blocks.iter().flat_map(|(number, block)| block.ids(*number)).collect();
        prop_assert_eq!(merged.ids(2_000).collect::<Vec<_>>(), ids.clone());
        for (position, id) in ids.into_iter().enumerate() {
            prop_assert_eq!(merged.position_of(2_000, id), Some(position as u32));
        }
        let last = blocks.iter().rev().find(|(_, block)| block.summary().open.is_some());
        prop_assert_eq!(
            merged.open_calls(),
            last.map_or(Ok(None), |(_, block)| block.open_calls())
        );
        if let Some((number, block)) = last {
            prop_assert_eq!(merged.open_id(2_000, 1), block.open_id(*number, 1));
        }
    }
}

#[test]
fn a_summary_says_what_occurs() {
    let mut all = calls(3);
    all[1] = call(500, "/health", 503);
    all[1].probe = true;
    all[2].response.head = Bytes::new();
    all[2].error = Some(crate::call::CallError::ServerReset);
    let block = open(seal(&meta(1), &all, Some(&all[..1]), Codec::Lz4));
    let words = |words: &[&str]| Some(words.iter().map(ToString::to_string).collect());
    assert_eq!(
        *block.summary(),
        BlockSummary {
            calls: 3,
            first_ns: 0,
            last_ns: 2_000,
            statuses: [1, 0, 1, 0, 0, 1],
            status_codes: Some(vec![0, 200, 503]),
            errors: 1,
            probes: 1,
            protocols: vec![1],
            legs: vec![0],
            methods: words(&["GET"]),
            hosts: words(&["shop"]),
            routes: words(&["/api/orders/{id}", "/health"]),
            request_bytes: 0,
            response_bytes: 6,
            longest_ns: 2_000_000,
            open: Some(1),
        }
    );
}

#[test]
fn words_that_are_too_many_to_list_are_not() {
    let calls: Vec<Call> = (0..200_u8)
        .map(|at| {
            let word = char::from(b'g' + at % 16);
            let path = format!("/{}", word.to_string().repeat(1 + usize::from(at / 16)));
            call(0, &path, 200)
        })
        .collect();
    let block = open(seal(&meta(1), &calls, None, Codec::Raw));
    assert_eq!(block.summary().routes, None);
    assert_eq!(block.summary().methods, Some(vec!["GET".to_owned()]));
}

#[test]
fn what_is_too_long_is_cut_and_says_so() {
    let mut long = call(0, &format!("/{}", "long".repeat(100_000)), 200);
    long.response.body = vec![7; 5 * 1024 * 1024].into();
    let block = open(seal(&meta(1), &[long.clone()], None, Codec::Lz4));
    assert_eq!(block.verify(), Ok(()));
    let read = block.call(0).unwrap().unwrap();
    assert_eq!(read.request.head, long.request.head.slice(..256 * 1024));
    assert_eq!(read.request.omitted, Some(Omitted::Head));
    assert_eq!(read.response.body.len(), 4 * 1024 * 1024);
    assert_eq!(read.response.omitted, Some(Omitted::Limit));
    let columns = block.columns().unwrap();
    let path = &columns.texts[columns.path[0] as usize];
    assert_eq!(path.len(), COLUMN_TEXT_BYTES);
}

#[test]
fn the_largest_block_that_is_sealed_reads() {
    let calls: Vec<Call> = (0..MAX_SEALED_CALLS)
        .map(|at| call(0, &format!("/{}/{at}", "word/".repeat(500)), 200))
        .collect();
    let block = open(seal(&meta(1), &calls, Some(&calls), Codec::Raw));
    assert_eq!(block.verify(), Ok(()));
    assert_eq!(block.len() as usize, MAX_SEALED_CALLS);
    let listed = block.open_calls().unwrap().unwrap().len();
    assert!(listed < MAX_OPEN_CALLS, "the list is bounded by its bytes");
    assert_eq!(block.summary().open, Some(MAX_SEALED_CALLS as u32));
}

#[test]
fn a_block_of_nothing_but_its_origin_reads() {
    for open_calls in [None, Some(&[][..])] {
        let block = open(seal(&meta(8), &[], open_calls, Codec::Lz4));
        assert_eq!(block.verify(), Ok(()));
        assert!(block.is_empty());
        assert_eq!(block.meta(), &meta(8));
        assert_eq!(block.columns().unwrap().texts, [""]);
        assert_eq!(block.open_calls(), Ok(open_calls.map(<[Call]>::to_vec)));
        assert_eq!(block.call(0), Ok(None));
        assert_eq!(
            block.position_of(
                3,
                CallId {
                    block: 3,
                    ordinal: 0
                }
            ),
            None
        );
    }
}

#[test]
fn blocks_that_do_not_belong_together_are_not_merged() {
    let block = |meta: &BlockMeta| open(seal(meta, &calls(1), None, Codec::Raw));
    let one = block(&meta(1));
    let mut other_sidecar = meta(2);
    other_sidecar.origin.incarnation = 8;
    let other_key = BlockMeta {
        redaction_key: "k-2".into(),
        ..meta(2)
    };
    for other in [other_sidecar, other_key] {
        let refused = merge(&[(1, one.clone()), (2, block(&other))]).unwrap_err();
        assert!(matches!(refused, BlockError::Unmergeable(_)), "{refused}");
    }
    assert!(merge(&[]).is_err());
}

#[test]
fn a_merged_block_has_the_drops_of_all() {
    let block = |sequence, reason: &str, since_ns| {
        let meta = BlockMeta {
            drops: vec![Drop {
                reason: reason.into(),
                calls: 2,
                since_ns,
                until_ns: since_ns + 1,
            }],
            ..meta(sequence)
        };
        (sequence, open(seal(&meta, &calls(1), None, Codec::Raw)))
    };
    let blocks = [
        block(1, "budget", 10),
        block(2, "queue", 15),
        block(3, "budget", 20),
    ];
    let merged = open(merge(&blocks).unwrap());
    assert_eq!(merged.meta().sequence, 3);
    let drops: Vec<_> = merged
        .meta()
        .drops
        .iter()
        .map(|drop| {
            (
                drop.reason.as_str(),
                drop.calls,
                drop.since_ns,
                drop.until_ns,
            )
        })
        .collect();
    assert_eq!(
        drops,
        [
            ("budget", 2, 10, 11),
            ("budget", 2, 20, 21),
            ("queue", 2, 15, 16)
        ]
    );
}

#[test]
fn drops_for_more_reasons_than_are_listed_are_still_counted() {
    let mut many = meta(1);
    many.drops = (0..100)
        .map(|at| Drop {
            reason: format!("reason {at}"),
            calls: 2,
            since_ns: 100 - at,
            until_ns: at,
        })
        .collect();
    let block = open(seal(&many, &[], None, Codec::Raw));
    let drops = &block.meta().drops;
    assert_eq!(drops.len(), MAX_DROPS);
    assert_eq!(drops.iter().map(|drop| drop.calls).sum::<u64>(), 200);
    let last = drops.last().unwrap();
    assert_eq!(
        (last.reason.as_str(), last.since_ns, last.until_ns),
        (OTHER_DROPS, 1, 99)
    );
}
