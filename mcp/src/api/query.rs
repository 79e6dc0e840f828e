//! What several questions have in common: their parameters, the cursor, and their turn.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use remora_store::filter::Filter;
use remora_store::query::{BadCursor, Cursor};
use remora_store::store::{Scope, StoreError};
use tokio::sync::OwnedSemaphorePermit;
use utoipa::IntoParams;

use crate::app::App;
use crate::coverage::Window;
use crate::error::ApiError;
use crate::metrics::Asked;
use crate::params::Params;
use crate::snapshot::sight::Sight;

/// How long the store may look for one answer.
pub const TIME_BUDGET: Duration = Duration::from_secs(10);
/// How long a question waits for its turn.
const PATIENCE: Duration = Duration::from_secs(10);
/// The same of one that is long by nature.
const LONG_PATIENCE: Duration = Duration::from_secs(30);

/// Which calls a question is about, beside its filter.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct About {
    /// Only what this snapshot holds: its id, or live:15m for a window that ends now
    pub snapshot: Option<String>,
    /// Only calls that began then or later: RFC 3339, or a duration before now such as 15m
    pub since: Option<String>,
    /// Only calls that began before then
    pub until: Option<String>,
    /// include or exclude (default) kubelet's health checks
    pub probes: Option<String>,
}

/// Reads `filter`.
///
/// # Errors
///
/// It is not a filter; the error says where, and names what is nearest.
pub fn filter(params: &Params) -> Result<Filter, ApiError> {
    match params.text("filter") {
        None => Ok(Filter::default()),
        Some(text) => Filter::parse(text).map_err(ApiError::bad_filter),
    }
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

/// Reads `snapshot`, `since` and `until`: what the question looks at.
///
/// # Errors
///
/// One of them cannot be read, or there is no such snapshot.
pub async fn sight(app: &App, caller: &Scope, params: &Params) -> Result<Sight, ApiError> {
    let window = window(params)?;
    match params.text("snapshot") {
        None => Ok(Sight::of_window(caller, window)),
        Some(snapshot) => Ok(Sight::read(app, caller, snapshot).await?.within(window)),
    }
}

/// Reads `probes`.
///
/// # Errors
///
/// It is neither of its words.
pub fn probes(params: &Params) -> Result<bool, ApiError> {
    params.word("probes", &[("include", true), ("exclude", false)], false)
}

/// Reads a cursor that an answer gave.
///
/// # Errors
///
/// This hub never wrote it.
pub fn read_cursor(text: &str) -> Result<Cursor, ApiError> {
    text.parse().map_err(|error: BadCursor| {
        ApiError::bad_request("bad_cursor", error.to_string())
            .field("cursor")
            .hint("give the `next` of an answer; without cursor you begin at the first page")
    })
}

/// Waits for the turn of a question that holds all its calls until they are judged; the turn lasts as long as
/// what is given.
///
/// # Errors
///
/// It did not come in time.
pub async fn judging(app: &App) -> Result<OwnedSemaphorePermit, ApiError> {
    let turn = Arc::clone(&app.judging).acquire_owned();
    match tokio::time::timeout(LONG_PATIENCE, turn).await {
        Ok(Ok(turn)) => Ok(turn),
        _ => Err(ApiError::unavailable(
            "busy",
            "others have their calls judged; ask again",
            5,
        )),
    }
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
