//! Filters over HTTP: those of Kubeshark's pages, and our own.

use test_case::test_case;

use super::*;

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
    assert_eq!(matching(&shop(), &Filter::parse(filter).unwrap()), expected);
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
    assert_eq!(matching(&shop(), &Filter::parse(filter).unwrap()), expected);
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
