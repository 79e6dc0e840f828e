//! Statements that a session has prepared, and portals in which they are bound to values.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use crate::observe::draft::{Budgeted, Grant};
use crate::sql::About;

/// Most statements and portals of a session that are known by their names; of more the oldest are
/// forgotten.
const MOST_NAMED: usize = 1024;

/// As much of a name as counts: PostgreSQL keeps statements and portals in tables whose keys are cut there
/// (its `NAMEDATALEN`, less the zero byte).
const NAME_BYTES: usize = 63;

/// Most columns of a row that are known by their names.
const MOST_COLUMNS: usize = 512;

/// A statement that was parsed.
#[derive(Debug)]
pub(super) struct Prepared {
    /// As it was sent, as far as it is kept.
    pub(super) text: Box<[u8]>,
    /// Whether it goes on.
    pub(super) cut: bool,
    pub(super) about: About,
    pub(super) named: bool,
    /// Types of its values as the client told them; 0 for one that it did not.
    pub(super) told_types: Vec<u32>,
    /// The same as the server told them.
    pub(super) types: RefCell<Vec<u32>>,
    /// What its rows are made of, once that was told.
    pub(super) columns: RefCell<Option<Rc<Columns>>>,
    /// Pays for all of it but the columns.
    pub(super) grant: RefCell<Grant>,
}

impl Prepared {
    /// What one takes from the budget with its place under `name`, with `kept` bytes of texts and types,
    /// and with the columns that it may come to know.
    pub(super) fn bytes(name: &[u8], kept: usize) -> usize {
        SHARED_BYTES
            + size_of::<Self>()
            + size_of::<Columns>()
            + named_bytes::<Rc<Self>>(name)
            + kept
    }

    /// The server told the types of its values. They are not kept where there is no room for them.
    pub(super) fn learn(&self, types: Vec<u32>) {
        let mut grant = self.grant.borrow_mut();
        if grant.take(size_of_val(&*types)).is_ok() {
            let before = self.types.replace(types);
            grant.give_back(size_of_val(&*before));
        }
    }
}

/// Names and types of the columns of a row, and what pays for them.
#[derive(Debug)]
pub(super) struct Columns(Vec<Column>, Grant);

#[derive(Debug)]
pub(super) struct Column {
    /// As JSON.
    pub(super) name: Box<[u8]>,
    pub(super) oid: u32,
    pub(super) is_binary: bool,
}

impl Columns {
    pub(super) fn new(grant: Grant) -> Self {
        Self(Vec::new(), grant)
    }

    /// Adds a column, as far as there is room.
    pub(super) fn add(&mut self, column: Column) {
        let size = size_of::<Column>() + column.name.len();
        if self.0.len() < MOST_COLUMNS && self.1.take(size).is_ok() {
            self.0.push(column);
        }
    }

    /// Of the first so many columns those that are known.
    pub(super) fn of_first(&self, count: usize) -> &[Column] {
        self.0.get(..count).unwrap_or(&self.0)
    }
}

/// Formats in which the client wants the columns, and what pays for them: they may outlive their portal.
#[derive(Debug)]
pub(super) struct Formats {
    pub(super) formats: Vec<u16>,
    pub(super) _grant: Grant,
}

impl Formats {
    /// What they take from the budget.
    pub(super) fn bytes(formats: &[u16]) -> usize {
        SHARED_BYTES + size_of::<Self>() + size_of_val(formats)
    }
}

/// A statement with its values, ready to be executed.
#[derive(Debug)]
pub(super) struct Portal {
    pub(super) prepared: Rc<Prepared>,
    /// The call that its execution will be; taken by the first.
    pub(super) record: Budgeted,
    pub(super) executed: bool,
    pub(super) formats: Rc<Formats>,
    /// Pays for itself.
    pub(super) _grant: Grant,
}

impl Portal {
    /// What one takes from the budget with its place under `name`.
    pub(super) fn bytes(name: &[u8]) -> usize {
        size_of::<Self>() + named_bytes::<Self>(name)
    }
}

/// What sharing takes: two counts each of what is shared, and of what it shares.
const SHARED_BYTES: usize = 4 * size_of::<usize>();

/// What a place in [`Named`] takes beside the thing itself: its name twice, and both tables with room to
/// grow.
fn named_bytes<T>(name: &[u8]) -> usize {
    let name = cut(name).len();
    match name {
        0 => 0,
        _ => 2 * (name + 2 * size_of::<(Box<[u8]>, T)>()),
    }
}

fn cut(name: &[u8]) -> &[u8] {
    name.get(..NAME_BYTES).unwrap_or(name)
}

/// Things by the name that the client gave them, of which the empty one is used most.
#[derive(Debug)]
pub(super) struct Named<T> {
    unnamed: Option<T>,
    named: HashMap<Box<[u8]>, T>,
    order: VecDeque<Box<[u8]>>,
}

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self {
            unnamed: None,
            named: HashMap::new(),
            order: VecDeque::new(),
        }
    }
}

impl<T> Named<T> {
    pub(super) fn insert(&mut self, name: &[u8], value: T) {
        let name = cut(name);
        if name.is_empty() {
            self.unnamed = Some(value);
            return;
        }
        if self.named.insert(name.into(), value).is_some() {
            return;
        }
        self.order.push_back(name.into());
        if self.order.len() > MOST_NAMED
            && let Some(oldest) = self.order.pop_front()
        {
            self.named.remove(&oldest);
        }
    }

    pub(super) fn get(&mut self, name: &[u8]) -> Option<&mut T> {
        match cut(name) {
            [] => self.unnamed.as_mut(),
            name => self.named.get_mut(name),
        }
    }

    pub(super) fn remove(&mut self, name: &[u8]) {
        let name = cut(name);
        if name.is_empty() {
            self.unnamed = None;
        } else if self.named.remove(name).is_some() {
            self.order.retain(|known| **known != *name);
        }
    }
}
