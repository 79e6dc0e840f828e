//! The quick search for the words that secrets stand behind.
//!
//! A clean text costs one vectorised pass for most of the words and one for each short one. They are
//! searched in a small copy of the text: that is cheaper than to search for every way in which people
//! write them, and it finds the others as well.

use std::cell::RefCell;
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

/// Words that are searched together, with [`NARROW_WORDS`]: no more than 32 in all, with four letters
/// or more each, since that is what the fastest search takes.
const WORDS: &[(&str, Hit)] = &[
    ("pass", Hit::Name),
    ("secret", Hit::Name),
    ("token", Hit::Name),
    ("redential", Hit::Name),
    ("uthorization", Hit::Name),
    ("ookie", Hit::Name),
    ("ssionid", Hit::Name),
    ("ssion_id", Hit::Name),
    ("sessid", Hit::Name),
    ("ignature=", Hit::Name),
    ("sig=", Hit::Name),
    ("\\u00", Hit::Escape),
    ("earer ", Hit::Bearer),
];

/// More of them: short names, which must begin or end where the word does. A closing quote may be
/// escaped, an opening one ends in a quote all the same.
const NARROW_WORDS: &[(&str, Hit)] = &[
    ("\"cvv", Hit::Name),
    ("\"cvc", Hit::Name),
    ("\"ssn", Hit::Name),
    ("\"otp", Hit::Name),
    ("\"pin", Hit::Name),
    ("\"jwt", Hit::Name),
    ("pwd\"", Hit::Name),
    ("pwd'", Hit::Name),
    ("pwd\\", Hit::Name),
    ("pwd=", Hit::Name),
    ("pwd>", Hit::Name),
];

/// Words that are searched one by one, because they are short: together with the others they would
/// cost more than alone.
const SHORT_WORDS: &[(&str, Hit)] = &[("key", Hit::Name), ("://", Hit::Url)];

/// Words that are searched as they stand.
const EXACT_WORDS: &[(&str, Hit)] = &[("eyJ", Hit::Jwt)];

/// How many groups the words are in that are searched together. What was looked at for a word of one
/// group is not looked at again for another one of the same.
const GROUPS: usize = 2;

/// Largest small copy whose memory is kept for the next text, in bytes: most bodies are cut to less.
const SMALL_LIMIT_BYTES: usize = 128 * 1024;

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
    set: WordSet,
    short: Vec<(Finder<'static>, Hit)>,
    exact: Vec<(Finder<'static>, Hit)>,
    /// Memory for small copies.
    small: RefCell<Vec<u8>>,
}

/// Words that are searched in one pass.
#[derive(Debug)]
struct WordSet {
    packed: Option<Searcher>,
    automaton: AhoCorasick,
    words: Vec<Word>,
}

/// What a word of a set means, and its group.
#[derive(Debug, Clone, Copy)]
struct Word {
    hit: Hit,
    group: usize,
}

impl Words {
    /// The words of bodies and values, and `extra` names.
    pub(super) fn of_texts(extra: &[String]) -> Self {
        let mut short = finders(SHORT_WORDS);
        for name in extra.iter().filter(|name| !name.is_empty()) {
            // The small copy is small in ASCII only.
            let mut spellings = [name.clone(), name.to_lowercase(), name.to_uppercase()]
                .map(|spelling| spelling.to_ascii_lowercase())
                .to_vec();
            spellings.sort_unstable();
            spellings.dedup();
            short.extend(
                spellings
                    .iter()
                    .map(|spelling| (Finder::new(spelling).into_owned(), Hit::Name)),
            );
        }
        let groups: [_; GROUPS] = [WORDS, NARROW_WORDS];
        let words = (0..).zip(groups).flat_map(|(group, words)| {
            let word = move |&(text, hit): &(&'static str, Hit)| (text, Word { hit, group });
            words.iter().map(word)
        });
        Self {
            set: WordSet::of(words),
            short,
            exact: finders(EXACT_WORDS),
            small: RefCell::default(),
        }
    }

    /// The words of heads, and `extra` names.
    pub(super) fn of_heads(extra: &[String]) -> Self {
        let extra: Vec<_> = extra.iter().map(|name| name.to_lowercase()).collect();
        let words = HEAD_WORDS
            .iter()
            .copied()
            .chain(extra.iter().map(String::as_str))
            .filter(|word| !word.is_empty());
        let word = Word {
            hit: Hit::Name,
            group: 0,
        };
        Self {
            set: WordSet::of(words.map(|text| (text, word))),
            short: Vec::new(),
            exact: Vec::new(),
            small: RefCell::default(),
        }
    }

    /// Shows every word in `text` to `look`, which says where to go on. The words of one search come
    /// in order, one search after the other.
    pub(super) fn each(&self, text: &[u8], mut look: impl FnMut(Range<usize>, Hit) -> usize) {
        // Taken, not borrowed: what stands behind a word may be searched itself.
        let mut small = self.small.take();
        small.clear();
        small.extend_from_slice(text);
        small.make_ascii_lowercase();

        let mut go_on = [0; GROUPS];
        let mut at = 0;
        while let Some((found, word)) = self.set.next(&small, at) {
            at = found.start + 1;
            if let Some(go_on) = go_on.get_mut(word.group)
                && found.start >= *go_on
            {
                *go_on = look(found.clone(), word.hit).max(found.end);
            }
        }
        for (words, text) in [(&self.short, small.as_slice()), (&self.exact, text)] {
            for (word, hit) in words {
                let mut at = 0;
                while let Some(offset) = text.get(at..).and_then(|rest| word.find(rest)) {
                    let found = at + offset..at + offset + word.needle().len();
                    at = look(found.clone(), *hit).max(found.end);
                }
            }
        }
        if small.capacity() <= SMALL_LIMIT_BYTES {
            self.small.replace(small);
        }
    }
}

fn finders(words: &[(&'static str, Hit)]) -> Vec<(Finder<'static>, Hit)> {
    let words = words.iter();
    words
        .map(|(word, hit)| (Finder::new(*word), *hit))
        .collect()
}

impl WordSet {
    fn of<'w>(words: impl Iterator<Item = (&'w str, Word)>) -> Self {
        let (texts, words): (Vec<&str>, Vec<Word>) = words.unzip();
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostFirst)
            .build(&texts)
            .expect("a few dozen short words fit into an automaton");
        Self {
            packed: Config::new().builder().extend(&texts).build(),
            automaton,
            words,
        }
    }

    fn next(&self, text: &[u8], at: usize) -> Option<(Range<usize>, Word)> {
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
        let word = self.words.get(found.pattern().as_usize())?;
        Some((found.start()..found.end(), *word))
    }
}
