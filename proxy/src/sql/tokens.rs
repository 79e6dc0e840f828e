//! The tokens of a statement (PostgreSQL's lexical structure, section 4.1 of its manual). Comments and
//! white space are none.

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A key word, or a name without quotes.
    Word,
    /// A name in double quotes, with them.
    Quoted,
    /// A number, with all that is glued to it; or a UUID without quotes, which no server takes.
    Number,
    /// A string of any form: `'…'`, `E'…'`, `U&'…'`, `B'…'`, `X'…'`, `$tag$…$tag$`.
    Text,
    /// `$1` and the like.
    Param,
    /// A bracket, comma, dot, semicolon or cast; or an operator, whole.
    Sign,
}

/// A piece of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) kind: Kind,
    pub(crate) text: &'a [u8],
    /// Where it begins.
    pub(crate) start: usize,
}

/// Reads the tokens of a statement.
#[derive(Debug, Clone)]
pub(crate) struct Tokens<'a> {
    text: &'a [u8],
    at: usize,
    /// Whether a backslash escapes in a plain string (`standard_conforming_strings` is off).
    escapes: bool,
}

impl<'a> Tokens<'a> {
    pub(crate) fn new(text: &'a [u8], escapes: bool) -> Self {
        Self {
            text,
            at: 0,
            escapes,
        }
    }

    fn rest(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn skip_blanks(&mut self) {
        loop {
            let rest = self.rest();
            let skipped = match rest {
                [b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c | 0, ..] => 1,
                [b'-', b'-', ..] => memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len()),
                [b'/', b'*', ..] => comment(rest),
                _ => return,
            };
            self.at += skipped;
        }
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        self.skip_blanks();
        let rest = self.rest();
        let (kind, length) = read(rest, self.escapes)?;
        let start = self.at;
        self.at += length.clamp(1, rest.len());
        let text = self.text.get(start..self.at).unwrap_or_default();
        Some(Token { kind, text, start })
    }
}

/// What `rest` begins with, and how long that is.
fn read(rest: &[u8], escapes: bool) -> Option<(Kind, usize)> {
    let token = match rest {
        [] => return None,
        [b'\'', ..] => (Kind::Text, string(rest, 0, escapes)),
        [b'e' | b'E', b'\'', ..] => (Kind::Text, string(rest, 1, true)),
        [b'b' | b'B' | b'x' | b'X' | b'n' | b'N', b'\'', ..] => {
            (Kind::Text, string(rest, 1, escapes))
        }
        [b'u' | b'U', b'&', b'\'', ..] => (Kind::Text, string(rest, 2, false)),
        [b'u' | b'U', b'&', b'"', ..] => (Kind::Quoted, quoted(rest, 2)),
        [b'"', ..] => (Kind::Quoted, quoted(rest, 0)),
        [b'$', b'0'..=b'9', ..] => (Kind::Param, 1 + run(rest.get(1..), is_of_word)),
        [b'$', ..] => match dollar_quoted(rest) {
            Some(length) => (Kind::Text, length),
            None => (Kind::Sign, 1),
        },
        _ if is_uuid(rest) => (Kind::Number, UUID_BYTES),
        [b'0'..=b'9', ..] | [b'.', b'0'..=b'9', ..] => (Kind::Number, number(rest)),
        [b':', b':' | b'=', ..] => (Kind::Sign, 2),
        [first, ..] if is_operator(*first) => (Kind::Sign, operator(rest)),
        [first, ..] if begins_word(*first) => (Kind::Word, run(Some(rest), is_of_word)),
        _ => (Kind::Sign, 1),
    };
    Some(token)
}

/// Length of a comment, and of those inside it.
fn comment(rest: &[u8]) -> usize {
    let (mut at, mut depth) = (2, 1_usize);
    while depth > 0 {
        let ahead = rest.get(at..).unwrap_or_default();
        let Some(next) = memchr::memchr2(b'*', b'/', ahead) else {
            return rest.len();
        };
        let step = match ahead.get(next..) {
            Some([b'*', b'/', ..]) => {
                depth -= 1;
                2
            }
            Some([b'/', b'*', ..]) => {
                depth += 1;
                2
            }
            _ => 1,
        };
        at += next + step;
    }
    at
}

/// Length of a string whose quote stands at `open`.
fn string(rest: &[u8], open: usize, escapes: bool) -> usize {
    let mut at = open + 1;
    loop {
        let ahead = rest.get(at..).unwrap_or_default();
        let found = match escapes {
            true => memchr::memchr2(b'\'', b'\\', ahead),
            false => memchr::memchr(b'\'', ahead),
        };
        let Some(found) = found else {
            return rest.len();
        };
        at += found;
        match rest.get(at..) {
            Some([b'\\', ..] | [b'\'', b'\'', ..]) => at += 2,
            _ => return at + 1,
        }
    }
}

/// Length of a name in quotes that begin at `open`.
fn quoted(rest: &[u8], open: usize) -> usize {
    let mut at = open + 1;
    loop {
        let ahead = rest.get(at..).unwrap_or_default();
        let Some(found) = memchr::memchr(b'"', ahead) else {
            return rest.len();
        };
        at += found + 1;
        if rest.get(at) != Some(&b'"') {
            return at;
        }
        at += 1;
    }
}

/// Length of a string between dollar signs; `None` if it is none.
fn dollar_quoted(rest: &[u8]) -> Option<usize> {
    let tag = run(rest.get(1..), |b| is_of_word(b) && b != b'$');
    let mark = rest.get(..tag + 2)?;
    if mark.last() != Some(&b'$') {
        return None;
    }
    let behind = rest.get(mark.len()..).unwrap_or_default();
    let end = memchr::memmem::find(behind, mark);
    Some(end.map_or(rest.len(), |end| mark.len() + end + mark.len()))
}

/// Length of a UUID as text.
const UUID_BYTES: usize = 36;

/// Whether a UUID stands here without quotes.
fn is_uuid(rest: &[u8]) -> bool {
    let is_its = |(place, byte): (usize, &u8)| match place {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    let uuid = rest.get(..UUID_BYTES);
    uuid.is_some_and(|uuid| uuid.iter().enumerate().all(is_its))
}

/// Length of a number and of what is glued to it: no server takes that for a name.
fn number(rest: &[u8]) -> usize {
    let length = plain_number(rest);
    length + run(rest.get(length..), is_of_word)
}

fn plain_number(rest: &[u8]) -> usize {
    if let [b'0', b'x' | b'X' | b'o' | b'O' | b'b' | b'B', digit, ..] = rest
        && (digit.is_ascii_hexdigit() || *digit == b'_')
    {
        return 2 + run(rest.get(2..), |b| b.is_ascii_hexdigit() || b == b'_');
    }
    let digits = |at: usize| run(rest.get(at..), |b| b.is_ascii_digit() || b == b'_');
    let mut at = digits(0);
    // Two dots are a range.
    if rest.get(at) == Some(&b'.') && rest.get(at + 1) != Some(&b'.') {
        at += 1 + digits(at + 1);
    }
    if matches!(rest.get(at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(rest.get(at + 1), Some(b'+' | b'-')));
        let exponent = digits(at + 1 + sign);
        if exponent > 0 {
            at += 1 + sign + exponent;
        }
    }
    at
}

/// Length of an operator: a comment ends it, and so does the sign of a number behind a comparison.
fn operator(rest: &[u8]) -> usize {
    let length = run(Some(rest), is_operator);
    let run = rest.get(..length).unwrap_or_default();
    let comments = [
        memchr::memmem::find(run, b"--"),
        memchr::memmem::find(run, b"/*"),
    ];
    let length = comments.into_iter().flatten().min().unwrap_or(length);
    match rest.get(..length) {
        // An operator of several signs ends in `+` or `-` only if it has others than these.
        Some([inner @ .., b'+' | b'-'])
            if !inner.is_empty() && !inner.iter().any(|b| b"~!@#%^&|`?".contains(b)) =>
        {
            length - 1
        }
        _ => length,
    }
}

fn is_operator(byte: u8) -> bool {
    b"+-*/<>=~!@#%^&|`?".contains(&byte)
}

fn begins_word(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn is_of_word(byte: u8) -> bool {
    begins_word(byte) || byte.is_ascii_digit() || byte == b'$'
}

fn run(text: Option<&[u8]>, is_in: impl Fn(u8) -> bool) -> usize {
    let text = text.unwrap_or_default();
    let end = text.iter().position(|byte| !is_in(*byte));
    end.unwrap_or(text.len())
}
