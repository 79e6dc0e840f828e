//! Tables over a handful of calls: what each filter lets through, and what is said of each wrong one.

use std::net::SocketAddr;
use std::sync::Arc;

use test_case::test_case;

use super::*;
use crate::block::Origin;
use crate::call::*;
use crate::names::Party;

/// A call of the shop, told in a few words.
struct Told {
    request: &'static str,
    request_body: &'static str,
    response: &'static str,
    response_body: &'static str,
    latency_ms: Option<u64>,
    src: [&'static str; 3],
    dst: [&'static str; 3],
}

const CHECKOUT: [&str; 3] = ["checkout", "shop", "10.0.0.1:40000"];
const PAYMENT: [&str; 3] = ["payment", "shop", "10.0.0.2:8080"];
const AUTH: [&str; 3] = ["auth", "auth", "10.0.0.3:80"];

/// The calls that the tables below speak of, by their number.
fn shop() -> Vec<FoundCall> {
    let told = [
        // 0: a plain success.
        Told {
            request: "GET /api/orders/42?full=1&q=a%20b HTTP/1.1\r\nHost: payment\r\nX-Request-Id: abc\r\nCookie: session=s1\r\n\r\n",
            request_body: "",
            response: "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n\r\n",
            response_body: r#"{"id": 42, "items": [{"price": 5}, {"price": 7.5}], "note": null}"#,
            latency_ms: Some(12),
            src: CHECKOUT,
            dst: PAYMENT,
        },
        // 1: a slow failure of the server.
        Told {
            request: "POST /api/pay HTTP/1.1\r\nHost: payment\r\nAuthorization: Bearer x\r\nContent-Type: text/plain\r\n\r\n",
            request_body: "amount=5",
            response: "HTTP/1.1 503 Service Unavailable\r\nSet-Cookie: token=t1; Path=/\r\n\r\n",
            response_body: "try later",
            latency_ms: Some(2_500),
            src: CHECKOUT,
            dst: PAYMENT,
        },
        // 2: a token for the service that may have it.
        Told {
            request: "POST /login HTTP/1.0\r\nAuthorization: Bearer y\r\nContent-Type: application/json\r\n\r\n",
            request_body: r#"{"user": "ann"}"#,
            response: "HTTP/1.1 401 Unauthorized\r\nCache-Control: private\r\n\r\n",
            response_body: "",
            latency_ms: Some(1),
            src: CHECKOUT,
            dst: AUTH,
        },
        // 3: a connection that nobody took.
        Told {
            request: "",
            request_body: "",
            response: "",
            response_body: "",
            latency_ms: None,
            src: CHECKOUT,
            dst: ["", "", "10.0.0.9:5432"],
        },
    ];
    told.iter()
        .enumerate()
        .map(|(number, told)| found(number, told))
        .collect()
}

fn found(number: usize, told: &Told) -> FoundCall {
    let http = !told.request.is_empty();
    let origin = Origin {
        workload: "checkout".to_owned(),
        namespace: "shop".to_owned(),
        pod: "checkout-7f8b9c-x1".to_owned(),
        revision: "7f8b9c".to_owned(),
        ..Origin::default()
    };
    let message = |head: &'static str, body: &'static str| Message {
        head: head.as_bytes().into(),
        body: body.as_bytes().into(),
        body_size: body.len() as u64,
        ..Message::default()
    };
    let (src, dst) = (party(told.src), party(told.dst));
    let call = Call {
        time_ns: literal::now() - 60_000_000_000 * number as i64,
        protocol: if http {
            Protocol::Http1
        } else {
            Protocol::Opaque
        },
        leg: Leg::Outbound,
        engine: Engine::Splice,
        state: State::Complete,
        probe: false,
        src: src.address,
        dst: dst.address,
        connection: Connection {
            id: 7,
            ordinal: number as u32,
            forwarded_from: None,
        },
        request: message(told.request, told.request_body),
        response: message(told.response, told.response_body),
        interim: Default::default(),
        phases: Phases {
            request_first: Some(1_000),
            response_last: told.latency_ms.map(|ms| ms * 1_000_000 + 1_000),
            ..Phases::default()
        },
        closed_by: None,
        error: (!http).then_some(CallError::ConnectRefused),
        join_digest: None,
        detail: Detail::None,
        stream: None,
        fault: None,
        secure: None,
    };
    FoundCall {
        withheld: false,
        id: CallId {
            block: 3,
            ordinal: number as u32,
        },
        call,
        origin: Arc::new(origin),
        redaction_key: Arc::default(),
        src,
        dst,
    }
}

fn party([name, namespace, address]: [&str; 3]) -> Party {
    let pod = match name {
        "checkout" => "checkout-7f8b9c-x1".to_owned(),
        "" => String::new(),
        _ => format!("{name}-1-a"),
    };
    Party {
        address: address.parse::<SocketAddr>().unwrap(),
        workload: name.to_owned(),
        pod,
        namespace: namespace.to_owned(),
        service: name.to_owned(),
        revision: String::new(),
    }
}

fn matching(filter: &Filter) -> Vec<usize> {
    let calls = shop();
    let matches = |call: &&FoundCall| filter.matches(call).unwrap();
    calls
        .iter()
        .filter(matches)
        .map(|call| call.call.connection.ordinal as usize)
        .collect()
}

// The filters of Kubeshark's own pages, as they stand there.
#[test_case("http && status_code >= 500", &[1])]
#[test_case(r#"http && dst.service.name == "payment" && method == "POST""#, &[1])]
#[test_case(r#"http && path.startsWith("/api/orders") && elapsed_time > 2000000"#, &[])]
#[test_case(r#"http && path.startsWith("/api/pay") && elapsed_time > 2000000"#, &[1])]
#[test_case(r#"http && !("cache-control" in response.headers)"#, &[1])]
#[test_case(r#"http && "authorization" in request.headers && dst.pod.namespace != "auth""#, &[1])]
#[test_case(r#"http && request.headers["content-type"] != "application/json""#, &[1])]
#[test_case(r#"http && map_get(request.headers, "x-request-id", "") == "abc""#, &[0])]
#[test_case(r#"map_get(local_labels, "pod-template-hash", "") == "7f8b9c""#, &[0, 1, 2, 3])]
#[test_case("grpc && grpc_status != 0", &[])]
#[test_case(r#"postgresql && postgresql_query.contains("SELECT")"#, &[])]
#[test_case(r#"redis && redis_type == "GET""#, &[])]
#[test_case("mysql && !mysql_success", &[])]
#[test_case(r#"kafka && kafka_api_key_name == "PRODUCE""#, &[])]
#[test_case(r#"dns && dns_questions.exists(q, q.endsWith(".com"))"#, &[])]
#[test_case(r#"timestamp > now() - duration("5m") && src.pod.namespace == "shop""#, &[0, 1, 2, 3])]
#[test_case(r#"timestamp > now() - duration("90s") && src.pod.namespace == "shop""#, &[0, 1])]
#[test_case(r#"timestamp > now() - duration("5m") && src.pod.namespace == "dev""#, &[])]
#[test_case(r#"tcp_conn && conn_state == "open""#, &[])]
#[test_case(r#"tlsx && tlsx_sni.contains("amazonaws")"#, &[])]
#[test_case(r#"http && method == "POST" && status_code >= 500 && path.contains("/api")"#, &[1])]
#[test_case(r#"src.service.name == "checkout" && dst.pod.namespace == "shop""#, &[0, 1])]
fn kubesharks_filters(filter: &str, expected: &[usize]) {
    assert_eq!(matching(&Filter::parse(filter).unwrap()), expected);
}

// Request line and status.
#[test_case(r#"url == "/api/orders/42?full=1&q=a%20b""#, &[0])]
#[test_case(r#"query_string["q"] == "a b""#, &[0])]
#[test_case(r#"query_string.full == "1""#, &[0]; "a key as a part")]
#[test_case(r#"route == "/api/orders/{id}""#, &[0])]
#[test_case(r#"path.matches("^/api/orders/[0-9]+$")"#, &[0])]
#[test_case(r#"matches(path, "pay|login")"#, &[1, 2])]
#[test_case(r#"http_version == "HTTP/1.0""#, &[2])]
#[test_case("status in [200, 401]", &[0, 2])]
#[test_case(r#"method in ["GET", "HEAD"]"#, &[0])]
#[test_case(r#"host == "payment""#, &[0, 1])]
#[test_case("status == 0", &[3]; "no response")]
// Maps and absence.
#[test_case(r#"request.cookies["session"] == "s1""#, &[0])]
#[test_case(r#"response.cookies.token == "t1""#, &[1])]
#[test_case(r#"request.headers["Content-Type"].startsWith("text/")"#, &[1]; "any case")]
#[test_case(r#"!(request.headers["x-request-id"] == "other")"#, &[0]; "not of absent is absent")]
#[test_case(r#"request.headers["x"] == "1" || http1"#, &[0, 1, 2]; "or decides without the absent")]
#[test_case(r#"has(request.headers.cookie)"#, &[0])]
#[test_case(r#"!has(response.headers.server) && http"#, &[0, 1, 2])]
#[test_case("request.headers.exists(h, h.startsWith(\"x-\"))", &[0])]
#[test_case("size(response.headers) == 2", &[0])]
#[test_case("response_body_size > 8 && response_body_size < 10", &[1])]
// Bodies.
#[test_case(r#"request.body.contains("amount")"#, &[1])]
#[test_case("response.json.id == 42", &[0])]
#[test_case("response.json.items.exists(i, i.price > 7)", &[0])]
#[test_case("response.json.items[1].price == 7.5", &[0])]
#[test_case("response.json.items.filter(i, i.price < 6).size() == 1", &[0])]
#[test_case("response.json.items.map(i, i.price)[0] == 5", &[0])]
#[test_case("response.json.items.all(i, i.price > 5)", &[])]
#[test_case("response.json.items.exists_one(i, i.price == 5)", &[0])]
#[test_case("response.json.note == null", &[0])]
#[test_case("response.json.missing == null", &[]; "absent is not null")]
#[test_case(r#"response.json.id == "42""#, &[]; "another type is not equal")]
#[test_case(r#"response.json.id != "42""#, &[0])]
#[test_case(r#""user" in request.json"#, &[2])]
#[test_case(r#"request.json["user"].upperAscii() == "ANN""#, &[2])]
// Who, when and how.
#[test_case(r#"error == "connect_refused""#, &[3])]
#[test_case(r#"opaque && dst.port == 5432"#, &[3])]
#[test_case(r#"dst.ip == "10.0.0.9" && dst.name == """#, &[3])]
#[test_case(r#"dst.workload == "auth""#, &[2])]
#[test_case(r#""auth" in namespaces"#, &[2])]
#[test_case(r#"services.exists(s, s == "payment")"#, &[0, 1])]
#[test_case("latency_ms >= 2500.0", &[1])]
#[test_case("latency_ms >= 2500", &[1])]
#[test_case("latency_ms < 5", &[2]; "no end is no latency")]
#[test_case("elapsed_time == 12000", &[0])]
#[test_case(r#"leg == "outbound" && state == "complete" && engine == "splice" && protocol == "http1""#, &[0, 1, 2])]
#[test_case(r#"id == "c3-2""#, &[2])]
#[test_case("conn_id == 7 && index == 1", &[1])]
#[test_case(r#"revision == "7f8b9c" && namespace == "shop" && workload == "checkout""#, &[0, 1, 2, 3])]
#[test_case("probe", &[])]
// The language.
#[test_case("http ? status == 200 : dst.port == 5432", &[0, 3])]
#[test_case("status / 100 == 5", &[1])]
#[test_case("status % 0 == 5 || status == 200", &[0]; "division by zero is absent")]
#[test_case("-status == -200", &[0])]
#[test_case(r#"int("20") * 10 == status"#, &[0])]
#[test_case(r#"string(status) == "200""#, &[0])]
#[test_case(r#""/api" + "/pay" == path"#, &[1])]
#[test_case("timestamp > timestamp(\"2020-01-01T00:00:00Z\")", &[0, 1, 2, 3])]
#[test_case("[1, 2, 3].exists(x, [x * 100].exists(y, y == status))", &[0]; "nested variables")]
#[test_case("true", &[0, 1, 2, 3])]
#[test_case("http // only these", &[0, 1, 2]; "a comment")]
#[test_case("'ä' in [path, 'ä'] && status == 200", &[0]; "letters beyond ascii")]
fn our_filters(filter: &str, expected: &[usize]) {
    assert_eq!(matching(&Filter::parse(filter).unwrap()), expected);
}

/// A call that went well, one that failed and one that was given up, all of gRPC; and a WebSocket.
fn streams() -> Vec<FoundCall> {
    let well = crate::testing::grpc_call(5, "/shop.v1.Orders/Get", Some(0));
    let mut wrong = crate::testing::grpc_call(5, "/shop.v1.Orders/Put", Some(13));
    wrong.response.trailers = "grpc-status: 13\r\nx-shard: 4\r\n".into();
    let mut given_up = crate::testing::grpc_call(5, "/shop.v1.Watch/Watch", None);
    given_up.error = Some(CallError::ClientCancelled);
    given_up.detail = Detail::Http2(Http2 {
        reset: Some(Reset {
            by: Side::Client,
            code: 8,
        }),
        pushed: false,
    });
    let mut socket = crate::testing::call(5, "/chat", 101);
    socket.protocol = Protocol::WebSocket;
    let message = |from, kind, payload: &'static str| StreamMessage {
        from,
        kind,
        at: 5,
        size: payload.len() as u64,
        compressed: false,
        payload: payload.into(),
        decoded: false,
        omitted: None,
    };
    socket.stream = Some(Box::new(Stream {
        client_messages: 1,
        server_messages: 2,
        messages: vec![
            message(Side::Client, MessageKind::Text, "{\"op\": \"join\"}"),
            message(Side::Server, MessageKind::Text, "welcome"),
            message(Side::Client, MessageKind::Ping, ""),
            message(Side::Server, MessageKind::Binary, "news"),
        ],
    }));
    let mut found = shop();
    for (found, call) in found.iter_mut().zip([well, wrong, given_up, socket]) {
        found.call = call;
    }
    found
}

/// A statement that went well and one that was refused, a command of Redis, and a statement that runs.
fn databases() -> Vec<FoundCall> {
    let selected = crate::testing::sql_call(5, "SELECT * FROM orders WHERE id = ?");
    let mut inserted = crate::testing::sql_call(5, "INSERT INTO orders VALUES (?)");
    inserted.request.body = "INSERT INTO orders VALUES ($1)\n[7]".into();
    inserted.response.body =
        "{\"severity\":\"ERROR\",\"code\":\"23505\",\"message\":\"it is there\"}".into();
    if let Detail::Sql(sql) = &mut inserted.detail {
        sql.params = 1;
        sql.rows = None;
        sql.error = Some(SqlError {
            code: ErrorCode::read(b"23505").unwrap(),
            severity: Severity::Error,
        });
    }
    let cached = crate::testing::redis_call(5, "GET", "order:17");
    let mut running = selected.clone();
    running.response = Message::default();
    running.phases.response_last = None;
    let mut found = shop();
    for (found, call) in found.iter_mut().zip([selected, inserted, cached, running]) {
        found.call = call;
    }
    found
}

#[test_case("postgresql", &[0, 1, 3])]
#[test_case("postgresql && postgresql_query.contains(\"SELECT\")", &[0, 3])]
#[test_case("postgresql_query == \"INSERT INTO orders VALUES ($1)\"", &[1]; "without the bind values")]
#[test_case("request.body.contains(\"[7]\")", &[1]; "which stand in the body")]
#[test_case("postgresql_command == \"INSERT\"", &[1])]
#[test_case("postgresql_command != \"INSERT\"", &[0, 3]; "absent from the others")]
#[test_case("postgresql_fingerprint.startsWith(\"SELECT\")", &[0, 3])]
#[test_case("postgresql_rows == 1", &[0, 3])]
#[test_case("postgresql_database == \"shop\" && postgresql_user == \"orders\"", &[0, 1, 3])]
#[test_case("postgresql_success", &[0])]
#[test_case("!postgresql_success", &[1]; "of one that runs nothing is known")]
#[test_case("postgresql_error_code == \"23505\"", &[1])]
#[test_case("postgresql_error_message.contains(\"there\")", &[1])]
#[test_case("failed", &[]; "that a key is there already is an answer")]
#[test_case("response.json.id == 7", &[0]; "one row is one object")]
#[test_case("redis && redis_type == \"GET\"", &[2])]
#[test_case("redis_command == \"GET\" && redis_key == \"order:17\"", &[2])]
#[test_case("redis_success && redis_error_code == \"\"", &[2])]
#[test_case("route == \"order:{id}\"", &[2])]
#[test_case("method == \"SELECT\" && status == 0 && !http", &[0, 3])]
fn filters_over_databases(filter: &str, expected: &[usize]) {
    let filter = Filter::parse(filter).unwrap();
    let calls = databases();
    let found = calls.iter().enumerate();
    let matching = found.filter(|(_, call)| filter.matches(call).unwrap());
    assert_eq!(matching.map(|(at, _)| at).collect::<Vec<_>>(), expected);
}

#[test]
fn a_statement_that_may_not_be_got_is_not_told() {
    let mut calls = databases();
    calls.iter_mut().for_each(|call| call.withheld = true);
    for filter in [
        "postgresql_query.contains(\"o\")",
        "postgresql_error_message != \"\"",
    ] {
        let filter = Filter::parse(filter).unwrap();
        let mut matching = calls.iter().filter(|call| filter.matches(call).unwrap());
        assert!(matching.next().is_none());
    }
}

/// The same, in TLS: passed through, intercepted, and once in spite of being asked for.
fn secured() -> Vec<FoundCall> {
    let hello = TlsHello {
        sni: Some("api.shop".to_owned()),
        ..TlsHello::default()
    };
    let secure = |handling, reason| {
        Some(Arc::new(Secure {
            handling,
            reason,
            hello: hello.clone(),
            alpn: None,
            version: None,
            certificate: None,
        }))
    };
    let mut found = shop();
    found[1].call.secure = secure(TlsHandling::Intercepted, TlsReason::Asked);
    for place in [2, 3] {
        found[place].call.protocol = Protocol::Tls;
        found[place].call.detail = Detail::Tls(hello.clone());
    }
    found[3].call.secure = secure(TlsHandling::Passthrough, TlsReason::ClientCertificate);
    found
}

#[test_case("https", &[1, 2, 3])]
#[test_case("https && http", &[1]; "what was looked into")]
#[test_case("tls", &[2, 3]; "what was not")]
#[test_case("tls_handling == \"plaintext\" && tls_reason == \"no_tls\"", &[0])]
#[test_case("tls_handling == \"intercepted\"", &[1])]
#[test_case("tls_reason == \"not_asked\"", &[2])]
#[test_case("tls_reason == \"client_certificate\"", &[3])]
#[test_case("tlsx_sni == \"api.shop\"", &[1, 2, 3])]
fn filters_over_tls(filter: &str, expected: &[usize]) {
    let filter = Filter::parse(filter).unwrap();
    let calls = secured();
    let matching = (0..calls.len()).filter(|&place| filter.matches(&calls[place]).unwrap());
    assert_eq!(matching.collect::<Vec<_>>(), expected);
}

#[test_case("grpc", &[0, 1, 2])]
#[test_case("grpc && grpc_status != 0", &[1]; "a status that is missing is absent")]
#[test_case("grpc && !has(response.trailers[\"grpc-status\"])", &[2])]
#[test_case("grpc_status_name == \"INTERNAL\"", &[1])]
#[test_case("grpc_method == \"Get\" && grpc_service == \"shop.v1.Orders\"", &[0])]
#[test_case("failed", &[1, 2])]
#[test_case("!failed && http2", &[0])]
#[test_case("status == 200", &[0, 1, 2]; "the status stays that of HTTP")]
#[test_case("http2_reset == \"CANCEL\"", &[2])]
#[test_case("error == \"client_cancelled\"", &[2])]
#[test_case("response.trailers[\"x-shard\"] == \"4\"", &[1])]
#[test_case("response_messages > 1", &[3])]
#[test_case("request_messages == 1", &[0, 1, 2, 3])]
#[test_case("ws && http1 == false", &[3])]
#[test_case("ws && ws_opcode == \"text\"", &[3])]
#[test_case("\"binary\" in ws_opcodes", &[3])]
#[test_case("ws_request_payload_data.contains(\"join\")", &[3])]
#[test_case("ws_request_payload_data.contains(\"welcome\")", &[]; "only what the client sent")]
#[test_case("response.body == \"welcome\\nnews\"", &[3]; "messages are the lines of a body")]
#[test_case("request.body.startsWith(\"\\b\")", &[0, 1, 2]; "payloads as text")]
fn filters_over_messages(filter: &str, expected: &[usize]) {
    let filter = Filter::parse(filter).unwrap();
    let calls = streams();
    let found = calls.iter().enumerate();
    let found: Vec<usize> = found
        .filter(|(_, call)| filter.matches(call).unwrap())
        .map(|(number, _)| number)
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn the_flat_status_takes_a_status_of_grpc() {
    let flat: FlatFilter = serde_json::from_str(r#"{"status": "Internal"}"#).unwrap();
    let filter = Filter::from_flat(&flat).unwrap();
    let calls = streams();
    let found = calls.iter().filter(|call| filter.matches(call).unwrap());
    let found: Vec<_> = found.map(|call| call.id.ordinal).collect();
    assert_eq!(found, [1]);
}

#[test_case("request.path == \"/\"", "request.path", "path")]
#[test_case("response.status == 500", "response.status", "status_code")]
#[test_case("src.ns == \"dev\"", "src.ns", "src.namespace")]
#[test_case("response.latency > 1000", "response.latency", "elapsed_time")]
#[test_case("http and status > 200", "`and`", "&&")]
#[test_case("path contains \"/api\"", "`contains`", "path.contains")]
#[test_case("staus == 200", "staus", "`status`")]
#[test_case("src.pod == \"x\"", "is an object", "src.pod.name")]
#[test_case("src.pdo.name == \"x\"", "src.pdo.name", "src.pod.name")]
#[test_case("request == \"x\"", "is an object", "request.headers")]
#[test_case("timestamp > \"2026-01-01\"", "a time", "T15:04:05Z")]
#[test_case("xyzzy", "xyzzy", "names are such as")]
#[test_case("method == GET", "`GET`", "`\"GET\"`")]
#[test_case("duration > 5", "`duration`", "`elapsed_time`")]
#[test_case("status >= 400 || ", "ends too early", "")]
#[test_case("status == 4xx", "`xx` does not belong here", "")]
#[test_case("((path == \"/\")", "not closed", "counterpart")]
#[test_case("path > 5", "`path` is text", "\"5\"")]
#[test_case("status == \"x\"", "`status` is a whole number", "status == 200")]
#[test_case("status == \"404\"", "`status` is a whole number", "`404`")]
#[test_case("timestamp > \"2026-01-01T00:00:00Z\"", "a time", "timestamp(\"2026")]
#[test_case("elapsed_time > duration(\"2s\")", "a whole number", "microseconds")]
#[test_case("\"x\" in path", "is text", "path.contains")]
#[test_case("path.length() > 5", "`length`", "size")]
#[test_case("path.startswith(\"x\")", "`startswith`", "startsWith")]
#[test_case("contains(path, \"x\")", "not called like this", "path.contains")]
#[test_case("frobnicate(path)", "frobnicate", "one of")]
#[test_case("path", "true or false", "compare")]
#[test_case("method && http", "not a condition", "compare it")]
#[test_case("!method", "not a condition", "compare it")]
#[test_case("protocol == \"HTTP\"", "\"HTTP\"", "http1")]
#[test_case(
    "error == \"connection_refused\"",
    "connection_refused",
    "connect_refused"
)]
#[test_case("state in [\"open\", \"complte\"]", "complte", "complete")]
#[test_case("grpc_status_name == \"NOTFOUND\"", "NOTFOUND", "NOT_FOUND")]
#[test_case("ws_opcode == \"bin\"", "bin", "binary")]
#[test_case("grpc_status == \"NOT_FOUND\"", "a whole number", "")]
#[test_case("timestamp > now() - \"5m\"", "arithmetic", "duration")]
#[test_case(
    "duration(\"5 minutes\") == duration(\"5m\")",
    "is not a duration",
    "5m"
)]
#[test_case("path.matches(\"(\")", "pattern cannot be read", "")]
#[test_case("path.matches(method)", "written out", "")]
#[test_case("path.matches(\"(a{1000}){1000}\")", "too large", "repeat less")]
#[test_case("path.foo == \"x\"", "no parts", "")]
#[test_case("{\"a\": 1} == {}", "cannot make maps", "")]
#[test_case("status == b\"200\"", "no bytes", "leave out")]
#[test_case("status ==", "cannot be read", "")]
#[test_case("status == 99999999999999999999", "", "")]
#[test_case("has(path == \"x\")", "`has`", "has(")]
#[test_case("namespaces == \"x\"", "a list", "in namespaces")]
#[test_case("request.headers == \"x\"", "a map", "request.headers[")]
#[test_case("src.?name == \"x\"", "cannot be read", "")]
fn wrong_filters(filter: &str, message: &str, hint: &str) {
    let error = Filter::parse(filter).unwrap_err();
    assert!(error.message.contains(message), "{error:?}");
    assert!(
        error.hint.as_deref().unwrap_or("").contains(hint),
        "{error:?}"
    );
}

#[test]
fn compressed_bodies_are_looked_into() {
    use std::io::Write;

    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(br#"{"id": 42}"#).unwrap();
    let mut call = shop().remove(1);
    call.call.response.head = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n".into();
    call.call.response.body = encoder.finish().unwrap().into();
    for filter in ["response.json.id == 42", "response.body.contains('42')"] {
        assert!(
            Filter::parse(filter).unwrap().matches(&call).unwrap(),
            "{filter}"
        );
    }
    call.call.response.body = "not gzip".into();
    for filter in ["response.body == 'not gzip'", "response.body != 'not gzip'"] {
        assert!(
            !Filter::parse(filter).unwrap().matches(&call).unwrap(),
            "{filter}"
        );
    }
}

#[test]
fn an_error_says_where() {
    let error = Filter::parse("http && \"ä\" == path && staus == 200").unwrap_err();
    assert!(error.message.contains("(at character 24)"), "{error:?}");
}

#[test]
fn deep_work_on_one_call_is_cut_short() {
    let list = format!("[{}]", vec!["1"; 90].join(","));
    let filter =
        format!("{list}.all(a, {list}.all(b, {list}.all(c, {list}.all(d, a + b + c + d > 0))))");
    let filter = Filter::parse(&filter).unwrap();
    let error = filter.matches(&shop()[0]).unwrap_err();
    assert!(error.message.contains("too many steps"), "{error:?}");
}

#[test_case(FlatFilter { src: Some("checkout".into()), dst: Some("10.0.0.2".into()), ..FlatFilter::default() }, &[0, 1])]
#[test_case(FlatFilter { dst: Some("10.0.0.2:8080".into()), ..FlatFilter::default() }, &[0, 1]; "address with port")]
#[test_case(FlatFilter { dst: Some("10.0.0.2:80".into()), ..FlatFilter::default() }, &[]; "another port")]
#[test_case(FlatFilter { method: Some("POST".into()), path_prefix: Some("/api".into()), ..FlatFilter::default() }, &[1])]
#[test_case(FlatFilter { route: Some("/api/orders/{id}".into()), ..FlatFilter::default() }, &[0])]
#[test_case(FlatFilter { status: Some(StatusFilter::Class("5xx".into())), ..FlatFilter::default() }, &[1])]
#[test_case(FlatFilter { status: Some(StatusFilter::Class("401".into())), ..FlatFilter::default() }, &[2])]
#[test_case(FlatFilter { status: Some(StatusFilter::Code(200)), ..FlatFilter::default() }, &[0])]
#[test_case(FlatFilter { min_ms: Some(10.0), ..FlatFilter::default() }, &[0, 1])]
#[test_case(FlatFilter { header: Some("Set-Cookie".into()), ..FlatFilter::default() }, &[1])]
#[test_case(FlatFilter { header: Some("content-type: application/json".into()), ..FlatFilter::default() }, &[0, 2])]
#[test_case(FlatFilter { namespace: Some("auth".into()), ..FlatFilter::default() }, &[2])]
#[test_case(FlatFilter { revision: Some("7f8b9c".into()), trace_id: Some("abc".into()), ..FlatFilter::default() }, &[0])]
#[test_case(FlatFilter { method: Some("POST".into()), r#where: Some("status < 500".into()), ..FlatFilter::default() }, &[2])]
#[test_case(FlatFilter::default(), &[0, 1, 2, 3]; "nothing set")]
fn flat_filters(flat: FlatFilter, expected: &[usize]) {
    assert_eq!(matching(&Filter::from_flat(&flat).unwrap()), expected);
}

#[test_case(r#"{"status": "5x"}"#, "status:", "5xx")]
#[test_case(r#"{"status": "server error"}"#, "status:", "5xx")]
#[test_case(r#"{"status": "notfound"}"#, "status:", "\"NOT_FOUND\"")]
#[test_case(r#"{"status": 20}"#, "status:", "100 to 599")]
#[test_case(r#"{"method": "get"}"#, "method:", "\"GET\"")]
#[test_case(r#"{"method": "PSOT"}"#, "method:", "\"POST\"")]
#[test_case(r#"{"method": "G E T"}"#, "method:", "GET")]
#[test_case(r#"{"route": "GET /api"}"#, "route:", "\"/api\"")]
#[test_case(r#"{"path_prefix": "api"}"#, "path_prefix:", "\"/api\"")]
#[test_case(r#"{"min_ms": -1}"#, "min_ms:", "0 or more")]
#[test_case(r#"{"header": "cache control"}"#, "header:", "such as")]
#[test_case(r#"{"src": " "}"#, "src:", "leave the field out")]
#[test_case(r#"{"where": "staus == 5"}"#, "where:", "status")]
fn wrong_flat_filters(flat: &str, message: &str, hint: &str) {
    let flat: FlatFilter = serde_json::from_str(flat).unwrap();
    let error = Filter::from_flat(&flat).unwrap_err();
    assert!(error.message.starts_with(message), "{error:?}");
    assert!(
        error.hint.as_deref().unwrap_or("").contains(hint),
        "{error:?}"
    );
}

#[test]
fn both_filters_have_to_hold() {
    let post = Filter::parse("method == 'POST'").unwrap();
    let failed = Filter::parse("status >= 500").unwrap();
    let both = post.and(failed);
    assert_eq!(matching(&both), [1]);
    assert_eq!(both.source(), "(method == 'POST') && (status >= 500)");
    assert_eq!(matching(&both.and(Filter::default())), [1]);
}

/// Filters made to cost as much as they can. Each has to be refused, or read and asked, on a stack as
/// small as a thread's usually is.
fn hostile() -> Vec<String> {
    let nested =
        |open: &str, close: &str, times| open.repeat(times) + "http" + &close.repeat(times);
    let mut filters: Vec<String> = (1..60)
        .flat_map(|times| {
            [
                nested("(", ")", times),
                nested("!(", ")", times),
                nested("[", "]", times),
                nested("{1:", "}", times),
                nested("size(", ")", times),
                nested("request.headers[", "]", times),
                nested("[1].exists(x, ", ")", times),
                nested("http ? ", " : tls", times),
                nested("http ? tls : ", "", times),
                nested("!", "", times),
                nested("-", "", times),
                nested("", ".a", times),
                nested("", ".a()", times),
                nested("", "[0]", times),
                nested("", " + 1", times),
                nested("", " < 1", times),
                nested("", " in [http", times),
                nested("", " && http", times),
                nested("", " || (http && tls)", times),
            ]
        })
        .collect();
    // Chains within brackets within chains: the deepest that the first look lets through.
    for (link, links, levels) in [
        ("+1", 39, 12),
        (".a", 39, 12),
        ("[0]", 39, 8),
        ("<1", 39, 12),
    ] {
        let deepen = |inner: String, _| format!("({inner}{})", link.repeat(links));
        filters.push((0..levels).fold("http".to_owned(), deepen));
    }
    filters.extend([
        "http &&".repeat(500) + "http",
        "(http || tls) && ".repeat(240) + "http",
        format!("path in [{}]", "'a',".repeat(500) + "'a'"),
        format!("path.matches('{}')", "(a*)*".repeat(700)),
        format!("path.matches('{}')", "(".repeat(1000)),
        format!("path.matches('{}')", "a{100}".repeat(600)),
        "path.matches('(((((((a{10}){10}){10}){10}){10}){10}){10})')".to_owned(),
        "path.matches('\\\\p{L}{500}')".to_owned(),
        format!("path == '{}'", "é".repeat(2000)),
        format!("path == '{}'", "\u{1F600}".repeat(1000)),
        "é".repeat(2000),
        "\u{1F600}".repeat(1000),
        "http \0".to_owned(),
        "path == '\0'".to_owned(),
        "\u{feff}http".to_owned(),
        "\u{202e}http".to_owned(),
        "'".repeat(4096),
        "\"".repeat(4095),
        "\\".repeat(4096),
        "`".repeat(4096),
        "`a".to_owned(),
        "r'".repeat(2000),
        "b'".repeat(2000),
        "'\\".to_owned(),
        "//".repeat(2000),
        "9".repeat(4000),
        "0x".to_owned() + &"f".repeat(4000),
        "1e".to_owned() + &"9".repeat(4000),
        "1.".repeat(1000),
        "-9223372036854775808 == 1".to_owned(),
        "a".repeat(4096),
        ".".repeat(4096),
        "?".repeat(4096),
        ": ".repeat(2000),
        ",".repeat(1000),
        "[,]".to_owned(),
        "f(".to_owned(),
        "http)".to_owned(),
        "x(1,)".to_owned(),
        "@foo".to_owned(),
        "duration('9223372036854775807s') > duration('1s')".to_owned(),
        "timestamp(9223372036854775807) > now()".to_owned(),
        "now() + duration('292y') > now()".to_owned(),
    ]);
    filters
}

#[test]
fn hostile_filters_are_refused_or_asked() {
    const STACK_BYTES: usize = 2 * 1024 * 1024;
    let work = || {
        let calls = shop();
        for filter in hostile() {
            match Filter::parse(&filter) {
                Ok(filter) => calls.iter().for_each(|call| drop(filter.matches(call))),
                Err(error) => {
                    let told = error.message.len() + error.hint.map_or(0, |hint| hint.len());
                    assert!(told < 1_000, "{filter:.80}: {}", error.message);
                }
            }
        }
    };
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
    thread.spawn(work).unwrap().join().unwrap();
}

proptest::proptest! {
    #[test]
    fn any_text_is_refused_or_asked(text in "\\PC{0,60}") {
        if let Ok(filter) = Filter::parse(&text) {
            shop().iter().for_each(|call| drop(filter.matches(call)));
        }
    }

    #[test]
    fn any_words_and_signs_are_refused_or_asked(
        words in proptest::collection::vec(proptest::sample::select(&[
            "http", "path", "status", "request.headers", "namespace", "'a'", "5", "1.5", "true", "null",
            "(", ")", "[", "]", "{", "}", ".", ",", "?", ":", "!", "-", "+", "/", "%", "==", "<", "&&",
            "||", "in", "size", "has", "exists", "x", "map_get", "now()", "duration", "timestamp",
            "matches", "contains", "é", "//", "\n",
        ][..]), 0..40),
    ) {
        if let Ok(filter) = Filter::parse(&words.join(" ")) {
            shop().iter().for_each(|call| drop(filter.matches(call)));
        }
    }
}

#[test_case("kafka && kafka_client_id != \"a\"", &["kafka"])]
#[test_case("path == \"grpc\" || request.json.dns == 1", &[]; "in a text and as a part")]
#[test_case("http", &[])]
fn protocols_that_are_not_recorded(filter: &str, expected: &[&str]) {
    assert_eq!(
        Filter::parse(filter).unwrap().unrecorded_protocols(),
        expected
    );
}
