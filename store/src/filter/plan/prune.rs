//! Which blocks cannot hold a call that passes, told from their summaries.

use super::leaf::{Compared, Leaf, Reads, STATUSES};
use super::{Node, Plan};
use crate::block::{BlockSummary, Origin};
use crate::call::{Leg, Protocol};
use crate::filter::FilterError;
use crate::filter::columns::{code_value, is_recorder, origin_value};
use crate::filter::eval::{Facts, Truth, truth};
use crate::filter::expr::Comparison;
use crate::filter::facts::{REVISION_LABEL, elapsed_micros, identified, latency_millis};
use crate::filter::value::Value;
use crate::filter::vocabulary::{Field, Peer};
use crate::names::Party;

impl Plan<'_> {
    /// Whether a block can hold a call that passes.
    pub(crate) fn may_match(
        &mut self,
        summary: &BlockSummary,
        origin: &Origin,
    ) -> Result<bool, FilterError> {
        match &mut self.root {
            None => Ok(true),
            Some(root) => Ok(root.possible(summary, origin)?.has(Truth::Yes)),
        }
    }
}

/// A set of answers that a filter may give for the calls of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Possible(u8);

impl Possible {
    const NOTHING: Self = Self(0);
    const ANYTHING: Self = Self(0b111);

    fn only(truth: Truth) -> Self {
        match truth {
            Truth::No => Self(0b001),
            Truth::Yes => Self(0b010),
            Truth::Absent => Self(0b100),
            Truth::Unknown => Self::ANYTHING,
        }
    }

    fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn has(self, truth: Truth) -> bool {
        self.0 & Self::only(truth).0 != 0
    }

    fn each(self) -> impl Iterator<Item = Truth> + Clone {
        let all = [Truth::No, Truth::Yes, Truth::Absent];
        all.into_iter().filter(move |truth| self.has(*truth))
    }

    /// What comes of joining any answer of one with any of the other.
    fn join(self, other: Self, join: fn(Truth, Truth) -> Truth) -> Self {
        let mut joined = Self::NOTHING;
        for one in self.each() {
            for two in other.each() {
                joined = joined.or(Self::only(join(one, two)));
            }
        }
        joined
    }
}

impl Node<'_> {
    fn possible(
        &mut self,
        summary: &BlockSummary,
        origin: &Origin,
    ) -> Result<Possible, FilterError> {
        let (nodes, join, start): (_, fn(Truth, Truth) -> Truth, _) = match self {
            Self::All(nodes) => (nodes, Truth::and, Truth::Yes),
            Self::Any(nodes) => (nodes, Truth::or, Truth::No),
            Self::Not(node) => {
                let possible = node.possible(summary, origin)?;
                let negated = possible.each().map(|truth| Possible::only(truth.negated()));
                return Ok(negated.fold(Possible::NOTHING, Possible::or));
            }
            Self::Leaf(leaf) => return leaf.possible(summary, origin),
        };
        let mut together = Possible::only(start);
        for node in nodes {
            together = together.join(node.possible(summary, origin)?, join);
        }
        Ok(together)
    }
}

impl Leaf<'_> {
    fn possible(
        &mut self,
        summary: &BlockSummary,
        origin: &Origin,
    ) -> Result<Possible, FilterError> {
        match self.reads {
            Reads::Nothing | Reads::Origin => {
                Ok(Possible::only(truth(self.expr, &OriginFacts(origin))?))
            }
            Reads::Code(field) => self.possible_codes(field, summary),
            Reads::Status => self.possible_statuses(summary),
            Reads::Number(compared) => Ok(compared.possible(summary)),
            Reads::Text(Field::Method) => self.possible_words(Field::Method, &summary.methods),
            Reads::Text(Field::Host) => self.possible_words(Field::Host, &summary.hosts),
            Reads::Text(Field::Route) => self.possible_words(Field::Route, &summary.routes),
            Reads::End {
                peer,
                address: false,
            } => self.possible_parties(peer, summary, origin),
            Reads::Text(_) | Reads::End { .. } | Reads::Columns | Reads::Call => {
                Ok(Possible::ANYTHING)
            }
        }
    }

    fn possible_codes(
        &mut self,
        field: Field,
        summary: &BlockSummary,
    ) -> Result<Possible, FilterError> {
        let codes: &[u8] = match field {
            Field::Protocol => &summary.protocols,
            Field::Leg => &summary.legs,
            Field::Error if summary.errors == 0 => &[0],
            _ => return Ok(Possible::ANYTHING),
        };
        let mut possible = Possible::NOTHING;
        for code in codes {
            let truth = match self.answer(usize::from(*code)) {
                Some(truth) => truth,
                None => {
                    let given = |field| code_value(field, *code).unwrap_or(Value::Unknown);
                    let truth = truth(self.expr, &Given(&given))?;
                    self.remember(usize::from(*code), truth);
                    truth
                }
            };
            possible = possible.or(Possible::only(truth));
        }
        Ok(possible)
    }

    fn possible_statuses(&mut self, summary: &BlockSummary) -> Result<Possible, FilterError> {
        if let Some(codes) = &summary.status_codes {
            let mut possible = Possible::NOTHING;
            for code in codes {
                match usize::from(*code) {
                    status if status < STATUSES => {
                        possible = possible.or(Possible::only(self.status(status)?));
                    }
                    _ => return Ok(Possible::ANYTHING),
                }
            }
            return Ok(possible);
        }
        let listed: u32 = summary.statuses.iter().sum();
        let mut possible = match listed == summary.calls {
            true => Possible::NOTHING,
            // There are statuses of 600 or above, which have no class.
            false => return Ok(Possible::ANYTHING),
        };
        for (class, calls) in summary.statuses.iter().enumerate() {
            let statuses = match class {
                _ if *calls == 0 => continue,
                0 => 0..1,
                _ => class * 100..(class + 1) * 100,
            };
            for status in statuses {
                possible = possible.or(Possible::only(self.status(status)?));
            }
        }
        Ok(possible)
    }

    fn status(&mut self, status: usize) -> Result<Truth, FilterError> {
        debug_assert!(status < STATUSES);
        if let Some(truth) = self.answer(status) {
            return Ok(truth);
        }
        let given = |_| Value::int(status as u64);
        let truth = truth(self.expr, &Given(&given))?;
        self.remember(status, truth);
        Ok(truth)
    }

    fn possible_words(
        &self,
        field: Field,
        words: &Option<Vec<String>>,
    ) -> Result<Possible, FilterError> {
        let Some(words) = words else {
            return Ok(Possible::ANYTHING);
        };
        let mut possible = Possible::NOTHING;
        for word in words {
            let given = |asked| match asked == field {
                true => Value::text(word),
                false => Value::Unknown,
            };
            possible = possible.or(Possible::only(truth(self.expr, &Given(&given))?));
        }
        Ok(possible)
    }

    /// The recorder is one end of all its calls; of the other end a summary says nothing.
    fn possible_parties(
        &self,
        peer: Peer,
        summary: &BlockSummary,
        origin: &Origin,
    ) -> Result<Possible, FilterError> {
        for code in &summary.legs {
            match Leg::from_code(*code) {
                Some(leg) if is_recorder(peer, leg) => {}
                _ => return Ok(Possible::ANYTHING),
            }
        }
        let recorder = Party::known(([0, 0, 0, 0], 0).into(), origin);
        let given = |field| match field {
            Field::End(_, identity) => identified(&recorder, identity).into_owned(),
            _ => Value::Unknown,
        };
        Ok(Possible::only(truth(self.expr, &Given(&given))?))
    }
}

impl Compared<'_> {
    fn possible(&self, summary: &BlockSummary) -> Possible {
        let longest = Some(summary.longest_ns);
        let (least, most, absent) = match self.field {
            Field::Timestamp => (
                Value::Time(summary.first_ns),
                Value::Time(summary.last_ns),
                Possible::NOTHING,
            ),
            Field::ElapsedMicros => (
                Value::Int(0),
                elapsed_micros(longest),
                Possible::only(Truth::Absent),
            ),
            Field::LatencyMillis => (
                Value::Double(0.0),
                latency_millis(longest),
                Possible::only(Truth::Absent),
            ),
            Field::Probe if summary.probes == 0 => {
                (Value::Bool(false), Value::Bool(false), Possible::NOTHING)
            }
            Field::GrpcStatus if !summary.protocols.contains(&Protocol::Grpc.code()) => {
                return Possible::only(Truth::Absent);
            }
            _ => return Possible::ANYTHING,
        };
        let ends = Possible::only(self.truth(&least)).or(Possible::only(self.truth(&most)));
        let between = match self.comparison {
            // Between two ends on the same side there may still be the value itself.
            Comparison::Equal | Comparison::NotEqual if !self.outside(&least, &most) => {
                Possible::only(Truth::Yes).or(Possible::only(Truth::No))
            }
            _ => Possible::NOTHING,
        };
        ends.or(between).or(absent)
    }

    /// Whether the constant lies outside of a range.
    fn outside(&self, least: &Value<'_>, most: &Value<'_>) -> bool {
        let below = Compared {
            comparison: Comparison::Greater,
            ..*self
        };
        let above = Compared {
            comparison: Comparison::Less,
            ..*self
        };
        below.truth(least) == Truth::Yes || above.truth(most) == Truth::Yes
    }
}

/// Facts that one function tells.
struct Given<'v>(&'v dyn Fn(Field) -> Value<'v>);

impl Facts for Given<'_> {
    fn value(&self, field: Field) -> Value<'_> {
        (self.0)(field)
    }

    fn entry(&self, _: Field, _: &str) -> Value<'_> {
        Value::Unknown
    }

    fn keys(&self, _: Field) -> Option<Vec<String>> {
        None
    }
}

/// What is the same for all calls of a recorder.
struct OriginFacts<'a>(&'a Origin);

impl Facts for OriginFacts<'_> {
    fn value(&self, field: Field) -> Value<'_> {
        origin_value(self.0, field).unwrap_or(Value::Unknown)
    }

    fn entry(&self, field: Field, key: &str) -> Value<'_> {
        match field {
            Field::LocalLabels if key == REVISION_LABEL && !self.0.revision.is_empty() => {
                Value::text(&self.0.revision)
            }
            Field::LocalLabels | Field::NoMap => Value::Absent,
            _ => Value::Unknown,
        }
    }

    fn keys(&self, field: Field) -> Option<Vec<String>> {
        let known = !self.0.revision.is_empty();
        match field {
            Field::LocalLabels => Some(
                known
                    .then(|| REVISION_LABEL.to_owned())
                    .into_iter()
                    .collect(),
            ),
            Field::NoMap => Some(Vec::new()),
            _ => None,
        }
    }
}
