//! What operators make of values. Without facts and without bounds: those are the caller's.

use std::borrow::Cow;
use std::cmp::Ordering;

use regex::Regex;

use crate::filter::expr::{Arithmetic, Comparison, Conversion, Place};
use crate::filter::literal;
use crate::filter::value::Value;

pub(super) fn is_there<'a>(value: &Value<'_>) -> Value<'a> {
    match value {
        Value::Absent => Value::Bool(false),
        Value::Unknown => Value::Unknown,
        _ => Value::Bool(true),
    }
}

pub(super) fn not<'a>(value: &Value<'a>) -> Value<'a> {
    match value {
        Value::Bool(value) => Value::Bool(!value),
        other => Value::none_of(&[other]),
    }
}

pub(super) fn negate<'a>(value: &Value<'a>) -> Value<'a> {
    match value {
        Value::Int(value) => value.checked_neg().map_or(Value::Absent, Value::Int),
        Value::Double(value) => Value::Double(-value),
        Value::Span(value) => value.checked_neg().map_or(Value::Absent, Value::Span),
        other => Value::none_of(&[other]),
    }
}

pub(super) fn calculate<'a>(operation: Arithmetic, left: Value<'a>, right: Value<'a>) -> Value<'a> {
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => {
            whole(operation, left, right).map_or(Value::Absent, Value::Int)
        }
        (Value::Text(left), Value::Text(right)) if operation == Arithmetic::Add => {
            Value::owned(left.into_owned() + &right)
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
            None => Value::none_of(&[left, right]),
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
pub(super) fn equal<'a>(left: &Value<'_>, right: &Value<'_>) -> Value<'a> {
    Value::Bool(match (left, right) {
        (Value::Unknown, _) | (_, Value::Unknown) => return Value::Unknown,
        (Value::Absent, _) | (_, Value::Absent) => return Value::Absent,
        (Value::Cut(begin), Value::Text(whole)) | (Value::Text(whole), Value::Cut(begin))
            if whole.starts_with(begin.as_ref()) =>
        {
            return Value::Unknown;
        }
        (Value::Cut(one), Value::Cut(other))
            if one.starts_with(other.as_ref()) || other.starts_with(one.as_ref()) =>
        {
            return Value::Unknown;
        }
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

pub(super) fn convert<'a>(conversion: Conversion, value: Value<'a>) -> Value<'a> {
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
            text @ (Value::Text(_) | Value::Cut(_)) => text,
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
        (Conversion::Lower, Value::Cut(text)) => {
            Value::Cut(recased(text, str::to_ascii_lowercase).into())
        }
        (Conversion::Upper, Value::Cut(text)) => {
            Value::Cut(recased(text, str::to_ascii_uppercase).into())
        }
        (_, other) => Value::none_of(&[&other]),
    }
}

/// Where a part stands in a text of which only the beginning is known.
pub(super) fn search_cut<'a>(place: Place, begin: &str, part: &str) -> Value<'a> {
    match place {
        Place::Start if begin.starts_with(part) => Value::Bool(true),
        Place::Start if !part.starts_with(begin) => Value::Bool(false),
        Place::Anywhere if memchr::memmem::find(begin.as_bytes(), part.as_bytes()).is_some() => {
            Value::Bool(true)
        }
        _ => Value::Unknown,
    }
}

/// Whether a pattern is found in a text of which only the beginning is known. Found at the cut, it may
/// be for the end of the text.
pub(super) fn match_cut<'a>(begin: &str, pattern: &Regex) -> Value<'a> {
    match pattern.shortest_match(begin) {
        Some(end) if end < begin.len() => Value::Bool(true),
        _ => Value::Unknown,
    }
}

fn recased(text: Cow<'_, str>, change: fn(&str) -> String) -> String {
    change(&text)
}
