//! SQL, as far as it takes to leave the values of a statement out: a tolerant lexer, and what is made of
//! its tokens.
//!
//! No grammar: what a server refuses has tokens as well, and must not tell its values either. Everything
//! takes time in proportion to the text, and never fails.

use std::ops::Range;

mod elements;
mod fingerprint;
mod tokens;

pub use fingerprint::{About, about};
pub(crate) use tokens::{Kind, Token, Tokens};

/// Where the statements of a text are, without the semicolons between them; empty ones are left out. Of a
/// text with more than `most` the last one is all the rest.
pub(crate) fn statements(text: &[u8], escapes: bool, most: usize) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = 0;
    let mut within = Within::default();
    let mut is_empty = true;
    for token in Tokens::new(text, escapes) {
        within.read(&token);
        let is_semicolon = token.text == b";";
        if is_semicolon && !within.is_inside() && found.len() + 1 < most {
            if !is_empty {
                found.push(start..token.start);
            }
            start = token.start + 1;
            is_empty = true;
        } else if !is_semicolon {
            is_empty = false;
        }
    }
    if !is_empty {
        found.push(start..text.len());
    }
    found
}

/// In what semicolons end no statement: the actions of a rule stand in parentheses, and the body of a
/// function between `BEGIN ATOMIC` and `END`.
#[derive(Default)]
struct Within {
    brackets: usize,
    /// How many `END`s are to come.
    blocks: usize,
    behind_begin: bool,
}

impl Within {
    fn is_inside(&self) -> bool {
        self.brackets > 0 || self.blocks > 0
    }

    fn read(&mut self, token: &Token<'_>) {
        let is = |word: &str| {
            token.kind == Kind::Word && token.text.eq_ignore_ascii_case(word.as_bytes())
        };
        match (token.kind, token.text) {
            (Kind::Sign, b"(") => self.brackets += 1,
            (Kind::Sign, b")") => self.brackets = self.brackets.saturating_sub(1),
            _ if self.behind_begin && is("ATOMIC") => self.blocks += 1,
            _ if self.blocks > 0 && is("CASE") => self.blocks += 1,
            _ if is("END") => self.blocks = self.blocks.saturating_sub(1),
            _ => {}
        }
        self.behind_begin = is("BEGIN");
    }
}

#[cfg(test)]
mod tests;
