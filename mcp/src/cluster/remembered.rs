//! Answers of the API server that hold for a while. Who asks the same meanwhile shares one question.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::PAUSE;
use super::reviews::Away;

/// Most answers that are remembered.
pub(super) const ENTRIES: usize = 4_096;

/// What a question is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key([u8; 32]);

impl Key {
    /// Of a question of some kind about `parts`. Where one part ends and the next begins is part of it.
    pub(super) fn of(kind: &str, parts: &[&str]) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in [kind].iter().chain(parts) {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        Self(*hasher.finalize().as_bytes())
    }
}

struct Known<V> {
    answer: Result<V, Away>,
    until: Instant,
}

/// The place of one question; who asks holds its lock.
type Place<V> = Arc<tokio::sync::Mutex<Option<Known<V>>>>;

/// Answers by question.
pub(super) struct Remembered<V>(Mutex<HashMap<Key, Place<V>>>);

impl<V> Default for Remembered<V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<V: Clone> Remembered<V> {
    /// The answer that is known, or that of `review`, which then is known for as long as `keep` says.
    pub(super) async fn ask(
        &self,
        key: Key,
        review: impl Future<Output = Result<V, Away>>,
        keep: impl Fn(&V) -> Duration,
    ) -> Result<V, Away> {
        let place = self.place(key);
        let mut known = place.lock().await;
        if let Some(known) = known.as_ref().filter(|known| known.until > Instant::now()) {
            return known.answer.clone();
        }
        // From before the question: what it says may be over by the time that the answer is here.
        let asked = Instant::now();
        let answer = review.await;
        let until = match &answer {
            Ok(answer) => asked + keep(answer),
            Err(Away) => Instant::now() + PAUSE,
        };
        *known = Some(Known {
            answer: answer.clone(),
            until,
        });
        answer
    }

    fn place(&self, key: Key) -> Place<V> {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if places.len() >= ENTRIES && !places.contains_key(&key) {
            let now = Instant::now();
            // Whatever is asked about just now is locked.
            let lives = |place: &mut Place<V>| match place.try_lock() {
                Ok(known) => known.as_ref().is_some_and(|known| known.until > now),
                Err(_) => true,
            };
            places.retain(|_, place| lives(place));
            if places.len() >= ENTRIES {
                places.retain(|_, place| place.try_lock().is_err());
            }
        }
        Arc::clone(places.entry(key).or_default())
    }

    /// How many are remembered.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}
