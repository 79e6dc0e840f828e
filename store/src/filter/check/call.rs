//! Checks operators and functions.

use cel::common::ast::{CallExpr, Expr as Syntax, IdedExpr, operators};
use regex::RegexBuilder;

use super::{Checker, Typed, shortened, words_of};
use crate::filter::FilterError;
use crate::filter::eval::constant;
use crate::filter::expr::{Arithmetic, Comparison, Conversion, Expr, Place, Quantifier};
use crate::filter::suggest::nearest;
use crate::filter::value::{Type, Value};

/// Most memory that a pattern may be compiled to, in bytes.
const MAX_PATTERN_BYTES: usize = 256 * 1024;
/// Deepest nesting of a pattern.
const MAX_PATTERN_NEST: u32 = 32;

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
    pub(super) fn call(
        &mut self,
        syntax: &IdedExpr,
        call: &CallExpr,
    ) -> Result<Typed, FilterError> {
        match (call.target.as_deref(), call.args.as_slice()) {
            (None, [part]) if call.func_name == operators::LOGICAL_NOT => {
                let part = self.condition(part)?;
                Ok(Typed::new(Expr::Not(Box::new(part)), Type::Bool))
            }
            (None, [part]) if call.func_name == operators::NEGATE => self.negated(syntax, part),
            (None, [left, right]) => match self.operator(syntax, &call.func_name, left, right) {
                Some(checked) => checked,
                None => self.function(syntax, call),
            },
            (None, [condition, then, otherwise]) if call.func_name == operators::CONDITIONAL => {
                self.choice(syntax, condition, then, otherwise)
            }
            _ => self.function(syntax, call),
        }
    }

    fn operator(
        &mut self,
        syntax: &IdedExpr,
        name: &str,
        left: &IdedExpr,
        right: &IdedExpr,
    ) -> Option<Result<Typed, FilterError>> {
        let comparison = match name {
            operators::LOGICAL_AND | operators::LOGICAL_OR => {
                return Some(self.connective(name, left, right));
            }
            operators::IN => return Some(self.membership(syntax, left, right)),
            operators::INDEX => return Some(self.indexed(syntax, left, right)),
            operators::ADD => return Some(self.sum(syntax, Arithmetic::Add, left, right)),
            operators::SUBSTRACT => {
                return Some(self.sum(syntax, Arithmetic::Subtract, left, right));
            }
            operators::MULTIPLY => {
                return Some(self.sum(syntax, Arithmetic::Multiply, left, right));
            }
            operators::DIVIDE => return Some(self.sum(syntax, Arithmetic::Divide, left, right)),
            operators::MODULO => return Some(self.sum(syntax, Arithmetic::Remainder, left, right)),
            operators::EQUALS => Comparison::Equal,
            operators::NOT_EQUALS => Comparison::NotEqual,
            operators::LESS => Comparison::Less,
            operators::LESS_EQUALS => Comparison::LessOrEqual,
            operators::GREATER => Comparison::Greater,
            operators::GREATER_EQUALS => Comparison::GreaterOrEqual,
            _ => return None,
        };
        Some(self.comparison(syntax, comparison, left, right))
    }

    /// A part that is true or false.
    fn condition(&mut self, syntax: &IdedExpr) -> Result<Expr, FilterError> {
        let part = self.part(syntax)?;
        match part.r#type {
            Type::Bool | Type::Any => Ok(part.expr),
            other => {
                let written = self.written(syntax);
                let error = self.error(syntax, format!("`{written}` is {other}, not a condition"));
                Err(error.hint(match other {
                    Type::Text => format!("compare it: `{written} == \"…\"`, `{written} != \"\"`"),
                    Type::Map => format!("ask for an entry: `\"…\" in {written}`"),
                    _ => format!("compare it: `{written} == …`"),
                }))
            }
        }
    }

    fn connective(
        &mut self,
        name: &str,
        left: &IdedExpr,
        right: &IdedExpr,
    ) -> Result<Typed, FilterError> {
        let all = name == operators::LOGICAL_AND;
        let mut parts = Vec::new();
        for side in [left, right] {
            match (self.condition(side)?, all) {
                (Expr::All(nested), true) | (Expr::Any(nested), false) => parts.extend(nested),
                (part, _) => parts.push(part),
            }
        }
        let expr = if all {
            Expr::All(parts)
        } else {
            Expr::Any(parts)
        };
        Ok(Typed::new(expr, Type::Bool))
    }

    fn choice(
        &mut self,
        syntax: &IdedExpr,
        condition: &IdedExpr,
        then: &IdedExpr,
        otherwise: &IdedExpr,
    ) -> Result<Typed, FilterError> {
        let condition = self.condition(condition)?;
        let then = self.part(then)?;
        let otherwise = self.part(otherwise)?;
        let r#type = match (then.r#type, otherwise.r#type) {
            (one, other) if one == other => one,
            (one, other) if one.is_number() && other.is_number() => Type::Double,
            (Type::Any, _) | (_, Type::Any) => Type::Any,
            (one, other) => {
                return Err(self.error(
                    syntax,
                    format!("`? :` has to give one type; here it gives {one} or {other}"),
                ));
            }
        };
        let parts = Box::new([condition, then.expr, otherwise.expr]);
        Ok(Typed::new(Expr::Choose(parts), r#type))
    }

    fn comparison(
        &mut self,
        syntax: &IdedExpr,
        comparison: Comparison,
        left_syntax: &IdedExpr,
        right_syntax: &IdedExpr,
    ) -> Result<Typed, FilterError> {
        let left = self.part(left_syntax)?;
        let right = self.part(right_syntax)?;
        let ordering = !matches!(comparison, Comparison::Equal | Comparison::NotEqual);
        if !left.r#type.compares_with(right.r#type) {
            return Err(self.mismatch(syntax, (left_syntax, &left), (right_syntax, &right)));
        }
        if ordering && !(left.r#type.is_ordered() && right.r#type.is_ordered()) {
            let written = self.written(left_syntax);
            return Err(self.error(
                syntax,
                format!("`{written}` is {}, which has no order", left.r#type),
            ));
        }
        for (field, word) in [(&left, &right), (&right, &left)] {
            self.check_word(syntax, &field.expr, &word.expr)?;
        }
        let parts = Box::new([left.expr, right.expr]);
        Ok(Typed::new(Expr::Compare(comparison, parts), Type::Bool))
    }

    fn mismatch(
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
            (Type::Time, Type::Text) => error.hint(format!("`timestamp({other})`")),
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

    /// A field that only ever has a few words is not compared with any other word.
    fn check_word(&self, syntax: &IdedExpr, field: &Expr, word: &Expr) -> Result<(), FilterError> {
        let (Expr::Field(field), Expr::Const(Value::Text(word))) = (field, word) else {
            return Ok(());
        };
        let Some(words) = words_of(*field) else {
            return Ok(());
        };
        if words.contains(&word.as_ref()) {
            return Ok(());
        }
        let error = self.error(syntax, format!("{:?} never occurs here", shortened(word)));
        Err(match nearest(word, words.iter().copied()) {
            Some(near) => error.hint(format!("\"{near}\"")),
            None => error.hint(format!("one of: {}", words.join(", "))),
        })
    }

    fn membership(
        &mut self,
        syntax: &IdedExpr,
        item_syntax: &IdedExpr,
        holder_syntax: &IdedExpr,
    ) -> Result<Typed, FilterError> {
        let item = self.part(item_syntax)?;
        let holder = self.part(holder_syntax)?;
        let (one, other) = (self.written(item_syntax), self.written(holder_syntax));
        let fits = match holder.r#type {
            Type::Map => matches!(item.r#type, Type::Text | Type::Any),
            Type::List(held) => held.compares_with(item.r#type),
            Type::Any => true,
            Type::Text => {
                let error = self.error(
                    syntax,
                    format!("`{other}` is text; `in` asks lists and maps"),
                );
                return Err(error.hint(format!("`{other}.contains({one})`")));
            }
            _ => false,
        };
        if !fits {
            return Err(self.error(
                syntax,
                format!(
                    "`{one}` is {}; it can never be in `{other}`, which is {}",
                    item.r#type, holder.r#type
                ),
            ));
        }
        if let Expr::List(words) = &holder.expr {
            for word in words {
                self.check_word(syntax, &item.expr, word)?;
            }
        }
        Ok(Typed::new(
            Expr::In(Box::new([item.expr, holder.expr])),
            Type::Bool,
        ))
    }

    fn indexed(
        &mut self,
        syntax: &IdedExpr,
        holder_syntax: &IdedExpr,
        key_syntax: &IdedExpr,
    ) -> Result<Typed, FilterError> {
        let holder = self.part(holder_syntax)?;
        let key = self.part(key_syntax)?;
        let r#type = match (holder.r#type, key.r#type) {
            (Type::Map, Type::Text | Type::Any) => Type::Text,
            (Type::List(item), Type::Int | Type::Any) => *item,
            (Type::Any, Type::Text | Type::Int | Type::Any) => Type::Any,
            (held, by) => {
                let written = self.written(holder_syntax);
                return Err(self.error(
                    syntax,
                    format!("`{written}` is {held}; nothing in it is found by {by}"),
                ));
            }
        };
        Ok(Typed::new(
            Expr::Entry(Box::new([holder.expr, key.expr])),
            r#type,
        ))
    }

    fn negated(&mut self, syntax: &IdedExpr, part: &IdedExpr) -> Result<Typed, FilterError> {
        let part = self.part(part)?;
        match part.r#type {
            Type::Int | Type::Double | Type::Span | Type::Any => Ok(folded(Typed::new(
                Expr::Negate(Box::new(part.expr)),
                part.r#type,
            ))),
            other => Err(self.error(syntax, format!("`-` is asked of {other}"))),
        }
    }

    fn sum(
        &mut self,
        syntax: &IdedExpr,
        operation: Arithmetic,
        left: &IdedExpr,
        right: &IdedExpr,
    ) -> Result<Typed, FilterError> {
        use Arithmetic::{Add, Remainder, Subtract};
        let left = self.part(left)?;
        let right = self.part(right)?;
        let r#type = match (left.r#type, operation, right.r#type) {
            (Type::Int, _, Type::Int) => Type::Int,
            (Type::Int | Type::Double, op, Type::Int | Type::Double) if op != Remainder => {
                Type::Double
            }
            (Type::Text, Add, Type::Text) => Type::Text,
            (Type::Time, Add | Subtract, Type::Span) | (Type::Span, Add, Type::Time) => Type::Time,
            (Type::Time, Subtract, Type::Time) | (Type::Span, Add | Subtract, Type::Span) => {
                Type::Span
            }
            (Type::Any, ..) | (.., Type::Any) => Type::Any,
            (one, _, other) => {
                let error = self.error(syntax, format!("arithmetic with {one} and {other}"));
                return Err(match (one, other) {
                    (Type::Time, Type::Text | Type::Int) => {
                        error.hint("such as `now() - duration(\"5m\")`")
                    }
                    _ => error,
                });
            }
        };
        let parts = Box::new([left.expr, right.expr]);
        Ok(folded(Typed::new(
            Expr::Arithmetic(operation, parts),
            r#type,
        )))
    }

    fn function(&mut self, syntax: &IdedExpr, call: &CallExpr) -> Result<Typed, FilterError> {
        let parts: Vec<&IdedExpr> = call
            .target
            .as_deref()
            .into_iter()
            .chain(&call.args)
            .collect();
        let name = call.func_name.as_str();
        let on_target = call.target.is_some();
        match (name, on_target, parts.as_slice()) {
            ("size", _, [part]) => self.size(syntax, part),
            ("has", false, [part]) => self.presence(syntax, part),
            ("contains", true, [text, part]) => self.search(Place::Anywhere, text, part),
            ("startsWith", true, [text, part]) => self.search(Place::Start, text, part),
            ("endsWith", true, [text, part]) => self.search(Place::End, text, part),
            ("matches", _, [text, pattern]) => self.matched(text, pattern),
            ("exists", true, [items, variable, question]) => {
                self.each(Quantifier::Exists, items, variable, question)
            }
            ("all", true, [items, variable, question]) => {
                self.each(Quantifier::All, items, variable, question)
            }
            ("exists_one", true, [items, variable, question]) => {
                self.each(Quantifier::ExistsOne, items, variable, question)
            }
            ("filter", true, [items, variable, question]) => {
                self.each(Quantifier::Filter, items, variable, question)
            }
            ("map", true, [items, variable, question]) => {
                self.each(Quantifier::Map, items, variable, question)
            }
            ("map_get", _, [map, key, default]) => self.map_get(syntax, map, key, default),
            ("now", false, []) => Ok(Typed::new(
                Expr::Const(Value::Time(self.now_ns)),
                Type::Time,
            )),
            ("duration", false, [part]) => self.converted(Conversion::Span, Type::Span, part),
            ("timestamp", false, [part]) => self.converted(Conversion::Time, Type::Time, part),
            ("int", false, [part]) => self.converted(Conversion::Int, Type::Int, part),
            ("double", false, [part]) => self.converted(Conversion::Double, Type::Double, part),
            ("string", false, [part]) => self.converted(Conversion::Text, Type::Text, part),
            ("lowerAscii", true, [part]) => {
                let text = self.text(part)?;
                let lower = Expr::Convert(Conversion::Lower, Box::new(text));
                Ok(Typed::new(lower, Type::Text))
            }
            ("upperAscii", true, [part]) => {
                let text = self.text(part)?;
                let upper = Expr::Convert(Conversion::Upper, Box::new(text));
                Ok(Typed::new(upper, Type::Text))
            }
            _ => Err(self.no_function(syntax, name)),
        }
    }

    fn no_function(&self, syntax: &IdedExpr, name: &str) -> FilterError {
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

    fn text(&mut self, syntax: &IdedExpr) -> Result<Expr, FilterError> {
        let part = self.part(syntax)?;
        match part.r#type {
            Type::Text | Type::Any => Ok(part.expr),
            other => {
                let written = self.written(syntax);
                let error = self.error(syntax, format!("`{written}` is {other}, not text"));
                Err(match other {
                    Type::Int => error.hint(format!("compare it: `{written} == …`")),
                    Type::Map => error.hint(format!("ask for an entry: `{written}[\"…\"]`")),
                    Type::List(_) => error.hint(format!("`\"…\" in {written}`")),
                    _ => error,
                })
            }
        }
    }

    fn search(
        &mut self,
        place: Place,
        text: &IdedExpr,
        part: &IdedExpr,
    ) -> Result<Typed, FilterError> {
        let parts = Box::new([self.text(text)?, self.text(part)?]);
        Ok(Typed::new(Expr::Text(place, parts), Type::Bool))
    }

    fn matched(&mut self, text: &IdedExpr, pattern: &IdedExpr) -> Result<Typed, FilterError> {
        let text = self.text(text)?;
        let checked = self.part(pattern)?;
        let Expr::Const(Value::Text(written)) = checked.expr else {
            return Err(self.error(
                pattern,
                "a pattern has to be written out, in quotes".to_owned(),
            ));
        };
        let compiled = RegexBuilder::new(&written)
            .size_limit(MAX_PATTERN_BYTES)
            .dfa_size_limit(MAX_PATTERN_BYTES)
            .nest_limit(MAX_PATTERN_NEST)
            .build();
        match compiled {
            Ok(regex) => Ok(Typed::new(Expr::Matches(Box::new(text), regex), Type::Bool)),
            Err(regex::Error::CompiledTooBig(_)) => Err(self
                .error(
                    pattern,
                    "the pattern is too large when worked out".to_owned(),
                )
                .hint("repeat less: `{1000}` multiplies")),
            Err(error) => {
                let why = error.to_string();
                let why = why
                    .lines()
                    .last()
                    .unwrap_or("")
                    .trim_start_matches("error: ")
                    .to_owned();
                Err(self.error(pattern, format!("the pattern cannot be read: {why}")))
            }
        }
    }

    fn size(&mut self, syntax: &IdedExpr, part: &IdedExpr) -> Result<Typed, FilterError> {
        let part = self.part(part)?;
        match part.r#type {
            Type::Text | Type::List(_) | Type::Map | Type::Any => {
                Ok(Typed::new(Expr::Size(Box::new(part.expr)), Type::Int))
            }
            other => Err(self.error(syntax, format!("`size` is asked of {other}"))),
        }
    }

    fn presence(&mut self, syntax: &IdedExpr, part: &IdedExpr) -> Result<Typed, FilterError> {
        let part = self.part(part)?;
        match part.expr {
            Expr::Entry(_) | Expr::Field(_) => {
                Ok(Typed::new(Expr::Has(Box::new(part.expr)), Type::Bool))
            }
            _ => Err(self
                .error(
                    syntax,
                    "`has` asks for a part of a map or of JSON".to_owned(),
                )
                .hint("such as `has(response.json.id)`")),
        }
    }

    fn map_get(
        &mut self,
        syntax: &IdedExpr,
        map: &IdedExpr,
        key: &IdedExpr,
        default: &IdedExpr,
    ) -> Result<Typed, FilterError> {
        let map = self.part(map)?;
        let key = self.text(key)?;
        let default = self.part(default)?;
        let r#type = match (map.r#type, default.r#type) {
            (Type::Map, Type::Text) => Type::Text,
            (Type::Map, Type::Any) | (Type::Any, _) => Type::Any,
            (Type::Map, other) => {
                return Err(self
                    .error(
                        syntax,
                        format!("the map holds texts, but the default is {other}"),
                    )
                    .hint("give a text, such as \"\""));
            }
            (other, _) => return Err(self.error(syntax, format!("`map_get` is asked of {other}"))),
        };
        let entry = Expr::Entry(Box::new([map.expr, key]));
        Ok(Typed::new(
            Expr::OrElse(Box::new([entry, default.expr])),
            r#type,
        ))
    }

    fn converted(
        &mut self,
        conversion: Conversion,
        to: Type,
        syntax: &IdedExpr,
    ) -> Result<Typed, FilterError> {
        let part = self.part(syntax)?;
        let fits = match (conversion, part.r#type) {
            (_, Type::Any | Type::Text) => true,
            (Conversion::Int, from) => from.is_number() || from == Type::Time,
            (Conversion::Double, from) => from.is_number(),
            (Conversion::Text, from) => from.is_number() || from == Type::Bool,
            (Conversion::Time, from) => matches!(from, Type::Time | Type::Int),
            (Conversion::Span, from) => from == Type::Span,
            (Conversion::Lower | Conversion::Upper, _) => false,
        };
        let written = self.written(syntax);
        if !fits {
            return Err(self.error(syntax, format!("`{written}` is {}, not {to}", part.r#type)));
        }
        let is_literal = matches!(part.expr, Expr::Const(_));
        let checked = folded(Typed::new(
            Expr::Convert(conversion, Box::new(part.expr)),
            to,
        ));
        if is_literal && !matches!(checked.expr, Expr::Const(_)) {
            let error = self.error(syntax, format!("`{written}` is not {to}"));
            return Err(match conversion {
                Conversion::Span => error.hint("such as \"5m\", \"1.5s\" or \"200ms\""),
                Conversion::Time => error.hint("such as \"2026-01-02T15:04:05Z\""),
                _ => error,
            });
        }
        Ok(checked)
    }

    fn each(
        &mut self,
        quantifier: Quantifier,
        items_syntax: &IdedExpr,
        variable: &IdedExpr,
        question: &IdedExpr,
    ) -> Result<Typed, FilterError> {
        let Syntax::Ident(name) = &variable.expr else {
            return Err(self
                .error(
                    variable,
                    "the first argument is a new name for each item".to_owned(),
                )
                .hint("such as `namespaces.exists(n, n == \"…\")`"));
        };
        let items = self.part(items_syntax)?;
        let item = match items.r#type {
            Type::List(item) => *item,
            Type::Map => Type::Text,
            Type::Any => Type::Any,
            other => {
                let written = self.written(items_syntax);
                return Err(self.error(items_syntax, format!("`{written}` is {other}, not a list")));
            }
        };
        self.variables.push((name.clone(), item));
        let asked = match quantifier {
            Quantifier::Map => self.part(question),
            _ => self
                .condition(question)
                .map(|expr| Typed::new(expr, Type::Bool)),
        };
        self.variables.pop();
        let asked = asked?;
        let r#type = match quantifier {
            Quantifier::Filter => item.list_of(),
            Quantifier::Map => asked.r#type.list_of(),
            _ => Type::Bool,
        };
        let parts = Box::new([items.expr, asked.expr]);
        Ok(Typed::new(Expr::Each(quantifier, parts), r#type))
    }
}

/// A part that is the same for every call, worked out once.
fn folded(typed: Typed) -> Typed {
    match constant(&typed.expr) {
        Some(value) => Typed::new(Expr::Const(value), typed.r#type),
        None => typed,
    }
}
