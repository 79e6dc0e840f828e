//! When a connection began, by the wall clock and by the one that only goes forward.

use std::time::Duration;

use tokio::time::Instant;

use crate::record::wall_clock_ns;

/// Most that the two clocks of a connection may be apart, as far as that can be had ...
const CLOCKS_APART: Duration = Duration::from_micros(20);
/// ... by reading them so often again.
const CLOCK_READINGS: usize = 4;

/// When a connection began.
#[derive(Clone, Copy)]
pub(crate) struct Arrival {
    /// Since 1970.
    pub(super) wall_ns: i64,
    pub(super) instant: Instant,
}

impl Arrival {
    /// It begins now. Whoever is interrupted between the two clocks reads them again: they would be apart for
    /// the whole connection, and its calls out of order with those of others.
    pub(crate) fn now() -> Self {
        let mut read = Self::read();
        for _ in 0..CLOCK_READINGS {
            let before = read.instant;
            read = Self::read();
            if read.instant - before <= CLOCKS_APART {
                break;
            }
        }
        read
    }

    fn read() -> Self {
        Self {
            wall_ns: wall_clock_ns(),
            instant: Instant::now(),
        }
    }
}
