//! What a fault does to the calls that it meets.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{FaultError, shown};
use crate::call::EffectKind;

/// Longest delay: 60 s.
const MOST_DELAY_MS: u64 = 60_000;
/// Fastest rate that is called a throttle: 1 GiB/s.
const MOST_BYTES_PER_SECOND: u64 = 1 << 30;
/// Most headers of an answer.
const MOST_HEADERS: usize = 32;
/// Most bytes of their names and values.
const MOST_HEADER_BYTES: usize = 4 * 1024;
/// Longest body of an answer.
const MOST_BODY_BYTES: usize = 8 * 1024;

/// Headers that frame a message or name its connection: the sidecar's business.
const FRAMING: &[&str] = &[
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Headers by which a client takes its next requests, and what it sends in them, to another server.
const LEADING_ELSEWHERE: &[&str] = &["alt-svc", "refresh"];

/// An effect as it is written: exactly one of `status`, `delay_ms`, `reset` and `bytes_per_second`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EffectSpec {
    /// The sidecar answers with this status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Headers of that answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers: Option<BTreeMap<String, String>>,
    /// Body of that answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The request is held back so long, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
    /// The connection is reset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reset: Option<bool>,
    /// The body of the response passes at this rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_per_second: Option<u64>,
}

/// What is done to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// The sidecar answers, and the server is not asked.
    Status(Answer),
    /// The request is passed on so much later.
    Delay(Duration),
    /// The connection is reset, or the stream of HTTP/2, and the server is not asked.
    Reset,
    /// The body of the response passes at no more than this.
    Throttle {
        /// Bytes per second, at least 1.
        bytes_per_second: u64,
    },
}

/// A response that no server gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// 200 to 599.
    pub status: u16,
    /// Names in lower case with their values; none that frames the message or leads to another server.
    pub headers: Vec<(String, String)>,
    /// At most 8 KiB.
    pub body: Bytes,
}

impl Effect {
    /// Which of them it is.
    pub fn kind(&self) -> EffectKind {
        match self {
            Self::Status(_) => EffectKind::Status,
            Self::Delay(_) => EffectKind::Delay,
            Self::Reset => EffectKind::Reset,
            Self::Throttle { .. } => EffectKind::Throttle,
        }
    }
}

impl EffectSpec {
    /// Reads an effect.
    pub(super) fn check(&self) -> Result<Effect, FaultError> {
        self.check_one()?;
        if let Some(status) = self.status {
            return self.answer(status).map(Effect::Status);
        }
        for (field, is_given) in [
            ("headers", self.headers.is_some()),
            ("body", self.body.is_some()),
        ] {
            if is_given {
                let error = FaultError::new(
                    &format!("effect.{field}"),
                    "there is no answer to put it into",
                );
                return Err(error.hint("give the answer's `status` as well"));
            }
        }
        if let Some(delay_ms) = self.delay_ms {
            within("effect.delay_ms", delay_ms, MOST_DELAY_MS)?;
            return Ok(Effect::Delay(Duration::from_millis(delay_ms)));
        }
        if let Some(bytes_per_second) = self.bytes_per_second {
            within(
                "effect.bytes_per_second",
                bytes_per_second,
                MOST_BYTES_PER_SECOND,
            )?;
            return Ok(Effect::Throttle { bytes_per_second });
        }
        match self.reset {
            Some(true) => Ok(Effect::Reset),
            _ => Err(
                FaultError::new("effect.reset", "it is false, so that there is no effect")
                    .hint("true, or another effect"),
            ),
        }
    }

    fn check_one(&self) -> Result<(), FaultError> {
        const KINDS: &str = "one of {\"status\": 503}, {\"delay_ms\": 200}, {\"reset\": true} and {\"bytes_per_second\": 1000}";
        let given: Vec<&str> = [
            ("status", self.status.is_some()),
            ("delay_ms", self.delay_ms.is_some()),
            ("reset", self.reset.is_some()),
            ("bytes_per_second", self.bytes_per_second.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, is_given)| is_given.then_some(name))
        .collect();
        match given.as_slice() {
            [_] => Ok(()),
            [] => {
                Err(FaultError::new("effect", "it says nothing of what is to be done").hint(KINDS))
            }
            several => {
                let message = format!(
                    "{} are given together, and a fault has one effect",
                    several.join(" and ")
                );
                Err(FaultError::new("effect", message).hint(KINDS))
            }
        }
    }

    fn answer(&self, status: u16) -> Result<Answer, FaultError> {
        if !(200..=599).contains(&status) {
            let error = FaultError::new(
                "effect.status",
                format!("{status} is no status of a response"),
            );
            return Err(error.hint("200 to 599"));
        }
        let body = self.body.clone().unwrap_or_default();
        if body.len() > MOST_BODY_BYTES {
            let message = format!("it is {} bytes long", body.len());
            let error = FaultError::new("effect.body", message);
            return Err(error.hint(format!("at most {MOST_BODY_BYTES} bytes")));
        }
        if matches!(status, 204 | 304) && !body.is_empty() {
            let message = format!("a response with status {status} has no body");
            return Err(FaultError::new("effect.body", message).hint("leave it out"));
        }
        Ok(Answer {
            status,
            headers: self.headers()?,
            body: Bytes::from(body),
        })
    }

    fn headers(&self) -> Result<Vec<(String, String)>, FaultError> {
        let given = self.headers.iter().flatten();
        let size: usize = given
            .clone()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        let count = given.clone().count();
        if count > MOST_HEADERS || size > MOST_HEADER_BYTES {
            let message = format!("they are {count} headers of {size} bytes");
            let error = FaultError::new("effect.headers", message);
            return Err(error.hint(format!(
                "at most {MOST_HEADERS} of together {MOST_HEADER_BYTES} bytes"
            )));
        }
        given.map(|(name, value)| header(name, value)).collect()
    }
}

fn header(name: &str, value: &str) -> Result<(String, String), FaultError> {
    let field = format!("effect.headers.{}", shown(name));
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if name.is_empty() || !name.chars().all(token) {
        return Err(
            FaultError::new(&field, "it is not the name of a header").hint("such as retry-after")
        );
    }
    if !value
        .bytes()
        .all(|byte| matches!(byte, b' '..=b'~' | b'\t'))
    {
        return Err(
            FaultError::new(&field, "its value holds a character that no header has")
                .hint("printable ASCII"),
        );
    }
    let name = name.to_ascii_lowercase();
    if FRAMING.contains(&name.as_str()) {
        return Err(
            FaultError::new(&field, "the sidecar frames the answer itself").hint("leave it out"),
        );
    }
    let value = value.trim();
    let hint = match name.as_str() {
        name if LEADING_ELSEWHERE.contains(&name) => Some("leave it out"),
        "location" if !is_path(value) => Some("a path of the same server, such as /later"),
        _ => None,
    };
    if let Some(hint) = hint {
        let message = "it leads clients to another server, with what they send";
        return Err(FaultError::new(&field, message).hint(hint));
    }
    Ok((name, value.to_owned()))
}

/// Whether a reference stays at the server that gave it, for browsers too: they take `\` for `/`, and leave tabs out
/// (URL Standard, section 4.4).
fn is_path(reference: &str) -> bool {
    let is_plain = !reference.contains(['\\', '\t']);
    is_plain && reference.starts_with('/') && !reference.starts_with("//")
}

fn within(field: &str, given: u64, most: u64) -> Result<(), FaultError> {
    match given {
        given if (1..=most).contains(&given) => Ok(()),
        given => Err(FaultError::new(field, format!("it is {given}"))
            .hint(format!("a number from 1 to {most}"))),
    }
}
