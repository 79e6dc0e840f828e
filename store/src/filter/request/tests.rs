use test_case::test_case;

use super::*;

const POST: &[u8] = b"POST /api/orders/17?dry=1 HTTP/1.1\r\nHost: payment.shop:8080\r\nX-User: 7\r\nCookie: plan=free\r\n\r\n";
const GRPC: &[u8] = b":method: POST\r\n:authority: payment\r\n:path: /shop.Orders/Get\r\ncontent-type: application/grpc+proto\r\n";

fn flat(json: &str) -> FlatFilter {
    serde_json::from_str(json).unwrap()
}

fn passes(json: &str, head: &[u8]) -> bool {
    let filter = RequestFilter::read(&flat(json), Leg::Outbound).unwrap();
    filter.matches(head, "10.0.0.7:8080".parse().unwrap(), None)
}

#[test_case("{}", true)]
#[test_case(r#"{"method": "POST"}"#, true)]
#[test_case(r#"{"method": "GET"}"#, false)]
#[test_case(r#"{"route": "/api/orders/{id}"}"#, true)]
#[test_case(r#"{"path_prefix": "/api/users"}"#, false)]
#[test_case(r#"{"header": "x-user"}"#, true)]
#[test_case(r#"{"header": "X-User: 7"}"#, true)]
#[test_case(r#"{"header": "x-user: 8"}"#, false)]
#[test_case(r#"{"header": "x-absent"}"#, false)]
#[test_case(r#"{"dst": "payment"}"#, true)]
#[test_case(r#"{"dst": "payment.shop"}"#, true)]
#[test_case(r#"{"dst": "pay"}"#, false; "a name is no prefix")]
#[test_case(r#"{"dst": "shop"}"#, false)]
#[test_case(r#"{"dst": "10.0.0.7"}"#, true)]
#[test_case(r#"{"dst": "10.0.0.7:8080"}"#, true)]
#[test_case(r#"{"dst": "10.0.0.7:8081"}"#, false)]
#[test_case(
    r#"{"where": "query_string[\"dry\"] == \"1\" && request.cookies[\"plan\"] == \"free\""}"#,
    true
)]
#[test_case(r#"{"where": "http2 || request.headers[\"x-user\"] == \"8\""}"#, false)]
fn a_request_of_http1_passes(json: &str, expected: bool) {
    assert_eq!(passes(json, POST), expected);
}

#[test_case(r#"{"where": "grpc && grpc_method == \"Get\""}"#, true)]
#[test_case(r#"{"dst": "payment", "path_prefix": "/shop."}"#, true)]
#[test_case(r#"{"where": "http1"}"#, false)]
fn a_request_of_http2_passes(json: &str, expected: bool) {
    assert_eq!(passes(json, GRPC), expected);
}

#[test_case("{}", false; "a filter that asks for anything")]
#[test_case(r#"{"path_prefix": "/healthz"}"#, false; "a filter that asks for the same path")]
#[test_case(r#"{"where": "probe"}"#, true; "a filter that asks for health checks")]
#[test_case(r#"{"where": "probe || method == \"POST\""}"#, true; "a filter that asks for them too")]
#[test_case(r#"{"where": "!probe"}"#, false; "a filter that asks for what is none")]
fn a_health_check_passes_where_it_is_asked_for(json: &str, expected: bool) {
    let of_http1 =
        b"GET /healthz HTTP/1.1\r\nHost: 10.0.0.7\r\nUser-Agent: kube-probe/1.33\r\n\r\n";
    let of_http2 = b":method: GET\r\n:path: /healthz\r\nuser-agent: kube-probe/1.33\r\n";
    assert_eq!(passes(json, of_http1), expected);
    assert_eq!(passes(json, of_http2), expected);
    let of_a_client = b"GET /healthz HTTP/1.1\r\nUser-Agent: curl/8 kube-probe/1.33\r\n\r\n";
    assert!(passes("{}", of_a_client), "a client that only names one");
}

#[test]
fn a_connection_is_known_not_to_meet_an_address_but_not_a_name() {
    let place = "10.0.0.7:8080".parse().unwrap();
    let meets = |dst: &str| {
        let flat = FlatFilter {
            dst: Some(dst.to_owned()),
            ..FlatFilter::default()
        };
        let filter = RequestFilter::read(&flat, Leg::Outbound).unwrap();
        filter.may_meet(place, None)
    };
    assert!(meets("10.0.0.7") && meets("[::ffff:10.0.0.7]:8080") && meets("payment"));
    assert!(!meets("10.0.0.8") && !meets("10.0.0.7:81"));
}

#[test]
fn a_mapped_upstream_is_called_by_its_name() {
    let filter = RequestFilter::read(&flat(r#"{"dst": "payment"}"#), Leg::Outbound).unwrap();
    let local = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:9000\r\n\r\n";
    let place = "10.0.0.7:8080".parse().unwrap();
    assert!(filter.matches(local, place, Some("payment:8080")));
    assert!(!filter.matches(local, place, Some("other:8080")));
}

#[test_case(Leg::Outbound, r#"{"status": 503}"#, "filter.status")]
#[test_case(Leg::Outbound, r#"{"min_ms": 5}"#, "filter.min_ms")]
#[test_case(Leg::Outbound, r#"{"src": "orders"}"#, "filter.src")]
#[test_case(Leg::Inbound, r#"{"dst": "orders"}"#, "filter.dst")]
#[test_case(Leg::Outbound, r#"{"namespace": "shop"}"#, "filter.namespace")]
#[test_case(Leg::Outbound, r#"{"revision": "7d4b9c"}"#, "filter.revision")]
#[test_case(
    Leg::Outbound,
    r#"{"where": "path == \"/\" || status == 503"}"#,
    "filter.where: `status"
)]
#[test_case(
    Leg::Outbound,
    r#"{"where": "request.body == \"x\""}"#,
    "filter.where: `request.body`"
)]
#[test_case(Leg::Outbound, r#"{"method": "GTE"}"#, "method")]
#[test_case(Leg::Outbound, r#"{"dst": " "}"#, "dst")]
fn what_a_request_does_not_decide_is_refused(leg: Leg, json: &str, named: &str) {
    let error = RequestFilter::read(&flat(json), leg).unwrap_err();
    assert!(error.message.contains(named), "{error}");
    assert!(error.hint.is_some(), "{error}");
}
