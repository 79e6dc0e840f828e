//! The engine that can act: HTTP is read by its messages and sent on, instead of byte by byte.
//!
//! One connection to the server for each of the client's, as with the splice, and the same records: the
//! tap sees what is read from the client and what is written to it. HTTP/1 is driven by hyper, HTTP/2 by
//! h2, on which hyper stands; whatever is neither, or stops being it, is spliced from that byte on.

use std::future::poll_fn;

use remora_store::call::Engine;

use crate::detect::Family;
use crate::faults::Carrier;
use crate::link::Link;
use crate::splice::{Outcome, Rest, Watchers, splice_on};
pub(crate) use windows::Windows;
use wire::Wire;

mod answer;
mod exchange;
mod first_words;
mod http1;
mod http2;
mod input;
mod output;
mod passing;
mod stream;
mod windows;
mod wire;

/// Longest head that is read as one; what is longer is spliced.
const HEAD_LIMIT_BYTES: usize = 64 * 1024;

/// Carries a connection until it is over; `up` was read from the client, and shown.
pub(crate) async fn terminate(
    client: Link<'_>,
    server: Link<'_>,
    watchers: Watchers<'_>,
    up: Rest,
) -> Outcome {
    let near = Wire::of_client(client, watchers);
    let far = Wire::of_server(server, watchers, &near.output);
    near.take_up(up);
    if let Some(subject) = watchers.subject {
        subject.carried_by(Carrier::Terminate);
    }
    let family = first_words::family(&near, &far).await;
    if let (Some(tap), Ok(Family::Http1 | Family::Http2)) = (watchers.tap, family) {
        tap.carried_by(Engine::Terminate);
    }
    let carried = match family {
        Ok(Family::Http1) => http1::relay(&near, &far, client, server).await,
        Ok(Family::Http2) => http2::relay(&near, &far, client, server).await,
        Ok(Family::Redis | Family::Postgres | Family::Tls | Family::Opaque) => {
            give_over(&near, &far, b"", b"")
        }
        Err(by) => Carried::Over(Outcome::Reset(by)),
    };
    match carried {
        Carried::On(up, down) => {
            if let Some(subject) = watchers.subject {
                subject.given_over(family.ok());
            }
            splice_on(client, server, watchers, up, down).await
        }
        Carried::Over(outcome) => {
            watchers.show_outcome(outcome);
            outcome
        }
    }
}

/// How far a connection was carried.
enum Carried {
    /// The splice goes on from here.
    On(Rest, Rest),
    /// To its end.
    Over(Outcome),
}

/// Closes one end, and takes what its peer still sends until it closes as well, so that it sees a close and
/// no reset.
async fn finish_and_read_out(link: Link<'_>) {
    // The peer may have gone first.
    let _ = link.finish_sending();
    let mut room = [0; 1024];
    while poll_fn(|cx| link.poll_read(cx, &mut room))
        .await
        .is_ok_and(|count| count > 0)
    {}
}

/// Gives a connection over to the splice, with everything that was read and is still to be written; the
/// last of that is what hyper had no use for.
fn give_over(near: &Wire<'_>, far: &Wire<'_>, unread_up: &[u8], unread_down: &[u8]) -> Carried {
    let at_end = near.is_at_end();
    let mut up = far.output.take_pending();
    up.extend(near.take_unused(unread_up));
    let mut down = near.output.take_pending();
    down.extend(far.take_unused(unread_down));
    near.show_written(&down);
    let up = Rest {
        bytes: up,
        at_end,
        finished: false,
    };
    let down = Rest {
        bytes: down,
        ..Rest::default()
    };
    Carried::On(up, down)
}
