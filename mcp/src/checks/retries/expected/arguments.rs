//! What is expected of retries, read from the arguments of the check.

use super::super::Args;
use super::{Expected, MOST_RETRIES};
use crate::error::ApiError;

/// Longest delay that can be expected: an hour.
const LONGEST_MS: f64 = 3_600_000.0;
const DEFAULT_TOLERANCE: f64 = 0.15;

impl Expected {
    /// What the arguments of the check say.
    ///
    /// # Errors
    ///
    /// A number is outside its bounds, or two arguments contradict each other.
    pub(in super::super) fn of(args: &Args) -> Result<Self, ApiError> {
        let tolerance = args.tolerance.unwrap_or(DEFAULT_TOLERANCE);
        if !(0.0..=1.0).contains(&tolerance) {
            return Err(bad(
                "tolerance",
                format!("{tolerance} is not a share"),
                "0 to 1; 0.15 is the default",
            ));
        }
        let delays = args.expect_delays_ms.clone().unwrap_or_default();
        if args.expect_delays_ms.is_some() && (delays.is_empty() || delays.len() > MOST_RETRIES) {
            return Err(bad(
                "expect_delays_ms",
                format!("{} delays", delays.len()),
                "one delay for each retry, 1 to 100 of them",
            ));
        }
        for delay in &delays {
            is_delay("expect_delays_ms", *delay)?;
        }
        if let Some(backoff) = args.expect_backoff {
            is_delay("expect_backoff.base_ms", backoff.base_ms)?;
            if !(1.0..=100.0).contains(&backoff.factor) {
                return Err(bad(
                    "expect_backoff.factor",
                    format!("{} is not a factor", backoff.factor),
                    "1 (constant) to 100",
                ));
            }
            if !delays.is_empty() {
                return Err(bad(
                    "expect_backoff",
                    "expect_delays_ms is given too".to_owned(),
                    "leave one of the two out",
                ));
            }
        }
        let retries = args.expect_retries.map(|retries| retries as usize);
        if retries.is_some_and(|retries| retries > MOST_RETRIES) {
            return Err(bad("expect_retries", "too many".to_owned(), "0 to 100"));
        }
        if let Some(retries) = retries
            && !delays.is_empty()
            && retries != delays.len()
        {
            return Err(bad(
                "expect_retries",
                format!("{retries} retries have no {} delays", delays.len()),
                "one delay for each retry, or leave expect_retries out",
            ));
        }
        Ok(Self {
            retries: retries.or((!delays.is_empty()).then_some(delays.len())),
            delays_ns: delays.iter().map(|delay| delay * 1e6).collect(),
            backoff: args.expect_backoff,
            tolerance,
        })
    }
}

fn is_delay(field: &'static str, ms: f64) -> Result<(), ApiError> {
    match (0.0..=LONGEST_MS).contains(&ms) {
        true => Ok(()),
        false => Err(bad(
            field,
            format!("{ms} is not a delay"),
            "milliseconds, 0 to 3600000",
        )),
    }
}

fn bad(field: &'static str, message: String, hint: &'static str) -> ApiError {
    ApiError::bad_request("bad_arguments", format!("args.{field}: {message}"))
        .field(format!("args.{field}"))
        .hint(hint)
}
