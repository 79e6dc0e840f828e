//! What a verdict passes on: what a hub knows of what it did not see, by the calls of one expectation.

use bytes::Bytes;
use remora_mcp::clock::now_ns;
use remora_store::block::{BlockMeta, Codec, Drop, seal};
use remora_store::call::{Call, Detail, Leg, Message, Protocol, State, TlsHello};
use remora_store::testing::call;
use serde_json::{Value, json};
use test_case::test_case;

use super::verify::{seal_after, snapshot, verify};
use crate::control::{ask, goodbye};
use crate::hub::TestHub;
use crate::shop::origin;

/// What a sidecar recorded since it began.
struct Recorded {
    workload: &'static str,
    incarnation: u128,
    dropped: u64,
    /// What its sidecar is not given, in the words by which it tells.
    given: &'static str,
    calls: Vec<Call>,
    open: Vec<Call>,
}

impl Recorded {
    /// Nine good answers to `/orders/{id}`, beside the workload that gave them.
    fn good(workload: &'static str, incarnation: u128) -> Self {
        let calls = (0..9).map(|number: u8| asked(&format!("/orders/{number}"), number.into()));
        Self {
            workload,
            incarnation,
            dropped: 0,
            given: "",
            calls: calls.collect(),
            open: Vec::new(),
        }
    }

    fn block(&self) -> Bytes {
        let now_ns = now_ns();
        let drop = Drop {
            reason: "queue".to_owned(),
            calls: self.dropped,
            since_ns: now_ns - 1_000_000_000,
            until_ns: now_ns,
        };
        let meta = BlockMeta {
            origin: origin(self.workload, self.incarnation),
            sequence: 1,
            sealed_ns: now_ns,
            redaction_key: "k-00000000".to_owned(),
            drops: match self.dropped {
                0 => Vec::new(),
                _ => vec![drop],
            },
        };
        seal(&meta, &self.calls, Some(&self.open), Codec::Lz4)
    }
}

/// An answer that came within 2 ms, six seconds ago.
fn asked(path: &str, connection: u64) -> Call {
    let mut call = call(now_ns() - 6_000_000_000, path, 200);
    call.connection.id = connection + 1;
    call
}

/// A request that has no answer yet.
fn hanging(path: &str) -> Call {
    let mut call = asked(path, 100);
    call.state = State::Open;
    call.response = Default::default();
    call.phases.response_first = None;
    call.phases.response_last = None;
    call
}

/// What one expectation comes to in a sealed snapshot of these records, with why.
async fn judged(recorded: &[Recorded], check: &str, args: Value) -> (String, String) {
    let hub = TestHub::start().await;
    for it in recorded {
        assert_eq!(hub.ingest(&[it.block()]).await.status, 200);
        let named = format!(
            "incarnation={:032x}&workload={}",
            it.incarnation, it.workload
        );
        ask(
            &hub,
            &format!("{named}&namespace=shop&epoch=0&sequence=1{}", it.given),
        )
        .await;
        goodbye(&hub, it.workload, it.incarnation).await;
    }
    let id = snapshot(&hub).await;
    let wait = json!({"idle_ms": 0, "filter": {"path_prefix": "/nobody"}, "min_calls": 0});
    seal_after(&hub, &id, wait).await;
    let expected = json!({"snapshot": id, "expectations": [{"check": check, "args": args}]});
    let answer = verify(&hub, expected).await.json();
    let check = &answer["checks"][0];
    let text = |field: &str| check[field].as_str().unwrap_or_default().to_owned();
    (text("verdict"), text("why"))
}

const HANGS: &str = "a call beside orders was still running when the snapshot was sealed";

#[test_case("status", json!({}), true; "status of all calls")]
#[test_case("status", json!({"filter": {"dst": "orders", "path_prefix": "/orders"}}), true; "status of such calls")]
#[test_case("latency", json!({"filter": {"dst": "orders"}, "max_ms": 1000}), true)]
#[test_case("headers", json!({"filter": {"dst": "orders"}, "require": [{"name": "content-length"}]}), true)]
#[test_case("status", json!({"filter": {"path_prefix": "/orders/1"}}), false; "status of other calls")]
#[test_case("status", json!({"filter": {"dst": "orders", "method": "POST"}}), false; "status of another method")]
#[tokio::test]
async fn a_call_that_hung_at_the_seal_is_no_success(check: &str, args: Value, is_met: bool) {
    let mut orders = Recorded::good("orders", 0xaa);
    orders.open.push(hanging("/orders/7"));
    let mut created = asked("/orders", 50);
    created.request.head = Bytes::from_static(b"POST /orders HTTP/1.1\r\nHost: orders\r\n\r\n");
    orders.calls.push(created);
    let (verdict, why) = judged(&[orders], check, args).await;
    let expected = match is_met {
        true => "inconclusive",
        false => "pass",
    };
    assert_eq!(verdict, expected, "{why}");
    assert_eq!(why.contains(HANGS), is_met, "{why}");
}

#[test_case("orders", "status", json!({"filter": {"dst": "orders"}}), "inconclusive")]
#[test_case("orders", "latency", json!({"filter": {"path_prefix": "/orders"}, "max_ms": 1000}), "inconclusive"; "calls that it recorded others of")]
#[test_case("batch", "status", json!({"filter": {"dst": "orders"}}), "pass"; "calls of somebody else")]
#[test_case("batch", "status", json!({}), "inconclusive"; "calls of everybody")]
#[test_case("batch", "no_call", json!({"filter": {"dst": "orders", "path_prefix": "/admin"}}), "pass"; "calls that somebody else would have seen")]
#[test_case("batch", "no_call", json!({"filter": {"path_prefix": "/admin"}}), "inconclusive"; "calls that nobody else need have seen")]
#[tokio::test]
async fn calls_that_a_sidecar_dropped_may_have_been_otherwise(
    dropper: &str,
    check: &str,
    args: Value,
    expected: &str,
) {
    let mut both = [
        Recorded::good("orders", 0xaa),
        Recorded::good("batch", 0xbc),
    ];
    both[1].calls.clear();
    for it in &mut both {
        it.dropped = u64::from(it.workload == dropper) * 5_000;
    }
    let (verdict, why) = judged(&both, check, args).await;
    assert_eq!(verdict, expected, "{why}");
    let says = why.contains("5000 calls were not recorded");
    assert_eq!(says, expected == "inconclusive", "{why}");
}

#[tokio::test]
async fn a_failure_is_one_whatever_else_was_not_seen() {
    let mut orders = Recorded::good("orders", 0xaa);
    orders.dropped = 5_000;
    orders.open.push(hanging("/orders/7"));
    orders
        .calls
        .push(call(now_ns() - 5_000_000_000, "/orders/8", 500));
    let (verdict, why) = judged(&[orders], "status", json!({})).await;
    assert_eq!((verdict.as_str(), why.as_str()), ("fail", ""));
}

/// TLS that `web` passed through to 10.0.0.9, from so many seconds ago on.
fn passed_through(began_s: i64) -> Call {
    let mut call = asked("/", 200);
    call.time_ns = now_ns() - began_s * 1_000_000_000;
    call.leg = Leg::Outbound;
    call.protocol = Protocol::Tls;
    call.dst = "10.0.0.9:443".parse().unwrap();
    call.request = Message {
        body_size: 900,
        ..Message::default()
    };
    call.response = call.request.clone();
    let lasted_ns = u64::try_from(began_s - 1).unwrap() * 1_000_000_000;
    call.phases.closed = Some(call.phases.request_first.unwrap() + lasted_ns);
    call.phases.response_last = call.phases.closed;
    call.detail = Detail::Tls(TlsHello {
        sni: None,
        alpn: Vec::new(),
        versions: Vec::new(),
        random: [7; 32],
    });
    call
}

/// When a connection is there that passes TLS through, by the window.
#[derive(Debug, Clone, Copy)]
enum Tls {
    Within,
    FromBefore,
    EndedBefore,
    AllTheTime,
}

#[test_case(Tls::Within, json!({"src": "web", "path_prefix": "/admin"}), "inconclusive")]
#[test_case(Tls::Within, json!({"src": "web", "dst": "10.0.0.9", "status": "5xx"}), "inconclusive"; "where such calls would go")]
#[test_case(Tls::Within, json!({"src": "web", "dst": "10.0.0.8", "path_prefix": "/admin"}), "pass"; "where no such call would go")]
#[test_case(Tls::Within, json!({"src": "web", "dst": "10.0.0.8"}), "pass"; "what needs no reading")]
#[test_case(Tls::FromBefore, json!({"src": "web", "path_prefix": "/admin"}), "inconclusive"; "from before")]
#[test_case(Tls::EndedBefore, json!({"src": "web", "path_prefix": "/admin"}), "pass"; "ended before")]
#[test_case(Tls::AllTheTime, json!({"src": "web", "path_prefix": "/admin"}), "inconclusive"; "still open")]
#[tokio::test]
async fn what_passes_in_tls_may_be_such_a_call(tls: Tls, filter: Value, expected: &str) {
    let mut web = Recorded::good("web", 0xbb);
    match tls {
        Tls::Within => web.calls.push(passed_through(60)),
        Tls::FromBefore => web.calls.push(passed_through(600)),
        Tls::EndedBefore => {
            let mut ended = passed_through(1200);
            ended.phases.closed = Some(1_000_000_000);
            ended.phases.response_last = ended.phases.closed;
            web.calls.push(ended);
        }
        Tls::AllTheTime => {
            let mut open = passed_through(600);
            open.state = State::Open;
            open.phases.closed = None;
            open.phases.response_last = None;
            web.open.push(open);
        }
    }
    let (verdict, why) = judged(&[web], "no_call", json!({"filter": filter})).await;
    assert_eq!(verdict, expected, "{why}");
    let says = why.contains("TLS passed there unread") || why.contains("still running");
    assert_eq!(says, expected == "inconclusive", "{why}");
}

#[test_case("", "src", "pass"; "all")]
#[test_case("&outbound=none", "src", "inconclusive"; "none that goes")]
#[test_case("&outbound=proxied", "src", "inconclusive"; "those that a proxy is asked for")]
#[test_case("&inbound=none", "src", "pass"; "all that goes")]
#[test_case("&inbound=none", "dst", "inconclusive"; "none that comes")]
#[test_case("&outbound=none", "dst", "pass"; "all that comes")]
#[tokio::test]
async fn absence_needs_a_sidecar_that_is_given_such_calls(
    given: &'static str,
    end: &str,
    expected: &str,
) {
    let web = Recorded {
        given,
        ..Recorded::good("web", 0xbb)
    };
    let absent = json!({"filter": {end: "web", "path_prefix": "/admin"}});
    let (verdict, why) = judged(&[web], "no_call", absent).await;
    assert_eq!(verdict, expected, "{why}");
}

#[test_case("no_call", "dst", "ordrs"; "of absence")]
#[test_case("status", "dst", "ordrs"; "of how calls end")]
#[test_case("count", "src", "ordres"; "of a caller")]
#[tokio::test]
async fn a_name_that_nobody_has_is_told_with_the_nearest_one(check: &str, end: &str, name: &str) {
    let both = [Recorded::good("orders", 0xaa), Recorded::good("web", 0xbb)];
    let mut args = json!({"filter": {end: name}});
    if check == "count" {
        args["max"] = json!(3);
    }
    let (verdict, why) = judged(&both, check, args).await;
    assert_eq!(verdict, "inconclusive", "{why}");
    let says = format!("nobody is known as {end} {name}: did you mean orders?");
    assert!(why.contains(&says), "{why}");
}
