//! A session: what it is about, what it has prepared, and what it waits for.

use std::rc::Rc;

use remora_store::call::{
    Call, DATABASE_DIGEST_PREFIX_BYTES, Detail, Protocol, Side, Sql, SqlSent,
};

use super::fields::Fields;
use super::frame::{Next, Reader};
use super::pending::{Asked, Pending, Running};
use super::statement::{Named, Portal, Prepared};
use super::{answers, questions};
use crate::observe::Recorded;
use crate::observe::connection::Connection;
use crate::observe::draft::{Budgeted, Draft, Grant};
use crate::sql::About;

/// Longest name of a user or database that is kept.
const NAME_BYTES: usize = 128;

/// Most parameters of a startup packet that are looked at.
const MOST_PARAMETERS: usize = 64;

/// A session, from its startup packet on.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) database: Option<String>,
    pub(super) user: Option<String>,
    /// When the startup packet came; `None` once the session stands.
    pub(super) login: Option<(u64, u64)>,
    /// Whether a backslash escapes in plain strings (`standard_conforming_strings` is off).
    pub(super) escapes: bool,
    pub(super) in_transaction: bool,
    /// An error came in a pipeline of which the client has not said the end: what it sends until then is
    /// not looked at by the server.
    pub(super) skipping: bool,
    pub(super) prepared: Named<Rc<Prepared>>,
    pub(super) portals: Named<Portal>,
    pub(super) pending: Pending,
    /// When the first message for the next statement of a pipeline came.
    pub(super) began: Option<u64>,
}

impl Session {
    /// Reads the rest of a startup packet, of which the bytes came from `began` to `at`.
    pub(super) fn new(
        connection: &Connection,
        parameters: &mut Fields<'_>,
        began: u64,
        at: u64,
    ) -> Self {
        let (mut user, mut database) = (None, None);
        for _ in 0..MOST_PARAMETERS {
            let (name, value) = (parameters.text(), parameters.text());
            match name {
                b"" => break,
                b"user" => user = Some(named(value)),
                b"database" => database = Some(named(value)),
                _ => {}
            }
        }
        Self {
            // The one is called like the other, if nothing is said.
            database: database.or_else(|| user.clone()),
            user,
            login: Some((began, at)),
            escapes: false,
            in_transaction: false,
            skipping: false,
            prepared: Named::default(),
            portals: Named::default(),
            pending: Pending::new(&connection.budget),
            began: None,
        }
    }

    /// Reads the next message of either side.
    pub(super) fn bytes(
        &mut self,
        connection: &mut Connection,
        reader: &mut Reader,
        from: Side,
        rest: &mut &[u8],
        at: u64,
        out: &mut Vec<Recorded>,
    ) -> Result<(), &'static str> {
        let body_bytes = connection.limits.body_bytes;
        let message = match from {
            Side::Server => reader.next(rest, at, |kind| answers::limit(kind, body_bytes)),
            Side::Client | Side::Sidecar => reader.next(rest, at, questions::limit),
        };
        match (message, from) {
            (Next::More, _) => return Ok(()),
            (Next::Malformed, Side::Server) => return Err("the server's bytes are no message"),
            (Next::Malformed, _) => return Err("the client's bytes are no message"),
            (Next::Message(message), Side::Server) => {
                self.answer(connection, message, at, out);
            }
            (Next::Message(message), _) => self.question(connection, message, at),
        }
        reader.done();
        match self.pending.is_full() {
            true => Err("too much was asked at once"),
            false => Ok(()),
        }
    }

    /// Begins the record of a statement that came from `began` to `at`.
    pub(super) fn begin(
        &self,
        connection: &mut Connection,
        about: &About,
        sent: SqlSent,
        (began, at): (u64, u64),
    ) -> Budgeted {
        let names = [&self.database, &self.user].map(|name| name.as_ref().map_or(0, String::len));
        let texts = about.fingerprint.len() + about.command.len() + names.iter().sum::<usize>();
        let mut record = connection.begin(Protocol::Postgresql);
        record.keep(connection, |draft, _| {
            draft.grant.take(texts)?;
            draft.phases.request_first = Some(began);
            draft.phases.request_last = Some(at);
            draft.detail = Detail::Sql(Sql {
                command: about.command.clone(),
                fingerprint: about.fingerprint.clone(),
                sent,
                params: 0,
                rows: None,
                error: None,
                database: self.database.clone(),
                user: self.user.clone(),
                in_transaction: self.in_transaction,
            });
            Ok(())
        });
        record
    }

    /// The connection is over, or not read any more: what is open is finished.
    pub(super) fn finish(mut self, connection: &mut Connection, out: &mut Vec<Recorded>) {
        for asked in self.pending.drain() {
            let (Asked::Execute(running) | Asked::Statement(running)) = asked else {
                continue;
            };
            running.record.finish(connection, connection.failure(), out);
        }
    }

    pub(super) fn open_calls(&self, connection: &Connection, at: u64, out: &mut Vec<Call>) {
        let running = self.pending.iter().filter_map(|asked| match asked {
            Asked::Execute(running) | Asked::Statement(running) => {
                running.record.partial(connection, at)
            }
            _ => None,
        });
        out.extend(running);
    }
}

impl Running {
    /// A statement of which nothing was answered.
    pub(super) fn new(record: Budgeted) -> Self {
        Self {
            record,
            prepared: None,
            columns: None,
            formats: None,
            rows: 0,
            text_end: 0,
            copied: false,
        }
    }
}

/// Keeps what was asked. Of this more is kept than of other bodies, since its digest takes it.
pub(super) fn keep_question(draft: &mut Draft, text: &[u8], size: u64, connection: &Connection) {
    let limit = connection
        .limits
        .body_bytes
        .max(DATABASE_DIGEST_PREFIX_BYTES);
    let (message, grant) = draft.message(Side::Client);
    message.keep_written(text, size, limit, grant);
}

/// Changes what is known of a statement.
pub(super) fn detail(draft: &mut Draft, change: impl FnOnce(&mut Sql)) {
    if let Detail::Sql(sql) = &mut draft.detail {
        change(sql);
    }
}

/// Pays for `bytes`, if there is room.
pub(super) fn paid(connection: &Connection, bytes: usize) -> Option<Grant> {
    let mut grant = Grant::new(&connection.budget);
    grant.take(bytes).ok().map(|()| grant)
}

fn named(value: &[u8]) -> String {
    String::from_utf8_lossy(value.get(..NAME_BYTES).unwrap_or(value)).into_owned()
}
