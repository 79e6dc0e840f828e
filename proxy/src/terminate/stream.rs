//! One stream of HTTP/2, between a stream from the client and one to the server.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Poll, ready};

use bytes::{Buf, Bytes};
use h2::client::{ResponseFuture, SendRequest};
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use hyper::{HeaderMap, Request, Response, Version};
use remora_store::fault::Effect;

use super::answer;
use crate::faults::{Injection, Pace};

/// The client's end of a stream whose server is gone. Kept, it is not reset: the client is to see what
/// happened to the connection.
pub(super) type Orphan = SendResponse<Bytes>;

/// Who ended a stream out of order, and why.
enum Cut {
    /// The side that the bytes come from.
    Sender(h2::Error),
    /// The side that they go to.
    Receiver(Reason),
}

/// What a fault resets a stream with: a client that got it may not take the request for unseen.
const RESET_BY_FAULT: Reason = Reason::INTERNAL_ERROR;

/// Passes a request on, and its response back, unless a fault does otherwise.
pub(super) async fn serve(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    sender: SendRequest<Bytes>,
    injection: Option<Injection>,
) -> Option<Orphan> {
    let Some(injection) = injection else {
        return pass(request, respond, sender, None).await;
    };
    match injection.effect {
        Effect::Status(answer) => {
            // It fails where the client has given the stream up.
            let _ = answer::send_on_http2(&answer, request.method(), &mut respond);
            None
        }
        Effect::Reset => {
            respond.send_reset(RESET_BY_FAULT);
            None
        }
        Effect::Delay(time) => {
            tokio::select! {
                biased;
                _ = poll_fn(|cx| respond.poll_reset(cx)) => return None,
                () = tokio::time::sleep(time) => {}
                () = injection.life.over() => {}
            }
            pass(request, respond, sender, None).await
        }
        Effect::Throttle { bytes_per_second } => {
            let pace = Pace::new(bytes_per_second, injection.life);
            pass(request, respond, sender, Some(pace)).await
        }
    }
}

/// Passes a request on, and its response back; resets are passed on with their codes.
async fn pass(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    sender: SendRequest<Bytes>,
    pace: Option<Pace>,
) -> Option<Orphan> {
    let (mut head, mut body) = request.into_parts();
    let is_whole = body.is_end_stream();
    if head.uri.authority().is_none() {
        // One that stands in `host` alone is what a request of HTTP/1 has, and h2 asks for no other then.
        head.version = Version::HTTP_11;
    }
    let ready = tokio::select! {
        biased;
        _ = poll_fn(|cx| respond.poll_reset(cx)) => return None,
        ready = sender.ready() => ready,
    };
    let sent =
        ready.and_then(|mut sender| sender.send_request(Request::from_parts(head, ()), is_whole));
    let (response, mut to_server) = match sent {
        Ok(sent) => sent,
        Err(err) => return refuse(respond, &err),
    };
    let up = async {
        match is_whole {
            true => Ok(()),
            false => match pump(&mut body, &mut to_server, None).await {
                // The server has seen enough of the request, or answers why not.
                Ok(()) | Err(Cut::Receiver(_)) => Ok(()),
                Err(Cut::Sender(err)) => Err(Broken::Client(reason(&err))),
            },
        }
    };
    let down = async {
        match answer(response, &mut respond, pace).await {
            Err(Cut::Receiver(reason)) => Err(Broken::Client(reason)),
            Err(Cut::Sender(err)) => Err(Broken::Server(err)),
            Ok(()) => Ok(()),
        }
    };
    match tokio::try_join!(up, down) {
        // What the client still sends nobody wants: h2 says so behind the last of the response, where a
        // reset of ours would take back what has not been written yet.
        Ok(((), ())) => None,
        Err(Broken::Client(reason)) => {
            to_server.send_reset(reason);
            None
        }
        Err(Broken::Server(err)) => {
            // What came before goes first.
            tokio::task::yield_now().await;
            refuse(respond, &err)
        }
    }
}

/// The server does not go on with a stream: neither do we, unless the whole connection is over.
fn refuse(mut respond: SendResponse<Bytes>, err: &h2::Error) -> Option<Orphan> {
    match err.reason() {
        // The server did not look at it, and says so for the whole connection.
        Some(Reason::NO_ERROR) if err.is_go_away() => respond.send_reset(Reason::REFUSED_STREAM),
        Some(reason) if !err.is_go_away() => respond.send_reset(reason),
        _ => return Some(respond),
    }
    None
}

/// Which side broke the stream.
enum Broken {
    Client(Reason),
    Server(h2::Error),
}

fn reason(err: &h2::Error) -> Reason {
    err.reason().unwrap_or(Reason::CANCEL)
}

/// Most interim responses (1xx) before a response: heads wait for the client without a window of their own.
const INTERIMS_LIMIT: usize = 100;

/// What comes before a response, and the response.
async fn answer(
    mut response: ResponseFuture,
    respond: &mut SendResponse<Bytes>,
    pace: Option<Pace>,
) -> Result<(), Cut> {
    let mut interims = 0;
    let response = loop {
        let next = poll_fn(|cx| {
            if let Poll::Ready(reset) = respond.poll_reset(cx) {
                return Poll::Ready(Err(Cut::Receiver(reset.unwrap_or(Reason::CANCEL))));
            }
            if let Poll::Ready(Some(interim)) = response.poll_informational(cx) {
                return Poll::Ready(interim.map(Next::Interim).map_err(Cut::Sender));
            }
            let response = ready!(Pin::new(&mut response).poll(cx));
            Poll::Ready(response.map(Next::Final).map_err(Cut::Sender))
        });
        match next.await? {
            Next::Interim(_) if interims == INTERIMS_LIMIT => {
                return Err(Cut::Sender(Reason::ENHANCE_YOUR_CALM.into()));
            }
            Next::Interim(interim) => {
                interims += 1;
                respond.send_informational(interim).map_err(gone)?;
            }
            Next::Final(response) => break response,
        }
    };
    let (head, mut body) = response.into_parts();
    let is_whole = body.is_end_stream();
    let head = Response::from_parts(head, ());
    let mut to_client = respond.send_response(head, is_whole).map_err(gone)?;
    match is_whole {
        true => Ok(()),
        false => pump(&mut body, &mut to_client, pace).await,
    }
}

/// What a server says.
enum Next {
    Interim(Response<()>),
    Final(Response<RecvStream>),
}

/// Writing fails where the receiver's stream is over.
fn gone(err: h2::Error) -> Cut {
    Cut::Receiver(reason(&err))
}

/// Passes data and trailers on, as fast as the receiver takes them: the sender's window opens by what the
/// receiver's has taken.
async fn pump(
    from: &mut RecvStream,
    to: &mut SendStream<Bytes>,
    mut pace: Option<Pace>,
) -> Result<(), Cut> {
    let mut held = Bytes::new();
    loop {
        let step = poll_fn(|cx| {
            if let Poll::Ready(reset) = to.poll_reset(cx) {
                return Poll::Ready(Err(Cut::Receiver(reset.unwrap_or(Reason::CANCEL))));
            }
            if held.is_empty() {
                return match ready!(from.poll_data(cx)) {
                    Some(Ok(data)) => Poll::Ready(Ok(Step::Data(data))),
                    Some(Err(err)) => Poll::Ready(Err(Cut::Sender(err))),
                    None => match ready!(from.poll_trailers(cx)) {
                        Ok(trailers) => Poll::Ready(Ok(Step::End(trailers))),
                        Err(err) => Poll::Ready(Err(Cut::Sender(err))),
                    },
                };
            }
            if let Some(pace) = &mut pace {
                ready!(pace.poll_ready(cx));
                // The window of the connection is for all streams: no more of it than may pass now.
                to.reserve_capacity(held.len().min(pace.step_bytes()));
                // Room that an earlier piece left over is not announced again.
                if to.capacity() > 0 {
                    return Poll::Ready(Ok(Step::Room(to.capacity())));
                }
            }
            match ready!(to.poll_capacity(cx)) {
                Some(Ok(capacity)) => Poll::Ready(Ok(Step::Room(capacity))),
                Some(Err(err)) => Poll::Ready(Err(gone(err))),
                None => Poll::Ready(Err(Cut::Receiver(Reason::CANCEL))),
            }
        });
        match step.await? {
            Step::Data(data) => {
                if pace.is_none() {
                    to.reserve_capacity(data.remaining());
                }
                held = data;
            }
            Step::Room(0) => {}
            Step::Room(capacity) => {
                let piece = match &mut pace {
                    Some(pace) => pace.take(&mut held, capacity),
                    None => held.split_to(capacity.min(held.len())),
                };
                let count = piece.len();
                to.send_data(piece, false).map_err(gone)?;
                // It fails where the stream is over, of which the next step tells.
                let _ = from.flow_control().release_capacity(count);
            }
            Step::End(Some(trailers)) => return to.send_trailers(trailers).map_err(gone),
            Step::End(None) => return to.send_data(Bytes::new(), true).map_err(gone),
        }
    }
}

/// What can be done next.
enum Step {
    Data(Bytes),
    Room(usize),
    End(Option<HeaderMap>),
}
