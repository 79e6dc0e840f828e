//! What the server of a session sends.

use std::rc::Rc;

use remora_store::call::{Omitted, Side, SqlSent};

use super::errors::{Refusal, read_error};
use super::fields::Fields;
use super::frame::Message;
use super::pending::{Asked, Failing, Running, failing};
use super::session::{Session, detail};
use super::statement::{Column, Columns};
use super::values;
use crate::observe::Recorded;
use crate::observe::connection::Connection;
use crate::observe::draft::{Budgeted, Draft, Grant};
use crate::sql::About;

/// Least of a row or an error that is kept.
const LEAST_BYTES: usize = 4 * 1024;
/// Most of what describes rows or values.
const DESCRIPTION_BYTES: usize = 32 * 1024;
/// Most of what is a few words.
const WORDS_BYTES: usize = 256;

/// How much of a message of a type is worth keeping; `None` where there is no such type.
pub(super) fn limit(kind: u8, body_bytes: usize) -> Option<usize> {
    Some(match kind {
        b'D' | b'V' => body_bytes.max(LEAST_BYTES),
        b'E' => LEAST_BYTES,
        b'T' | b't' => DESCRIPTION_BYTES,
        b'C' | b'S' | b'Z' => WORDS_BYTES,
        // Requests to authenticate, keys, notices, notifications, data of COPY, and what says no more than its type.
        b'R' | b'K' | b'N' | b'A' | b'v' | b'1' | b'2' | b'3' | b'n' | b's' | b'I' | b'd'
        | b'c' | b'G' | b'H' | b'W' => 0,
        _ => return None,
    })
}

impl Session {
    pub(super) fn answer(
        &mut self,
        connection: &mut Connection,
        message: Message<'_>,
        at: u64,
        out: &mut Vec<Recorded>,
    ) {
        match message.kind {
            b'1' => drop(self.pending.take(|it| matches!(it, Asked::Parse(..)))),
            b'2' => drop(self.pending.take(|it| matches!(it, Asked::Bind))),
            b'3' => drop(self.pending.take(|it| matches!(it, Asked::Close))),
            b't' => self.values_described(message),
            b'T' => self.rows_described(connection, message),
            b'n' => drop(self.pending.take(|it| matches!(it, Asked::Describe(_)))),
            b'D' => self.row(connection, message),
            b'd' => self.copied_out(message),
            b'V' => self.function_answered(connection, message, at, out),
            b'G' => self.pending.begin_copy(),
            b'C' | b'I' | b's' => self.complete(connection, message, at, out),
            b'E' => self.failed(connection, message, at, out),
            b'Z' => self.ready(message),
            b'S' => self.told(message),
            _ => {}
        }
        if self.pending.is_empty() {
            // What is asked from now on begins anew.
            self.began = None;
        }
        let answers = matches!(message.kind, b'T' | b'D' | b'd' | b'G' | b'H' | b'W');
        if answers && let Some(draft) = self.pending.first().and_then(|it| it.record.draft()) {
            draft.phases.response_first.get_or_insert(message.began);
        }
    }

    fn ready(&mut self, message: Message<'_>) {
        self.in_transaction = message.body.first().is_some_and(|status| *status != b'I');
        self.login = None;
        self.pending.ready();
    }

    /// A setting of the session.
    fn told(&mut self, message: Message<'_>) {
        let mut fields = Fields(message.body);
        if fields.text() == b"standard_conforming_strings" {
            self.escapes = fields.text() == b"off";
        }
    }

    /// The types of a statement's values.
    fn values_described(&mut self, message: Message<'_>) {
        let is_describe = |asked: &Asked| matches!(asked, Asked::Describe(_));
        let mut fields = Fields(message.body);
        let count = fields.int16().unwrap_or_default();
        let types: Vec<u32> = (0..count).map_while(|_| fields.int32()).collect();
        // What describes the rows follows.
        if let Some(Asked::Describe(described)) = self.pending.take(is_describe) {
            if let Some(prepared) = &described {
                prepared.learn(types);
            }
            self.pending.put_back(Asked::Describe(described));
        }
    }

    /// What the rows are made of: those of a statement that was asked about, or those that follow.
    fn rows_described(&mut self, connection: &Connection, message: Message<'_>) {
        let columns = Some(Rc::new(columns(connection, message)));
        let is_due = |asked: &Asked| {
            matches!(
                asked,
                Asked::Describe(_) | Asked::Execute(_) | Asked::Statement(_)
            )
        };
        match self.pending.take(is_due) {
            Some(Asked::Describe(Some(prepared))) => *prepared.columns.borrow_mut() = columns,
            Some(Asked::Execute(mut running)) => {
                running.columns = columns;
                self.pending.put_back(Asked::Execute(running));
            }
            Some(Asked::Statement(mut running)) => {
                running.columns = columns;
                self.pending.put_back(Asked::Statement(running));
            }
            _ => {}
        }
    }

    fn row(&mut self, connection: &Connection, message: Message<'_>) {
        let Some(running) = self.pending.running() else {
            return;
        };
        running.rows += 1;
        let of_statement = running.prepared.as_ref();
        let of_statement = of_statement.and_then(|it| it.columns.borrow().clone());
        let columns = running.columns.clone().or(of_statement);
        let formats = running.formats.clone();
        let Some(draft) = running.record.draft() else {
            return;
        };
        // Each value has its length before it, and all have their count.
        let mut fields = Fields(message.body);
        let count = usize::from(fields.int16().unwrap_or_default());
        let size = message.size.saturating_sub(2 + 4 * count) as u64;
        // Without their names nobody could tell which values are secret.
        let Some(columns) = columns.filter(|_| !draft.response.is_full()) else {
            draft.response.body_size = draft.response.body_size.saturating_add(size);
            draft.response.omitted.get_or_insert(Omitted::Opaque);
            return;
        };
        let mut line = Vec::with_capacity(2 * message.body.len().min(LEAST_BYTES));
        if draft.response.has_body() {
            line.push(b'\n');
        }
        let named = columns.of_first(count);
        let formats = formats.as_ref().map(|formats| formats.formats.as_slice());
        write_row(fields, named, formats, &mut line);
        keep_answer(draft, &line, size, connection);
        if !message.is_whole() || named.len() < count {
            draft.response.omitted.get_or_insert(Omitted::Limit);
        }
    }

    /// Data of a COPY to the client: whole columns that have no names, so it is told by its size.
    fn copied_out(&mut self, message: Message<'_>) {
        let Some(draft) = self.pending.running().and_then(|it| it.record.draft()) else {
            return;
        };
        let size = draft.response.body_size;
        draft.response.body_size = size.saturating_add(message.size as u64);
        draft.response.omitted.get_or_insert(Omitted::Opaque);
    }

    fn function_answered(
        &mut self,
        connection: &Connection,
        message: Message<'_>,
        at: u64,
        out: &mut Vec<Recorded>,
    ) {
        let is_statement = |asked: &Asked| matches!(asked, Asked::Statement(_));
        let Some(Asked::Statement(Running { mut record, .. })) = self.pending.take(is_statement)
        else {
            return;
        };
        let Some(draft) = record.draft() else {
            return;
        };
        let mut line = Vec::new();
        let value = Fields(message.body).value().flatten();
        values::write(value, 0, true, &mut line);
        let size = message.size.saturating_sub(4) as u64;
        keep_answer(draft, &line, size, connection);
        draft.phases.response_first.get_or_insert(message.began);
        draft.phases.response_last = Some(at);
        record.finish(connection, None, out);
    }

    /// A statement is done, or stopped after so many rows as the client wanted.
    fn complete(
        &mut self,
        connection: &Connection,
        message: Message<'_>,
        at: u64,
        out: &mut Vec<Recorded>,
    ) {
        let is_running = |asked: &Asked| matches!(asked, Asked::Execute(_) | Asked::Statement(_));
        let Some(Asked::Execute(mut running) | Asked::Statement(mut running)) =
            self.pending.take(is_running)
        else {
            return;
        };
        let rows = match message.kind {
            b'C' => rows_of(Fields(message.body).text()),
            b's' => Some(running.rows),
            _ => None,
        };
        if let Some(draft) = running.record.draft() {
            detail(draft, |sql| sql.rows = rows);
            draft.phases.response_first.get_or_insert(message.began);
            draft.phases.response_last = Some(at);
        }
        running.record.finish(connection, None, out);
    }

    fn failed(
        &mut self,
        connection: &mut Connection,
        message: Message<'_>,
        at: u64,
        out: &mut Vec<Recorded>,
    ) {
        let Refusal {
            error,
            line,
            position,
        } = read_error(message.body);
        let mut record = match self.login {
            Some(times) => self.begin(connection, &commanded("CONNECT"), SqlSent::Session, times),
            None => self.take_failed(connection, position, message.began, at),
        };
        let Some(draft) = record.draft() else {
            return;
        };
        detail(draft, |sql| sql.error = Some(error));
        let mut text = Vec::with_capacity(line.len() + 1);
        if draft.response.has_body() {
            text.push(b'\n');
        }
        text.extend_from_slice(&line);
        keep_answer(draft, &text, message.size as u64, connection);
        draft.phases.response_first.get_or_insert(message.began);
        draft.phases.response_last = Some(at);
        record.finish(connection, None, out);
    }

    /// The call that an error ends. What was asked behind it is not looked at by the server.
    fn take_failed(
        &mut self,
        connection: &mut Connection,
        position: Option<u32>,
        began: u64,
        at: u64,
    ) -> Budgeted {
        self.skipping = !self.pending.has_end();
        let failed = self.pending.take_failed();
        // What is done in a pipeline is committed at its end, where nothing else says so.
        if failed.is_empty() && !self.skipping {
            return self.begin(
                connection,
                &commanded("COMMIT"),
                SqlSent::Session,
                (began, began),
            );
        }
        let (prepared, began) = match failing(failed, position) {
            None => return Budgeted::default(),
            Some(Failing::Run(running)) => return running.record,
            Some(Failing::Parse(prepared, began)) => (prepared, began),
        };
        let Some(prepared) = prepared else {
            connection.pass_over();
            connection.count_dropped();
            return Budgeted::default();
        };
        let sent = match prepared.named {
            true => SqlSent::Prepared,
            false => SqlSent::Extended,
        };
        let mut record = self.begin(connection, &prepared.about, sent, (began, at));
        if let Some(draft) = record.draft() {
            draft.phases.request_last = Some(began);
            let size = prepared.text.len() as u64;
            super::session::keep_question(draft, &prepared.text, size, connection);
        }
        record
    }
}

/// What a call is about that is no statement of its own.
fn commanded(command: &str) -> About {
    About {
        command: command.to_owned(),
        fingerprint: command.to_owned(),
    }
}

fn keep_answer(draft: &mut Draft, text: &[u8], size: u64, connection: &Connection) {
    let limit = connection.limits.body_bytes;
    let (message, grant) = draft.message(Side::Server);
    message.keep_written(text, size, limit, grant);
}

/// Appends the values of these columns, the first of a row, as a JSON object.
fn write_row(
    mut fields: Fields<'_>,
    columns: &[Column],
    formats: Option<&[u16]>,
    line: &mut Vec<u8>,
) {
    line.push(b'{');
    for (place, column) in columns.iter().enumerate() {
        let Some(value) = fields.value() else {
            return;
        };
        if place > 0 {
            line.push(b',');
        }
        line.extend_from_slice(&column.name);
        line.push(b':');
        let is_binary = match formats {
            Some(formats) => values::is_binary(formats, place),
            None => column.is_binary,
        };
        values::write(value, column.oid, is_binary, line);
    }
    line.push(b'}');
}

fn columns(connection: &Connection, message: Message<'_>) -> Columns {
    let mut fields = Fields(message.body);
    let count = fields.int16().unwrap_or_default();
    let mut columns = Columns::new(Grant::new(&connection.budget));
    for _ in 0..count {
        let mut name = Vec::new();
        values::write_string(fields.text(), &mut name);
        // Table and attribute, type, its size and modifier, format.
        let (Some(_), Some(oid), Some(_), Some(format)) = (
            fields.bytes(6),
            fields.int32(),
            fields.bytes(6),
            fields.int16(),
        ) else {
            break;
        };
        columns.add(Column {
            name: name.into(),
            oid,
            is_binary: format == 1,
        });
    }
    columns
}

/// The number at the end of a command tag, such as `INSERT 0 5`.
pub(super) fn rows_of(tag: &[u8]) -> Option<u64> {
    let last = tag.rsplit(|byte| *byte == b' ').next()?;
    str::from_utf8(last).ok()?.parse().ok()
}
