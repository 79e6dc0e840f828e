//! TLS that is passed through: what the ClientHello says, then bytes and times.

use remora_store::call::{Call, Detail, Protocol, Side};

use super::Recorded;
use super::connection::Connection;
use super::draft::Budgeted;
use crate::tls::hello::{HelloReader, Progress};

/// A TLS connection: one call from its first byte to its end.
#[derive(Debug)]
pub(super) struct Tls {
    hello: Option<HelloReader>,
    begun: bool,
    record: Budgeted,
}

impl Tls {
    pub(super) fn new() -> Self {
        Self {
            hello: Some(HelloReader::default()),
            begun: false,
            record: Budgeted::default(),
        }
    }

    pub(super) fn bytes(&mut self, connection: &mut Connection, from: Side, bytes: &[u8], at: u64) {
        if !self.begun {
            self.begun = true;
            self.record = connection.begin(Protocol::Tls);
        }
        let Some(draft) = self.record.draft() else {
            return;
        };
        draft.count(from, bytes.len(), at);
        if from != Side::Client {
            return;
        }
        let Some(reader) = &mut self.hello else {
            return;
        };
        match reader.read(bytes, |bytes| draft.grant.take(bytes).is_ok()) {
            Progress::More => return,
            Progress::Malformed => {}
            Progress::Done(hello) => draft.detail = Detail::Tls(hello.said),
        }
        draft.grant.give_back(reader.kept_bytes());
        self.hello = None;
    }

    pub(super) fn finish(&mut self, connection: &mut Connection, out: &mut Vec<Recorded>) {
        let record = std::mem::take(&mut self.record);
        record.finish(connection, connection.broken(), out);
    }

    /// The record as it stands, if the first byte came no later than `at`.
    pub(super) fn open_call(&self, connection: &Connection, at: u64) -> Option<Call> {
        self.record.partial(connection, at)
    }
}
