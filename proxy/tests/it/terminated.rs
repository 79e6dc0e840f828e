//! The engine that reads HTTP: what it changes is in a list that people have read, nothing hangs and
//! nothing is lost.

use std::fmt::Write as _;

use remora_store::call::{Call, Engine};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::corpus::{Action, Exchange, exchanges};
use crate::rig::{Rig, within};

pub(crate) use play::Cut;
use play::{difference, play};

mod bounds;
pub(crate) mod ends;
mod http2;
mod play;

/// The rows of the table in docs/engines.md, and the exchanges in which each of them shows.
const CHANGES: [(&str, &[&str]); 3] = [
    (
        "| chunks of HTTP/1.1 | cut anew: their sizes, and without extensions |",
        &[
            "chunk extensions",
            "bodies beyond the limit",
            "events in chunks",
            "events, as they come",
            "server closes within a chunk",
        ],
    ),
    (
        "| trailers of HTTP/1.1 | names in lower case |",
        &["trailers, declared", "trailers, undeclared, on both sides"],
    ),
    (
        "| chunks that are framed against the rules | both connections are reset; so are trailers whose lines end without a CR |",
        &[
            "bare line feeds",
            "chunk size that is no number",
            "chunk longer than its size",
        ],
    ),
];

/// The frames of HTTP/2 are made anew in any case; what becomes of its calls is tested for itself.
fn is_compared_by_bytes(exchange: &Exchange) -> bool {
    exchange.group != "http2"
}

/// The exchanges in which something arrives otherwise than it was sent, and what.
async fn differences(cut: Cut, of: impl Fn(&Exchange) -> bool) -> Vec<(&'static str, String)> {
    differences_through(Rig::start_terminating().await, cut, of).await
}

/// The same, through a sidecar that runs already.
pub(crate) async fn differences_through(
    rig: Rig,
    cut: Cut,
    of: impl Fn(&Exchange) -> bool,
) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    for exchange in exchanges()
        .iter()
        .filter(|e| is_compared_by_bytes(e) && of(e))
    {
        println!("{}", exchange.name);
        let passages = play(&rig, exchange, cut).await;
        let mut text = String::new();
        for (side, passage) in ["client", "server"].iter().zip(&passages) {
            let difference = difference(passage);
            if !difference.is_empty() {
                let _ = write!(text, "  {side}\n{difference}");
            }
        }
        if !text.is_empty() {
            found.push((exchange.name, text));
        }
    }
    rig.stop().await;
    found
}

#[tokio::test]
async fn what_this_engine_changes_is_known() {
    let found = differences(Cut::Whole, |_| true).await;
    let all = exchanges();
    let compared = all.iter().filter(|e| is_compared_by_bytes(e)).count();
    let mut report = String::new();
    for (name, text) in &found {
        let _ = write!(report, "{name}\n{text}");
    }
    let _ = writeln!(report, "{} others pass as they are", compared - found.len());
    insta::assert_snapshot!(report);
    let docs = include_str!("../../../docs/engines.md");
    let mut explained: Vec<_> = CHANGES.iter().flat_map(|(_, names)| names.iter()).collect();
    for (row, _) in CHANGES {
        assert!(docs.contains(row), "docs/engines.md does not say: {row}");
    }
    explained.sort_unstable();
    let mut names: Vec<_> = found.iter().map(|(name, _)| name).collect();
    names.sort_unstable();
    assert_eq!(names, explained);
}

/// Only chunks may come out otherwise than where they come whole.
#[tokio::test]
async fn it_changes_no_more_where_bytes_come_one_by_one() {
    let size = |exchange: &Exchange| -> usize {
        let sent = exchange.steps.iter().map(|step| match &step.action {
            Action::Send(bytes) => bytes.len(),
            Action::Fin | Action::Rst => 0,
        });
        sent.sum()
    };
    let known = differences(Cut::Whole, |e| size(e) < 5_000).await;
    for (name, text) in differences(Cut::OneByte, |e| size(e) < 5_000).await {
        let is_known = known.iter().any(|(other, _)| *other == name);
        let is_chunks = text.lines().all(|line| {
            line.starts_with("    the same content in other chunks") || !line.starts_with("    ")
        });
        assert!(is_known || is_chunks, "{name}\n{text}");
    }
}

/// A response larger than every buffer waits for a client that reads late, and so does a request.
#[tokio::test]
async fn large_bodies_pass_whole_to_whoever_reads_late() {
    const BYTES: usize = 8_000_000;
    let rig = Rig::start_terminating().await;
    let (mut client, mut server) = rig.connect().await;
    let body: Vec<u8> = (0..BYTES).map(|i| (i % 251) as u8).collect();
    let head = |first: &str| format!("{first}\r\nContent-Length: {BYTES}\r\n\r\n").into_bytes();
    let request = [head("PUT / HTTP/1.1"), body.clone()].concat();
    let response = [head("HTTP/1.1 200 OK"), body].concat();
    for _ in 0..2 {
        let mut asked = vec![0; request.len()];
        let mut answered = vec![0; response.len()];
        within(async {
            let sent = async {
                client.write_all(&request).await.unwrap();
                client.read_exact(&mut answered).await.unwrap();
            };
            let served = async {
                server.read_exact(&mut asked).await.unwrap();
                server.write_all(&response).await.unwrap();
            };
            tokio::join!(sent, served)
        })
        .await;
        assert!(
            asked == request && answered == response,
            "bytes were changed"
        );
    }
}

/// A server that answers what it has not read yet ends hyper's part, between two requests or within one.
#[tokio::test]
async fn requests_that_were_answered_too_early_still_arrive() {
    const FIRST: &[u8] = b"GET /1 HTTP/1.1\r\n\r\n";
    const SECOND: &[u8] = b"PUT /2 HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc";
    let response = b"HTTP/1.1 204 No Content\r\n\r\n".repeat(2);
    let rig = Rig::start_terminating().await;
    for cut in 0..SECOND.len() {
        let (mut client, mut server) = rig.connect().await;
        let (early, late) = SECOND.split_at(cut);
        client.write_all(&[FIRST, early].concat()).await.unwrap();
        let mut arrived = vec![0; FIRST.len() + SECOND.len()];
        let (one, other) = arrived.split_at_mut(FIRST.len());
        within(server.read_exact(one)).await.unwrap();
        server.write_all(&response).await.unwrap();
        client.write_all(late).await.unwrap();
        within(server.read_exact(other)).await.unwrap();
        assert_eq!(arrived, [FIRST, SECOND].concat());
        let mut answered = vec![0; response.len()];
        within(client.read_exact(&mut answered)).await.unwrap();
        assert_eq!(answered, response);
    }
}

/// A few letters may be all that a client says before it is answered, and the settings of HTTP/2 all that a
/// server does.
#[tokio::test]
async fn words_that_could_begin_http_are_not_held_for_ever() {
    let rig = Rig::start_terminating().await;
    let (mut client, mut server) = rig.connect().await;
    for (to_server, to_client) in [("GE", "WHAT"), ("TUP", "OK")] {
        let (mut asked, mut answered) = (vec![0; to_server.len()], vec![0; to_client.len()]);
        client.write_all(to_server.as_bytes()).await.unwrap();
        within(server.read_exact(&mut asked)).await.unwrap();
        server.write_all(to_client.as_bytes()).await.unwrap();
        within(client.read_exact(&mut answered)).await.unwrap();
        assert_eq!((asked, answered), (to_server.into(), to_client.into()));
    }
    let (mut client, mut server) = rig.connect().await;
    let settings = *b"\0\0\0\x04\0\0\0\0\0";
    let mut answered = [0; 9];
    server.write_all(&settings).await.unwrap();
    within(client.read_exact(&mut answered)).await.unwrap();
    assert_eq!(answered, settings);
}

/// A client that closes is not waited for: the server learns of it while it still works.
#[tokio::test]
async fn a_client_that_goes_away_is_told_of_before_the_answer() {
    let rig = Rig::start_terminating().await;
    let (mut client, mut server) = rig.connect().await;
    client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    within(server.read_exact(&mut [0; 18])).await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(within(server.read(&mut [0; 1])).await.unwrap(), 0);
    let response = b"HTTP/1.1 204 No Content\r\n\r\n";
    server.write_all(response).await.unwrap();
    within(client.read_exact(&mut [0; 27])).await.unwrap();
}

/// What a record says, but for times, addresses and the engine.
fn essence(call: &Call) -> String {
    let body = |message: &remora_store::call::Message| {
        let kept = &message.body[..message.body.len().min(60)];
        format!("{} of {}", kept.escape_ascii(), message.body_size)
    };
    let head = |bytes: &[u8]| bytes.escape_ascii().to_string();
    format!(
        "{} {} {:?} {:?} {:?}\n    {}\n    {} {}\n    {}\n    {}\n    {} {}\n    {:?}",
        call.connection.ordinal,
        call.protocol,
        call.state,
        call.error,
        call.closed_by,
        head(&call.request.head),
        body(&call.request),
        head(&call.request.trailers),
        head(&call.interim),
        head(&call.response.head),
        body(&call.response),
        head(&call.response.trailers),
        call.detail,
    )
}

async fn calls_of(rig: &mut Rig, exchange: &Exchange) -> Vec<Call> {
    play(rig, exchange, Cut::Whole).await;
    rig.flush().await;
    let mut calls = Vec::new();
    while let Ok(batch) = rig.batches.try_recv() {
        calls.extend(batch.calls.into_iter().map(|recorded| recorded.call));
    }
    calls
}

#[tokio::test]
async fn both_engines_record_the_same_calls() {
    let mut splicing = Rig::start(true).await;
    let mut terminating = Rig::start_terminating().await;
    let mut report = String::new();
    // A reset may come before anybody has looked whether the connection stands, by either engine.
    let is_compared = |e: &&Exchange| {
        is_compared_by_bytes(e) && !e.name.ends_with("resets a connection without a word")
    };
    for exchange in exchanges().iter().filter(is_compared) {
        println!("{}", exchange.name);
        let spliced = calls_of(&mut splicing, exchange).await;
        let terminated = calls_of(&mut terminating, exchange).await;
        let engines: Vec<_> = terminated.iter().map(|call| call.engine).collect();
        match exchange.group {
            "messages" => assert!(engines.iter().all(|engine| *engine == Engine::Terminate)),
            "tls" | "opaque" => assert!(engines.iter().all(|engine| *engine == Engine::Splice)),
            _ => {}
        }
        let [one, other] = [spliced, terminated].map(|calls| {
            let calls: Vec<_> = calls.iter().map(essence).collect();
            calls.join("\n  ")
        });
        if one != other {
            let _ = writeln!(report, "{}: {}", exchange.group, exchange.name);
            let _ = writeln!(report, "spliced\n  {one}\nterminated\n  {other}\n");
        }
    }
    insta::assert_snapshot!(report);
}
