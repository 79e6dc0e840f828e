//! What clients make of the certificates that they are shown, by the name that they ask for: whether any accepted
//! one, whether one has just refused, and whether one is finding out.
//!
//! Bounded in number and in time (pure: the clock is the caller's).

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

/// Most names that are remembered; beyond, the one that was longest not asked for is forgotten.
const MOST_NAMES: usize = 1024;

/// How long a refusal counts at first: each costs the application a connection.
const REFUSED_FOR: Duration = Duration::from_secs(60 * 60);

/// How long it counts at first that clients leave without a word.
const SILENT_FOR: Duration = Duration::from_secs(5 * 60);

/// Both are doubled each time, up to this.
const MOST_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// From how many on it counts: one may have been opened and not been used.
const SILENCES: u32 = 2;

/// How long one client finds out before another may.
pub(super) const TRIAL: Duration = Duration::from_secs(1);

/// What is known of the clients that ask for some names.
#[derive(Debug, Default)]
pub(super) struct Trust {
    names: HashMap<String, Name>,
}

#[derive(Debug)]
struct Name {
    /// A client was heard inside, and none has refused since.
    is_accepted: bool,
    /// Since when one is finding out.
    tried: Option<Instant>,
    /// How many left without a word while none was heard.
    silences: u32,
    /// How often connections had to be passed through.
    lapses: u32,
    /// They are until then.
    passed_until: Option<Instant>,
    asked: Instant,
}

/// How the next client is to be met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Like others before.
    Accepted,
    /// As the first one: it finds out.
    Untried,
    /// Not before another has found out.
    OnTrial,
    /// It is passed through.
    Refused,
}

/// What a client made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// It spoke inside.
    Accepted,
    /// It said that the certificate is none that it trusts.
    Refused,
    /// It left without a word.
    Left,
}

impl Trust {
    /// What the next client that asks for a name is to expect.
    pub(super) fn standing(&self, name: &str, now: Instant) -> Standing {
        let Some(known) = self.names.get(name) else {
            return Standing::Untried;
        };
        if known.passed_until.is_some_and(|until| now < until) {
            Standing::Refused
        } else if known.is_accepted {
            Standing::Accepted
        } else if known.tried.is_some_and(|since| now < since + TRIAL) {
            Standing::OnTrial
        } else {
            Standing::Untried
        }
    }

    /// A client finds out.
    pub(super) fn begin(&mut self, name: &str, now: Instant) {
        self.name(name, now).tried = Some(now);
    }

    /// The one that began then does so no more.
    pub(super) fn end(&mut self, name: &str, began: Instant) {
        let known = self.names.get_mut(name);
        if let Some(known) = known.filter(|known| known.tried == Some(began)) {
            known.tried = None;
        }
    }

    /// A client was heard, or left.
    pub(super) fn note(&mut self, name: &str, word: Word, now: Instant) {
        let known = self.name(name, now);
        match word {
            Word::Accepted => {
                known.is_accepted = true;
                known.silences = 0;
            }
            Word::Refused => {
                known.is_accepted = false;
                known.pass(REFUSED_FOR, now);
            }
            // Connections that are not used are nothing unusual.
            Word::Left if known.is_accepted => {}
            Word::Left => {
                known.silences = known.silences.saturating_add(1);
                if known.silences >= SILENCES {
                    known.pass(SILENT_FOR, now);
                }
            }
        }
    }

    fn name(&mut self, name: &str, now: Instant) -> &mut Name {
        if self.names.len() >= MOST_NAMES && !self.names.contains_key(name) {
            let oldest = self.names.iter().min_by_key(|(_, known)| known.asked);
            if let Some(name) = oldest.map(|(name, _)| name.clone()) {
                self.names.remove(&name);
            }
        }
        let known = self.names.entry(name.to_owned()).or_insert(Name {
            is_accepted: false,
            tried: None,
            silences: 0,
            lapses: 0,
            passed_until: None,
            asked: now,
        });
        known.asked = now;
        known
    }
}

impl Name {
    /// Has connections passed through, the longer the more often that was needed.
    fn pass(&mut self, first: Duration, now: Instant) {
        // Others that were under way say nothing new.
        if self.passed_until.is_some_and(|until| now < until) {
            return;
        }
        let lasts = first.saturating_mul(1 << self.lapses.min(16));
        self.passed_until = Some(now + lasts.min(MOST_FOR));
        self.lapses = self.lapses.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn one_client_finds_out_for_all_others() {
        let (mut trust, now) = (Trust::default(), Instant::now());
        assert_eq!(trust.standing("api", now), Standing::Untried);
        trust.begin("api", now);
        assert_eq!(trust.standing("api", now), Standing::OnTrial);
        assert_eq!(trust.standing("other", now), Standing::Untried);
        trust.note("api", Word::Accepted, now);
        trust.end("api", now);
        assert_eq!(trust.standing("api", now), Standing::Accepted);
    }

    #[test]
    fn one_that_takes_long_gives_way_to_another() {
        let (mut trust, now) = (Trust::default(), Instant::now());
        trust.begin("api", now);
        let later = now + TRIAL;
        assert_eq!(trust.standing("api", later), Standing::Untried);
        trust.begin("api", later);
        // The first one's end is not that of the second.
        trust.end("api", now);
        assert_eq!(trust.standing("api", later), Standing::OnTrial);
        trust.end("api", later);
        assert_eq!(trust.standing("api", later), Standing::Untried);
    }

    #[test]
    fn a_refusal_counts_longer_each_time_and_then_one_client_tries_again() {
        let (mut trust, mut now) = (Trust::default(), Instant::now());
        for hours in [1, 2, 4, 8, 16, 24, 24] {
            trust.note("api", Word::Accepted, now);
            // A second one that was under way changes nothing.
            trust.note("api", Word::Refused, now);
            trust.note("api", Word::Refused, now);
            let until = now + seconds(hours * 3600);
            assert_eq!(trust.standing("api", until - seconds(1)), Standing::Refused);
            assert_eq!(trust.standing("api", until), Standing::Untried);
            now = until;
        }
    }

    #[test]
    fn silence_counts_from_the_second_time_on_and_only_where_nobody_was_heard() {
        let (mut trust, now) = (Trust::default(), Instant::now());
        trust.note("api", Word::Left, now);
        assert_eq!(trust.standing("api", now), Standing::Untried);
        trust.note("api", Word::Left, now);
        assert_eq!(trust.standing("api", now), Standing::Refused);
        let later = now + SILENT_FOR;
        assert_eq!(trust.standing("api", later), Standing::Untried);
        trust.note("api", Word::Accepted, later);
        for _ in 0..3 {
            trust.note("api", Word::Left, later);
        }
        assert_eq!(trust.standing("api", later), Standing::Accepted);
    }

    #[test]
    fn names_are_bounded() {
        let (mut trust, now) = (Trust::default(), Instant::now());
        for number in 0..2 * MOST_NAMES {
            let at = now + Duration::from_millis(number as u64);
            trust.note(&format!("n{number}"), Word::Refused, at);
            assert!(trust.names.len() <= MOST_NAMES);
        }
        let late = now + seconds(10);
        assert_eq!(trust.standing("n0", late), Standing::Untried);
        let last = format!("n{}", 2 * MOST_NAMES - 1);
        assert_eq!(trust.standing(&last, late), Standing::Refused);
    }
}
