//! What is known at one depth of a statement: within a pair of brackets, or of `CASE` and `END`.

use std::rc::Rc;

use super::super::names::Class;

/// What is known of a place, or of what was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Holder {
    /// Nothing says what it is.
    #[default]
    Unknown,
    /// It has a name that promises no secret.
    Plain,
    Secret(Class),
}

impl Holder {
    pub(super) fn of(class: Option<Class>) -> Self {
        class.map_or(Self::Plain, Self::Secret)
    }

    /// The one that says more: that it is a secret, before anything else.
    pub(super) fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Secret(Class::Texts), Self::Secret(_)) => other,
            (Self::Secret(_), _) | (_, Self::Unknown) => self,
            _ => other,
        }
    }

    pub(super) fn secret(self) -> Option<Class> {
        match self {
            Self::Secret(class) => Some(class),
            _ => None,
        }
    }
}

/// What the brackets are of which a depth is made, or may come next in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Role {
    #[default]
    Plain,
    /// Behind the name of a table: the next brackets hold its columns.
    Table,
    /// At the beginning of an assignment: brackets here hold columns.
    Set,
    /// A list of columns.
    Columns,
    /// Brackets here hold a row, a value for each column.
    Rows,
}

/// What is known at one depth.
#[derive(Debug, Default)]
pub(super) struct Frame {
    pub(super) is_case: bool,
    /// Behind the name of a function.
    pub(super) is_call: bool,
    /// What all of it is for, as was said outside.
    pub(super) governor: Holder,
    /// What the names say that were read last, with no operator behind them.
    pub(super) operand: Holder,
    /// The last of those names alone.
    pub(super) word: Holder,
    /// What an operator says that its other side is.
    pub(super) next: Holder,
    /// The last operator takes a key out of JSON.
    pub(super) takes_key: bool,
    /// A text that names a secret, and what it says of the element behind it.
    pub(super) key: Option<Class>,
    pub(super) beside: Option<Class>,
    /// The next `AND` belongs to a `BETWEEN`.
    pub(super) between: bool,
    /// Values here are places and counts.
    pub(super) counts: bool,
    /// Within the assignments of `SET`.
    pub(super) in_set: bool,
    pub(super) role: Role,
    /// Columns that rows at this depth are for.
    pub(super) columns: Rc<[Holder]>,
    /// The columns of a list, while it is read.
    pub(super) listed: Vec<Holder>,
    /// Which column the value is for.
    pub(super) place: Option<usize>,
    /// The secret that is named anywhere in it.
    pub(super) named: Holder,
    /// Where its doubtful values begin.
    pub(super) doubts: usize,
}

impl Frame {
    /// What the names and operators around a value say of it.
    pub(super) fn says(&self) -> Holder {
        let column = self.place.and_then(|place| self.columns.get(place));
        let said = self.next.or(column.copied().unwrap_or_default());
        match (said, self.beside, self.counts) {
            (Holder::Secret(_), ..) => said,
            (_, Some(class), _) => Holder::Secret(class),
            (Holder::Unknown, None, true) => Holder::Plain,
            _ => said,
        }
    }

    /// What brackets that open here are for.
    pub(super) fn governs(&self) -> Holder {
        let outer = match self.governor {
            Holder::Secret(_) => return self.governor,
            outer => outer,
        };
        match self.says().or(self.word) {
            Holder::Secret(class) => Holder::Secret(class),
            _ => outer.or(self.says()),
        }
    }

    /// An element, condition or part ends, and with it what was said of its values.
    pub(super) fn end_element(&mut self) {
        (self.operand, self.word, self.next) = Default::default();
        (self.takes_key, self.between, self.key, self.beside) = Default::default();
    }

    /// Another part of the statement begins.
    pub(super) fn end_clause(&mut self) {
        self.end_element();
        (self.counts, self.in_set, self.place) = Default::default();
        self.role = Role::Plain;
    }

    /// What stands before an operator tells what stands behind it. A secret stays one up to the end of the
    /// element.
    pub(super) fn operator(&mut self) {
        self.next = self.next.or(std::mem::take(&mut self.operand));
        (self.word, self.takes_key, self.key) = Default::default();
    }

    /// The brackets `inner` closed.
    pub(super) fn take_in(&mut self, inner: Frame) {
        self.named = self.named.or(inner.named);
        self.word = Holder::Unknown;
        if inner.role != Role::Columns {
            self.operand = self.operand.or(inner.operand).or(inner.named);
            return;
        }
        self.operand = Holder::Unknown;
        self.columns = inner.listed.into();
        self.role = Role::Rows;
    }
}
