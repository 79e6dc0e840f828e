//! What a caller asks for, read and checked.

use std::collections::BTreeMap;
use std::time::Duration;

use remora_store::fault::{DEFAULT_LIFE, EffectSpec, FaultError, FaultSpec, MOST_LIFE};
use schemars::JsonSchema;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::clock::parse_duration;
use crate::error::ApiError;
use crate::params::quoted;
use crate::tools::filter::FilterInput;

/// Longest fault as it travels to a sidecar, in bytes of JSON.
const SPEC_BYTES: usize = 16 * 1024;
/// Shortest life of a fault.
const LEAST_LIFE: Duration = Duration::from_secs(1);

/// A fault to begin.
#[derive(Debug, Clone, Deserialize, JsonSchema, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FaultRequest {
    /// In whose sidecars it acts
    pub workload: String,
    /// Of the workload
    pub namespace: Option<String>,
    /// outbound (default): calls it makes; inbound: calls it is sent
    pub leg: Option<String>,
    /// Which requests: what their heads decide, as records show them, so neither src, status, min_ms, revision nor namespace
    pub filter: Option<FilterInput>,
    /// Exactly one: status (with headers, body), delay_ms, reset or bytes_per_second
    pub effect: EffectInput,
    /// Only so many, in each sidecar
    pub first: Option<u32>,
    /// Only this share, by chance; to 1
    pub share: Option<f64>,
    /// 1s to 1h; default 5m
    pub r#for: Option<String>,
}

/// What is done to a request.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema, ToSchema)]
#[schema(as = FaultEffect)]
#[serde(
    deny_unknown_fields,
    expecting = "an object such as {\"status\":503} or {\"delay_ms\":200}"
)]
pub struct EffectInput {
    /// Answered so, without the server
    pub status: Option<u16>,
    /// Of the answer
    pub headers: Option<BTreeMap<String, String>>,
    /// Of the answer
    pub body: Option<String>,
    /// To 60000
    pub delay_ms: Option<u64>,
    /// Connection or HTTP/2 stream is reset
    pub reset: Option<bool>,
    /// Pace of the response
    pub bytes_per_second: Option<u64>,
}

impl FaultRequest {
    /// The fault without its name, and how long it lasts.
    ///
    /// # Errors
    ///
    /// A field has a value that it does not take.
    pub fn check(&self) -> Result<(FaultSpec, Duration), ApiError> {
        let effect = self.effect.clone();
        let spec = FaultSpec {
            id: "f".to_owned(),
            leg: self.leg.clone().unwrap_or_else(|| "outbound".to_owned()),
            filter: self.filter.clone().unwrap_or_default().flat(),
            effect: EffectSpec {
                status: effect.status,
                headers: effect.headers,
                body: effect.body,
                delay_ms: effect.delay_ms,
                reset: effect.reset,
                bytes_per_second: effect.bytes_per_second,
            },
            first: self.first,
            share: self.share,
        };
        spec.check().map_err(refused)?;
        let size = serde_json::to_string(&spec).map_or(usize::MAX, |json| json.len());
        if size > SPEC_BYTES {
            let message = format!("the fault takes {size} bytes of JSON; it may take {SPEC_BYTES}");
            return Err(ApiError::bad_request("bad_fault", message).field("effect.body"));
        }
        Ok((spec, self.life()?))
    }

    fn life(&self) -> Result<Duration, ApiError> {
        let Some(text) = &self.r#for else {
            return Ok(DEFAULT_LIFE);
        };
        let life = parse_duration(text).filter(|life| (LEAST_LIFE..=MOST_LIFE).contains(life));
        life.ok_or_else(|| {
            let message = format!("for is {}; it takes a time from 1s to 1h", quoted(text));
            ApiError::bad_request("bad_parameter", message)
                .field("for")
                .hint("such as 30s or 5m")
        })
    }
}

fn refused(error: FaultError) -> ApiError {
    let refused = ApiError::bad_request("bad_fault", error.message).field(error.field);
    match error.hint {
        Some(hint) => refused.hint(hint),
        None => refused,
    }
}
