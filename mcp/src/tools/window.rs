//! `snapshot`: which stretch of time a tool looks at.

use std::time::Duration;

use super::ToolError;
use crate::clock::{now_ns, parse_duration};
use crate::coverage::Window;
use crate::params::quoted;

/// What is looked at if nothing is said.
pub const DEFAULT: &str = "live:15m";

/// Reads `live:15m`: from so long ago until now.
///
/// # Errors
///
/// It is something else.
pub fn read(snapshot: Option<&str>) -> Result<Window, ToolError> {
    let text = snapshot.unwrap_or(DEFAULT);
    let ago = text.strip_prefix("live:").and_then(parse_duration);
    let ago = ago.filter(|ago| *ago > Duration::ZERO);
    let Some(ago) = ago.and_then(|ago| i64::try_from(ago.as_nanos()).ok()) else {
        return Err(ToolError::new(format!(
            "snapshot is {}; it takes a window that ends now, such as live:15m, live:90s or live:2h. \
             This hub keeps no named snapshots.",
            quoted(text)
        )));
    };
    Ok(Window {
        since_ns: now_ns().checked_sub(ago),
        until_ns: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_refused_with_the_form_that_is_taken() {
        let error = read(Some("snp_ABCD")).unwrap_err();
        assert!(error.0.contains("live:15m"), "{error:?}");
    }

    #[test]
    fn nothing_said_means_the_last_quarter_of_an_hour() {
        let window = read(None).unwrap();
        let ago = Duration::from_nanos(now_ns().abs_diff(window.since_ns.unwrap()));
        assert!(ago >= Duration::from_secs(15 * 60) && ago < Duration::from_secs(16 * 60));
    }
}
