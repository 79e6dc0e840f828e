//! Letting clients in one at a time, until one was heard inside: whoever comes meanwhile waits a little, so that a
//! client which trusts nobody but its own authorities loses one connection, however many it opens at once.

use remora_store::call::TlsReason;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};

use super::Interception;
use super::trust::{Standing, TRIAL, Word};
use crate::link::Link;

/// A connection that finds out for others of its name. It is over when this goes.
pub(crate) struct Trial<'a> {
    interception: &'a Interception,
    name: Box<str>,
    began: Instant,
}

/// Why a client is not let in.
pub(super) enum Unmet {
    /// It is passed through.
    Pass(TlsReason),
    /// It broke the connection.
    Broken,
}

impl Interception {
    /// Lets a client in: as the one that finds out, or as one of those whose like were heard before. Waits for
    /// another that finds out, as long as [`TRIAL`] at most: of this client nothing was answered yet.
    pub(super) async fn admit(
        &self,
        client: &TcpStream,
        name: &str,
    ) -> Result<Option<Trial<'_>>, Unmet> {
        let until = Instant::now() + TRIAL;
        loop {
            let over = self.trial_over.notified();
            let now = Instant::now();
            let standing = self.trust.borrow().standing(name, now);
            match standing {
                Standing::Accepted => return Ok(None),
                Standing::Refused => return Err(Unmet::Pass(TlsReason::RefusedBefore)),
                Standing::OnTrial if now >= until => return Err(Unmet::Pass(TlsReason::OnTrial)),
                Standing::Untried => {
                    self.trust.borrow_mut().begin(name, now);
                    return Ok(Some(Trial {
                        interception: self,
                        name: name.into(),
                        began: now,
                    }));
                }
                Standing::OnTrial => {}
            }
            tokio::select! {
                () = over => {}
                () = sleep_until(until) => {}
                () = Link::Plain(client).reset_by_peer() => return Err(Unmet::Broken),
            }
        }
    }

    /// A client was heard, or left.
    pub(super) fn hear(&self, name: &str, word: Word) {
        self.trust.borrow_mut().note(name, word, Instant::now());
    }
}

impl Trial<'_> {
    /// The client spoke inside.
    pub(crate) fn accepted(self) {
        self.interception.hear(&self.name, Word::Accepted);
    }

    /// The client left without a word.
    pub(crate) fn left(self) {
        self.interception.hear(&self.name, Word::Left);
    }
}

impl Drop for Trial<'_> {
    fn drop(&mut self) {
        let mut trust = self.interception.trust.borrow_mut();
        trust.end(&self.name, self.began);
        self.interception.trial_over.notify_waiters();
    }
}
