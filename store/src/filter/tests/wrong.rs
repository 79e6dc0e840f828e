//! What is said of a filter that cannot be asked.

use test_case::test_case;

use super::*;

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
fn an_error_says_where() {
    let error = Filter::parse("http && \"ä\" == path && staus == 200").unwrap_err();
    assert!(error.message.contains("(at character 24)"), "{error:?}");
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
