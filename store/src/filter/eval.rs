//! What a checked filter gives for the facts of one call.
//!
//! Absence is a value of its own and spreads like an error does in CEL: `&&` and `||` decide without
//! it where they can, and a filter that ends in it does not match. Facts that are not at hand spread in
//! the same way, so that the same code tells "no", "yes" and "look at the whole call".

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::cmp::Ordering;

use serde_json::Value as Json;

use super::expr::{Arithmetic, Comparison, Conversion, Expr, Place, Quantifier};
use super::value::Value;
use super::vocabulary::Field;
use super::{FilterError, literal};

/// Most steps that a filter may take for one call. A step is a part of the filter looked at, or 64
/// bytes of text searched.
const MAX_STEPS: u32 = 200_000;

/// Where the facts of a call come from.
pub(crate) trait Facts {
    /// The value of a field; [`Value::Map`] for a map.
    fn value(&self, field: Field) -> Value<'_>;

    /// What the map named by `field` holds under `key`.
    fn entry(&self, field: Field, key: &str) -> Value<'_>;

    /// The keys of the map named by `field`; `None` if the facts do not tell.
    fn keys(&self, field: Field) -> Option<Vec<String>>;
}

/// No facts at all: for what is the same in every call.
pub(crate) struct NoFacts;

impl Facts for NoFacts {
    fn value(&self, _: Field) -> Value<'_> {
        Value::Unknown
    }

    fn entry(&self, _: Field, _: &str) -> Value<'_> {
        Value::Unknown
    }

    fn keys(&self, _: Field) -> Option<Vec<String>> {
        None
    }
}

/// What a filter says of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Truth {
    No,
    Yes,
    /// Something that the filter asks for is absent; nothing decides without it.
    Absent,
    /// The facts at hand do not tell.
    Unknown,
}

impl Truth {
    pub(crate) fn of(value: &Value<'_>) -> Self {
        match value {
            Value::Bool(true) => Self::Yes,
            Value::Bool(false) => Self::No,
            Value::Unknown => Self::Unknown,
            _ => Self::Absent,
        }
    }

    pub(crate) fn negated(self) -> Self {
        match self {
            Self::No => Self::Yes,
            Self::Yes => Self::No,
            other => other,
        }
    }

    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::Absent, _) | (_, Self::Absent) => Self::Absent,
            (Self::Yes, Self::Yes) => Self::Yes,
        }
    }

    pub(crate) fn or(self, other: Self) -> Self {
        self.negated().and(other.negated()).negated()
    }
}

/// What `expr` says of the call with these facts.
pub(crate) fn truth(expr: &Expr, facts: &impl Facts) -> Result<Truth, FilterError> {
    let evaluation = Evaluation {
        facts,
        steps: Cell::new(0),
        variables: RefCell::new(Vec::new()),
    };
    let value = evaluation.value(expr);
    if evaluation.steps.get() > MAX_STEPS {
        return Err(
            FilterError::new("the filter takes too many steps on one call".to_owned())
                .hint("nest `exists` and `all` less"),
        );
    }
    Ok(Truth::of(&value))
}

/// The value of `expr` if it is the same for every call.
pub(crate) fn constant(expr: &Expr) -> Option<Value<'static>> {
    let evaluation = Evaluation {
        facts: &NoFacts,
        steps: Cell::new(0),
        variables: RefCell::new(Vec::new()),
    };
    match evaluation.value(expr) {
        Value::Bool(value) => Some(Value::Bool(value)),
        Value::Int(value) => Some(Value::Int(value)),
        Value::Double(value) => Some(Value::Double(value)),
        Value::Text(text) => Some(Value::owned(text.into_owned())),
        Value::Time(value) => Some(Value::Time(value)),
        Value::Span(value) => Some(Value::Span(value)),
        _ => None,
    }
}

struct Evaluation<'a, F> {
    facts: &'a F,
    steps: Cell<u32>,
    variables: RefCell<Vec<Value<'a>>>,
}

impl<'a, F: Facts> Evaluation<'a, F> {
    fn value(&self, expr: &'a Expr) -> Value<'a> {
        if self.exhausted(1) {
            return Value::Absent;
        }
        match expr {
            Expr::Const(value) => value.clone(),
            Expr::Field(field) => self.facts.value(*field),
            Expr::Variable(index) => {
                let variables = self.variables.borrow();
                variables.get(*index).cloned().unwrap_or(Value::Absent)
            }
            Expr::Entry(parts) => {
                let [holder, key] = parts.as_ref();
                self.entry(self.value(holder), &self.value(key))
            }
            Expr::Has(part) => match self.value(part) {
                Value::Absent => Value::Bool(false),
                Value::Unknown => Value::Unknown,
                _ => Value::Bool(true),
            },
            Expr::Not(part) => match self.value(part) {
                Value::Bool(value) => Value::Bool(!value),
                other => Value::none_of(&[&other]),
            },
            Expr::All(parts) => self.decide(parts.iter().map(|part| self.value(part)), false),
            Expr::Any(parts) => self.decide(parts.iter().map(|part| self.value(part)), true),
            Expr::Choose(parts) => {
                let [condition, then, otherwise] = parts.as_ref();
                match self.value(condition) {
                    Value::Bool(true) => self.value(then),
                    Value::Bool(false) => self.value(otherwise),
                    other => Value::none_of(&[&other]),
                }
            }
            Expr::Compare(comparison, parts) => {
                let [left, right] = parts.as_ref();
                compare(*comparison, &self.value(left), &self.value(right))
            }
            Expr::In(parts) => {
                let [item, holder] = parts.as_ref();
                self.holds(self.value(holder), &self.value(item))
            }
            Expr::Arithmetic(operation, parts) => {
                let [left, right] = parts.as_ref();
                self.arithmetic(*operation, self.value(left), self.value(right))
            }
            Expr::Negate(part) => match self.value(part) {
                Value::Int(value) => value.checked_neg().map_or(Value::Absent, Value::Int),
                Value::Double(value) => Value::Double(-value),
                Value::Span(value) => value.checked_neg().map_or(Value::Absent, Value::Span),
                other => Value::none_of(&[&other]),
            },
            Expr::Text(place, parts) => {
                let [text, part] = parts.as_ref();
                self.search(*place, &self.value(text), &self.value(part))
            }
            Expr::Matches(text, pattern) => match self.value(text) {
                Value::Text(text) if self.exhausted_by(text.len()) => Value::Absent,
                Value::Text(text) => Value::Bool(pattern.is_match(&text)),
                other => Value::none_of(&[&other]),
            },
            Expr::Size(part) => self.size(&self.value(part)),
            Expr::Convert(conversion, part) => convert(*conversion, self.value(part)),
            Expr::List(parts) => Value::List(parts.iter().map(|part| self.value(part)).collect()),
            Expr::Each(quantifier, parts) => {
                let [items, question] = parts.as_ref();
                match self.items(self.value(items)) {
                    Ok(items) => self.each(*quantifier, items, question),
                    Err(none) => none,
                }
            }
            Expr::OrElse(parts) => {
                let [first, second] = parts.as_ref();
                match self.value(first) {
                    Value::Absent => self.value(second),
                    other => other,
                }
            }
        }
    }

    /// Counts steps; true once there were too many, and then nothing more is worked out.
    fn exhausted(&self, steps: u32) -> bool {
        self.steps.set(self.steps.get().saturating_add(steps));
        self.steps.get() > MAX_STEPS
    }

    fn exhausted_by(&self, bytes: usize) -> bool {
        self.exhausted(u32::try_from(bytes / 64).unwrap_or(u32::MAX))
    }

    /// `&&` over the values for `deciding` false, `||` for true: the deciding value decides whatever
    /// the others are.
    fn decide(&self, values: impl Iterator<Item = Value<'a>>, deciding: bool) -> Value<'a> {
        let mut undecided = Value::Bool(!deciding);
        for value in values {
            match (value, &undecided) {
                (Value::Bool(value), _) if value == deciding => return Value::Bool(deciding),
                (Value::Bool(_), _) => {}
                (Value::Unknown, _) => undecided = Value::Unknown,
                (_, Value::Unknown) => {}
                _ => undecided = Value::Absent,
            }
        }
        undecided
    }

    fn entry(&self, holder: Value<'a>, key: &Value<'a>) -> Value<'a> {
        match (holder, key) {
            (Value::Map(field), Value::Text(key)) => self.facts.entry(field, key),
            (Value::Json(Json::Object(object)), Value::Text(key)) => {
                object.get(key.as_ref()).map_or(Value::Absent, Value::json)
            }
            (Value::Json(Json::Array(items)), Value::Int(index)) => usize::try_from(*index)
                .ok()
                .and_then(|index| items.get(index))
                .map_or(Value::Absent, Value::json),
            (Value::List(items), Value::Int(index)) => usize::try_from(*index)
                .ok()
                .and_then(|index| items.into_iter().nth(index))
                .unwrap_or(Value::Absent),
            (holder, key) => Value::none_of(&[&holder, key]),
        }
    }

    fn holds(&self, holder: Value<'a>, item: &Value<'a>) -> Value<'a> {
        match (holder, item) {
            (Value::Map(field), Value::Text(key)) => match self.facts.entry(field, key) {
                Value::Unknown => Value::Unknown,
                Value::Absent => Value::Bool(false),
                _ => Value::Bool(true),
            },
            (Value::Json(Json::Object(object)), Value::Text(key)) => {
                Value::Bool(object.contains_key(key.as_ref()))
            }
            (holder @ (Value::List(_) | Value::Json(Json::Array(_))), item) => {
                match self.items(holder) {
                    Ok(items) => {
                        if self.exhausted(u32::try_from(items.len()).unwrap_or(u32::MAX)) {
                            return Value::Absent;
                        }
                        self.decide(items.iter().map(|other| equal(item, other)), true)
                    }
                    Err(none) => none,
                }
            }
            (holder, item) => Value::none_of(&[&holder, item]),
        }
    }

    /// The items that a comprehension goes over: those of a list, the keys of a map.
    fn items(&self, holder: Value<'a>) -> Result<Vec<Value<'a>>, Value<'a>> {
        match holder {
            Value::List(items) => Ok(items),
            Value::Json(Json::Array(items)) => Ok(items.iter().map(Value::json).collect()),
            Value::Json(Json::Object(object)) => {
                Ok(object.keys().map(|key| Value::text(key)).collect())
            }
            Value::Map(field) => match self.facts.keys(field) {
                Some(keys) => Ok(keys.into_iter().map(Value::owned).collect()),
                None => Err(Value::Unknown),
            },
            other => Err(Value::none_of(&[&other])),
        }
    }

    fn each(&self, quantifier: Quantifier, items: Vec<Value<'a>>, question: &'a Expr) -> Value<'a> {
        let answers = items.into_iter().map_while(|item| {
            if self.exhausted(1) {
                return None;
            }
            self.variables.borrow_mut().push(item.clone());
            let answer = self.value(question);
            self.variables.borrow_mut().pop();
            Some((item, answer))
        });
        match quantifier {
            Quantifier::All => self.decide(answers.map(|(_, answer)| answer), false),
            Quantifier::Exists => self.decide(answers.map(|(_, answer)| answer), true),
            Quantifier::Map => Value::List(answers.map(|(_, answer)| answer).collect()),
            Quantifier::ExistsOne | Quantifier::Filter => {
                let mut chosen = Vec::new();
                for (item, answer) in answers {
                    match answer {
                        Value::Bool(true) => chosen.push(item),
                        Value::Bool(false) => {}
                        other => return Value::none_of(&[&other]),
                    }
                }
                match quantifier {
                    Quantifier::Filter => Value::List(chosen),
                    _ => Value::Bool(chosen.len() == 1),
                }
            }
        }
    }

    fn size(&self, value: &Value<'a>) -> Value<'a> {
        let size = match value {
            Value::Text(text) if self.exhausted_by(text.len()) => return Value::Absent,
            Value::Text(text) => text.chars().count(),
            Value::List(items) => items.len(),
            Value::Json(Json::Array(items)) => items.len(),
            Value::Json(Json::Object(object)) => object.len(),
            Value::Map(field) => match self.facts.keys(*field) {
                Some(keys) => keys.len(),
                None => return Value::Unknown,
            },
            other => return Value::none_of(&[other]),
        };
        i64::try_from(size).map_or(Value::Absent, Value::Int)
    }

    fn search(&self, place: Place, text: &Value<'a>, part: &Value<'a>) -> Value<'a> {
        match (text, part) {
            (Value::Text(text), Value::Text(part)) => {
                if self.exhausted_by(text.len()) {
                    return Value::Absent;
                }
                Value::Bool(match place {
                    Place::Start => text.starts_with(part.as_ref()),
                    Place::End => text.ends_with(part.as_ref()),
                    Place::Anywhere => {
                        memchr::memmem::find(text.as_bytes(), part.as_bytes()).is_some()
                    }
                })
            }
            _ => Value::none_of(&[text, part]),
        }
    }

    fn arithmetic(&self, operation: Arithmetic, left: Value<'a>, right: Value<'a>) -> Value<'a> {
        match (left, right) {
            (Value::Int(left), Value::Int(right)) => {
                whole(operation, left, right).map_or(Value::Absent, Value::Int)
            }
            (Value::Text(left), Value::Text(right)) if operation == Arithmetic::Add => {
                match self.exhausted_by(left.len() + right.len()) {
                    true => Value::Absent,
                    false => Value::owned(left.into_owned() + &right),
                }
            }
            (Value::Time(left), Value::Time(right)) if operation == Arithmetic::Subtract => {
                left.checked_sub(right).map_or(Value::Absent, Value::Span)
            }
            (Value::Time(left), Value::Span(right)) => {
                shifted(operation, left, right).map_or(Value::Absent, Value::Time)
            }
            (Value::Span(left), Value::Time(right)) if operation == Arithmetic::Add => {
                left.checked_add(right).map_or(Value::Absent, Value::Time)
            }
            (Value::Span(left), Value::Span(right)) => {
                shifted(operation, left, right).map_or(Value::Absent, Value::Span)
            }
            (left, right) => match (number(&left), number(&right)) {
                (Some(left), Some(right)) => fraction(operation, left, right),
                _ => Value::none_of(&[&left, &right]),
            },
        }
    }
}

fn whole(operation: Arithmetic, left: i64, right: i64) -> Option<i64> {
    match operation {
        Arithmetic::Add => left.checked_add(right),
        Arithmetic::Subtract => left.checked_sub(right),
        Arithmetic::Multiply => left.checked_mul(right),
        Arithmetic::Divide => left.checked_div(right),
        Arithmetic::Remainder => left.checked_rem(right),
    }
}

fn shifted(operation: Arithmetic, left: i64, right: i64) -> Option<i64> {
    match operation {
        Arithmetic::Add => left.checked_add(right),
        Arithmetic::Subtract => left.checked_sub(right),
        _ => None,
    }
}

fn fraction(operation: Arithmetic, left: f64, right: f64) -> Value<'static> {
    match operation {
        Arithmetic::Add => Value::Double(left + right),
        Arithmetic::Subtract => Value::Double(left - right),
        Arithmetic::Multiply => Value::Double(left * right),
        Arithmetic::Divide => Value::Double(left / right),
        Arithmetic::Remainder => Value::Absent,
    }
}

fn number(value: &Value<'_>) -> Option<f64> {
    match value {
        Value::Int(value) => Some(*value as f64),
        Value::Double(value) => Some(*value),
        _ => None,
    }
}

pub(crate) fn compare<'a>(
    comparison: Comparison,
    left: &Value<'_>,
    right: &Value<'_>,
) -> Value<'a> {
    use Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
    match comparison {
        Equal => equal(left, right),
        NotEqual => match equal(left, right) {
            Value::Bool(value) => Value::Bool(!value),
            other => other,
        },
        Less | LessOrEqual | Greater | GreaterOrEqual => match order(left, right) {
            Some(order) => Value::Bool(match comparison {
                Less => order.is_lt(),
                LessOrEqual => order.is_le(),
                Greater => order.is_gt(),
                _ => order.is_ge(),
            }),
            None if matches!(left, Value::Unknown) || matches!(right, Value::Unknown) => {
                Value::Unknown
            }
            None => Value::Absent,
        },
    }
}

fn order(left: &Value<'_>, right: &Value<'_>) -> Option<Ordering> {
    match (left, right) {
        (Value::Int(left), Value::Int(right))
        | (Value::Time(left), Value::Time(right))
        | (Value::Span(left), Value::Span(right)) => Some(left.cmp(right)),
        (Value::Text(left), Value::Text(right)) => Some(left.cmp(right)),
        _ => number(left)?.partial_cmp(&number(right)?),
    }
}

/// Whether two values are the same; values of different kinds never are.
fn equal<'a>(left: &Value<'_>, right: &Value<'_>) -> Value<'a> {
    Value::Bool(match (left, right) {
        (Value::Unknown, _) | (_, Value::Unknown) => return Value::Unknown,
        (Value::Absent, _) | (_, Value::Absent) => return Value::Absent,
        (Value::Null, Value::Null) => true,
        (Value::Bool(left), Value::Bool(right)) => left == right,
        (Value::Json(left), Value::Json(right)) => left == right,
        (Value::Map(left), Value::Map(right)) => left == right,
        (Value::List(left), Value::List(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .zip(right)
                    .all(|(left, right)| matches!(equal(left, right), Value::Bool(true)))
        }
        _ => order(left, right) == Some(Ordering::Equal),
    })
}

fn convert<'a>(conversion: Conversion, value: Value<'a>) -> Value<'a> {
    match (conversion, value) {
        (Conversion::Int, Value::Int(value)) => Value::Int(value),
        // Casting saturates; a number beyond the range is not one of ours.
        (Conversion::Int, Value::Double(value)) if value.abs() < 9.2e18 => Value::Int(value as i64),
        (Conversion::Int, Value::Text(text)) => text.parse().map_or(Value::Absent, Value::Int),
        (Conversion::Int, Value::Time(ns)) => Value::Int(ns.div_euclid(1_000_000_000)),
        (Conversion::Double, Value::Text(text)) => {
            text.parse().map_or(Value::Absent, Value::Double)
        }
        (Conversion::Double, value) => match number(&value) {
            Some(number) => Value::Double(number),
            None => Value::none_of(&[&value]),
        },
        (Conversion::Text, value) => match value {
            Value::Text(text) => Value::Text(text),
            Value::Int(value) => Value::owned(value.to_string()),
            Value::Double(value) => Value::owned(value.to_string()),
            Value::Bool(value) => Value::owned(value.to_string()),
            other => Value::none_of(&[&other]),
        },
        (Conversion::Time, Value::Text(text)) => {
            literal::time(&text).map_or(Value::Absent, Value::Time)
        }
        (Conversion::Time, Value::Time(value)) => Value::Time(value),
        (Conversion::Time, Value::Int(seconds)) => seconds
            .checked_mul(1_000_000_000)
            .map_or(Value::Absent, Value::Time),
        (Conversion::Span, Value::Text(text)) => {
            literal::span(&text).map_or(Value::Absent, Value::Span)
        }
        (Conversion::Span, Value::Span(value)) => Value::Span(value),
        (Conversion::Lower, Value::Text(text)) => {
            Value::owned(recased(text, str::to_ascii_lowercase))
        }
        (Conversion::Upper, Value::Text(text)) => {
            Value::owned(recased(text, str::to_ascii_uppercase))
        }
        (_, other) => Value::none_of(&[&other]),
    }
}

fn recased(text: Cow<'_, str>, change: fn(&str) -> String) -> String {
    change(&text)
}
