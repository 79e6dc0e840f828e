//! One client of the stand-in, from its first message to its last.

use std::collections::HashMap;
use std::io;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::Order;
use super::query::Query;
use super::wire::{Fields, Message, malformed, read, read_body};

/// Version 3.0, and the codes that ask for something else in its place.
const VERSION: i32 = 0x0003_0000;
const TLS: i32 = 80_877_103;
const GSS: i32 = 80_877_104;

/// Number of the type `int4`.
const INT4: i32 = 23;

/// Statements and portals that are kept for a client, each.
const KEPT: usize = 64;

/// What a client is told when it has come in.
const SETTINGS: [(&str, &str); 6] = [
    ("server_version", "15.0 (remora demo)"),
    ("server_encoding", "UTF8"),
    ("client_encoding", "UTF8"),
    ("DateStyle", "ISO, MDY"),
    ("integer_datetimes", "on"),
    ("standard_conforming_strings", "on"),
];

/// A statement that is ready to be executed.
#[derive(Debug, Clone)]
struct Portal {
    query: Query,
    parameter: Option<i32>,
    binary: bool,
}

/// What a client has prepared.
struct Session<'a> {
    orders: &'a [Order],
    statements: HashMap<String, Query>,
    portals: HashMap<String, Portal>,
    in_transaction: bool,
    /// After an error everything is skipped until the client synchronizes.
    failed: bool,
    out: Vec<u8>,
}

/// Answers a client until it leaves.
pub(super) async fn attend(stream: TcpStream, orders: &[Order]) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    if !let_in(&mut stream).await? {
        return Ok(());
    }
    let mut session = Session {
        orders,
        statements: HashMap::new(),
        portals: HashMap::new(),
        in_transaction: false,
        failed: false,
        out: Vec::new(),
    };
    while let Some((kind, body)) = read(&mut stream).await? {
        if kind == b'X' {
            return Ok(());
        }
        session.answer(kind, &body)?;
        // Answers to extended queries go out together, when the client waits for them.
        if matches!(kind, b'Q' | b'S' | b'H') {
            stream.write_all(&std::mem::take(&mut session.out)).await?;
        }
    }
    Ok(())
}

/// The beginning of a session; false if the client wanted something else and has gone.
async fn let_in(stream: &mut BufReader<TcpStream>) -> io::Result<bool> {
    loop {
        // Who only looked whether somebody listens says nothing.
        if stream.fill_buf().await?.is_empty() {
            return Ok(false);
        }
        let body = read_body(stream).await?;
        match Fields(&body).long()? {
            TLS | GSS => stream.write_all(b"N").await?,
            VERSION => break,
            _ => return Ok(false),
        }
    }
    let mut out = Vec::new();
    Message::new(b'R').long(0).append_to(&mut out);
    for (name, value) in SETTINGS {
        Message::new(b'S')
            .text(name)
            .text(value)
            .append_to(&mut out);
    }
    Message::new(b'K').long(1).long(1).append_to(&mut out);
    Message::new(b'Z').byte(b'I').append_to(&mut out);
    stream.write_all(&out).await?;
    Ok(true)
}

impl Session<'_> {
    fn answer(&mut self, kind: u8, body: &[u8]) -> io::Result<()> {
        let mut fields = Fields(body);
        match kind {
            b'S' => {
                self.failed = false;
                self.ready();
            }
            b'Q' => self.simple(fields.text()?),
            b'H' => {}
            _ if self.failed => {}
            b'P' => {
                let (name, statement) = (fields.text()?, fields.text()?);
                match Query::read(statement.trim_end().trim_end_matches(';')) {
                    Ok(query) if self.statements.len() < KEPT => {
                        self.statements.insert(name.to_owned(), query);
                        self.send(Message::new(b'1'));
                    }
                    Ok(_) => self.refuse("too many prepared statements"),
                    Err(why) => self.refuse(&why),
                }
            }
            b'B' => self.bind(&mut fields)?,
            b'D' => self.describe(&mut fields)?,
            b'E' => {
                let name = fields.text()?;
                match self.portals.get(name).cloned() {
                    Some(portal) => self.execute(&portal),
                    None => self.refuse("there is no such portal"),
                }
            }
            b'C' => {
                let (what, name) = (fields.byte()?, fields.text()?);
                match what {
                    b'S' => drop(self.statements.remove(name)),
                    _ => drop(self.portals.remove(name)),
                }
                self.send(Message::new(b'3'));
            }
            _ => return Err(malformed()),
        }
        Ok(())
    }

    /// Statements with their values in them.
    fn simple(&mut self, text: &str) {
        for statement in text.trim_end().trim_end_matches(';').split(';') {
            match Query::read(statement) {
                Ok(Query::Empty) => self.send(Message::new(b'I')),
                Ok(query) => {
                    let portal = Portal {
                        query,
                        parameter: None,
                        binary: false,
                    };
                    self.describe_rows(&portal.query, false);
                    self.execute(&portal);
                }
                Err(why) => {
                    self.refuse(&why);
                    break;
                }
            }
        }
        self.failed = false;
        self.ready();
    }

    fn bind(&mut self, fields: &mut Fields<'_>) -> io::Result<()> {
        let (portal, statement) = (fields.text()?, fields.text()?);
        let formats = fields.shorts()?;
        let mut values = Vec::new();
        for _ in 0..fields.short()? {
            values.push(fields.value()?);
        }
        let binary = fields.shorts()?.first() == Some(&1);
        let Some(query) = self.statements.get(statement).cloned() else {
            self.refuse("there is no such prepared statement");
            return Ok(());
        };
        let value = values.first().copied().flatten();
        let parameter = value.and_then(|value| number(value, formats.first() == Some(&1)));
        if values.len() != usize::from(query.has_parameter())
            || (value.is_some() && parameter.is_none())
        {
            self.refuse("the value is no whole number, or there are too many or too few");
        } else if self.portals.len() >= KEPT {
            self.refuse("too many portals");
        } else {
            let bound = Portal {
                query,
                parameter,
                binary,
            };
            self.portals.insert(portal.to_owned(), bound);
            self.send(Message::new(b'2'));
        }
        Ok(())
    }

    fn describe(&mut self, fields: &mut Fields<'_>) -> io::Result<()> {
        let (what, name) = (fields.byte()?, fields.text()?);
        let (query, binary) = match what {
            b'S' => (self.statements.get(name).cloned(), false),
            _ => {
                let portal = self.portals.get(name);
                (
                    portal.map(|it| it.query.clone()),
                    portal.is_some_and(|it| it.binary),
                )
            }
        };
        let Some(query) = query else {
            self.refuse("there is nothing of that name");
            return Ok(());
        };
        if what == b'S' {
            let parameters = Message::new(b't').short(i16::from(query.has_parameter()));
            self.send(match query.has_parameter() {
                true => parameters.long(INT4),
                false => parameters,
            });
        }
        if query.columns().is_none() {
            self.send(Message::new(b'n'));
        }
        self.describe_rows(&query, binary);
        Ok(())
    }

    fn describe_rows(&mut self, query: &Query, binary: bool) {
        let Some(columns) = query.columns() else {
            return;
        };
        let count = i16::try_from(columns.len()).unwrap_or_default();
        let described = columns
            .iter()
            .fold(Message::new(b'T').short(count), |message, name| {
                // No table, no place in it; the type, its size, no modifier, the format.
                let typed = message
                    .text(name)
                    .long(0)
                    .short(0)
                    .long(INT4)
                    .short(4)
                    .long(-1);
                typed.short(i16::from(binary))
            });
        self.send(described);
    }

    fn execute(&mut self, portal: &Portal) {
        let rows = portal.query.rows(self.orders, portal.parameter);
        for row in &rows {
            let count = i16::try_from(row.len()).unwrap_or_default();
            let data =
                row.iter().fold(
                    Message::new(b'D').short(count),
                    |message, number| match portal.binary {
                        true => message.value(&number.to_be_bytes()),
                        false => message.value(number.to_string().as_bytes()),
                    },
                );
            self.send(data);
        }
        match portal.query {
            Query::Transaction(tag) => self.in_transaction = tag == "BEGIN",
            Query::Deallocate => self.statements.clear(),
            _ => {}
        }
        self.send(Message::new(b'C').text(&portal.query.tag(rows.len())));
    }

    fn ready(&mut self) {
        let state = if self.in_transaction { b'T' } else { b'I' };
        self.send(Message::new(b'Z').byte(state));
    }

    /// `feature_not_supported`, and whatever follows is skipped.
    fn refuse(&mut self, why: &str) {
        self.failed = true;
        let error = Message::new(b'E');
        let error = error.byte(b'S').text("ERROR").byte(b'V').text("ERROR");
        self.send(error.byte(b'C').text("0A000").byte(b'M').text(why).byte(0));
    }

    fn send(&mut self, message: Message) {
        message.append_to(&mut self.out);
    }
}

/// A whole number in text or binary.
fn number(value: &[u8], binary: bool) -> Option<i32> {
    match (binary, value.len()) {
        (false, _) => std::str::from_utf8(value).ok()?.trim().parse().ok(),
        (true, 2) => Some(i16::from_be_bytes(*value.first_chunk()?).into()),
        (true, 4) => Some(i32::from_be_bytes(*value.first_chunk()?)),
        (true, 8) => i64::from_be_bytes(*value.first_chunk()?).try_into().ok(),
        (true, _) => None,
    }
}
