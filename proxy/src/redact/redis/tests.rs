use remora_store::call::Protocol;
use test_case::test_case;

use crate::redact::tests::{call, redact, untagged};

use super::*;

/// What is left of a command and its reply, both as the sealer writes them.
fn masked(line: &str, reply: &str) -> (String, String, String) {
    let mut call = call();
    call.protocol = Protocol::Redis;
    let mut words = line.split(' ');
    call.detail = Detail::Redis(Redis {
        command: words.next().unwrap_or_default().to_owned(),
        key: words.next().unwrap_or_default().to_owned(),
        ..Redis::default()
    });
    call.request.body = Bytes::copy_from_slice(line.as_bytes());
    call.response.body = Bytes::copy_from_slice(reply.as_bytes());
    redact(&mut call);
    let Detail::Redis(redis) = &call.detail else {
        unreachable!()
    };
    (
        untagged(redis.key.as_bytes()),
        untagged(&call.request.body),
        untagged(&call.response.body),
    )
}

const SECRET: &str = "\"[redacted secret #]\"";

#[test_case("SET user:1:password hunter2", "SET user:1:password {}"; "a key")]
#[test_case("SET user:1:password \"hunter \\\"2\" EX 60", "SET user:1:password {} EX 60"; "quoted")]
#[test_case("SETEX api_token 60 hunter2", "SETEX api_token 60 {}"; "with a time")]
#[test_case("MSET a 1 b.secret hunter2", "MSET a 1 b.secret {}"; "one of several")]
#[test_case("HSET user:1 name bob password hunter2", "HSET user:1 name bob password {}"; "a field")]
#[test_case("XADD events * user bob token hunter2", "XADD events * user bob token {}"; "of an entry")]
#[test_case("SET user:1:name bob", "SET user:1:name bob"; "no secret")]
#[test_case("SADD revoked_tokens hunter2", "SADD revoked_tokens {}"; "a member")]
#[test_case("SISMEMBER revoked_tokens hunter2", "SISMEMBER revoked_tokens {}"; "a question about a member")]
#[test_case("LPUSH user:7:api_keys hunter2 hunter3", "LPUSH user:7:api_keys {} {}"; "elements of a list")]
#[test_case("LREM user:7:api_keys 0 hunter2", "LREM user:7:api_keys 0 {}"; "one to be removed")]
#[test_case("HSETEX user:1 EX 60 FIELDS 2 name bob password hunter2", "HSETEX user:1 EX 60 FIELDS 2 name bob password {}"; "a field with a time")]
#[test_case("SET user:1:password session:0123456789abcdef:x", "SET user:1:password {}"; "what looks like a key")]
#[test_case("LRANGE user:7:api_keys 0 -1", "LRANGE user:7:api_keys 0 -1"; "places alone")]
#[test_case("INCR tokens", "INCR tokens"; "no value")]
#[test_case("SET refresh_token:42 hunter2", "SET refresh_token:42 {}"; "with a number behind it")]
#[test_case("SET user/password/7:42 hunter2", "SET user/password/7:42 {}"; "with two numbers behind it")]
#[test_case("SET password2 hunter2", "SET password2 {}"; "with a number at its end")]
#[test_case("SADD session_token:42 hunter2", "SADD session_token:42 {}"; "a member under a number")]
#[test_case("SET token_count:42 hunter2", "SET token_count:42 hunter2"; "a count with a number behind it")]
#[test_case("SET user:42 hunter2", "SET user:42 hunter2"; "a number behind another thing")]
#[test_case("SET token:42:owner bob", "SET token:42:owner bob"; "what is about a secret")]
#[test_case("SET 42 hunter2", "SET 42 hunter2"; "a number alone")]
fn a_value_under_the_name_of_a_secret_is_masked(line: &str, expected: &str) {
    assert_eq!(masked(line, "OK").1, expected.replace("{}", SECRET));
}

#[test_case("GET user:1:password", "hunter2", "[redacted secret #]"; "a key")]
#[test_case("GET user:1:password", "null", "null"; "that is not there")]
#[test_case("GET session_token:42", "hunter2", "[redacted secret #]"; "a key with a number behind it")]
#[test_case("GET token_count:42", "7", "7"; "a count with a number behind it")]
#[test_case("HGET user:1 password", "hunter2", "[redacted secret #]"; "a field")]
#[test_case("HMGET user:1 name password", "[\"bob\",\"hunter2\"]", "[\"bob\",\"[redacted secret #]\"]"; "one of several")]
#[test_case("MGET a b:secret", "[\"1\",\"hunt", ""; "cut off")]
#[test_case("HGETALL user:7:token", "{}", "{}"; "no fields of a secret")]
#[test_case("HGETALL user:1", "{\"name\":\"bob\",\"password\":\"hunter2\"}", "{\"name\":\"bob\",\"password\":\"[redacted secret # 7 text]\"}"; "all fields")]
#[test_case("GET user:1:name", "bob", "bob"; "no secret")]
#[test_case("SET user:1:password new GET", "hunter2", "[redacted secret #]"; "the value before")]
#[test_case("SET user:1:password new", "OK", "OK"; "a status")]
#[test_case("SMEMBERS revoked_tokens", "[\"hunter2\"]", "[redacted secret #]"; "members")]
#[test_case("BLPOP jobs user:7:tokens 0", "[\"user:7:tokens\",\"hunter2\"]", "[redacted secret #]"; "of one of several lists")]
#[test_case("LRANGE names 0 -1", "[\"bob\"]", "[\"bob\"]"; "a list")]
#[test_case("LPUSH user:7:tokens x", "3", "3"; "a count")]
#[test_case("HSCAN user:1 0", "[\"0\",{\"password\":\"hunter2\"}]", "[\"0\",{\"password\":\"[redacted secret # 7 text]\"}]"; "a part of a hash")]
#[test_case("HGETEX user:1 PERSIST FIELDS 2 name password", "[\"bob\",\"hunter2\"]", "[\"bob\",\"[redacted secret #]\"]"; "fields with a time")]
fn a_reply_under_the_name_of_a_secret_is_masked(line: &str, reply: &str, expected: &str) {
    assert_eq!(masked(line, reply).2, expected);
}

#[test_case("sess:QmFzZTY0LXNlc3Npb24x", "sess:[redacted cookie #]"; "a session")]
#[test_case("spring:session:sessions:33fdd1b6-b496-4b33-9f7d-df96679d32fe", "spring:session:sessions:[redacted cookie #]"; "deeper")]
#[test_case("spring:session:sessions:expires:33fdd1b6-b496-4b33-9f7d-df96679d32fe", "spring:session:sessions:expires:[redacted cookie #]"; "with a word between")]
#[test_case("_session_id:2::7f9fba1d3f40a9a4f5a3b2c1d0e9f8a7", "_session_id:2::[redacted secret #]"; "with a version between")]
#[test_case("session:shop-of-the-year-2026:33fdd1b6-b496-4b33", "session:[redacted cookie #]:[redacted cookie #]"; "with a long name between")]
#[test_case("PHPREDIS_SESSION:3ta9m2n4qk8v7c5d1e0f6g8h2j", "PHPREDIS_SESSION:[redacted cookie #]"; "of PHP")]
#[test_case("laravel_session:rT5yU8iOpA1sD4fG7hJ0kL3z", "laravel_session:[redacted cookie #]"; "of Laravel")]
#[test_case(":1:django.contrib.sessions.cache9p3xk2v7w1q8r5t6y4u0i9o3a2s7d1f", ":1:django.contrib.sessions.cache[redacted cookie #]"; "of Django, which puts nothing between")]
#[test_case(":1:django.contrib.sessions.cached_db9p3xk2v7w1q8r5t6y4u0i9o3a2s7d1f", ":1:django.contrib.sessions.cached_db[redacted cookie #]"; "of Django, with a database")]
#[test_case("app.sessions.cache_statistics_by_hour", "app.sessions.cache_statistics_by_hour"; "what is about sessions")]
#[test_case("access_token:9f8e7d6c5b4a39281706", "access_token:[redacted secret #]"; "a token")]
#[test_case("session:42", "session:42"; "a number")]
#[test_case("order:9f8e7d6c5b4a39281706", "order:9f8e7d6c5b4a39281706"; "another thing")]
fn what_opens_a_session_is_masked_in_its_key(key: &str, expected: &str) {
    let (told, line, _) = masked(&format!("GET {key}"), "null");
    assert_eq!(told, expected);
    let quoted = match key == expected {
        true => expected.to_owned(),
        false => format!("\"{expected}\""),
    };
    assert_eq!(line, format!("GET {quoted}"));
}

#[test]
fn a_name_within_a_document_promises_no_more_than_what_is_next() {
    let note = r#"SET note "see the session: noon, https://example.com/a-place-with-a-long-name""#;
    assert_eq!(masked(note, "OK").1, note);
}

#[test]
fn a_document_in_an_argument_is_looked_through() {
    let (_, line, _) = masked(
        r#"SET user:1 "{\"name\":\"bob\",\"password\":\"hunter2\"}""#,
        "OK",
    );
    assert!(!line.contains("hunter2"), "{line}");
    assert!(line.contains("bob"), "{line}");
}
