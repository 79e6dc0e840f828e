//! Secrets in a statement of SQL and in its bind values: told by the column or word before them, or by
//! the column that they are inserted into. By their own form they are found as in any text.

use std::ops::Range;

use remora_store::call::Sql;

mod values;

use super::Rules;
use super::edit::Edits;
use super::names::{Class, Place};
use super::tag::Kind;
use crate::sql::{Kind as Piece, Token, Tokens};
use values::mask_values;

/// Most columns of an `INSERT` that are told apart.
const MOST_COLUMNS: usize = 512;

/// Finds what is secret in a body that begins with a statement, by the names in it.
pub(super) fn find(rules: &Rules, sql: &Sql, body: &[u8], edits: &mut Edits) {
    let behind = match sql.params {
        0 => None,
        _ => memchr::memrchr(b'\n', body),
    };
    let (statement, values) = body.split_at(behind.unwrap_or(body.len()));
    let params = in_statement(rules, statement, true, edits);
    mask_values(rules, values, statement.len(), &params, edits);
}

/// Masks the literals of a statement, and of the code in it; gives the numbers of its secret values.
fn in_statement(
    rules: &Rules,
    statement: &[u8],
    with_code: bool,
    edits: &mut Edits,
) -> Vec<(usize, Class)> {
    let mut reader = Reader::new(rules);
    for token in Tokens::new(statement, false) {
        let is_code = token.text.first() == Some(&b'$') && token.kind == Piece::Text;
        match (reader.read(&token), token.kind) {
            (Some(secret), Piece::Param) => reader.note_param(token.text, secret),
            (Some(secret), _) => mask(rules, &token, secret, edits),
            (None, Piece::Text) if is_code && with_code => {
                let inside = content(token.text);
                let start = token.start + inside.start;
                let code = token.text.get(inside).unwrap_or_default();
                let mut found = Edits::default();
                in_statement(rules, code, false, &mut found);
                edits.absorb(found, start);
            }
            (None, Piece::Text) => connection_string(rules, &token, edits),
            (None, _) => {}
        }
    }
    reader.params
}

/// Reads a statement for the names of its values.
struct Reader<'a> {
    rules: &'a Rules,
    depth: usize,
    /// The name that was read last, with nothing behind it.
    name: Option<&'a [u8]>,
    /// What a value is that comes next, and how deep it was said.
    next: Option<(Class, usize)>,
    insert: Insert,
    columns: Vec<Option<Class>>,
    /// Which column the value is for, and how deep its row is.
    row: Option<(usize, usize)>,
    /// Bind values that are secret, by their numbers.
    params: Vec<(usize, Class)>,
}

/// Where in an `INSERT` the reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Insert {
    No,
    Table,
    Columns,
    Between,
    Values,
    /// Behind `SET`, where a list of columns may stand as well.
    Set,
    /// Its rows are those of a query, so deep.
    Query(usize),
}

impl<'a> Reader<'a> {
    fn new(rules: &'a Rules) -> Self {
        Self {
            rules,
            depth: 0,
            name: None,
            next: None,
            insert: Insert::No,
            columns: Vec::new(),
            row: None,
            params: Vec::new(),
        }
    }

    /// Reads on; says what a value is that is secret.
    fn read(&mut self, token: &Token<'a>) -> Option<Class> {
        match token.kind {
            Piece::Word => self.word(token.text),
            Piece::Quoted => {
                let name = token.text.strip_prefix(b"\"").unwrap_or(token.text);
                self.column(name.strip_suffix(b"\"").unwrap_or(name));
            }
            Piece::Sign => self.sign(token.text),
            Piece::Text | Piece::Number | Piece::Param => {
                // PASSWORD 'x': a word that a text follows at once.
                let named = self.name.take().filter(|_| token.kind != Piece::Number);
                let named = named.and_then(|name| self.classify(name));
                let inserted = self.row.and_then(|(at, _)| *self.columns.get(at)?);
                let class = named.or(inserted).or(self.next.map(|(class, _)| class))?;
                let counts = class == Class::Texts && token.kind == Piece::Number;
                return (!counts).then_some(class);
            }
        }
        None
    }

    fn word(&mut self, word: &'a [u8]) {
        let is = |one: &&str| word.eq_ignore_ascii_case(one.as_bytes());
        if ["LIKE", "ILIKE", "IN", "IS", "SIMILAR", "TO"]
            .iter()
            .any(is)
        {
            self.expect_value();
        } else if is(&"AND") || is(&"OR") {
            (self.name, self.next) = (None, None);
        } else if [
            "WHERE",
            "FROM",
            "SET",
            "RETURNING",
            "ORDER",
            "GROUP",
            "LIMIT",
            "ON",
        ]
        .iter()
        .any(is)
        {
            (self.name, self.next) = (None, None);
            self.end_rows();
            if is(&"SET") {
                self.insert = Insert::Set;
            }
        } else if is(&"INTO") {
            self.insert = Insert::Table;
        } else if is(&"VALUES") && self.insert == Insert::Between {
            self.insert = Insert::Values;
        } else if is(&"SELECT") {
            self.query();
        } else {
            self.column(word);
        }
    }

    fn column(&mut self, name: &'a [u8]) {
        self.name = Some(name);
        if self.insert == Insert::Set {
            self.insert = Insert::No;
        }
    }

    /// A query begins: its columns may be rows to insert.
    fn query(&mut self) {
        let is_for_rows = match self.insert {
            Insert::Between => true,
            Insert::Values => self.row.is_some_and(|(_, depth)| depth == self.depth),
            Insert::Query(depth) => depth == self.depth,
            _ => false,
        };
        if is_for_rows {
            self.insert = Insert::Query(self.depth);
            self.row = Some((0, self.depth));
        }
        self.name = None;
    }

    /// What comes now is no row to insert, unless it stands within one.
    fn end_rows(&mut self) {
        if self.insert == Insert::Query(self.depth) {
            self.row = None;
        } else if self.insert == Insert::Values && self.row.is_none() {
            self.insert = Insert::No;
        }
    }

    fn sign(&mut self, sign: &[u8]) {
        match sign {
            b"(" | b"[" => {
                self.depth += 1;
                if sign == b"(" {
                    self.insert = match self.insert {
                        Insert::Table | Insert::Set => {
                            self.columns.clear();
                            self.row = None;
                            Insert::Columns
                        }
                        Insert::Values if self.row.is_none() => {
                            self.row = Some((0, self.depth));
                            Insert::Values
                        }
                        other => other,
                    };
                }
                self.name = None;
            }
            b")" | b"]" => {
                if self.insert == Insert::Columns {
                    self.end_column();
                    self.insert = Insert::Between;
                }
                if self.row.is_some_and(|(_, depth)| depth == self.depth) {
                    self.row = None;
                }
                self.depth = self.depth.saturating_sub(1);
                let is_within = |(_, depth): &(Class, usize)| *depth <= self.depth;
                self.next = self.next.filter(is_within);
                self.name = None;
            }
            b"," => {
                if self.insert == Insert::Columns {
                    self.end_column();
                }
                if let Some((column, depth)) = &mut self.row
                    && *depth == self.depth
                {
                    *column += 1;
                }
                self.next = self.next.filter(|(_, depth)| *depth < self.depth);
                self.name = None;
            }
            b"." | b"::" => {}
            b"=" if self.insert == Insert::Between => self.insert = Insert::Values,
            b";" => (self.name, self.next, self.insert) = (None, None, Insert::No),
            _ => self.expect_value(),
        }
    }

    /// An operator: what stands before it tells what comes behind it.
    fn expect_value(&mut self) {
        if let Some(name) = self.name.take() {
            self.next = self.classify(name).map(|class| (class, self.depth));
        }
    }

    fn end_column(&mut self) {
        if self.columns.len() < MOST_COLUMNS {
            let class = self.name.take().and_then(|name| self.classify(name));
            self.columns.push(class);
        }
    }

    fn classify(&self, name: &[u8]) -> Option<Class> {
        self.rules.names.classify(name, Place::Field)
    }

    fn note_param(&mut self, text: &[u8], class: Class) {
        // Words may be glued to it.
        let text = text.get(1..).unwrap_or_default();
        let end = text.iter().position(|byte| !byte.is_ascii_digit());
        let digits = text.get(..end.unwrap_or(text.len()));
        let digits = digits.and_then(|digits| str::from_utf8(digits).ok());
        if let Some(number) = digits.and_then(|digits| digits.parse().ok()) {
            self.params.push((number, class));
        }
    }
}

fn kind_of(class: Class) -> Kind {
    match class {
        Class::Secret(kind) => kind,
        Class::Cookie | Class::SetCookie => Kind::Cookie,
        Class::Authorization | Class::Texts => Kind::Secret,
    }
}

/// Masks a literal; of a text what is between its quotes.
fn mask(rules: &Rules, token: &Token<'_>, class: Class, edits: &mut Edits) {
    let inside = match token.kind {
        Piece::Text => content(token.text),
        _ => 0..token.text.len(),
    };
    let bare = token.text.get(inside.clone()).unwrap_or_default();
    if bare.is_empty() {
        return;
    }
    let tag = rules.tagger.shaped(kind_of(class), &without_doubles(bare));
    let with = match token.kind {
        Piece::Text => tag,
        _ => format!("'{tag}'"),
    };
    edits.replace(token.start + inside.start..token.start + inside.end, with);
}

/// Where the content of a string is, between its quotes or the dollar signs of its tag.
fn content(text: &[u8]) -> Range<usize> {
    if text.first() == Some(&b'$') {
        let tag = memchr::memchr(b'$', text.get(1..).unwrap_or_default());
        let open = tag.map_or(1, |tag| tag + 2);
        let (mark, inside) = text.split_at(open.min(text.len()));
        let closes = inside.ends_with(mark);
        return open..text.len() - if closes { mark.len() } else { 0 };
    }
    let open = memchr::memchr(b'\'', text).map_or(0, |open| open + 1);
    let closes = text.len() > open && text.ends_with(b"'");
    open..text.len() - usize::from(closes)
}

/// A text whose quotes are not doubled any more, so that its tag is that of the value.
fn without_doubles(text: &[u8]) -> Vec<u8> {
    let mut bare = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, behind)) = rest.split_first() {
        bare.push(*byte);
        rest = match rest {
            [b'\'', b'\'', behind @ ..] => behind,
            _ => behind,
        };
    }
    bare
}

/// `'host=db password=x'`, as `dblink` and subscriptions take it.
fn connection_string(rules: &Rules, token: &Token<'_>, edits: &mut Edits) {
    const NAME: &[u8] = b"password";
    let lower = token.text.to_ascii_lowercase();
    for found in memchr::memmem::find_iter(&lower, NAME) {
        let behind = lower.get(found + NAME.len()..).unwrap_or_default();
        let blanks = |text: &[u8]| text.iter().take_while(|b| **b == b' ').count();
        let sign = blanks(behind);
        if behind.get(sign) != Some(&b'=') {
            continue;
        }
        let start = found + NAME.len() + sign + 1;
        let start = start + blanks(lower.get(start..).unwrap_or_default());
        let value = lower.get(start..).unwrap_or_default();
        let ends = |b: &u8| b.is_ascii_whitespace() || *b == b'\'';
        let length = value.iter().position(ends).unwrap_or(value.len());
        let bare = token.text.get(start..start + length).unwrap_or_default();
        if !bare.is_empty() {
            let tag = rules.tagger.plain(Kind::Secret, bare);
            edits.replace(token.start + start..token.start + start + length, tag);
        }
    }
}

#[cfg(test)]
mod tests;
