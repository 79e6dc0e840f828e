//! From the syntax tree of a filter to a checked one: every name exists, every type fits.

mod explain;
mod function;
mod operator;

use cel::common::ast::{Expr as Syntax, IdedExpr, LiteralValue, SourceInfo};

use super::FilterError;
use super::eval::constant;
use super::expr::Expr;
use super::scan::RESERVED;
use super::value::{Type, Value};
use super::vocabulary::{self, Field};

/// A part that was checked.
struct Typed {
    expr: Expr,
    r#type: Type,
}

impl Typed {
    fn new(expr: Expr, r#type: Type) -> Self {
        Self { expr, r#type }
    }
}

/// Checks a whole filter, which has to be true or false of a call.
pub(crate) fn check(
    syntax: &IdedExpr,
    places: &SourceInfo,
    source: &str,
    now_ns: i64,
) -> Result<Expr, FilterError> {
    let mut checker = Checker {
        places,
        source,
        now_ns,
        variables: Vec::new(),
        depth: 0,
    };
    let filter = checker.part(syntax)?;
    match filter.r#type {
        Type::Bool | Type::Any => Ok(filter.expr),
        other => {
            let error = FilterError::new(format!(
                "a filter is true or false for each call; this one is {other}"
            ));
            Err(match &syntax.expr {
                Syntax::Literal(_) => error,
                _ => error.hint(format!("compare it: `{} == …`", source.trim())),
            })
        }
    }
}

struct Checker<'a> {
    places: &'a SourceInfo,
    source: &'a str,
    now_ns: i64,
    variables: Vec<(String, Type)>,
    depth: usize,
}

/// Deepest tree; checking and asking recurse this far.
const MAX_TREE_DEPTH: usize = 64;

impl Checker<'_> {
    fn part(&mut self, syntax: &IdedExpr) -> Result<Typed, FilterError> {
        if self.depth == MAX_TREE_DEPTH {
            return Err(self.error(syntax, "the filter is nested too deeply".to_owned()));
        }
        self.depth += 1;
        let part = self.part_within(syntax);
        self.depth -= 1;
        part
    }

    fn part_within(&mut self, syntax: &IdedExpr) -> Result<Typed, FilterError> {
        match &syntax.expr {
            Syntax::Literal(literal) => self.literal(syntax, literal),
            Syntax::Ident(_) => self.named(syntax),
            Syntax::Select(select) if !select.test => self.named(syntax),
            Syntax::Call(call) => self.call(syntax, call),
            Syntax::List(list) => {
                let mut types = Vec::new();
                let mut parts = Vec::new();
                for element in &list.elements {
                    let part = self.part(element)?;
                    types.push(part.r#type);
                    parts.push(part.expr);
                }
                let item = match types.split_first() {
                    Some((first, rest)) if rest.iter().all(|other| other == first) => *first,
                    _ => Type::Any,
                };
                Ok(Typed::new(Expr::List(parts), item.list_of()))
            }
            Syntax::Map(_) | Syntax::Struct(_) => {
                Err(self.error(syntax, "a filter cannot make maps".to_owned()))
            }
            Syntax::Select(_) | Syntax::Comprehension(_) | Syntax::Unspecified => {
                Err(self.error(syntax, "this cannot be read".to_owned()))
            }
        }
    }

    fn literal(&self, syntax: &IdedExpr, literal: &LiteralValue) -> Result<Typed, FilterError> {
        let (value, r#type) = match literal {
            LiteralValue::Boolean(value) => (Value::Bool(*value.inner()), Type::Bool),
            LiteralValue::Int(value) => (Value::Int(*value.inner()), Type::Int),
            LiteralValue::UInt(value) => match i64::try_from(*value.inner()) {
                Ok(value) => (Value::Int(value), Type::Int),
                Err(_) => return Err(self.error(syntax, "the number is too large".to_owned())),
            },
            LiteralValue::Double(value) => (Value::Double(*value.inner()), Type::Double),
            LiteralValue::String(text) => (Value::owned(text.inner().to_owned()), Type::Text),
            LiteralValue::Null => (Value::Null, Type::Null),
            LiteralValue::Bytes(_) => {
                return Err(self
                    .error(syntax, "a filter knows no bytes, only text".to_owned())
                    .hint("leave out the b before the quote"));
            }
        };
        Ok(Typed::new(Expr::Const(value), r#type))
    }

    /// A name, dotted or not, or a selection from what something else gives.
    fn named(&mut self, syntax: &IdedExpr) -> Result<Typed, FilterError> {
        let Some(segments) = segments(syntax) else {
            let Syntax::Select(select) = &syntax.expr else {
                return Err(self.error(syntax, "this cannot be read".to_owned()));
            };
            let holder = self.part(&select.operand)?;
            return self.selected(syntax, holder, &select.field);
        };
        let (mut found, used) = match self.variable(&segments) {
            Some(variable) => (variable, 1),
            None => self.longest_name(syntax, &segments)?,
        };
        for field in segments.iter().skip(used) {
            found = self.selected(syntax, found, field)?;
        }
        Ok(found)
    }

    fn variable(&self, segments: &[&str]) -> Option<Typed> {
        let first = segments.first()?;
        let index = self.variables.iter().rposition(|(name, _)| name == first)?;
        let (_, r#type) = self.variables.get(index)?;
        Some(Typed::new(Expr::Variable(index), *r#type))
    }

    /// The longest beginning of a dotted name that the vocabulary has, and how many segments it takes.
    fn longest_name(
        &self,
        syntax: &IdedExpr,
        segments: &[&str],
    ) -> Result<(Typed, usize), FilterError> {
        for used in (1..=segments.len()).rev() {
            let name = segments.get(..used).unwrap_or_default().join(".");
            if let Some(known) = vocabulary::find(&name) {
                return Ok((Typed::new(Expr::Field(known.field), known.r#type), used));
            }
            if vocabulary::UNRECORDED_PROTOCOLS.contains(&name.as_str()) {
                let never = Expr::Const(Value::Bool(false));
                return Ok((Typed::new(never, Type::Bool), used));
            }
        }
        let name = segments.join(".");
        let parts = vocabulary::parts_of(&name);
        if !parts.is_empty() {
            return Err(self
                .error(syntax, format!("`{name}` is an object"))
                .hint(format!("compare one of its parts: {}", parts.join(", "))));
        }
        let error = self.error(syntax, format!("there is no `{}`", shortened(&name)));
        Err(match vocabulary::meant_by(&name) {
            Some(meant) => error.hint(format!("`{meant}`")),
            None => match segments.first().map(|first| vocabulary::parts_of(first)) {
                Some(parts) if !parts.is_empty() => {
                    error.hint(format!("one of: {}", parts.join(", ")))
                }
                _ if is_shouted(&name) => {
                    error.hint(format!("a text is quoted: `\"{}\"`", shortened(&name)))
                }
                _ => error.hint(EXAMPLES),
            },
        })
    }

    fn selected(
        &self,
        syntax: &IdedExpr,
        holder: Typed,
        field: &str,
    ) -> Result<Typed, FilterError> {
        let r#type = match holder.r#type {
            Type::Map => Type::Text,
            Type::Any => Type::Any,
            other => {
                return Err(self.error(
                    syntax,
                    format!(
                        "`.{}` is asked of {other}, which has no parts",
                        shortened(field)
                    ),
                ));
            }
        };
        let key = Expr::Const(Value::owned(field.to_owned()));
        Ok(Typed::new(
            Expr::Entry(Box::new([holder.expr, key])),
            r#type,
        ))
    }

    fn error(&self, syntax: &IdedExpr, message: String) -> FilterError {
        let before = self
            .places
            .offset_for(syntax.id)
            .and_then(|(start, _)| self.source.get(..start as usize));
        match before {
            Some(before) => FilterError::at(before.chars().count() + 1, message),
            None => FilterError::new(message),
        }
    }

    /// The text that a part was written as, for messages.
    fn written(&self, syntax: &IdedExpr) -> String {
        if let Some(segments) = segments(syntax) {
            return segments.join(".");
        }
        let literal = match &syntax.expr {
            Syntax::Literal(_) => self.places.offset_for(syntax.id),
            _ => None,
        };
        literal
            .and_then(|(start, stop)| self.source.get(start as usize..=stop as usize))
            .filter(|text| text.len() <= MAX_QUOTED_BYTES)
            .unwrap_or("…")
            .to_owned()
    }
}

/// Longest part of a filter that a message repeats.
const MAX_QUOTED_BYTES: usize = 60;

const EXAMPLES: &str =
    "names are such as `http`, `method`, `path`, `status`, `src.name`, `request.headers[\"…\"]`";

/// The segments of a dotted name, root first; `None` for anything else.
fn segments(syntax: &IdedExpr) -> Option<Vec<&str>> {
    let mut segments = Vec::new();
    let mut part = syntax;
    loop {
        match &part.expr {
            Syntax::Ident(name) => {
                let (reserved, instead) = RESERVED;
                let name = name.trim_start_matches('.');
                segments.push(if name == instead { reserved } else { name });
                segments.reverse();
                return Some(segments);
            }
            Syntax::Select(select) if !select.test => {
                segments.push(select.field.as_str());
                part = &select.operand;
            }
            _ => return None,
        }
    }
}

/// Whether `name` looks like the value of something, such as `GET`, and not like a name.
fn is_shouted(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// A name from a filter, short enough for a message.
fn shortened(name: &str) -> String {
    name.chars().take(60).collect()
}

/// The words that a field can be equal to, for the fields that have only a few.
fn words_of(field: Field) -> Option<Vec<&'static str>> {
    use crate::call::{CallError, Engine, Leg, MessageKind, Protocol, State};
    Some(match field {
        Field::Protocol => Protocol::ALL.iter().map(|word| word.as_str()).collect(),
        Field::GrpcStatusName => crate::grpc::status_names().collect(),
        Field::WsOpcode => {
            let ofs = MessageKind::ALL
                .iter()
                .filter(|kind| kind.is_of_websocket());
            ofs.map(|kind| kind.as_str()).collect()
        }
        Field::Leg => Leg::ALL.iter().map(|word| word.as_str()).collect(),
        Field::Engine => Engine::ALL.iter().map(|word| word.as_str()).collect(),
        Field::State => State::ALL.iter().map(|word| word.as_str()).collect(),
        Field::Error => {
            let none = std::iter::once("");
            none.chain(CallError::ALL.iter().map(|word| word.as_str()))
                .collect()
        }
        _ => return None,
    })
}

/// A part that is the same for every call, worked out once.
fn folded(typed: Typed) -> Typed {
    match constant(&typed.expr) {
        Some(value) => Typed::new(Expr::Const(value), typed.r#type),
        None => typed,
    }
}
