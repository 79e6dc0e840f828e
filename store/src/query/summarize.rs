//! Calls counted by group.
//!
//! Calls are told apart by numbers: of the texts of their block, of the names of their ends, of the
//! labels of all blocks together. Texts are touched once per block and text, not once per call.

mod group;
mod labels;

use hashbrown::HashMap;

use super::look::{Asked, Look, OpenBlock, Window, candidates, front};
use super::{BlockEntry, BlockSource, FoundCall, GroupKey, Order, Summary, SummaryQuery};
use crate::about;
use crate::call::{Leg, Protocol};
use crate::filter::columns::BlockFacts;
use crate::filter::eval::Truth;
use crate::filter::vocabulary::Peer;
use crate::names::Party;
use crate::outcome::Ending;
use crate::store::{Scope, StoreError};
use group::{Groups, Key, Tally, Told};
use labels::{Label, Labels, name_of};

/// The calls of a source that match, counted by group.
///
/// # Errors
///
/// The filter takes too many steps on a call, or the source fails in another way than by damage.
pub fn summarize(
    source: &dyn BlockSource,
    scope: &Scope,
    query: &SummaryQuery,
) -> Result<Summary, StoreError> {
    let Some(window) = Window::new(query.since_ns, query.until_ns, query.probes) else {
        return Ok(Summary::default());
    };
    let mut look = Look::new(source, scope, &query.filter, query.time_budget);
    let mut count = Count::new(query);
    for open in look.open_calls(&query.view, &window)? {
        count.add_open(&open);
    }
    let blocks = candidates(
        &source.entries(),
        scope,
        &query.view,
        &window,
        Order::Newest,
    );
    let mut stopped_at = None;
    for (number, block) in blocks.iter().enumerate() {
        // A budget of any size counts something.
        let may_stop = number > 0;
        let in_time = !(may_stop && look.out_of_time());
        if !(in_time && count.add_block(&mut look, block, &window, may_stop)?) {
            stopped_at = Some(front(block, &window, Order::Newest));
            break;
        }
    }
    Ok(Summary {
        scanned_until_ns: stopped_at,
        examined: look.examined,
        undecided: look.undecided,
        ..count.summary()
    })
}

struct Count {
    by: By,
    limit: usize,
    labels: Labels,
    groups: Groups,
}

/// What calls are grouped by.
#[derive(Debug, Clone, Copy)]
struct By {
    edge: bool,
    namespaces: bool,
    protocol: bool,
    route: bool,
    status: bool,
    revision: bool,
}

impl Count {
    fn new(query: &SummaryQuery) -> Self {
        let by = |key| query.group_by.contains(&key);
        Self {
            by: By {
                edge: by(GroupKey::Edge),
                namespaces: by(GroupKey::Namespaces),
                protocol: by(GroupKey::Protocol),
                route: by(GroupKey::Route),
                status: by(GroupKey::Status),
                revision: by(GroupKey::Revision),
            },
            limit: query.limit,
            labels: Labels::default(),
            groups: Groups::default(),
        }
    }

    fn add_open(&mut self, open: &FoundCall) {
        let call = &open.call;
        let about = about::About::of(call);
        let ending = Ending::of(call);
        let by = self.by;
        let mut label = |wanted: bool, text: &str| match wanted {
            true => self.labels.number(text),
            false => Label::NONE,
        };
        let key = Key {
            leg: call.leg,
            src: label(by.edge, &name_of(&open.src)),
            dst: label(by.edge, &name_of(&open.dst)),
            src_namespace: label(by.namespaces, &open.src.namespace),
            dst_namespace: label(by.namespaces, &open.dst.namespace),
            protocol: by.protocol.then_some(call.protocol),
            method: label(by.route, &about.method),
            route: label(by.route, &about.route()),
            outcome: by.status.then(|| ending.outcome()),
            revision: label(by.revision, &open.origin.revision),
        };
        let sizes = [call.request.body_size, call.response.body_size];
        let told = match call.fault {
            Some(_) => Told::Nothing,
            None => Told::Of {
                failed: ending.failed(),
                pace_ns: call.pace_ns(),
            },
        };
        self.groups.tally(key).add(told, sizes);
    }

    /// Counts the calls of a block; all of them, or gives false where the time ran out before.
    fn add_block(
        &mut self,
        look: &mut Look<'_>,
        entry: &BlockEntry,
        window: &Window,
        may_stop: bool,
    ) -> Result<bool, StoreError> {
        let Some(asked) = look.ask(entry, window)? else {
            return Ok(true);
        };
        let Some(rows) = passing(look, entry, &asked, may_stop)? else {
            return Ok(false);
        };
        let times = (entry.summary.first_ns, entry.summary.last_ns);
        let facts = BlockFacts::new(&asked.columns, &entry.origin, look.names(), times);
        let revision = match self.by.revision {
            true => self.labels.number(&entry.origin.revision),
            false => Label::NONE,
        };
        let mut texts = Numbers::new(asked.columns.texts.len());
        let mut ends = Numbers::new(asked.columns.addresses.len() * 4);
        // Calls with the same key tend to follow each other in a block, and there are few of them.
        let mut places: HashMap<Key, usize> = HashMap::new();
        for row in rows {
            let Some(key) = self.key(&facts, row as usize, revision, &mut texts, &mut ends) else {
                continue;
            };
            let place = *places.entry(key).or_insert_with(|| self.groups.place(key));
            add_row(self.groups.at(place), &facts, row as usize);
        }
        Ok(true)
    }

    /// The key of a stored call; `None` for one that only newer versions can read.
    fn key(
        &mut self,
        facts: &BlockFacts<'_>,
        row: usize,
        revision: Label,
        texts: &mut Numbers<Label>,
        ends: &mut Numbers<End>,
    ) -> Option<Key> {
        let columns = facts.columns();
        let leg = facts.leg(row)?;
        let labels = &mut self.labels;
        let mut text = |number: u32| {
            let text = || {
                columns
                    .texts
                    .get(number as usize)
                    .map_or("", String::as_str)
            };
            texts.get(number as usize, || labels.number(text()))
        };
        let [method, route] = match self.by.route {
            true => [
                text(*columns.method.get(row)?),
                text(*columns.route.get(row)?),
            ],
            false => [Label::NONE; 2],
        };
        let [src, dst] = match self.by.edge || self.by.namespaces {
            true => [
                self.end(facts, (Peer::Src, leg), row, ends)?,
                self.end(facts, (Peer::Dst, leg), row, ends)?,
            ],
            false => [End::NONE; 2],
        };
        let outcome = Ending::at(columns, row).outcome();
        let protocol = Protocol::from_code(*columns.protocol.get(row)?)?;
        Some(Key {
            leg,
            src: src.name,
            dst: dst.name,
            src_namespace: src.namespace,
            dst_namespace: dst.namespace,
            protocol: self.by.protocol.then_some(protocol),
            method,
            route,
            outcome: self.by.status.then_some(outcome),
            revision,
        })
    }

    fn end(
        &mut self,
        facts: &BlockFacts<'_>,
        (peer, leg): (Peer, Leg),
        row: usize,
        ends: &mut Numbers<End>,
    ) -> Option<End> {
        let number = facts.address(peer, row)?;
        let slot = number * 4 + usize::from(peer == Peer::Dst) * 2 + usize::from(leg.code());
        match facts.party_of(peer, leg, number) {
            Some(party) => Some(ends.get(slot, || self.label(party))),
            None => Some(self.label(facts.party(peer, row)?.as_ref())),
        }
    }

    fn label(&mut self, party: &Party) -> End {
        let mut label = |wanted: bool, text: &str| match wanted {
            true => self.labels.number(text),
            false => Label::NONE,
        };
        End {
            name: label(self.by.edge, &name_of(party)),
            namespace: label(self.by.namespaces, &party.namespace),
        }
    }

    fn summary(self) -> Summary {
        let (groups, rest, groups_omitted) = self.groups.sorted(&self.labels, self.by, self.limit);
        Summary {
            groups,
            rest,
            groups_omitted,
            ..Summary::default()
        }
    }
}

/// The calls of a block that pass; those that the columns left open are read. `None` where the time
/// ran out over them.
fn passing(
    look: &mut Look<'_>,
    entry: &BlockEntry,
    asked: &Asked,
    may_stop: bool,
) -> Result<Option<Vec<u32>>, StoreError> {
    let mut block: Option<OpenBlock> = None;
    let mut rows = Vec::with_capacity(asked.passing.len());
    for (row, truth) in &asked.passing {
        if *truth == Truth::Unknown {
            if block.is_none() {
                block = look.open_block(entry)?;
            }
            let Some(block) = &mut block else {
                continue;
            };
            if may_stop && look.out_of_time() {
                return Ok(None);
            }
            if !look.passes(block, *row)? {
                continue;
            }
        }
        rows.push(*row);
    }
    Ok(Some(rows))
}

fn add_row(tally: &mut Tally, facts: &BlockFacts<'_>, row: usize) {
    let columns = facts.columns();
    let size = |column: &[u64]| column.get(row).copied().unwrap_or_default();
    let sizes = [size(&columns.request_size), size(&columns.response_size)];
    let told = match columns.is_injected(row) {
        true => Told::Nothing,
        false => Told::Of {
            failed: Ending::at(columns, row).failed(),
            pace_ns: columns.pace_ns(row),
        },
    };
    tally.add(told, sizes);
}

/// One end of a call, as far as calls are told apart by it.
#[derive(Debug, Clone, Copy)]
struct End {
    name: Label,
    namespace: Label,
}

impl End {
    const NONE: Self = Self {
        name: Label::NONE,
        namespace: Label::NONE,
    };
}

/// Labels by a number of the block, each worked out once.
struct Numbers<T> {
    labels: Vec<Option<T>>,
}

impl<T: Copy> Numbers<T> {
    fn new(count: usize) -> Self {
        Self {
            labels: vec![None; count],
        }
    }

    fn get(&mut self, number: usize, work_out: impl FnOnce() -> T) -> T {
        match self.labels.get_mut(number) {
            Some(known) => *known.get_or_insert_with(work_out),
            None => work_out(),
        }
    }
}
