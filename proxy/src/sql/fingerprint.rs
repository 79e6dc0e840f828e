//! What a statement is about: its command, and its text without what tells one call from the next.

use std::borrow::Cow;

use remora_store::call::MAX_ABOUT_BYTES;

use super::elements::Elements;
use super::tokens::{Kind, Token, Tokens};

/// Most bytes of a statement that are read for its fingerprint.
const READ_BYTES: usize = 64 * 1024;

/// Longest command.
const COMMAND_BYTES: usize = 24;

/// What stands for a value.
const VALUE: &str = "?";

/// What a statement is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// Its command in capitals: of a statement with `WITH` that of its body, `EMPTY` of an empty one, and
    /// `QUERY` where it begins with no word.
    pub command: String,
    /// Its text with values written `?`, lists of them folded, comments gone, white space and case
    /// normalised. Of names in double quotes only those are told that could not be a value. One that is longer than a record holds ends in a hash of the whole.
    pub fingerprint: String,
}

/// Reads a statement. `escapes` says that a backslash escapes in plain strings.
pub fn about(statement: &[u8], escapes: bool) -> About {
    let statement = statement.get(..READ_BYTES).unwrap_or(statement);
    let mut writer = Writer::default();
    let mut command = Command::default();
    let mut tokens = Tokens::new(statement, escapes).peekable();
    while let Some(token) = tokens.next() {
        command.read(&token);
        let ends = tokens.peek().is_none();
        if !(ends && token.text == b";") {
            writer.add(&token);
        }
    }
    About {
        command: command.told(),
        fingerprint: cut(writer.text),
    }
}

/// A text that fits into a record.
fn cut(text: String) -> String {
    if text.len() <= MAX_ABOUT_BYTES {
        return text;
    }
    // FNV-1a: it need not resist anybody, and is the same everywhere.
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mark = format!("… #{:010x}", hash & 0xff_ffff_ffff);
    let room = text.floor_char_boundary(MAX_ABOUT_BYTES - mark.len());
    format!("{}{mark}", text.get(..room).unwrap_or_default())
}

/// Finds the command of a statement.
#[derive(Debug, Default)]
struct Command {
    any: bool,
    depth: usize,
    found: Option<String>,
    is_with: bool,
}

impl Command {
    fn read(&mut self, token: &Token<'_>) {
        self.any |= token.text != b";";
        match (token.kind, token.text) {
            (Kind::Sign, b"(") => self.depth += 1,
            (Kind::Sign, b")") => self.depth = self.depth.saturating_sub(1),
            (Kind::Word, text) if self.found.is_none() => self.found = word(text),
            (Kind::Word, text) if self.is_with && self.depth == 0 => {
                let bodies = [
                    "SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "VALUES", "TABLE",
                ];
                if let Some(body) = word(text).filter(|word| bodies.contains(&word.as_str())) {
                    self.found = Some(body);
                }
            }
            _ => return,
        }
        self.is_with = self.found.as_deref() == Some("WITH");
    }

    fn told(self) -> String {
        match (self.found, self.any) {
            (Some(command), _) => command,
            (None, true) => "QUERY".to_owned(),
            (None, false) => "EMPTY".to_owned(),
        }
    }
}

/// A word in capitals, if it could be a command; those of replication have two words in one.
fn word(text: &[u8]) -> Option<String> {
    let is_letter = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'_';
    let is_plain = text.len() <= COMMAND_BYTES && text.iter().all(is_letter);
    let text = str::from_utf8(text).ok().filter(|_| is_plain)?;
    Some(text.to_ascii_uppercase())
}

/// Writes tokens one behind the other.
#[derive(Debug, Default)]
struct Writer {
    text: String,
    last: Last,
    elements: Elements,
}

/// What was written last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Last {
    #[default]
    Nothing,
    Keyword,
    Name,
    /// A value that stands for a string, which another one right behind it goes on.
    Text,
    Value,
    /// `)` or `]`.
    Close,
    /// `(`, `[`, `.` or `::`: what follows stands close to it.
    Open,
    Comma,
    /// `+` or `-` behind which a number may be its own.
    Prefix,
    Operator,
}

impl Writer {
    fn add(&mut self, token: &Token<'_>) {
        match token.kind {
            Kind::Text if self.last == Last::Text => {}
            Kind::Text => self.add_value(Last::Text),
            Kind::Number if self.last == Last::Prefix => {
                self.text.pop();
                self.text.truncate(self.text.trim_end().len());
                self.last = self.before();
                self.add_value(Last::Value);
            }
            Kind::Number | Kind::Param => self.add_value(Last::Value),
            Kind::Word => self.add_word(token.text),
            Kind::Quoted => match plain_name(token.text) {
                Some(name) => self.put(name, Last::Name),
                None => self.add_value(Last::Value),
            },
            Kind::Sign => self.add_sign(token.text),
        }
    }

    /// What stands at the end of the text, as far as the next value has to know.
    fn before(&self) -> Last {
        match self.text.as_bytes().last() {
            Some(b'(' | b'[') => Last::Open,
            Some(b',') => Last::Comma,
            None => Last::Nothing,
            _ => Last::Operator,
        }
    }

    fn add_value(&mut self, last: Last) {
        // One of a list of values stands for all.
        if self.last == Last::Comma && self.text.ends_with("?,") {
            self.text.truncate(self.text.len() - 1);
            self.last = last;
            return;
        }
        self.put(VALUE, last);
    }

    fn add_word(&mut self, text: &[u8]) {
        let word = String::from_utf8_lossy(text);
        let upper = word.to_ascii_uppercase();
        if is_keyword(&upper) {
            let is_value = matches!(upper.as_str(), "NULL" | "TRUE" | "FALSE")
                && matches!(self.last, Last::Operator | Last::Open | Last::Comma);
            return match is_value {
                true => self.add_value(Last::Value),
                false => {
                    self.put(&upper, Last::Keyword);
                    if upper == "VALUES" {
                        self.elements.restart(&self.text);
                    }
                }
            };
        }
        // Names without quotes are the same in any case (of ASCII, here).
        let lower = match word {
            Cow::Borrowed(word) => word.to_ascii_lowercase(),
            Cow::Owned(word) => word,
        };
        self.put(&lower, Last::Name);
    }

    fn add_sign(&mut self, text: &[u8]) {
        let sign = match str::from_utf8(text) {
            Ok(sign) if !sign.contains(char::is_control) => sign,
            _ => "\u{fffd}",
        };
        match sign {
            "," => {
                self.fold_element();
                self.close(sign, Last::Comma);
                self.elements.next(&self.text);
            }
            ";" => self.close(sign, Last::Operator),
            ")" | "]" => {
                self.fold_element();
                self.close(sign, Last::Close);
                self.elements.close();
                self.fold_rows();
            }
            "." | "::" => self.close(sign, Last::Open),
            "[" | "(" => {
                match sign == "[" || matches!(self.last, Last::Name) {
                    true => self.close(sign, Last::Open),
                    false => self.put(sign, Last::Open),
                }
                self.elements.open(&self.text);
            }
            "+" | "-" if !self.is_behind_an_operand() => self.put(sign, Last::Prefix),
            _ => self.put(sign, Last::Operator),
        }
    }

    fn is_behind_an_operand(&self) -> bool {
        matches!(
            self.last,
            Last::Name | Last::Value | Last::Text | Last::Close
        )
    }

    /// Of rows of values one stands for all.
    fn fold_rows(&mut self) {
        while self.text.ends_with("(?), (?)") {
            self.text.truncate(self.text.len() - ", (?)".len());
        }
        // A row may be told by more than values: `(?, DEFAULT)`.
        if self.elements.last(&self.text).starts_with('(') {
            self.fold_element();
        }
    }

    /// Of equal elements with values one stands for all.
    fn fold_element(&mut self) {
        if let Some(end) = self.elements.fold(&self.text) {
            self.text.truncate(end);
        }
    }

    /// Writes something close to what stands before it.
    fn close(&mut self, text: &str, last: Last) {
        self.text.push_str(text);
        self.last = last;
    }

    fn put(&mut self, text: &str, last: Last) {
        if !matches!(self.last, Last::Open | Last::Nothing) {
            self.text.push(' ');
        }
        self.close(text, last);
    }
}

/// Longest name that a server knows (its `NAMEDATALEN`).
const NAME_BYTES: usize = 63;

/// A name in double quotes, if it could as well stand without them but for its case. Others are likelier a
/// value in the wrong quotes, or the rest of a statement in which one was not closed.
fn plain_name(text: &[u8]) -> Option<&str> {
    let text = str::from_utf8(text).ok()?;
    let name = text.trim_start_matches(['U', 'u', '&']);
    let name = name.strip_prefix('"')?.strip_suffix('"')?;
    let is_of_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$');
    let begins = name.starts_with(|c: char| c.is_alphabetic() || c == '_');
    let is_plain = begins && name.len() <= NAME_BYTES && name.chars().all(is_of_name);
    is_plain.then_some(text)
}

/// Whether a word in capitals is one of the language, and not a name.
fn is_keyword(upper: &str) -> bool {
    KEYWORDS.binary_search(&upper).is_ok()
}

#[cfg(test)]
#[test]
fn key_words_are_in_order() {
    assert!(KEYWORDS.is_sorted());
}

/// Key words that are no usual names of tables, columns or functions, in order.
#[rustfmt::skip]
const KEYWORDS: &[&str] = &[
    "ALL", "ALTER", "ANALYZE", "AND", "ANY", "ARRAY", "AS", "ASC", "BEGIN", "BETWEEN", "BY", "CALL",
    "CASE", "CAST", "CLOSE", "COMMIT", "CONFLICT", "COPY", "CREATE", "CROSS", "CURSOR", "DEALLOCATE",
    "DECLARE", "DEFAULT", "DELETE", "DESC", "DISCARD", "DISTINCT", "DO", "DROP", "ELSE", "END", "EXCEPT",
    "EXECUTE", "EXISTS", "EXPLAIN", "FALSE", "FETCH", "FOR", "FROM", "FULL", "GRANT", "GROUP", "HAVING",
    "ILIKE", "IN", "INNER", "INSERT", "INTERSECT", "INTO", "IS", "JOIN", "LATERAL", "LEFT", "LIKE",
    "LIMIT", "LISTEN", "LOCK", "MERGE", "NATURAL", "NOT", "NOTHING", "NOTIFY", "NULL", "OFFSET", "ON",
    "ONLY", "OR", "ORDER", "OUTER", "OVER", "PARTITION", "PREPARE", "RETURNING", "REVOKE", "RIGHT",
    "ROLLBACK", "SAVEPOINT", "SELECT", "SET", "SHOW", "SOME", "START", "TABLE", "THEN", "TO", "TRANSACTION",
    "TRUE", "TRUNCATE", "UNION", "UNLISTEN", "UPDATE", "USING", "VACUUM", "VALUES", "WHEN", "WHERE",
    "WINDOW", "WITH",
];
