//! Percentiles of sorted values.

/// The value that a share of the others does not exceed, by nearest rank; `None` where there are none.
pub(crate) fn nearest_rank<T: Copy>(sorted: &[T], share: f64) -> Option<T> {
    let rank = (share * sorted.len() as f64).ceil().max(1.0) as usize;
    let last = sorted.len().checked_sub(1)?;
    sorted.get((rank - 1).min(last)).copied()
}
