//! Faults of a program that is told of a proxy: its requests in absolute-form are calls like any other.

use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::*;

#[tokio::test]
async fn the_first_requests_in_absolute_form_are_answered_and_the_next_is_passed_on() {
    let mut rig = Rig::start_forward("auto").await;
    let origin = rig.server.local_addr().unwrap();
    begin(
        &rig,
        "outbound",
        json!({"status": 503}),
        json!({"first": 2}),
    );
    let mut client = TcpStream::connect(rig.address).await.unwrap();
    let request = format!("GET http://{origin}/pay HTTP/1.1\r\nHost: {origin}\r\n\r\n");
    for _ in 0..2 {
        client.write_all(request.as_bytes()).await.unwrap();
        let answer = read(&mut client, b"HTTP/1.1 503".len()).await;
        assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 503");
        let mut rest = Vec::new();
        while !rest.ends_with(b"\r\n\r\n") {
            rest.extend(read(&mut client, 1).await);
        }
    }
    client.write_all(request.as_bytes()).await.unwrap();
    let (mut server, _) = within(rig.server.accept()).await.unwrap();
    let seen = format!("GET /pay HTTP/1.1\r\nHost: {origin}\r\n\r\n");
    assert_eq!(read(&mut server, seen.len()).await, seen.as_bytes());
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    server.write_all(answer).await.unwrap();
    assert_eq!(read(&mut client, answer.len()).await, answer);

    let calls = calls_of(&mut rig).await;
    assert_eq!(
        effects(&calls),
        [Some(EffectKind::Status), Some(EffectKind::Status), None]
    );
}
