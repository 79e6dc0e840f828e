//! Bytes in whatever pieces and order.

use super::*;

/// A session with a bit of everything, as both sides send it: who, and what.
fn conversation() -> Vec<(Side, Vec<u8>)> {
    let client = |messages: &[Vec<u8>]| (Side::Client, messages.concat());
    let server = |messages: &[Vec<u8>]| (Side::Server, messages.concat());
    vec![
        client(&[startup()]),
        server(&[welcome()]),
        client(&[query("SELECT a FROM t; SELECT 'x'")]),
        server(&[
            columns(&[("a", 23)]),
            row(&[Some(b"7")]),
            done("SELECT 1"),
            done("SELECT 0"),
            ready(b'I'),
        ]),
        client(&[
            parse("s", "SELECT $1", &[23]),
            bind("", "s", &[1], &[Some(&[0, 0, 0, 9])]),
            describe(b'P', ""),
            execute(""),
            sync(),
        ]),
        server(&[
            parsed(),
            bound(),
            columns(&[("b", 23)]),
            row(&[Some(b"9")]),
            done("SELECT 1"),
            ready(b'I'),
        ]),
        client(&[query("COPY t FROM STDIN")]),
        server(&[message(b'G', &[0; 3])]),
        client(&[message(b'd', b"1\n"), message(b'f', b"no\0")]),
        server(&[error("ERROR", "57014", "stopped"), ready(b'I')]),
        client(&[message(b'X', b"")]),
    ]
}

proptest! {
    #[test]
    fn it_does_not_matter_how_the_bytes_were_cut(cuts in proptest::collection::vec(1_usize..40, 1..20)) {
        let whole = {
            let mut watched = Watched::new(4096, 1 << 20);
            for (from, bytes) in conversation() {
                watched.say(from, &bytes);
            }
            watched.out.iter().map(|it| (told(&it.call), it.call.request.clone(), it.call.response.clone())).collect::<Vec<_>>()
        };
        prop_assert_eq!(whole.len(), 4);
        let mut watched = Watched::new(4096, 1 << 20);
        let mut cuts = cuts.iter().cycle();
        for (from, bytes) in conversation() {
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let (piece, behind) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
                watched.say(from, piece);
                rest = behind;
            }
        }
        let pieces: Vec<_> = watched.out.iter().map(|it| (told(&it.call), it.call.request.clone(), it.call.response.clone())).collect();
        prop_assert_eq!(pieces, whole);
    }

    #[test]
    fn whatever_both_sides_say_it_is_read_within_bounds(
        pieces in proptest::collection::vec((any::<bool>(), prop_oneof![
            proptest::sample::select(conversation()).prop_map(|(_, bytes)| bytes),
            (any::<u8>(), proptest::collection::vec(any::<u8>(), 0..40)).prop_map(|(kind, body)| message(kind, &body)),
            (proptest::sample::select(&b"QPBDECSFdcfTDCEZtnsI123GHVA"[..]), proptest::collection::vec(any::<u8>(), 0..40)).prop_map(|(kind, body)| message(kind, &body)),
            proptest::collection::vec(any::<u8>(), 1..20),
        ]), 0..30),
    ) {
        let budget = Budget::new(1 << 20);
        let mut watched = Watched::session();
        for (is_client, bytes) in pieces {
            watched.say(if is_client { Side::Client } else { Side::Server }, &bytes);
            watched.open();
        }
        watched.observer.closed(Side::Client, 1_000_000, &mut watched.out);
        drop(budget);
    }
}
