//! What a store holds, in memory: each block's entry, who recorded it, which sequences came, and the
//! calls that still run.
//!
//! Shared by the embedded and the memory store; where the bytes of a block are is the type parameter.
//! It reads no block: what is in one is told to it.

mod open;
mod recorders;
mod sequences;

pub(crate) use open::{Exchange, OpenSection};

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::block::{BlockSummary, Drop, Origin, Source};
use crate::names::Names;
use crate::names::facts::{Fact, Facts};
use crate::query::BlockEntry;
use sequences::Sequences;

/// How many incarnations are remembered before those of which nothing is kept go.
const INCARNATIONS_LIMIT: usize = 16 * 1_024;

/// How long facts about addresses are kept behind the oldest call, in nanoseconds: a sidecar that
/// could not reach the hub brings what it recorded before.
const FACTS_OUTLIVE_NS: i64 = /* one hour */ 3_600_000_000_000;

/// A block that is kept.
#[derive(Debug)]
pub(crate) struct Kept<L> {
    /// The hub's number.
    pub(crate) number: u64,
    /// Who recorded it, as the hub believes.
    pub(crate) origin: Arc<Origin>,
    /// What is in it.
    pub(crate) summary: Arc<BlockSummary>,
    /// Which blocks of the sidecar it holds: one, or several that were merged.
    pub(crate) sources: Vec<Source>,
    /// What the sidecar said it dropped before it.
    pub(crate) drops: Vec<Drop>,
    /// When it was sealed, or the youngest of its sources was: nanoseconds since the Unix epoch.
    pub(crate) sealed_ns: i64,
    /// Bytes that it takes, with what is stored beside it.
    pub(crate) bytes: u64,
    /// Where its bytes are.
    pub(crate) place: L,
}

impl<L> Kept<L> {
    /// When its newest call began; for a block without calls, when it was sealed.
    pub(crate) fn newest_ns(&self) -> i64 {
        match self.summary.calls {
            0 => self.sealed_ns,
            _ => self.summary.last_ns,
        }
    }

    /// When its oldest call began; for a block without calls, when it was sealed.
    pub(crate) fn oldest_ns(&self) -> i64 {
        match self.summary.calls {
            0 => self.sealed_ns,
            _ => self.summary.first_ns,
        }
    }

    fn calls(&self) -> u64 {
        self.summary.calls.into()
    }

    fn entry(&self) -> BlockEntry {
        BlockEntry {
            number: self.number,
            origin: self.origin.clone(),
            summary: self.summary.clone(),
        }
    }

    /// The highest of the sequences in it.
    pub(crate) fn last_sequence(&self) -> u64 {
        let sequences = self.sources.iter().map(|source| source.sequence);
        sequences.max().unwrap_or(0)
    }
}

/// Everything that is kept.
#[derive(Debug)]
pub(crate) struct Index<L> {
    blocks: BTreeMap<u64, Arc<Kept<L>>>,
    /// The block in which a merged one's calls are now.
    merged_into: HashMap<u64, u64>,
    incarnations: HashMap<u128, Incarnation>,
    totals: Totals,
    names: Arc<Names>,
    /// How often blocks took the place of others.
    replacements: u64,
    /// One more than the highest number that came; 0 before the first.
    next_block: u64,
    /// [`Index::entries`], until a block comes or goes.
    entries: Option<Arc<[BlockEntry]>>,
}

/// Sums over all blocks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Blocks, as stored.
    pub(crate) blocks: u64,
    /// Finished calls.
    pub(crate) calls: u64,
    /// Bytes.
    pub(crate) bytes: u64,
}

/// What is known of one run of a sidecar.
#[derive(Debug, Default)]
struct Incarnation {
    sequences: Sequences,
    /// Lowest number of a block of it that came while the process ran, or was found at open.
    first_block: u64,
    /// Highest sequence that was forgotten.
    forgotten: u64,
    /// The same origin is kept once.
    origins: Vec<Arc<Origin>>,
    open: Option<OpenSection>,
}

impl<L> Default for Index<L> {
    fn default() -> Self {
        Self {
            blocks: BTreeMap::new(),
            merged_into: HashMap::new(),
            incarnations: HashMap::new(),
            totals: Totals::default(),
            names: Arc::default(),
            replacements: 0,
            next_block: 0,
            entries: None,
        }
    }
}

impl<L> Index<L> {
    /// Whether this block of a sidecar is kept.
    pub(crate) fn holds(&self, incarnation: u128, sequence: u64) -> bool {
        self.incarnations
            .get(&incarnation)
            .is_some_and(|known| known.sequences.contains(sequence))
    }

    /// An origin, shared with the other blocks that have it.
    pub(crate) fn share(&mut self, origin: Origin) -> Arc<Origin> {
        let known = self.incarnations.entry(origin.incarnation).or_default();
        if let Some(shared) = known.origins.iter().find(|shared| ***shared == origin) {
            return shared.clone();
        }
        let shared = Arc::new(origin);
        known.origins.push(shared.clone());
        shared
    }

    /// Adds a block, of which the sequences were not held before.
    pub(crate) fn insert(&mut self, block: Kept<L>) {
        let known = self
            .incarnations
            .entry(block.origin.incarnation)
            .or_default();
        if known.sequences.is_empty() {
            known.first_block = block.number;
        }
        known.first_block = known.first_block.min(block.number);
        for source in &block.sources {
            known.sequences.insert(source.sequence);
            self.next_block = self.next_block.max(source.block + 1);
            if source.block != block.number {
                self.merged_into.insert(source.block, block.number);
            }
        }
        self.totals.blocks += 1;
        self.totals.calls += block.calls();
        self.totals.bytes += block.bytes;
        let (oldest_ns, newest_ns) = (block.oldest_ns(), block.newest_ns());
        Arc::make_mut(&mut self.names).learn(&block.origin, oldest_ns, newest_ns);
        self.entries = None;
        self.blocks.insert(block.number, Arc::new(block));
    }

    /// Takes a block out, as if it had never come.
    pub(crate) fn remove(&mut self, number: u64) -> Option<Arc<Kept<L>>> {
        let block = self.blocks.remove(&number)?;
        for source in &block.sources {
            self.merged_into.remove(&source.block);
        }
        self.totals.blocks -= 1;
        self.totals.calls -= block.calls();
        self.totals.bytes -= block.bytes;
        self.entries = None;
        if let Some(known) = self.incarnations.get_mut(&block.origin.incarnation) {
            for source in &block.sources {
                known.sequences.remove(source.sequence);
                known.close_section_of(source.block);
            }
        }
        Some(block)
    }

    /// Takes a block out because it is old enough: its sequences do not count as missing.
    pub(crate) fn forget(&mut self, number: u64) -> Option<Arc<Kept<L>>> {
        let block = self.remove(number)?;
        let incarnation = block.origin.incarnation;
        self.set_forgotten(incarnation, block.last_sequence());
        if let Some(known) = self.incarnations.get_mut(&incarnation)
            && known.sequences.is_empty()
        {
            known.origins.clear();
        }
        if self.incarnations.len() > INCARNATIONS_LIMIT {
            self.incarnations
                .retain(|_, known| !known.sequences.is_empty());
        }
        Some(block)
    }

    /// Unlearns the names of those who recorded nothing that is still kept.
    pub(crate) fn relearn_names(&mut self) {
        let mut facts = Arc::clone(self.names.facts());
        let oldest = self.blocks.values().map(|block| block.oldest_ns()).min();
        if let Some(oldest_ns) = oldest {
            Arc::make_mut(&mut facts).forget_before(oldest_ns.saturating_sub(FACTS_OUTLIVE_NS));
        }
        let mut names = Names::with_facts(facts);
        for block in self.blocks.values() {
            names.learn(&block.origin, block.oldest_ns(), block.newest_ns());
        }
        self.names = Arc::new(names);
    }

    /// Takes in what was seen before the store was opened.
    pub(crate) fn remember(&mut self, facts: Facts) {
        self.names = Arc::new(Names::with_facts(Arc::new(facts)));
        self.relearn_names();
    }

    /// Takes in all that is at an address now, and gives what is new.
    pub(crate) fn observe(&mut self, present: &[Fact], at_ns: i64) -> Vec<Fact> {
        Arc::make_mut(&mut self.names).observe(present, at_ns)
    }

    /// Who the addresses belong to.
    pub(crate) fn names(&self) -> Arc<Names> {
        self.names.clone()
    }

    /// Says that nothing up to `sequence` counts as missing.
    pub(crate) fn set_forgotten(&mut self, incarnation: u128, sequence: u64) {
        let known = self.incarnations.entry(incarnation).or_default();
        known.forgotten = known.forgotten.max(sequence);
    }

    /// Up to which sequence each incarnation's blocks were forgotten.
    pub(crate) fn forgotten(&self) -> impl Iterator<Item = (u128, u64)> + '_ {
        let incarnations = self.incarnations.iter();
        incarnations
            .map(|(&incarnation, known)| (incarnation, known.forgotten))
            .filter(|&(_, sequence)| sequence > 0)
    }

    /// Puts one block in the place of those that were merged into it.
    pub(crate) fn replace(&mut self, merged: Kept<L>) {
        self.replacements += 1;
        let incarnation = merged.origin.incarnation;
        let open = self
            .incarnations
            .get_mut(&incarnation)
            .and_then(|known| known.open.take());
        for source in &merged.sources {
            let holder = self.merged_into.get(&source.block);
            let holder = holder.copied().unwrap_or(source.block);
            self.remove(holder);
        }
        self.insert(merged);
        if let Some(known) = self.incarnations.get_mut(&incarnation) {
            known.open = open;
        }
    }

    /// Changes when blocks took the place of others: what was read in between may be of both.
    pub(crate) fn replacements(&self) -> u64 {
        self.replacements
    }

    /// The block in which the calls of block `number` are.
    pub(crate) fn holder(&self, number: u64) -> Option<&Arc<Kept<L>>> {
        let holder = self.merged_into.get(&number).unwrap_or(&number);
        self.blocks.get(holder)
    }

    /// Every block, by number.
    pub(crate) fn blocks(&self) -> impl DoubleEndedIterator<Item = &Arc<Kept<L>>> {
        self.blocks.values()
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Sums over all blocks.
    pub(crate) fn totals(&self) -> Totals {
        self.totals
    }

    /// When the oldest and the newest call began.
    pub(crate) fn time_range(&self) -> Option<(i64, i64)> {
        let with_calls = || self.blocks.values().filter(|block| block.calls() > 0);
        let first = with_calls().map(|block| block.summary.first_ns).min()?;
        let last = with_calls().map(|block| block.summary.last_ns).max()?;
        Some((first, last))
    }

    /// One more than the highest number of a block that ever came.
    pub(crate) fn next_block(&self) -> u64 {
        self.next_block.max(1)
    }

    /// The blocks that hold calls which came under numbers of a range, and maybe others.
    pub(crate) fn entries_among(&self, numbers: std::ops::Range<u64>) -> Vec<BlockEntry> {
        let among = self.blocks.values().filter(|block| {
            let mut sources = block.sources.iter();
            block.calls() > 0 && sources.any(|source| numbers.contains(&source.block))
        });
        among.map(|block| block.entry()).collect()
    }

    /// The blocks that hold calls, the ones with the oldest first.
    pub(crate) fn entries(&mut self) -> Arc<[BlockEntry]> {
        if let Some(entries) = &self.entries {
            return entries.clone();
        }
        let with_calls = self.blocks.values().filter(|block| block.calls() > 0);
        let mut entries: Vec<BlockEntry> = with_calls.map(|block| block.entry()).collect();
        // Blocks come nearly in the order of time, which makes this cheap.
        entries.sort_by_key(|entry| (entry.summary.first_ns, entry.number));
        let entries: Arc<[BlockEntry]> = entries.into();
        self.entries = Some(entries.clone());
        entries
    }
}
