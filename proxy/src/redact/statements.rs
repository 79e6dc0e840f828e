//! Secrets in a statement of SQL and in its bind values: told by the names around them. By their own form
//! they are found as in any text.

use remora_store::call::{Message, Sql};
use remora_store::sql;

mod errors;
mod frame;
mod reader;
mod strings;
mod values;
mod words;

use super::Rules;
use super::edit::Edits;
use super::names::Class;
use super::tag::Kind;
use crate::sql::{Kind as Piece, Token, Tokens};
pub(super) use errors::in_error;
use reader::Reader;
use values::mask_values;

/// How many levels of code are read within each other: that of a block, and what it executes.
const CODE_LEVELS: usize = 3;

/// Most secrets of a statement that are looked for in the error that it got.
const MOST_TOLD: usize = 64;

/// Shortest and longest of them, in bytes.
const SHORTEST_TOLD: usize = 3;
const LONGEST_TOLD: usize = 1024;

/// Secrets that a statement has told, since the error that it gets may tell them again.
#[derive(Debug, Default)]
pub(super) struct Told(Vec<(Kind, Vec<u8>)>);

impl Told {
    fn note(&mut self, kind: Kind, bare: &[u8]) {
        let is_fit = (SHORTEST_TOLD..=LONGEST_TOLD).contains(&bare.len());
        if is_fit && self.0.len() < MOST_TOLD {
            self.0.push((kind, bare.to_vec()));
        }
    }
}

/// What a statement says of its bind values.
#[derive(Debug, Default)]
struct Params {
    /// Numbers of those that are secret.
    secret: Vec<(usize, Class)>,
    /// The highest number that was seen.
    highest: usize,
    /// The secret that the statement names.
    named: Option<Class>,
}

/// Finds what is secret in the body of a statement, by the names in it.
pub(super) fn find(rules: &Rules, sql: &Sql, message: &Message, edits: &mut Edits) -> Told {
    let mut told = Told::default();
    let Some((statement, values)) = sql::split(sql, message) else {
        return told;
    };
    let mut params = in_statement(rules, statement, false, CODE_LEVELS, &mut told, edits);
    // Whether a backslash escapes is a setting of the session: where that would change how the strings are
    // read, what either reading finds is masked.
    if memchr::memmem::find(statement, b"\\'").is_some() {
        let other = in_statement(rules, statement, true, CODE_LEVELS, &mut told, edits);
        params.secret.extend(other.secret);
        params.named = params.named.or(other.named);
    }
    if let Some(values) = values {
        // Behind the line end.
        let start = statement.len() + 1;
        mask_values(rules, values, start, params, &mut told, edits);
    }
    told
}

/// Finds values between the quotes of names in a fingerprint.
pub(super) fn in_fingerprint(rules: &Rules, fingerprint: &[u8], edits: &mut Edits) {
    for (token, _) in read(rules, fingerprint, false, |_| false).0 {
        if token.kind == Piece::Quoted {
            edits.replace(token.start..token.start + token.text.len(), "?");
        }
    }
}

/// Masks the literals of a statement, and of the code in it; gives what it says of its bind values.
fn in_statement(
    rules: &Rules,
    statement: &[u8],
    escapes: bool,
    levels: usize,
    told: &mut Told,
    edits: &mut Edits,
) -> Params {
    let mut params = Params::default();
    let mut spoken = Vec::new();
    let speaks = |token: &Token<'_>| {
        let highest = params.highest.max(number_of(token).unwrap_or(0));
        params.highest = highest;
        if token.kind != Piece::Text {
            return false;
        }
        let inside = strings::inside(rules, token.text, escapes, levels, told);
        if !inside.edits.is_empty() {
            spoken.push((token.start, inside.edits));
        }
        inside.speaks
    };
    let (found, named) = read(rules, statement, escapes, speaks);
    params.named = named;
    for (token, class) in found {
        match number_of(&token) {
            Some(number) => params.secret.push((number, class)),
            None => mask(rules, &token, class, escapes, told, edits),
        }
    }
    // Behind those of whole texts, which go before what is found in them.
    for (start, inside) in spoken {
        edits.absorb(inside, start);
    }
    params
}

/// The secret values of a statement, and the secret that it names. `speaks` is asked for each token whether
/// it is a text with names of its own.
fn read<'a>(
    rules: &'a Rules,
    statement: &'a [u8],
    escapes: bool,
    mut speaks: impl FnMut(&Token<'a>) -> bool,
) -> (Vec<(Token<'a>, Class)>, Option<Class>) {
    let mut reader = Reader::new(rules);
    let mut tokens = Tokens::new(statement, escapes).peekable();
    while let Some(token) = tokens.next() {
        let speaks = speaks(&token);
        reader.read(&token, tokens.peek(), speaks);
    }
    reader.finish()
}

/// The number of a bind value; words may be glued to it.
fn number_of(token: &Token<'_>) -> Option<usize> {
    let text = token.text.get(1..).filter(|_| token.kind == Piece::Param)?;
    let end = text.iter().position(|byte| !byte.is_ascii_digit());
    let digits = text.get(..end.unwrap_or(text.len()))?;
    str::from_utf8(digits).ok()?.parse().ok()
}

fn kind_of(class: Class) -> Kind {
    match class {
        Class::Secret(kind) => kind,
        Class::Cookie | Class::SetCookie => Kind::Cookie,
        Class::Authorization | Class::Texts => Kind::Secret,
    }
}

/// Masks a literal; of a text what is between its quotes.
fn mask(
    rules: &Rules,
    token: &Token<'_>,
    class: Class,
    escapes: bool,
    told: &mut Told,
    edits: &mut Edits,
) {
    let (inside, bare) = match token.kind {
        Piece::Text => {
            let bare = strings::Content::of(token.text, escapes).bytes;
            (strings::content(token.text), bare)
        }
        Piece::Quoted => {
            let inside = strings::quoted_content(token.text);
            let bare = token.text.get(inside.clone()).unwrap_or_default().to_vec();
            (inside, bare)
        }
        _ => (0..token.text.len(), token.text.to_vec()),
    };
    if bare.is_empty() {
        return;
    }
    let kind = kind_of(class);
    told.note(kind, &bare);
    let tag = rules.tagger.shaped(kind, &bare);
    let with = match token.kind {
        Piece::Text | Piece::Quoted => tag,
        _ => format!("'{tag}'"),
    };
    edits.replace(token.start + inside.start..token.start + inside.end, with);
}

#[cfg(test)]
mod tests;
