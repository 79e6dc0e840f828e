//! PostgreSQL, protocol 3: from the startup packet to the statements of a session.
//!
//! One call is one statement that was executed. What a client sends before a session stands is read
//! here; the session itself is read in [`session`]. Passwords and keys are skipped where they pass.
//! Where a session goes on in TLS it is recorded as TLS is, from there on.

mod answers;
mod errors;
mod fields;
mod frame;
mod pending;
mod questions;
mod session;
mod statement;
mod values;

use remora_store::call::{Call, Detail, Protocol, Side, Sql, SqlSent};

use super::Recorded;
use super::connection::Connection;
use super::draft::{Budgeted, Grant};
use super::opaque::Opaque;
use super::tls::Tls;
use fields::Fields;
use frame::{Next, Reader};
use session::Session;

/// Largest packet that a server takes before a session stands.
const STARTUP_BYTES: usize = 10_000;

/// What the first number of a packet without a type says.
const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;
const CANCEL_REQUEST: u32 = 80_877_102;
const MAJOR_VERSION: u32 = 3;

/// Both directions of a connection.
#[derive(Debug)]
pub(super) struct Postgres {
    client: Reader,
    server: Reader,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// The client has yet to say what it wants.
    Startup,
    /// It asked whether the server encrypts, which answers with one byte.
    Encryption {
        by_tls: bool,
    },
    Session(Box<Session>),
    /// It asked to cancel a statement of another connection.
    Cancel(Budgeted),
    Tls(Box<Tls>),
    Blind(Box<Opaque>),
}

impl Postgres {
    pub(super) fn new(connection: &Connection) -> Self {
        let grant = || Grant::new(&connection.budget);
        Self {
            client: Reader::new(false, grant()),
            server: Reader::new(true, grant()),
            stage: Stage::Startup,
        }
    }

    pub(super) fn bytes(
        &mut self,
        connection: &mut Connection,
        from: Side,
        bytes: &[u8],
        at: u64,
        out: &mut Vec<Recorded>,
    ) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let left = rest.len();
            let read = match (&mut self.stage, from) {
                (Stage::Tls(tls), _) => return tls.bytes(connection, from, rest, at),
                (Stage::Blind(opaque), _) => return opaque.bytes(connection, from, rest, at),
                (Stage::Startup, Side::Client | Side::Sidecar) => {
                    self.startup(connection, &mut rest, at)
                }
                (Stage::Encryption { by_tls }, Side::Server) => {
                    let by_tls = *by_tls;
                    self.encryption(by_tls, &mut rest)
                }
                (Stage::Session(session), _) => {
                    let reader = match from {
                        Side::Server => &mut self.server,
                        Side::Client | Side::Sidecar => &mut self.client,
                    };
                    session.bytes(connection, reader, from, &mut rest, at, out)
                }
                _ => Err("bytes where none are due"),
            };
            if from != Side::Server {
                connection.client_bytes += (left - rest.len()) as u64;
            }
            if let Err(reason) = read {
                self.go_blind(connection, reason, out);
            }
        }
    }

    /// What is open is finished, and the rest of the connection is counted.
    fn go_blind(
        &mut self,
        connection: &mut Connection,
        reason: &'static str,
        out: &mut Vec<Recorded>,
    ) {
        let mut opaque = Opaque::rest(connection.client_bytes, reason);
        opaque.name(Some("postgres".to_owned()));
        let before = std::mem::replace(&mut self.stage, Stage::Blind(Box::new(opaque)));
        if let Stage::Session(session) = before {
            session.finish(connection, out);
        }
    }

    fn startup(
        &mut self,
        connection: &mut Connection,
        rest: &mut &[u8],
        at: u64,
    ) -> Result<(), &'static str> {
        let packet = match self.client.next(rest, at, |_| Some(STARTUP_BYTES)) {
            Next::More => return Ok(()),
            Next::Malformed => return Err("the startup packet has no length"),
            Next::Message(packet) => packet,
        };
        let began = packet.began;
        let mut fields = Fields(packet.body);
        match fields.int32() {
            Some(SSL_REQUEST) => self.stage = Stage::Encryption { by_tls: true },
            Some(GSS_REQUEST) => self.stage = Stage::Encryption { by_tls: false },
            Some(CANCEL_REQUEST) => {
                self.stage = Stage::Cancel(cancel(connection, began, at, packet.size));
            }
            Some(version) if version >> 16 == MAJOR_VERSION => {
                let session = Session::new(connection, &mut fields, began, at);
                self.stage = Stage::Session(Box::new(session));
                self.client.typed = true;
            }
            _ => return Err("another version of the protocol"),
        }
        self.client.done();
        Ok(())
    }

    fn encryption(&mut self, by_tls: bool, rest: &mut &[u8]) -> Result<(), &'static str> {
        let answer = rest.split_first();
        if let Some((_, behind)) = answer {
            *rest = behind;
        }
        match (answer, by_tls) {
            (Some((b'N', _)), _) => self.stage = Stage::Startup,
            (Some((b'S', _)), true) => self.stage = Stage::Tls(Box::new(Tls::new())),
            (Some((b'G', _)), false) => return Err("encrypted by GSSAPI"),
            _ => return Err("no answer to the request to encrypt"),
        }
        Ok(())
    }

    /// The connection is over: everything open is finished.
    pub(super) fn finish(&mut self, connection: &mut Connection, out: &mut Vec<Recorded>) {
        match std::mem::replace(&mut self.stage, Stage::Startup) {
            Stage::Session(session) => session.finish(connection, out),
            // A server answers by closing, whatever came of it.
            Stage::Cancel(record) => record.finish(connection, connection.broken(), out),
            Stage::Tls(mut tls) => tls.finish(connection, out),
            Stage::Blind(mut opaque) => opaque.finish(connection, out),
            Stage::Startup | Stage::Encryption { .. } => {}
        }
    }

    pub(super) fn open_calls(&self, connection: &Connection, at: u64, out: &mut Vec<Call>) {
        match &self.stage {
            Stage::Session(session) => session.open_calls(connection, at, out),
            Stage::Tls(tls) => out.extend(tls.open_call(connection, at)),
            Stage::Blind(opaque) => out.extend(opaque.open_call(connection, at)),
            Stage::Cancel(record) => out.extend(record.partial(connection, at)),
            Stage::Startup | Stage::Encryption { .. } => {}
        }
    }
}

/// The record of a request to cancel; the key in it is no business of anybody's.
fn cancel(connection: &mut Connection, began: u64, at: u64, size: usize) -> Budgeted {
    let mut record = connection.begin(Protocol::Postgresql);
    if let Some(draft) = record.draft() {
        draft.phases.request_first = Some(began);
        draft.phases.request_last = Some(at);
        draft.request.body_size = size as u64;
        draft.request.omitted = Some(remora_store::call::Omitted::Opaque);
        draft.detail = Detail::Sql(Sql {
            command: "CANCEL".to_owned(),
            fingerprint: "CANCEL".to_owned(),
            sent: SqlSent::Session,
            ..Sql::default()
        });
    }
    record
}

#[cfg(test)]
mod tests;
