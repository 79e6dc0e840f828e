//! Secrets in a statement of SQL and in its bind values: told by the column or word before them, or by
//! the column that they are inserted into. By their own form they are found as in any text.

use std::ops::Range;

use remora_store::call::Sql;

use super::Rules;
use super::edit::Edits;
use super::names::{Class, Place};
use super::tag::Kind;
use crate::sql::{Kind as Piece, Token, Tokens};

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

/// Masks the bind values with these numbers in the line `values`, which begins at `offset`.
fn mask_values(
    rules: &Rules,
    values: &[u8],
    offset: usize,
    secret: &[(usize, Class)],
    edits: &mut Edits,
) {
    if secret.is_empty() {
        return;
    }
    // Behind the line end and the bracket.
    let mut at = 2;
    let mut number = 1;
    while at < values.len() {
        let length = json_length(values.get(at..).unwrap_or_default());
        let written = values.get(at..at + length).unwrap_or_default();
        let class = secret.iter().find(|(secret, _)| *secret == number);
        if let Some((_, class)) = class
            && let Some((range, with)) = masked_json(rules, written, *class)
        {
            edits.replace(offset + at + range.start..offset + at + range.end, with);
        }
        // Behind the comma.
        at += length + 1;
        number += 1;
    }
}

/// Length of a value up to the comma or bracket behind it.
fn json_length(json: &[u8]) -> usize {
    let (mut is_text, mut is_escaped) = (false, false);
    let ends = json.iter().position(|byte| {
        let ends = !is_text && matches!(byte, b',' | b']');
        match (is_escaped, byte) {
            (true, _) => is_escaped = false,
            (false, b'\\') => is_escaped = true,
            (false, b'"') => is_text = !is_text,
            _ => {}
        }
        ends
    });
    ends.unwrap_or(json.len())
}

/// What of a bind value is masked, and by what.
fn masked_json(rules: &Rules, written: &[u8], class: Class) -> Option<(Range<usize>, String)> {
    let kind = kind_of(class);
    if let Some(inside) = written.strip_prefix(b"\"") {
        let closes = usize::from(inside.ends_with(b"\""));
        let end = written.len() - closes;
        let bare: Option<String> = serde_json::from_slice(written).ok();
        let bare = bare.map_or_else(|| inside.to_vec(), String::into_bytes);
        let tag = rules.tagger.shaped(kind, &bare);
        return (end > 1).then_some((1..end, tag));
    }
    let is_nothing = matches!(written, b"null" | b"true" | b"false" | b"");
    if is_nothing || class == Class::Texts {
        return None;
    }
    let tag = rules.tagger.shaped(kind, written);
    Some((0..written.len(), format!("\"{tag}\"")))
}

#[cfg(test)]
mod tests {
    use remora_store::call::{Call, Detail};
    use remora_store::testing::sql_call;
    use test_case::test_case;

    use crate::keys::RedactionKey;
    use crate::redact::{Redaction, Redactor};

    fn redacted(body: &str, params: u32) -> Call {
        let mut call = sql_call(5, "SELECT ?");
        call.request.body = body.to_owned().into();
        call.request.body_size = body.len() as u64;
        if let Detail::Sql(sql) = &mut call.detail {
            sql.params = params;
        }
        let key = RedactionKey::new("k".to_owned(), &[1; 32]);
        Redactor::new(&key, &Redaction::default()).redact(&mut call);
        call
    }

    /// The body with each tag written `#`.
    fn masked(body: &str, params: u32) -> String {
        let call = redacted(body, params);
        let text = str::from_utf8(&call.request.body).unwrap();
        let mut pieces = text.split("[redacted ");
        let mut short = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            short.push('#');
            short.push_str(piece.split_once(']').map_or("", |(_, rest)| rest));
        }
        short
    }

    #[test_case("SELECT * FROM u WHERE password = 'it''s 2'", "SELECT * FROM u WHERE password = '#'"; "compared")]
    #[test_case("SELECT * FROM u WHERE u.\"Password\" <> E'x\\'y' AND name = 'bob'", "SELECT * FROM u WHERE u.\"Password\" <> E'#' AND name = 'bob'"; "a quoted name")]
    #[test_case("UPDATE u SET name = 'a', api_key = 'k1', age = 5", "UPDATE u SET name = 'a', api_key = '#', age = 5"; "set")]
    #[test_case("UPDATE u SET password = crypt('hunter2', gen_salt('bf')), name = 'x'", "UPDATE u SET password = crypt('#', gen_salt('#')), name = 'x'"; "within functions")]
    #[test_case("INSERT INTO u (name, password, age) VALUES ('a', 'b1', 3), ('c', 'd2', 4)", "INSERT INTO u (name, password, age) VALUES ('a', '#', 3), ('c', '#', 4)"; "inserted")]
    #[test_case("ALTER USER bob WITH PASSWORD 'hunter2' VALID UNTIL 'x'", "ALTER USER bob WITH PASSWORD '#' VALID UNTIL 'x'"; "a user's")]
    #[test_case("CREATE USER MAPPING FOR x SERVER y OPTIONS (user 'bob', password 'p1')", "CREATE USER MAPPING FOR x SERVER y OPTIONS (user 'bob', password '#')"; "of another server")]
    #[test_case("SELECT * FROM u WHERE token IN ('a1', 'b2') OR id IN (1, 2)", "SELECT * FROM u WHERE token IN ('#', '#') OR id IN (1, 2)"; "one of several")]
    #[test_case("SELECT * FROM u WHERE pin = 1234 AND tokens > 5", "SELECT * FROM u WHERE pin = '#' AND tokens > 5"; "numbers")]
    #[test_case("SELECT dblink('host=db password=hunter2 user=x')", "SELECT dblink('host=db password=# user=x')"; "a connection string")]
    #[test_case("SELECT $$ password = 'x' $$, secret = $a$hidden$a$", "SELECT $$ password = '#' $$, secret = $a$#$a$"; "between dollars")]
    #[test_case("SELECT name, password FROM u WHERE id = 'x'", "SELECT name, password FROM u WHERE id = 'x'"; "named, and no value")]
    #[test_case("WITH a AS (INSERT INTO log(msg) VALUES ('x')) INSERT INTO u(name, password) VALUES ('bob', 'p1')", "WITH a AS (INSERT INTO log(msg) VALUES ('x')) INSERT INTO u(name, password) VALUES ('bob', '#')"; "inserted behind another insert")]
    #[test_case("INSERT INTO log(a, token) VALUES ('x', 'y'); INSERT INTO u(password, name) VALUES ('p1', 'bob')", "INSERT INTO log(a, token) VALUES ('x', '#'); INSERT INTO u(password, name) VALUES ('#', 'bob')"; "inserted by the next statement")]
    #[test_case("UPDATE u SET (name, password) = ('bob', 'p1') WHERE (a, b) IN (('x', 'y'))", "UPDATE u SET (name, password) = ('bob', '#') WHERE (a, b) IN (('x', 'y'))"; "set together")]
    #[test_case("UPDATE u SET (name, password) = ROW ('bob', 'p1')", "UPDATE u SET (name, password) = ROW ('bob', '#')"; "set as a row")]
    #[test_case("UPDATE u SET (name, password) = (SELECT 'bob', 'p1')", "UPDATE u SET (name, password) = (SELECT 'bob', '#')"; "set from a query")]
    #[test_case("INSERT INTO u (name, password) SELECT 'bob', crypt('p1', 's') FROM t WHERE a IN ('x', 'y')", "INSERT INTO u (name, password) SELECT 'bob', crypt('#', '#') FROM t WHERE a IN ('x', 'y')"; "inserted from a query")]
    #[test_case("INSERT INTO u (name, password) (SELECT 'bob', 'p1' UNION ALL SELECT 'eve', 'p2') ON CONFLICT (name) DO UPDATE SET name = 'x'", "INSERT INTO u (name, password) (SELECT 'bob', '#' UNION ALL SELECT 'eve', '#') ON CONFLICT (name) DO UPDATE SET name = 'x'"; "inserted from two")]
    #[test_case("INSERT INTO u (a, password) SELECT 'b', 'p1' ON CONFLICT (a) DO UPDATE SET a = 'y'", "INSERT INTO u (a, password) SELECT 'b', '#' ON CONFLICT (a) DO UPDATE SET a = 'y'"; "or set instead")]
    fn a_literal_is_masked_by_its_name(statement: &str, expected: &str) {
        assert_eq!(masked(statement, 0), expected);
    }

    #[test_case("UPDATE u SET name = $1, password = $2\n[\"a\",\"b\\\"2\"]", 2, "UPDATE u SET name = $1, password = $2\n[\"a\",\"#\"]"; "a text")]
    #[test_case("INSERT INTO u (id, token) VALUES ($1, $2), ($3, $4)\n[1,\"t1\",2,null]", 4, "INSERT INTO u (id, token) VALUES ($1, $2), ($3, $4)\n[1,\"#\",2,null]"; "inserted")]
    #[test_case("SELECT 1 FROM u WHERE pin = $1\n[1234]", 1, "SELECT 1 FROM u WHERE pin = $1\n[\"#\"]"; "a number")]
    #[test_case("SELECT 1 FROM u WHERE pin = $1AND id = $2\n[1234,5]", 2, "SELECT 1 FROM u WHERE pin = $1AND id = $2\n[\"#\",5]"; "with a word glued to its number")]
    #[test_case("SELECT 1 FROM u WHERE token = $1 AND id = $2\n[\"t1", 2, "SELECT 1 FROM u WHERE token = $1 AND id = $2\n[\"#"; "cut off")]
    fn a_bind_value_is_masked_by_its_column(body: &str, params: u32, expected: &str) {
        assert_eq!(masked(body, params), expected);
    }

    #[test]
    fn the_same_secret_has_the_same_tag_as_a_literal_and_as_a_value() {
        let tag = |body: &str, params| {
            let call = redacted(body, params);
            let text = String::from_utf8(call.request.body.to_vec()).unwrap();
            let (_, tag) = text.split_once('#').expect("a tag");
            tag.split(' ').next().unwrap().to_owned()
        };
        let literal = tag("SELECT 1 WHERE token = 'it''s'", 0);
        assert_eq!(literal, tag("SELECT 1 WHERE token='it''s'", 0));
        assert_eq!(literal, tag("SELECT 1 WHERE token = $1\n[\"it's\"]", 1));
    }

    #[test]
    fn rows_are_masked_by_the_names_of_their_columns() {
        let mut call = sql_call(5, "SELECT ?");
        call.response.body =
            "{\"id\":1,\"password_hash\":\"$2b$12$abc\"}\n{\"id\":2,\"password_hash\":\"x\"}"
                .into();
        let key = RedactionKey::new("k".to_owned(), &[1; 32]);
        Redactor::new(&key, &Redaction::default()).redact(&mut call);
        let text = str::from_utf8(&call.response.body).unwrap();
        assert!(
            !text.contains("$2b$") && text.matches("[redacted").count() == 2,
            "{text}"
        );
    }

    #[test]
    fn a_name_that_is_a_token_leaves_no_fingerprint() {
        let token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abcdefghijk";
        let mut call = sql_call(5, &format!("SELECT ? WHERE token = \"{token}\""));
        let key = RedactionKey::new("k".to_owned(), &[1; 32]);
        Redactor::new(&key, &Redaction::default()).redact(&mut call);
        let Detail::Sql(sql) = &call.detail else {
            unreachable!()
        };
        assert!(!sql.fingerprint.contains("eyJ"), "{}", sql.fingerprint);
    }
}
