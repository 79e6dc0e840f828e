//! Servers that do not answer as they should. Real ones are asked end to end.

use bytes::Bytes;
use prost::Message as _;
use prost_reflect::prost_types::{FileDescriptorProto, ServiceDescriptorProto};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

/// A server that does this with its first connection, in the place of answering.
async fn server(says: &'static [u8], closes: bool) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(says).await.unwrap();
        let mut sink = Vec::new();
        if !closes {
            let _ = stream.read_to_end(&mut sink).await;
        }
    });
    address.parse().unwrap()
}

#[tokio::test]
async fn a_server_of_http_1_is_told_from_one_of_grpc() {
    let server = server(
        b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
        true,
    )
    .await;
    let error = reflect(&server).await.unwrap_err();
    assert!(matches!(error, ReflectError::Http2 { .. }), "{error}");
    assert!(error.to_string().contains(server.as_str()), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_is_given_up() {
    let server = server(b"", false).await;
    let error = reflect(&server).await.unwrap_err();
    assert!(matches!(error, ReflectError::TooSlow { .. }), "{error}");
}

#[tokio::test]
async fn a_server_without_reflection_is_told_so() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server: Server = listener.local_addr().unwrap().to_string().parse().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut connection = h2::server::handshake(stream).await.unwrap();
        while let Some(Ok((_, mut respond))) = connection.accept().await {
            let refusal = hyper::Response::builder()
                .header("content-type", "application/grpc")
                .header("grpc-status", "12");
            respond
                .send_response(refusal.body(()).unwrap(), true)
                .unwrap();
        }
    });
    let error = reflect(&server).await.unwrap_err();
    assert!(matches!(error, ReflectError::Unreflected { .. }), "{error}");
}

/// A message as it stands on the wire.
fn framed(response: &messages::Response) -> Bytes {
    let message = response.encode_to_vec();
    let length = u32::try_from(message.len()).unwrap();
    [&[0], &length.to_be_bytes()[..], &message].concat().into()
}

/// A file that imports the next one.
fn endless(number: usize) -> Answer {
    let service = ServiceDescriptorProto {
        name: Some("Endless".to_owned()),
        ..Default::default()
    };
    let file = FileDescriptorProto {
        name: Some(format!("f{number}")),
        dependency: vec![format!("f{}", number + 1)],
        service: vec![service],
        ..Default::default()
    };
    Answer::Files(messages::FileList {
        files: vec![file.encode_to_vec().into()],
    })
}

#[tokio::test]
async fn a_server_whose_files_import_others_without_end_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server: Server = listener.local_addr().unwrap().to_string().parse().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut connection = h2::server::handshake(stream).await.unwrap();
        let (request, mut respond) = connection.accept().await.unwrap().unwrap();
        tokio::spawn(async move { connection.accept().await.map(drop) });
        let mut answers = respond
            .send_response(hyper::Response::new(()), false)
            .unwrap();
        let mut questions = request.into_body();
        let mut number = 0;
        // A question comes in a frame of its own, since each waits for the answer before.
        while let Some(Ok(question)) = questions.data().await {
            let _ = questions.flow_control().release_capacity(question.len());
            let answer = match number {
                0 => Answer::Services(messages::ServiceList {
                    services: vec![messages::ServiceName {
                        name: "Endless".to_owned(),
                    }],
                }),
                number => endless(number),
            };
            number += 1;
            let answer = Some(answer);
            let _ = answers.send_data(framed(&messages::Response { answer }), false);
        }
    });
    let error = reflect(&server).await.unwrap_err();
    assert!(
        matches!(&error, ReflectError::Unreadable { problem, .. } if problem.contains("4000 files")),
        "{error}"
    );
}
