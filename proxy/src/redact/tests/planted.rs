//! Property: of a secret planted anywhere, in any coding, cut anywhere, nothing is left.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

/// As many characters of a secret in a row must not be found anywhere.
const TELLING: usize = 6;

/// A secret of a form that occurs, long enough that no piece of it occurs by chance.
fn secret() -> impl Strategy<Value = String> {
    prop_oneof![
        "[A-Za-z0-9_-]{16,60}",
        "[0-9a-f]{32}",
        "[A-Z2-7]{20}",
        "s3cr[a-z0-9]{14}",
        "[A-Za-z0-9+/]{22,40}={0,2}"
    ]
}

fn jwt() -> impl Strategy<Value = String> {
    "eyJ[A-Za-z0-9_-]{20,40}\\.eyJ[A-Za-z0-9_-]{20,60}\\.[A-Za-z0-9_-]{22,43}"
}

/// Clean text to stand around.
fn filler() -> impl Strategy<Value = String> {
    prop_oneof![
        r#"(\{"id":[0-9]{1,5},"name":"[a-z ]{0,20}"\},){0,8}"#,
        "[a-zA-Z ,.]{0,80}",
        "(<li class=\"x\">[a-z]{1,9}</li>){0,5}",
    ]
}

fn field(secret: &str, name: &str, notation: usize) -> String {
    match notation {
        0 => format!(r#"{{"{name}":"{secret}"}}"#),
        1 => format!(r#"{{"{name}" : [ "{secret}" , {{"x":"{secret}"}} ]}}"#),
        2 => format!(r#"{{"raw":"{{\"{name}\":\"{secret}\"}}"}}"#),
        3 => format!(r#"{{"u":"https://h/p?{name}={secret}&b=1"}}"#),
        4 => format!("<{name}>{secret}</{name}>"),
        5 => format!("{{'{name}': '{secret}'}}"),
        6 => format!(r#"{{"a":"Bearer {secret}1","{name}":"Bearer {secret}"}}"#),
        _ => format!(r#"[{{"name":"{name}","value":"{secret}"}}]"#),
    }
}

fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "password",
        "Password",
        "client_secret",
        "accessToken",
        "refresh_token",
        "api_key",
        "apiKey",
        "private_key",
        "AUTH_TOKEN",
        "credentials",
        "x-api-key",
        "userPasswd",
    ])
}

fn begins_with_port(secret: &str) -> bool {
    let rest = secret.trim_start_matches(|c: char| c.is_ascii_digit());
    rest.len() < secret.len() && rest.starts_with('/')
}

fn assert_gone(call: &Call, secret: &str) -> Result<(), TestCaseError> {
    for message in [&call.request, &call.response] {
        for part in [
            &message.head,
            &message.body,
            &message.trailers,
            &call.interim,
        ] {
            for piece in secret.as_bytes().windows(TELLING) {
                prop_assert!(
                    memchr::memmem::find(part, piece).is_none(),
                    "{:?} of {secret:?} is left in {:?}",
                    String::from_utf8_lossy(piece),
                    String::from_utf8_lossy(part)
                );
            }
        }
    }
    Ok(())
}

/// Cuts the body at `share` of its length, if it is cut.
fn cut(message: &mut Message, share: Option<f64>) {
    if let Some(share) = share {
        let length = (message.body.len() as f64 * share) as usize;
        message.body.truncate(length);
        message.omitted = Some(Omitted::Limit);
    }
}

fn encode(body: String, coding: usize) -> Message {
    let body = body.into_bytes();
    match coding {
        0 => message("HTTP/1.1 200 OK\r\n\r\n", body),
        1 => coded("gzip", gzip(&body)),
        2 => coded("zstd", zstd::encode_all(&body[..], 1).unwrap()),
        3 => coded("br", stored_brotli(&body)),
        _ => {
            let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
            zlib.write_all(&body).unwrap();
            coded("deflate", zlib.finish().unwrap())
        }
    }
}

/// JSON of any shape, in which `planted` stands under the name of a secret somewhere.
fn json_with(planted: Value) -> impl Strategy<Value = Value> {
    let harmless = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0u32..100_000).prop_map(Value::from),
        "[a-z ]{0,12}".prop_map(Value::from),
    ];
    let around = prop::collection::vec((name_of_anything(), harmless), 0..4);
    let layers = prop::collection::vec((any::<bool>(), around), 0..4);
    (name(), layers).prop_map(move |(name, layers)| {
        let mut inner = json!({ name: planted.clone() });
        for (array, around) in layers {
            inner = match array {
                true => Value::Array(around.into_iter().map(|(_, v)| v).chain([inner]).collect()),
                false => {
                    let mut object: Map<_, _> = around.into_iter().collect();
                    object.insert("inner".to_owned(), inner);
                    Value::Object(object)
                }
            };
        }
        inner
    })
}

fn name_of_anything() -> impl Strategy<Value = String> {
    "[a-h_]{1,8}"
}

/// A value of the same type, with the same members.
fn same_shape(one: &Value, two: &Value) -> bool {
    match (one, two) {
        (Value::Array(one), Value::Array(two)) => {
            one.len() == two.len() && one.iter().zip(two).all(|(one, two)| same_shape(one, two))
        }
        (Value::Object(one), Value::Object(two)) => {
            one.len() == two.len()
                && one
                    .iter()
                    .zip(two)
                    .all(|((a, one), (b, two))| a == b && same_shape(one, two))
        }
        (Value::String(_), Value::String(_)) => true,
        (Value::Number(one), Value::Number(two)) => one.to_string().len() == two.to_string().len(),
        (one, two) => one == two,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn of_a_secret_in_a_body_nothing_is_left(
        secret in secret(), name in name(), notation in 0usize..8, coding in 0usize..5,
        before in filler(), after in filler(), share in prop::option::of(0.0f64..1.0),
    ) {
        let mut call = call();
        let body = format!("{before}{}{after}", field(&secret, name, notation));
        call.response = encode(body, coding);
        cut(&mut call.response, share);
        redact(&mut call);
        assert_gone(&call, &secret)?;
    }

    #[test]
    fn json_keeps_its_shape_and_loses_its_secret(
        (secret, document) in "[ -~äö€]{12,40}".prop_filter("long enough to tell", |secret| {
            secret.trim().len() >= 10
        }).prop_flat_map(|secret| {
            let planted = prop_oneof![
                Just(json!(secret)),
                Just(json!([secret, 12345, null])),
                Just(json!({ "deep": { "value": secret } })),
            ];
            (Just(secret.clone()), planted.prop_flat_map(json_with))
        }),
        pretty in any::<bool>(), escaped in any::<bool>(),
    ) {
        let mut text = match pretty {
            true => serde_json::to_string_pretty(&document).unwrap(),
            false => document.to_string(),
        };
        if escaped {
            text = json!({ "payload": text }).to_string();
        }
        let masked = redacted(message("POST / HTTP/1.1\r\n\r\n", text.clone())).body;
        let parsed = serde_json::from_slice(&masked);
        prop_assert!(parsed.is_ok(), "{text} became {}", String::from_utf8_lossy(&masked));
        let mut parsed: Value = parsed.unwrap();
        if escaped {
            parsed = serde_json::from_str(parsed["payload"].as_str().unwrap()).unwrap();
        }
        prop_assert!(same_shape(&document, &parsed), "{document} became {parsed}");
        let written = json!(secret).to_string();
        let written = written.trim_matches('"');
        prop_assert!(!parsed.to_string().contains(written), "{document} became {parsed}");
    }

    #[test]
    fn of_a_jwt_nothing_is_left(
        jwt in jwt(), coding in 0usize..5,
        before in filler(), after in filler(), share in prop::option::of(0.0f64..1.0),
    ) {
        let mut call = call();
        call.response = encode(format!("{before} {jwt} {after}"), coding);
        cut(&mut call.response, share);
        call.response.trailers = Bytes::from(format!("X-Trace: {jwt}\r\n"));
        call.request.head = Bytes::from(format!("GET /a/{jwt}/b HTTP/1.1\r\nX-Any: a,{jwt}\r\n\r\n"));
        redact(&mut call);
        assert_gone(&call, &jwt)?;
    }

    #[test]
    fn of_a_secret_in_a_head_nothing_is_left(
        secret in secret(), place in 0usize..8, upper in any::<bool>(),
    ) {
        // What stands between the colon and a slash is a port then, and the rest a path.
        prop_assume!(place != 5 || !begins_with_port(&secret));
        let line = match place {
            0 => format!("authorization: Bearer {secret}"),
            1 => format!("cookie: a=b; sid={secret}"),
            2 => format!("set-cookie: sid={secret}; Path=/"),
            3 => format!("x-api-key:{secret}"),
            4 => format!("proxy-authorization: {secret}"),
            5 => format!("location: https://u:{secret}@h/?token={secret}"),
            6 => format!("x-vault-token:\t{secret}\r\n {secret}"),
            _ => format!("x-forwarded-authorization: Basic {secret}"),
        };
        let (name, value) = line.split_once(':').unwrap();
        let name = if upper { name.to_uppercase() } else { name.to_owned() };
        let mut call = call();
        call.request.head = Bytes::from(format!(
            "GET /a?password={secret}&b=1 HTTP/1.1\r\nHost: h\r\n{name}:{value}\r\n\r\n"
        ));
        call.interim = Bytes::from(format!("HTTP/1.1 103 Early Hints\r\n{name}:{value}\r\n\r\n"));
        call.response.trailers = Bytes::from(format!("{name}:{value}\r\n"));
        redact(&mut call);
        assert_gone(&call, &secret)?;
    }

    #[test]
    fn garbage_is_survived(head in any::<Vec<u8>>(), body in any::<Vec<u8>>(), coding in 0usize..5) {
        let mut call = call();
        let coding = ["gzip", "deflate", "br", "zstd", "identity"][coding];
        let mut full = format!("HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\n").into_bytes();
        full.extend_from_slice(&head);
        call.response = message(full, body);
        redact(&mut call);
    }

    #[test]
    fn pieces_of_json_are_survived(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "\"token\"", "\"password\\\"", ":", "\"", "\\", "\\\"", "{", "[", "]", "}", ",", "\\u00",
            "eyJ", ".", "a", "1", "4111 1111 ", "=", "?", "&", "<", ">", "://", "@", "Bearer ",
            "name=\"secret\"", "\r\n\r\n", "-", "key", " ",
        ]), 0..60),
    ) {
        let text = pieces.concat();
        let mut call = call();
        call.request = message(text.clone(), text.clone());
        call.response = message(format!("HTTP/1.1 200 OK\r\nX-A: {text}\r\n"), text);
        call.response.omitted = Some(Omitted::Limit);
        redact(&mut call);
    }

    #[test]
    fn clean_text_stays_byte_for_byte(parts in prop::collection::vec(filler(), 0..6)) {
        let body = parts.concat();
        let masked = redacted(message("POST /orders HTTP/1.1\r\nHost: shop\r\nAccept: */*\r\n\r\n", body.clone()));
        prop_assert_eq!(text(&masked.body), body.as_str());
        prop_assert_eq!(&masked.head[..4], b"POST");
    }
}
