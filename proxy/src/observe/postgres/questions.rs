//! What the client of a session sends.

use std::cell::RefCell;
use std::rc::Rc;

use remora_store::call::{DATABASE_DIGEST_PREFIX_BYTES, Omitted, SqlSent};

use super::fields::Fields;
use super::frame::Message;
use super::pending::{Asked, Running};
use super::session::{Session, detail, keep_question, paid};
use super::statement::{Formats, Portal, Prepared};
use super::values;
use crate::observe::connection::Connection;
use crate::observe::draft::{Budgeted, Draft};
use crate::sql::{self, About};

/// Most statements of one text that are told apart.
const MOST_STATEMENTS: usize = 256;

/// Most of a message that is kept beside a statement or its values.
const NAMES_BYTES: usize = 1024;

/// How much of a message of a type is worth keeping; `None` where there is no such type.
pub(super) fn limit(kind: u8) -> Option<usize> {
    Some(match kind {
        b'Q' | b'P' | b'B' | b'F' => DATABASE_DIGEST_PREFIX_BYTES + NAMES_BYTES,
        b'D' | b'E' | b'C' => NAMES_BYTES,
        // Data of COPY, passwords and what says nothing more than its type.
        b'd' | b'c' | b'f' | b'p' | b'H' | b'S' | b'X' => 0,
        _ => return None,
    })
}

impl Session {
    pub(super) fn question(&mut self, connection: &mut Connection, message: Message<'_>, at: u64) {
        let is_of_pipeline = matches!(message.kind, b'P' | b'B' | b'D' | b'E' | b'C' | b'H');
        if self.skipping && is_of_pipeline {
            // The other sidecar of the connection may have seen it before the error, and numbered it.
            if message.kind == b'B' {
                connection.pass_over();
            }
            return;
        }
        // Asking for what was answered so far begins nothing.
        if is_of_pipeline && message.kind != b'H' {
            self.began.get_or_insert(message.began);
        }
        match message.kind {
            b'Q' => self.text(connection, message, at),
            b'P' => self.parse(connection, message),
            b'B' => self.bind(connection, message, at),
            b'D' => self.describe(message),
            b'E' => self.execute(connection, message, at),
            b'C' => self.close(message),
            b'S' => {
                self.skipping = false;
                self.began = None;
                self.pending.push(Asked::Ready);
            }
            b'F' => self.function(connection, message, at),
            b'd' | b'c' | b'f' => self.copied(message, at),
            _ => {}
        }
    }

    /// A text of one statement or several, with their values in them.
    fn text(&mut self, connection: &mut Connection, message: Message<'_>, at: u64) {
        let text = Fields(message.body).text();
        // Its size counts the zero byte behind it.
        let missing = message.size.saturating_sub(text.len() + 1);
        let statements = sql::statements(text, self.escapes, MOST_STATEMENTS);
        let last = statements.len().saturating_sub(1);
        let times = (message.began, at);
        if statements.is_empty() {
            let running = self.statement(connection, text, 0, times);
            self.pending.push(Asked::Statement(running));
        }
        let (mut read, mut characters) = (0, 0);
        for (place, range) in statements.into_iter().enumerate() {
            let statement = text.get(range.clone()).unwrap_or_default();
            let missing = if place == last { missing } else { 0 };
            let mut running = self.statement(connection, statement, missing, times);
            characters += count_characters(text.get(read..range.end).unwrap_or_default());
            read = range.end;
            running.text_end = if place == last { u32::MAX } else { characters };
            self.pending.push(Asked::Statement(running));
        }
        self.began = None;
        self.pending.push(Asked::Ready);
    }

    /// A statement of a text, of which `missing` bytes were not kept.
    fn statement(
        &mut self,
        connection: &mut Connection,
        text: &[u8],
        missing: usize,
        times: (u64, u64),
    ) -> Running {
        let about = sql::about(text, self.escapes);
        let mut record = self.begin(connection, &about, SqlSent::Simple, times);
        if let Some(draft) = record.draft() {
            let text = text.trim_ascii();
            keep_statement(draft, text, missing, connection);
        }
        Running::new(record)
    }

    fn parse(&mut self, connection: &mut Connection, message: Message<'_>) {
        let mut fields = Fields(message.body);
        let (name, text) = (fields.text(), fields.text());
        let types = fields.int16().unwrap_or_default();
        let told_types: Vec<u32> = (0..types).map_while(|_| fields.int32()).collect();
        let about = sql::about(text, self.escapes);
        let about_bytes = about.fingerprint.len() + about.command.len();
        let kept = text.len() + about_bytes + size_of_val(told_types.as_slice());
        let Some(grant) = paid(connection, Prepared::bytes(name, kept)) else {
            self.prepared.remove(name);
            // It is answered all the same.
            return self.pending.push(Asked::Parse(None, message.began));
        };
        let prepared = Rc::new(Prepared {
            text: text.into(),
            cut: !message.is_whole() && fields.0.is_empty(),
            about,
            named: !name.is_empty(),
            told_types,
            types: RefCell::default(),
            columns: RefCell::default(),
            grant: RefCell::new(grant),
        });
        self.prepared.insert(name, Rc::clone(&prepared));
        self.pending
            .push(Asked::Parse(Some(prepared), message.began));
    }

    fn bind(&mut self, connection: &mut Connection, message: Message<'_>, at: u64) {
        let mut fields = Fields(message.body);
        let (portal, statement) = (fields.text(), fields.text());
        let prepared = self.prepared.get(statement).cloned();
        let prepared = prepared.or_else(|| unknown(connection, statement));
        let Some(prepared) = prepared else {
            connection.pass_over();
            connection.count_dropped();
            self.portals.remove(portal);
            return self.pending.push(Asked::Bind);
        };
        let sent = match prepared.named {
            true => SqlSent::Prepared,
            false => SqlSent::Extended,
        };
        let began = self.began.unwrap_or(message.began);
        let mut record = self.begin(connection, &prepared.about, sent, (began, at));
        let formats = fields.int16s().unwrap_or_default();
        let count = fields.int16().unwrap_or_default();
        let types = prepared.types.borrow();
        // A client that sends a binary form knows the type from one or the other.
        let type_of = |place: usize, is_binary: bool| {
            let told = prepared.told_types.get(place).copied().unwrap_or(0);
            match is_binary && told == 0 {
                true => types.get(place).copied().unwrap_or(0),
                false => told,
            }
        };
        let mut line = Values::new();
        for place in 0..usize::from(count) {
            let Some(value) = fields.value() else {
                break;
            };
            let is_binary = values::is_binary(&formats, place);
            line.add(value, type_of(place, is_binary), is_binary);
        }
        drop(types);
        let formats = fields.int16s().unwrap_or_default();
        if let Some(draft) = record.draft() {
            let missing = usize::from(prepared.cut);
            keep_statement(draft, &prepared.text, missing, connection);
            keep_values(draft, line, count, message.is_whole(), connection);
        }
        self.pending.push(Asked::Bind);
        let paid =
            paid(connection, Formats::bytes(&formats)).zip(paid(connection, Portal::bytes(portal)));
        let Some((for_formats, grant)) = paid else {
            record.give_up(connection);
            return self.portals.remove(portal);
        };
        let bound = Portal {
            prepared,
            record,
            executed: false,
            formats: Rc::new(Formats {
                formats,
                _grant: for_formats,
            }),
            _grant: grant,
        };
        self.portals.insert(portal, bound);
    }

    fn describe(&mut self, message: Message<'_>) {
        let mut fields = Fields(message.body);
        let described = match fields.byte() {
            Some(b'S') => self.prepared.get(fields.text()).cloned(),
            _ => {
                let portal = self.portals.get(fields.text());
                portal.map(|portal| Rc::clone(&portal.prepared))
            }
        };
        self.pending.push(Asked::Describe(described));
    }

    fn execute(&mut self, connection: &mut Connection, message: Message<'_>, at: u64) {
        let name = Fields(message.body).text();
        let began = self.began.take().unwrap_or(message.began);
        let Some(portal) = self.portals.get(name) else {
            // Bound before it was forgotten: nothing is known of it.
            let unknown = Running::new(Budgeted::default());
            return self.pending.push(Asked::Execute(unknown));
        };
        let (prepared, formats) = (Rc::clone(&portal.prepared), Rc::clone(&portal.formats));
        let goes_on = std::mem::replace(&mut portal.executed, true);
        let mut record = std::mem::take(&mut portal.record);
        if goes_on {
            // The next rows of a statement that was stopped in between.
            let about = About {
                command: "FETCH".to_owned(),
                ..prepared.about.clone()
            };
            record = self.begin(connection, &about, SqlSent::Prepared, (began, at));
            if let Some(draft) = record.draft() {
                keep_statement(draft, &prepared.text, usize::from(prepared.cut), connection);
            }
        }
        if let Some(draft) = record.draft() {
            draft.phases.request_last = Some(at);
        }
        self.pending.push(Asked::Execute(Running {
            prepared: Some(prepared),
            formats: Some(formats),
            ..Running::new(record)
        }));
    }

    fn close(&mut self, message: Message<'_>) {
        let mut fields = Fields(message.body);
        match fields.byte() {
            Some(b'S') => self.prepared.remove(fields.text()),
            _ => self.portals.remove(fields.text()),
        }
        self.pending.push(Asked::Close);
    }

    /// A function called by its number.
    fn function(&mut self, connection: &mut Connection, message: Message<'_>, at: u64) {
        let mut fields = Fields(message.body);
        let number = fields.int32().unwrap_or_default();
        let about = About {
            command: "FUNCTION".to_owned(),
            fingerprint: format!("FUNCTION {number}"),
        };
        let times = (message.began, at);
        let mut record = self.begin(connection, &about, SqlSent::Function, times);
        let formats = fields.int16s().unwrap_or_default();
        let count = fields.int16().unwrap_or_default();
        let mut line = Values::new();
        for place in 0..usize::from(count) {
            let Some(value) = fields.value() else {
                break;
            };
            line.add(value, 0, values::is_binary(&formats, place));
        }
        if let Some(draft) = record.draft() {
            keep_statement(draft, about.fingerprint.as_bytes(), 0, connection);
            keep_values(draft, line, count, message.is_whole(), connection);
        }
        self.pending.push(Asked::Statement(Running::new(record)));
        self.pending.push(Asked::Ready);
    }

    /// Data of a COPY to the server, or its end.
    fn copied(&mut self, message: Message<'_>, at: u64) {
        let Some(running) = self.pending.copying() else {
            return;
        };
        running.copied |= message.kind != b'd';
        if let Some(draft) = running.record.draft() {
            draft.phases.request_last = Some(at);
            if message.kind == b'd' {
                let size = draft.request.body_size;
                draft.request.body_size = size.saturating_add(message.size as u64);
                draft.request.omitted.get_or_insert(Omitted::Opaque);
            }
        }
    }
}

/// How many characters of UTF-8 begin in a text.
fn count_characters(text: &[u8]) -> u32 {
    let begins = text.iter().filter(|byte| (**byte as i8) >= -0x40).count();
    u32::try_from(begins).unwrap_or(u32::MAX)
}

/// The line of bind values behind a statement.
struct Values {
    json: Vec<u8>,
    size: u64,
    added: u16,
}

impl Values {
    fn new() -> Self {
        Self {
            json: b"\n[".to_vec(),
            size: 0,
            added: 0,
        }
    }

    fn add(&mut self, value: Option<&[u8]>, oid: u32, is_binary: bool) {
        if self.added > 0 {
            self.json.push(b',');
        }
        values::write(value, oid, is_binary, &mut self.json);
        self.size += value.map_or(0, |value| value.len() as u64);
        self.added += 1;
    }
}

/// Keeps a statement of which `missing` bytes were not.
fn keep_statement(draft: &mut Draft, text: &[u8], missing: usize, connection: &Connection) {
    let size = (text.len() + missing) as u64;
    keep_question(draft, text, size, connection);
    if missing > 0 {
        draft.request.omitted.get_or_insert(Omitted::Limit);
    }
}

/// Keeps the values of a statement, if it has any. `whole` says that all of them are there.
fn keep_values(
    draft: &mut Draft,
    mut values: Values,
    count: u16,
    whole: bool,
    connection: &Connection,
) {
    if count == 0 {
        return;
    }
    detail(draft, |sql| sql.params = count.into());
    let whole = whole && values.added == count;
    if whole {
        values.json.push(b']');
    }
    keep_question(draft, &values.json, values.size, connection);
    if !whole {
        draft.request.omitted.get_or_insert(Omitted::Limit);
    }
}

/// What stands for a statement that was prepared before it could be seen, or was forgotten.
fn unknown(connection: &Connection, name: &[u8]) -> Option<Rc<Prepared>> {
    let name = name.get(..64).unwrap_or(name);
    let shown = String::from_utf8_lossy(name);
    let about = About {
        command: "EXECUTE".to_owned(),
        fingerprint: format!("EXECUTE {shown}").trim_end().to_owned(),
    };
    let kept = about.command.len() + about.fingerprint.len();
    let grant = paid(connection, Prepared::bytes(b"", kept))?;
    Some(Rc::new(Prepared {
        text: Box::default(),
        cut: true,
        about,
        named: true,
        told_types: Vec::new(),
        types: RefCell::default(),
        columns: RefCell::default(),
        grant: RefCell::new(grant),
    }))
}
