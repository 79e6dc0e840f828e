//! What hub and sidecar tell each other of faults, over the control channel.
//!
//! The hub says which faults to begin and which to end; the sidecar says, whenever it asks, which it holds
//! and what came of them. Both say the same again until the other has heard it, so that neither a lost
//! answer nor a hub that starts anew changes what is so.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::FaultSpec;

/// What a sidecar says of its faults.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FaultReport {
    /// Whether its workload allows any.
    pub allowed: bool,
    /// Those it holds, and those that ended since it last said so.
    #[serde(default)]
    pub held: Vec<HeldFault>,
    /// Those it was told to begin and cannot.
    #[serde(default)]
    pub refused: Vec<RefusedFault>,
}

/// A fault in one sidecar.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeldFault {
    /// The fault.
    pub fault: FaultSpec,
    /// How long it still lasts, in milliseconds.
    pub left_ms: u64,
    /// How it is.
    pub state: FaultState,
    /// How many calls it met.
    pub touched: u64,
    /// Open connections on which it acts.
    pub covered: u64,
    /// Open connections that may carry such requests and on which it does not act.
    pub not_covered: u64,
}

/// How a fault is in one sidecar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FaultState {
    /// It meets the next request that matches.
    Active,
    /// It has met as many calls as it was meant to.
    Spent,
    /// Its time is over.
    Expired,
    /// It was stopped.
    Stopped,
}

impl FaultState {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Spent => "spent",
            Self::Expired => "expired",
            Self::Stopped => "stopped",
        }
    }

    /// Whether it is over for good.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Expired | Self::Stopped)
    }
}

/// A fault that a sidecar cannot carry out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedFault {
    /// Its name.
    pub id: String,
    /// Why not, in words for the person who switched it on.
    pub why: String,
}

/// What a sidecar is to do.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct FaultOrders {
    /// Faults to begin.
    #[serde(default)]
    pub start: Vec<FaultOrder>,
    /// Names of those to end.
    #[serde(default)]
    pub stop: Vec<String>,
}

impl FaultOrders {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.start.is_empty() && self.stop.is_empty()
    }
}

/// A fault to begin.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FaultOrder {
    /// Its name, by which a sidecar refuses what it cannot read.
    pub id: String,
    /// A [`FaultSpec`], in the words of whoever wrote it: what is too new is refused by itself.
    pub fault: Value,
    /// How long it lasts from now, in milliseconds.
    pub left_ms: u64,
}
