//! A connection that may be looked into: TLS is ended here and begun anew, or passed through as it came.

use std::rc::Rc;
use std::sync::Arc;

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
    let outcome = match interception.open(begun, &plane.scratch).await {
        Opening::Outside(outside) => {
            return pass(plane, client, server, watchers, outside).await;
        }
        Opening::Inside(inside) => {
            let dst = server.address;
            let (outcome, name) = look_inside(plane, *inside, watchers).await;
            if let Some(name) = name {
                interception.note(dst, &name, TlsReason::Refused);
            }
            outcome
        }
        Opening::Lost(secure, error) => {
            plane.metrics.tls(secure.handling, secure.reason);
            if let Some(tap) = watchers.tap {
                tap.secured(secure);
                tap.handshake_failed(error);
            }
            Outcome::Closed(Side::Client)
        }
        Opening::Broken(by) => {
            let outcome = Outcome::Reset(by);
            watchers.show_outcome(outcome);
            outcome
        }
    };
    if let Outcome::Closed(_) = outcome {
        client.release();
        server.leash.release();
    }
}

/// Carries what is inside. Beside the outcome it gives the server's name, if the client seems to have gone because
/// of the certificate that it was shown.
async fn look_inside(
    plane: &Plane,
    inside: Inside<'_>,
    watchers: Watchers<'_>,
) -> (Outcome, Option<String>) {
    let Inside { near, far, secure } = inside;
    plane
        .metrics
        .tls(TlsHandling::Intercepted, TlsReason::Asked);
    if let Some(tap) = watchers.tap {
        tap.secured(Arc::clone(&secure));
    }
    let (client, server) = (Link::Secure(&near), Link::Secure(&far));
    let outcome = run(plane, client, server, watchers, Rest::default()).await;
    let (Outcome::Closed(first) | Outcome::Reset(first)) = outcome;
    // Some clients look at a certificate only when the handshake is over.
    let has_refused = first == Side::Client && !near.has_spoken() && !far.has_spoken();
    let name = has_refused.then(|| secure.hello.sni.clone()).flatten();
    (outcome, name)
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
    relay(plane, client, server, watchers, up).await;
}
