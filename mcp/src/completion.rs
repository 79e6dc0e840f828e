//! Completion: what an argument of a prompt or a resource may be, of what the caller may see.
//!
//! Only names and routes of plain characters are offered: what is recorded was chosen by whoever
//! could send a request.

use std::collections::BTreeSet;
use std::time::Duration;

use remora_store::filter::Filter;
use remora_store::query::{GroupKey, SummaryQuery};
use remora_store::store::Scope;

use crate::api::query::ask;
use crate::app::App;
use crate::clock::now_ns;
use crate::error::ApiError;
use crate::metrics::Asked;
use crate::prompts;
use crate::resources;
use crate::snapshot;
use crate::tools::text;

/// Most values in an answer (MCP, completion).
pub const VALUES: usize = 100;
/// How far back names and routes are looked for.
const WINDOW: Duration = Duration::from_secs(24 * 60 * 60);
/// How long the store may look: somebody is typing.
const TIME_BUDGET: Duration = Duration::from_millis(500);
/// Most groups that names and routes are taken from.
const GROUPS: usize = 1_000;
/// Longest beginning that is compared.
const PREFIX_BYTES: usize = 200;

/// What an argument may be.
#[derive(Debug, PartialEq, Eq)]
pub struct Values {
    /// Those that begin as what was typed, then those that have it elsewhere, at most [`VALUES`].
    pub values: Vec<String>,
    /// How many there are in all.
    pub total: usize,
}

/// Whose argument it is.
#[derive(Debug, Clone, Copy)]
pub enum Of<'a> {
    /// That of the prompt of this name.
    Prompt(&'a str),
    /// That of the resource template of this URI.
    Template(&'a str),
}

/// What the argument may be; nothing for one that only a person knows. `None` if there is no such
/// prompt or template, or it has no such argument.
///
/// # Errors
///
/// The store failed.
pub async fn complete(
    app: &App,
    scope: &Scope,
    of: Of<'_>,
    argument: &str,
    typed: &str,
) -> Result<Option<Values>, ApiError> {
    let exists = match of {
        Of::Prompt(name) => prompts::find(name)
            .is_some_and(|prompt| prompt.arguments.iter().any(|known| known.name == argument)),
        Of::Template(uri) => resources::TEMPLATES
            .iter()
            .any(|listed| listed.uri == uri && uri.contains(&format!("{{{argument}}}"))),
    };
    if !exists {
        return Ok(None);
    }
    let all = match (of, argument) {
        (_, "workload" | "service" | "src" | "dst") => parties(app, scope).await?,
        (_, "namespace") => namespaces(app, scope).await?,
        (_, "route") => routes(app, scope).await?,
        (Of::Template(resources::SNAPSHOT), "id") => snapshots(app, scope).await?,
        (_, "direction") => BTreeSet::from(["request".to_owned(), "response".to_owned()]),
        _ => BTreeSet::new(),
    };
    Ok(Some(matching(all, typed)))
}

/// Workloads that are recorded, and whoever they speak to under a name.
async fn parties(app: &App, scope: &Scope) -> Result<BTreeSet<String>, ApiError> {
    let recorders = app.store.recorders(scope).await?;
    let mut names: BTreeSet<String> = recorders
        .iter()
        .filter_map(|recorder| text::name(&recorder.origin.workload))
        .map(str::to_owned)
        .collect();
    for group in groups(app, scope, GroupKey::Edge).await? {
        for end in [group.src, group.dst].into_iter().flatten() {
            // What has no name is shown by its address, which nobody wants to be offered.
            let is_address = end.parse::<std::net::IpAddr>().is_ok() || end.contains(':');
            if !is_address && text::name(&end).is_some() {
                names.insert(end);
            }
        }
    }
    Ok(names)
}

async fn namespaces(app: &App, scope: &Scope) -> Result<BTreeSet<String>, ApiError> {
    let recorders = app.store.recorders(scope).await?;
    let names = recorders
        .iter()
        .filter_map(|recorder| text::name(&recorder.origin.namespace));
    Ok(names.map(str::to_owned).collect())
}

async fn snapshots(app: &App, scope: &Scope) -> Result<BTreeSet<String>, ApiError> {
    let snapshots = snapshot::list(app, scope).await?;
    Ok(snapshots.iter().map(|it| it.id.to_string()).collect())
}

async fn routes(app: &App, scope: &Scope) -> Result<BTreeSet<String>, ApiError> {
    let groups = groups(app, scope, GroupKey::Route).await?;
    let routes = groups.into_iter().filter_map(|group| group.route);
    Ok(routes
        .filter(|route| route.starts_with('/') && text::route(route) == *route)
        .collect())
}

async fn groups(
    app: &App,
    scope: &Scope,
    key: GroupKey,
) -> Result<Vec<remora_store::query::Group>, ApiError> {
    let window = i64::try_from(WINDOW.as_nanos()).unwrap_or(i64::MAX);
    let query = SummaryQuery {
        filter: Filter::default(),
        since_ns: now_ns().checked_sub(window),
        until_ns: None,
        group_by: vec![key],
        probes: false,
        limit: GROUPS,
        view: Default::default(),
        time_budget: TIME_BUDGET,
    };
    let summary = ask(app, Asked::Summary, app.store.summarize(scope, &query)).await?;
    Ok(summary.groups)
}

/// Those that begin as what was typed come first; letters are compared in any case (pure).
fn matching(all: BTreeSet<String>, typed: &str) -> Values {
    let typed = typed
        .get(..typed.floor_char_boundary(PREFIX_BYTES))
        .unwrap_or_default()
        .to_ascii_lowercase();
    let (mut values, elsewhere): (Vec<String>, Vec<String>) = all
        .into_iter()
        .filter(|value| value.to_ascii_lowercase().contains(&typed))
        .partition(|value| value.to_ascii_lowercase().starts_with(&typed));
    values.extend(elsewhere);
    let total = values.len();
    values.truncate(VALUES);
    Values { values, total }
}

#[cfg(test)]
mod tests;
