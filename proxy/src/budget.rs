//! The byte budget for everything captured: when it is used up, records are dropped, never traffic.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes that captured records may take up together, over all threads of a sidecar.
///
/// Cheap to clone; every clone is the same budget.
#[derive(Debug, Clone)]
pub struct Budget(Arc<Account>);

#[derive(Debug)]
struct Account {
    limit_bytes: usize,
    used_bytes: AtomicUsize,
}

impl Budget {
    /// A budget of `limit_bytes`, all of it free.
    pub fn new(limit_bytes: usize) -> Self {
        Self(Arc::new(Account {
            limit_bytes,
            used_bytes: AtomicUsize::new(0),
        }))
    }

    /// Takes `bytes` if so many are free. What was taken is given back with [`Budget::give_back`]
    /// once the record is shipped, spooled or dropped.
    pub fn try_take(&self, bytes: usize) -> bool {
        // Relaxed: the number guards no other memory, it only has to add up.
        let before = self.0.used_bytes.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) <= self.0.limit_bytes {
            return true;
        }
        self.0.used_bytes.fetch_sub(bytes, Ordering::Relaxed);
        false
    }

    /// Gives back what was taken.
    pub fn give_back(&self, bytes: usize) {
        self.0.used_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Bytes taken and not given back.
    pub fn used_bytes(&self) -> usize {
        self.0.used_bytes.load(Ordering::Relaxed)
    }

    /// The limit this budget was made with.
    pub fn limit_bytes(&self) -> usize {
        self.0.limit_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_up_to_the_limit_and_no_further() {
        let budget = Budget::new(10);
        assert!(budget.try_take(10));
        assert!(!budget.try_take(1));
        budget.give_back(4);
        assert!(budget.try_take(4));
        assert_eq!(budget.used_bytes(), 10);
    }
}
