//! Stretches of time in which something was lost, joined until they are few enough (pure).
//!
//! Those are joined that lie nearest to each other: what is lost is told of more time than it took, and of as
//! little more as may be.

/// A stretch of time.
pub(crate) trait Stretch {
    /// Its beginning: nanoseconds since the Unix epoch.
    fn since_ns(&self) -> i64;
    /// Its end, which is part of it.
    fn until_ns(&self) -> i64;
    /// Whether it may be one with another.
    fn is_like(&self, other: &Self) -> bool;
    /// Becomes one with a later one.
    fn join(&mut self, later: Self);
}

/// Joins neighbours that are alike until there are no more than `most`. Those that are alike stand together, and
/// begin one after the other; more stay where more are unlike each other.
pub(crate) fn join_nearest<S: Stretch>(row: Vec<S>, most: usize) -> Vec<S> {
    let excess = row.len().saturating_sub(most);
    if excess == 0 {
        return row;
    }
    let mut joints = joints(&row);
    joints.sort_unstable();
    let mut is_joined = vec![false; row.len()];
    for (_, place) in joints.into_iter().take(excess) {
        if let Some(joined) = is_joined.get_mut(place) {
            *joined = true;
        }
    }
    let mut few: Vec<S> = Vec::with_capacity(most);
    for (stretch, is_joined) in row.into_iter().zip(is_joined) {
        match few.last_mut() {
            Some(last) if is_joined => last.join(stretch),
            _ => few.push(stretch),
        }
    }
    few
}

/// Which places of a row may be joined with the one before them, each behind the time that lies between.
fn joints<S: Stretch>(row: &[S]) -> Vec<(i64, usize)> {
    let mut joints = Vec::new();
    let mut until_ns = i64::MIN;
    for (place, (before, after)) in (1..).zip(row.iter().zip(row.iter().skip(1))) {
        until_ns = until_ns.max(before.until_ns());
        if before.is_like(after) {
            joints.push((after.since_ns().saturating_sub(until_ns), place));
        } else {
            until_ns = i64::MIN;
        }
    }
    joints
}
