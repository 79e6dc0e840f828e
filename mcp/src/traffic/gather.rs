//! Reads the calls that checks look at from the store: pages of bounded length, up to a number of calls.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use remora_store::call::CallId;
use remora_store::filter::Filter;
use remora_store::query::{Order, Page, Query};
use tokio::task::spawn_blocking;

use super::{Seen, Traffic};
use crate::api::query::{TIME_BUDGET, ask};
use crate::app::App;
use crate::clock::rfc3339;
use crate::error::ApiError;
use crate::metrics::Asked;
use crate::snapshot::sight::Sight;

/// Most records that checks look at: some hundred megabytes of heads.
pub const MOST_RECORDS: usize = 100_000;
/// Records that are read from the store at a time.
const PAGE: usize = 1_000;
/// The same with their bodies: some sixteen megabytes.
const PAGE_WITH_BODIES: usize = 250;
/// How long reading them may take.
const PATIENCE: Duration = Duration::from_secs(20);

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
    let query = query(sight, Filter::default(), bodies);
    let cut = read(app, sight, query, |page| {
        legs.extend(page.calls.into_iter().map(Seen::new));
        legs.len() < MOST_RECORDS
    })
    .await?;
    let oldest_ns = legs.last().map_or(0, |it| it.found.call.time_ns);
    let traffic = spawn_blocking(move || Traffic::new(legs)).await;
    Ok(Gathered {
        traffic: traffic
            .map_err(|_| ApiError::unavailable("failed", "the calls could not be joined", 1))?,
        cut: cut.then(|| {
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
}

/// Asks the store which records of a sight a filter lets through.
///
/// # Errors
///
/// As for [`gather`]; or the filter takes more work than is allowed.
pub async fn pick(app: &App, sight: &Sight, filter: Filter) -> Result<Picked, ApiError> {
    let mut picked = Picked::default();
    read(app, sight, query(sight, filter, false), |page| {
        picked.undecided += page.undecided;
        picked.ids.extend(page.calls.iter().map(|found| found.id));
        picked.ids.len() < MOST_RECORDS
    })
    .await?;
    Ok(picked)
}

fn query(sight: &Sight, filter: Filter, bodies: bool) -> Query {
    Query {
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
    }
}

/// Shows one page after the other, the newest calls first, until `more` has enough of them; says
/// whether there were more.
async fn read(
    app: &App,
    sight: &Sight,
    mut query: Query,
    mut more: impl FnMut(Page) -> bool,
) -> Result<bool, ApiError> {
    let began = Instant::now();
    loop {
        let mut page = ask(app, Asked::List, app.store.list(&sight.scope, &query)).await?;
        let next = page.next.take();
        let wants_more = more(page);
        match next {
            None => return Ok(false),
            Some(_) if !wants_more || began.elapsed() > PATIENCE => return Ok(true),
            cursor => query.cursor = cursor,
        }
    }
}
