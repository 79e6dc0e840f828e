//! Injected faults: what a person switches on, as it is written, and checked.
//!
//! A fault belongs to one workload and acts in each of its sidecars by itself. [`FaultSpec`] is how it
//! travels between hub and sidecar; [`Fault`] is one that can be carried out. Who may switch one on, and
//! where it is, is the hub's business; what it does to bytes the sidecar's.

mod channel;
mod effect;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::call::Leg;
use crate::filter::{FilterError, FlatFilter, RequestFilter, nearest};

pub use channel::{FaultOrder, FaultOrders, FaultReport, FaultState, HeldFault, RefusedFault};
pub use effect::{Answer, Effect, EffectSpec};

/// Most faults that one sidecar carries out at a time.
pub const MOST_FAULTS: usize = 8;
/// How long a fault lasts where nothing is said.
pub const DEFAULT_LIFE: Duration = Duration::from_secs(5 * 60);
/// Longest life of a fault: 1 h.
pub const MOST_LIFE: Duration = Duration::from_secs(60 * 60);
/// Most calls that `first` may ask for.
const MOST_FIRST: u32 = 1_000_000;
/// Longest name of a fault.
const ID_BYTES: usize = 64;

/// A fault as it is written.
///
/// A field that a sidecar does not know may change what is meant, so that it refuses the whole.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultSpec {
    /// Its name, as the hub gave it.
    pub id: String,
    /// Which calls of the workload: those it makes (`outbound`), or those it is sent (`inbound`).
    pub leg: String,
    /// Which requests of them.
    #[serde(default)]
    pub filter: FlatFilter,
    /// What is done to them.
    pub effect: EffectSpec,
    /// Only the first so many that match, in each sidecar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<u32>,
    /// Only this share of those that match, each chosen by chance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
}

/// A fault that can be carried out.
#[derive(Debug, Clone)]
pub struct Fault {
    /// Its name.
    pub id: Box<str>,
    /// Which calls of the workload.
    pub leg: Leg,
    /// Which requests of them.
    pub filter: RequestFilter,
    /// What is done to them.
    pub effect: Effect,
    /// To how many of them.
    pub selection: Selection,
}

/// How many of the requests that match are chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Selection {
    /// All of them.
    All,
    /// So many, and no more.
    First(u32),
    /// Each with this probability, above 0 and at most 1.
    Share(f64),
}

/// What is wrong with a fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FaultError {
    /// The field, such as `effect.status`.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
    /// What would be right, where that can be told.
    pub hint: Option<String>,
}

impl FaultError {
    fn new(field: &str, message: impl Into<String>) -> Self {
        Self {
            field: field.to_owned(),
            message: message.into(),
            hint: None,
        }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<FilterError> for FaultError {
    fn from(error: FilterError) -> Self {
        Self {
            field: "filter".to_owned(),
            message: error.message,
            hint: error.hint,
        }
    }
}

impl FaultSpec {
    /// Reads a fault.
    ///
    /// # Errors
    ///
    /// It cannot be carried out; the error names the field.
    pub fn check(&self) -> Result<Fault, FaultError> {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if self.id.is_empty() || self.id.len() > ID_BYTES || !self.id.bytes().all(token) {
            return Err(FaultError::new("id", "it is no name of a fault"));
        }
        let leg = leg(&self.leg)?;
        Ok(Fault {
            id: self.id.as_str().into(),
            leg,
            filter: RequestFilter::read(&self.filter, leg)?,
            effect: self.effect.check()?,
            selection: selection(self.first, self.share)?,
        })
    }
}

fn leg(word: &str) -> Result<Leg, FaultError> {
    word.parse().map_err(|_| {
        let known = Leg::ALL.iter().map(|leg| leg.as_str());
        FaultError::new("leg", format!("{:?} is no leg", shown(word))).hint(
            nearest(word, known).unwrap_or(
                "outbound, the calls that the workload makes, or inbound, those it is sent",
            ),
        )
    })
}

fn selection(first: Option<u32>, share: Option<f64>) -> Result<Selection, FaultError> {
    match (first, share) {
        (None, None) => Ok(Selection::All),
        (Some(calls @ 1..=MOST_FIRST), None) => Ok(Selection::First(calls)),
        (Some(calls), None) => Err(FaultError::new("first", format!("it is {calls}"))
            .hint(format!("a number from 1 to {MOST_FIRST}"))),
        (None, Some(share)) if share > 0.0 && share <= 1.0 => Ok(Selection::Share(share)),
        (None, Some(share)) => Err(FaultError::new("share", format!("it is {share}"))
            .hint("a number above 0, and at most 1")),
        (Some(_), Some(_)) => Err(FaultError::new(
            "share",
            "`first` and `share` are both given, and only one of them can say which calls",
        )
        .hint("leave one of them out")),
    }
}

/// A word of somebody else's, as far as an error shows it.
fn shown(word: &str) -> String {
    word.chars().take(40).collect()
}

#[cfg(test)]
mod tests;
