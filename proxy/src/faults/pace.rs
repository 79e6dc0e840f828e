//! How fast the body of a response may pass.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, Sleep, sleep_until};

use super::Life;

/// How much passes at once: what the rate gives in this time.
const STEP: Duration = Duration::from_millis(50);

/// A rate, kept piece by piece for as long as its fault lasts.
pub(crate) struct Pace {
    bytes_per_second: u64,
    /// When the next piece may pass.
    next: Pin<Box<Sleep>>,
    /// Ready when the fault is over; gone by then.
    over: Option<Pin<Box<dyn Future<Output = ()>>>>,
}

impl Pace {
    /// The first piece may pass at once.
    pub(crate) fn new(bytes_per_second: u64, life: Life) -> Self {
        Self {
            bytes_per_second: bytes_per_second.max(1),
            next: Box::pin(sleep_until(Instant::now())),
            over: Some(Box::pin(life.over())),
        }
    }

    /// Ready once the next piece may pass.
    pub(crate) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(over) = &mut self.over
            && over.as_mut().poll(cx).is_ready()
        {
            self.over = None;
        }
        match self.over {
            None => Poll::Ready(()),
            Some(_) => self.next.as_mut().poll(cx),
        }
    }

    /// How many bytes pass at once.
    pub(crate) fn step_bytes(&self) -> usize {
        if self.over.is_none() {
            return usize::MAX;
        }
        let bytes = u128::from(self.bytes_per_second) * STEP.as_millis() / 1_000;
        usize::try_from(bytes).unwrap_or(usize::MAX).max(1)
    }

    /// Takes what may pass now off the front: at most `room` bytes.
    pub(crate) fn take(&mut self, waiting: &mut Bytes, room: usize) -> Bytes {
        let most = self.step_bytes().min(room);
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

    use tokio::sync::watch;

    use super::*;

    const LIFE: Duration = Duration::from_secs(600);

    /// At so many bytes a second, for as long as nothing ends it but time.
    fn pace(bytes_per_second: u64, life: Duration) -> Pace {
        let (_, stopped) = watch::channel(false);
        Pace::new(bytes_per_second, Life::new(Instant::now() + life, stopped))
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_left_when_the_fault_expires_passes_at_once() {
        let mut pace = pace(1, Duration::from_millis(2_500));
        let mut waiting = Bytes::from(vec![7; 2_000]);
        let began = Instant::now();
        let mut pieces = Vec::new();
        while !waiting.is_empty() {
            poll_fn(|cx| pace.poll_ready(cx)).await;
            pieces.push(pace.take(&mut waiting, usize::MAX).len());
        }
        assert_eq!(pieces, [1, 1, 1, 1_997]);
        assert_eq!(began.elapsed(), Duration::from_millis(2_500));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_takes_the_time_that_its_rate_gives_it() {
        let mut pace = pace(1_000, LIFE);
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
        let mut pace = pace(1, LIFE);
        let mut waiting = Bytes::from_static(b"ab");
        poll_fn(|cx| pace.poll_ready(cx)).await;
        assert_eq!(pace.take(&mut waiting, usize::MAX), "a");
        let began = Instant::now();
        poll_fn(|cx| pace.poll_ready(cx)).await;
        assert_eq!(began.elapsed(), Duration::from_secs(1));
    }
}
