//! The quick search for the words that secrets stand behind.
//!
//! A clean text costs one vectorised pass. Words are searched as people write them: small, with a
//! capital, in capitals. Heads are searched in a small copy of themselves, since the names of header
//! fields have no case at all.

use std::ops::Range;

use aho_corasick::packed::{Config, Searcher};
use aho_corasick::{AhoCorasick, MatchKind, Span};
use memchr::memmem::Finder;

/// What a word that was found may mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hit {
    /// Part of the name of a secret.
    Name,
    /// A letter written as `\u0061`, perhaps in the name of a secret.
    Escape,
    /// The beginning of a JWT.
    Jwt,
    /// A scheme before a token.
    Bearer,
    /// A URL.
    Url,
}

/// Words that are searched together: no more than 32, with four letters or more each, since that is
/// what the fastest search takes.
const WORDS: &[(&str, Hit)] = &[
    ("pass", Hit::Name),
    ("Pass", Hit::Name),
    ("PASS", Hit::Name),
    ("secret", Hit::Name),
    ("Secret", Hit::Name),
    ("SECRET", Hit::Name),
    ("token", Hit::Name),
    ("Token", Hit::Name),
    ("TOKEN", Hit::Name),
    ("redential", Hit::Name),
    ("REDENTIAL", Hit::Name),
    ("uthorization", Hit::Name),
    ("UTHORIZATION", Hit::Name),
    ("ookie", Hit::Name),
    ("OOKIE", Hit::Name),
    ("ssionid", Hit::Name),
    ("ssion_id", Hit::Name),
    ("ssionId", Hit::Name),
    ("ssionID", Hit::Name),
    ("SSIONID", Hit::Name),
    ("SESSID", Hit::Name),
    ("ignature=", Hit::Name),
    ("sig=", Hit::Name),
    ("\\u00", Hit::Escape),
    ("earer ", Hit::Bearer),
];

/// More of them: short names, which must begin or end where the word does. A closing quote may be
/// escaped, an opening one ends in a quote all the same.
const NARROW_WORDS: &[(&str, Hit)] = &[
    ("\"cvv", Hit::Name),
    ("\"Cvv", Hit::Name),
    ("\"CVV", Hit::Name),
    ("\"cvc", Hit::Name),
    ("\"Cvc", Hit::Name),
    ("\"CVC", Hit::Name),
    ("\"ssn", Hit::Name),
    ("\"Ssn", Hit::Name),
    ("\"SSN", Hit::Name),
    ("\"otp", Hit::Name),
    ("\"Otp", Hit::Name),
    ("\"OTP", Hit::Name),
    ("\"pin", Hit::Name),
    ("\"Pin", Hit::Name),
    ("\"PIN", Hit::Name),
    ("\"jwt", Hit::Name),
    ("pwd\"", Hit::Name),
    ("pwd'", Hit::Name),
    ("pwd\\", Hit::Name),
    ("pwd=", Hit::Name),
    ("pwd>", Hit::Name),
    ("Pwd\"", Hit::Name),
    ("Pwd\\", Hit::Name),
    ("Pwd=", Hit::Name),
    ("Pwd>", Hit::Name),
    ("PWD\"", Hit::Name),
    ("PWD\\", Hit::Name),
    ("PWD=", Hit::Name),
];

/// Words that are searched one by one, because they are short: together with the others they would
/// cost more than alone.
const SHORT_WORDS: &[(&str, Hit)] = &[
    ("key", Hit::Name),
    ("Key", Hit::Name),
    ("KEY", Hit::Name),
    ("eyJ", Hit::Jwt),
    ("://", Hit::Url),
];

/// Words of heads, small. A head with none of them, no `?` and no digits in a row is clean.
const HEAD_WORDS: &[&str] = &[
    "authorization",
    "cookie",
    "token",
    "secret",
    "pass",
    "pwd",
    "credential",
    "key",
    "auth:",
    "auth :",
    "sid:",
    "sessid",
    "session",
    "ssn:",
    "otp:",
    "pin:",
    "cvv",
    "cvc",
    "jwt",
    "bearer ",
    "basic ",
    "eyj",
    "://",
    "\\u00",
];

/// A search for many words at once.
#[derive(Debug)]
pub(super) struct Words {
    sets: Vec<WordSet>,
    single: Vec<(Finder<'static>, Hit)>,
}

/// Words that are searched in one pass.
#[derive(Debug)]
struct WordSet {
    packed: Option<Searcher>,
    automaton: AhoCorasick,
    hits: Vec<Hit>,
}

impl Words {
    /// The words of bodies and values, and `extra` names.
    pub(super) fn of_texts(extra: &[String]) -> Self {
        let mut single: Vec<_> = SHORT_WORDS
            .iter()
            .map(|(word, hit)| (Finder::new(*word), *hit))
            .collect();
        for name in extra.iter().filter(|name| !name.is_empty()) {
            let mut spellings = vec![name.clone(), name.to_lowercase(), name.to_uppercase()];
            spellings.dedup();
            single.extend(
                spellings
                    .iter()
                    .map(|spelling| (Finder::new(spelling).into_owned(), Hit::Name)),
            );
        }
        let sets = [WORDS, NARROW_WORDS].map(|words| {
            let (words, hits): (Vec<_>, Vec<_>) = words.iter().copied().unzip();
            WordSet::of(&words, hits)
        });
        Self {
            sets: sets.into(),
            single,
        }
    }

    /// The words of heads that are written small, and `extra` names.
    pub(super) fn of_heads(extra: &[String]) -> Self {
        let extra: Vec<_> = extra.iter().map(|name| name.to_lowercase()).collect();
        let words: Vec<&str> = HEAD_WORDS
            .iter()
            .copied()
            .chain(extra.iter().map(String::as_str))
            .filter(|word| !word.is_empty())
            .collect();
        let hits = vec![Hit::Name; words.len()];
        Self {
            sets: vec![WordSet::of(&words, hits)],
            single: Vec::new(),
        }
    }

    /// Shows every word in `text` to `look`, which says where to go on. The words of one search come
    /// in order, one search after the other.
    pub(super) fn each(&self, text: &[u8], mut look: impl FnMut(Range<usize>, Hit) -> usize) {
        for set in &self.sets {
            let mut at = 0;
            while let Some((found, hit)) = set.next(text, at) {
                at = look(found.clone(), hit).max(found.end);
            }
        }
        for (word, hit) in &self.single {
            let mut at = 0;
            while let Some(offset) = text.get(at..).and_then(|rest| word.find(rest)) {
                let found = at + offset..at + offset + word.needle().len();
                at = look(found.clone(), *hit).max(found.end);
            }
        }
    }
}

impl WordSet {
    fn of(words: &[&str], hits: Vec<Hit>) -> Self {
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostFirst)
            .build(words)
            .expect("a few dozen short words fit into an automaton");
        Self {
            packed: Config::new().builder().extend(words).build(),
            automaton,
            hits,
        }
    }

    fn next(&self, text: &[u8], at: usize) -> Option<(Range<usize>, Hit)> {
        if at >= text.len() {
            return None;
        }
        let span = Span::from(at..text.len());
        let found = match &self.packed {
            Some(packed) => packed.find_in(text, span),
            None => self
                .automaton
                .find(aho_corasick::Input::new(text).span(span)),
        }?;
        let hit = self.hits.get(found.pattern().as_usize())?;
        Some((found.start()..found.end(), *hit))
    }
}
