//! What was read and decoded lately, up to a number of bytes.

use std::collections::{BTreeMap, HashMap};

use crate::segment::Location;

/// Values by the place of their block, of which those not used for longest go first. Nothing else is
/// ever at a place, so no value grows stale.
#[derive(Debug)]
pub(super) struct Lru<V> {
    limit_bytes: usize,
    used_bytes: usize,
    values: HashMap<Location, Cached<V>>,
    /// Places by when they were last asked for.
    by_age: BTreeMap<u64, Location>,
    clock: u64,
}

#[derive(Debug)]
struct Cached<V> {
    value: V,
    bytes: usize,
    used_at: u64,
}

impl<V: Clone> Lru<V> {
    pub(super) fn new(limit_bytes: usize) -> Self {
        Self {
            limit_bytes,
            used_bytes: 0,
            values: HashMap::new(),
            by_age: BTreeMap::new(),
            clock: 0,
        }
    }

    /// The value of the block at a place, which is then the youngest.
    pub(super) fn find(&mut self, place: Location) -> Option<V> {
        let cached = self.values.get_mut(&place)?;
        self.clock += 1;
        self.by_age.remove(&cached.used_at);
        self.by_age.insert(self.clock, place);
        cached.used_at = self.clock;
        Some(cached.value.clone())
    }

    /// Keeps a value that takes `bytes`, unless it alone is more than fits.
    pub(super) fn keep(&mut self, place: Location, value: V, bytes: usize) {
        self.remove(place);
        if bytes > self.limit_bytes {
            return;
        }
        while self.used_bytes + bytes > self.limit_bytes
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.remove(oldest);
        }
        self.clock += 1;
        self.used_bytes += bytes;
        self.by_age.insert(self.clock, place);
        let used_at = self.clock;
        self.values.insert(
            place,
            Cached {
                value,
                bytes,
                used_at,
            },
        );
    }

    fn remove(&mut self, place: Location) {
        if let Some(cached) = self.values.remove(&place) {
            self.by_age.remove(&cached.used_at);
            self.used_bytes -= cached.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::SegmentName;

    fn place(offset: u64) -> Location {
        let segment = SegmentName {
            id: 1,
            marker: [0; 8],
        };
        Location {
            segment,
            offset,
            length: 1,
        }
    }

    #[test]
    fn the_one_not_used_for_longest_goes_first() {
        let mut lru = Lru::new(30);
        for n in 1..=3 {
            lru.keep(place(n), n * 100, 10);
        }
        assert_eq!(lru.find(place(1)), Some(100));
        lru.keep(place(4), 400, 15);
        let left: Vec<_> = (1..=4).filter_map(|n| lru.find(place(n))).collect();
        assert_eq!(left, [100, 400]);
        assert_eq!(lru.used_bytes, 25);
    }

    #[test]
    fn what_is_larger_than_all_of_it_is_not_kept() {
        let mut lru = Lru::new(30);
        lru.keep(place(1), "small", 10);
        lru.keep(place(2), "large", 31);
        assert_eq!(
            (lru.find(place(1)), lru.find(place(2))),
            (Some("small"), None)
        );
        lru.keep(place(1), "grown", 31);
        assert_eq!((lru.find(place(1)), lru.used_bytes), (None, 0));
    }
}
