//! One request and its response, between the two halves of hyper.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::SendRequest;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Version};

use super::output::Output;
use super::wire::Wire;
use crate::observe::body;

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
        if response.body().is_end_stream() {
            // hyper will not look whether it ends.
            self.client.output.finish();
        }
        let output = Rc::clone(&self.client.output);
        Ok(self::response(response, &asked, output))
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
        let request = request.map(|body| Passing {
            is_sized: true,
            ..Passing::new(body, Rc::clone(&self.server.output))
        });
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
fn response(response: Response<Incoming>, asked: &Asked, output: Rc<Output>) -> Response<Passing> {
    let (head, body) = response.into_parts();
    let length = body.size_hint().exact();
    let mut right = Response::new(Passing::new(body, output));
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

/// A body on its way through. It tells the output where it ends, and never fails: hyper would throw away
/// what it has not written yet.
pub(super) struct Passing {
    body: Incoming,
    output: Rc<Output>,
    /// hyper may know how long it is; it then frames by that, and leaves empty bodies out.
    is_sized: bool,
    has_failed: bool,
}

impl Passing {
    fn new(body: Incoming, output: Rc<Output>) -> Self {
        Self {
            body,
            output,
            is_sized: false,
            has_failed: false,
        }
    }
}

impl Body for Passing {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if self.has_failed {
            return Poll::Pending;
        }
        let frame = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
            Some(Ok(frame)) => frame,
            Some(Err(_)) => {
                self.has_failed = true;
                self.output.break_off();
                return Poll::Pending;
            }
            None => {
                self.output.finish();
                return Poll::Ready(None);
            }
        };
        if let Some(trailers) = frame.trailers_ref() {
            self.output.finish_with(trailers);
            return Poll::Ready(None);
        }
        if self.body.is_end_stream() {
            self.output.finish();
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.is_sized && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match self.is_sized {
            true => self.body.size_hint(),
            false => SizeHint::default(),
        }
    }
}
