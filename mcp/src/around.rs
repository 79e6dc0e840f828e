//! The legs around a moment, read from the store: a stretch of time before it and one after it, each up to so many.

use remora_store::filter::Filter;
use remora_store::query::{FoundCall, Order, Query};
use remora_store::snapshot::View;
use remora_store::store::Scope;

use crate::api::query::{TIME_BUDGET, ask};
use crate::app::App;
use crate::error::ApiError;
use crate::metrics::Asked;

/// Legs that are read from the store at a time.
const PAGE: usize = 1_000;

/// What is read.
#[derive(Debug, Clone)]
pub(crate) struct Stretch {
    /// The moment: nanoseconds since the Unix epoch.
    pub(crate) at_ns: i64,
    /// How long before it.
    pub(crate) before_ns: i64,
    /// How long after it.
    pub(crate) after_ns: i64,
    /// Most legs before it: those that are nearest.
    pub(crate) most_before: usize,
    /// Most legs after it: those that are nearest.
    pub(crate) most_after: usize,
    /// Which legs.
    pub(crate) filter: Filter,
    /// Which part of what the caller sees.
    pub(crate) view: View,
}

/// What was read.
#[derive(Debug, Default)]
pub(crate) struct Around {
    /// The legs, without bodies, in no order.
    pub(crate) calls: Vec<FoundCall>,
    /// There were more on either side than were asked for, or there was no time for them.
    pub(crate) is_cut: bool,
}

/// Reads what a caller of this scope sees around a moment; health checks are part of it.
///
/// # Errors
///
/// The store failed, or the turn of a question did not come in time.
pub(crate) async fn read(app: &App, scope: &Scope, stretch: &Stretch) -> Result<Around, ApiError> {
    let mut around = Around::default();
    let query = |order| Query {
        filter: stretch.filter.clone(),
        since_ns: None,
        until_ns: None,
        order,
        limit: PAGE,
        cursor: None,
        probes: true,
        view: stretch.view.clone(),
        bodies: false,
        time_budget: TIME_BUDGET,
    };
    let before = Query {
        since_ns: Some(stretch.at_ns.saturating_sub(stretch.before_ns)),
        until_ns: Some(stretch.at_ns),
        ..query(Order::Newest)
    };
    let after = Query {
        since_ns: Some(stretch.at_ns),
        until_ns: Some(stretch.at_ns.saturating_add(stretch.after_ns)),
        ..query(Order::Oldest)
    };
    for (query, most) in [(before, stretch.most_before), (after, stretch.most_after)] {
        around.is_cut |= pages(app, scope, query, most, &mut around.calls).await?;
    }
    Ok(around)
}

/// Reads up to so many; whether there are more.
async fn pages(
    app: &App,
    scope: &Scope,
    mut query: Query,
    most: usize,
    calls: &mut Vec<FoundCall>,
) -> Result<bool, ApiError> {
    let mut left = most;
    while left > 0 {
        query.limit = left.min(PAGE);
        let page = ask(app, Asked::List, app.store.list(scope, &query)).await?;
        left = left.saturating_sub(page.calls.len());
        calls.extend(page.calls);
        if page.scanned_until_ns.is_some() {
            return Ok(true);
        }
        match page.next {
            Some(next) => query.cursor = Some(next),
            None => return Ok(false),
        }
    }
    Ok(true)
}
