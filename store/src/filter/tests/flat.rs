//! Filters in fields instead of an expression.

use test_case::test_case;

use super::*;

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
    assert_eq!(
        matching(&shop(), &Filter::from_flat(&flat).unwrap()),
        expected
    );
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
    assert_eq!(matching(&shop(), &both), [1]);
    assert_eq!(both.source(), "(method == 'POST') && (status >= 500)");
    assert_eq!(matching(&shop(), &both.and(Filter::default())), [1]);
}
