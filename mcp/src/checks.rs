//! What is wrong with calls, and whether what was expected of them holds (pure).
//!
//! Each check is a pure function from calls to findings, and the same check is an expectation: same
//! calls, same bytes. All text that leaves this module is made of templates, numbers, and names that
//! [`crate::tools::text`] let through; recorded bytes are reached by the ids of the evidence.

pub mod cache;
pub mod connections;
pub mod count;
mod database;
mod faulted;
pub mod finding;
pub mod ground;
pub mod headers;
pub mod judgement;
pub mod kind;
pub mod latency;
pub mod n_plus_one;
pub mod no_call;
pub mod order;
pub(crate) mod rank;
pub mod reference;
pub mod retries;
pub mod secrets;
pub mod status;
#[cfg(test)]
mod testing;
pub(crate) mod words;

pub use finding::{Finding, Severity};
pub use ground::{Ground, Rests};
pub use judgement::{Judgement, Verdict};
pub use kind::Kind;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::error::ApiError;
use crate::tools::filter::FilterInput;
use crate::tools::unknown::Unknown;
use crate::traffic::View;

/// A check with its arguments: one expectation.
#[derive(Debug, Clone)]
pub enum Check {
    /// See [`retries`].
    Retries(retries::Expectation),
    /// See [`n_plus_one`].
    NPlusOne(n_plus_one::Args),
    /// See [`cache`].
    Cache(cache::Args),
    /// See [`secrets`].
    Secrets(secrets::Args),
    /// See [`connections`].
    Connections(connections::Args),
    /// See [`headers`].
    Headers(headers::Expectation),
    /// See [`latency`].
    Latency(latency::Args),
    /// See [`status`].
    Status(status::Expectation),
    /// See [`count`].
    Count(count::Args),
    /// See [`no_call`].
    NoCall(no_call::Args),
    /// See [`order`].
    Order(order::Args),
}

impl Check {
    /// Reads the arguments of a check.
    ///
    /// # Errors
    ///
    /// An argument is unknown, or has a value that it does not take; the error names it.
    pub fn read(kind: Kind, args: Map<String, Value>) -> Result<Self, ApiError> {
        let check = match kind {
            Kind::Retries => Self::Retries(arguments::<retries::Args>(args)?.read()?),
            Kind::NPlusOne => Self::NPlusOne(arguments(args)?),
            Kind::Cache => Self::Cache(arguments(args)?),
            Kind::Secrets => Self::Secrets(arguments(args)?),
            Kind::Connections => Self::Connections(arguments(args)?),
            Kind::Headers => Self::Headers(arguments::<headers::Args>(args)?.read()?),
            Kind::Latency => Self::Latency(arguments(args)?),
            Kind::Status => Self::Status(arguments::<status::Args>(args)?.read()?),
            Kind::Count => Self::Count(arguments(args)?),
            Kind::NoCall => Self::NoCall(arguments(args)?),
            Kind::Order => Self::Order(arguments(args)?),
        };
        check.validate()?;
        Ok(check)
    }

    fn validate(&self) -> Result<(), ApiError> {
        match self {
            Self::NPlusOne(args) => args.validate(),
            Self::Cache(args) => args.validate(),
            Self::Secrets(args) => args.validate(),
            Self::Connections(args) => args.validate(),
            Self::Latency(args) => args.validate(),
            Self::Count(args) => args.validate(),
            Self::Retries(_) | Self::Headers(_) | Self::Status(_) | Self::NoCall(_) => Ok(()),
            Self::Order(args) => args.validate(),
        }
    }

    /// Which calls it is about; `None` for all of them. A check of an order has one for each step
    /// beside it.
    pub fn filters(&self) -> Vec<Option<&FilterInput>> {
        match self {
            Self::Retries(args) => vec![args.filter.as_ref()],
            Self::NPlusOne(args) => vec![args.filter.as_ref()],
            Self::Cache(args) => vec![args.filter.as_ref()],
            Self::Secrets(args) => vec![args.filter.as_ref()],
            Self::Connections(args) => vec![args.filter.as_ref()],
            Self::Headers(args) => vec![args.filter.as_ref()],
            Self::Latency(args) => vec![args.filter.as_ref()],
            Self::Status(args) => vec![args.filter.as_ref()],
            Self::Count(args) => vec![args.filter.as_ref()],
            Self::NoCall(args) => vec![args.filter.as_ref()],
            Self::Order(args) => args.steps.iter().map(Some).collect(),
        }
    }

    /// Whether what is expected holds in `views`, one for each of [`Check::filters`].
    ///
    /// Calls that an injected fault met are left out where it is a service that is judged by how it answers;
    /// they are what retries are judged by, and are counted as others are. Either is said. What passes does so
    /// as far as the ground bears it.
    pub fn judge(&self, views: &[View<'_>], ground: &Ground) -> Judgement {
        let (Some(view), all) = (views.first(), views) else {
            return Judgement::inconclusive("nothing was looked at");
        };
        let untouched = view.untouched();
        let service = &view.traffic().view(&untouched);
        let judgement = match self {
            Self::Retries(it) => retries::judge(view, it, ground),
            Self::NPlusOne(args) => n_plus_one::judge(view, args),
            Self::Cache(args) => cache::judge(service, args, ground),
            Self::Secrets(args) => secrets::judge(view, args),
            Self::Connections(args) => connections::judge(service, args),
            Self::Headers(it) => headers::judge(service, it),
            Self::Latency(args) => latency::judge(service, args),
            Self::Status(it) => status::judge(service, it),
            Self::Count(args) => count::judge(view, args, ground),
            Self::NoCall(_) => no_call::judge(view),
            Self::Order(_) => order::judge(all, ground),
        };
        let judgement = ground.bears(judgement, self.rests());
        let touched = view.len() - service.len();
        match self {
            Self::Cache(_)
            | Self::Connections(_)
            | Self::Headers(_)
            | Self::Latency(_)
            | Self::Status(_) => faulted::left_out(judgement, touched, service.len()),
            Self::Count(_) | Self::NoCall(_) => faulted::counted_too(judgement, touched),
            Self::Retries(_) | Self::NPlusOne(_) | Self::Secrets(_) | Self::Order(_) => judgement,
        }
    }

    /// What a pass of it rests on.
    fn rests(&self) -> Rests {
        match self {
            Self::Secrets(_) | Self::NoCall(_) => Rests::OnAbsence,
            Self::Headers(it) if it.forbids() => Rests::OnAbsence,
            // Whether calls that are missing matter depends on which bound was met, and on where they would stand.
            Self::Count(_) | Self::Order(_) => Rests::OnWhatIsThere,
            Self::Cache(_) => Rests::OnEffects,
            Self::Retries(_)
            | Self::NPlusOne(_)
            | Self::Connections(_)
            | Self::Headers(_)
            | Self::Latency(_)
            | Self::Status(_) => Rests::OnEveryRecord,
        }
    }
}

/// Everything of some kinds that is wrong in `view`, the worst first.
pub fn find(kinds: &[Kind], view: &View<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let untouched = view.untouched();
    let service = &view.traffic().view(&untouched);
    for kind in kinds {
        match kind {
            Kind::Retries => findings.extend(retries::find(view)),
            Kind::NPlusOne => findings.extend(n_plus_one::find(view)),
            Kind::Cache => findings.extend(cache::find(service)),
            Kind::Secrets => findings.extend(secrets::find(view)),
            Kind::Connections => findings.extend(connections::find(service)),
            Kind::Status => findings.extend(status::find(service)),
            // What these would have to find, somebody has to say first.
            Kind::Headers | Kind::Latency | Kind::Count | Kind::NoCall | Kind::Order => {}
        }
    }
    findings.sort_by(|a, b| a.rank().cmp(&b.rank()));
    findings
}

fn arguments<T: DeserializeOwned + JsonSchema>(args: Map<String, Value>) -> Result<T, ApiError> {
    if let Some(unknown) = Unknown::first_in::<T>(&args) {
        return Err(unknown.refuse(Some("args")));
    }
    serde_path_to_error::deserialize(Value::Object(args)).map_err(|error| {
        let path = error.path().to_string();
        let message = error.into_inner().to_string();
        let field = match path.as_str() {
            "." => "args".to_owned(),
            path => format!("args.{path}"),
        };
        ApiError::bad_request("bad_arguments", format!("{field}: {message}")).field(field)
    })
}
