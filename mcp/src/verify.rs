//! Expectations, judged; and what is wrong without anybody having said what to expect. Over HTTP and over
//! MCP alike: what is said here is in JSON, and all of its text is trusted.

mod answer;
pub mod ground;
mod picks;

use remora_store::store::Scope;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::api::query::judging;
use crate::app::App;
use crate::checks::words::counted;
use crate::checks::{self, Check, Judgement, Kind};
use crate::error::ApiError;
use crate::snapshot::sight::Sight;
use crate::tools::filter::FilterInput;
use crate::tools::window;
use crate::traffic::View;
use crate::traffic::budget::{Budget, QUESTION};
use crate::traffic::gather::{Gathered, PATIENCE, aside, gather};
use ground::Surroundings;
use ground::known::Known;
use picks::{Picks, UNASKED};

/// Most expectations at a time.
pub const EXPECTATIONS: usize = 20;
/// Longest name of one, in characters.
const NAME_CHARS: usize = 100;
/// Most findings in an answer.
pub const FINDINGS: usize = 20;

/// What should hold.
#[derive(Debug, Clone, Deserialize, JsonSchema, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyRequest {
    /// Id of a snapshot, or a window that ends now, such as live:15m (default)
    pub snapshot: Option<String>,
    /// 1 to 20
    #[schemars(length(min = 1, max = 20))]
    #[schema(min_items = 1, max_items = 20)]
    pub expectations: Vec<Expectation>,
}

/// One thing that should hold.
#[derive(Debug, Clone, Deserialize, JsonSchema, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// What to call it in the answer
    pub name: Option<String>,
    /// retries, n_plus_one, cache, secrets, connections, headers, latency, status, count, no_call or order
    pub check: String,
    /// Of that check; all take filter
    #[serde(default)]
    #[schema(value_type = Object)]
    pub args: Map<String, Value>,
}

/// Whether it holds.
#[derive(Debug, Clone, Serialize, JsonSchema, ToSchema)]
pub struct VerifyAnswer {
    /// `pass`, `fail` or `inconclusive`
    pub verdict: &'static str,
    /// One line that says it all
    pub summary: String,
    /// In the order of the expectations
    pub checks: Vec<CheckJson>,
    /// What may be missing
    pub blind_spots: Vec<String>,
    /// What to do next
    pub next: Vec<String>,
}

/// What one expectation came to.
#[derive(Debug, Clone, Serialize, JsonSchema, ToSchema)]
pub struct CheckJson {
    /// Its name
    pub name: String,
    /// Its check
    pub check: &'static str,
    /// `pass`, `fail` or `inconclusive`
    pub verdict: &'static str,
    /// What should be
    pub expected: String,
    /// What is
    pub actual: String,
    /// How many calls it was judged by
    pub n: u64,
    /// Ids of calls that prove it
    pub evidence: Vec<String>,
    /// Why, where the rest does not say it
    #[serde(skip_serializing_if = "String::is_empty")]
    pub why: String,
}

/// What is wrong.
#[derive(Debug, Clone, Serialize, JsonSchema, ToSchema)]
pub struct FindingsAnswer {
    /// One line that says it all
    pub summary: String,
    /// How many calls were looked at
    pub calls: u64,
    /// The worst first, at most 20
    pub findings: Vec<FindingJson>,
    /// How many more there are
    #[serde(skip_serializing_if = "crate::coverage::is_zero")]
    pub findings_omitted: u64,
    /// What may be missing
    pub blind_spots: Vec<String>,
    /// What to do next
    pub next: Vec<String>,
}

/// One thing wrong.
#[derive(Debug, Clone, Serialize, JsonSchema, ToSchema)]
#[schema(as = Finding)]
pub struct FindingJson {
    /// The same for the same thing in every answer
    pub id: String,
    /// Which check found it
    pub check: &'static str,
    /// What it is, in a fixed word
    pub code: &'static str,
    /// `high`, `medium` or `low`
    pub severity: &'static str,
    /// Between whom, and of what
    pub subject: String,
    /// What was seen
    pub seen: String,
    /// How often
    pub n: u64,
    /// Ids of calls that prove it, at most 5
    pub evidence: Vec<String>,
}

/// An expectation that was read.
struct Read {
    name: String,
    kind: Kind,
    check: Check,
}

/// Judges expectations, the first ones first: what its time does not suffice for is inconclusive.
///
/// # Errors
///
/// One of them cannot be read: the error names its place and its field. Or the store failed.
pub async fn verify(
    app: &App,
    caller: &Scope,
    request: VerifyRequest,
) -> Result<VerifyAnswer, ApiError> {
    let expectations = read(request.expectations)?;
    let _turn = judging(app).await?;
    let sight = sight(app, caller, request.snapshot.as_deref()).await?;
    judge_all(app, &sight, expectations, Budget::of(QUESTION)).await
}

async fn judge_all(
    app: &App,
    sight: &Sight,
    expectations: Vec<Read>,
    budget: Budget,
) -> Result<VerifyAnswer, ApiError> {
    let bodies = expectations.iter().any(|it| it.kind.reads_bodies());
    let gathered = gather(app, sight, bodies).await?;
    let surroundings = Surroundings::of(app, sight, &gathered).await?;
    let surroundings = surroundings.look_back(app, sight, budget).await?;
    let mut picks = Picks::default();
    for expectation in &expectations {
        for filter in expectation.check.filters() {
            picks.read(app, sight, filter, budget).await?;
        }
    }
    aside(move || {
        let known = surroundings.known(&gathered.traffic);
        let judged = expectations.iter().map(|expectation| {
            let around = (&surroundings, &known);
            let judgement = judge(expectation, &gathered, &picks, around);
            CheckJson::new(expectation, judgement)
        });
        VerifyAnswer::new(judged.collect(), surroundings.blind_spots(&picks))
    })
    .await
}

fn judge(
    expectation: &Read,
    gathered: &Gathered,
    picks: &Picks,
    (surroundings, known): (&Surroundings, &Known<'_>),
) -> Judgement {
    let filters = expectation.check.filters();
    let picked: Vec<Vec<usize>> = filters
        .iter()
        .map(|filter| picks.of(*filter, gathered))
        .collect();
    let views: Vec<View<'_>> = picked.iter().map(|it| gathered.traffic.view(it)).collect();
    let ground = surroundings.ground(known, &filters, &views, picks);
    let judgement = expectation.check.judge(&views, &ground);
    match picks.is_unasked(&filters) {
        false => judgement,
        true => Judgement {
            expected: judgement.expected,
            actual: "not judged".to_owned(),
            ..Judgement::inconclusive(UNASKED)
        },
    }
}

/// Looks for what is wrong.
///
/// # Errors
///
/// The snapshot or the filter cannot be read, or the store failed.
pub async fn find(
    app: &App,
    caller: &Scope,
    snapshot: Option<&str>,
    kinds: &[Kind],
    filter: Option<FilterInput>,
) -> Result<FindingsAnswer, ApiError> {
    // Each check once, in its own order, whatever was asked for.
    let kinds = Kind::FINDERS
        .into_iter()
        .filter(|kind| kinds.contains(kind));
    let kinds: Vec<Kind> = kinds.collect();
    let _turn = judging(app).await?;
    let sight = sight(app, caller, snapshot).await?;
    let mut picks = Picks::default();
    let budget = Budget::of(PATIENCE);
    picks.read(app, &sight, filter.as_ref(), budget).await?;
    let bodies = kinds.iter().any(|kind| kind.reads_bodies());
    let gathered = gather(app, &sight, bodies).await?;
    let surroundings = Surroundings::of(app, &sight, &gathered).await?;
    aside(move || {
        let picked = picks.of(filter.as_ref(), &gathered);
        let view = gathered.traffic.view(&picked);
        let findings = checks::find(&kinds, &view);
        let mut spots = surroundings.blind_spots(&picks);
        let touched = view.len() - view.untouched().len();
        if touched > 0 {
            let calls = counted(touched, "call");
            spots.push(format!(
                "{calls} that an injected fault met are held against no service"
            ));
        }
        FindingsAnswer::new(view.len(), findings, spots)
    })
    .await
}

async fn sight(app: &App, caller: &Scope, snapshot: Option<&str>) -> Result<Sight, ApiError> {
    app.control.hand_over(caller).await;
    Sight::read(app, caller, snapshot.unwrap_or(window::DEFAULT)).await
}

fn read(expectations: Vec<Expectation>) -> Result<Vec<Read>, ApiError> {
    if !(1..=EXPECTATIONS).contains(&expectations.len()) {
        let message = format!("there are {} expectations", expectations.len());
        let error = ApiError::bad_request("bad_body", message).field("expectations");
        return Err(
            error.hint("1 to 20, such as {\"check\":\"status\",\"args\":{\"expect\":\"2xx\"}}")
        );
    }
    let all = expectations.into_iter().enumerate();
    all.map(|(place, expectation)| {
        Read::new(expectation).map_err(|error| error.within(&format!("expectations[{place}]")))
    })
    .collect()
}

impl Read {
    fn new(expectation: Expectation) -> Result<Self, ApiError> {
        let kind = Kind::read(&expectation.check, "check")?;
        let name = expectation.name.unwrap_or_else(|| kind.to_string());
        let plain = |c: char| !c.is_control();
        if name.is_empty() || name.chars().count() > NAME_CHARS || !name.chars().all(plain) {
            let error = ApiError::bad_request("bad_body", "the name is empty, too long, or odd");
            return Err(error.field("name").hint("1 to 100 characters"));
        }
        let check = Check::read(kind, expectation.args)?;
        for (place, filter) in check.filters().into_iter().enumerate() {
            let within = match kind {
                Kind::Order => format!("args.steps[{place}]"),
                _ => "args".to_owned(),
            };
            FilterInput::read(filter.cloned()).map_err(|error| error.within(&within))?;
        }
        Ok(Self { name, kind, check })
    }
}

#[cfg(test)]
mod tests;
