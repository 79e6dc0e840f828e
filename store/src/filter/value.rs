//! Types and values of the filter language.

use std::borrow::Cow;
use std::fmt;

use serde_json::Value as Json;

use super::vocabulary::Field;

/// What a part of a filter stands for, as far as it can be told before a call is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    /// Something that only the call can tell, such as a part of a JSON body.
    Any,
    Null,
    Bool,
    Int,
    Double,
    Text,
    /// A point in time.
    Time,
    /// A length of time.
    Span,
    /// Texts by name, such as headers.
    Map,
    List(&'static Type),
}

impl Type {
    /// A list of this.
    pub(crate) const fn list_of(self) -> Self {
        match self {
            Self::Bool => Self::List(&Self::Bool),
            Self::Int => Self::List(&Self::Int),
            Self::Double => Self::List(&Self::Double),
            Self::Text => Self::List(&Self::Text),
            Self::Time => Self::List(&Self::Time),
            Self::Span => Self::List(&Self::Span),
            Self::Any | Self::Null | Self::Map | Self::List(_) => Self::List(&Self::Any),
        }
    }

    pub(crate) const fn is_number(self) -> bool {
        matches!(self, Self::Int | Self::Double)
    }

    /// Whether values of the two types can be equal.
    pub(crate) fn compares_with(self, other: Self) -> bool {
        match (self, other) {
            (Self::Any, _) | (_, Self::Any) => true,
            (Self::List(_), Self::List(_)) => true,
            _ => self == other || (self.is_number() && other.is_number()),
        }
    }

    /// Whether values of the type have an order.
    pub(crate) const fn is_ordered(self) -> bool {
        matches!(
            self,
            Self::Any | Self::Int | Self::Double | Self::Text | Self::Time | Self::Span
        )
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Any => "any value",
            Self::Null => "null",
            Self::Bool => "true or false",
            Self::Int => "a whole number",
            Self::Double => "a number",
            Self::Text => "text",
            Self::Time => "a time",
            Self::Span => "a duration",
            Self::Map => "a map of texts",
            Self::List(_) => "a list",
        })
    }
}

/// What a part of a filter is for one call.
#[derive(Debug, Clone)]
pub(crate) enum Value<'a> {
    /// The call has no such thing. Spreads through whatever is made of it, and does not match.
    Absent,
    /// The facts at hand do not tell: the whole call would, or what was not kept of it.
    Unknown,
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(Cow<'a, str>),
    /// The beginning of a text of which the rest is not known.
    Cut(Cow<'a, str>),
    /// Nanoseconds since the Unix epoch.
    Time(i64),
    /// Nanoseconds.
    Span(i64),
    List(Vec<Value<'a>>),
    /// The map that a field names; its entries are looked up one by one.
    Map(Field),
    /// An array or an object; other JSON becomes one of the other values.
    Json(&'a Json),
}

impl<'a> Value<'a> {
    pub(crate) fn text(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }

    pub(crate) fn owned(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }

    /// A number that may be too large to be one here.
    pub(crate) fn int(number: u64) -> Self {
        i64::try_from(number).map_or(Self::Absent, Self::Int)
    }

    /// The same without what it borrows; JSON cannot be, and is not known then.
    pub(crate) fn into_owned(self) -> Value<'static> {
        match self {
            Self::Absent => Value::Absent,
            Self::Unknown | Self::Json(_) => Value::Unknown,
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(value),
            Self::Int(value) => Value::Int(value),
            Self::Double(value) => Value::Double(value),
            Self::Text(text) => Value::owned(text.into_owned()),
            Self::Cut(text) => Value::Cut(Cow::Owned(text.into_owned())),
            Self::Time(value) => Value::Time(value),
            Self::Span(value) => Value::Span(value),
            Self::List(items) => Value::List(items.into_iter().map(Value::into_owned).collect()),
            Self::Map(field) => Value::Map(field),
        }
    }

    pub(crate) fn json(json: &'a Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(*value),
            Json::String(text) => Self::text(text),
            Json::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(whole), _) => Self::Int(whole),
                (None, Some(number)) => Self::Double(number),
                (None, None) => Self::Absent,
            },
            Json::Array(_) | Json::Object(_) => Self::Json(json),
        }
    }

    /// What stands for an operation that these operands do not have: unknown if an operand is, or a part
    /// of it, else absent.
    pub(crate) fn none_of(operands: &[&Value<'_>]) -> Self {
        let mut operands = operands.iter();
        match operands.any(|value| matches!(value, Value::Unknown | Value::Cut(_))) {
            true => Self::Unknown,
            false => Self::Absent,
        }
    }
}
