//! The forward proxy: for programs that are told to ask a proxy, where nothing can redirect them.
//!
//! It understands CONNECT (RFC 9110 section 9.3.6) and absolute-form (RFC 9112 section 3.2.2), and does no
//! more than find out where a connection goes. From there on it is an outbound connection like any other,
//! carried and recorded by the same engines: a tunnel as a whole, requests in absolute-form by a
//! connection for each origin that the client asks.

use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use remora_store::call::{CallError, Leg, Side};
use tokio::net::TcpStream;

use crate::connection::{Arrival, Dialled, Ends, Leash, Open, Plane, carry};
use crate::link::Link;
use crate::metrics::Traffic;
use crate::observe::head::HeadReader;
use crate::socket;
use crate::splice::{Outcome, Rest, Watchers, splice_on};
use crate::tap::Tap;
use exchange::{After, exchange};
use hop::{Failure, Hop, pair, reach};
use inlet::{Head, Inlet, closes, write_all};
use refusal::{Refusal, Unreached};
use request::{Kind, Request};

mod exchange;
mod hop;
mod inlet;
mod refusal;
mod request;
mod target;

/// Longest head that is read as one.
const HEAD_LIMIT_BYTES: usize = 64 * 1024;

/// Most origins to which one client's connection is kept open ways at once.
const HOPS: usize = 16;

/// What a client is told when its tunnel stands.
const ESTABLISHED: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";

/// How long, and how much of it, a client that was refused may go on sending, so that it reads why.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 256 * 1024;

/// A client of the proxy.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    pub(crate) peer: SocketAddr,
    /// The addresses at which the proxy itself is reached.
    pub(crate) own: Rc<[SocketAddr]>,
    pub(crate) traffic: Traffic,
}

/// Serves a client until its connection is over.
pub(crate) async fn serve(plane: Rc<Plane>, client: Client) {
    let _open = Open::new(&plane);
    let leash = Leash::new(client.stream);
    let session = Session {
        plane: &plane,
        stream: &leash.stream,
        peer: client.peer,
        own: &client.own,
        traffic: &client.traffic,
        hops: Vec::new(),
    };
    // Boxed, so that tunnels stay small.
    match Box::pin(session.run()).await {
        Ending::Tunnel(server, tap) => {
            plane.metrics.accepted(Leg::Outbound);
            carry(&plane, Leg::Outbound, leash, server, tap, &client.traffic).await;
        }
        Ending::Closed => leash.release(),
        Ending::Reset => {}
    }
}

/// How a client's requests end.
enum Ending {
    /// The rest of the connection goes to this server.
    Tunnel(Dialled, Option<Rc<Tap>>),
    Closed,
    Reset,
}

/// A client's requests, one after the other.
struct Session<'a> {
    plane: &'a Rc<Plane>,
    stream: &'a TcpStream,
    peer: SocketAddr,
    own: &'a [SocketAddr],
    traffic: &'a Traffic,
    /// The ways to the origins that were asked, the latest last.
    hops: Vec<Hop>,
}

impl Session<'_> {
    async fn run(mut self) -> Ending {
        let mut inlet = Inlet::new(self.stream);
        let mut is_last = false;
        loop {
            if self.wait_for_request(is_last).await {
                return self.part().await;
            }
            let head = inlet.head(HeadReader::request()).await;
            let arrival = Arrival::now();
            let read = match head {
                Ok(Head::Whole(head, facts)) => request::read(&head, &facts),
                Ok(Head::Unreadable) => Err(Refusal::bad_request("that is no HTTP/1 request")),
                Ok(Head::TooLong) => Err(Refusal::too_long(HEAD_LIMIT_BYTES)),
                Ok(Head::Closed(_)) => return self.part().await,
                Err(_) => return Ending::Reset,
            };
            let request = match read {
                Ok(request) => request,
                Err(refusal) => return self.refuse(&refusal, false).await,
            };
            let Kind::Pass { method, body } = request.kind else {
                return self.tunnel(&request, arrival).await;
            };
            let hop = match self.hop(&request, arrival).await {
                Ok(hop) => hop,
                Err(ending) => return ending,
            };
            let mut origin = Inlet::new(&hop.near.stream);
            let after = exchange(&mut inlet, &mut origin, &request.head, method, body).await;
            drop(origin);
            match after {
                After::Next { is_last: last } => {
                    is_last = last;
                    self.keep(hop);
                }
                After::Upgraded => return self.upgraded(hop).await,
                After::Closed => {
                    hop.near.release();
                    return self.part().await;
                }
                // The hop is reset, and with it the connection to the origin.
                After::Unreadable(why) => {
                    drop(hop);
                    let refusal = Refusal::unreadable(&request.origin, why, HEAD_LIMIT_BYTES);
                    return self.refuse(&refusal, request.is_head()).await;
                }
                // Whichever end broke, the other is reset as well; other origins see no more than a close.
                After::Reset(by) => {
                    if by == Side::Server {
                        self.release_hops();
                    }
                    return Ending::Reset;
                }
            }
        }
    }

    /// Waits until the client goes on. True where it need not be waited for: the origin closed behind a
    /// message that said so. An origin that closes an idle connection is asked by a new one.
    async fn wait_for_request(&mut self, is_last: bool) -> bool {
        let Some(latest) = self.hops.last() else {
            return false;
        };
        tokio::select! {
            biased;
            _ = closes(&latest.near.stream) => {}
            _ = closes(self.stream) => return false,
        }
        if let Some(gone) = self.hops.pop() {
            gone.near.release();
        }
        is_last
    }

    /// The way to the origin of a request: the one that stands, or a new one.
    async fn hop(&mut self, request: &Request, arrival: Arrival) -> Result<Hop, Ending> {
        let known = self
            .hops
            .iter()
            .position(|hop| hop.origin == request.origin);
        if let Some(hop) = known.map(|at| self.hops.remove(at)) {
            if hop.is_idle() {
                return Ok(hop);
            }
            hop.near.release();
        }
        let (server, tap) = self.connect(request, arrival).await?;
        let (near, far) = match pair().await {
            Ok(ends) => ends,
            Err(err) => {
                return Err(self
                    .refuse(&Refusal::own_failure(&err), request.is_head())
                    .await);
            }
        };
        let (plane, traffic) = (Rc::clone(self.plane), self.traffic.clone());
        tokio::task::spawn_local(async move {
            let _open = Open::new(&plane);
            plane.metrics.accepted(Leg::Outbound);
            let client = Leash::new(far);
            carry(&plane, Leg::Outbound, client, server, tap, &traffic).await;
        });
        Ok(Hop {
            origin: request.origin.clone(),
            near: Leash::new(near),
        })
    }

    fn keep(&mut self, hop: Hop) {
        if self.hops.len() >= HOPS {
            self.hops.remove(0).near.release();
        }
        self.hops.push(hop);
    }

    async fn tunnel(self, request: &Request, arrival: Arrival) -> Ending {
        match self.connect(request, arrival).await {
            Ok((server, tap)) => match write_all(self.stream, ESTABLISHED).await {
                Ok(()) => {
                    self.release_hops();
                    Ending::Tunnel(server, tap)
                }
                Err(_) => Ending::Reset,
            },
            Err(ending) => ending,
        }
    }

    /// Connects to the origin of a request; where that fails, it is recorded and answered.
    async fn connect(
        &self,
        request: &Request,
        arrival: Arrival,
    ) -> Result<(Dialled, Option<Rc<Tap>>), Ending> {
        let reached = tokio::select! {
            biased;
            reached = reach(self.plane, &request.origin, self.own) => reached,
            () = Link::Plain(self.stream).reset_by_peer() => Err(Failure {
                why: Unreached::Connect(CallError::ClientReset),
                tried: None,
            }),
        };
        let ends = |dst| Ends {
            leg: Leg::Outbound,
            src: self.peer,
            dst,
        };
        match reached {
            Ok(server) => {
                let tap = self.plane.watch(&ends(server.address), arrival);
                Ok((server, tap))
            }
            Err(failure) => {
                let metrics = &self.plane.metrics;
                metrics.dial_failed(Leg::Outbound, failure.error());
                if failure.why == Unreached::Loop {
                    metrics.loops_refused.inc();
                }
                let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, request.origin.port));
                let dst = failure.tried.map_or(nowhere, socket::canonical);
                if let Some(tap) = self.plane.watch(&ends(dst), arrival) {
                    tap.bytes(Side::Client, &request.head);
                    tap.connect_failed(failure.error());
                }
                Err(self.refuse_unreached(request, failure.why).await)
            }
        }
    }

    async fn refuse_unreached(&self, request: &Request, why: Unreached) -> Ending {
        match why {
            Unreached::Connect(CallError::ClientReset) => Ending::Reset,
            _ => {
                let refusal = Refusal::unreached(&request.origin, why);
                self.refuse(&refusal, request.is_head()).await
            }
        }
    }

    /// Answers for the origin, and ends the connection.
    async fn refuse(&self, refusal: &Refusal, is_head: bool) -> Ending {
        tracing::debug!(client.addr = %self.peer, refusal = refusal.kind(), "request refused");
        match write_all(self.stream, &refusal.response(is_head)).await {
            Ok(()) => self.say_goodbye().await,
            Err(_) => Ending::Reset,
        }
    }

    /// Ends the connection in order, and those to origins.
    async fn part(self) -> Ending {
        let ending = self.say_goodbye().await;
        self.release_hops();
        ending
    }

    /// Closes, and lets the client read everything before it is cut off.
    async fn say_goodbye(&self) -> Ending {
        if socket::finish_sending(self.stream).is_err() {
            return Ending::Closed;
        }
        let read_out = async {
            let mut room = [0; 4096];
            let mut left = LINGER_BYTES;
            while self.stream.readable().await.is_ok() {
                match socket::read_some(self.stream, &mut room) {
                    Err(err) if err.kind() == std::io::ErrorKind::WouldBlock => {}
                    Ok(count) if 0 < count && count < left => left -= count,
                    _ => return,
                }
            }
        };
        // One that stays is closed all the same.
        let _ = tokio::time::timeout(LINGER, read_out).await;
        Ending::Closed
    }

    fn release_hops(self) {
        for hop in self.hops {
            hop.near.release();
        }
    }

    /// What follows is passed on as it comes; the engine behind the hop sees what it is.
    async fn upgraded(self, hop: Hop) -> Ending {
        let uncounted = Traffic::default();
        let watchers = Watchers {
            scratch: &self.plane.scratch,
            traffic: &uncounted,
            tap: None,
            subject: None,
        };
        let (near, far) = (Link::Plain(self.stream), Link::Plain(&hop.near.stream));
        match splice_on(near, far, watchers, Rest::default(), Rest::default()).await {
            Outcome::Closed(_) => {
                hop.near.release();
                self.release_hops();
                Ending::Closed
            }
            Outcome::Reset(_) => Ending::Reset,
        }
    }
}
