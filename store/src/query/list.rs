//! A page of calls.
//!
//! Blocks of different sidecars overlap in time. They are looked at in the order of the first call
//! that each can give, while the best calls so far are kept; once the page is full and no further
//! block can give a better call, it is done.

use std::collections::{BinaryHeap, HashMap, HashSet};

use super::look::{Look, OpenBlock, Window, candidates, front};
use super::rank::Rank;
use super::{BlockEntry, BlockSource, FoundCall, Page, Query};
use crate::filter::eval::Truth;
use crate::store::{Scope, StoreError};

/// Most bytes of blocks that are kept at hand for the calls on the page; more are read again.
const MAX_HELD_BYTES: usize = 64 * 1024 * 1024;

/// The calls of a source that match, a page of them.
///
/// # Errors
///
/// The filter takes too many steps on a call, or the source fails in another way than by damage.
pub fn list(source: &dyn BlockSource, scope: &Scope, query: &Query) -> Result<Page, StoreError> {
    let Some(window) = window(query) else {
        return Ok(Page::default());
    };
    let mut look = Look::new(source, scope, &query.filter, query.time_budget);
    // Before the blocks, so that a call which ends in between is not in neither.
    let open = look.open_calls(&query.view, &window)?;
    let mut best = Best::new(query);
    for (place, call) in open.iter().enumerate() {
        best.offer(
            query.order.rank(call.call.time_ns, call.id),
            Place::Open(place),
        );
    }
    let blocks = candidates(&source.entries(), scope, &query.view, &window, query.order);
    let stopped_at = best.look_through(&mut look, &blocks, &window)?;
    best.page(&look, open, &blocks, stopped_at)
}

/// The window of a page: that of the question, without what the pages before it had.
fn window(query: &Query) -> Option<Window> {
    let mut window = Window::new(query.since_ns, query.until_ns, query.probes)?;
    if let Some(cursor) = &query.cursor {
        match query.order {
            super::Order::Newest => window.last_ns = window.last_ns.min(cursor.time_ns),
            super::Order::Oldest => window.since_ns = window.since_ns.max(cursor.time_ns),
        }
    }
    (window.since_ns <= window.last_ns).then_some(window)
}

/// A call that may be on the page.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Hit {
    rank: Rank,
    place: Place,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// Among the open calls.
    Open(usize),
    /// In a block, by its place among the candidates.
    Stored { block: usize, row: u32 },
}

/// The best calls so far, one more than fit on the page.
struct Best<'q> {
    query: &'q Query,
    after: Option<Rank>,
    hits: BinaryHeap<Hit>,
    held: HashMap<usize, OpenBlock>,
}

impl<'q> Best<'q> {
    fn new(query: &'q Query) -> Self {
        let after = |cursor: &super::Cursor| query.order.rank(cursor.time_ns, cursor.id);
        Self {
            query,
            after: query.cursor.as_ref().map(after),
            hits: BinaryHeap::new(),
            held: HashMap::new(),
        }
    }

    /// Whether a call of this rank, or any after it, comes too late for the page.
    fn beats(&self, rank: Rank) -> bool {
        let full = self.hits.len() > self.query.limit;
        full && self.hits.peek().is_some_and(|worst| worst.rank < rank)
    }

    fn offer(&mut self, rank: Rank, place: Place) {
        if self.after.is_some_and(|after| rank <= after) || self.beats(rank) {
            return;
        }
        self.hits.push(Hit { rank, place });
        if self.hits.len() > self.query.limit + 1 {
            self.hits.pop();
        }
    }

    /// Looks at blocks until the page is sure. Gives the time at which the budget ran out, if it did.
    fn look_through(
        &mut self,
        look: &mut Look<'_>,
        blocks: &[BlockEntry],
        window: &Window,
    ) -> Result<Option<i64>, StoreError> {
        let order = self.query.order;
        let front_of = |block: &BlockEntry| front(block, window, order);
        let Some(start) = blocks.first().map(front_of) else {
            return Ok(None);
        };
        for (number, block) in blocks.iter().enumerate() {
            let front = front_of(block);
            if self.beats(order.first_rank(front)) {
                return Ok(None);
            }
            // A budget of any size gets past the first moment, so that page after page gets ahead.
            if front != start && look.out_of_time() {
                return Ok(Some(front));
            }
            let next = blocks.get(number + 1).map(front_of);
            if let Some(stopped_at) =
                self.look_into(look, (number, block), window, (start, next))?
            {
                return Ok(Some(stopped_at));
            }
            self.let_go();
        }
        Ok(None)
    }

    fn look_into(
        &mut self,
        look: &mut Look<'_>,
        (number, entry): (usize, &BlockEntry),
        window: &Window,
        (start, next): (i64, Option<i64>),
    ) -> Result<Option<i64>, StoreError> {
        let order = self.query.order;
        let Some(asked) = look.ask(entry, window)? else {
            return Ok(None);
        };
        if asked.passing.is_empty() {
            return Ok(None);
        }
        let Some(mut block) = look.open_block(entry)? else {
            return Ok(None);
        };
        let time = |row: u32| {
            asked
                .columns
                .time_ns
                .get(row as usize)
                .copied()
                .unwrap_or(0)
        };
        let mut rows: Vec<(Rank, u32, Truth)> = asked
            .passing
            .iter()
            .map(|(row, truth)| (order.rank(time(*row), block.id(*row)), *row, *truth))
            .filter(|(rank, ..)| self.after.is_none_or(|after| *rank > after))
            .collect();
        rows.sort_unstable_by_key(|(rank, ..)| *rank);
        for (rank, row, truth) in rows {
            if self.beats(rank) {
                break;
            }
            if truth == Truth::Unknown {
                let here = rank.time_ns(order);
                let sooner = |next: &i64| order.first_rank(*next) < order.first_rank(here);
                let sure_until = next.filter(sooner).unwrap_or(here);
                if sure_until != start && look.out_of_time() {
                    return Ok(Some(sure_until));
                }
                if !look.passes(&mut block, row)? {
                    continue;
                }
            }
            self.offer(rank, Place::Stored { block: number, row });
        }
        self.held.insert(number, block);
        Ok(None)
    }

    /// Lets go of blocks that no call on the page is from, once there are many.
    fn let_go(&mut self) {
        let bytes = |held: &HashMap<usize, OpenBlock>| -> usize {
            held.values().map(OpenBlock::bytes).sum()
        };
        if bytes(&self.held) <= MAX_HELD_BYTES {
            return;
        }
        let wanted: HashSet<usize> = self
            .hits
            .iter()
            .filter_map(|hit| hit.place.block())
            .collect();
        self.held.retain(|number, _| wanted.contains(number));
        if bytes(&self.held) > MAX_HELD_BYTES {
            self.held.clear();
        }
    }

    fn page(
        mut self,
        look: &Look<'_>,
        open: Vec<FoundCall>,
        blocks: &[BlockEntry],
        stopped_at: Option<i64>,
    ) -> Result<Page, StoreError> {
        let order = self.query.order;
        let mut hits = std::mem::take(&mut self.hits).into_sorted_vec();
        if let Some(stopped_at) = stopped_at {
            // What was found beyond is not all that is there.
            let sure = order.first_rank(stopped_at);
            hits.retain(|hit| hit.rank < sure);
        }
        let full = hits.len() > self.query.limit;
        hits.truncate(self.query.limit);
        let next = match (full, stopped_at) {
            (true, _) => hits.last().map(|hit| order.cursor_at(hit.rank)),
            (false, stopped_at) => stopped_at.map(|time_ns| order.cursor_before(time_ns)),
        };
        let mut open: Vec<Option<FoundCall>> = open.into_iter().map(Some).collect();
        let mut calls = Vec::with_capacity(hits.len());
        for hit in hits {
            let call = match hit.place {
                Place::Open(place) => open.get_mut(place).and_then(Option::take),
                Place::Stored { block, row } => self.read(look, blocks, block, row)?,
            };
            calls.extend(call);
        }
        Ok(Page {
            calls: without_superseded(calls),
            next,
            scanned_until_ns: stopped_at.filter(|_| !full),
            examined: look.examined,
            undecided: look.undecided,
        })
    }

    fn read(
        &mut self,
        look: &Look<'_>,
        blocks: &[BlockEntry],
        number: usize,
        row: u32,
    ) -> Result<Option<FoundCall>, StoreError> {
        let held = self.held.remove(&number);
        let mut block = match (held, blocks.get(number)) {
            (Some(block), _) => block,
            (None, Some(entry)) => match look.open_block(entry)? {
                Some(block) => block,
                None => return Ok(None),
            },
            (None, None) => return Ok(None),
        };
        let call = block.read(row, self.query.bodies);
        let found = call.map(|call| look.found(block.id(row), block.recorded(), call));
        self.held.insert(number, block);
        self.let_go_but(number);
        Ok(found)
    }

    fn let_go_but(&mut self, number: usize) {
        if self.held.values().map(OpenBlock::bytes).sum::<usize>() > MAX_HELD_BYTES {
            self.held.retain(|held, _| *held == number);
        }
    }
}

impl Place {
    fn block(&self) -> Option<usize> {
        match self {
            Self::Open(_) => None,
            Self::Stored { block, .. } => Some(*block),
        }
    }
}

/// A call that ended between two looks is there twice: open and ended. The ended one counts.
fn without_superseded(mut calls: Vec<FoundCall>) -> Vec<FoundCall> {
    use crate::call::State;
    let key = |found: &FoundCall| {
        let connection = &found.call.connection;
        (found.origin.incarnation, connection.id, connection.ordinal)
    };
    if calls.iter().all(|found| found.call.state != State::Open) {
        return calls;
    }
    let ended: HashSet<_> = calls
        .iter()
        .filter(|found| found.call.state != State::Open)
        .map(key)
        .collect();
    calls.retain(|found| found.call.state != State::Open || !ended.contains(&key(found)));
    calls
}
