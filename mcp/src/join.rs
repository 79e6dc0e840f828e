//! Two legs become one call: the one that the caller's sidecar saw, and the one that the callee's saw (pure).
//!
//! Legs are joined connection by connection, never one call at a time by its looks:
//!
//! 1. by the client address that both sidecars see, the place on the connection (ordinal of HTTP/1, stream of
//!    HTTP/2), and the keyed digest of the same wire bytes, or the random bytes of a TLS handshake;
//! 2. where addresses were translated on the way, by digests and handshakes alone.
//!
//! Where several partners are possible none is taken: they are listed. What a leg says of itself can only
//! part legs or confirm them; who caused a call is [`crate::causality`]'s question.

mod address;
mod agreement;
mod clocks;
mod connections;
mod digest;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;

use remora_store::call::Leg;
use remora_store::query::FoundCall;

use crate::confidence::Confidence;
use connections::Connections;

pub use clocks::{ClockBound, Clocks};

/// Most alternatives that are listed for a leg.
pub const MAX_ALTERNATIVES: usize = 8;

/// What became of legs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Joined {
    exchanges: Vec<Exchange>,
    /// For each leg the number of its exchange.
    exchange_of: Vec<usize>,
    clocks: Clocks,
}

/// One call, of which one leg or both were recorded. Legs are places in the slice that was joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// The caller's leg; `None` where it was not recorded, or it cannot be told which it is.
    pub outbound: Option<usize>,
    /// The callee's leg; the same way.
    pub inbound: Option<usize>,
    /// How the two were found to be one; `None` where there are not two.
    pub bond: Option<Bond>,
    /// Legs that could be the missing one, or could stand in the place of the partner that was taken; the
    /// most likely first, then by time and id.
    pub alternatives: Vec<Alternative>,
}

/// How two legs were found to be of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bond {
    /// By what.
    pub how: How,
    /// How sure that is.
    pub confidence: Confidence,
}

/// A leg that could be the partner of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alternative {
    /// Which leg.
    pub leg: usize,
    /// How likely it is.
    pub confidence: Confidence,
}

/// By what two legs were joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// Client address, place on the connection, and digest of the same bytes.
    AddressAndDigest,
    /// Client address and place on the connection; there were no digests to compare.
    Address,
    /// The random bytes in the ClientHello of TLS that was passed through.
    Handshake,
    /// Digests of the same bytes in the same places of a connection: its address was translated.
    Digest,
}

impl How {
    /// A fixed word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AddressAndDigest => "address_and_digest",
            Self::Address => "address",
            Self::Handshake => "tls_handshake",
            Self::Digest => "digest",
        }
    }
}

impl Joined {
    /// Joins legs; bodies are not needed. The order in which they are given does not matter, nor does traffic
    /// that has nothing to do with them. Takes time in proportion to their number, but for sorting.
    pub fn of(calls: &[FoundCall]) -> Self {
        let connections = Connections::of(calls);
        let mut pairs = Pairs::new(calls.len());
        let mut clocks = Clocks::default();
        let paired = address::pair(&connections, &mut clocks, &mut pairs);
        digest::pair(&connections, &paired, &clocks, &mut pairs);
        pairs.into_joined(calls, clocks)
    }

    /// The calls, by when their earliest leg began and its id.
    pub fn exchanges(&self) -> &[Exchange] {
        &self.exchanges
    }

    /// The call that a leg is of; `None` for a place that is not in the slice.
    pub fn exchange_of(&self, leg: usize) -> Option<&Exchange> {
        self.exchanges.get(*self.exchange_of.get(leg)?)
    }

    /// The other leg of a call, and how it was found; `None` where it was not recorded or cannot be told.
    pub fn partner(&self, leg: usize) -> Option<(usize, Bond)> {
        let exchange = self.exchange_of(leg)?;
        let (outbound, inbound) = exchange.outbound.zip(exchange.inbound)?;
        let other = if outbound == leg { inbound } else { outbound };
        Some((other, exchange.bond?))
    }

    /// What the joined legs say of the clocks of those who recorded them.
    pub fn clocks(&self) -> &Clocks {
        &self.clocks
    }
}

/// Legs as they are joined.
struct Pairs {
    partner: Vec<Option<(usize, Bond)>>,
    alternatives: Vec<Vec<Alternative>>,
}

impl Pairs {
    fn new(legs: usize) -> Self {
        Self {
            partner: vec![None; legs],
            alternatives: vec![Vec::new(); legs],
        }
    }

    fn join(&mut self, outbound: usize, inbound: usize, bond: Bond) {
        for (leg, other) in [(outbound, inbound), (inbound, outbound)] {
            if let Some(partner) = self.partner.get_mut(leg) {
                *partner = Some((other, bond));
            }
        }
    }

    /// Says of two legs that they could be partners.
    fn could_be(&mut self, outbound: usize, inbound: usize, confidence: Confidence) {
        for (leg, other) in [(outbound, inbound), (inbound, outbound)] {
            if let Some(known) = self.alternatives.get_mut(leg) {
                known.push(Alternative {
                    leg: other,
                    confidence,
                });
            }
        }
    }

    fn into_joined(mut self, calls: &[FoundCall], clocks: Clocks) -> Joined {
        let rank = |leg: usize| calls.get(leg).map(|found| (found.call.time_ns, found.id));
        let mut exchanges = Vec::with_capacity(calls.len());
        for (leg, found) in calls.iter().enumerate() {
            let partner = self.partner.get(leg).copied().flatten();
            let (outbound, inbound) = match (found.call.leg, partner) {
                (Leg::Outbound, partner) => (Some(leg), partner.map(|(other, _)| other)),
                (Leg::Inbound, None) => (None, Some(leg)),
                // Told with its outbound leg.
                (Leg::Inbound, Some(_)) => continue,
            };
            let mut alternatives: Vec<Alternative> = [outbound, inbound]
                .into_iter()
                .flatten()
                .flat_map(|leg| {
                    let known = self.alternatives.get_mut(leg);
                    known.map(std::mem::take).unwrap_or_default()
                })
                .filter(|alternative| {
                    Some(alternative.leg) != outbound && Some(alternative.leg) != inbound
                })
                .collect();
            alternatives
                .sort_by_key(|known| (Reverse(known.confidence), rank(known.leg), known.leg));
            alternatives.dedup_by_key(|known| known.leg);
            alternatives.truncate(MAX_ALTERNATIVES);
            exchanges.push(Exchange {
                outbound,
                inbound,
                bond: partner.map(|(_, bond)| bond),
                alternatives,
            });
        }
        exchanges.sort_by_cached_key(|exchange| {
            let legs = [exchange.outbound, exchange.inbound];
            legs.into_iter().flatten().filter_map(rank).min()
        });
        let mut exchange_of = vec![0; calls.len()];
        for (number, exchange) in exchanges.iter().enumerate() {
            for leg in [exchange.outbound, exchange.inbound].into_iter().flatten() {
                if let Some(place) = exchange_of.get_mut(leg) {
                    *place = number;
                }
            }
        }
        Joined {
            exchanges,
            exchange_of,
            clocks,
        }
    }
}
