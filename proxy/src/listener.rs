//! The listeners: they accept connections and find out where each of them was going.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::time::Duration;

use remora_store::call::Leg;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::addresses;
use crate::config::Upstream;
use crate::connection::{Accepted, Ends, Plane, serve};
use crate::error::Error;
use crate::forward;
use crate::metrics::Traffic;
use crate::socket;

/// How long accepting pauses when descriptors or memory ran out; connections wait in the backlog.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(50);

/// Why a connection to a redirect port goes nowhere.
const DIRECT: &str = "it was made directly to a redirect port, no rule redirected it";

/// Where accepted connections go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    /// To where they were going before a redirect rule sent them here.
    Redirected,
    /// All to one server.
    Mapped(Upstream),
    /// Where their clients ask for: they take it for a proxy.
    Forward,
}

impl Route {
    /// What a listener is for, in an error.
    fn purpose(&self, leg: Leg) -> &'static str {
        match (self, leg) {
            (Self::Forward, _) => "clients of the forward proxy (--forward)",
            (_, Leg::Inbound) => "inbound connections",
            (_, Leg::Outbound) => "outbound connections",
        }
    }
}

/// A socket that takes connections of one leg.
pub(crate) struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    leg: Leg,
    route: Route,
}

impl Listener {
    /// Listens on `address`; connections wait until it runs.
    pub(crate) fn bind(address: SocketAddr, leg: Leg, route: Route) -> Result<Self, Error> {
        let bound = socket::listen(address).and_then(|socket| {
            let address = socket.local_addr()?;
            Ok((socket, address))
        });
        match bound {
            Ok((socket, address)) => Ok(Self {
                socket,
                address,
                leg,
                route,
            }),
            Err(source) => Err(Error::Listen {
                address,
                purpose: route.purpose(leg),
                source,
            }),
        }
    }

    /// The address that it has, with the port that the system chose where none was asked for.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether it is the forward proxy.
    pub(crate) fn is_forward(&self) -> bool {
        self.route == Route::Forward
    }

    /// Which side of its calls this sidecar is on.
    pub(crate) fn leg(&self) -> Leg {
        self.leg
    }

    /// Accepts until the returned task is aborted; each connection is served by a task of its own
    /// on this thread.
    pub(crate) fn spawn(self, plane: Rc<Plane>) -> io::Result<JoinHandle<()>> {
        let socket = tokio::net::TcpListener::from_std(self.socket)?;
        let gate = Gate {
            leg: self.leg,
            own: match self.route {
                Route::Forward => addresses::reached_at(self.address).into(),
                _ => Rc::default(),
            },
            route: self.route,
            traffic: plane.metrics.traffic(self.leg),
            plane,
        };
        Ok(tokio::task::spawn_local(async move {
            gate.accept_from(socket).await
        }))
    }
}

/// What a listener does with each connection.
struct Gate {
    leg: Leg,
    route: Route,
    /// At which addresses a forward proxy is reached.
    own: Rc<[SocketAddr]>,
    traffic: Traffic,
    plane: Rc<Plane>,
}

impl Gate {
    async fn accept_from(self, socket: tokio::net::TcpListener) {
        loop {
            match socket.accept().await {
                Ok((client, peer)) => self.take(client, peer),
                Err(err) if socket::is_exhausted(&err) => {
                    self.plane.metrics.accept_pauses.inc();
                    tracing::warn!(error = %err, "cannot accept connections, pausing");
                    tokio::time::sleep(EXHAUSTED_PAUSE).await;
                }
                // The client broke off while it waited.
                Err(err) => {
                    tracing::debug!(error = %err, "a connection ended before it was accepted")
                }
            }
        }
    }

    fn take(&self, client: TcpStream, peer: SocketAddr) {
        let peer = socket::canonical(peer);
        let plane = Rc::clone(&self.plane);
        let destination = match &self.route {
            Route::Forward if plane.dialled(peer) => Err("the forward proxy asks itself"),
            Route::Forward => {
                let client = forward::Client {
                    stream: client,
                    peer,
                    own: Rc::clone(&self.own),
                    traffic: self.traffic.clone(),
                };
                tokio::task::spawn_local(forward::serve(plane, client));
                return;
            }
            Route::Redirected => self.redirected_from(&client, peer),
            Route::Mapped(upstream) => match client.local_addr() {
                Ok(local) => Ok((socket::canonical(local), upstream.clone())),
                Err(_) => Err(DIRECT),
            },
        };
        let (dst, upstream) = match destination {
            Ok(destination) => destination,
            Err(reason) => {
                plane.metrics.loops_refused.inc();
                socket::reset_on_close(&client);
                tracing::warn!(client.addr = %peer, reason, "connection refused");
                return;
            }
        };
        let accepted = Accepted {
            client,
            ends: Ends {
                leg: self.leg,
                src: peer,
                dst,
            },
            upstream,
            traffic: self.traffic.clone(),
        };
        tokio::task::spawn_local(serve(plane, accepted));
    }

    /// The destination as the client addressed it, and the server to connect to; or why connecting
    /// there would lead back here, and so on for ever.
    fn redirected_from(
        &self,
        client: &TcpStream,
        peer: SocketAddr,
    ) -> Result<(SocketAddr, Upstream), &'static str> {
        let local = client.local_addr().map_err(|_| DIRECT)?;
        let dst = socket::original_destination(client).map_err(|_| DIRECT)?;
        if dst == socket::canonical(local) {
            return Err(DIRECT);
        }
        if self.leg == Leg::Outbound && self.plane.dialled(peer) {
            return Err(
                "the sidecar made it itself: the rules are for another user than                 the one it runs as, compare --proxy-uid of `remora init`",
            );
        }
        Ok((dst, Upstream::Address(dst)))
    }
}
