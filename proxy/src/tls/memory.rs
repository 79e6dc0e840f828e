//! Which servers are passed through though they were asked for, because coming to terms with them, or with a client
//! on their terms, failed before.
//!
//! Bounded in number and in time (pure: the clock is the caller's).

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use remora_store::call::TlsReason;
use tokio::time::Instant;

/// Most servers that are remembered; beyond, the one that would be forgotten first is.
const MOST_ENTRIES: usize = 1024;

/// How long that counts: each costs the server a connection that comes to nothing.
const SERVER_FOR: Duration = Duration::from_secs(5 * 60);

/// What went wrong lately, by where a connection was going and whom it asked for.
#[derive(Debug, Default)]
pub(super) struct Memory {
    entries: HashMap<(SocketAddr, String), Entry>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    reason: TlsReason,
    until: Instant,
    /// It counts; else it does from the next time on.
    is_certain: bool,
}

impl Memory {
    /// Why connections to this server are to be passed through, if they are.
    pub(super) fn reason(&self, dst: SocketAddr, name: &str, now: Instant) -> Option<TlsReason> {
        // A name has one spelling here; looking it up without a copy is not worth a type of its own.
        let entry = self.entries.get(&(dst, name.to_owned()))?;
        (now < entry.until && entry.is_certain).then_some(entry.reason)
    }

    /// A server went away, or did not answer. It counts if that happens again before it would be forgotten.
    pub(super) fn suspect(&mut self, dst: SocketAddr, name: &str, now: Instant) {
        let known = self.entries.get(&(dst, name.to_owned()));
        let is_certain = known.is_some_and(|entry| now < entry.until);
        self.enter(dst, name, TlsReason::ServerHandshake, is_certain, now);
    }

    /// Has connections to this server passed through for a while.
    pub(super) fn note(&mut self, dst: SocketAddr, name: &str, reason: TlsReason, now: Instant) {
        self.enter(dst, name, reason, true, now);
    }

    fn enter(
        &mut self,
        dst: SocketAddr,
        name: &str,
        reason: TlsReason,
        is_certain: bool,
        now: Instant,
    ) {
        if self.entries.len() >= MOST_ENTRIES {
            self.entries.retain(|_, entry| now < entry.until);
        }
        if self.entries.len() >= MOST_ENTRIES {
            let first = self.entries.iter().min_by_key(|(_, entry)| entry.until);
            if let Some(key) = first.map(|(key, _)| key.clone()) {
                self.entries.remove(&key);
            }
        }
        let entry = Entry {
            reason,
            until: now + SERVER_FOR,
            is_certain,
        };
        self.entries.insert((dst, name.to_owned()), entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], port))
    }

    #[test]
    fn what_a_server_did_is_remembered_for_it_and_its_name_and_then_forgotten() {
        let (mut memory, now) = (Memory::default(), Instant::now());
        memory.note(server(443), "api", TlsReason::ClientCertificate, now);
        let before = Some(TlsReason::ClientCertificate);
        let soon = now + SERVER_FOR - Duration::from_secs(1);
        assert_eq!(memory.reason(server(443), "api", soon), before);
        assert_eq!(memory.reason(server(443), "other", soon), None);
        assert_eq!(memory.reason(server(444), "api", soon), None);
        assert_eq!(memory.reason(server(443), "api", now + SERVER_FOR), None);
    }

    #[test]
    fn a_server_that_went_away_is_remembered_from_the_second_time_on() {
        let (mut memory, now) = (Memory::default(), Instant::now());
        let gone = Some(TlsReason::ServerHandshake);
        memory.suspect(server(443), "api", now);
        assert_eq!(memory.reason(server(443), "api", now), None);
        memory.suspect(server(443), "api", now);
        assert_eq!(memory.reason(server(443), "api", now), gone);
        let later = now + SERVER_FOR;
        memory.suspect(server(443), "api", later);
        assert_eq!(memory.reason(server(443), "api", later), None);
    }

    #[test]
    fn memory_is_bounded() {
        let (mut memory, now) = (Memory::default(), Instant::now());
        for port in 0..2 * MOST_ENTRIES as u16 {
            let at = now + Duration::from_millis(port.into());
            memory.note(server(port), "api", TlsReason::Alpn, at);
            assert!(memory.entries.len() <= MOST_ENTRIES);
        }
        let late = now + Duration::from_secs(10);
        assert_eq!(memory.reason(server(0), "api", late), None);
        assert!(
            memory
                .reason(server(2 * MOST_ENTRIES as u16 - 1), "api", late)
                .is_some()
        );
    }
}
