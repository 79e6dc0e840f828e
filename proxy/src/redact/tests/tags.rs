//! What stands for a secret, wherever the call tells it again.

use super::*;

/// The tag of the one mask in `bytes`.
fn tag(bytes: &[u8]) -> &str {
    let text = text(bytes);
    let at = text.find("redacted").unwrap();
    let at = at
        + text[at..]
            .find('#')
            .map_or_else(|| text[at..].find("%23").unwrap() + 3, |at| at + 1);
    &text[at..at + 10]
}

#[test]
fn the_same_token_has_the_same_tag_wherever_it_stands() {
    let header = redacted(message(
        format!("GET / HTTP/1.1\r\nAuthorization: Bearer {JWT}\r\n\r\n"),
        "",
    ));
    let query = redacted(message(
        format!("GET /?access_token={JWT} HTTP/1.1\r\n\r\n"),
        "",
    ));
    let cookie = redacted(message(
        format!("GET / HTTP/1.1\r\nCookie: t={JWT}\r\n\r\n"),
        "",
    ));
    let json = redacted(message("", format!(r#"{{"refresh_token":"{JWT}"}}"#)));
    let loose = redacted(message("", format!("a token: {JWT}.")));
    let expected = tag(&header.head);
    assert_eq!(tag(&query.head), expected);
    assert_eq!(tag(&cookie.head), expected);
    assert_eq!(tag(&json.body), expected);
    assert_eq!(tag(&loose.body), expected);

    let plus = redacted(message("GET /?token=a%2Bb%2Fc%3D%3D HTTP/1.1\r\n\r\n", ""));
    let json = redacted(message("", r#"{"token":"a+b\/c=="}"#));
    assert_eq!(tag(&plus.head), tag(&json.body));

    let basic = redacted(message(
        "GET / HTTP/1.1\r\nAuthorization: Basic YW5uOnB3\r\n\r\n",
        "",
    ));
    let url = redacted(message("GET http://ann:pw@a/ HTTP/1.1\r\n\r\n", ""));
    assert_eq!(tag(&basic.head), tag(&url.head));
}

#[test]
fn a_secret_told_back_elsewhere_is_masked_with_the_same_tag() {
    let mut call = call();
    call.request = message(
        "GET /a/9f86d081884c HTTP/1.1\r\nX-Echo: 9f86d081884c\r\nX-Api-Key: 9f86d081884c\r\n\r\n",
        "",
    );
    call.response = coded("gzip", gzip(b"you said\r\n9f86d081884c, and 9f86d0"));
    redact(&mut call);
    let tag = tag(&call.response.body).to_owned();
    let body = text(&call.response.body);
    assert!(body.starts_with("you said\r\n[redacted key #"), "{body}");
    assert_eq!(text(&call.request.head).matches(&tag).count(), 3);
    assert!(
        call.request
            .head
            .starts_with(b"GET /a/[redacted%20key%20%23")
    );
}

#[test]
fn the_beginning_of_a_secret_in_a_broken_call_is_masked() {
    let mut open = call();
    open.state = State::Open;
    open.response = message("HTTP/1.1 200 OK\r\n\r\n", format!("token {}", &JWT[..20]));
    redact(&mut open);
    assert_eq!(untagged(&open.response.body), "token [redacted jwt #]");
}
