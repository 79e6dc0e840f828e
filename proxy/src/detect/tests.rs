use proptest::prelude::*;
use test_case::test_case;

use super::*;

#[test_case(b"GET / HTTP/1.1\r\n", Some(Family::Http1); "a request")]
#[test_case(b"GE", None; "half a method")]
#[test_case(b"GET", None; "a method without its space")]
#[test_case(b"\r\nGET /", Some(Family::Http1); "an empty line before the request")]
#[test_case(b"PROPFIND /dav", Some(Family::Http1); "an extension method with a path")]
#[test_case(b"M-SEARCH * HTTP/1.1", Some(Family::Http1); "an extension method with an asterisk")]
#[test_case(b"PURGE http://cache/x", Some(Family::Http1); "an extension method with an absolute target")]
#[test_case(b"NICK remora\r\n", Some(Family::Opaque); "capitals of another text protocol")]
#[test_case(b"*1\r\n$", Some(Family::Redis); "a command of redis")]
#[test_case(b"*1\r\n$4\r\nPING\r\n", Some(Family::Redis); "a whole command of redis")]
#[test_case(b"*10\r", None; "half an array")]
#[test_case(b"*10\r\n:", Some(Family::Opaque); "an array of something else")]
#[test_case(b"*\r\n", Some(Family::Opaque); "an array of nothing")]
#[test_case(b"*12345678", Some(Family::Opaque); "more arguments than anybody sends")]
#[test_case(b"PING\r\n", Some(Family::Redis); "a health check of redis")]
#[test_case(b"PING\r", None; "most of a health check")]
#[test_case(b"PING remora\r\n", Some(Family::Opaque); "the ping of another protocol")]
#[test_case(b"PING\n", Some(Family::Opaque); "the ping of a virus scanner")]
#[test_case(b"get key\r\n", Some(Family::Opaque); "memcached")]
#[test_case(b"PRI * HTTP/2.0\r\n", Some(Family::Http2); "the preface of HTTP/2")]
#[test_case(b"PRI", None; "half a preface")]
#[test_case(b"\x16\x03\x01\x02\x00\x01", Some(Family::Tls); "a client hello")]
#[test_case(b"\x16\x03\x01\x02\x00", None; "a record header alone")]
#[test_case(b"\x16\x03\x01\x02\x00\x02", Some(Family::Opaque); "a handshake that is no client hello")]
#[test_case(b"\x16\x09", Some(Family::Opaque); "no version of TLS")]
#[test_case(b"\x00\x00\x00\x08", None; "a binary length")]
#[test_case(b"\x00\x00\x00\x08\x04\xd2\x16\x2f", Some(Family::Postgres); "postgres asks for TLS")]
#[test_case(b"\x00\x00\x00\x10\x04\xd2\x16\x2e", Some(Family::Postgres); "postgres cancels")]
#[test_case(b"\x00\x00\x00\x29\x00\x03\x00\x00u", Some(Family::Postgres); "postgres startup")]
#[test_case(b"\x00\x00\x00\x29\x00\x03\x00\x00\x00", Some(Family::Opaque); "kafka asks for metadata")]
#[test_case(b"\x00\x00\x00\x29\x00\x12", Some(Family::Opaque); "kafka asks for versions")]
#[test_case(b"\x00\x00\x90", Some(Family::Opaque); "too long for a startup packet")]
#[test_case(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", Some(Family::Opaque); "a word too long for a method")]
#[test_case(b"", None; "nothing")]
fn a_client_is_known_by_its_first_bytes(bytes: &[u8], expected: Option<Family>) {
    assert_eq!(family(bytes), expected);
}

#[test_case(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Break(Some("h2c")); "h2c")]
#[test_case(b"\x00\x00\x00\x08\x04\xd2\x16\x2f", Break(Some("postgres")); "postgres asks for TLS")]
#[test_case(b"\x00\x00\x00\x29\x00\x03\x00\x00user\0", Break(Some("postgres")); "postgres startup")]
#[test_case(b"*1\r\n$4\r\nPING\r\n", Break(Some("redis")); "redis")]
#[test_case(b"\x00\x00\x00\x20\x00\x12\x00\x03\x00\x00\x00\x01", Break(Some("kafka")); "kafka")]
#[test_case(b"\x3b\0\0\0\x01\0\0\0\0\0\0\0\xdd\x07\0\0", Break(Some("mongodb")); "mongodb")]
#[test_case(b"\x3b\0\0\0\x01\0\0\0\0\0", Continue(()); "half a mongodb header")]
#[test_case(b"AMQP\x00\x00\x09\x01", Break(Some("amqp")); "amqp")]
#[test_case(b"\x10\x0c\x00\x04MQTT\x04", Break(Some("mqtt")); "mqtt")]
#[test_case(b"\x16\x03\x01\x02\x00\x01", Break(Some("tls")); "tls")]
#[test_case(b"GET / HTTP/1.1\r\n", Break(Some("http1")); "http1")]
#[test_case(b"\xde\xad\xbe\xef\xde\xad\xbe\xef", Break(None); "noise")]
fn a_client_is_named(bytes: &[u8], expected: ControlFlow<Option<&'static str>>) {
    assert_eq!(client_name(bytes), expected);
}

#[test_case(b"\x4a\0\0\0\x0a8.0.36\0", Break(Some("mysql")); "mysql")]
#[test_case(b"\x45\0\0\0\xff\x10\x04Too many connections", Break(Some("mysql")); "mysql refuses")]
#[test_case(b"SSH-2.0-OpenSSH_9.6\r\n", Break(Some("ssh")); "ssh")]
#[test_case(b"220 mx.example.org ESMTP ready\r\n", Break(Some("smtp")); "smtp")]
#[test_case(b"220 (vsFTPd 3.0.5)\r\n", Break(Some("ftp")); "ftp")]
#[test_case(b"220 hello\r\n", Break(None); "a greeting that does not tell")]
#[test_case(b"220 mx.exam", Continue(()); "half a greeting")]
#[test_case(b"* OK IMAP4rev1 ready\r\n", Break(Some("imap")); "imap")]
#[test_case(b"HTTP/1.1 408 Request Timeout\r\n", Break(Some("http1")); "an unasked response")]
#[test_case(b"hello\n", Break(None); "plain text")]
fn a_server_is_named_by_its_greeting(bytes: &[u8], expected: ControlFlow<Option<&'static str>>) {
    assert_eq!(server_name(bytes), expected);
}

/// Streams that come close to every pattern, and noise.
fn openings() -> impl Strategy<Value = Vec<u8>> {
    let known: Vec<&[u8]> = vec![
        b"GET / HTTP/1.1\r\n",
        b"PROPFIND http://x/",
        b"PRI * HTTP/2.0\r\n\r\nSM",
        b"PROXY TCP4 1.2.3.4",
        b"AMQP\0\0\x09\x01",
        b"RFB 003.008\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"\x47\x01\0\0\x01\0\0\0\0\0\0\0\xdd\x07\0\0",
        b"\0\0\0\x20\0\x12\0\x03\0\0\0\x01",
        b"\0\0\0\x29\0\x03\0\0user\0",
        b"\0\0\0\x08\x04\xd2\x16\x2f",
        b"\x10\x0c\0\x04MQTT\x04",
        b"*1\r\n$4\r\n",
        b"\x4a\0\0\0\x0a8.0.36\0",
        b"220-mx ESMTP\r\n",
        b"* PREAUTH IMAP",
        b"+OK POP3",
        b"INFO {}",
        b"\r\n\r\n\0\r\nQUIT\n",
    ];
    (
        prop::sample::select(known),
        any::<prop::sample::Index>(),
        prop::collection::vec(any::<u8>(), 0..24),
    )
        .prop_map(|(known, cut, noise)| {
            let mut bytes = known[..=cut.index(known.len())].to_vec();
            bytes.extend(noise);
            bytes
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_answer_stays_the_same_for_every_longer_prefix(bytes in openings()) {
        let mut known = (None, Continue(()), Continue(()));
        for end in 0..=bytes.len() {
            let prefix = &bytes[..end];
            let now = (family(prefix), client_name(prefix), server_name(prefix));
            prop_assert!(known.0.is_none() || known.0 == now.0, "{known:?} became {now:?}");
            prop_assert!(known.1.is_continue() || known.1 == now.1, "{known:?} became {now:?}");
            prop_assert!(known.2.is_continue() || known.2 == now.2, "{known:?} became {now:?}");
            known = now;
        }
    }
}

#[test]
fn both_sides_of_http2_may_begin_at_once() {
    let settings = [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0];
    for cut in 1..H2_PREFACE.len() {
        let part = &H2_PREFACE[..cut];
        assert_eq!(guess_of_both(Side::Client, part, &settings), Family::Http2);
        assert_eq!(guess_of_both(Side::Client, part, &[0]), Family::Http2);
    }
    for cut in 1..9 {
        let part = &settings[..cut];
        assert_eq!(guess_of_both(Side::Server, part, b"PRI * H"), Family::Http2);
        assert_eq!(guess_of_both(Side::Server, part, b"\x00"), Family::Opaque);
    }
    let refusal = b"HTTP/1.1 408 Request Timeout";
    assert_eq!(guess_of_both(Side::Client, b"P", refusal), Family::Http1);
}
