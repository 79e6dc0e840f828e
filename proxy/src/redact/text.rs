//! Secrets in a text of any format, JSON first of all: quick searches find the words that secrets
//! stand behind, and the card numbers.
//!
//! The text is not parsed: it may be cut off, escaped into another text, or malformed, and its
//! secrets must be found all the same. What is found is looked at closely where it stands.

use super::edit::Edits;
use super::scan::Hit;
use super::{Rules, cards, fields, query, tokens};

/// Finds the secrets in `text`. `cut` says that the text goes on behind its end but was not kept, so
/// that even the beginning of a token there has to be masked.
pub(super) fn scan(rules: &Rules, text: &[u8], cut: bool) -> Edits {
    let mut edits = Edits::default();
    rules.words.each(text, |found, hit| match hit {
        Hit::Name => fields::named(rules, text, found.start, &mut edits),
        Hit::Escape => fields::escaped(rules, text, found.start, &mut edits),
        Hit::Jwt => tokens::jwt(rules, text, found.start, cut, &mut edits),
        Hit::Bearer => tokens::bearer(rules, text, found.end, cut, &mut edits),
        Hit::Url => {
            if let Some(range) = query::userinfo(text, found.end) {
                let written = text.get(range.clone()).unwrap_or_default();
                edits.replace(range, query::mask_userinfo(rules, written));
            }
            found.end
        }
    });
    cards::scan(rules, text, cut, &mut edits);
    edits
}
