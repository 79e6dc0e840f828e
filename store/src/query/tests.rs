//! Questions over random blocks are answered as a plain loop over all calls would.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::block::{Block, BlockMeta, Codec, Columns, merge, seal};
use crate::call::{
    CallError, EffectKind, Injected, Leg, Message, MessageKind, Omitted, Protocol, Side, State,
    Stream, StreamMessage,
};
use crate::names::Names;
use crate::store::{Namespaces, Scope, StoreError};
use crate::testing;

const FOREVER: Duration = Duration::from_secs(3600);

/// Blocks in memory.
struct Blocks {
    entries: Arc<[BlockEntry]>,
    blocks: BTreeMap<u64, Block>,
    open: Vec<(CallId, Arc<Origin>, Call)>,
    names: Arc<Names>,
}

impl Blocks {
    fn new(sealed: Vec<(u64, Bytes)>, open: Vec<(CallId, Arc<Origin>, Call)>) -> Self {
        let mut entries = Vec::new();
        let mut blocks = BTreeMap::new();
        let mut names = Names::default();
        for (number, bytes) in sealed {
            let block = Block::open(bytes).unwrap();
            let origin = Arc::new(block.meta().origin.clone());
            let summary = block.summary().clone();
            names.learn(&origin, summary.first_ns, summary.last_ns);
            entries.push(BlockEntry {
                number,
                origin,
                summary: Arc::new(summary),
            });
            blocks.insert(number, block);
        }
        entries.retain(|entry| entry.summary.calls > 0);
        entries.sort_by_key(|entry| (entry.summary.first_ns, entry.number));
        Self {
            entries: entries.into(),
            blocks,
            open,
            names: Arc::new(names),
        }
    }

    /// Every call, whole, in no order.
    fn calls(&self, scope: &Scope) -> Vec<FoundCall> {
        let names = self.names.seen_by(scope);
        let mut all = Vec::new();
        for entry in self.entries.iter() {
            let block = &self.blocks[&entry.number];
            let key = block.meta().redaction_key.as_str().into();
            for (id, call) in block.ids(entry.number).zip(block.calls().unwrap()) {
                all.push(found(scope, &names, id, (&entry.origin, &key), call));
            }
        }
        for (id, origin, call) in &self.open {
            all.push(found(
                scope,
                &names,
                *id,
                (origin, &Arc::default()),
                call.clone(),
            ));
        }
        all
    }
}

impl std::fmt::Debug for Blocks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.calls(&Scope::ALL)).finish()
    }
}

impl BlockSource for Blocks {
    fn entries(&self) -> Arc<[BlockEntry]> {
        Arc::clone(&self.entries)
    }

    fn columns(&self, number: u64) -> Result<Option<Arc<Columns>>, StoreError> {
        let block = self.blocks.get(&number);
        Ok(block.map(|block| Arc::new(block.columns().unwrap())))
    }

    fn block(&self, number: u64) -> Result<Option<Block>, StoreError> {
        Ok(self.blocks.get(&number).cloned())
    }

    fn open_calls(&self) -> Vec<(CallId, Arc<Origin>, Call)> {
        self.open.clone()
    }

    fn names(&self) -> Arc<Names> {
        Arc::clone(&self.names)
    }
}

/// A call of a small world, in which most filters find something.
fn any_call() -> impl Strategy<Value = Call> {
    let request = (
        select(&["GET", "POST", "DELETE"][..]),
        select(
            &[
                "/api/orders/1",
                "/api/orders/22?full=1&q=a%20b",
                "/login",
                "/",
            ][..],
        ),
        select(
            &[
                "",
                "X-Request-Id: r1\r\n",
                "Content-Type: application/json\r\nCookie: s=1\r\n",
            ][..],
        ),
        select(
            &[
                "",
                "{\"id\": 1, \"tags\": [\"a\"]}",
                "plain text",
                "{\"id\": \"1\"}",
            ][..],
        ),
    );
    let response = (
        select(&[0_u16, 200, 201, 404, 500, 503, 777][..]),
        select(&["", "Cache-Control: no-store\r\n"][..]),
        select(&["", "{\"ok\": true}", "error"][..]),
    );
    let rest = (
        0..60_i64,
        select(
            &[
                Protocol::Http1,
                Protocol::Http1,
                Protocol::Tls,
                Protocol::Opaque,
                Protocol::Grpc,
                Protocol::WebSocket,
            ][..],
        ),
        select(Leg::ALL),
        any::<bool>(),
        prop_oneof![3 => Just(None), 1 => select(CallError::ALL).prop_map(Some)],
        option::of(0..3_000_000_000_u64),
        ((0..4_u8, 0..3_u16), (0..4_u8, 0..3_u16)),
    );
    (request, response, rest).prop_map(|(request, response, rest)| {
        let (method, path, fields, body) = request;
        let (status, answered, answer) = response;
        let (time_ns, protocol, leg, probe, error, latency, (src, dst)) = rest;
        let mut call = testing::call(time_ns, path, status);
        let address = |(ip, port)| ([10, 0, 0, ip], 8080 + port).into();
        call.protocol = protocol;
        call.leg = leg;
        call.probe = probe;
        call.error = error;
        call.src = address(src);
        call.dst = address(dst);
        call.phases.request_first = Some(5);
        call.phases.response_last = latency.map(|ns| ns + 5);
        call.request.head = match protocol {
            Protocol::Http1 | Protocol::WebSocket => {
                format!("{method} {path} HTTP/1.1\r\nHost: shop\r\n{fields}\r\n")
            }
            Protocol::Grpc => format!(":method: POST\r\n:path: {path}\r\n"),
            _ => String::new(),
        }
        .into();
        call.request.body = body.into();
        call.request.body_size = body.len() as u64;
        call.response.head = match status {
            0 => String::new(),
            _ if protocol == Protocol::Grpc => {
                call.response.trailers =
                    format!("grpc-status: {}\r\n", latency.unwrap_or(2) % 18).into();
                ":status: 200\r\n".to_owned()
            }
            _ => format!("HTTP/1.1 {status} X\r\n{answered}\r\n"),
        }
        .into();
        call.response.body = answer.into();
        call.response.body_size = answer.len() as u64;
        if protocol == Protocol::WebSocket {
            call.stream = Some(Box::new(messages(body, answer)));
        }
        call
    })
}

/// A question and its answer inside a connection that was upgraded.
fn messages(asked: &'static str, answered: &'static str) -> Stream {
    let message = |from, kind, payload: &'static str| StreamMessage {
        from,
        kind,
        at: 7,
        size: payload.len() as u64,
        compressed: false,
        payload: payload.into(),
        decoded: false,
        omitted: None,
    };
    Stream {
        client_messages: 1,
        server_messages: 1,
        messages: vec![
            message(Side::Client, MessageKind::Text, asked),
            message(Side::Server, MessageKind::Binary, answered),
        ],
    }
}

fn any_origin() -> impl Strategy<Value = Origin> {
    (0..6_u8).prop_map(|number| Origin {
        incarnation: u128::from(number) + 1,
        workload: ["orders", "payment", "web"][usize::from(number) % 3].to_owned(),
        namespace: ["shop", "auth"][usize::from(number) % 2].to_owned(),
        pod: ["", "pod-a", "pod-b"][usize::from(number) / 2].to_owned(),
        revision: ["", "r1", "r2"][usize::from(number) % 3].to_owned(),
        serves: vec![([10, 0, 0, number % 4], if number < 3 { 0 } else { 8080 }).into()],
        ..Origin::default()
    })
}

fn any_blocks() -> impl Strategy<Value = Blocks> {
    let block = (any_origin(), vec(any_call(), 0..12));
    let open = vec((any_origin(), any_call()), 0..4);
    (vec(block, 0..8), open, any::<bool>()).prop_map(|(mut blocks, mut open, merged)| {
        let stored = blocks.iter_mut().flat_map(|(_, calls)| calls);
        let all = stored.chain(open.iter_mut().map(|(_, call)| call));
        for (ordinal, call) in (0..).zip(all) {
            call.connection.ordinal = ordinal;
        }
        let mut sealed = Vec::new();
        let mut by_origin: BTreeMap<u128, Vec<(u64, Block)>> = BTreeMap::new();
        for (number, (origin, calls)) in (1..).zip(&blocks) {
            let meta = BlockMeta {
                origin: origin.clone(),
                sequence: number,
                ..BlockMeta::default()
            };
            let bytes = seal(&meta, calls, None, Codec::Lz4);
            match merged {
                true => by_origin
                    .entry(origin.incarnation)
                    .or_default()
                    .push((number, Block::open(bytes).unwrap())),
                false => sealed.push((number, bytes)),
            }
        }
        for (number, parts) in (100..).zip(by_origin.values()) {
            sealed.push((number, merge(parts).unwrap()));
        }
        let open = open
            .into_iter()
            .enumerate()
            .map(|(place, (origin, mut call))| {
                call.state = State::Open;
                let id = CallId {
                    block: 1_000 + place as u64,
                    ordinal: 0,
                };
                (id, Arc::new(origin), call)
            });
        Blocks::new(sealed, open.collect())
    })
}

/// A filter of the kinds that people write.
fn any_filter() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => select(&[
            "http", "http1", "tls", "opaque", "probe", "true", "grpc", "ws", "http2", "failed", "!failed",
            "grpc && grpc_status != 0", "grpc_status == 13", "grpc_status > 3", "!(grpc_status == 0)",
            "grpc_status_name == 'INTERNAL'", "grpc_method == '1'", "grpc_service.startsWith('api')",
            "request_messages == 1", "response_messages > 1", "http2_reset == 'CANCEL'", "https",
            "tls_handling == 'intercepted'", "tls_reason != 'not_asked'", "tlsx_sni.contains('shop')", "ws_opcode == 'text'",
            "'binary' in ws_opcodes", "ws_request_payload_data.contains('text')",
            "method == 'GET'", "method in ['POST', 'PUT']", "path.startsWith('/api')",
            "path == '/login' || path == '/'", "path.matches('[0-9]+$')", "route == '/api/orders/{id}'",
            "route.contains('log')", "host == 'shop'", "url.endsWith('q=a%20b')", "query != ''",
            "query_string['q'] == 'a b'", "'full' in query_string", "size(query_string) == 2",
            "query_string.exists(k, k == 'q')", "http_version == 'HTTP/1.1'",
            "request.headers['x-request-id'] == 'r1'", "request.headers['x'] != '1'",
            "'cache-control' in response.headers", "has(request.headers.cookie)",
            "map_get(request.headers, 'x-request-id', '') == ''", "request.cookies.s == '1'",
            "request_body_size > 4", "response_body_size == 0", "request_headers_size > 40",
            "request.body.contains('text')", "request.json.id == 1", "request.json.id != '1'",
            "response.json.ok", "request.json.tags.exists(t, t == 'a')", "response.body != 'error'",
            "error != ''", "error == 'connect_refused'", "state == 'open'", "state == 'complete'",
            "leg == 'inbound'", "leg != 'inbound'", "engine == 'splice'", "protocol == 'tls'",
            "id == 'c1-0'", "conn_id == 1", "index >= 0", "latency_ms >= 1000.0", "latency_ms < 1",
            "elapsed_time > 2000000", "elapsed_time >= 0", "workload == 'orders'", "namespace == 'shop'",
            "pod == 'pod-a'", "revision == 'r1'", "'auth' in namespaces", "size(pods) == 2",
            "'web' in services", "map_get(local_labels, 'pod-template-hash', '') == 'r2'",
            "remote_labels['pod-template-hash'] == 'r1'", "remote_labels['pod-template-hash'] != 'r1'",
            "src.ip == '10.0.0.1'", "dst.port == 8081", "src.name == 'orders'",
            "dst.workload == 'payment'", "dst.workload == ''", "src.namespace != 'auth'",
            "dst.pod.name == 'pod-b'", "dst.service.name == 'web'", "src.service.namespace == 'shop'",
            "dst.revision == 'r1'", "src.port == dst.port", "src.workload == dst.workload",
            "src.ip == '10.0.0.2' && src.port == 8080", "node_name == ''", "flow_id == 0",
            "postgresql", "postgresql_command == 'SELECT'", "postgresql_error_code != ''", "postgresql_rows > 1",
            "!postgresql_success", "redis_key.contains('a')", "redis && redis_command != 'GET'",
            "tlsx_sni == 'x'", "mysql_success", "!mysql_success", "response.trailers.x == '1'",
            "response.cookies.t == '1'", "timestamp == timestamp(20)", "(leg == 'inbound' ? src.port : dst.port) == 8080",
        ][..]).prop_map(str::to_owned),
        1 => (select(&["status", "status_code"][..]), select(&["==", "!=", "<", ">=", ">"][..]), select(&[0, 200, 404, 500, 777][..]))
            .prop_map(|(name, sign, status)| format!("{name} {sign} {status}")),
        1 => (select(&["==", "!=", "<", "<=", ">=", ">"][..]), 0..60)
            .prop_map(|(sign, ns)| format!("timestamp {sign} timestamp('1970-01-01T00:00:00.{ns:09}Z')")),
    ];
    part.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 1..4).prop_map(|parts| format!("({})", parts.join(" && "))),
            vec(inner.clone(), 1..4).prop_map(|parts| format!("({})", parts.join(" || "))),
            inner.clone().prop_map(|part| format!("!({part})")),
            (inner.clone(), inner.clone(), inner)
                .prop_map(|(one, two, three)| format!("({one} ? {two} : {three})")),
        ]
    })
}

fn any_scope() -> impl Strategy<Value = Scope> {
    let only = |names: &[&str]| {
        let names = names.iter().map(|&name| name.into());
        Namespaces::Only(names.collect())
    };
    prop_oneof![
        2 => Just(Scope::ALL),
        1 => Just(Scope::whole(only(&["shop"]))),
        1 => Just(Scope::whole(only(&["auth", "other"]))),
        1 => Just(Scope::whole(only(&[]))),
        1 => Just(Scope::new(Namespaces::All, only(&["auth"]))),
        1 => Just(Scope::new(only(&["shop"]), only(&[]))),
    ]
}

fn any_query() -> impl Strategy<Value = Query> {
    let order = select(&[Order::Newest, Order::Oldest][..]);
    let times = (option::of(0..60_i64), option::of(0..70_i64));
    (
        any_filter(),
        times,
        order,
        1..7_usize,
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(
            |(filter, (since_ns, until_ns), order, limit, probes, bodies)| Query {
                filter: Filter::parse(&filter)
                    .unwrap_or_else(|error| panic!("{filter}: {error:?}")),
                since_ns,
                until_ns,
                order,
                limit,
                cursor: None,
                probes,
                bodies,
                view: Default::default(),
                time_budget: FOREVER,
            },
        )
}

/// What a plain loop finds, in the order asked for.
fn expected(blocks: &Blocks, scope: &Scope, query: &Query) -> Vec<FoundCall> {
    let mut calls = blocks.calls(scope);
    calls.retain(|found| {
        let call = &found.call;
        scope.sees(&found.origin.namespace)
            && (query.probes || !call.probe)
            && query.since_ns.is_none_or(|since| call.time_ns >= since)
            && query.until_ns.is_none_or(|until| call.time_ns < until)
            && query.filter.matches(found).unwrap()
    });
    calls.sort_by_key(|found| (found.call.time_ns, found.id));
    if query.order == Order::Newest {
        calls.reverse();
    }
    if !query.bodies {
        for found in &mut calls {
            if found.call.state != State::Open {
                found.call.request.body = Bytes::new();
                found.call.response.body = Bytes::new();
                if let Some(stream) = &mut found.call.stream {
                    stream.messages.clear();
                }
            }
        }
    }
    calls
}

fn assert_same(found: &[FoundCall], expected: &[FoundCall]) {
    let ids = |calls: &[FoundCall]| calls.iter().map(|found| found.id).collect::<Vec<_>>();
    assert_eq!(ids(found), ids(expected));
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found.call, expected.call);
        assert_eq!((&found.src, &found.dst), (&expected.src, &expected.dst));
    }
}

/// Every page after the other, until there is no next one.
fn all_pages(blocks: &Blocks, scope: &Scope, query: &Query) -> Vec<FoundCall> {
    let mut query = query.clone();
    let mut all = Vec::new();
    for _ in 0..1_000 {
        let page = list(blocks, scope, &query).unwrap();
        assert!(page.calls.len() <= query.limit);
        all.extend(page.calls);
        match page.next {
            Some(next) => query.cursor = Some(next.to_string().parse().unwrap()),
            None => return all,
        }
    }
    panic!("the pages do not end");
}

/// What a plain loop counts.
fn expected_summary(calls: &[FoundCall], by: &[GroupKey]) -> BTreeMap<Vec<String>, Group> {
    use crate::about::About;
    use crate::head::response_status;
    let name = |party: &Party| match [&party.workload, &party.service, &party.pod]
        .into_iter()
        .find(|name| !name.is_empty())
    {
        Some(name) => name.clone(),
        None => party.address.ip().to_string(),
    };
    let mut groups: BTreeMap<Vec<String>, Group> = BTreeMap::new();
    for found in calls {
        let about = About::of(&found.call);
        let status = response_status(&found.call.response.head);
        let error = found.call.error;
        let grpc = crate::grpc::status(&found.call);
        let mut key = vec![found.call.leg.to_string()];
        if by.contains(&GroupKey::Edge) {
            key.extend([name(&found.src), name(&found.dst)]);
        }
        if by.contains(&GroupKey::Namespaces) {
            key.extend([found.src.namespace.clone(), found.dst.namespace.clone()]);
        }
        if by.contains(&GroupKey::Protocol) {
            key.push(found.call.protocol.to_string());
        }
        if by.contains(&GroupKey::Route) {
            key.extend([about.method.to_string(), about.route().into_owned()]);
        }
        if by.contains(&GroupKey::Status) {
            key.push(match (status, error) {
                _ if grpc.is_some() => crate::grpc::status_name(grpc.unwrap()).into_owned(),
                (Some(status), _) => status.to_string(),
                (None, Some(error)) => error.to_string(),
                (None, None) => "none".to_owned(),
            });
        }
        if by.contains(&GroupKey::Revision) {
            key.push(found.origin.revision.clone());
        }
        let group = groups.entry(key).or_default();
        group.calls += 1;
        let broken = matches!(grpc, Some(2 | 4 | 12..=15 | 17..));
        let left = found.call.is_stream() && error.is_some_and(CallError::is_client_leaving);
        let cut_off = error.is_some() && !left;
        let failed = status.is_some_and(|status| status >= 500) || cut_off || broken;
        let injected = found.call.fault.is_some();
        group.injected += u64::from(injected);
        group.errors += u64::from(failed && !injected);
        group.request_bytes += found.call.request.body_size;
        group.response_bytes += found.call.response.body_size;
    }
    groups
}

fn counts_of(group: &Group) -> [u64; 5] {
    [
        group.calls,
        group.injected,
        group.errors,
        group.request_bytes,
        group.response_bytes,
    ]
}

fn key_of(group: &Group) -> Vec<String> {
    let protocol = group.protocol.map(|protocol| protocol.to_string());
    let outcome = group.outcome.map(|outcome| outcome.to_string());
    let key = [
        &group.src,
        &group.dst,
        &group.src_namespace,
        &group.dst_namespace,
        &protocol,
        &group.method,
        &group.route,
        &outcome,
        &group.revision,
    ];
    let given = key.into_iter().flatten().cloned();
    std::iter::once(group.leg.to_owned()).chain(given).collect()
}

#[test]
fn a_block_in_which_a_status_does_not_occur_is_not_looked_at() {
    let block = |statuses: [u16; 2]| {
        let calls = statuses.map(|status| testing::call(1, "/", status));
        seal(&BlockMeta::default(), &calls, None, Codec::Lz4)
    };
    let sealed = vec![(1, block([200, 418])), (2, block([200, 404]))];
    let blocks = Blocks::new(sealed, Vec::new());
    let query = Query {
        filter: Filter::parse("status == 418").unwrap(),
        since_ns: None,
        until_ns: None,
        order: Order::Newest,
        limit: 100,
        cursor: None,
        probes: true,
        bodies: false,
        view: Default::default(),
        time_budget: FOREVER,
    };
    let page = list(&blocks, &Scope::ALL, &query).unwrap();
    assert_eq!((page.calls.len(), page.examined), (1, 2));
}

#[test]
fn a_filter_that_costs_much_is_asked_call_by_call() {
    let numbers = format!("[{}]", vec!["1"; 60].join(","));
    let filter = format!("{numbers}.all(a, {numbers}.all(b, size(url) + a + b > 0))");
    let calls: Vec<Call> = (0..250)
        .map(|time_ns| testing::call(time_ns, "/", 200))
        .collect();
    let bytes = seal(&BlockMeta::default(), &calls, None, Codec::Raw);
    let blocks = Blocks::new(vec![(1, bytes)], Vec::new());
    let query = Query {
        filter: Filter::parse(&filter).unwrap(),
        since_ns: None,
        until_ns: None,
        order: Order::Newest,
        limit: 1_000,
        cursor: None,
        probes: true,
        bodies: false,
        view: Default::default(),
        time_budget: Duration::ZERO,
    };
    let hurried = list(&blocks, &Scope::ALL, &query).unwrap();
    assert!(
        hurried.scanned_until_ns.is_some(),
        "nobody looked at the clock"
    );
    let patient = Query {
        view: Default::default(),
        time_budget: FOREVER,
        ..query
    };
    assert_eq!(all_pages(&blocks, &Scope::ALL, &patient).len(), calls.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn pages_hold_what_a_plain_loop_finds(
        blocks in any_blocks(), scope in any_scope(), query in any_query(), hurried: bool,
    ) {
        let expected = expected(&blocks, &scope, &query);
        let query = Query {
            view: Default::default(),
            time_budget: if hurried { Duration::ZERO } else { FOREVER },
            ..query
        };
        assert_same(&all_pages(&blocks, &scope, &query), &expected);
    }

    #[test]
    fn summaries_count_what_a_plain_loop_counts(
        blocks in any_blocks(), scope in any_scope(), query in any_query(),
        by in proptest::sample::subsequence(vec![GroupKey::Edge, GroupKey::Namespaces, GroupKey::Protocol, GroupKey::Route, GroupKey::Status, GroupKey::Revision], 0..=6),
        limit in 1..8_usize,
    ) {
        let expected = expected_summary(&expected(&blocks, &scope, &query), &by);
        let summary = summarize(&blocks, &scope, &SummaryQuery {
            filter: query.filter,
            since_ns: query.since_ns,
            until_ns: query.until_ns,
            group_by: by,
            probes: query.probes,
            limit,
            view: Default::default(),
            time_budget: FOREVER,
        }).unwrap();
        prop_assert_eq!(summary.groups.len(), expected.len().min(limit));
        prop_assert_eq!(summary.groups_omitted as usize, expected.len().saturating_sub(limit));
        prop_assert!(summary.groups.is_sorted_by_key(|group| std::cmp::Reverse(group.calls)));
        for group in &summary.groups {
            let expected = &expected[&key_of(group)];
            prop_assert_eq!(counts_of(group), counts_of(expected));
        }
        let sum = |all: &mut dyn Iterator<Item = &Group>| all.fold([0; 4], |sum, group| {
            let counts = counts_of(group);
            std::array::from_fn(|place| sum[place] + counts[place])
        });
        let told = sum(&mut summary.groups.iter().chain(&summary.rest));
        prop_assert_eq!(told, sum(&mut expected.values()));
    }

    #[test]
    fn a_hurried_summary_counts_everything_newer_than_it_says(
        blocks in any_blocks(), scope in any_scope(), query in any_query(),
    ) {
        let expected = expected(&blocks, &scope, &query);
        let summary = summarize(&blocks, &scope, &SummaryQuery {
            filter: query.filter,
            since_ns: query.since_ns,
            until_ns: query.until_ns,
            group_by: Vec::new(),
            probes: query.probes,
            limit: 10,
            view: Default::default(),
            time_budget: Duration::ZERO,
        }).unwrap();
        let counted: u64 = summary.groups.iter().map(|group| group.calls).sum();
        let newer = |found: &&FoundCall| {
            summary.scanned_until_ns.is_none_or(|until| found.call.time_ns > until)
        };
        prop_assert!(counted >= expected.iter().filter(newer).count() as u64);
        prop_assert!(counted <= expected.len() as u64);
    }

    #[test]
    fn no_answer_tells_what_is_withheld(calls in vec(any_call(), 1..24), mut query in any_query()) {
        query.limit = 1_000;
        let others: Vec<Call> = calls.iter().cloned().map(with_other_bodies).collect();
        prop_assert_eq!(told_of_heads(&calls, &query), told_of_heads(&others, &query));
    }
}

/// The call with as much of something else in its bodies and messages.
fn with_other_bodies(mut call: Call) -> Call {
    let other = |bytes: &Bytes| Bytes::from(vec![b'1'; bytes.len()]);
    call.request.body = other(&call.request.body);
    call.response.body = other(&call.response.body);
    for message in call
        .stream
        .iter_mut()
        .flat_map(|stream| &mut stream.messages)
    {
        message.payload = other(&message.payload);
    }
    call
}

/// All that somebody is told of calls who may not see their bodies.
fn told_of_heads(calls: &[Call], query: &Query) -> String {
    let scope = Scope::new(Namespaces::All, Namespaces::Only(Default::default()));
    let bytes = seal(&BlockMeta::default(), calls, None, Codec::Raw);
    let mut blocks = Blocks::new(vec![(1, bytes)], Vec::new());
    blocks.open = vec![(
        CallId {
            block: 2,
            ordinal: 0,
        },
        Arc::default(),
        calls[0].clone(),
    )];
    let page = list(&blocks, &scope, query);
    let summary = SummaryQuery {
        filter: query.filter.clone(),
        since_ns: query.since_ns,
        until_ns: query.until_ns,
        group_by: vec![GroupKey::Route],
        probes: query.probes,
        limit: 10,
        view: Default::default(),
        time_budget: FOREVER,
    };
    format!("{page:?} {:?}", summarize(&blocks, &scope, &summary))
}

#[test]
fn calls_whose_bodies_are_withheld_are_undecided_where_those_are_asked_for() {
    let mut call = testing::call(0, "/", 200);
    call.request = Message::default();
    call.request.head = "POST / HTTP/1.1\r\n\r\n".into();
    call.response.body = "{\"sku\": \"A\"}".into();
    call.response.body_size = 12;
    let mut spoken = call.clone();
    spoken.protocol = Protocol::WebSocket;
    spoken.stream = Some(Box::new(messages("asked", "answered")));
    let bytes = seal(&BlockMeta::default(), &[call, spoken], None, Codec::Raw);
    let blocks = Blocks::new(vec![(1, bytes)], Vec::new());
    let scope = Scope::new(Namespaces::All, Namespaces::Only(Default::default()));
    for (filter, matching, undecided) in [
        ("response.body.contains('A')", 0, 2),
        ("!response.body.contains('A')", 0, 2),
        ("size(response.body) > 0", 0, 2),
        ("has(response.json.sku)", 0, 2),
        ("response.json.sku == 'A' || status == 200", 2, 0),
        ("response.json.sku == 'A' && status == 404", 0, 0),
        ("ws_request_payload_data.contains('a')", 0, 1),
        // That nothing was sent is no secret, nor how much, and of what kind.
        ("request.body.contains('A')", 0, 1),
        ("response_body_size == 12", 2, 0),
        ("ws_opcode == 'text' && response_messages == 1", 1, 0),
    ] {
        let query = Query {
            filter: Filter::parse(filter).unwrap(),
            since_ns: None,
            until_ns: None,
            order: Order::Newest,
            limit: 1_000,
            cursor: None,
            probes: true,
            bodies: true,
            time_budget: FOREVER,
            view: Default::default(),
        };
        let page = list(&blocks, &scope, &query).unwrap();
        assert_eq!(
            (page.calls.len(), page.undecided),
            (matching, undecided),
            "{filter}"
        );
        assert!(
            page.calls
                .iter()
                .all(|found| found.withheld && found.call.response.body.is_empty())
        );
    }
}

#[test]
fn calls_of_which_a_missing_part_was_asked_for_are_left_out_and_counted() {
    let with = |body: &'static [u8], omitted: Option<Omitted>| {
        let mut call = testing::call(0, "/", 200);
        call.response.body = Bytes::from_static(body);
        call.response.body_size = 1_000;
        call.response.omitted = omitted;
        call
    };
    let whole = br#"{"items": [{"sku": "A"}, {"sku": "B"}]}"#;
    let calls = [
        with(whole, None),
        with(br#"{"items": [{"sku": "C"}]}"#, None),
        with(br#"{"items": [{"sku": "A"}, {"sk"#, Some(Omitted::Limit)),
        with(b"", Some(Omitted::Budget)),
        with(b"", Some(Omitted::Opaque)),
        with(whole, Some(Omitted::Head)),
    ];
    let bytes = seal(&BlockMeta::default(), &calls, None, Codec::Raw);
    let blocks = Blocks::new(vec![(1, bytes)], Vec::new());
    for (filter, matching, undecided) in [
        (r#"response.json.items[0].sku == "A""#, 2, 2),
        (r#"response.json.items.exists(i, i.sku == "B")"#, 2, 2),
        (r#"response.body.contains("\"A\"")"#, 3, 1),
        // Found is found; what is not in the part that was kept may be in the rest.
        (r#"!response.body.contains("\"A\"")"#, 1, 1),
        (r#"!response.body.contains("\"C\"")"#, 2, 2),
        (r#"!has(response.json.items)"#, 1, 2),
        (
            r#"!has(response.json.other) && size(response.body) > 0"#,
            3,
            2,
        ),
        (
            r#"response.body.startsWith("{\"items\": [{\"sku\": \"A")"#,
            3,
            1,
        ),
        (r#"response.body.lowerAscii().startsWith("{}")"#, 0, 1),
        (r#"response.body.endsWith("sk")"#, 0, 2),
        (r#"response.body == "{}""#, 0, 1),
        (r#"response.body != "{}""#, 4, 1),
        (r#"response.body < "{}""#, 3, 2),
        (r#"size(response.body) > 1000"#, 0, 2),
        (r#"response.body.matches("sku.*A")"#, 3, 1),
        (r#"response.body.matches("sk$")"#, 0, 2),
        (
            r#"response.json.items[0].sku == "A" && status == 404"#,
            0,
            0,
        ),
        (
            r#"status == 404 && response.json.items[0].sku == "A""#,
            0,
            0,
        ),
        ("status == 200", 6, 0),
        (r#""content-length" in response.headers"#, 6, 0),
        (r#"!("cache-control" in response.headers)"#, 5, 1),
        (r#"!response.headers.exists(n, n == "etag")"#, 5, 1),
        (r#"response.headers["etag"] == "1" && status == 404"#, 0, 0),
    ] {
        let filter = Filter::parse(filter).unwrap();
        let query = Query {
            filter: filter.clone(),
            since_ns: None,
            until_ns: None,
            order: Order::Newest,
            limit: 1_000,
            cursor: None,
            probes: true,
            bodies: false,
            time_budget: FOREVER,
            view: Default::default(),
        };
        let page = list(&blocks, &Scope::ALL, &query).unwrap();
        let told = (page.calls.len(), page.undecided);
        assert_eq!(told, (matching, undecided), "{:?}", query.filter);
        let query = SummaryQuery {
            filter,
            since_ns: None,
            until_ns: None,
            group_by: Vec::new(),
            probes: true,
            limit: 10,
            time_budget: FOREVER,
            view: Default::default(),
        };
        let summary = summarize(&blocks, &Scope::ALL, &query).unwrap();
        let counted: u64 = summary.groups.iter().map(|group| group.calls).sum();
        assert_eq!((counted, summary.undecided), (matching as u64, undecided));
    }
}

#[test]
fn streams_are_counted_and_have_no_part_in_latencies() {
    let lasting = |seconds: u64, protocol, stream: Option<Stream>| {
        let mut call = testing::call(0, "/", 200);
        let began = call.phases.request_first.unwrap();
        call.phases.response_last = Some(began + seconds * 1_000_000_000);
        call.protocol = protocol;
        call.stream = stream.map(Box::new);
        call
    };
    let messages = |server_messages| {
        Some(Stream {
            server_messages,
            ..Stream::default()
        })
    };
    let calls = [
        lasting(1, Protocol::Http1, None),
        lasting(1, Protocol::Grpc, messages(1)),
        lasting(3_600, Protocol::Grpc, messages(2)),
        lasting(3_600, Protocol::Http2, messages(0)),
        lasting(3_600, Protocol::WebSocket, None),
    ];
    let bytes = seal(&BlockMeta::default(), &calls, None, Codec::Raw);
    let blocks = Blocks::new(vec![(1, bytes)], Vec::new());
    let summary = summarize(&blocks, &Scope::ALL, &in_one_group()).unwrap();
    let group = &summary.groups[0];
    assert_eq!((group.calls, summary.groups.len()), (5, 1));
    assert!(
        group.p99_ms.is_some_and(|ms| (ms - 1_000.0).abs() < 20.0),
        "{group:?}"
    );
}

/// All calls, in one group.
fn in_one_group() -> SummaryQuery {
    SummaryQuery {
        filter: Filter::default(),
        since_ns: None,
        until_ns: None,
        group_by: Vec::new(),
        probes: true,
        limit: 10,
        time_budget: FOREVER,
        view: Default::default(),
    }
}

#[test]
fn what_an_injected_fault_met_is_counted_and_says_nothing_of_a_service() {
    let taking = |ms: u64, status, effect: Option<EffectKind>| {
        let mut call = testing::call(0, "/", status);
        let began = call.phases.request_first.unwrap();
        call.phases.response_last = Some(began + ms * 1_000_000);
        call.fault = effect.map(|effect| Injected {
            id: "f-1".into(),
            effect,
        });
        call
    };
    let calls = [
        taking(10, 200, None),
        taking(10, 503, None),
        taking(1, 503, Some(EffectKind::Status)),
        taking(60_000, 200, Some(EffectKind::Delay)),
    ];
    let bytes = seal(&BlockMeta::default(), &calls, None, Codec::Raw);
    // Alike from columns that were merged.
    let merged = merge(&[(1, Block::open(bytes.clone()).unwrap())]).unwrap();
    for bytes in [bytes, merged] {
        let blocks = Blocks::new(vec![(1, bytes)], Vec::new());
        let summary = summarize(&blocks, &Scope::ALL, &in_one_group()).unwrap();
        let group = &summary.groups[0];
        assert_eq!((group.calls, group.injected, group.errors), (4, 2, 1));
        for quantile in [group.p50_ms, group.p99_ms] {
            assert!(
                quantile.is_some_and(|ms| (ms - 10.0).abs() < 0.2),
                "{group:?}"
            );
        }
    }
}
