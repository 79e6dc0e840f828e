//! How fast the body of a response may pass.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, Sleep, sleep_until};

/// How much passes at once: what the rate gives in this time.
const STEP: Duration = Duration::from_millis(50);

/// A rate, kept piece by piece.
#[derive(Debug)]
pub(crate) struct Pace {
    bytes_per_second: u64,
    /// When the next piece may pass.
    next: Pin<Box<Sleep>>,
}

impl Pace {
    /// The first piece may pass at once.
    pub(crate) fn new(bytes_per_second: u64) -> Self {
        Self {
            bytes_per_second: bytes_per_second.max(1),
            next: Box::pin(sleep_until(Instant::now())),
        }
    }

    /// Ready once the next piece may pass.
    pub(crate) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.next.as_mut().poll(cx)
    }

    /// Takes what may pass now off the front: at most `room` bytes.
    pub(crate) fn take(&mut self, waiting: &mut Bytes, room: usize) -> Bytes {
        let step_bytes = u128::from(self.bytes_per_second) * STEP.as_millis() / 1_000;
        let most = usize::try_from(step_bytes)
            .unwrap_or(usize::MAX)
            .max(1)
            .min(room);
        let piece = waiting.split_to(waiting.len().min(most));
        let nanos = piece.len() as u128 * 1_000_000_000 / u128::from(self.bytes_per_second);
        let time = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        self.next.as_mut().reset(Instant::now() + time);
        piece
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_body_takes_the_time_that_its_rate_gives_it() {
        let mut pace = Pace::new(1_000);
        let mut waiting = Bytes::from(vec![7; 2_000]);
        let began = Instant::now();
        let mut passed = 0;
        while !waiting.is_empty() {
            poll_fn(|cx| pace.poll_ready(cx)).await;
            passed += pace.take(&mut waiting, usize::MAX).len();
        }
        poll_fn(|cx| pace.poll_ready(cx)).await;
        assert_eq!(passed, 2_000);
        assert_eq!(began.elapsed(), Duration::from_secs(2));
    }

    #[tokio::test(start_paused = true)]
    async fn the_slowest_rate_passes_byte_by_byte() {
        let mut pace = Pace::new(1);
        let mut waiting = Bytes::from_static(b"ab");
        poll_fn(|cx| pace.poll_ready(cx)).await;
        assert_eq!(pace.take(&mut waiting, usize::MAX), "a");
        let began = Instant::now();
        poll_fn(|cx| pace.poll_ready(cx)).await;
        assert_eq!(began.elapsed(), Duration::from_secs(1));
    }
}
