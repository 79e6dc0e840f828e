use proptest::prelude::*;
use remora_store::call::{MessageKind, Omitted, Redis, Side, Stream, StreamMessage};
use test_case::test_case;

use super::*;

fn call(command: &str, request: &str, response: &str) -> Call {
    let mut call = crate::redact::tests::call();
    call.protocol = Protocol::Redis;
    call.detail = Detail::Redis(Redis {
        command: command.to_owned(),
        ..Redis::default()
    });
    call.request.body = Bytes::copy_from_slice(request.as_bytes());
    call.response.body = Bytes::copy_from_slice(response.as_bytes());
    call
}

fn wire(arguments: &[&[u8]]) -> Vec<u8> {
    let mut wire = format!("*{}\r\n", arguments.len()).into_bytes();
    for argument in arguments {
        wire.extend(format!("${}\r\n", argument.len()).bytes());
        wire.extend(*argument);
        wire.extend(b"\r\n");
    }
    wire
}

#[test_case(&[b"GET", b"order:17"], "GET order:17"; "words")]
#[test_case(&[b"SET", b"a", b"{\"id\": 7}"], r#"SET a "{\"id\": 7}""#; "quotes")]
#[test_case(&[b"SET", b"a", b""], "SET a \"\""; "nothing")]
#[test_case(&[b"SET", b"a", b"two\r\nlines\t"], r#"SET a "two\r\nlines\t""#; "line ends")]
#[test_case(&[b"SET", "naïve".as_bytes(), b"\xff\x00"], r#"SET naïve "\xff\x00""#; "bytes")]
fn a_command_is_written_as_redis_cli_takes_it(arguments: &[&[u8]], expected: &str) {
    assert_eq!(line(&wire(arguments)), expected);
}

#[test_case("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$100\r\nabc d", "SET a \"abc d"; "within an argument")]
#[test_case("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$10", "SET a"; "within a length")]
#[test_case("*2\r\n$4\r\nAUTH\r\n", "AUTH"; "behind a name")]
#[test_case("PING\r\n", "PING"; "typed by hand")]
fn what_was_cut_off_ends_where_it_was_cut(wire: &str, expected: &str) {
    assert_eq!(line(wire.as_bytes()), expected);
}

#[test_case("$9\r\n{\"id\":17}\r\n", "{\"id\":17}"; "a string is itself")]
#[test_case("$-1\r\n", "null"; "no value")]
#[test_case("_\r\n", "null"; "no value in RESP3")]
#[test_case("+OK\r\n", "OK"; "a status")]
#[test_case(":42\r\n", "42"; "a number")]
#[test_case("#t\r\n", "true"; "a truth")]
#[test_case(",1.5\r\n", "1.5"; "a fraction")]
#[test_case("-WRONGTYPE not a list\r\n", "WRONGTYPE not a list"; "an error")]
#[test_case("!9\r\nERR wrong\r\n", "ERR wrong"; "an error of RESP3")]
#[test_case("=8\r\ntxt:text\r\n", "text"; "a verbatim string")]
#[test_case("*3\r\n$1\r\n\"\r\n$-1\r\n:3\r\n", "[\"\\\"\",null,3]"; "an array")]
#[test_case("*2\r\n*1\r\n+a\r\n*0\r\n", "[[\"a\"],[]]"; "arrays in an array")]
#[test_case("%2\r\n$1\r\na\r\n:1\r\n:2\r\n#f\r\n", "{\"a\":1,\"2\":false}"; "a map")]
#[test_case("*2\r\n,inf\r\n,-2\r\n", "[\"inf\",-2]"; "what JSON has no number for")]
#[test_case("*2\r\n:1,\"a\r\n(3492890328409238509324850943850943825024385\r\n", "[\"1,\\\"a\",3492890328409238509324850943850943825024385]"; "what is no number")]
#[test_case("|1\r\n+ttl\r\n:3600\r\n+OK\r\n", "OK"; "attributes are left out")]
#[test_case("*?\r\n$?\r\n;4\r\nHell\r\n;1\r\no\r\n;0\r\n:1\r\n.\r\n", "[\"Hello\",1]"; "streamed")]
#[test_case("*2\r\n$3\r\nabc\r\n$5\r\nde", "[\"abc\",\"de"; "cut off")]
#[test_case("*2\r\n$3\r\nabc\r\n", "[\"abc\","; "cut off between")]
#[test_case("*1\r\n$1\r\na\r\n*1\r\n$1\r\nb\r\n", "[\"a\"]\n[\"b\"]"; "one for each channel")]
#[test_case("hello\r\n", ""; "no reply")]
fn a_reply_is_written(wire: &str, expected: &str) {
    assert_eq!(reply(wire.as_bytes(), Pairs::None), expected);
}

#[test]
fn a_hash_is_an_object_in_both_versions() {
    let expected = "{\"name\":\"a\",\"age\":\"7\"}";
    for wire in [
        "*4\r\n$4\r\nname\r\n$1\r\na\r\n$3\r\nage\r\n$1\r\n7\r\n",
        "%2\r\n$4\r\nname\r\n$1\r\na\r\n$3\r\nage\r\n$1\r\n7\r\n",
    ] {
        let mut call = call("HGETALL", "", wire);
        write(&mut call);
        assert_eq!(call.response.body, expected);
    }
}

#[test]
fn replies_nested_without_end_are_written_within_bounds() {
    let wire = "*1\r\n".repeat(100_000);
    assert!(reply(wire.as_bytes(), Pairs::None).len() <= 2 * DEPTH);
}

#[test_case("%1\r\n*2\r\n+a\r\n+b\r\n+c\r\n", "{\"[...]\":\"c\"}"; "an array")]
#[test_case("%1\r\n%1\r\n+a\r\n+b\r\n+c\r\n", "{\"{...}\":\"c\"}"; "a map")]
#[test_case("%1\r\n*2\r\n+a\r\n", "{\"[...]\""; "cut off")]
fn a_key_with_elements_is_written_without_them(wire: &str, expected: &str) {
    assert_eq!(reply(wire.as_bytes(), Pairs::None), expected);
}

#[test_case("%1\r\n"; "maps")]
#[test_case("%1\r\n*1\r\n"; "maps and arrays")]
fn keys_nested_in_keys_are_written_within_bounds(level: &str) {
    // So few levels that what doubles with each of them is seen, and does not take all memory.
    let wire = level.repeat(16);
    assert!(reply(wire.as_bytes(), Pairs::None).len() <= WRITTEN_FOR_A_BYTE * wire.len());
}

#[test]
fn attributes_without_end_are_read_in_a_loop() {
    let wire = "|0\r\n".repeat(100_000) + "+OK\r\n";
    assert_eq!(reply(wire.as_bytes(), Pairs::None), "OK");
}

/// What a byte of a reply becomes at most: `\u0001`, or a fixed word for an aggregate of three bytes.
const WRITTEN_FOR_A_BYTE: usize = 6;

proptest! {
    #[test]
    fn what_is_written_is_a_few_times_what_came(
        pieces in prop::collection::vec(prop::sample::select(&[
            "%1\r\n", "%2\n", "%?\n", "|1\n", "|0\n", "*1\n", "*2\n", "*0\n", "*?\n", "~1\n", ">1\n", ".\n",
            "_\n", "#\n", ":1\n", "+\"\\\n", "$2\n\"\"\r\n", "$2\n\u{1}\u{1}\r\n", "$?\n;1\n\"\r\n;0\n",
            "*9223372036854775807\n", "$9223372036854775807\n",
        ][..]), 0..400),
    ) {
        let wire = pieces.concat();
        prop_assert!(reply(wire.as_bytes(), Pairs::None).len() <= WRITTEN_FOR_A_BYTE * wire.len());
    }
}

#[test]
fn the_reply_to_exec_is_told_with_the_commands() {
    let mut exec = call("EXEC", "*1\r\n$4\r\nEXEC\r\n", "*3\r\n");
    write(&mut exec);
    assert_eq!(exec.request.body, "EXEC");
    assert_eq!(exec.response.body, "3 replies, each with its command");
    let mut undone = call("EXEC", "", "*-1\r\n");
    write(&mut undone);
    assert_eq!(undone.response.body, "null");
}

#[test]
fn messages_are_written_too() {
    let mut subscribed = call(
        "SUBSCRIBE",
        "",
        "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n",
    );
    subscribed.stream = Some(Box::new(Stream {
        server_messages: 1,
        messages: vec![StreamMessage {
            from: Side::Server,
            kind: MessageKind::Push,
            at: 1,
            size: 9,
            compressed: false,
            payload: Bytes::from_static(b">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nb\r\n"),
            decoded: false,
            omitted: None::<Omitted>,
        }],
        ..Stream::default()
    }));
    write(&mut subscribed);
    assert_eq!(subscribed.response.body, "[\"subscribe\",\"a\",1]");
    let stream = subscribed.stream.expect("a stream");
    assert_eq!(stream.messages[0].payload, "[\"message\",\"a\",\"b\"]");
}

#[test_case("HGETALL", "HGETALL u", "*2\r\n+password\r\n+x\r\n", r#"{"password":"x"}"#; "a hash")]
#[test_case("HSCAN", "HSCAN u 0", "*2\r\n+0\r\n*2\r\n+password\r\n+x\r\n", r#"["0",{"password":"x"}]"#; "a part of a hash")]
#[test_case("HSCAN", "HSCAN u 0 NOVALUES", "*2\r\n+0\r\n*2\r\n+a\r\n+b\r\n", r#"["0",["a","b"]]"#; "its names alone")]
#[test_case("HRANDFIELD", "HRANDFIELD u 2 WITHVALUES", "*4\r\n+a\r\n+1\r\n+b\r\n+2\r\n", r#"{"a":"1","b":"2"}"#; "any of a hash")]
#[test_case("HRANDFIELD", "HRANDFIELD u 2 withvalues", "*2\r\n*2\r\n+a\r\n+1\r\n*2\r\n+b\r\n+2\r\n", r#"{"a":"1","b":"2"}"#; "any of a hash in RESP3")]
#[test_case("HRANDFIELD", "HRANDFIELD u 2", "*2\r\n+a\r\n+b\r\n", r#"["a","b"]"#; "names of a hash")]
#[test_case("XRANGE", "XRANGE e - +", "*2\r\n*2\r\n+1-0\r\n*2\r\n+token\r\n+x\r\n*2\r\n+1-1\r\n*-1\r\n", r#"[["1-0",{"token":"x"}],["1-1",null]]"#; "entries")]
#[test_case("XREADGROUP", "XREADGROUP GROUP g c STREAMS e >", "*1\r\n*2\r\n+e\r\n*1\r\n*2\r\n+1-0\r\n*2\r\n+token\r\n+x\r\n", r#"[["e",[["1-0",{"token":"x"}]]]]"#; "entries of streams")]
#[test_case("XREAD", "XREAD STREAMS e 0", "%1\r\n+e\r\n*1\r\n*2\r\n+1-0\r\n*2\r\n+token\r\n+x\r\n", r#"{"e":[["1-0",{"token":"x"}]]}"#; "entries of streams in RESP3")]
#[test_case("XREAD", "XREAD STREAMS 7-7 0", "*1\r\n*2\r\n+7-7\r\n*2\r\n*2\r\n+1-0\r\n*2\r\n+a\r\n+b\r\n*2\r\n+1-1\r\n*0\r\n", r#"[["7-7",[["1-0",{"a":"b"}],["1-1",{}]]]]"#; "of one that is called like an entry")]
#[test_case("LRANGE", "LRANGE l 0 -1", "*2\r\n+a\r\n+b\r\n", r#"["a","b"]"#; "no pairs")]
fn names_and_values_are_written_as_such(command: &str, line: &str, wire: &str, expected: &str) {
    let pairs = pairs_in(command, line.as_bytes());
    assert_eq!(reply(wire.as_bytes(), pairs), expected);
}
