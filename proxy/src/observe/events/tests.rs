use remora_store::call::Protocol;
use test_case::test_case;

use super::*;
use crate::budget::Budget;

/// The sizes of the events in a body that comes in pieces of so many bytes, and their number.
fn events(body: &str, piece_bytes: usize) -> (u64, Vec<u64>) {
    let budget = Budget::new(1 << 20);
    let mut draft = Draft::new(Protocol::Http1, 0, &budget).unwrap();
    draft.expect_messages();
    let mut events = Events::default();
    for piece in body.as_bytes().chunks(piece_bytes) {
        events.bytes(&mut draft, piece, 1);
    }
    let stream = draft.messages.take().unwrap().into_stream(&mut draft.grant);
    let sizes = stream.messages.iter().map(|message| message.size);
    (stream.server_messages, sizes.collect())
}

#[test_case("data: 1\n\n", &[9]; "one")]
#[test_case("data: 1\n\ndata: 2\n\n", &[9, 9]; "two")]
#[test_case("event: x\ndata: a\ndata: b\nid: 7\n\n", &[32]; "several fields")]
#[test_case("data: 1\r\n\r\ndata: 2\r\n\r\n", &[11, 11]; "CR LF")]
#[test_case("data: 1\r\rdata: 2\r\r", &[9, 9]; "CR")]
#[test_case("data: 1\n\r\ndata: 2\r\n\n", &[10, 10]; "mixed")]
#[test_case("data: 1\r\n\rdata: 2\n\n", &[10, 9]; "a CR that stands alone")]
#[test_case("\u{feff}data: 1\n\n", &[12]; "a byte order mark")]
#[test_case("\u{feff}\ndata: 1\n\n", &[13]; "a byte order mark and an empty line")]
#[test_case("\n\u{feff}data: 1\n\ndata: 2\n\n", &[22]; "a byte order mark in the midst is part of a name")]
#[test_case("data\n\n", &[6]; "no value")]
#[test_case("data:\n\n", &[7]; "an empty value")]
#[test_case(": keep alive\n\n: again\n\ndata: 1\n\n", &[32]; "comments are no events")]
#[test_case("event: ping\nid: 3\n\ndata: 1\n\n", &[28]; "an event without data is none")]
#[test_case("database: 1\n\n dat\n\nDATA: x\n\n", &[]; "names that are like it")]
#[test_case("data: 1\n\ndata: never to be ended\n", &[9]; "the last one is not complete")]
#[test_case("\n\n\n", &[]; "nothing")]
fn events_are_told_as_a_browser_dispatches_them(body: &str, sizes: &[u64]) {
    for piece_bytes in [1, 2, 3, 5, usize::MAX] {
        let (count, found) = events(body, piece_bytes);
        assert_eq!(found, sizes, "in pieces of {piece_bytes}");
        assert_eq!(count, sizes.len() as u64);
    }
}

#[test]
fn sizes_of_events_beyond_those_that_are_kept_go_nowhere() {
    let body = "data: 1\r\n\r\n".repeat(1_030);
    let (count, sizes) = events(&body, 4);
    assert_eq!(count, 1_030);
    assert_eq!(sizes, vec![11; 1_024]);
}

#[test]
fn the_media_type_is_read_without_its_parameters() {
    for yes in ["text/event-stream", "Text/Event-Stream ; charset=utf-8"] {
        assert!(is_event_stream(yes.as_bytes()));
    }
    for no in ["text/event-streams", "text/plain; x=text/event-stream", ""] {
        assert!(!is_event_stream(no.as_bytes()));
    }
}
