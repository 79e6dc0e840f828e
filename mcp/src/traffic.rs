//! What checks look at: the calls of a stretch of time, in the order in which they began, and who they
//! are between (pure). How they are read from the store is [`gather`]'s business.

pub mod budget;
pub mod earlier;
pub mod gather;
pub mod tag;
#[cfg(test)]
pub(crate) mod testing;

use std::collections::HashMap;

use remora_store::about::About;
use remora_store::call::{CallError, CallId, Digest, State};
use remora_store::names::Party;
use remora_store::outcome::Ending;
use remora_store::query::{FoundCall, Outcome};

use crate::causality::{Causes, How};
use crate::confidence::Confidence;
use crate::join::{Clocks, Exchange, Joined};
use crate::tools::text;
use tag::Tag;

/// The calls of a stretch of time.
#[derive(Debug, Default)]
pub struct Traffic {
    observed: Vec<Observed>,
    joined: Joined,
    causes: Causes,
}

/// How sure it has to be that a call was caused by another one before checks count it so.
const SURE: Confidence = Confidence::thousandths(850);

/// One leg as it was read, without its bodies.
#[derive(Debug)]
pub struct Seen {
    found: FoundCall,
    /// The secrets in its request, those in the body among them.
    tags: Vec<Tag>,
}

impl Seen {
    /// Takes from the bodies what checks ask of them, and lets them go: of many calls they would fill the
    /// memory.
    pub fn new(mut found: FoundCall) -> Self {
        let tags = Tag::all_of(&found.call.request);
        found.call.request.body.clear();
        found.call.response.body.clear();
        found.call.stream = found.call.stream.map(|mut stream| {
            stream.messages.clear();
            stream
        });
        Self { found, tags }
    }

    /// About how much memory it takes, in bytes: its heads.
    fn bytes(&self) -> usize {
        let call = &self.found.call;
        call.request.head.len() + call.response.head.len() + call.interim.len()
    }
}

/// One leg of a call, with what most checks ask of it.
#[derive(Debug)]
pub struct Observed {
    /// The leg itself, without its bodies.
    pub found: FoundCall,
    /// Method of the request; empty where none was seen.
    pub method: String,
    /// Path without the query; empty where none was seen.
    pub path: String,
    /// Query without its `?`.
    pub query: String,
    /// What it asks for, without ids and values ([`remora_store::about::About::route`]).
    pub route: String,
    /// How it ended.
    pub ending: Ending,
    /// The secrets in its request.
    pub tags: Vec<Tag>,
}

/// What a request asks, of whomever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Question<'a> {
    method: &'a str,
    path: &'a str,
    query: &'a str,
    body: Option<Digest>,
    body_size: u64,
}

impl Question<'_> {
    /// The same as far as it is known before all of it was sent.
    pub fn without_body(self) -> Self {
        Self {
            body: None,
            body_size: 0,
            ..self
        }
    }
}

/// Some of the calls of a stretch of time: what one check is about.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    traffic: &'a Traffic,
    /// Places of exchanges, ascending.
    picked: &'a [usize],
}

impl Traffic {
    /// Takes the legs that were found, in any order, each of them once.
    pub fn new(mut legs: Vec<Seen>) -> Self {
        legs.sort_by_key(|it| (it.found.call.time_ns, it.found.id));
        let split = legs.into_iter().map(|it| (it.found, it.tags));
        let (found, tags): (Vec<FoundCall>, Vec<Vec<Tag>>) = split.unzip();
        let joined = Joined::of(&found);
        let causes = Causes::of(&found);
        let observed = found.into_iter().zip(tags);
        Self {
            observed: observed
                .map(|(found, tags)| Observed::new(found, tags))
                .collect(),
            joined,
            causes,
        }
    }

    /// Every leg, in the order in which they began.
    pub fn observed(&self) -> &[Observed] {
        &self.observed
    }

    /// Every call, by the places of its legs in [`Traffic::observed`], in the order in which its first leg
    /// began.
    pub fn exchanges(&self) -> &[Exchange] {
        self.joined.exchanges()
    }

    /// The leg at a place of [`Traffic::observed`].
    pub fn leg(&self, place: usize) -> Option<&Observed> {
        self.observed.get(place)
    }

    /// The leg that tells of the call of which the leg at a place is one.
    pub fn teller(&self, leg: usize) -> Option<&Observed> {
        self.told(self.joined.exchange_of(leg)?)
    }

    /// The calls that an inbound leg surely caused, as its pod sent them, in the order in which they began.
    pub fn effects(&self, inbound: usize) -> impl Iterator<Item = &Observed> {
        self.effects_by_place(inbound).map(|(_, call)| call)
    }

    /// The same with their places.
    pub fn effects_by_place(&self, inbound: usize) -> impl Iterator<Item = (usize, &Observed)> {
        let effects = self.causes.effects(inbound).iter().copied();
        effects
            .filter(|leg| self.cause(*leg).is_some())
            .filter_map(|leg| Some((leg, self.leg(leg)?)))
    }

    /// The call that the leg at a place is of.
    pub fn exchange_of(&self, leg: usize) -> Option<&Exchange> {
        self.joined.exchange_of(leg)
    }

    /// The inbound leg that surely caused an outbound one.
    pub fn cause(&self, outbound: usize) -> Option<usize> {
        let cause = self.causes.of_leg(outbound)?;
        cause.parent.filter(|_| cause.confidence >= SURE)
    }

    /// Whether something caused an outbound leg, and it is not sure what.
    pub fn is_unsure(&self, outbound: usize) -> bool {
        self.causes.of_leg(outbound).is_some_and(|cause| {
            cause.how != How::Background && (cause.parent.is_none() || cause.confidence < SURE)
        })
    }

    /// The outbound legs of which it is not sure what caused them, by who recorded them and when they began,
    /// in order of time.
    pub fn unsure(&self) -> HashMap<u128, Vec<i64>> {
        let mut unsure: HashMap<u128, Vec<i64>> = HashMap::new();
        for (leg, call) in self.observed.iter().enumerate() {
            if self.is_unsure(leg) {
                let began = unsure.entry(call.found.origin.incarnation).or_default();
                began.push(call.began_ns());
            }
        }
        unsure
    }

    /// What is known of the clocks of those who recorded them.
    pub fn clocks(&self) -> &Clocks {
        self.joined.clocks()
    }

    /// The leg that tells of a call: the caller's, who sees each attempt and what it waited for, else
    /// the callee's.
    pub fn told(&self, exchange: &Exchange) -> Option<&Observed> {
        let place = exchange.outbound.or(exchange.inbound)?;
        self.observed.get(place)
    }

    /// Whether an injected fault met a call, on either leg.
    pub fn is_touched(&self, exchange: &Exchange) -> bool {
        let legs = [exchange.outbound, exchange.inbound];
        let mut legs = legs.into_iter().flatten();
        legs.any(|place| self.leg(place).is_some_and(Observed::is_injected))
    }

    /// Whether an injected fault met a call that this one surely caused: then how it ended and how long it
    /// took is what its service makes of the fault.
    pub fn is_touched_below(&self, exchange: &Exchange) -> bool {
        let inbound = exchange.inbound;
        inbound.is_some_and(|leg| self.effects(leg).any(Observed::is_injected))
    }

    /// The places of the calls of which a leg is let through, each call once: a callee's leg that may be the
    /// other side of one of several calls that are let through is told by them.
    pub fn pick(&self, lets_through: impl Fn(CallId) -> bool) -> Vec<usize> {
        let passes = |place: Option<usize>| {
            let observed = place.and_then(|place| self.observed.get(place));
            observed.is_some_and(|observed| lets_through(observed.id()))
        };
        let is_told_by_another = |exchange: &Exchange| {
            let mut others = exchange.alternatives.iter();
            exchange.outbound.is_none() && others.any(|other| passes(Some(other.leg)))
        };
        let exchanges = self.exchanges().iter().enumerate();
        exchanges
            .filter(|(_, it)| passes(it.outbound) || passes(it.inbound))
            .filter(|(_, it)| !is_told_by_another(it))
            .map(|(place, _)| place)
            .collect()
    }

    /// Some of the calls, by their places.
    pub fn view<'a>(&'a self, picked: &'a [usize]) -> View<'a> {
        View {
            traffic: self,
            picked,
        }
    }
}

impl<'a> View<'a> {
    /// Everything that is known, beside what was picked.
    pub fn traffic(&self) -> &'a Traffic {
        self.traffic
    }

    /// The calls that were picked, each told by one leg, in the order in which they began.
    pub fn calls(&self) -> impl Iterator<Item = &'a Observed> + use<'a> {
        let traffic = self.traffic;
        let picked = self.picked.iter();
        picked.filter_map(move |place| traffic.told(traffic.exchanges().get(*place)?))
    }

    /// The picked calls by their legs.
    pub fn exchanges(&self) -> impl Iterator<Item = &'a Exchange> + use<'a> {
        let exchanges = self.traffic.exchanges();
        let picked = self.picked.iter();
        picked.filter_map(move |place| exchanges.get(*place))
    }

    /// The places of those that no injected fault met on any leg: what a fault did says nothing of a
    /// service.
    pub fn untouched(&self) -> Vec<usize> {
        let exchanges = self.traffic.exchanges();
        let picked = self.picked.iter().copied();
        picked
            .filter(|place| {
                let exchange = exchanges.get(*place);
                exchange.is_some_and(|it| !self.traffic.is_touched(it))
            })
            .collect()
    }

    /// How many were picked.
    pub fn len(&self) -> usize {
        self.picked.len()
    }

    /// Whether none was.
    pub fn is_empty(&self) -> bool {
        self.picked.is_empty()
    }
}

impl Observed {
    fn new(found: FoundCall, tags: Vec<Tag>) -> Self {
        let (method, path, query, route) = {
            let about = About::of(&found.call);
            let route = about.route().into_owned();
            (
                about.method.into_owned(),
                about.path.into_owned(),
                about.query.into_owned(),
                route,
            )
        };
        Self {
            route,
            ending: Ending::of(&found.call),
            tags,
            found,
            method,
            path,
            query,
        }
    }

    /// Its name in the hub.
    pub fn id(&self) -> CallId {
        self.found.id
    }

    /// Whether an injected fault met it.
    pub fn is_injected(&self) -> bool {
        self.found.call.fault.is_some()
    }

    /// Whether it asks something that can be told, and that somebody could ask again.
    pub fn is_request(&self) -> bool {
        let protocol = self.found.call.protocol;
        (protocol.is_http() || protocol.is_database()) && !self.method.is_empty()
    }

    /// Whether it has a request of HTTP, with a head that says what it asks.
    pub fn is_http_request(&self) -> bool {
        self.found.call.protocol.is_http() && !self.method.is_empty()
    }

    /// What it asks: who asks it again, asks the same.
    pub fn question(&self) -> Question<'_> {
        let request = &self.found.call.request;
        Question {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            // That of no body is another under each key, and says nothing.
            body: request.body_digest.filter(|_| request.body_size > 0),
            body_size: request.body_size,
        }
    }

    /// Whether it was the first on its connection.
    pub fn is_first_on_connection(&self) -> bool {
        let call = &self.found.call;
        // HTTP/1 counts its exchanges from 0; the first stream of HTTP/2 is 1.
        call.connection.ordinal <= u32::from(call.protocol.is_http2())
    }

    /// When its first byte was seen: nanoseconds since the Unix epoch.
    pub fn began_ns(&self) -> i64 {
        self.found.call.time_ns
    }

    /// When it was over: the last byte of the response, or the end of the connection that cut it short.
    /// `None` while it runs.
    pub fn ended_ns(&self) -> Option<i64> {
        let call = &self.found.call;
        if call.state == State::Open {
            return None;
        }
        let phases = &call.phases;
        let end = match call.error {
            None => phases.response_last.or(phases.closed),
            Some(_) => phases.closed.or(phases.response_last),
        }?;
        // A connection that never was has no request: its time is that of the accepting.
        let lasted = end.saturating_sub(phases.request_first.unwrap_or(0));
        Some(
            self.began_ns()
                .saturating_add(i64::try_from(lasted).unwrap_or(i64::MAX)),
        )
    }

    /// Status, name of a gRPC status, or error.
    pub fn outcome(&self) -> Outcome {
        self.ending.outcome()
    }

    /// Why it failed below its protocol.
    pub fn error(&self) -> Option<CallError> {
        self.found.call.error
    }

    /// Who called, in trusted text.
    pub fn src(&self) -> String {
        end(&self.found.src, false)
    }

    /// Who was called, in trusted text.
    pub fn dst(&self) -> String {
        end(&self.found.dst, true)
    }
}

/// What sidecars outside a cluster call their namespace.
const NO_NAMESPACE: &str = "local";

/// `namespace/name`, or the address where nobody knows whose it is; without the namespace outside a cluster.
fn end(party: &Party, with_port: bool) -> String {
    let name = text::party(party, with_port);
    match text::name(&party.namespace) {
        Some(namespace) if namespace != NO_NAMESPACE => format!("{namespace}/{name}"),
        _ => name,
    }
}
