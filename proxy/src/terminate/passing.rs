//! A body of HTTP/1 between the two halves of hyper.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::output::Output;
use crate::faults::Pace;

/// A body on its way through. It tells the output where it ends, and never fails: hyper would throw away
/// what it has not written yet.
pub(super) struct Passing {
    content: Content,
    output: Rc<Output>,
    /// hyper may know how long it is; it then frames by that, and leaves empty bodies out.
    is_sized: bool,
    has_failed: bool,
    /// How fast it may pass, and what has to wait for that.
    pace: Option<(Pace, Bytes)>,
}

/// What passes.
enum Content {
    /// What a peer sends.
    Sent(Incoming),
    /// What a fault has the sidecar say.
    Made(Bytes),
}

impl Passing {
    /// The body of a request, whose length hyper may know.
    pub(super) fn of_request(body: Incoming, output: &Rc<Output>) -> Self {
        Self {
            is_sized: true,
            ..Self::new(Content::Sent(body), output)
        }
    }

    /// The body of a response, as fast as `pace` allows.
    pub(super) fn of_response(body: Incoming, output: &Rc<Output>, pace: Option<Pace>) -> Self {
        Self {
            pace: pace.map(|pace| (pace, Bytes::new())),
            ..Self::new(Content::Sent(body), output)
        }
    }

    /// A body that no peer sent.
    pub(super) fn made(body: Bytes, output: &Rc<Output>) -> Self {
        Self::new(Content::Made(body), output)
    }

    fn new(content: Content, output: &Rc<Output>) -> Self {
        Self {
            content,
            output: Rc::clone(output),
            is_sized: false,
            has_failed: false,
            pace: None,
        }
    }

    /// The next frame of what comes, however fast.
    fn poll_content(&mut self, cx: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        match &mut self.content {
            Content::Sent(body) => Pin::new(body).poll_frame(cx),
            Content::Made(body) if body.is_empty() => Poll::Ready(None),
            Content::Made(body) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(body))))),
        }
    }

    fn is_at_end(&self) -> bool {
        let nothing_waits = self
            .pace
            .as_ref()
            .is_none_or(|(_, waiting)| waiting.is_empty());
        nothing_waits
            && match &self.content {
                Content::Sent(body) => body.is_end_stream(),
                Content::Made(body) => body.is_empty(),
            }
    }

    /// What may pass of what came.
    fn poll_paced(&mut self, cx: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let waits = self
            .pace
            .as_ref()
            .is_some_and(|(_, waiting)| !waiting.is_empty());
        if !waits {
            let frame = ready!(self.poll_content(cx));
            match (&mut self.pace, frame) {
                (Some((_, waiting)), Some(Ok(frame))) if frame.is_data() => {
                    *waiting = frame.into_data().unwrap_or_default();
                }
                (_, frame) => return Poll::Ready(frame),
            }
        }
        let Some((pace, waiting)) = &mut self.pace else {
            return Poll::Ready(None);
        };
        ready!(pace.poll_ready(cx));
        Poll::Ready(Some(Ok(Frame::data(pace.take(waiting, usize::MAX)))))
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
        let frame = match ready!(self.poll_paced(cx)) {
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
        if self.is_at_end() {
            self.output.finish();
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.is_sized && self.is_at_end()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Sent(body) if self.is_sized => body.size_hint(),
            _ => SizeHint::default(),
        }
    }
}
