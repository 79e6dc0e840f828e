//! The calls that the tables speak of, by their number.

use super::*;

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

pub(super) fn shop() -> Vec<FoundCall> {
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
