//! SQL, as far as it takes to leave the values of a statement out: a tolerant lexer, and what is made of
//! its tokens.
//!
//! No grammar: what a server refuses has tokens as well, and must not tell its values either. Everything
//! takes time in proportion to the text, and never fails.

mod fingerprint;
mod tokens;

pub use fingerprint::{About, about};
pub(crate) use tokens::{Kind, Token, Tokens};

/// The statements of a text, without the semicolons between them; empty ones are left out. Of a text with
/// more than `most` the last one is all the rest.
pub(crate) fn statements(text: &[u8], escapes: bool, most: usize) -> Vec<&[u8]> {
    let mut found = Vec::new();
    let mut start = 0;
    let mut depth = 0_usize;
    let mut is_empty = true;
    for token in Tokens::new(text, escapes) {
        match (token.kind, token.text) {
            // The actions of a rule stand in parentheses.
            (Kind::Sign, b"(") => depth += 1,
            (Kind::Sign, b")") => depth = depth.saturating_sub(1),
            (Kind::Sign, b";") if depth == 0 && found.len() + 1 < most => {
                if !is_empty {
                    found.push(text.get(start..token.start).unwrap_or_default());
                }
                start = token.start + 1;
                is_empty = true;
                continue;
            }
            (Kind::Sign, b";") => continue,
            _ => {}
        }
        is_empty = false;
    }
    if !is_empty {
        found.push(text.get(start..).unwrap_or_default());
    }
    found
}

#[cfg(test)]
mod tests;
