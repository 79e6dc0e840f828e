//! Secrets that are told back: found once in their place, masked wherever else the same call has
//! them, such as in an error page that repeats the request.

use memchr::memmem;

use super::edit::Edits;
use super::tag::Tagger;

/// Beginning of a secret at the end of a cut text from which on it is masked.
const CUT_MIN: usize = 4;

/// What a text is: the first line of a head takes masks without spaces only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Head,
    Body { cut: bool },
}

/// Finds the remembered secrets in `text`.
pub(super) fn find(tagger: &Tagger, text: &[u8], part: Part, edits: &mut Edits) {
    let remembered = tagger.take_remembered();
    if remembered.is_empty() || text.is_empty() {
        tagger.put_back(remembered);
        return;
    }
    let line = match part {
        Part::Head => memchr::memchr(b'\n', text).unwrap_or(text.len()),
        Part::Body { .. } => 0,
    };
    for secret in &remembered {
        let bare = secret.bare.as_slice();
        for start in memmem::find_iter(text, bare) {
            let range = start..start + bare.len();
            match start < line {
                true => edits.replace(range, tagger.in_url(secret.kind, bare)),
                false => edits.replace(range, tagger.plain(secret.kind, bare)),
            }
        }
        if part == (Part::Body { cut: true })
            && let Some(length) = beginning(text, bare)
        {
            let range = text.len() - length..text.len();
            edits.replace(range, tagger.plain(secret.kind, bare));
        }
    }
    tagger.put_back(remembered);
}

/// How much of the beginning of `secret` stands at the end of `text`.
fn beginning(text: &[u8], secret: &[u8]) -> Option<usize> {
    (CUT_MIN..secret.len()).rev().find(|length| {
        secret
            .get(..*length)
            .is_some_and(|begun| text.ends_with(begun))
    })
}
