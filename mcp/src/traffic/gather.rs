//! Reads the calls that checks look at from the store: pages of bounded length, up to a number of calls and
//! of bytes.

use std::collections::HashSet;
use std::time::Duration;

use remora_store::call::CallId;
use remora_store::filter::Filter;
use remora_store::query::{Order, Page, Query};
use tokio::task::spawn_blocking;

use super::budget::Budget;
use super::{Seen, Traffic};
use crate::api::query::{TIME_BUDGET, ask};
use crate::app::App;
use crate::clock::rfc3339;
use crate::error::ApiError;
use crate::metrics::Asked;
use crate::snapshot::sight::Sight;

/// Most records that checks look at.
pub const MOST_RECORDS: usize = 100_000;
/// Most bytes of heads that they look at.
const MOST_BYTES: usize = /* 256 MiB */ 256 * 1024 * 1024;
/// Records that are read from the store at a time.
const PAGE: usize = 1_000;
/// The same with their bodies: some sixteen megabytes.
const PAGE_WITH_BODIES: usize = 250;
/// How long reading them may take, once for each filter.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// What was read.
#[derive(Debug)]
pub struct Gathered {
    /// The calls.
    pub traffic: Traffic,
    /// Why some were left out; `None` where none was.
    pub cut: Option<String>,
}

/// Reads every call of a sight, the newest where there are too many; with what their `bodies` say, where a
/// check asks for it.
///
/// # Errors
///
/// The store failed, or the turn of this question did not come in time.
pub async fn gather(app: &App, sight: &Sight, bodies: bool) -> Result<Gathered, ApiError> {
    let mut legs: Vec<Seen> = Vec::new();
    let mut bytes = 0;
    let budget = Budget::of(PATIENCE);
    let mut pages = Pages::new(app, sight, Filter::default(), bodies, budget);
    while let Some(page) = pages.next().await? {
        // Looking for secrets in bodies takes longer than other callers should wait for.
        let seen = || page.calls.into_iter().map(Seen::new).collect::<Vec<_>>();
        let seen = aside(seen).await?;
        bytes += seen.iter().map(Seen::bytes).sum::<usize>();
        legs.extend(seen);
        if legs.len() >= MOST_RECORDS || bytes >= MOST_BYTES {
            break;
        }
    }
    let oldest_ns = legs.last().map_or(0, |it| it.found.call.time_ns);
    Ok(Gathered {
        traffic: aside(move || Traffic::new(legs)).await?,
        cut: pages.has_more().then(|| {
            format!(
                "only calls since {} were looked at: there are too many, ask about a shorter time",
                rfc3339(oldest_ns)
            )
        }),
    })
}

/// The records of a sight that a filter lets through.
#[derive(Debug, Default)]
pub struct Picked {
    /// Their ids.
    pub ids: HashSet<CallId>,
    /// How many were left out, since the filter asks for what was not kept of them.
    pub undecided: u64,
    /// Whether there was no time to ask about all of them.
    pub is_cut: bool,
    /// Whether there was no time to ask about any.
    pub is_unasked: bool,
}

/// Asks the store which records of a sight a filter lets through, for as long as a budget lasts.
///
/// # Errors
///
/// As for [`gather`]; or the filter takes more work than is allowed.
pub async fn pick(
    app: &App,
    sight: &Sight,
    filter: Filter,
    budget: Budget,
) -> Result<Picked, ApiError> {
    let mut picked = Picked::default();
    if budget.is_spent() {
        picked.is_unasked = true;
        return Ok(picked);
    }
    let budget = budget.part(PATIENCE);
    let mut pages = Pages::new(app, sight, filter, false, budget);
    while let Some(page) = pages.next().await? {
        picked.undecided += page.undecided;
        picked.ids.extend(page.calls.iter().map(|found| found.id));
        if picked.ids.len() >= MOST_RECORDS {
            break;
        }
    }
    picked.is_cut = pages.has_more();
    Ok(picked)
}

/// Does work away from the thread on which all questions are answered.
///
/// # Errors
///
/// It panicked.
pub async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiError> {
    let done = spawn_blocking(work).await;
    done.map_err(|error| {
        tracing::error!(%error, "judging calls failed");
        ApiError::unavailable(
            "failed",
            "the calls could not be judged; the hub's log says how",
            10,
        )
    })
}

/// Pages of calls, the newest first, for as long as reading them may take.
pub(super) struct Pages<'a> {
    app: &'a App,
    sight: &'a Sight,
    query: Query,
    budget: Budget,
    has_begun: bool,
}

impl<'a> Pages<'a> {
    pub(super) fn new(
        app: &'a App,
        sight: &'a Sight,
        filter: Filter,
        bodies: bool,
        budget: Budget,
    ) -> Self {
        let query = Query {
            filter,
            since_ns: sight.window.since_ns,
            until_ns: sight.window.until_ns,
            order: Order::Newest,
            limit: match bodies {
                true => PAGE_WITH_BODIES,
                false => PAGE,
            },
            cursor: None,
            probes: false,
            view: sight.view.clone(),
            bodies,
            time_budget: TIME_BUDGET,
        };
        Self {
            app,
            sight,
            query,
            budget,
            has_begun: false,
        }
    }

    /// The next page; `None` where there is none, or no time for it.
    pub(super) async fn next(&mut self) -> Result<Option<Page>, ApiError> {
        let left = self.budget.left();
        if self.has_begun && (left.is_zero() || !self.has_more()) {
            return Ok(None);
        }
        self.has_begun = true;
        self.query.time_budget = TIME_BUDGET.min(left);
        let listed = self.app.store.list(&self.sight.scope, &self.query);
        let mut page = ask(self.app, Asked::List, listed).await?;
        self.query.cursor = page.next.take();
        Ok(Some(page))
    }

    /// Whether there is a page behind the last one.
    pub(super) fn has_more(&self) -> bool {
        self.query.cursor.is_some()
    }
}
