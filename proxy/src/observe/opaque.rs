//! Counts the bytes of a connection, or of the rest of one, that is not parsed.

use std::ops::ControlFlow::Break;

use remora_store::call::{self, Call, Detail, Protocol, Side};

use super::Recorded;
use super::connection::Connection;
use super::draft::Budgeted;
use crate::detect::{self, NAME_PREFIX_BYTES};

/// Bytes that are counted as one call, from their first to the end of the connection.
#[derive(Debug, Default)]
pub(super) struct Opaque {
    detail: call::Opaque,
    /// What the first speaker said, as long as that may still give a name.
    opening: Vec<u8>,
    named: bool,
    begun: bool,
    record: Budgeted,
}

impl Opaque {
    /// A whole connection.
    pub(super) fn whole() -> Self {
        Self::default()
    }

    /// The rest of a connection, of which `from_byte` of the client's bytes were parsed.
    pub(super) fn rest(from_byte: u64, reason: &'static str) -> Self {
        Self {
            detail: call::Opaque {
                from_byte,
                reason: Some(reason.to_owned()),
                ..call::Opaque::default()
            },
            ..Self::default()
        }
    }

    /// Gives it a name that is known from elsewhere.
    pub(super) fn name(&mut self, name: Option<String>) {
        if name.is_some() {
            self.detail.recognised = name;
            self.named = true;
        }
    }

    /// Whether any byte was counted.
    pub(super) fn has_begun(&self) -> bool {
        self.begun
    }

    pub(super) fn bytes(&mut self, connection: &mut Connection, from: Side, bytes: &[u8], at: u64) {
        if bytes.is_empty() {
            return;
        }
        if !self.begun {
            self.begun = true;
            self.detail.first_speaker = Some(from);
            self.record = connection.begin(Protocol::Opaque);
        }
        if !self.named && self.detail.first_speaker == Some(from) {
            self.look_for_name(from, bytes);
        }
        if let Some(draft) = self.record.draft() {
            draft.count(from, bytes.len(), at);
        }
    }

    fn look_for_name(&mut self, from: Side, bytes: &[u8]) {
        let room = NAME_PREFIX_BYTES - self.opening.len().min(NAME_PREFIX_BYTES);
        self.opening
            .extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        let name = match from {
            Side::Server => detect::server_name(&self.opening),
            Side::Client | Side::Sidecar => detect::client_name(&self.opening),
        };
        if let Break(name) = name {
            self.detail.recognised = name.map(str::to_owned);
            self.named = true;
        } else {
            self.named = self.opening.len() >= NAME_PREFIX_BYTES;
        }
        if self.named {
            self.opening = Vec::new();
        }
    }

    /// The connection ended. One on which nothing was said leaves no record, unless it broke.
    pub(super) fn finish(&mut self, connection: &mut Connection, out: &mut Vec<Recorded>) {
        let mut record = std::mem::take(&mut self.record);
        if let Some(draft) = record.draft() {
            draft.detail = Detail::Opaque(std::mem::take(&mut self.detail));
        }
        record.finish(connection, connection.broken(), out);
    }

    /// The record as it stands, if the first byte came no later than `at`.
    pub(super) fn open_call(&self, connection: &Connection, at: u64) -> Option<Call> {
        Some(Call {
            detail: Detail::Opaque(self.detail.clone()),
            ..self.record.partial(connection, at)?
        })
    }
}
