use super::*;

fn text(bytes: Option<Vec<u8>>) -> Option<String> {
    bytes.map(|bytes| String::from_utf8(bytes).unwrap())
}

fn silent() -> Output {
    let output = Output::new();
    output.be_silent();
    output
}

const MADE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n";
const CAME: &[u8] = b"HTTP/1.1 200 Fine\nContent-Length:2\n\n";

#[test]
fn a_head_leaves_as_it_came() {
    let output = silent();
    output.begin(CAME.to_vec());
    output.finish();
    let said = [MADE, b"ok"].concat();
    let right = output.put_right(&said);
    assert_eq!(right, Some([CAME, b"ok"].concat()));
    assert!(output.flushed() && output.is_silent());
}

#[test]
fn what_nobody_gave_hyper_to_say_is_left_out() {
    let output = silent();
    assert_eq!(
        output.put_right(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        Some(vec![])
    );
    output.begin(CAME.to_vec());
    assert_eq!(output.put_right(CONTINUE), Some(vec![]));
    assert_eq!(
        output.put_right(&[CONTINUE, MADE].concat()),
        Some(CAME.to_vec())
    );
    // Within a message everything is content.
    assert_eq!(output.put_right(CONTINUE), None);
}

#[test]
fn trailers_come_behind_the_last_chunk() {
    let output = silent();
    output.begin(b"HTTP/1.1 200 OK\r\n\r\n".to_vec());
    let head = output.put_right(b"HTTP/1.1 200 OK\r\nx: y\r\n\r\n1\r\na\r\n");
    assert_eq!(text(head).unwrap(), "HTTP/1.1 200 OK\r\n\r\n1\r\na\r\n");
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", "1".parse().unwrap());
    trailers.append("x-sum", "2".parse().unwrap());
    output.finish_with(&trailers);
    let end = text(output.put_right(b"1\r\nb\r\n0\r\n\r\n"));
    assert_eq!(end.unwrap(), "1\r\nb\r\n0\r\nx-sum: 1\r\nx-sum: 2\r\n\r\n");
    assert!(output.flushed());
}

#[test]
fn a_message_that_breaks_off_is_told_once_it_was_written() {
    let output = silent();
    output.begin(CAME.to_vec());
    assert!(!output.flushed(), "its head is still due");
    let _ = output.put_right(MADE);
    output.break_off();
    assert!(!output.is_cut());
    assert!(output.flushed() && output.is_cut());
}

#[test]
fn interim_responses_wait_with_what_is_pending() {
    let output = silent();
    output.insert(b"HTTP/1.1 103 Early Hints\r\n\r\n".to_vec());
    assert!(output.has_pending());
    let drained: Result<(), ()> = output.drain(|bytes| Ok(bytes.len() - 2));
    drained.unwrap();
    assert_eq!(output.take_pending(), b"\r\n");
}
