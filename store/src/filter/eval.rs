//! What a checked filter gives for the facts of one call.
//!
//! Absence is a value of its own and spreads like an error does in CEL: `&&` and `||` decide without
//! it where they can, and a filter that ends in it does not match. Facts that are not at hand spread in
//! the same way, so that the same code tells "no", "yes" and "look at the whole call"; and of a whole
//! call whose body was cut, "it depends on what was not kept".

mod operate;

use std::cell::{Cell, RefCell};

use serde_json::Value as Json;

use super::FilterError;
use super::expr::{Expr, Place, Quantifier};
use super::value::Value;
use super::vocabulary::Field;
pub(crate) use operate::compare;

/// Most steps that a filter may take for one call. A step is a part of the filter looked at, or 64
/// bytes of text searched.
const MAX_STEPS: u32 = 50_000;

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
    Ok(truth_and_steps(expr, facts)?.0)
}

/// The same with the steps that it took.
pub(crate) fn truth_and_steps(
    expr: &Expr,
    facts: &impl Facts,
) -> Result<(Truth, u32), FilterError> {
    let evaluation = Evaluation {
        facts,
        steps: Cell::new(0),
        variables: RefCell::new(Vec::new()),
    };
    let truth = Truth::of(&evaluation.value(expr));
    let steps = evaluation.steps.get();
    if steps > MAX_STEPS {
        let error = FilterError::new("the filter takes too many steps on one call".to_owned());
        return Err(error.hint("nest `exists` and `all` less"));
    }
    Ok((truth, steps))
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
            Expr::Has(part) => operate::is_there(&self.value(part)),
            Expr::Not(part) => operate::not(&self.value(part)),
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
                operate::compare(*comparison, &self.value(left), &self.value(right))
            }
            Expr::In(parts) => {
                let [item, holder] = parts.as_ref();
                self.holds(self.value(holder), &self.value(item))
            }
            Expr::Arithmetic(operation, parts) => {
                let [left, right] = parts.as_ref();
                let (left, right) = (self.value(left), self.value(right));
                match (&left, &right) {
                    (Value::Text(one), Value::Text(other))
                        if self.exhausted_by(one.len() + other.len()) =>
                    {
                        Value::Absent
                    }
                    _ => operate::calculate(*operation, left, right),
                }
            }
            Expr::Negate(part) => operate::negate(&self.value(part)),
            Expr::Text(place, parts) => {
                let [text, part] = parts.as_ref();
                self.search(*place, &self.value(text), &self.value(part))
            }
            Expr::Matches(text, pattern) => match self.value(text) {
                Value::Text(text) if self.exhausted_by(text.len()) => Value::Absent,
                Value::Text(text) => Value::Bool(pattern.is_match(&text)),
                Value::Cut(begin) if self.exhausted_by(begin.len()) => Value::Absent,
                Value::Cut(begin) => operate::match_cut(&begin, pattern),
                other => Value::none_of(&[&other]),
            },
            Expr::Size(part) => self.size(&self.value(part)),
            Expr::Convert(conversion, part) => operate::convert(*conversion, self.value(part)),
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
                        self.decide(items.iter().map(|other| operate::equal(item, other)), true)
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
            (Value::Cut(begin), Value::Text(_)) if self.exhausted_by(begin.len()) => Value::Absent,
            (Value::Cut(begin), Value::Text(part)) => operate::search_cut(place, begin, part),
            _ => Value::none_of(&[text, part]),
        }
    }
}
