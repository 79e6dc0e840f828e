//! Secrets in places and spellings that are easily overlooked.

use test_case::test_case;

use super::*;

const SECRET: &str = "Zq7hunter2Xy9Kw";

fn planted(text: &str) -> String {
    text.replace("SECRET", SECRET)
}

#[test_case("GET / HTTP/1.1\r\n Authorization: SECRET\r\n\r\n"; "an indented field under the start line")]
#[test_case("GET / HTTP/1.1\r\nAuthorization:\r\n Basic SECRET\r\n\r\n"; "a folded field")]
#[test_case("GET / HTTP/1.1\r\nAuthorization : Basic SECRET\r\n\r\n"; "a space before the colon")]
#[test_case("GET / HTTP/1.1\nCookie: SECRET\n\n"; "bare line feeds")]
#[test_case("GET / HTTP/1.1\r\nLocation: /cb#access_token=SECRET&x=1\r\n\r\n"; "a fragment")]
#[test_case("GET / HTTP/1.1\r\nLocation: /cb?x=1#access_token=SECRET\r\n\r\n"; "a fragment behind a query")]
#[test_case("GET /?a=1#token=SECRET HTTP/1.1\r\n\r\n"; "a fragment in a target")]
#[test_case("GET /a;JSESSIONID=SECRET HTTP/1.1\r\n\r\n"; "a session in a path")]
#[test_case("GET http://u:SECRET@h/ HTTP/1.1\r\n\r\n"; "userinfo in a target")]
#[test_case("GET / HTTP/1.1\r\nReferer: https://u:SECRET@h/p\r\n\r\n"; "userinfo in a field")]
#[test_case("GET /?xtoken=SECRET&to=https://u:pw@h/ HTTP/1.1\r\n\r\n"; "a parameter ahead of userinfo")]
#[test_case("GET http://u:a?b@h/?xtoken=SECRET HTTP/1.1\r\n\r\n"; "a parameter behind userinfo")]
#[test_case("GET / HTTP/1.1\r\nX-Session-Id: SECRET\r\n\r\n"; "a session field")]
#[test_case("GET / HTTP/1.1\r\nX-Db: Uid=sa;Pwd=SECRET;\r\n\r\n"; "a connection string")]
#[test_case("GET /?access%5ftoken=SECRET HTTP/1.1\r\n\r\n"; "an encoded name")]
#[test_case("GET /?u=https%3A%2F%2Fx%2F%3Ftoken%3DSECRET HTTP/1.1\r\n\r\n"; "a URL in a query")]
#[test_case("Authorization : Basic SECRET\r\n"; "a first trailer with a space before the colon")]
#[test_case("Authorization:\r\n Basic SECRET\r\n"; "a first trailer that is folded")]
fn nothing_of_it_is_left_in_any_head(head: &str) {
    let head = planted(head);
    let mut call = call();
    call.request.head = head.clone().into();
    call.request.trailers = head.clone().into();
    call.interim = head.into();
    redact(&mut call);
    for left in [&call.request.head, &call.request.trailers, &call.interim] {
        let left = text(left);
        assert!(!left.contains(&SECRET[..6]), "{left}");
        assert!(left.contains("[redacted") || left.contains("5Bredacted"));
    }
}

#[test_case(r#"{"userPwd":"SECRET"}"#; "pwd in camel case")]
#[test_case(r#"{"PWD":"SECRET"}"#; "pwd in capitals")]
#[test_case(r#"{"SSN":"SECRET"}"#; "ssn in capitals")]
#[test_case(r#"{"Ssn":"SECRET"}"#; "ssn in pascal case")]
#[test_case(r#"{"CVV":"SECRET"}"#; "cvv in capitals")]
#[test_case(r#"{"Cvc2":"SECRET"}"#; "cvc2 in pascal case")]
#[test_case(r#"{"OTP":"SECRET"}"#; "otp in capitals")]
#[test_case(r#"{"Pin":"SECRET"}"#; "pin in pascal case")]
#[test_case(r#"{"x":"{\"pwd\":\"SECRET\"}"}"#; "pwd in JSON in JSON")]
#[test_case(r#"{"x":"{\"otp\":\"SECRET\"}"}"#; "otp in JSON in JSON")]
#[test_case(r#"{"x":"{\"PIN\":\"SECRET\"}"}"#; "pin in JSON in JSON")]
#[test_case(r#"{"jwt":"SECRET"}"#; "a name that says jwt")]
#[test_case(r#"{"JSESSIONID":"SECRET"}"#; "a session in capitals")]
#[test_case(r#"{"SessionID":"SECRET"}"#; "a session in pascal case")]
#[test_case(r#"{"db":"Server=x;Uid=sa;Pwd=SECRET;"}"#; "a connection string")]
#[test_case(r#"{"url":"https://x/#access_token=SECRET"}"#; "a fragment")]
#[test_case("<pwd>SECRET</pwd>"; "an element")]
#[test_case("<password><![CDATA[SECRET]]></password>"; "character data")]
#[test_case("<password><![CDATA[SECRET"; "character data that was cut")]
fn nothing_of_it_is_left_in_a_body(body: &str) {
    let left = redacted(message("POST / HTTP/1.1\r\n\r\n", planted(body))).body;
    let left = text(&left);
    assert!(!left.contains(&SECRET[..4]), "{left}");
    assert!(left.contains("[redacted"), "{left}");
}

#[test_case("GET /x?a=TOKEN"; "in a query")]
#[test_case("GET /x/TOKEN"; "in a path")]
#[test_case("HTTP/1.1 401 no TOKEN"; "in a reason")]
fn a_token_that_is_still_coming_is_masked_in_a_start_line(head: &str) {
    let token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9";
    let mut call = call();
    call.state = State::Open;
    call.request.head = head.replace("TOKEN", token).into();
    redact(&mut call);
    let left = text(&call.request.head);
    assert!(!left.contains("eyJ"), "{left}");
}
