//! HTTP/2 between a real client and a real server, through the engine that reads it.

use std::future::poll_fn;
use std::task::Poll;

use bytes::Bytes;
use h2::ext::Protocol;
use h2::{Reason, client, server};
use hyper::{HeaderMap, Method, Request, Response, StatusCode, Version};
use remora_store::call::{Call, Engine};
use tokio::task::JoinSet;

use super::ends::{connect, connect_plainly, read, request};
use crate::rig::{Rig, within};

fn trailers(value: &'static str) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", value.parse().unwrap());
    trailers
}

async fn calls_of(rig: &mut Rig) -> Vec<Call> {
    rig.flush().await;
    let mut calls = Vec::new();
    while let Ok(batch) = rig.batches.try_recv() {
        calls.extend(batch.calls.into_iter().map(|recorded| recorded.call));
    }
    calls
}

#[tokio::test]
async fn a_call_passes_whole_and_is_recorded() {
    let mut rig = Rig::start_terminating().await;
    let mut ends = connect_plainly(&rig).await;
    let (response, mut up) = ends
        .sender
        .send_request(request("/orders/7"), false)
        .unwrap();
    up.send_data(Bytes::from_static(b"abc"), false).unwrap();
    up.send_trailers(trailers("up")).unwrap();
    let (asked, mut respond) = ends.accept().await;
    assert_eq!(asked.uri(), "http://shop/orders/7");
    let values: Vec<_> = asked.headers().get_all("x-one").iter().collect();
    assert_eq!(values, ["1", "3"]);
    let mut body = asked.into_body();
    let got = ends.serve_while(read(&mut body)).await.unwrap();
    assert_eq!(got, (b"abc".to_vec(), Some(trailers("up"))));
    let hints = Response::builder()
        .status(StatusCode::EARLY_HINTS)
        .header("link", "</a>");
    respond.send_informational(hints.body(()).unwrap()).unwrap();
    let mut down = respond.send_response(Response::new(()), false).unwrap();
    down.send_data(Bytes::from_static(b"defg"), false).unwrap();
    down.send_trailers(trailers("down")).unwrap();
    let mut response = response;
    let interim = poll_fn(|cx| response.poll_informational(cx));
    let interim = ends.serve_while(interim).await.unwrap().unwrap();
    assert_eq!(interim.status(), StatusCode::EARLY_HINTS);
    let response = ends.serve_while(response).await.unwrap();
    let mut body = response.into_body();
    let got = ends.serve_while(read(&mut body)).await.unwrap();
    assert_eq!(got, (b"defg".to_vec(), Some(trailers("down"))));
    let calls = calls_of(&mut rig).await;
    let [call] = &calls[..] else {
        panic!("{calls:?}");
    };
    assert_eq!(call.engine, Engine::Terminate);
    assert_eq!(call.connection.ordinal, 1);
    assert_eq!(
        (&call.request.body[..], &call.response.body[..]),
        (&b"abc"[..], &b"defg"[..])
    );
    assert_eq!(call.response.trailers, "x-sum: down\r\n");
    assert!(
        call.interim.starts_with(b":status: 103\r\n"),
        "{:?}",
        call.interim
    );
    assert!(call.phases.response_first >= call.phases.request_last);
}

/// Larger than every window and buffer between the ends, on several streams at a time.
#[tokio::test]
async fn large_bodies_pass_on_many_streams_at_once() {
    const STREAMS: usize = 20;
    let rig = Rig::start_terminating().await;
    let mut ends = connect_plainly(&rig).await;
    let content: Vec<u8> = (0..300_000_u32).map(|i| (i % 251) as u8).collect();
    let mut asking = JoinSet::new();
    for _ in 0..STREAMS {
        let (response, up) = ends.sender.send_request(request("/"), false).unwrap();
        let content = content.clone();
        asking.spawn(async move {
            let (sent, got) = tokio::join!(send(up, content), async {
                let mut body = response.await.unwrap().into_body();
                read(&mut body).await.unwrap().0
            });
            sent.map(|()| got)
        });
    }
    let mut echoing = JoinSet::new();
    for _ in 0..STREAMS {
        let (asked, mut respond) = ends.accept().await;
        echoing.spawn(async move {
            let down = respond.send_response(Response::new(()), false).unwrap();
            let (bytes, _) = read(&mut asked.into_body()).await.unwrap();
            send(down, bytes).await.unwrap();
        });
    }
    let all = ends.serve_while(asking.join_all()).await;
    assert!(all.iter().all(|got| *got.as_ref().unwrap() == content));
}

async fn send(mut to: h2::SendStream<Bytes>, bytes: Vec<u8>) -> Result<(), h2::Error> {
    let mut bytes = Bytes::from(bytes);
    while !bytes.is_empty() {
        to.reserve_capacity(bytes.len());
        let room = poll_fn(|cx| to.poll_capacity(cx)).await.unwrap()?;
        to.send_data(bytes.split_to(room.min(bytes.len())), false)?;
    }
    to.send_data(Bytes::new(), true)
}

#[tokio::test]
async fn a_reset_passes_to_the_client_with_its_code() {
    let rig = Rig::start_terminating().await;
    let mut ends = connect_plainly(&rig).await;
    for reason in [Reason::REFUSED_STREAM, Reason::ENHANCE_YOUR_CALM] {
        let (response, _up) = ends.sender.send_request(request("/"), false).unwrap();
        let (_asked, mut respond) = ends.accept().await;
        respond.send_reset(reason);
        let err = ends.serve_while(response).await.unwrap_err();
        assert_eq!(err.reason(), Some(reason));
    }
}

#[tokio::test]
async fn a_reset_passes_to_the_server_with_its_code() {
    let rig = Rig::start_terminating().await;
    let mut ends = connect_plainly(&rig).await;
    let (_response, mut up) = ends.sender.send_request(request("/"), false).unwrap();
    let (_asked, mut respond) = ends.accept().await;
    up.send_reset(Reason::INADEQUATE_SECURITY);
    let reset = poll_fn(|cx| respond.poll_reset(cx));
    let reason = ends.serve_while(reset).await.unwrap();
    assert_eq!(reason, Reason::INADEQUATE_SECURITY);
}

/// A server that has answered may want no more of the request, and says so in the same breath (RFC 9113
/// section 8.1); gRPC's do.
#[tokio::test]
async fn a_reset_behind_a_whole_response_takes_nothing_of_it_away() {
    let mut rig = Rig::start_terminating().await;
    let mut ends = connect_plainly(&rig).await;
    let (response, mut up) = ends.sender.send_request(request("/"), false).unwrap();
    let (asked, mut respond) = ends.accept().await;
    let mut down = respond.send_response(Response::new(()), false).unwrap();
    let mut body = ends.serve_while(response).await.unwrap().into_body();
    down.send_trailers(trailers("down")).unwrap();
    drop((asked, respond, down));
    let got = ends.serve_while(read(&mut body)).await.unwrap();
    assert_eq!(got, (vec![], Some(trailers("down"))));
    let reset = poll_fn(|cx| up.poll_reset(cx));
    assert_eq!(ends.serve_while(reset).await.unwrap(), Reason::NO_ERROR);
    assert_eq!(calls_of(&mut rig).await.len(), 1);
}

#[tokio::test]
async fn a_reset_within_a_response_passes_behind_what_came_before() {
    let rig = Rig::start_terminating().await;
    let mut ends = connect_plainly(&rig).await;
    let (response, _up) = ends.sender.send_request(request("/"), true).unwrap();
    let (_asked, mut respond) = ends.accept().await;
    let mut down = respond.send_response(Response::new(()), false).unwrap();
    down.send_data(Bytes::from_static(b"half"), false).unwrap();
    let mut body = ends.serve_while(response).await.unwrap().into_body();
    let piece = ends.serve_while(body.data()).await.unwrap().unwrap();
    assert_eq!(&piece[..], b"half");
    down.send_reset(Reason::INTERNAL_ERROR);
    let err = ends.serve_while(body.data()).await.unwrap().unwrap_err();
    assert_eq!(err.reason(), Some(Reason::INTERNAL_ERROR));
}

/// What somebody translated from HTTP/1 (RFC 9113 section 8.3.1).
#[tokio::test]
async fn a_request_with_a_host_and_no_authority_passes() {
    let rig = Rig::start_terminating().await;
    let mut ends = connect_plainly(&rig).await;
    let translated = Request::builder()
        .version(Version::HTTP_11)
        .uri("/orders")
        .header("host", "shop")
        .body(())
        .unwrap();
    let (response, _) = ends.sender.send_request(translated, true).unwrap();
    let (asked, mut respond) = ends.accept().await;
    assert_eq!(
        (asked.uri().path(), asked.uri().authority()),
        ("/orders", None)
    );
    assert_eq!(asked.headers()["host"], "shop");
    respond.send_response(Response::new(()), true).unwrap();
    ends.serve_while(response).await.unwrap();
}

#[tokio::test]
async fn an_extended_connect_becomes_a_tunnel() {
    let rig = Rig::start_terminating().await;
    let mut server = server::Builder::new();
    server.enable_connect_protocol();
    let mut ends = connect(&rig, server, client::Builder::new()).await;
    let sender = ends.sender.clone();
    let settled = poll_fn(|cx| match sender.is_extended_connect_protocol_enabled() {
        true => Poll::Ready(()),
        false => {
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    });
    ends.serve_while(settled).await;
    let mut asking = request("/chat");
    *asking.method_mut() = Method::CONNECT;
    asking
        .extensions_mut()
        .insert(Protocol::from_static("websocket"));
    let (response, mut up) = ends.sender.send_request(asking, false).unwrap();
    let (asked, mut respond) = ends.accept().await;
    let protocol = asked.extensions().get::<Protocol>().unwrap();
    assert_eq!(protocol.as_str(), "websocket");
    let mut down = respond.send_response(Response::new(()), false).unwrap();
    let mut heard = ends.serve_while(response).await.unwrap().into_body();
    let mut said = asked.into_body();
    up.send_data(Bytes::from_static(b"ping"), false).unwrap();
    assert_eq!(
        &ends.serve_while(said.data()).await.unwrap().unwrap()[..],
        b"ping"
    );
    down.send_data(Bytes::from_static(b"pong"), false).unwrap();
    assert_eq!(
        &ends.serve_while(heard.data()).await.unwrap().unwrap()[..],
        b"pong"
    );
}

#[tokio::test]
async fn the_client_is_told_the_limits_of_the_server() {
    let rig = Rig::start_terminating().await;
    let mut server = server::Builder::new();
    server.max_concurrent_streams(7).enable_connect_protocol();
    let mut ends = connect(&rig, server, client::Builder::new()).await;
    let (response, _) = ends.sender.send_request(request("/"), true).unwrap();
    let (_asked, mut respond) = ends.accept().await;
    respond.send_response(Response::new(()), true).unwrap();
    ends.serve_while(response).await.unwrap();
    assert_eq!(ends.sender.current_max_send_streams(), 7);
    assert!(ends.sender.is_extended_connect_protocol_enabled());
}

#[tokio::test]
async fn a_server_that_goes_away_finishes_what_runs() {
    let rig = Rig::start_terminating().await;
    let mut ends = connect_plainly(&rig).await;
    let (response, _) = ends.sender.send_request(request("/"), true).unwrap();
    let (_asked, mut respond) = ends.accept().await;
    ends.serving.graceful_shutdown();
    // The client learns of it, and its call is answered all the same.
    let mut sender = ends.sender.clone();
    let refused = poll_fn(|cx| match sender.poll_ready(cx) {
        Poll::Ready(Err(err)) => Poll::Ready(err),
        _ => {
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    });
    let err = ends.serve_while(refused).await;
    assert!(
        err.is_go_away() && err.reason() == Some(Reason::NO_ERROR),
        "{err:?}"
    );
    respond.send_response(Response::new(()), true).unwrap();
    ends.serve_while(response).await.unwrap();
    let mut driving = std::mem::take(&mut ends.driving);
    drop(sender);
    let ended = within(async {
        tokio::join!(
            driving.join_next(),
            poll_fn(|cx| ends.serving.poll_closed(cx))
        )
    });
    ended.await.0.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn an_error_of_the_connection_passes_with_its_code() {
    let rig = Rig::start_terminating().await;
    let mut ends = connect_plainly(&rig).await;
    let (response, _up) = ends.sender.send_request(request("/"), false).unwrap();
    let (_asked, _respond) = ends.accept().await;
    ends.serving.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
    let (closed, driven, answer) = within(async {
        let closed = poll_fn(|cx| ends.serving.poll_closed(cx));
        tokio::join!(closed, ends.driving.join_next(), response)
    })
    .await;
    closed.unwrap();
    answer.unwrap_err();
    let err = driven.unwrap().unwrap().unwrap_err();
    assert_eq!(err.reason(), Some(Reason::ENHANCE_YOUR_CALM));
}

#[tokio::test]
async fn a_server_that_closes_ends_the_connection_and_nothing_else() {
    let rig = Rig::start_terminating().await;
    let (client_stream, server_stream) = rig.connect().await;
    let asking = tokio::spawn(client::handshake(client_stream));
    let mut serving = within(server::handshake(server_stream)).await.unwrap();
    let (mut sender, connection) = within(asking).await.unwrap().unwrap();
    let driving = tokio::spawn(connection);
    let (response, _up) = sender.send_request(request("/"), false).unwrap();
    let (_asked, _respond) = within(serving.accept()).await.unwrap().unwrap();
    drop(serving);
    let err = within(response).await.unwrap_err();
    assert!(err.is_io(), "{err:?}");
    // No reset of the stream and no goodbye came: the connection was over.
    within(driving).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_server_that_speaks_http1_is_heard() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let rig = Rig::start_terminating().await;
    let (mut client, mut server) = rig.connect().await;
    client
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .await
        .unwrap();
    within(server.read_exact(&mut [0; 24])).await.unwrap();
    server
        .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        .await
        .unwrap();
    server.shutdown().await.unwrap();
    let mut answer = Vec::new();
    within(client.read_to_end(&mut answer)).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 400 Bad Request\r\n\r\n");
}
