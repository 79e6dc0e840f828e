//! Two stretches of traffic side by side: what is new, what is gone, what fails more, what is slower.
//! Over HTTP and over MCP alike; all text is trusted.

mod difference;
mod sample;

use remora_store::call::Leg;
use remora_store::filter::{Filter, FlatFilter, nearest};
use remora_store::store::Scope;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::query::judging;
use crate::app::App;
use crate::checks::words::counted;
use crate::coverage::Coverage;
use crate::error::ApiError;
use crate::params::quoted;
use crate::snapshot::sight::Sight;
use crate::tools::call_get::look_at;
use crate::tools::filter::FilterInput;
use crate::tools::recorder_status::blind_spots;
use crate::tools::{text, window};
use crate::traffic::budget::Budget;
use crate::traffic::gather::{PATIENCE, aside, gather, pick};
use difference::{Difference, Side, differences};

/// Most differences in an answer.
const DIFFERENCES: usize = 30;
/// Longest name of a workload or revision, in bytes.
const NAME_BYTES: usize = 200;

/// What is compared.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CompareRequest {
    /// What it was: id of a snapshot, live:2h, or workload@revision
    pub base: String,
    /// What it is now: the same
    pub head: String,
    /// Where revisions are looked for: id of a snapshot, or live:15m (default)
    pub snapshot: Option<String>,
    /// Only calls that match
    pub filter: Option<FilterInput>,
}

/// How two stretches of traffic differ.
#[derive(Debug, Clone, Serialize, JsonSchema, ToSchema)]
pub struct CompareAnswer {
    /// One line that says it all
    pub summary: String,
    /// Calls on the one side
    pub base_calls: u64,
    /// Calls on the other
    pub head_calls: u64,
    /// Kinds of calls that did not change
    pub unchanged: u64,
    /// The worst first, at most 30
    pub differences: Vec<DifferenceJson>,
    /// How many more there are
    #[serde(skip_serializing_if = "crate::coverage::is_zero")]
    pub differences_omitted: u64,
    /// What may be missing
    pub blind_spots: Vec<String>,
    /// What to do next
    pub next: Vec<String>,
}

/// One thing that differs.
#[derive(Debug, Clone, Serialize, JsonSchema, ToSchema)]
#[schema(as = Difference)]
pub struct DifferenceJson {
    /// Who calls whom for what
    pub subject: String,
    /// `new`, `gone`, `more_errors`, `fewer_errors`, `slower`, `faster`, `header_gone` or `header_new`
    pub change: &'static str,
    /// What it was
    pub base: String,
    /// What it is now
    pub head: String,
    /// Of how many calls on the one side
    pub n_base: u64,
    /// And on the other
    pub n_head: u64,
    /// Ids of calls that show it, from both sides where both have some
    pub evidence: Vec<String>,
}

/// Compares.
///
/// # Errors
///
/// A side cannot be read, there is no such snapshot, or the store failed.
pub async fn compare(
    app: &App,
    caller: &Scope,
    request: CompareRequest,
) -> Result<CompareAnswer, ApiError> {
    let _turn = judging(app).await?;
    app.control.hand_over(caller).await;
    let filter = FilterInput::read(request.filter)?;
    let within = request.snapshot.as_deref();
    let mut spots = Vec::new();
    let base = side(
        app,
        caller,
        "base",
        &request.base,
        within,
        &filter,
        &mut spots,
    )
    .await?;
    let head = side(
        app,
        caller,
        "head",
        &request.head,
        within,
        &filter,
        &mut spots,
    )
    .await?;
    aside(move || CompareAnswer::new(&base, &head, spots)).await
}

/// Reads the calls of one side.
async fn side(
    app: &App,
    caller: &Scope,
    field: &'static str,
    named: &str,
    within: Option<&str>,
    filter: &Filter,
    spots: &mut Vec<String>,
) -> Result<Side, ApiError> {
    let (sight, filter) = match named.split_once('@') {
        None => {
            let sight = Sight::read(app, caller, named).await;
            (sight.map_err(|error| error.field(field))?, filter.clone())
        }
        Some((workload, revision)) => {
            let sight = Sight::read(app, caller, within.unwrap_or(window::DEFAULT)).await?;
            let of_revision = revision_filter(field, workload, revision)?;
            (sight, filter.clone().and(of_revision))
        }
    };
    let gathered = gather(app, &sight, false).await?;
    let picked = pick(app, &sight, filter, Budget::of(PATIENCE)).await?;
    if picked.ids.is_empty()
        && let Some((workload, revision)) = named.split_once('@')
    {
        refuse_unknown(app, &sight.scope, field, workload, revision).await?;
    }
    let coverage = Coverage::of(app, &sight.scope, sight.window).await?;
    let no_time = picked
        .is_cut
        .then(|| "there was no time to look at all calls".to_owned());
    let missing = blind_spots(&coverage)
        .into_iter()
        .chain(gathered.cut)
        .chain(no_time);
    spots.extend(missing.map(|spot| format!("{field}: {spot}")));
    aside(move || {
        let places = gathered.traffic.pick(|id| picked.ids.contains(&id));
        Side::of(&gathered.traffic.view(&places))
    })
    .await
}

/// Calls that a revision of a workload received or made, as its own sidecars saw them: whoever else calls the
/// workload does not know which revision answers.
fn revision_filter(
    field: &'static str,
    workload: &str,
    revision: &str,
) -> Result<Filter, ApiError> {
    let is_name = |name: &str| (1..=NAME_BYTES).contains(&name.len());
    if !is_name(workload) || !is_name(revision) {
        let message = format!("{field} is {}", quoted(&format!("{workload}@{revision}")));
        let error = ApiError::bad_request("bad_parameter", message).field(field);
        return Err(
            error.hint("the id of a snapshot, live:2h, or workload@revision such as orders@7f9c")
        );
    }
    let of = |leg: Leg| {
        let name = Some(workload.to_owned());
        Filter::from_flat(&FlatFilter {
            src: name.clone().filter(|_| leg == Leg::Outbound),
            dst: name.filter(|_| leg == Leg::Inbound),
            revision: Some(revision.to_owned()),
            r#where: Some(format!("leg == \"{leg}\"")),
            ..FlatFilter::default()
        })
    };
    let received = of(Leg::Inbound).map_err(ApiError::bad_filter)?;
    let made = of(Leg::Outbound).map_err(ApiError::bad_filter)?;
    Ok(received.or(made))
}

/// Refuses a revision that nobody recorded, where one that somebody did has nearly its name.
async fn refuse_unknown(
    app: &App,
    scope: &Scope,
    field: &'static str,
    workload: &str,
    revision: &str,
) -> Result<(), ApiError> {
    let given = format!("{workload}@{revision}");
    let recorders = app.store.recorders(scope).await?;
    let names = recorders.iter().filter_map(|it| {
        let workload = text::name(&it.origin.workload)?;
        Some(format!("{workload}@{}", text::name(&it.origin.revision)?))
    });
    let known: Vec<String> = names.collect();
    if known.contains(&given) {
        return Ok(());
    }
    let Some(near) = nearest(&given, known.iter().map(String::as_str)) else {
        return Ok(());
    };
    let message = format!("{field}: nobody recorded {}", quoted(&given));
    let error = ApiError::bad_request("bad_parameter", message).field(field);
    Err(error.hint(format!("did you mean {near}?")))
}

impl CompareAnswer {
    fn new(base: &Side, head: &Side, blind_spots: Vec<String>) -> Self {
        let compared = differences(base, head);
        let blind_spots = injected(base, head).chain(blind_spots).collect();
        let unknown = match compared.unknown {
            0 => String::new(),
            n => format!(
                "; {} cannot be compared, injected faults met all calls of one side",
                counted(n as usize, "kind")
            ),
        };
        let total = compared.found.len();
        let differences: Vec<DifferenceJson> = compared
            .found
            .into_iter()
            .take(DIFFERENCES)
            .map(DifferenceJson::of)
            .collect();
        let (base_calls, head_calls) = (base.calls(), head.calls());
        let summary = match (base_calls, head_calls, total) {
            (0, _, _) => "nothing to compare with: base has no calls".to_owned(),
            (_, 0, _) => "nothing to compare: head has no calls".to_owned(),
            (_, _, 0) => format!(
                "no difference in {base_calls} and {head_calls} calls of {} kinds{unknown}",
                compared.unchanged
            ),
            _ => format!(
                "{total} differences between {base_calls} and {head_calls} calls; {} kinds of calls did not change{unknown}",
                compared.unchanged
            ),
        };
        let next = differences.iter().find_map(|it| look_at(&it.evidence));
        Self {
            summary,
            base_calls,
            head_calls,
            unchanged: compared.unchanged,
            differences_omitted: (total - differences.len()) as u64,
            differences,
            blind_spots,
            next: vec![next.unwrap_or_else(|| "find_issues(snapshot=head)".to_owned())],
        }
    }
}

/// How many calls of each side were left out, since a fault met them.
fn injected(base: &Side, head: &Side) -> impl Iterator<Item = String> {
    [("base", base.injected()), ("head", head.injected())]
        .into_iter()
        .filter(|(_, calls)| *calls > 0)
        .map(|(field, calls)| {
            format!(
                "{field}: {} that an injected fault met say nothing of a service, and are only counted",
                counted(calls, "call")
            )
        })
}

impl DifferenceJson {
    fn of(difference: Difference) -> Self {
        Self {
            subject: difference.subject,
            change: difference.change.as_str(),
            base: difference.base,
            head: difference.head,
            n_base: difference.n_base,
            n_head: difference.n_head,
            evidence: difference
                .evidence
                .iter()
                .map(ToString::to_string)
                .collect(),
        }
    }
}
