//! Something that is made when it is first needed, and made anew when it is no longer good.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

/// Shortest wait between an attempt that failed and the next.
const SHORTEST_WAIT: Duration = Duration::from_millis(250);
/// Longest such wait, however many failed.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Keeps one thing. Those who need it while it is made share the attempt, and its failure.
pub(super) struct Kept<T> {
    place: Mutex<Place<T>>,
    attempts: AtomicU64,
}

struct Place<T> {
    thing: Option<T>,
    failed: Option<Failed>,
}

struct Failed {
    why: String,
    /// How many attempts in a row.
    times: u32,
    at: Instant,
}

impl Failed {
    /// When the next attempt may begin.
    fn over(&self) -> Instant {
        let doubled = SHORTEST_WAIT.saturating_mul(1 << self.times.min(16));
        self.at + (doubled / 2).min(LONGEST_WAIT)
    }
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self {
            place: Mutex::new(Place {
                thing: None,
                failed: None,
            }),
            attempts: AtomicU64::new(0),
        }
    }
}

impl<T> Kept<T> {
    /// What `good` gives of the thing, which is made by `make` where there is none of which it gives anything. Where that
    /// fails, what `still` gives of the one that there was.
    ///
    /// # Errors
    ///
    /// It could not be made, here or for somebody else who waited meanwhile.
    pub(super) async fn get<R>(
        &self,
        good: impl Fn(&mut T) -> Option<R>,
        still: impl Fn(&mut T) -> Option<R>,
        make: impl Future<Output = Result<T, String>>,
    ) -> Result<R, String> {
        let before = self.attempts.load(Ordering::Relaxed);
        let mut place = self.place.lock().await;
        if let Some(given) = place.thing.as_mut().and_then(&good) {
            return Ok(given);
        }
        let so_far = place.thing.as_mut().and_then(&still);
        if let Some(failed) = &place.failed {
            let shared = self.attempts.load(Ordering::Relaxed) != before;
            let waits = failed.over() > Instant::now();
            match so_far {
                Some(given) if shared || waits => return Ok(given),
                None if shared => return Err(failed.why.clone()),
                _ => sleep_until(failed.over()).await,
            }
        }
        let made = make.await;
        self.attempts.fetch_add(1, Ordering::Relaxed);
        match made {
            Ok(mut thing) => {
                let given = good(&mut thing).or_else(|| still(&mut thing));
                place.failed = None;
                place.thing = Some(thing);
                given.ok_or_else(|| "what was made anew is no better".to_owned())
            }
            Err(why) => {
                let times = place.failed.as_ref().map_or(0, |failed| failed.times);
                place.failed = Some(Failed {
                    why: why.clone(),
                    times: times.saturating_add(1),
                    at: Instant::now(),
                });
                match place.thing.as_mut().and_then(&still) {
                    Some(given) => {
                        tracing::warn!(%why, "what was made before is used on");
                        Ok(given)
                    }
                    None => Err(why),
                }
            }
        }
    }

    /// Lets the thing go, if `is_bad` says so.
    pub(super) async fn drop_if(&self, is_bad: impl Fn(&mut T) -> bool) {
        let mut place = self.place.lock().await;
        if place.thing.as_mut().is_some_and(is_bad) {
            place.thing = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures_util::future::join_all;
    use tokio::time::sleep;

    use super::*;

    /// Makes the next number, or fails while `fails` says so; takes a second.
    async fn next(made: &Cell<u32>, fails: bool) -> Result<u32, String> {
        sleep(Duration::from_secs(1)).await;
        made.set(made.get() + 1);
        match fails {
            true => Err(format!("attempt {}", made.get())),
            false => Ok(made.get()),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_wait_share_one_attempt_and_its_failure() {
        let (kept, made) = (Kept::default(), Cell::new(0));
        let ask = |fails| kept.get(|thing| Some(*thing), |_| None, next(&made, fails));
        let all = join_all((0..50).map(|_| ask(true))).await;
        assert_eq!(all, vec![Err("attempt 1".to_owned()); 50]);
        let all = join_all((0..50).map(|_| ask(false))).await;
        assert_eq!(all, vec![Ok(2); 50]);
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_that_fail_are_ever_further_apart_up_to_a_bound() {
        let (kept, made) = (Kept::<u32>::default(), Cell::new(0));
        let mut took = Vec::new();
        for _ in 0..8 {
            let began = Instant::now();
            let failed = kept.get(|thing| Some(*thing), |_| None, next(&made, true));
            assert!(failed.await.is_err());
            took.push(began.elapsed().as_millis());
        }
        assert_eq!(
            took,
            [1_000, 1_250, 1_500, 2_000, 3_000, 5_000, 6_000, 6_000]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_there_was_is_used_on_where_it_cannot_be_made_anew() {
        let (kept, made) = (Kept::default(), Cell::new(0));
        let first = kept.get(|thing| Some(*thing), |_| None, next(&made, false));
        assert_eq!(first.await, Ok(1));
        for waited in [1_000, 0, 0] {
            let began = Instant::now();
            let again = kept.get(|_| None, |thing| Some(*thing), next(&made, true));
            assert_eq!(again.await, Ok(1));
            assert_eq!(began.elapsed().as_millis(), waited);
        }
        kept.drop_if(|thing| *thing == 1).await;
        let gone = kept.get(|_| None, |thing: &mut u32| Some(*thing), next(&made, true));
        assert!(gone.await.is_err());
    }
}
