//! The tools that a model is given: one file per tool, each with its input, a plain function, and its
//! output. What MCP is made of is left to `mcp`.
//!
//! Two kinds of text leave this module. Trusted text is made of templates, numbers, and names that
//! have been checked ([`text`]); recorded bytes only ever appear inside a fence ([`fence`]).

pub mod call_get;
pub mod call_tree;
pub mod calls_search;
pub mod check;
pub mod compare;
pub mod fault_list;
pub mod fault_start;
pub mod fault_stop;
pub mod fence;
pub mod filter;
pub mod find_issues;
mod nothing;
pub mod recorder_status;
pub mod schema;
pub mod snapshot_delete;
pub mod snapshot_list;
pub mod snapshot_start;
pub mod snapshot_wait;
pub mod table;
pub mod text;
pub mod traffic_summary;
pub(crate) mod unknown;
pub mod verify;
pub mod window;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokio::sync::watch;

use crate::api::snapshots::WaitAnswer;
use crate::app::App;
use crate::auth::Caller;
use crate::compare::{CompareAnswer, CompareRequest};
use crate::error::ApiError;
use crate::faults::request::FaultRequest;
use crate::snapshot::barrier::Progress;
use crate::snapshot::{SnapshotJson, StartRequest};
use crate::verify::{FindingsAnswer, VerifyAnswer, VerifyRequest};
use unknown::Unknown;

/// Longest result if nothing is said, in bytes: some 2,400 tokens.
pub const RESULT_BYTES: usize = 8_000;
/// Longest error, in bytes.
const ERROR_BYTES: usize = 2_000;

/// What a tool answers.
#[derive(Debug)]
pub struct Outcome {
    /// The answer in words.
    pub text: String,
    /// The same in JSON, for tools with an output schema.
    pub structured: Option<Value>,
    /// Whether recorded bytes are in it, inside a fence.
    pub untrusted: bool,
}

/// Why a tool did not do as it was asked, for the model that asked: it names the argument, what it
/// takes, and what to call next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolError(pub String);

/// A tool as it is listed.
#[derive(Debug, Clone)]
pub struct Definition {
    /// Its name.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// What it does and when to call it.
    pub description: &'static str,
    /// What it takes.
    pub input_schema: Map<String, Value>,
    /// What it gives, where that is more than text.
    pub output_schema: Option<Map<String, Value>>,
    /// What it does to what is kept.
    pub effect: Effect,
}

/// What a tool does to what is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    Reads,
    /// It adds to it.
    Adds,
    /// It takes away from it.
    Removes,
    /// Nothing, but it disturbs programs.
    Disturbs,
}

/// Every tool, in the order in which they are usually called.
pub fn definitions() -> Vec<Definition> {
    vec![
        Definition {
            name: recorder_status::NAME,
            title: "What is recorded",
            description: recorder_status::DESCRIPTION,
            input_schema: schema::of_input::<recorder_status::Input>(),
            output_schema: Some(schema::of_output::<recorder_status::Output>()),
            effect: Effect::Reads,
        },
        Definition {
            output_schema: Some(schema::of_output::<SnapshotJson>()),
            effect: Effect::Adds,
            ..definition::<StartRequest>(
                snapshot_start::NAME,
                "Begin a snapshot",
                snapshot_start::DESCRIPTION,
            )
        },
        Definition {
            output_schema: Some(schema::of_output::<WaitAnswer>()),
            effect: Effect::Adds,
            ..definition::<snapshot_wait::Input>(
                snapshot_wait::NAME,
                "Wait until settled",
                snapshot_wait::DESCRIPTION,
            )
        },
        definition::<snapshot_list::Input>(
            snapshot_list::NAME,
            "List snapshots",
            snapshot_list::DESCRIPTION,
        ),
        Definition {
            effect: Effect::Removes,
            ..definition::<snapshot_delete::Input>(
                snapshot_delete::NAME,
                "Delete a snapshot",
                snapshot_delete::DESCRIPTION,
            )
        },
        definition::<traffic_summary::Input>(
            traffic_summary::NAME,
            "Traffic by group",
            traffic_summary::DESCRIPTION,
        ),
        Definition {
            input_schema: schema::of_input::<calls_search::Input>(),
            ..definition::<calls_search::Input>(
                calls_search::NAME,
                "Find calls",
                calls_search::DESCRIPTION,
            )
        },
        definition::<call_get::Input>(call_get::NAME, "Read calls", call_get::DESCRIPTION),
        definition::<call_tree::Input>(
            call_tree::NAME,
            "What a call caused",
            call_tree::DESCRIPTION,
        ),
        Definition {
            output_schema: Some(schema::of_output::<FindingsAnswer>()),
            ..definition::<find_issues::Input>(
                find_issues::NAME,
                "Find what is wrong",
                find_issues::DESCRIPTION,
            )
        },
        Definition {
            output_schema: Some(schema::of_output::<VerifyAnswer>()),
            ..definition::<check::Input>(check::NAME, "Make one check", check::DESCRIPTION)
        },
        Definition {
            output_schema: Some(schema::of_output::<VerifyAnswer>()),
            ..definition::<VerifyRequest>(verify::NAME, "Judge expectations", verify::DESCRIPTION)
        },
        Definition {
            output_schema: Some(schema::of_output::<CompareAnswer>()),
            ..definition::<CompareRequest>(compare::NAME, "Compare two sides", compare::DESCRIPTION)
        },
        Definition {
            input_schema: fault_start::input_schema(),
            effect: Effect::Disturbs,
            ..definition::<FaultRequest>(
                fault_start::NAME,
                "Switch a fault on",
                fault_start::DESCRIPTION,
            )
        },
        definition::<fault_list::Input>(fault_list::NAME, "List faults", fault_list::DESCRIPTION),
        Definition {
            effect: Effect::Adds,
            ..definition::<fault_stop::Input>(
                fault_stop::NAME,
                "Switch a fault off",
                fault_stop::DESCRIPTION,
            )
        },
    ]
}

fn definition<I: JsonSchema>(
    name: &'static str,
    title: &'static str,
    description: &'static str,
) -> Definition {
    Definition {
        name,
        title,
        description,
        input_schema: schema::of_input_with_known_filter::<I>(calls_search::NAME),
        output_schema: None,
        effect: Effect::Reads,
    }
}

/// Calls a tool by its name; `None` if there is none of that name. One that waits says in `progress`
/// how far it is; whoever drops the future ends it.
pub async fn call(
    app: &App,
    caller: &Caller,
    name: &str,
    arguments: Map<String, Value>,
    progress: &watch::Sender<Progress>,
) -> Option<Result<Outcome, ToolError>> {
    dispatch(app, caller, name, arguments, progress)
        .await
        .transpose()
}

async fn dispatch(
    app: &App,
    caller: &Caller,
    name: &str,
    arguments: Map<String, Value>,
    progress: &watch::Sender<Progress>,
) -> Result<Option<Outcome>, ToolError> {
    let scope = &caller.scope;
    let outcome = match name {
        recorder_status::NAME => recorder_status::run(app, scope, read(name, arguments)?).await,
        traffic_summary::NAME => traffic_summary::run(app, scope, read(name, arguments)?).await,
        calls_search::NAME => calls_search::run(app, scope, read(name, arguments)?).await,
        call_get::NAME => call_get::run(app, scope, read(name, arguments)?).await,
        call_tree::NAME => call_tree::run(app, scope, read(name, arguments)?).await,
        snapshot_start::NAME => snapshot_start::run(app, scope, read(name, arguments)?).await,
        snapshot_wait::NAME => {
            snapshot_wait::run(app, scope, read(name, arguments)?, progress).await
        }
        snapshot_list::NAME => snapshot_list::run(app, scope, read(name, arguments)?).await,
        snapshot_delete::NAME => snapshot_delete::run(app, scope, read(name, arguments)?).await,
        find_issues::NAME => find_issues::run(app, scope, read(name, arguments)?).await,
        check::NAME => check::run(app, scope, read(name, arguments)?).await,
        verify::NAME => verify::run(app, scope, read(name, arguments)?).await,
        compare::NAME => compare::run(app, scope, read(name, arguments)?).await,
        fault_start::NAME => fault_start::run(app, caller, read(name, arguments)?).await,
        fault_list::NAME => fault_list::run(app, scope, read(name, arguments)?).await,
        fault_stop::NAME => fault_stop::run(app, caller, read(name, arguments)?).await,
        _ => return Ok(None),
    };
    outcome.map(Some)
}

/// Reads the arguments of a tool. What is wrong with them is said with the name of the argument.
fn read<I: DeserializeOwned + JsonSchema>(
    tool: &str,
    arguments: Map<String, Value>,
) -> Result<I, ToolError> {
    if let Some(unknown) = Unknown::first_in::<I>(&arguments) {
        let near = unknown.near.as_deref();
        let meant = near.map_or_else(|| ".".to_owned(), |near| format!(": did you mean {near}?"));
        return Err(ToolError::new(format!(
            "{tool} has no argument {}{meant} Its arguments are: {}.",
            unknown.quoted(),
            unknown.known.join(", ")
        )));
    }
    serde_path_to_error::deserialize(Value::Object(arguments)).map_err(|error| {
        let path = error.path().to_string();
        let wrong = error
            .into_inner()
            .to_string()
            .replace("expected a sequence", "expected a list");
        ToolError::new(format!(
            "{tool}: argument {path}: {wrong}. Call {tool} again with that mended."
        ))
    })
}

impl Outcome {
    /// An answer in JSON, and the same facts in trusted words.
    fn structured(text: String, answer: &impl Serialize) -> Self {
        let structured = serde_json::to_value(answer);
        Self {
            structured: Some(structured.expect("answers have only text keys and finite numbers")),
            ..Self::text(text)
        }
    }

    /// An answer in trusted words alone.
    fn text(text: String) -> Self {
        Self {
            text,
            structured: None,
            untrusted: false,
        }
    }
}

/// Checks a number: what the schema says of its bounds is not enforced on the way in.
fn bounded(
    name: &str,
    given: Option<usize>,
    default: usize,
    most: usize,
) -> Result<usize, ToolError> {
    match given {
        None => Ok(default),
        Some(number) if (1..=most).contains(&number) => Ok(number),
        Some(number) => Err(ToolError::new(format!(
            "{name} is {number}; it takes a number from 1 to {most}."
        ))),
    }
}

impl ToolError {
    /// An error of bounded length.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text::cut(&text::clean(&text.into()), ERROR_BYTES))
    }
}

impl From<ApiError> for ToolError {
    fn from(error: ApiError) -> Self {
        let field = error
            .field_name()
            .map_or_else(String::new, |field| format!("{field}: "));
        let hint = error
            .hint_text()
            .map_or_else(String::new, |hint| format!(". {hint}"));
        Self::new(format!("{field}{}{hint}", error.message()))
    }
}

#[cfg(test)]
mod tests;
