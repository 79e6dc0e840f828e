//! A connection that may be looked into: TLS is ended here and begun anew, or passed through as it came.

use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::rc::Rc;

use remora_store::call::{CallError, Leg, Side, TlsHandling, TlsReason};

use super::{Dialled, Leash, Plane, connect_to, dial_error, fail, relay, run};
use crate::link::Link;
use crate::observe::End;
use crate::splice::{Outcome, Rest, Watchers};
use crate::tls::{Begun, Inside, Interception, Opening, Outside};

/// Serves a connection both of whose ends stand, until it is over.
pub(super) async fn serve(
    plane: &Plane,
    interception: &Interception,
    client: Leash,
    server: Dialled,
    watchers: Watchers<'_>,
) {
    let begun = Begun {
        client: &client.stream,
        server: &server.leash.stream,
        dst: server.address,
    };
    let carried = match interception.open(begun, &plane.scratch).await {
        Opening::Outside(outside) => Err(outside),
        Opening::Inside(inside) => Ok(look_inside(plane, *inside, watchers).await),
        Opening::Lost(secure, error) => {
            plane.metrics.tls(secure.handling, secure.reason);
            if let Some(tap) = watchers.tap {
                tap.secured(secure);
                tap.handshake_failed(error);
            }
            Ok(Outcome::Closed(Side::Client))
        }
        Opening::Broken(by) => {
            let outcome = Outcome::Reset(by);
            watchers.show_outcome(outcome);
            Ok(outcome)
        }
    };
    let outcome = match carried {
        Ok(outcome) => outcome,
        Err(outside) => return pass(plane, client, server, watchers, outside).await,
    };
    if let Outcome::Closed(_) = outcome {
        client.release();
        server.leash.release();
    }
}

/// Carries what is inside.
async fn look_inside(plane: &Plane, inside: Inside<'_>, watchers: Watchers<'_>) -> Outcome {
    let Inside {
        near,
        far,
        secure,
        mut trial,
    } = inside;
    plane
        .metrics
        .tls(TlsHandling::Intercepted, TlsReason::Asked);
    if let Some(tap) = watchers.tap {
        tap.secured(secure);
        if trial.is_some() {
            tap.on_trial();
        }
    }
    let (client, server) = (Link::Secure(&near), Link::Secure(&far));
    let mut carried = pin!(run(plane, client, server, watchers, Rest::default()));
    let outcome = poll_fn(|cx| {
        let polled = carried.as_mut().poll(cx);
        if near.has_spoken()
            && let Some(trial) = trial.take()
        {
            trial.accepted();
        }
        polled
    })
    .await;
    let (Outcome::Closed(first) | Outcome::Reset(first)) = outcome;
    // Some clients look at a certificate only when the handshake is over.
    if first == Side::Client
        && !far.has_spoken()
        && let Some(trial) = trial
    {
        trial.left();
    }
    outcome
}

/// Passes a connection through, with what was read of it.
async fn pass(
    plane: &Plane,
    client: Leash,
    mut server: Dialled,
    watchers: Watchers<'_>,
    outside: Outside,
) {
    let tap = watchers.tap;
    if let Some(secure) = outside.secure {
        plane.metrics.tls(secure.handling, secure.reason);
        if let Some(tap) = tap {
            tap.secured(secure);
        }
    }
    if outside.anew {
        let address = server.address;
        let plane = Rc::clone(&server.local.plane);
        server.leash.release();
        let dialled = tokio::select! {
            biased;
            dialled = connect_to(&plane, address) => dialled.map_err(|err| dial_error(&err)),
            () = Link::Plain(&client.stream).reset_by_peer() => Err(CallError::ClientReset),
        };
        server = match dialled {
            Ok(server) => server,
            Err(error) => return fail(&plane, Leg::Outbound, tap, error),
        };
        if let Some(tap) = tap {
            tap.connected(server.local.address, server.address);
        }
    }
    let up = Rest {
        bytes: outside.ahead.into(),
        at_end: outside.at_end,
        finished: false,
    };
    if !up.bytes.is_empty() {
        watchers.traffic.count(Side::Client, up.bytes.len());
    }
    if let Some(tap) = tap {
        tap.bytes(Side::Client, &up.bytes);
        if up.at_end {
            tap.end(Side::Client, End::Closed);
        }
    }
    let ends = (&client.stream, &server.leash.stream);
    if relay(plane, ends, watchers, up).await {
        client.release();
        server.leash.release();
    }
}
