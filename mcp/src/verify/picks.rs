//! Which calls the expectations of one question are about.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::app::App;
use crate::error::ApiError;
use crate::snapshot::sight::Sight;
use crate::tools::filter::FilterInput;
use crate::traffic::budget::Budget;
use crate::traffic::gather::{Gathered, Picked, pick};

/// Most different filters of one question: each is a question to the store.
const FILTERS: usize = 60;
/// Said where a filter was not asked about all calls.
const NO_TIME: &str = "there was no time to ask the filter about all calls: ask about a shorter time, or without where";
/// Said where it was not asked at all.
pub(super) const UNASKED: &str = "the time for this question was over before this filter was asked: verify it again in a question of its own, or over a shorter time";

/// What each filter lets through, so that two expectations with the same one ask once.
#[derive(Default)]
pub(super) struct Picks {
    by_filter: HashMap<String, Picked>,
}

impl Picks {
    pub(super) async fn read(
        &mut self,
        app: &App,
        sight: &Sight,
        filter: Option<&FilterInput>,
        budget: Budget,
    ) -> Result<(), ApiError> {
        let Some(key) = key(filter) else {
            return Ok(());
        };
        let filters = self.by_filter.len();
        if let Entry::Vacant(vacant) = self.by_filter.entry(key) {
            if filters >= FILTERS {
                let error = ApiError::bad_request("too_many_filters", "there are too many filters");
                return Err(error.hint("at most 60 different ones at a time"));
            }
            let lowered = FilterInput::read(filter.cloned())?;
            vacant.insert(pick(app, sight, lowered, budget).await?);
        }
        Ok(())
    }

    /// The places of the calls that a filter lets through.
    pub(super) fn of(&self, filter: Option<&FilterInput>, gathered: &Gathered) -> Vec<usize> {
        match key(filter).and_then(|key| self.by_filter.get(&key)) {
            None => gathered.traffic.pick(|_| true),
            Some(picked) => gathered.traffic.pick(|id| picked.ids.contains(&id)),
        }
    }

    /// How many calls no filter could decide over.
    pub(super) fn undecided(&self) -> u64 {
        self.by_filter.values().map(|it| it.undecided).sum()
    }

    /// Why some filter was not asked about all calls.
    pub(super) fn no_time(&self) -> Vec<String> {
        said(self.by_filter.values())
    }

    /// Why one of these filters was not asked about all calls.
    pub(super) fn no_time_for(&self, filters: &[Option<&FilterInput>]) -> Vec<String> {
        said(self.picked(filters))
    }

    /// Whether one of these filters was not asked at all.
    pub(super) fn is_unasked(&self, filters: &[Option<&FilterInput>]) -> bool {
        self.picked(filters).any(|it| it.is_unasked)
    }

    /// How many calls these filters could not decide over.
    pub(super) fn undecided_by(&self, filters: &[Option<&FilterInput>]) -> u64 {
        self.picked(filters).map(|it| it.undecided).sum()
    }

    fn picked(&self, filters: &[Option<&FilterInput>]) -> impl Iterator<Item = &Picked> {
        let keys = filters.iter().filter_map(|filter| key(*filter));
        keys.filter_map(|key| self.by_filter.get(&key))
    }
}

fn said<'a>(picked: impl Iterator<Item = &'a Picked>) -> Vec<String> {
    let picked: Vec<&Picked> = picked.collect();
    let reasons = [
        (picked.iter().any(|it| it.is_cut), NO_TIME),
        (picked.iter().any(|it| it.is_unasked), UNASKED),
    ];
    let reasons = reasons.into_iter().filter(|(holds, _)| *holds);
    reasons.map(|(_, said)| said.to_owned()).collect()
}

/// `None` for the filter that lets everything through.
fn key(filter: Option<&FilterInput>) -> Option<String> {
    let key = format!("{:?}", filter?);
    (key != format!("{:?}", FilterInput::default())).then_some(key)
}
