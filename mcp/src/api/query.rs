//! What several questions have in common: their parameters, the cursor's text, and their turn.

use std::future::Future;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use remora_store::filter::Filter;
use remora_store::query::Cursor;
use remora_store::store::StoreError;

use crate::app::App;
use crate::coverage::Window;
use crate::error::ApiError;
use crate::metrics::Asked;
use crate::params::{Params, quoted};

/// How long the store may look for one answer.
pub const TIME_BUDGET: Duration = Duration::from_secs(10);
/// How long a question waits for its turn.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest cursor that is read.
const CURSOR_CHARS: usize = 128;

/// Reads `filter`.
///
/// # Errors
///
/// It is not a filter; the error says where, and names what is nearest.
pub fn filter(params: &Params) -> Result<Filter, ApiError> {
    Filter::parse(params.text("filter").unwrap_or_default()).map_err(ApiError::bad_filter)
}

/// Reads `since` and `until`.
///
/// # Errors
///
/// They are not times, or `until` is not after `since`.
pub fn window(params: &Params) -> Result<Window, ApiError> {
    let window = Window {
        since_ns: params.time("since")?,
        until_ns: params.time("until")?,
    };
    if let (Some(since), Some(until)) = (window.since_ns, window.until_ns)
        && until <= since
    {
        return Err(
            ApiError::bad_request("bad_parameter", "until is not after since").field("until"),
        );
    }
    Ok(window)
}

/// Reads `probes`.
///
/// # Errors
///
/// It is neither of its words.
pub fn probes(params: &Params) -> Result<bool, ApiError> {
    params.word("probes", &[("include", true), ("exclude", false)], false)
}

/// Writes a cursor as callers see it. What is in it is nobody's business.
pub fn write_cursor(cursor: &Cursor) -> String {
    URL_SAFE_NO_PAD.encode(format!("1 {} {}", cursor.time_ns, cursor.id))
}

/// Reads a cursor back.
///
/// # Errors
///
/// This hub never wrote it.
pub fn read_cursor(text: &str) -> Result<Cursor, ApiError> {
    let read = || {
        if text.len() > CURSOR_CHARS {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let mut words = std::str::from_utf8(&bytes).ok()?.split(' ');
        let (version, time, id) = (words.next()?, words.next()?, words.next()?);
        (version == "1" && words.next().is_none()).then_some(())?;
        Some(Cursor {
            time_ns: time.parse().ok()?,
            id: id.parse().ok()?,
        })
    };
    read().ok_or_else(|| {
        ApiError::bad_request(
            "bad_cursor",
            format!(
                "the cursor is {}; it takes the `next` of an answer",
                quoted(text)
            ),
        )
        .field("cursor")
        .hint("ask again without cursor to begin at the first page")
    })
}

/// Asks the store when it is this question's turn, and counts the time it took.
///
/// # Errors
///
/// The store failed, or the turn did not come in time.
pub async fn ask<T>(
    app: &App,
    what: Asked,
    answer: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, ApiError> {
    let turn = tokio::time::timeout(PATIENCE, app.query_turns.acquire()).await;
    let Ok(Ok(_turn)) = turn else {
        return Err(ApiError::unavailable(
            "busy",
            "too many questions are being answered; ask again",
            2,
        ));
    };
    let began = Instant::now();
    let answer = answer.await;
    app.metrics.asked(what, began.elapsed());
    Ok(answer?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_as_it_was_written() {
        let cursor = Cursor {
            time_ns: -5,
            id: "c12-7".parse().unwrap(),
        };
        assert_eq!(read_cursor(&write_cursor(&cursor)).unwrap(), cursor);
    }

    #[test]
    fn what_this_hub_never_wrote_is_refused() {
        for text in ["", "x", "MSA1", &"A".repeat(1_000_000), "🦀"] {
            assert_eq!(read_cursor(text).unwrap_err().code(), "bad_cursor");
        }
    }
}
