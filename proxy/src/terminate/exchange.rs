//! One request and its response, between the two halves of hyper.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::SendRequest;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Version};
use remora_store::call::Side;
use remora_store::fault::{Answer, Effect};

use super::answer;
use super::passing::Passing;
use super::wire::Wire;
use crate::faults::{Life, Pace};
use crate::observe::body;
use crate::splice::Outcome;

/// Most of a request's body that is read before a fault answers it, so that the connection can go on; one
/// that is longer is answered on a connection that ends.
const READ_OUT_BYTES: usize = 1024 * 1024;

/// What the exchanges of one connection have in common.
pub(super) struct Exchanges<'a> {
    pub(super) client: Rc<Wire<'a>>,
    pub(super) server: Rc<Wire<'a>>,
    sender: RefCell<SendRequest<Passing>>,
    /// How the body of a request is framed whose head hyper has not written yet.
    unsent: Cell<Option<body::Body>>,
    /// A request was sent and its response has not begun.
    asked: Cell<bool>,
    /// hyper cannot carry what comes next.
    given_up: Cell<bool>,
    /// The last response was one of HTTP/1.0, so that hyper would send no chunks any more.
    is_server_old: Cell<bool>,
    /// What a fault does to the request whose turn it is.
    work: Cell<Work>,
    /// A fault ends the connection so.
    end: Cell<Option<Outcome>>,
}

/// What a fault does to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    /// Nothing.
    None,
    /// It holds the request back.
    HoldBack,
    /// It answers the request, whose body is still read.
    ReadOut,
    /// What it answers or slows down is written.
    Write,
}

/// What of a request decides over its response.
struct Asked {
    method: Method,
    version: Version,
}

impl<'a> Exchanges<'a> {
    pub(super) fn new(
        client: Rc<Wire<'a>>,
        server: Rc<Wire<'a>>,
        sender: SendRequest<Passing>,
    ) -> Self {
        Self {
            client,
            server,
            sender: RefCell::new(sender),
            unsent: Cell::new(None),
            asked: Cell::new(false),
            given_up: Cell::new(false),
            is_server_old: Cell::new(false),
            work: Cell::new(Work::None),
            end: Cell::new(None),
        }
    }

    /// A request was sent and its response has not begun.
    pub(super) fn is_waiting(&self) -> bool {
        self.asked.get()
    }

    /// hyper cannot carry what comes next.
    pub(super) fn is_given_up(&self) -> bool {
        self.given_up.get()
    }

    /// A fault holds a request back: a client that closes meanwhile does not want it any more.
    pub(super) fn is_held_back(&self) -> bool {
        self.work.get() == Work::HoldBack
    }

    /// A fault is at work, and what the server does meanwhile is none of its business: either the server has
    /// seen nothing of the request, or it has answered and the answer is on its way.
    pub(super) fn is_in_a_fault(&self) -> bool {
        match self.work.get() {
            Work::None => false,
            Work::HoldBack | Work::ReadOut => true,
            Work::Write => !self.client.output.is_silent(),
        }
    }

    /// How a fault ends the connection; a close once everything that is due was written.
    pub(super) fn end(&self) -> Option<Outcome> {
        self.end.get()
    }

    /// Lets the body of a request follow its head. Before that is written, all of it is kept: a connection
    /// that hyper takes for over may still be spliced.
    pub(super) fn let_body_follow(&self) {
        if let Some(framing) = self.unsent.get()
            && !self.server.output.is_due()
        {
            self.unsent.set(None);
            self.client.input.borrow_mut().take_head(framing);
        }
    }

    /// Passes a request on, and its response back.
    pub(super) async fn pass(
        &self,
        request: Request<Incoming>,
    ) -> Result<Response<Passing>, Infallible> {
        // The messages before these have to leave first, so that nothing gets between their bytes.
        poll_fn(
            |_| match self.client.output.is_silent() && self.server.output.is_silent() {
                true => Poll::Ready(()),
                false => Poll::Pending,
            },
        )
        .await;
        self.work.set(Work::None);
        let head = || self.client.input.borrow().head().to_vec();
        let Some(injection) = self.client.strike(None, head) else {
            return self.pass_on(request, None).await;
        };
        match injection.effect {
            Effect::Status(answer) => Ok(self.answer(request, &answer).await),
            Effect::Delay(time) => {
                self.hold_back(time, injection.life).await;
                self.pass_on(request, None).await
            }
            Effect::Reset => {
                self.end.set(Some(Outcome::Reset(Side::Sidecar)));
                pending().await
            }
            Effect::Throttle { bytes_per_second } => {
                let pace = Pace::new(bytes_per_second, injection.life);
                self.pass_on(request, Some(pace)).await
            }
        }
    }

    async fn hold_back(&self, time: Duration, life: Life) {
        self.work.set(Work::HoldBack);
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            () = life.over() => {}
        }
        self.work.set(Work::None);
    }

    /// Answers a request that the server never sees.
    async fn answer(&self, request: Request<Incoming>, answer: &Answer) -> Response<Passing> {
        self.work.set(Work::ReadOut);
        let framing = framing_of(request.body());
        self.client.input.borrow_mut().take_head(framing);
        let (head, mut body) = request.into_parts();
        // Whoever waits for leave to send a body may send it or not, and nobody could tell.
        let is_read_out = !head.headers.contains_key(header::EXPECT) && read_out(&mut body).await;
        // There is no tunnel behind a connection that the server knows nothing of.
        let opens_tunnel = answer::opens_tunnel(answer, &head.method);
        let is_last = opens_tunnel || !is_read_out || !answer::keeps_open(&head);
        if is_last {
            self.end.set(Some(Outcome::Closed(Side::Sidecar)));
        }
        let output = &self.client.output;
        output.begin(answer::head_of_http1(answer, &head.method, is_last));
        self.work.set(Work::Write);
        let right = answer::framing_of_http1(answer, &head.method, is_last);
        let has_none = answer.body.is_empty() || head.method == Method::HEAD || opens_tunnel;
        if has_none {
            output.finish();
        }
        let body = match has_none {
            true => Passing::made(Bytes::new(), output),
            false => Passing::made(answer.body.clone(), output),
        };
        // Status and fields were checked when the fault was.
        right
            .body(body)
            .unwrap_or_else(|_| Response::new(Passing::made(Bytes::new(), output)))
    }

    /// Passes a request on to the server, and the response back.
    async fn pass_on(
        &self,
        request: Request<Incoming>,
        pace: Option<Pace>,
    ) -> Result<Response<Passing>, Infallible> {
        let ready = poll_fn(|cx| self.sender.borrow_mut().poll_ready(cx)).await;
        let framing = framing_of(request.body());
        let is_chunked = matches!(framing, body::Body::Chunked(_));
        if ready.is_err() || is_chunked && self.is_server_old.get() {
            return self.give_up().await;
        }
        let asked = Asked {
            method: request.method().clone(),
            version: request.version(),
        };
        let response = self.send(request, framing);
        let Ok(response) = response.await else {
            return self.give_up().await;
        };
        self.is_server_old
            .set(response.version() == Version::HTTP_10);
        if asked.version == Version::HTTP_10 && is_chunked_by(response.headers()) {
            // hyper would take the chunks off.
            return self.give_up().await;
        }
        self.asked.set(false);
        let head = self.server.input.borrow_mut().take_head_open();
        self.client.output.begin(head);
        if pace.is_some() {
            self.work.set(Work::Write);
        }
        if response.body().is_end_stream() {
            // hyper will not look whether it ends.
            self.client.output.finish();
        }
        let output = &self.client.output;
        Ok(self::response(response, &asked, |body| {
            Passing::of_response(body, output, pace)
        }))
    }

    fn send(
        &self,
        request: Request<Incoming>,
        framing: body::Body,
    ) -> impl Future<Output = hyper::Result<Response<Incoming>>> + use<> {
        let head = self.client.input.borrow().head().to_vec();
        self.unsent.set(Some(framing));
        self.server.input.borrow_mut().expect_response();
        self.server.output.begin(head);
        self.asked.set(true);
        let request = request.map(|body| Passing::of_request(body, &self.server.output));
        if request.body().is_end_stream() {
            self.server.output.finish();
        }
        self.sender.borrow_mut().send_request(request)
    }

    /// Whoever drives hyper ends it on seeing this.
    async fn give_up(&self) -> Result<Response<Passing>, Infallible> {
        self.given_up.set(true);
        pending().await
    }
}

/// Reads a body to its end; false if it breaks off or is too long for that.
async fn read_out(body: &mut Incoming) -> bool {
    let mut left = READ_OUT_BYTES;
    while let Some(frame) = body.frame().await {
        let bytes = frame.map_or(usize::MAX, |frame| frame.data_ref().map_or(0, Bytes::len));
        match left.checked_sub(bytes) {
            Some(rest) => left = rest,
            None => return false,
        }
    }
    true
}

/// How the body of a request is framed, as hyper understood its head.
fn framing_of(body: &Incoming) -> body::Body {
    match body.size_hint().exact() {
        Some(bytes) => body::Body::Sized(bytes),
        None => body::Body::Chunked(body::Chunk::START),
    }
}

fn is_chunked_by(headers: &HeaderMap) -> bool {
    let last = headers
        .get_all(header::TRANSFER_ENCODING)
        .iter()
        .next_back();
    last.and_then(|value| value.as_bytes().rsplit(|byte| *byte == b',').next())
        .is_some_and(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"chunked"))
}

/// The response as hyper needs it: of the head only what frames the body, since the head itself goes out
/// as it came, and what says whether the connection lasts.
fn response(
    response: Response<Incoming>,
    asked: &Asked,
    passing: impl FnOnce(Incoming) -> Passing,
) -> Response<Passing> {
    let (head, body) = response.into_parts();
    let length = body.size_hint().exact();
    let mut right = Response::new(passing(body));
    *right.status_mut() = head.status;
    let headers = right.headers_mut();
    for value in head.headers.get_all(header::CONNECTION) {
        headers.append(header::CONNECTION, value.clone());
    }
    if !may_have_body(head.status, &asked.method) {
        return right;
    }
    if is_chunked_by(&head.headers) {
        headers.insert(
            header::TRANSFER_ENCODING,
            HeaderValue::from_static("chunked"),
        );
    } else if let Some(length) = length {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    } else {
        // Ends with the connection, which in hyper's eyes is a matter of the version.
        *right.version_mut() = Version::HTTP_10;
    }
    right
}

/// RFC 9112 section 6.3.
fn may_have_body(status: StatusCode, asked: &Method) -> bool {
    let has_none = status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
        || *asked == Method::HEAD
        || *asked == Method::CONNECT && status.is_success();
    !has_none
}
