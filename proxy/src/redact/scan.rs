//! The quick search for the words that secrets stand behind.
//!
//! A clean text costs one vectorised pass. Words are searched as people write them: small, with a
//! capital, in capitals. Heads are searched in a small copy of themselves, since the names of header
//! fields have no case at all.

use std::ops::Range;

use aho_corasick::packed::{Config, Searcher};
use aho_corasick::{AhoCorasick, MatchKind, Span};

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

/// No more than 32 with three letters or more each: the fastest search takes that many.
const WORDS: &[(&str, Hit)] = &[
    ("pass", Hit::Name),
    ("Pass", Hit::Name),
    ("PASS", Hit::Name),
    ("pwd", Hit::Name),
    ("sig=", Hit::Name),
    ("secret", Hit::Name),
    ("Secret", Hit::Name),
    ("SECRET", Hit::Name),
    ("token", Hit::Name),
    ("Token", Hit::Name),
    ("TOKEN", Hit::Name),
    ("key", Hit::Name),
    ("Key", Hit::Name),
    ("KEY", Hit::Name),
    ("redential", Hit::Name),
    ("uthorization", Hit::Name),
    ("UTHORIZATION", Hit::Name),
    ("ookie", Hit::Name),
    ("OOKIE", Hit::Name),
    ("cvv", Hit::Name),
    ("cvc", Hit::Name),
    ("\"ssn", Hit::Name),
    ("\"otp\"", Hit::Name),
    ("\"pin\"", Hit::Name),
    ("ssionid", Hit::Name),
    ("ssion_id", Hit::Name),
    ("ssionId", Hit::Name),
    ("ignature=", Hit::Name),
    ("\\u00", Hit::Escape),
    ("eyJ", Hit::Jwt),
    ("earer ", Hit::Bearer),
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
    packed: Option<Searcher>,
    automaton: AhoCorasick,
    hits: Vec<Hit>,
}

impl Words {
    /// The words of bodies and values, and `extra` names.
    pub(super) fn of_texts(extra: &[String]) -> Self {
        let mut words: Vec<_> = WORDS
            .iter()
            .map(|(word, hit)| ((*word).to_owned(), *hit))
            .collect();
        for name in extra {
            for spelling in [name.clone(), name.to_lowercase(), name.to_uppercase()] {
                if !spelling.is_empty() && !words.iter().any(|(word, _)| *word == spelling) {
                    words.push((spelling, Hit::Name));
                }
            }
        }
        Self::of(words)
    }

    /// The words of heads that are written small, and `extra` names.
    pub(super) fn of_heads(extra: &[String]) -> Self {
        let extra = extra.iter().map(|name| name.to_lowercase());
        let words = HEAD_WORDS
            .iter()
            .map(|word| (*word).to_owned())
            .chain(extra);
        Self::of(
            words
                .filter(|word| !word.is_empty())
                .map(|word| (word, Hit::Name))
                .collect(),
        )
    }

    fn of(words: Vec<(String, Hit)>) -> Self {
        let patterns: Vec<&str> = words.iter().map(|(word, _)| word.as_str()).collect();
        let packed = Config::new().builder().extend(&patterns).build();
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostFirst)
            .build(&patterns)
            .expect("a few dozen short words fit into an automaton");
        Self {
            packed,
            automaton,
            hits: words.into_iter().map(|(_, hit)| hit).collect(),
        }
    }

    /// The first word at or after `at`.
    pub(super) fn next(&self, text: &[u8], at: usize) -> Option<(Range<usize>, Hit)> {
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
