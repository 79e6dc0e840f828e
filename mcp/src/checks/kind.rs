//! The names of the checks.

use std::fmt;

use remora_store::filter::nearest;

use crate::error::ApiError;
use crate::params::quoted;

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Requests that were sent again.
    Retries,
    /// One call that causes many of a kind.
    NPlusOne,
    /// What is asked again.
    Cache,
    /// Where secrets go.
    Secrets,
    /// How connections are used.
    Connections,
    /// What heads say, and what they should not.
    Headers,
    /// How long calls take.
    Latency,
    /// How calls end.
    Status,
    /// How many calls there are.
    Count,
    /// That there is none.
    NoCall,
    /// That one comes after the other.
    Order,
}

impl Kind {
    /// Every check.
    pub const ALL: [Self; 11] = [
        Self::Retries,
        Self::NPlusOne,
        Self::Cache,
        Self::Secrets,
        Self::Connections,
        Self::Headers,
        Self::Latency,
        Self::Status,
        Self::Count,
        Self::NoCall,
        Self::Order,
    ];

    /// Those that find what is wrong without being told what to expect.
    pub const FINDERS: [Self; 6] = [
        Self::Retries,
        Self::NPlusOne,
        Self::Cache,
        Self::Secrets,
        Self::Connections,
        Self::Status,
    ];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retries => "retries",
            Self::NPlusOne => "n_plus_one",
            Self::Cache => "cache",
            Self::Secrets => "secrets",
            Self::Connections => "connections",
            Self::Headers => "headers",
            Self::Latency => "latency",
            Self::Status => "status",
            Self::Count => "count",
            Self::NoCall => "no_call",
            Self::Order => "order",
        }
    }

    /// Whether it asks what bodies say, which takes longer.
    pub const fn reads_bodies(self) -> bool {
        matches!(self, Self::Secrets)
    }

    /// The check of a name.
    ///
    /// # Errors
    ///
    /// There is none; the error has the nearest name.
    pub fn read(name: &str, field: &'static str) -> Result<Self, ApiError> {
        Self::read_among(name, &Self::ALL, field)
    }

    /// One that finds something by itself.
    ///
    /// # Errors
    ///
    /// There is none of that name; the error has the nearest one.
    pub fn read_finder(name: &str, field: &'static str) -> Result<Self, ApiError> {
        Self::read_among(name, &Self::FINDERS, field)
    }

    fn read_among(name: &str, kinds: &[Self], field: &'static str) -> Result<Self, ApiError> {
        if let Some(kind) = kinds.iter().find(|kind| kind.as_str() == name) {
            return Ok(*kind);
        }
        let names = kinds.iter().map(|kind| kind.as_str());
        let known = names.clone().collect::<Vec<_>>().join(", ");
        let error = ApiError::bad_request(
            "unknown_check",
            format!("there is no check {}", quoted(name)),
        )
        .field(field);
        Err(match nearest(name, names) {
            Some(near) => error.hint(format!("did you mean {near}? The checks are {known}")),
            None => error.hint(format!("the checks are {known}")),
        })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
