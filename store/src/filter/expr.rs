//! A filter after it was checked: a tree that names facts, not words.

use regex::Regex;

use super::value::Value;
use super::vocabulary::Field;

/// A part of a checked filter.
#[derive(Debug, Clone)]
pub(crate) enum Expr {
    Const(Value<'static>),
    Field(Field),
    /// The variable of an enclosing [`Expr::Each`], counted from the outermost.
    Variable(usize),
    /// What a map, a JSON object, a list or a JSON array holds under a key.
    Entry(Box<[Expr; 2]>),
    /// Whether a part is there.
    Has(Box<Expr>),
    Not(Box<Expr>),
    All(Vec<Expr>),
    Any(Vec<Expr>),
    /// Condition, then, else.
    Choose(Box<[Expr; 3]>),
    Compare(Comparison, Box<[Expr; 2]>),
    /// Whether the second holds the first: a list an item, a map a key.
    In(Box<[Expr; 2]>),
    Arithmetic(Arithmetic, Box<[Expr; 2]>),
    Negate(Box<Expr>),
    /// Whether the first text has the second at a place.
    Text(Place, Box<[Expr; 2]>),
    Matches(Box<Expr>, Regex),
    Size(Box<Expr>),
    Convert(Conversion, Box<Expr>),
    List(Vec<Expr>),
    /// Asks the second of each item of the first.
    Each(Quantifier, Box<[Expr; 2]>),
    /// The first, or the second where the first is absent.
    OrElse(Box<[Expr; 2]>),
}

/// How two values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    /// The same with the sides exchanged.
    pub(crate) fn flipped(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
            Self::Equal | Self::NotEqual => self,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// Where in a text another one is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Anywhere,
    Start,
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conversion {
    Int,
    Double,
    Text,
    Time,
    Span,
    Lower,
    Upper,
}

/// What is asked of the items of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quantifier {
    All,
    Exists,
    ExistsOne,
    /// The items for which it holds.
    Filter,
    /// What it gives for each.
    Map,
}
impl Expr {
    /// Calls `visit` with this part and every part of it, outermost first.
    pub(crate) fn walk<'a>(&'a self, visit: &mut impl FnMut(&'a Expr)) {
        visit(self);
        match self {
            Self::Const(_) | Self::Field(_) | Self::Variable(_) => {}
            Self::Has(part)
            | Self::Not(part)
            | Self::Negate(part)
            | Self::Matches(part, _)
            | Self::Size(part)
            | Self::Convert(_, part) => part.walk(visit),
            Self::All(parts) | Self::Any(parts) | Self::List(parts) => {
                parts.iter().for_each(|part| part.walk(visit));
            }
            Self::Choose(parts) => parts.iter().for_each(|part| part.walk(visit)),
            Self::Entry(parts)
            | Self::Compare(_, parts)
            | Self::In(parts)
            | Self::Arithmetic(_, parts)
            | Self::Text(_, parts)
            | Self::Each(_, parts)
            | Self::OrElse(parts) => parts.iter().for_each(|part| part.walk(visit)),
        }
    }
}
