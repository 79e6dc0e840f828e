//! What heads say, and what they should not.

mod propagation;

use regex::{Regex, RegexBuilder};
use remora_store::call::{CallId, Omitted};
use remora_store::head::{fields, response_status};
use schemars::JsonSchema;
use serde::Deserialize;
use utoipa::ToSchema;

use super::words::{counted, evidence};
use super::{Judgement, Verdict};
use crate::error::ApiError;
use crate::params::quoted;
use crate::tools::filter::FilterInput;
use crate::tools::text;
use crate::traffic::{Observed, View};

/// Most rules of one check.
const MOST_RULES: usize = 20;
/// Longest pattern in bytes, and how large it may become when it is compiled.
const PATTERN_BYTES: usize = 256;
const COMPILED_BYTES: usize = 256 * 1024;
/// What a redacted value begins with.
const REDACTED: &[u8] = b"[redacted";

/// Which headers there should be, and which not.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema, ToSchema)]
#[schema(as = HeadersArgs)]
#[serde(deny_unknown_fields)]
pub struct Args {
    /// Which calls
    pub filter: Option<FilterInput>,
    /// Headers that every call has
    #[serde(default)]
    pub require: Vec<Required>,
    /// Headers that no call has
    #[serde(default)]
    pub forbid: Vec<Forbidden>,
}

/// A header that is there.
#[derive(Debug, Clone, Deserialize, JsonSchema, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Required {
    /// Its name, in any case
    pub name: String,
    /// On the request or the response (default)
    pub on: Option<Side>,
    /// A regular expression that its value matches
    pub pattern: Option<String>,
    /// Whether it goes on, on the request, with every call that is caused
    #[serde(default)]
    pub propagate: bool,
}

/// A header that is not there.
#[derive(Debug, Clone, Deserialize, JsonSchema, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Forbidden {
    /// Its name, in any case
    pub name: String,
    /// On the request or the response (default)
    pub on: Option<Side>,
}

/// Whose head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The client's
    Request,
    /// The server's
    Response,
}

impl Side {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Response => "response",
        }
    }
}

/// The arguments as they were understood.
#[derive(Debug, Clone)]
pub struct Expectation {
    /// Which calls.
    pub filter: Option<FilterInput>,
    rules: Vec<Rule>,
}

impl Args {
    /// Reads what the types do not check.
    ///
    /// # Errors
    ///
    /// There is no rule, too many, or one that names no header or has no pattern.
    pub fn read(self) -> Result<Expectation, ApiError> {
        Ok(Expectation {
            rules: self.rules()?,
            filter: self.filter,
        })
    }

    fn rules(&self) -> Result<Vec<Rule>, ApiError> {
        let n = self.require.len() + self.forbid.len();
        if !(1..=MOST_RULES).contains(&n) {
            let error = ApiError::bad_request("bad_arguments", format!("args.require: {n} rules"));
            return Err(error.field("args.require").hint(
                "1 to 20 in require and forbid, such as {\"require\":[{\"name\":\"cache-control\"}]}",
            ));
        }
        let required = self.require.iter().enumerate().map(|(place, it)| {
            let field = format!("args.require[{place}]");
            if it.propagate && it.on == Some(Side::Response) {
                let field = format!("{field}.propagate");
                let message = format!("{field}: responses do not go on");
                let error = ApiError::bad_request("bad_arguments", message).field(field);
                return Err(
                    error.hint("{\"name\":\"x-request-id\",\"on\":\"request\",\"propagate\":true}")
                );
            }
            let side = match it.propagate {
                true => Side::Request,
                false => Side::Response,
            };
            Ok(Rule {
                name: header_name(&it.name, &field)?,
                on: it.on.unwrap_or(side),
                propagate: it.propagate,
                wants: match &it.pattern {
                    None => Wants::Present,
                    Some(pattern) => Wants::Matching(compile(pattern, &field)?),
                },
            })
        });
        let forbidden = self.forbid.iter().enumerate().map(|(place, it)| {
            Ok(Rule {
                name: header_name(&it.name, &format!("args.forbid[{place}]"))?,
                on: it.on.unwrap_or(Side::Response),
                propagate: false,
                wants: Wants::Absent,
            })
        });
        required.chain(forbidden).collect()
    }
}

fn header_name(name: &str, field: &str) -> Result<String, ApiError> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if (1..=64).contains(&name.len()) && name.bytes().all(is_token) {
        return Ok(name.to_ascii_lowercase());
    }
    let message = format!("{field}.name: {} is not the name of a header", quoted(name));
    let error = ApiError::bad_request("bad_arguments", message).field(format!("{field}.name"));
    Err(error.hint("such as cache-control"))
}

fn compile(pattern: &str, field: &str) -> Result<Regex, ApiError> {
    let bad = |why: String| {
        let message = format!("{field}.pattern: {why}");
        ApiError::bad_request("bad_arguments", message)
            .field(format!("{field}.pattern"))
            .hint("a regular expression such as ^max-age=[0-9]+$")
    };
    if pattern.len() > PATTERN_BYTES {
        return Err(bad(format!("it is longer than {PATTERN_BYTES} bytes")));
    }
    let compiled = RegexBuilder::new(pattern)
        .size_limit(COMPILED_BYTES)
        .build();
    compiled.map_err(|_| bad(format!("{} is not a regular expression", quoted(pattern))))
}

impl Expectation {
    /// Whether there is a header that no call should have.
    pub(super) fn forbids(&self) -> bool {
        let mut rules = self.rules.iter();
        rules.any(|rule| matches!(rule.wants, Wants::Absent))
    }
}

#[derive(Debug, Clone)]
struct Rule {
    name: String,
    on: Side,
    propagate: bool,
    wants: Wants,
}

#[derive(Debug, Clone)]
enum Wants {
    Present,
    Matching(Regex),
    Absent,
}

/// What a rule says of one call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    Holds,
    Missing,
    Other,
    Forbidden,
    /// The value was redacted, or the head was not kept whole.
    Unknown,
}

impl Rule {
    fn of(&self, call: &Observed) -> Option<Told> {
        let recorded = &call.found.call;
        let message = match self.on {
            Side::Request => &recorded.request,
            Side::Response => &recorded.response,
        };
        match self.on {
            Side::Request if !call.is_http_request() => return None,
            Side::Response if response_status(&message.head).is_none() => return None,
            _ => {}
        }
        let mut values = fields(&message.head)
            .filter(|(name, _)| name.eq_ignore_ascii_case(self.name.as_bytes()))
            .map(|(_, value)| value)
            .peekable();
        let is_there = values.peek().is_some();
        let is_cut = message.omitted == Some(Omitted::Head);
        Some(match &self.wants {
            Wants::Absent if is_there => Told::Forbidden,
            Wants::Present if is_there => Told::Holds,
            Wants::Absent | Wants::Present if is_cut => Told::Unknown,
            Wants::Absent => Told::Holds,
            Wants::Present => Told::Missing,
            Wants::Matching(_) if !is_there && is_cut => Told::Unknown,
            Wants::Matching(_) if !is_there => Told::Missing,
            Wants::Matching(pattern) => {
                let mut hidden = false;
                let matches = values.any(|value| {
                    hidden |= value.windows(REDACTED.len()).any(|part| part == REDACTED);
                    std::str::from_utf8(value).is_ok_and(|value| pattern.is_match(value))
                });
                match (matches, hidden) {
                    (true, _) => Told::Holds,
                    (false, true) => Told::Unknown,
                    (false, false) => Told::Other,
                }
            }
        })
    }

    fn describe(&self) -> String {
        let (name, on) = (
            text::name(&self.name).unwrap_or("a header"),
            self.on.as_str(),
        );
        let goes_on = match self.propagate {
            true => ", and so have the calls that are caused",
            false => "",
        };
        match &self.wants {
            Wants::Present => format!("{on} has {name}{goes_on}"),
            Wants::Matching(_) => format!("{on} has {name} of that pattern{goes_on}"),
            Wants::Absent => format!("{on} has no {name}"),
        }
    }
}

/// What rules say of calls.
#[derive(Default)]
struct Tally {
    /// Heads that were looked at.
    asked: usize,
    /// Calls that are not as they should be.
    wrong: Vec<CallId>,
    /// How many heads do not tell.
    unknown: usize,
    /// What is wrong, in words.
    seen: Vec<String>,
    /// Rules of which no head told anything.
    unasked: Vec<String>,
    /// Headers that could not be followed, since no call that has them caused another one.
    unfollowed: Vec<String>,
}

impl Tally {
    fn ask(&mut self, rule: &Rule, view: &View<'_>) {
        let told: Vec<(Told, &Observed)> = view
            .calls()
            .filter_map(|call| Some((rule.of(call)?, call)))
            .collect();
        self.asked += told.len();
        if told.is_empty() {
            self.unasked.push(rule.describe());
        }
        let count = |wanted: Told| told.iter().filter(|(it, _)| *it == wanted).count();
        let misses = [
            (Told::Missing, "without it"),
            (Told::Other, "with another value"),
            (Told::Forbidden, "with it"),
        ];
        for (kind, words) in misses {
            if count(kind) > 0 {
                self.seen.push(format!(
                    "{}: {} of {} {words}",
                    rule.describe(),
                    count(kind),
                    counted(told.len(), "call")
                ));
            }
        }
        self.unknown += count(Told::Unknown);
        let is_wrong = |it: &Told| !matches!(it, Told::Holds | Told::Unknown);
        let wrong = told.iter().filter(|(it, _)| is_wrong(it));
        self.wrong.extend(wrong.map(|(_, call)| call.id()));
    }

    fn follow(&mut self, rule: &Rule, view: &View<'_>) {
        let followed = propagation::follow(view, &rule.name);
        let name = text::name(&rule.name).unwrap_or("a header");
        match followed.first_hop() {
            Some(hop) => self.seen.push(format!(
                "{name} is lost in {} of {} that were caused, first at {hop}",
                followed.lost.len(),
                counted(followed.caused, "call")
            )),
            None if followed.caused == 0 => self.unfollowed.push(name.to_owned()),
            None => {}
        }
        self.wrong
            .extend(followed.lost.iter().map(|call| call.id()));
    }

    fn verdict(&self) -> (Verdict, String) {
        if !self.wrong.is_empty() {
            return (Verdict::Fail, String::new());
        }
        let why = if self.unknown > 0 {
            let calls = counted(self.unknown, "call");
            format!("of {calls} the value was redacted or the head was cut")
        } else if !self.unasked.is_empty() {
            format!("there was no such head: {}", self.unasked.join("; "))
        } else if !self.unfollowed.is_empty() {
            let names = self.unfollowed.join(" and ");
            format!("no call that has {names} is known to have caused another one")
        } else {
            return (Verdict::Pass, String::new());
        };
        (Verdict::Inconclusive, why)
    }
}

/// Whether the heads of the calls in `view` say what they should.
pub fn judge(view: &View<'_>, expectation: &Expectation) -> Judgement {
    let rules = &expectation.rules;
    let described: Vec<String> = rules.iter().map(Rule::describe).collect();
    let expected = described.join("; ");
    let mut tally = Tally::default();
    for rule in rules {
        tally.ask(rule, view);
        if rule.propagate {
            tally.follow(rule, view);
        }
    }
    if tally.asked == 0 {
        return Judgement::nothing_matched(expected);
    }
    let (verdict, why) = tally.verdict();
    Judgement {
        verdict,
        expected,
        actual: match tally.seen.is_empty() {
            true => format!("{}, all so", counted(view.len(), "call")),
            false => tally.seen.join("; "),
        },
        n: view.len() as u64,
        evidence: match tally.wrong.is_empty() {
            true => evidence(view.calls().map(Observed::id)),
            false => evidence(tally.wrong),
        },
        why,
    }
}

#[cfg(test)]
mod tests;
