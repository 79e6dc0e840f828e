//! What a record takes from the budget, and the bytes that are kept for it.

use crate::budget::Budget;

/// The budget had no room for something without which a record is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::observe) struct Refused;

/// What one record has taken from the budget; given back when the draft is thrown away.
#[derive(Debug)]
pub(in crate::observe) struct Grant {
    budget: Budget,
    bytes: usize,
}

impl Grant {
    /// One that has taken nothing yet.
    pub(in crate::observe) fn new(budget: &Budget) -> Self {
        Self {
            budget: budget.clone(),
            bytes: 0,
        }
    }

    pub(in crate::observe) fn take(&mut self, bytes: usize) -> Result<(), Refused> {
        if bytes > 0 && !self.budget.try_take(bytes) {
            return Err(Refused);
        }
        self.bytes += bytes;
        Ok(())
    }

    pub(in crate::observe) fn give_back(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.budget.give_back(bytes);
        self.bytes -= bytes;
    }

    /// Hands the duty to give back over to whoever has the record.
    pub(super) fn into_cost_bytes(mut self) -> usize {
        std::mem::take(&mut self.bytes)
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.budget.give_back(self.bytes);
        }
    }
}

/// Appends what fits under `limit_bytes`; says whether something was cut off.
pub(in crate::observe) fn keep_up_to(
    kept: &mut Vec<u8>,
    piece: &[u8],
    limit_bytes: usize,
    grant: &mut Grant,
) -> Result<bool, Refused> {
    let room = limit_bytes.saturating_sub(kept.len());
    let fits = piece.get(..room.min(piece.len())).unwrap_or_default();
    if fits.len() > kept.capacity() - kept.len() {
        // A head usually comes whole: no more is reserved than the first piece needs.
        let growth = fits.len().max(kept.len());
        reserve(kept, growth, grant)?;
    }
    kept.extend_from_slice(fits);
    Ok(fits.len() < piece.len())
}

/// Makes room for exactly `bytes` more, taken from the budget.
pub(in crate::observe) fn reserve(
    kept: &mut Vec<u8>,
    bytes: usize,
    grant: &mut Grant,
) -> Result<(), Refused> {
    let before = kept.capacity();
    grant.take((kept.len() + bytes).saturating_sub(before))?;
    kept.reserve_exact(bytes);
    Ok(())
}
