use proptest::prelude::*;
use test_case::test_case;

use super::*;

/// Hands out what it can, in portions; gives what was handed out and how that ended.
fn handed(input: &mut Input, portion: usize) -> (Vec<u8>, Handed) {
    let mut all = Vec::new();
    loop {
        let mut bytes = vec![0; portion];
        let mut room = ReadBuf::new(&mut bytes);
        match input.hand(&mut room) {
            Handed::Bytes => all.extend_from_slice(room.filled()),
            end => return (all, end),
        }
    }
}

fn requests(bytes: &[u8]) -> Input {
    let mut input = Input::new();
    input.expect_request();
    input.push(bytes);
    input
}

fn responses(bytes: &[u8]) -> Input {
    let mut input = Input::new();
    input.expect_response();
    input.push(bytes);
    input
}

const FIRST: &[u8] = b"POST /1 HTTP/1.1\r\nContent-Length: 3\r\n\r\n";
const SECOND: &[u8] = b"GET /2 HTTP/1.1\r\n\r\n";

#[test]
fn a_head_is_handed_out_whole_and_nothing_behind_it() {
    let mut input = requests(FIRST.split_at(20).0);
    assert_eq!(handed(&mut input, 100), (vec![], Handed::Nothing));
    input.push(FIRST.split_at(20).1);
    input.push(b"abc");
    input.push(SECOND);
    assert_eq!(handed(&mut input, 7), (FIRST.to_vec(), Handed::Held));
    input.understand();
    assert_eq!(input.take_head(Body::Sized(3)), FIRST);
    // The body, and then the next head.
    let (bytes, end) = handed(&mut input, 100);
    assert_eq!(
        (&bytes[..], end),
        (&[b"abc", SECOND].concat()[..], Handed::Held)
    );
    assert_eq!(input.into_rest(b""), SECOND);
}

#[test]
fn a_chunked_body_ends_behind_its_trailers() {
    let body = b"3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n";
    let mut input = requests(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
    let _ = handed(&mut input, 100);
    input.take_head(Body::Chunked(crate::observe::body::Chunk::START));
    input.push(body);
    input.push(b"GET");
    assert_eq!(handed(&mut input, 5), (body.to_vec(), Handed::Nothing));
    assert_eq!(input.into_rest(b""), b"GET");
}

#[test]
fn a_head_that_hyper_wants_more_for_is_lost() {
    let mut input = requests(SECOND);
    let _ = handed(&mut input, 100);
    assert!(input.is_lost());
    input.understand();
    assert!(!input.is_lost());
}

#[test_case(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", true; "early hints")]
#[test_case(b"HTTP/1.1 100 Continue\r\n\r\n", true; "continue")]
#[test_case(b"HTTP/1.1 101 Switching Protocols\r\n\r\n", false; "an upgrade")]
#[test_case(b"HTTP/1.1 200 OK\r\n\r\n", false; "a final response")]
fn interim_responses_are_set_aside(head: &[u8], is_aside: bool) {
    let mut input = responses(head);
    let (bytes, _) = handed(&mut input, 100);
    let expected = if is_aside {
        (&b""[..], head)
    } else {
        (head, &b""[..])
    };
    assert_eq!((&bytes[..], &input.take_aside()[..]), expected);
}

#[test_case(requests(b"GET /old\r\n"); "a request without a version")]
#[test_case(responses(b"ERR unknown command\r\n"); "a response that is none")]
#[test_case(responses(b"HTTP/2.0 "); "a response of another version")]
#[test_case(requests(&[b'x'; HEAD_LIMIT_BYTES + 1]); "a head beyond the limit")]
fn what_is_no_head_is_not_waited_for(mut input: Input) {
    assert_eq!(handed(&mut input, 100), (vec![], Handed::Held));
    assert!(input.is_lost());
}

#[test]
fn a_head_that_breaks_off_is_left_to_the_splice() {
    let mut input = requests(b"GET / HT");
    input.end();
    assert_eq!(handed(&mut input, 100), (vec![], Handed::Held));
    assert!(input.is_lost());
    assert_eq!(input.into_rest(b""), b"GET / HT");
}

#[test]
fn the_end_is_handed_out_behind_everything_else() {
    let mut input = requests(b"");
    assert_eq!(handed(&mut input, 100), (vec![], Handed::Nothing));
    input.end();
    assert_eq!(handed(&mut input, 100), (vec![], Handed::End));
}

proptest! {
    /// Whatever comes, and however it is cut: it is handed out, or left, and nothing of it is lost.
    #[test]
    fn nothing_is_lost(
        pieces in prop::collection::vec("(GET / HTTP/1.1|HTTP/1.1 100 x|[a-c: ]|\r\n|\n){0,8}", 0..8),
        is_request in any::<bool>(),
        portion in 1usize..40,
    ) {
        let mut input = if is_request { requests(b"") } else { responses(b"") };
        let (mut out, mut all) = (Vec::new(), Vec::new());
        for piece in &pieces {
            input.push(piece.as_bytes());
            all.extend_from_slice(piece.as_bytes());
            let (bytes, _) = handed(&mut input, portion);
            out.extend(input.take_aside());
            if !bytes.is_empty() {
                prop_assert_eq!(&input.take_head(Body::Sized(0)), &bytes);
                out.extend(bytes);
                if !is_request {
                    input.expect_response();
                }
            }
        }
        out.extend(input.into_rest(b""));
        prop_assert_eq!(out, all);
    }
}
