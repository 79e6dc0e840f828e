//! What a connection speaks, by its first bytes; they stay with the wires, for whoever carries it.

use std::future::{Future, poll_fn};
use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use remora_store::call::Side;
use tokio::time::sleep;

use super::wire::Wire;
use crate::detect::{self, Family};

/// How long bytes are held that could be the first ones of HTTP. Of another protocol they may be all that
/// is said before an answer; whoever sends HTTP in such small pieces is spliced.
const HOLD: Duration = Duration::from_millis(500);

/// Waits until the first bytes tell. Whoever speaks first is heard, so that servers which greet are
/// served; what cannot be told, or not within [`HOLD`], is [`Family::Opaque`]. Fails with the side that
/// broke the connection.
pub(super) async fn family(near: &Wire<'_>, far: &Wire<'_>) -> Result<Family, Side> {
    let mut held = None;
    poll_fn(|cx| {
        let heard = poll_family(near, far, cx);
        if heard.is_ready() || !has_spoken(near) && !has_spoken(far) {
            return heard;
        }
        let held = held.get_or_insert_with(|| Box::pin(sleep(HOLD)));
        held.as_mut().poll(cx).map(|()| Ok(Family::Opaque))
    })
    .await
}

fn poll_family(
    near: &Wire<'_>,
    far: &Wire<'_>,
    cx: &mut Context<'_>,
) -> Poll<Result<Family, Side>> {
    if let Poll::Ready(family) = listen(Side::Client, near, cx) {
        return Poll::Ready(family.map_err(|_| Side::Client));
    }
    if has_spoken(far) {
        return Poll::Pending;
    }
    match listen(Side::Server, far, cx) {
        // The settings of HTTP/2 may come ahead of the client's preface; then the client tells.
        Poll::Ready(Ok(Family::Http2)) | Poll::Pending => Poll::Pending,
        Poll::Ready(family) => Poll::Ready(family.map_err(|_| Side::Server)),
    }
}

/// Whether what the server says first is HTTP/2. Fails where it broke the connection instead.
pub(super) async fn is_http2_server(far: &Wire<'_>) -> Result<bool, Side> {
    let family = poll_fn(|cx| listen(Side::Server, far, cx)).await;
    family
        .map(|family| family == Family::Http2)
        .map_err(|_| Side::Server)
}

fn has_spoken(wire: &Wire<'_>) -> bool {
    !wire.input.borrow().ahead().is_empty()
}

/// Reads until what one side said tells.
fn listen(side: Side, wire: &Wire<'_>, cx: &mut Context<'_>) -> Poll<io::Result<Family>> {
    loop {
        let said = detect::family_of(side, wire.input.borrow().ahead());
        if let Some(family) = said.filter(|_| has_spoken(wire)) {
            return Poll::Ready(Ok(family));
        }
        if wire.is_at_end() {
            return Poll::Ready(Ok(Family::Opaque));
        }
        match wire.fill(cx) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(err)) => return Poll::Ready(Err(err)),
            Poll::Pending => return Poll::Pending,
        }
    }
}
