//! What is said of operators and functions that do not fit, and what was meant.

use cel::common::ast::{IdedExpr, operators};

use super::{Checker, Typed, shortened};
use crate::filter::FilterError;
use crate::filter::literal;
use crate::filter::suggest::nearest;
use crate::filter::value::Type;

const FUNCTIONS: &[&str] = &[
    "size",
    "has",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "exists",
    "all",
    "exists_one",
    "filter",
    "map",
    "map_get",
    "now",
    "duration",
    "timestamp",
    "int",
    "double",
    "string",
    "lowerAscii",
    "upperAscii",
];

const FUNCTION_MISTAKES: &[(&str, &str)] = &[
    ("length", "size"),
    ("len", "size"),
    ("includes", "contains"),
    ("any", "exists"),
    ("tolower", "lowerAscii"),
    ("lower", "lowerAscii"),
    ("toupper", "upperAscii"),
    ("upper", "upperAscii"),
    ("regex", "matches"),
    ("match", "matches"),
    ("regexmatch", "matches"),
    ("get", "map_get"),
    ("uint", "int"),
];

impl Checker<'_> {
    /// Two sides of a comparison that can never be equal.
    pub(super) fn mismatch(
        &self,
        syntax: &IdedExpr,
        (left_syntax, left): (&IdedExpr, &Typed),
        (right_syntax, right): (&IdedExpr, &Typed),
    ) -> FilterError {
        let (one, other) = (self.written(left_syntax), self.written(right_syntax));
        let error = self.error(
            syntax,
            format!(
                "`{one}` is {}; it cannot be compared with `{other}`, which is {}",
                left.r#type, right.r#type
            ),
        );
        let bare = other.trim_matches(['"', '\'']);
        match (left.r#type, right.r#type) {
            (Type::Text, Type::Int | Type::Double) if other != "…" => {
                error.hint(format!("a text is quoted: `\"{other}\"`"))
            }
            (Type::Int | Type::Double, Type::Text) if bare.parse::<f64>().is_ok() => {
                error.hint(format!("a number is not quoted: `{bare}`"))
            }
            (Type::Int, Type::Text) if one.starts_with("status") => {
                error.hint(format!("such as `{one} == 200` or `{one} >= 500`"))
            }
            (Type::Time, Type::Text) if literal::time(bare).is_some() => {
                error.hint(format!("`timestamp({other})`"))
            }
            (Type::Time, Type::Text) => {
                error.hint("a time is written `timestamp(\"2026-01-02T15:04:05Z\")`")
            }
            (Type::Time, Type::Int | Type::Span) => {
                error.hint("such as `timestamp > now() - duration(\"5m\")`".to_owned())
            }
            (Type::Span, Type::Text) => error.hint(format!("`duration({other})`")),
            (Type::Int | Type::Double, Type::Span) if one == "elapsed_time" => {
                error.hint("it counts microseconds: `elapsed_time > 2000000` is two seconds")
            }
            (Type::Map, Type::Text) => {
                error.hint(format!("ask for an entry: `{one}[\"…\"] == {other}`"))
            }
            (Type::List(_), Type::Text) => error.hint(format!("`{other} in {one}`")),
            (Type::Bool, Type::Text) => error.hint(format!("write `{one}` or `!{one}` alone")),
            _ => error,
        }
    }

    /// A function that does not exist, or is not called like this.
    pub(super) fn no_function(&self, syntax: &IdedExpr, name: &str) -> FilterError {
        let shape = match name {
            "contains" | "startsWith" | "endsWith" | "matches" => Some("`path.contains(\"…\")`"),
            "exists" | "all" | "exists_one" | "filter" | "map" => {
                Some("`namespaces.exists(n, n == \"…\")`")
            }
            "map_get" => Some("`map_get(request.headers, \"…\", \"\")`"),
            "has" => Some("`has(response.json.id)`"),
            "now" => Some("`now()`"),
            "duration" => Some("`duration(\"5m\")`"),
            "timestamp" => Some("`timestamp(\"2026-01-02T15:04:05Z\")`"),
            "size" | "int" | "double" | "string" => Some("`size(path)`"),
            "lowerAscii" | "upperAscii" => Some("`method.lowerAscii()`"),
            _ => None,
        };
        if let Some(shape) = shape {
            let message = format!("`{name}` is not called like this");
            return self.error(syntax, message).hint(format!("such as {shape}"));
        }
        let operator = operators::find_operator(name).is_some() || name.starts_with(['_', '@']);
        if operator {
            return self.error(syntax, "an operator that filters do not have".to_owned());
        }
        let lower = name.to_ascii_lowercase();
        let meant = FUNCTION_MISTAKES
            .iter()
            .find(|(mistake, _)| *mistake == lower)
            .map(|(_, meant)| *meant)
            .or_else(|| nearest(name, FUNCTIONS.iter().copied()));
        let error = self.error(
            syntax,
            format!("there is no function `{}`", shortened(name)),
        );
        match meant {
            Some(meant) => error.hint(format!("`{meant}`")),
            None => error.hint(format!("one of: {}", FUNCTIONS.join(", "))),
        }
    }
}
