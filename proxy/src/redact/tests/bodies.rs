//! Bodies as they are.

use test_case::test_case;

use super::*;

#[test_case(
    r#"{"password":"hunter2"}"#,
    r#"{"password":"[redacted secret # 7 text]"}"#
)]
#[test_case(
    r#"{"a":{"b":[{"api_key" : "k-1"}]}}"#,
    r#"{"a":{"b":[{"api_key" : "[redacted key # 3 text]"}]}}"#
)]
#[test_case(r#"{"secret":null,"token":true,"pin":""}"#, r#"{"secret":null,"token":true,"pin":""}"#; "nothing to hide")]
#[test_case(r#"{"secret":{"a":"x","b":["y"]},"c":"z"}"#, r#"{"secret":{"a":"[redacted secret # 1 text]","b":["[redacted secret # 1 text]"]},"c":"z"}"#; "an object")]
#[test_case(r#"{"tokens":512,"max_tokens":3,"pass":9}"#, r#"{"tokens":512,"max_tokens":3,"pass":9}"#; "counts")]
#[test_case(r#"{"user":"ann","pass":"hunter2"}"#, r#"{"user":"ann","pass":"[redacted secret # 7 text]"}"#; "a short name")]
#[test_case(r#"{"tokens":["ab"]}"#, r#"{"tokens":["[redacted secret # 2 hex]"]}"#; "a list of tokens")]
#[test_case(r#"{"client_secret":"a\"b\\","x":"y"}"#, r#"{"client_secret":"[redacted secret # 4 text]","x":"y"}"#; "escapes")]
#[test_case(r#"{"body":"{\"password\":\"hunter2\",\"a\":\"b\"}"}"#, r#"{"body":"{\"password\":\"[redacted secret # 7 text]\",\"a\":\"b\"}"}"#; "json in json")]
#[test_case(r#"{"pass\u0077ord":"hunter2"}"#, r#"{"pass\u0077ord":"[redacted secret # 7 text]"}"#; "an escaped name")]
#[test_case(r#"{"headers":{"Authorization":"Bearer abc","Cookie":"a=b"}}"#, r#"{"headers":{"Authorization":"Bearer [redacted bearer # 3 hex]","Cookie":"a=[redacted cookie #]"}}"#; "headers told back")]
#[test_case(r#"{"token":"hunt"#, r#"{"token":"[redacted secret # 4 text]"#; "cut in the value")]
#[test_case(r#"[{"name":"DB_PASSWORD","value":"hunter2"}]"#, r#"[{"name":"DB_PASSWORD","value":"[redacted secret # 7 text]"}]"#; "name and value")]
#[test_case(r#"{"Client Secret": "x"}"#, r#"{"Client Secret": "[redacted secret # 1 text]"}"#; "a name of two words")]
#[test_case("<a><ns:Password type=\"x\">hunter2</ns:Password></a>", "<a><ns:Password type=\"x\">[redacted secret # 7 text]</ns:Password></a>"; "xml")]
#[test_case("<input name=\"csrf_token\" value=\"abc\">", "<input name=\"csrf_token\" value=\"[redacted secret # 3 hex]\">"; "html")]
#[test_case("--b\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\nhunter2\r\n--b--", "--b\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\n[redacted secret # 7 text]\r\n--b--"; "multipart")]
#[test_case(r#"{"next":"https://a/b?token=abc&x=1"}"#, r#"{"next":"https://a/b?token=[redacted%20secret%20%23]&x=1"}"#; "a url in json")]
#[test_case(r#"{"dsn":"postgres://u:p@db:5432/x"}"#, r#"{"dsn":"postgres://%5Bredacted%20basic%20%23%5D@db:5432/x"}"#; "a connection string")]
#[test_case("card 4111 1111 1111 1111.", "card [redacted card # **** **** **** 1111]."; "a card in text")]
#[test_case("curl -H 'X: Bearer abc123def456xyz'", "curl -H 'X: Bearer [redacted bearer #]'"; "a bearer token in text")]
fn a_body_is_masked(body: &str, expected: &str) {
    let masked = redacted(message("POST / HTTP/1.1\r\n\r\n", body.to_owned()));
    assert_eq!(untagged(&masked.body), expected);
}

#[test_case(r#"{"token_type":"bearer","passenger":"Ann","key":"value","keys":["a"]}"#)]
#[test_case(r#"{"nextPageToken":"abc","id":"550e8400-e29b-41d4-a716-446655440000"}"#)]
#[test_case(r#"{"at":1763837090123,"ns":1763837090123456789,"f":0.4111111111111111}"#; "clocks and fractions")]
#[test_case("the bearer of bad news knows no password: see the token bucket"; "prose")]
#[test_case("const token=e.token;if(password===n){f(key)}"; "a program")]
#[test_case("https://example.com/@user and mailto:a@b"; "an at sign in a path")]
fn a_clean_body_stays(body: &str) {
    let masked = redacted(message("POST / HTTP/1.1\r\n\r\n", body.to_owned()));
    assert_eq!(text(&masked.body), body);
}

#[test]
fn a_form_is_masked() {
    let head = "POST / HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n";
    let body = format!("user=ann&password=hunter%32&sid=1&note={JWT}&json=%7B%22pin%22%3A12%7D");
    let masked = redacted(message(head, body));
    let masked = untagged(&masked.body);
    assert!(masked.starts_with("user=ann&password=[redacted%20secret%20%23]&sid=[redacted"));
    assert!(masked.contains("note=[redacted%20jwt%20%23]"), "{masked}");
    assert!(!masked.contains("12%7D"), "{masked}");
}

#[test]
fn numbers_stay_numbers() {
    let body = r#"{"pin":1234,"card":4111111111111111,"id":7}"#;
    let masked = redacted(message("", body)).body;
    let value: serde_json::Value = serde_json::from_slice(&masked).unwrap();
    assert_eq!(value["pin"].to_string().len(), 4);
    let card = value["card"].to_string();
    assert!(card.len() == 16 && card.ends_with("1111") && card != "4111111111111111");
    assert_eq!(value["id"], 7);
}
