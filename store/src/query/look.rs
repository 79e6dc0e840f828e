//! Looking at blocks one after the other: what list and summary have in common.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::withhold::withhold;
use super::{ArrivedQuery, BlockEntry, BlockSource, FoundCall, Order};
use crate::block::{Block, BlockError, Columns, Heads, Origin};
use crate::call::{Call, CallId, State};
use crate::filter::columns::BlockFacts;
use crate::filter::eval::Truth;
use crate::filter::found::WholeCall;
use crate::filter::plan::Plan;
use crate::filter::{Filter, FilterError};
use crate::names::Names;
use crate::snapshot::{UnderWay, View};
use crate::store::{Scope, StoreError};

/// A block is read as a whole where at least this many of its calls have to be.
const MANY: usize = 8;

/// Which calls are looked at, before any filter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    /// Time of the first call, if there is a bound.
    pub(crate) since_ns: i64,
    /// Time of the last call; itself inside.
    pub(crate) last_ns: i64,
    pub(crate) probes: bool,
}

impl Window {
    pub(crate) fn new(since_ns: Option<i64>, until_ns: Option<i64>, probes: bool) -> Option<Self> {
        let window = Self {
            since_ns: since_ns.unwrap_or(i64::MIN),
            last_ns: match until_ns {
                Some(until) => until.checked_sub(1)?,
                None => i64::MAX,
            },
            probes,
        };
        (window.since_ns <= window.last_ns).then_some(window)
    }

    pub(crate) fn holds(&self, call: &Call) -> bool {
        (self.since_ns..=self.last_ns).contains(&call.time_ns) && (self.probes || !call.probe)
    }

    /// The calls of a block that lie inside.
    fn rows(&self, columns: &Columns, entry: &BlockEntry) -> Vec<u32> {
        let calls = columns.time_ns.len() as u32;
        let summary = &entry.summary;
        let all_in_time = self.since_ns <= summary.first_ns && summary.last_ns <= self.last_ns;
        if all_in_time && (self.probes || summary.probes == 0) {
            return (0..calls).collect();
        }
        let times = columns.time_ns.iter().zip(&columns.probe);
        (0..calls)
            .zip(times)
            .filter(|(_, (time, probe))| {
                (self.since_ns..=self.last_ns).contains(*time) && (self.probes || !**probe)
            })
            .map(|(row, _)| row)
            .collect()
    }
}

/// Blocks that can hold what is looked for, the one that comes first in the order at the front.
pub(crate) fn candidates(
    entries: &[BlockEntry],
    scope: &Scope,
    view: &View,
    window: &Window,
    order: Order,
) -> Vec<BlockEntry> {
    let mut candidates: Vec<BlockEntry> = entries
        .iter()
        .filter(|entry| {
            scope.sees(&entry.origin.namespace)
                && view.holds(entry.number, &entry.origin.workload)
                && entry.summary.first_ns <= window.last_ns
                && entry.summary.last_ns >= window.since_ns
        })
        .cloned()
        .collect();
    candidates.sort_by_key(|entry| (order.first_rank(front(entry, window, order)), entry.number));
    candidates
}

/// Time of the call in a block that can come first.
pub(crate) fn front(entry: &BlockEntry, window: &Window, order: Order) -> i64 {
    match order {
        Order::Newest => entry.summary.last_ns.min(window.last_ns),
        Order::Oldest => entry.summary.first_ns.max(window.since_ns),
    }
}

/// One question while it is answered.
pub(crate) struct Look<'q> {
    source: &'q dyn BlockSource,
    scope: &'q Scope,
    names: Arc<Names>,
    filter: &'q Filter,
    plan: Plan<'q>,
    deadline: Option<Instant>,
    pub(crate) examined: u64,
    /// Calls that are left out because it depends on what was not kept of their bodies, or is withheld.
    pub(crate) undecided: u64,
}

impl<'q> Look<'q> {
    pub(crate) fn new(
        source: &'q dyn BlockSource,
        scope: &'q Scope,
        filter: &'q Filter,
        time_budget: Duration,
    ) -> Self {
        Self {
            source,
            scope,
            names: source.names().seen_by(scope),
            filter,
            plan: Plan::new(filter),
            deadline: Instant::now().checked_add(time_budget),
            examined: 0,
            undecided: 0,
        }
    }

    pub(crate) fn names(&self) -> &Names {
        &self.names
    }

    pub(crate) fn out_of_time(&self) -> bool {
        self.deadline
            .is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// The open calls inside the window that pass.
    pub(crate) fn open_calls(
        &mut self,
        view: &View,
        window: &Window,
    ) -> Result<Vec<FoundCall>, StoreError> {
        let mut found = Vec::new();
        if view.before_block.is_some() {
            return Ok(found);
        }
        for (id, origin, call) in self.source.open_calls() {
            let seen = self.scope.sees(&origin.namespace) && view.sees(&origin.workload);
            if !seen || !window.holds(&call) {
                continue;
            }
            self.examined += 1;
            let call = self.found(id, (&origin, &Arc::default()), call);
            if self.judge(&call, true)? == Truth::Yes {
                found.push(call);
            }
        }
        Ok(found)
    }

    /// The columns of a block and what they say of its calls; `None` if no call of it can pass, or it
    /// cannot be read.
    pub(crate) fn ask(
        &mut self,
        entry: &BlockEntry,
        window: &Window,
    ) -> Result<Option<Asked>, StoreError> {
        let may_match = self.plan.may_match(&entry.summary, &entry.origin);
        if !may_match.map_err(StoreError::Filter)? {
            return Ok(None);
        }
        let Some(columns) = unless_damaged(self.source.columns(entry.number))? else {
            return Ok(None);
        };
        let rows = window.rows(&columns, entry);
        self.examined += rows.len() as u64;
        let times = (entry.summary.first_ns, entry.summary.last_ns);
        let facts = BlockFacts::new(&columns, &entry.origin, &self.names, times);
        let truths = self
            .plan
            .decide(&facts, &rows)
            .map_err(StoreError::Filter)?;
        let passing = rows
            .into_iter()
            .zip(truths)
            .filter(|(_, truth)| matches!(truth, Truth::Yes | Truth::Unknown))
            .collect();
        Ok(Some(Asked { columns, passing }))
    }

    /// A block to read calls from; `None` if it is gone or damaged.
    pub(crate) fn open_block(&self, entry: &BlockEntry) -> Result<Option<OpenBlock>, StoreError> {
        let block = unless_damaged(self.source.block(entry.number))?;
        Ok(block.map(|block| OpenBlock::new(block, entry)))
    }

    /// Whether a call passes that its columns left open.
    pub(crate) fn passes(&mut self, block: &mut OpenBlock, row: u32) -> Result<bool, StoreError> {
        for bodies in [false, true] {
            let Some(call) = block.read(row, bodies) else {
                return Ok(false);
            };
            let found = self.found(block.id(row), block.recorded(), call);
            match self.judge(&found, bodies)? {
                Truth::Yes => return Ok(true),
                Truth::No | Truth::Absent => return Ok(false),
                Truth::Unknown => {}
            }
        }
        Ok(false)
    }

    /// What the filter says of a call that was read with or without its bodies.
    fn judge(&mut self, found: &FoundCall, bodies: bool) -> Result<Truth, StoreError> {
        let Some(expr) = self.filter.expr() else {
            return Ok(Truth::Yes);
        };
        let whole = WholeCall::new(found, bodies);
        let truth = crate::filter::eval::truth(expr, &whole).map_err(StoreError::Filter)?;
        if bodies && truth == Truth::Unknown {
            self.undecided += 1;
        }
        Ok(truth)
    }

    /// A call as the asker sees it, with the names of its ends.
    pub(crate) fn found(&self, id: CallId, recorded: Recorded<'_>, call: Call) -> FoundCall {
        found(self.scope, &self.names, id, recorded, call)
    }
}

/// Each call that matches and still runs.
pub(crate) fn running(
    source: &dyn BlockSource,
    scope: &Scope,
    query: &ArrivedQuery,
) -> Result<Vec<UnderWay>, StoreError> {
    let Some(window) = Window::new(Some(query.since_ns), None, false) else {
        return Ok(Vec::new());
    };
    let mut look = Look::new(source, scope, &query.filter, query.time_budget);
    let open = look.open_calls(&query.view, &window)?;
    let running = open
        .into_iter()
        .filter(|found| found.call.state == State::Open);
    Ok(running.map(|found| UnderWay::of(&found)).collect())
}

/// Who recorded a call, and under which redaction key.
pub type Recorded<'a> = (&'a Arc<Origin>, &'a Arc<str>);

/// A call as somebody of this scope sees it, with the names of its ends. Every call that leaves a store, and every one that
/// a filter is asked about, is made here; so what is withheld can be neither read nor asked for.
pub fn found(
    scope: &Scope,
    names: &Names,
    id: CallId,
    (origin, key): Recorded<'_>,
    mut call: Call,
) -> FoundCall {
    let withheld = !scope.sees_bodies(&origin.namespace);
    if withheld {
        withhold(&mut call);
    }
    let ends = (call.src, call.dst);
    let (src, dst) = names.parties(origin, call.leg, ends, call.time_ns);
    FoundCall {
        id,
        origin: Arc::clone(origin),
        redaction_key: Arc::clone(key),
        src,
        dst,
        call,
        withheld,
    }
}

/// What the columns of a block said.
pub(crate) struct Asked {
    pub(crate) columns: Arc<Columns>,
    /// The calls that pass, and those that have to be read to know.
    pub(crate) passing: Vec<(u32, Truth)>,
}

/// A block that calls are read from.
pub(crate) struct OpenBlock {
    block: Block,
    origin: Arc<Origin>,
    redaction_key: Arc<str>,
    number: u64,
    /// Ids of the calls where they are not those of the block itself.
    ids: Vec<CallId>,
    heads: Option<Heads>,
    reads: usize,
}

impl OpenBlock {
    fn new(block: Block, entry: &BlockEntry) -> Self {
        let ids = match block.sources().is_empty() {
            true => Vec::new(),
            false => block.ids(entry.number).collect(),
        };
        Self {
            redaction_key: block.meta().redaction_key.as_str().into(),
            block,
            origin: Arc::clone(&entry.origin),
            number: entry.number,
            ids,
            heads: None,
            reads: 0,
        }
    }

    pub(crate) fn id(&self, row: u32) -> CallId {
        let own = CallId {
            block: self.number,
            ordinal: row,
        };
        self.ids.get(row as usize).copied().unwrap_or(own)
    }

    /// Who recorded its calls, and under which key.
    pub(crate) fn recorded(&self) -> Recorded<'_> {
        (&self.origin, &self.redaction_key)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.block.bytes().len()
    }

    /// A call; `None` if it cannot be read.
    pub(crate) fn read(&mut self, row: u32, bodies: bool) -> Option<Call> {
        let read = if bodies {
            self.block.call(row)
        } else {
            self.read_head(row)
        };
        match read {
            Ok(call) => call,
            Err(error) => {
                let block = self.number;
                tracing::warn!(block, %error, "stored call cannot be read");
                None
            }
        }
    }

    fn read_head(&mut self, row: u32) -> Result<Option<Call>, BlockError> {
        self.reads += 1;
        if self.reads >= MANY && self.heads.is_none() {
            self.heads = Some(self.block.heads()?);
        }
        match &self.heads {
            Some(heads) => Ok(heads.call(row as usize)),
            None => self.block.call_without_bodies(row),
        }
    }
}

/// A damaged block was set aside by its source; the question goes on without it.
fn unless_damaged<T>(read: Result<Option<T>, StoreError>) -> Result<Option<T>, StoreError> {
    match read {
        Err(StoreError::Damaged { .. }) => Ok(None),
        other => other,
    }
}

impl From<FilterError> for StoreError {
    fn from(error: FilterError) -> Self {
        Self::Filter(error)
    }
}
