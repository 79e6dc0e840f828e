//! Snapshots as callers ask for them: made, found, listed and deleted, over HTTP and over MCP alike.
//!
//! What is said here is in JSON; what a model reads beside it, [`crate::tools`] writes. Waiting for a
//! window to settle is [`barrier`]'s business, and what a snapshot is the store's.

pub mod barrier;
pub mod sight;
pub mod under_way;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use axum::http::StatusCode;
use remora_store::filter::nearest;
use remora_store::snapshot::{NewSnapshot, Snapshot, SnapshotId};
use remora_store::store::{Namespaces, Recorder, Scope};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::clock::{now_ns, parse_duration, parse_time, rfc3339};
use crate::control::SidecarState;
use crate::error::ApiError;
use crate::params::quoted;
use crate::tools::text;

/// How long a snapshot lives if nothing is said.
const DEFAULT_TTL: Duration = Duration::from_secs(24 * 60 * 60);
/// Longest life of a snapshot: 30 days.
const LONGEST_TTL: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Most namespaces, and most workloads, that one may name.
const NAMES: usize = 50;
/// Longest name of a snapshot, in characters.
const NAME_CHARS: usize = 100;
/// Most workloads that are listed of one.
const LISTED_WORKLOADS: usize = 50;

/// What a new snapshot is to hold.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StartRequest {
    /// What to call it, for people; up to 100 characters
    pub name: Option<String>,
    /// Only what is recorded in these, at most 50; default all that the caller may see
    pub namespaces: Option<Vec<String>>,
    /// Only what is recorded beside these, at most 50; default all
    pub workloads: Option<Vec<String>>,
    /// now (default), a time back such as -5m, or RFC 3339
    pub since: Option<String>,
    /// How long it is kept, such as 24h (default); from 1s to 30d
    pub ttl: Option<String>,
}

/// A named window over recorded calls.
#[derive(Debug, Clone, Serialize, JsonSchema, ToSchema)]
#[schema(as = Snapshot)]
pub struct SnapshotJson {
    /// Name it as `snapshot` in questions.
    pub id: String,
    /// What its maker called it.
    pub name: String,
    /// `open` while it grows, then `sealed`.
    pub state: &'static str,
    /// Only what was recorded in these; left out for all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<Vec<String>>,
    /// Only what was recorded beside these; left out for all of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub only_workloads: Vec<String>,
    /// Its first moment.
    pub since: String,
    /// Its end, which is not part of it; left out while it grows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// When it was made.
    pub created: String,
    /// When it goes.
    pub expires: String,
    /// Whether its calls are kept until then.
    pub pinned: bool,
    /// Why they are not, where they are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unpinned_because: Option<String>,
    /// Who recorded something in it, or would now.
    pub workloads: Vec<SnapshotWorkload>,
    /// How many more there are than are listed.
    #[serde(skip_serializing_if = "is_zero")]
    pub workloads_omitted: u64,
}

/// A version of a workload in a snapshot.
#[derive(Debug, Clone, Serialize, JsonSchema, ToSchema)]
pub struct SnapshotWorkload {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub workload: String,
    /// Its revision, as its sidecars told; left out where they did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Its image; left out where nobody told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Runs of sidecars that recorded something of it in the snapshot.
    pub sidecars: u64,
}

/// Makes a snapshot.
///
/// # Errors
///
/// A field has a value that it does not take, or there are too many snapshots.
pub async fn start(app: &App, caller: &Scope, request: StartRequest) -> Result<Snapshot, ApiError> {
    let now_ns = now_ns();
    let ttl = ttl(request.ttl.as_deref())?;
    let wanted = NewSnapshot {
        name: name(request.name)?,
        namespaces: namespaces(caller, request.namespaces)?,
        workloads: names("workloads", request.workloads)?,
        since_ns: since(request.since.as_deref(), now_ns)?,
        expires_ns: now_ns.saturating_add(i64::try_from(ttl.as_nanos()).unwrap_or(i64::MAX)),
    };
    let made = app.store.create_snapshot(wanted).await?;
    tracing::info!(snapshot = %made.id, "snapshot made");
    Ok(made)
}

/// Finds a snapshot that the caller may look at.
///
/// # Errors
///
/// There is none of that id, or none that the caller sees.
pub async fn find(app: &App, caller: &Scope, id: &str) -> Result<Snapshot, ApiError> {
    let mut seen = list(app, caller).await?;
    if let Some(place) = seen.iter().position(|it| it.id.as_str() == id) {
        return Ok(seen.swap_remove(place));
    }
    let error = ApiError::not_found(
        "unknown_snapshot",
        format!(
            "there is no snapshot {}: it was deleted, has expired, or never was",
            quoted(id)
        ),
    )
    .field("snapshot");
    let named = seen.iter().rev().find(|it| it.name == id);
    let near = || nearest(id, seen.iter().map(|it| it.id.as_str()));
    Err(match named.map(|it| it.id.as_str()).or_else(near) {
        Some(near) => error.hint(format!("did you mean {near}?")),
        None if seen.is_empty() => error.hint("there are none; make one, or ask about live:15m"),
        None => error.hint("list the snapshots, or make one"),
    })
}

/// The snapshots that the caller may look at, the oldest first.
///
/// # Errors
///
/// The store failed.
pub async fn list(app: &App, caller: &Scope) -> Result<Vec<Snapshot>, ApiError> {
    let mut all = app.store.snapshots().await?;
    all.retain(|it| caller.calls().and(&it.namespaces) != Namespaces::Only(BTreeSet::new()));
    Ok(all)
}

/// Deletes a snapshot, and lets go what it pinned.
///
/// # Errors
///
/// There is none, or the caller does not see all of it.
pub async fn delete(app: &App, caller: &Scope, id: &str) -> Result<Snapshot, ApiError> {
    let snapshot = find(app, caller, id).await?;
    check_whole(caller, &snapshot)?;
    app.store.delete_snapshot(&snapshot.id).await?;
    tracing::info!(snapshot = %snapshot.id, "snapshot deleted");
    Ok(snapshot)
}

/// Whoever changes a snapshot must see all that is in it.
fn check_whole(caller: &Scope, snapshot: &Snapshot) -> Result<(), ApiError> {
    if caller.calls().and(&snapshot.namespaces) == snapshot.namespaces {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::FORBIDDEN,
        "not_yours",
        "the snapshot holds namespaces that you may not see, so that you cannot change it",
    )
    .field("snapshot")
    .hint("make one of your own namespaces"))
}

impl SnapshotJson {
    /// A snapshot as a caller sees it.
    ///
    /// # Errors
    ///
    /// The store failed.
    pub async fn of(app: &App, caller: &Scope, snapshot: &Snapshot) -> Result<Self, ApiError> {
        let scope = caller.within(&snapshot.namespaces);
        let (workloads, omitted) = workloads(app, &scope, snapshot).await?;
        let namespaces = match scope.calls() {
            Namespaces::All => None,
            Namespaces::Only(names) => Some(names.iter().map(|name| shown(name)).collect()),
        };
        Ok(Self {
            id: snapshot.id.to_string(),
            name: text::clean(&snapshot.name),
            state: if snapshot.seal.is_some() {
                "sealed"
            } else {
                "open"
            },
            namespaces,
            only_workloads: snapshot.workloads.iter().map(|name| shown(name)).collect(),
            since: rfc3339(snapshot.since_ns),
            until: snapshot.until_ns().map(rfc3339),
            created: rfc3339(snapshot.created_ns),
            expires: rfc3339(snapshot.expires_ns),
            pinned: snapshot.unpinned_ns.is_none(),
            unpinned_because: snapshot.unpinned_ns.map(|at_ns| {
                format!(
                    "at {} snapshots pinned more than half of the hub's space, and this one most",
                    rfc3339(at_ns)
                )
            }),
            workloads,
            workloads_omitted: omitted,
        })
    }
}

/// Who recorded something in a snapshot, and while it grows also who would now; and how many more.
async fn workloads(
    app: &App,
    scope: &Scope,
    snapshot: &Snapshot,
) -> Result<(Vec<SnapshotWorkload>, u64), ApiError> {
    let members = app.store.members(scope, snapshot).await?;
    let mut found: BTreeMap<(String, String, String), u64> = members
        .into_iter()
        .map(|it| ((it.namespace, it.workload, it.revision), it.sidecars))
        .collect();
    if snapshot.seal.is_none() {
        let recorders = app.store.recorders(scope).await?;
        for sidecar in live_in(app, scope, snapshot) {
            let name = sidecar.name;
            let of_run = |it: &&Recorder| it.origin.incarnation == sidecar.incarnation;
            let recorder = recorders.iter().find(of_run);
            let revision = recorder.map(|it| it.origin.revision.clone());
            let key = (name.namespace, name.workload, revision.unwrap_or_default());
            found.entry(key).or_insert(0);
        }
    }
    let omitted = snapshot
        .seal
        .as_ref()
        .map_or(0, |seal| seal.members_omitted)
        + found.len().saturating_sub(LISTED_WORKLOADS) as u64;
    let listed = found.into_iter().take(LISTED_WORKLOADS);
    let listed = listed.map(
        |((namespace, workload, revision), sidecars)| SnapshotWorkload {
            namespace: shown(&namespace),
            workload: shown(&workload),
            revision: (!revision.is_empty()).then(|| shown(&revision)),
            image: None,
            sidecars,
        },
    );
    Ok((listed.collect(), omitted))
}

/// The sidecars that were heard of lately and record something for a snapshot.
fn live_in<'a>(
    app: &App,
    scope: &'a Scope,
    snapshot: &'a Snapshot,
) -> impl Iterator<Item = SidecarState> + 'a {
    let view = snapshot.view();
    let sidecars = app.control.sidecars().into_iter();
    sidecars.filter(move |sidecar| {
        sidecar.live && scope.sees(&sidecar.name.namespace) && view.sees(&sidecar.name.workload)
    })
}

/// A name that sidecars or callers made up, as it may be shown.
fn shown(name: &str) -> String {
    text::name(name).unwrap_or("(odd name)").to_owned()
}

fn bad(field: &'static str, message: String) -> ApiError {
    ApiError::bad_request("bad_parameter", message).field(field)
}

fn name(given: Option<String>) -> Result<String, ApiError> {
    let name = given.unwrap_or_default();
    if name.chars().count() > NAME_CHARS
        || text::clean(&name) != name
        || name.contains(['\n', '\t'])
    {
        return Err(bad(
            "name",
            format!(
                "name is {}; it takes up to {NAME_CHARS} printable characters",
                quoted(&name)
            ),
        ));
    }
    Ok(name)
}

fn names(field: &'static str, given: Option<Vec<String>>) -> Result<BTreeSet<String>, ApiError> {
    let given = given.unwrap_or_default();
    if given.len() > NAMES {
        let message = format!("{field} has {} names; it takes {NAMES}", given.len());
        return Err(bad(field, message));
    }
    if let Some(odd) = given.iter().find(|name| text::name(name).is_none()) {
        let message = format!("{field} holds {}, which is no name", quoted(odd));
        return Err(bad(field, message).hint("names are made of letters, digits, '-', '_' and '.'"));
    }
    Ok(given.into_iter().collect())
}

fn namespaces(caller: &Scope, given: Option<Vec<String>>) -> Result<Namespaces, ApiError> {
    let names = names("namespaces", given)?;
    if let Some(hidden) = names.iter().find(|name| !caller.sees(name)) {
        let message = format!("you may not see namespace {}", quoted(hidden));
        return Err(ApiError::new(StatusCode::FORBIDDEN, "not_yours", message).field("namespaces"));
    }
    Ok(match names.is_empty() {
        true => caller.calls().clone(),
        false => Namespaces::Only(names),
    })
}

fn since(given: Option<&str>, now_ns: i64) -> Result<i64, ApiError> {
    let text = given.unwrap_or("now");
    let time = match text.strip_prefix('-') {
        _ if text == "now" => Some(now_ns),
        Some(ago) => parse_duration(ago).and_then(|_| parse_time(ago, now_ns)),
        None => parse_time(text, now_ns).filter(|_| parse_duration(text).is_none()),
    };
    time.filter(|time| *time <= now_ns).ok_or_else(|| {
        let message = format!("since is {}; it takes a time up to now", quoted(text));
        bad("since", message).hint("write now, a time back such as -5m, or 2026-11-22T18:26:00Z")
    })
}

fn ttl(given: Option<&str>) -> Result<Duration, ApiError> {
    let Some(text) = given else {
        return Ok(DEFAULT_TTL);
    };
    let fits = |ttl: &Duration| *ttl >= Duration::from_secs(1) && *ttl <= LONGEST_TTL;
    parse_duration(text).filter(fits).ok_or_else(|| {
        let message = format!(
            "ttl is {}; it takes a duration from 1s to 30d",
            quoted(text)
        );
        bad("ttl", message).hint("write it like 24h or 90m")
    })
}

/// Reads an id; what is wrong with it is said by whoever looks for it.
pub fn is_id(text: &str) -> bool {
    text.parse::<SnapshotId>().is_ok() || text.starts_with("snp_")
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    const NOW_NS: i64 = 1_780_000_000_000_000_000;

    #[test_case("now", Some(0); "now")]
    #[test_case("-5m", Some(300); "reaching back")]
    #[test_case("2026-05-28T20:26:40Z", Some(0); "a time")]
    #[test_case("2026-05-28T20:26:39Z", Some(1); "a time before")]
    #[test_case("2026-05-28T20:26:41Z", None; "a time to come")]
    #[test_case("5m", None; "a duration without its sign could mean either")]
    #[test_case("--5m", None; "two signs")]
    #[test_case("yesterday", None; "a word")]
    fn since_when(text: &str, seconds_ago: Option<i64>) {
        let read = since(Some(text), NOW_NS).ok();
        assert_eq!(read, seconds_ago.map(|ago| NOW_NS - ago * 1_000_000_000));
    }

    #[test_case("24h", true; "a day")]
    #[test_case("30d", true; "the longest")]
    #[test_case("31d", false; "longer")]
    #[test_case("0s", false; "none")]
    #[test_case("24", false; "no unit")]
    fn how_long(text: &str, taken: bool) {
        assert_eq!(ttl(Some(text)).is_ok(), taken);
    }
}
