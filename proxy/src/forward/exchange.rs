//! One request on its way to an origin, and the response back.

use std::pin::pin;

use remora_store::call::Side;

use super::inlet::{Broken, Head, Inlet, closes, write_all};
use super::refusal::Unreadable;
use super::request::is_last;
use crate::link::Link;
use crate::observe::body::Body;
use crate::observe::head::{HeadReader, Method, Start};
use crate::socket;

/// How an exchange ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// Whole; another request may follow, unless either message says that it was the last.
    Next { is_last: bool },
    /// Both sides agreed to speak something else from here on.
    Upgraded,
    /// The origin closed, which ends the client's connection as well.
    Closed,
    /// This side broke off.
    Reset(Side),
    /// The origin sent no response that can be passed on; the client has seen nothing of it.
    Unreadable(Unreadable),
}

/// What came back.
enum Answer {
    Whole { is_last: bool },
    Upgraded,
    Closed,
    Reset(Side),
    Unreadable(Unreadable),
}

/// Passes a request with this head and its body on, and the response back.
pub(super) async fn exchange(
    client: &mut Inlet<'_>,
    origin: &mut Inlet<'_>,
    head: &[u8],
    method: Method,
    body: Body,
) -> After {
    let (near, far) = (client.stream, origin.stream);
    let request = async {
        write_all(far, head).await.map_err(|_| Broken::Receiver)?;
        client.pass_body(body, far).await
    };
    let (mut request, mut answer) = (pin!(request), pin!(answer(origin, method, near)));
    let mut reset = pin!(Link::Plain(near).reset_by_peer());
    let answer = tokio::select! {
        biased;
        () = &mut reset => return After::Reset(Side::Client),
        answer = &mut answer => answer,
        passed = &mut request => {
            match passed {
                Ok(()) => {}
                Err(Broken::Sender) => return After::Reset(Side::Client),
                // The response may have come ahead of what broke. Where nothing did, the close that is
                // read is a reset of which writing was told.
                Err(Broken::Receiver) => return match answer.await {
                    Answer::Closed | Answer::Reset(_) => After::Reset(Side::Server),
                    Answer::Whole { .. } | Answer::Upgraded => After::Closed,
                    Answer::Unreadable(why) => After::Unreadable(why),
                },
                // The origin may be gone too; then reading from it tells.
                Err(Broken::Cut) => drop(socket::finish_sending(far)),
            }
            tokio::select! {
                biased;
                () = &mut reset => return After::Reset(Side::Client),
                answer = &mut answer => return after_answer(answer, head),
                // A client that closes behind its request still waits for the response, or has gone
                // away; the origin is to know either.
                true = closes(near) => drop(socket::finish_sending(far)),
                else => {}
            }
            tokio::select! {
                biased;
                () = &mut reset => return After::Reset(Side::Client),
                answer = &mut answer => return after_answer(answer, head),
            }
        }
    };
    if !matches!(answer, Answer::Whole { .. } | Answer::Upgraded) {
        return after_answer(answer, head);
    }
    // The origin answered before it had the whole request, which it may still want.
    tokio::select! {
        biased;
        () = &mut reset => After::Reset(Side::Client),
        passed = &mut request => match passed {
            Ok(()) => after_answer(answer, head),
            Err(Broken::Sender) => After::Reset(Side::Client),
            Err(Broken::Receiver | Broken::Cut) => After::Closed,
        },
        _ = closes(far) => After::Closed,
    }
}

fn after_answer(answer: Answer, request_head: &[u8]) -> After {
    match answer {
        Answer::Reset(by) => After::Reset(by),
        Answer::Closed => After::Closed,
        Answer::Upgraded => After::Upgraded,
        Answer::Unreadable(why) => After::Unreadable(why),
        Answer::Whole { is_last: last } => After::Next {
            is_last: last || is_last(request_head),
        },
    }
}

/// Passes a response on, with the interim ones before it.
async fn answer(origin: &mut Inlet<'_>, method: Method, to: &tokio::net::TcpStream) -> Answer {
    loop {
        let read = origin.head(HeadReader::response()).await;
        let (head, facts) = match read {
            Ok(Head::Whole(head, facts)) => (head, facts),
            Ok(Head::Unreadable) => return Answer::Unreadable(Unreadable::NoResponse),
            Ok(Head::TooLong) => return Answer::Unreadable(Unreadable::TooLong),
            Ok(Head::Closed(bytes)) => {
                // Whoever has gone needs it no more.
                let _ = write_all(to, &bytes).await;
                return Answer::Closed;
            }
            Err(_) => return Answer::Reset(Side::Server),
        };
        let Start::Response(status) = facts.start else {
            return Answer::Unreadable(Unreadable::NoResponse);
        };
        if write_all(to, &head).await.is_err() {
            return Answer::Reset(Side::Client);
        }
        let body = match status {
            101 => return Answer::Upgraded,
            100..200 => continue,
            204 | 304 => Body::Sized(0),
            _ if method == Method::Head => Body::Sized(0),
            // A response that ends nobody knows where is passed on until the origin closes.
            _ => Body::of_response(&facts).unwrap_or(Body::UntilClose),
        };
        let passed = origin.pass_body(body, to).await;
        return match passed {
            Ok(()) if body == Body::UntilClose => Answer::Closed,
            Ok(()) => Answer::Whole {
                is_last: is_last(&head),
            },
            Err(Broken::Cut) => Answer::Closed,
            Err(Broken::Sender) => Answer::Reset(Side::Server),
            Err(Broken::Receiver) => Answer::Reset(Side::Client),
        };
    }
}
