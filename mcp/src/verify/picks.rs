//! Which calls the expectations of one question are about.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::app::App;
use crate::error::ApiError;
use crate::snapshot::sight::Sight;
use crate::tools::filter::FilterInput;
use crate::traffic::gather::{Gathered, Picked, pick};

/// Most different filters of one question: each is a question to the store.
const FILTERS: usize = 60;

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
            vacant.insert(pick(app, sight, lowered).await?);
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

    /// Whether there was no time to ask about all calls.
    pub(super) fn is_cut(&self) -> bool {
        self.by_filter.values().any(|it| it.is_cut)
    }

    /// How many calls these filters could not decide over.
    pub(super) fn undecided_by(&self, filters: &[Option<&FilterInput>]) -> u64 {
        let keys = filters.iter().filter_map(|filter| key(*filter));
        let picked = keys.filter_map(|key| self.by_filter.get(&key));
        picked.map(|it| it.undecided).sum()
    }
}

/// `None` for the filter that lets everything through.
fn key(filter: Option<&FilterInput>) -> Option<String> {
    let key = format!("{:?}", filter?);
    (key != format!("{:?}", FilterInput::default())).then_some(key)
}
