//! `Retry-After` (RFC 9110 section 10.2.3): when a server asks its client to come again.

use jiff::fmt::rfc2822;
use remora_store::head::find_field;

use super::attempts::delay_ns;
use crate::traffic::Observed;

/// A client that waits for so much of what was asked, as a share, has waited.
const NEARLY: f64 = 0.95;
/// A date has no parts of a second.
const DATE_GRAIN_NS: i64 = 1_000_000_000;
const SECOND_NS: i64 = 1_000_000_000;

/// How long the answer of `failed` asked to wait, in nanoseconds, where `next` came earlier.
pub fn is_ignored(failed: &Observed, next: &Observed) -> Option<i64> {
    let asked = asked_ns(failed)?;
    let waited = delay_ns(failed, next)?;
    ((waited as f64) < asked as f64 * NEARLY).then_some(asked)
}

/// How long after its end the answer of a call asks to wait: nanoseconds.
fn asked_ns(call: &Observed) -> Option<i64> {
    let value = find_field(&call.found.call.response.head, b"retry-after")?;
    let value = std::str::from_utf8(value).ok()?;
    if value.bytes().all(|byte| byte.is_ascii_digit()) {
        let seconds: i64 = value.parse().ok()?;
        return seconds.checked_mul(SECOND_NS);
    }
    let date = rfc2822::DateTimeParser::new().parse_timestamp(value).ok()?;
    let at = i64::try_from(date.as_nanosecond()).ok()?;
    let wait = at.checked_sub(call.ended_ns()?)? - DATE_GRAIN_NS;
    (wait > 0).then_some(wait)
}
