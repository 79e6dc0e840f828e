//! Checks functions, and the macros of CEL, which are functions here.

use cel::common::ast::{CallExpr, Expr as Syntax, IdedExpr};
use regex::RegexBuilder;

use super::{Checker, Typed, folded};
use crate::filter::FilterError;
use crate::filter::expr::{Conversion, Expr, Place, Quantifier};
use crate::filter::value::{Type, Value};

/// Most memory that a pattern may be compiled to, in bytes.
const MAX_PATTERN_BYTES: usize = 256 * 1024;
/// Deepest nesting of a pattern.
const MAX_PATTERN_NEST: u32 = 32;

impl Checker<'_> {
    pub(super) fn function(
        &mut self,
        syntax: &IdedExpr,
        call: &CallExpr,
    ) -> Result<Typed, FilterError> {
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
