//! Which calls are asked for: CEL over one call, with KFL2's names.
//!
//! A filter is read in three steps. [`scan`] bounds its size and shape before a parser sees it, the
//! `cel` crate parses it, and [`check`] makes a tree of facts of it, in which every name exists and
//! every type fits: what is wrong is said here, with what was meant, and not by an empty answer.
//!
//! # What a filter means
//!
//! Names are those of [`vocabulary`]: KFL2's for HTTP, gRPC, WebSocket, identity and timing, with our own beside them.
//! The bare name of a protocol is true for its calls; that of a protocol that is not recorded yet is
//! false, and its facts are absent.
//!
//! *Absence.* A header, cookie, parameter, label or part of a JSON body that a call does not have is
//! absent. Absence spreads through comparisons, functions and `!`, as an error does in CEL; `&&` and
//! `||` decide without it where they can; a filter that ends in it does not match. So
//! `request.headers["x"] != "1"` asks for calls that have the header. `has(…)`, `"x" in …` and
//! `map_get(…)` ask about absence itself. A latency is absent while the call has no end. Texts that
//! are not known are empty, and the status of a call without a response is 0.
//!
//! *Numbers.* `elapsed_time` is the latency in whole microseconds, from the first byte of the request
//! to the last of the response; `latency_ms` the same in milliseconds with decimals. `now()` is the
//! moment when the filter was read.
//!
//! *Bodies.* `request.body` and `response.body` are the text that was kept of a body, decompressed,
//! and absent where there is none or it cannot be decompressed. Of gRPC and WebSocket it is what was
//! kept of the messages, one per line. `request.json` and `response.json` the same parsed, absent where it
//! is no JSON. JSON of another type than the filter compares with is not equal to it. What a filter asks
//! of a body beyond the part that was kept, or of one that the asker may not see, is not known: such a call does not match, and
//! is counted.
//!
//! Maps cannot be made, patterns have to be written out, and the work on one call is bounded.

mod check;
pub(crate) mod columns;
mod content;
pub(crate) mod eval;
mod expr;
mod facts;
mod fields;
mod flat;
pub(crate) mod found;
mod literal;
pub(crate) mod plan;
mod request;
mod scan;
mod suggest;
mod value;
pub(crate) mod vocabulary;

use std::fmt;
use std::sync::Arc;

use cel::Env;
use cel::common::ast::{IdedExpr, SourceInfo};
use cel::parser::ParseErrors;
use serde::{Deserialize, Serialize};

use crate::query::FoundCall;
pub use request::RequestFilter;
pub use suggest::nearest;

use eval::{Truth, truth};
use expr::Expr;
use found::WholeCall;

/// The flat filter of the tools and expectations: every field that is set must hold.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlatFilter {
    /// Workload, service, pod or address that called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub src: Option<String>,
    /// Workload, service, pod or address that was called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dst: Option<String>,
    /// Request method, such as `GET`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Route, such as `/api/orders/{id}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// Beginning of the path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_prefix: Option<String>,
    /// A status such as `404`, a class such as `"5xx"`, or a status of gRPC such as `"NOT_FOUND"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<StatusFilter>,
    /// Least latency, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_ms: Option<f64>,
    /// `name` or `name: value` of a request or response header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// Revision of the recording workload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Namespace of the caller or the callee.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Trace id in `traceparent`, `b3` or `x-request-id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// CEL, for what the other fields cannot say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r#where: Option<String>,
}

/// A status, or a class of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum StatusFilter {
    /// Exactly this one.
    Code(u16),
    /// `"5xx"`, a code as text, or the name of a status of gRPC.
    Class(String),
}

/// A filter that was read and checked: it names only what exists.
///
/// The default lets everything through. Cheap to clone.
#[derive(Clone, Default)]
pub struct Filter {
    source: String,
    expr: Option<Arc<Expr>>,
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Filter").field(&self.source).finish()
    }
}

impl Filter {
    /// Reads a filter.
    ///
    /// # Errors
    ///
    /// The text is too long or too deep, is no CEL, names what does not exist, or compares what cannot
    /// be compared.
    pub fn parse(source: &str) -> Result<Self, FilterError> {
        let text = scan::scan(source)?;
        let (syntax, places) = parse_syntax(&text)?;
        let expr = check::check(&syntax, &places, source, literal::now())?;
        Ok(Self {
            source: source.to_owned(),
            expr: Some(Arc::new(expr)),
        })
    }

    /// The filter that lets through what every field that is set lets through.
    ///
    /// # Errors
    ///
    /// A field has a value that none of its calls could have; the error names the field.
    pub fn from_flat(flat: &FlatFilter) -> Result<Self, FilterError> {
        flat::lower(flat)
    }

    /// The text this filter was read from; empty for the filter that lets everything through.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The protocols that the filter names and that are not recorded yet: false in every call.
    pub fn unrecorded_protocols(&self) -> Vec<&'static str> {
        scan::words(&self.source)
            .filter_map(vocabulary::unrecorded_protocol)
            .collect()
    }

    /// What is asked of a call; `None` for the filter that lets everything through.
    pub(crate) fn expr(&self) -> Option<&Expr> {
        self.expr.as_deref()
    }

    /// The filter that lets through what both let through.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self.expr, other.expr) {
            (None, expr) => Self {
                source: other.source,
                expr,
            },
            (expr, None) => Self {
                source: self.source,
                expr,
            },
            (Some(one), Some(two)) => Self {
                source: format!("({}) && ({})", self.source, other.source),
                expr: Some(Arc::new(Expr::All(vec![
                    Arc::unwrap_or_clone(one),
                    Arc::unwrap_or_clone(two),
                ]))),
            },
        }
    }

    /// The filter that lets through what either lets through.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match (self.expr, other.expr) {
            (None, _) | (_, None) => Self::default(),
            (Some(one), Some(two)) => Self {
                source: format!("({}) || ({})", self.source, other.source),
                expr: Some(Arc::new(Expr::Any(vec![
                    Arc::unwrap_or_clone(one),
                    Arc::unwrap_or_clone(two),
                ]))),
            },
        }
    }

    /// Whether a call passes. The call has to be whole, with its bodies.
    ///
    /// # Errors
    ///
    /// The filter takes more work on this call than is allowed.
    pub fn matches(&self, found: &FoundCall) -> Result<bool, FilterError> {
        match &self.expr {
            None => Ok(true),
            Some(expr) => Ok(truth(expr, &WholeCall::new(found, true))? == Truth::Yes),
        }
    }
}

/// Stack for the parser: generated code, which takes some ten kilobytes per level.
const PARSER_STACK_BYTES: usize = 32 * 1024 * 1024;

/// Parses text that [`scan::scan`] let through.
///
/// On a thread of its own: the parser recurses further than the stack of a usual thread allows, and
/// should it panic on some text, that text is no filter.
fn parse_syntax(source: &str) -> Result<(IdedExpr, SourceInfo), FilterError> {
    let parse = || {
        // An environment without macros: `has`, `exists` and the like stay calls, and nothing expands.
        let environment = Env::default().with_optional_support(false);
        let parser = environment.parser().error_recovery_limit(4);
        parser
            .parse_with_source_info(source)
            .map_err(|errors| syntax_error(&errors))
    };
    let unreadable = || FilterError::new("the filter cannot be read");
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("filter".to_owned())
            .stack_size(PARSER_STACK_BYTES)
            .spawn_scoped(scope, parse)
            .map_err(|error| {
                FilterError::new(format!("start a thread to read the filter: {error}"))
            })?;
        thread.join().map_err(|_| unreadable())?
    })
}

fn syntax_error(errors: &ParseErrors) -> FilterError {
    let Some(first) = errors.errors.first() else {
        return FilterError::new("the filter cannot be read".to_owned());
    };
    let message = first.msg.trim_start_matches("Syntax error: ");
    let message = format!("the filter cannot be read: {}", plainly(message));
    match first.pos {
        (line, column) if line > 1 => {
            FilterError::new(format!("{message} (at line {line}, character {column})"))
        }
        (_, column) => FilterError::at(usize::try_from(column).unwrap_or(1), message),
    }
}

/// What the parser says, without the names of its grammar.
fn plainly(message: &str) -> String {
    const SHOWN_CHARS: usize = 160;
    let unexpected = [
        "mismatched input",
        "extraneous input",
        "no viable alternative",
    ];
    let found = message
        .split_once('\'')
        .and_then(|(_, rest)| rest.split_once('\''))
        .filter(|_| unexpected.iter().any(|words| message.starts_with(words)));
    match found {
        Some((found, _)) if found.ends_with("<EOF>") => "it ends too early".to_owned(),
        Some((found, _)) => format!("`{found}` does not belong here"),
        None => message.to_owned(),
    }
    .chars()
    .take(SHOWN_CHARS)
    .collect()
}

/// Why a text is not a filter. Says the place, and the nearest right name where there is one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FilterError {
    /// What is wrong, in words for the person or model that wrote the filter.
    pub message: String,
    /// What to write instead, where that can be told.
    pub hint: Option<String>,
}

impl FilterError {
    fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
        }
    }

    /// An error at a character of the filter, from 1.
    fn at(column: usize, message: impl fmt::Display) -> Self {
        Self::new(format!("{message} (at character {column})"))
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

#[cfg(test)]
mod tests;
