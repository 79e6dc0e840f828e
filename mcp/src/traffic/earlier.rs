//! Connections from before a stretch of time that were open in it, and over which passed what nobody read: they
//! are recorded by when they began, so that who reads the stretch alone does not find them.

use remora_store::call::{Protocol, State};
use remora_store::filter::Filter;

use super::Observed;
use super::budget::Budget;
use super::gather::{PATIENCE, Pages};
use crate::app::App;
use crate::coverage::Window;
use crate::error::ApiError;
use crate::snapshot::sight::Sight;

/// The filter of them.
pub const UNREAD: &str = "tls || opaque";

/// Most pages of records that are looked through for them, the newest first.
const PAGES: usize = 10;

/// What was found.
#[derive(Debug, Default)]
pub struct Earlier {
    /// The connections.
    pub unread: Vec<Observed>,
    /// Whether there were older ones that were not looked at.
    pub is_cut: bool,
}

/// Finds them, for as long as a budget lasts.
///
/// # Errors
///
/// The store failed.
pub async fn unread_before(app: &App, sight: &Sight, budget: Budget) -> Result<Earlier, ApiError> {
    let mut earlier = Earlier::default();
    let Some(since_ns) = sight.window.since_ns else {
        return Ok(earlier);
    };
    let mut before = sight.clone();
    before.window = Window {
        since_ns: None,
        until_ns: Some(since_ns),
    };
    let filter = Filter::parse(UNREAD).map_err(ApiError::bad_filter)?;
    let budget = budget.part(PATIENCE);
    let mut pages = Pages::new(app, &before, filter, false, budget);
    for _ in 0..PAGES {
        let Some(page) = pages.next().await? else {
            break;
        };
        let connections = page.calls.into_iter();
        let connections = connections.map(|found| Observed::new(found, Vec::new()));
        earlier.unread.extend(
            connections
                .filter(|it| is_unread(it) && it.ended_ns().is_none_or(|ended| ended >= since_ns)),
        );
    }
    earlier.is_cut = pages.has_more();
    Ok(earlier)
}

/// Whether it is a connection over which passed what nobody read.
pub fn is_unread(leg: &Observed) -> bool {
    let call = &leg.found.call;
    let is_unread = matches!(call.protocol, Protocol::Tls | Protocol::Opaque);
    is_unread && (call.request.body_size > 0 || call.state == State::Open)
}
