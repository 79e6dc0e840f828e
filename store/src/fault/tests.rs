use test_case::test_case;

use super::*;

fn spec(effect: &str) -> FaultSpec {
    FaultSpec {
        id: "f-1".to_owned(),
        leg: "outbound".to_owned(),
        effect: serde_json::from_str(effect).unwrap(),
        ..FaultSpec::default()
    }
}

fn error(spec: &FaultSpec) -> FaultError {
    spec.check().unwrap_err()
}

#[test_case(r#"{"status": 503}"#, "status")]
#[test_case(r#"{"delay_ms": 200}"#, "delay")]
#[test_case(r#"{"reset": true}"#, "reset")]
#[test_case(r#"{"bytes_per_second": 1}"#, "throttle")]
fn an_effect_is_read(effect: &str, word: &str) {
    let fault = spec(effect).check().unwrap();
    assert_eq!(fault.effect.kind().as_str(), word);
    assert_eq!(fault.selection, Selection::All);
}

#[test]
fn an_answer_has_its_headers_in_lower_case() {
    let fault = spec(r#"{"status": 429, "headers": {"Retry-After": " 2 "}, "body": "busy"}"#);
    let Effect::Status(answer) = fault.check().unwrap().effect else {
        panic!("it is no answer");
    };
    assert_eq!(answer.headers, [("retry-after".to_owned(), "2".to_owned())]);
    assert_eq!(answer.body, "busy");
}

#[test_case("{}", "effect")]
#[test_case(r#"{"status": 503, "delay_ms": 1}"#, "effect")]
#[test_case(r#"{"status": 101}"#, "effect.status")]
#[test_case(r#"{"status": 600}"#, "effect.status")]
#[test_case(r#"{"status": 204, "body": "x"}"#, "effect.body")]
#[test_case(r#"{"delay_ms": 0}"#, "effect.delay_ms")]
#[test_case(r#"{"delay_ms": 60001}"#, "effect.delay_ms")]
#[test_case(r#"{"delay_ms": 5, "body": "x"}"#, "effect.body")]
#[test_case(r#"{"reset": false}"#, "effect.reset")]
#[test_case(r#"{"bytes_per_second": 0}"#, "effect.bytes_per_second")]
#[test_case(
    r#"{"status": 200, "headers": {"Content-Length": "7"}}"#,
    "effect.headers.Content-Length"
)]
#[test_case(r#"{"status": 200, "headers": {"a b": "7"}}"#, "effect.headers.a b")]
#[test_case(
    r#"{"status": 200, "headers": {"a": "7\r\nb: 8"}}"#,
    "effect.headers.a"
)]
#[test_case(
    r#"{"status": 307, "headers": {"Location": "http://elsewhere/"}}"#,
    "effect.headers.Location"
)]
#[test_case(
    r#"{"status": 307, "headers": {"location": "//elsewhere/"}}"#,
    "effect.headers.location"; "a server without a scheme"
)]
#[test_case(
    r#"{"status": 307, "headers": {"location": "/\\elsewhere/"}}"#,
    "effect.headers.location"; "a slash as browsers read it"
)]
#[test_case(
    r#"{"status": 307, "headers": {"location": "/\t/elsewhere/"}}"#,
    "effect.headers.location"; "a tab that browsers leave out"
)]
#[test_case(
    r#"{"status": 200, "headers": {"Alt-Svc": "h2=\"elsewhere:443\""}}"#,
    "effect.headers.Alt-Svc"
)]
#[test_case(
    r#"{"status": 200, "headers": {"refresh": "0; url=http://elsewhere/"}}"#,
    "effect.headers.refresh"
)]
fn an_effect_that_cannot_be_is_refused_with_what_would_be_right(effect: &str, field: &str) {
    let error = error(&spec(effect));
    assert_eq!(error.field, field);
    assert!(error.hint.is_some(), "{error}");
}

#[test]
fn an_answer_may_lead_to_another_path_of_the_same_server() {
    let fault = spec(r#"{"status": 307, "headers": {"location": "/later?of=1"}}"#);
    assert!(fault.check().is_ok());
}

#[test]
fn an_answer_is_bounded() {
    let mut long = spec(r#"{"status": 200}"#);
    long.effect.body = Some("x".repeat(8 * 1024 + 1));
    assert_eq!(error(&long).field, "effect.body");
    long.effect.body = None;
    let headers = (0..33).map(|number| (format!("x-{number}"), String::new()));
    long.effect.headers = Some(headers.collect());
    assert_eq!(error(&long).field, "effect.headers");
}

#[test_case(Some(0), None, "first")]
#[test_case(Some(1_000_001), None, "first")]
#[test_case(None, Some(0.0), "share")]
#[test_case(None, Some(1.1), "share")]
#[test_case(None, Some(f64::NAN), "share")]
#[test_case(Some(1), Some(0.5), "share")]
fn a_selection_that_cannot_be_is_refused(first: Option<u32>, share: Option<f64>, field: &str) {
    let spec = FaultSpec {
        first,
        share,
        ..spec(r#"{"reset": true}"#)
    };
    assert_eq!(error(&spec).field, field);
}

#[test]
fn a_leg_is_one_of_two() {
    let spec = FaultSpec {
        leg: "outbond".to_owned(),
        ..spec(r#"{"reset": true}"#)
    };
    assert_eq!(error(&spec).hint.as_deref(), Some("outbound"));
}

#[test]
fn a_fault_reads_back_as_it_was_written_and_what_is_newer_is_refused() {
    let mut spec = spec(r#"{"status": 503, "headers": {"a": "b"}}"#);
    spec.filter.route = Some("/api/orders/{id}".to_owned());
    spec.first = Some(3);
    let text = serde_json::to_string(&spec).unwrap();
    assert_eq!(serde_json::from_str::<FaultSpec>(&text).unwrap(), spec);
    let newer = text.replacen('{', r#"{"jitter": 5,"#, 1);
    assert!(serde_json::from_str::<FaultSpec>(&newer).is_err());
}
