//! A connection that has become a WebSocket: its call is the exchange that opened it.

use remora_store::call::{Call, Side};

use super::exchange::Exchange;
use crate::observe::Recorded;
use crate::observe::connection::Connection;
use crate::observe::draft::Draft;
use crate::observe::websocket::WebSocket;

/// The handshake's record, and the reader of what follows.
#[derive(Debug)]
pub(super) struct Upgraded {
    draft: Box<Draft>,
    websocket: WebSocket,
}

impl Upgraded {
    /// `None` where there was no room for the handshake's record: what follows has none either.
    pub(super) fn websocket(handshake: Exchange) -> Option<Self> {
        let mut draft = handshake.record.into_draft()?;
        let websocket = WebSocket::open(&mut draft);
        Some(Self { draft, websocket })
    }

    pub(super) fn bytes(&mut self, connection: &Connection, from: Side, bytes: &[u8], at: u64) {
        let limits = &connection.limits;
        self.websocket
            .bytes(&mut self.draft, limits, from, bytes, at);
    }

    /// The connection is over.
    pub(super) fn finish(mut self, connection: &Connection, out: &mut Vec<Recorded>) {
        self.websocket.finish(&mut self.draft, connection.failure());
        out.push(self.draft.finish(connection));
    }

    /// The record as it stands, if the first byte came no later than `at`.
    pub(super) fn partial(&self, connection: &Connection, at: u64) -> Option<Call> {
        self.draft
            .began_by(at)
            .then(|| self.draft.partial(connection))
    }
}
