//! Secrets in calls of Redis that are known by the names of keys and fields: the value of a key or of
//! a field whose name promises one, and the id of a session or a token in a key itself.
//!
//! Works on what the sealer wrote (`seal/redis.rs`): a command as a line, a reply as text or JSON. What is
//! known by its form is looked for there as in every other body. Arguments that are credentials by their
//! place (`AUTH`) were never kept.

mod places;

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use remora_store::call::{Call, Detail, Omitted, Redis};
use serde_json::Value;

use super::edit::Edits;
use super::names::{Class, Place};
use super::tag::Kind;
use super::{Rules, text};

/// Shortest part of a key that is taken for the id of a session or a token; what counts users is shorter.
const ID_BYTES: usize = 16;

/// Parts of keys behind which the id of a session stands.
const SESSIONS: &[&[u8]] = &[b"sess", b"sid"];

/// What such parts end in, as in `PHPREDIS_SESSION`.
const SESSION_ENDS: &[&[u8]] = &[b"session", b"sessions"];

/// What Django writes the id of a session right behind: the names of its engines, the longer one first.
const GLUED: &[&[u8]] = &[b".sessions.cached_db", b".sessions.cache"];

/// Masks the secrets of `call` that their names tell.
pub(super) fn redact(rules: &Rules, call: &mut Call) {
    let Detail::Redis(redis) = &mut call.detail else {
        return;
    };
    if let Some(masked) = key_masked(rules, redis.key.as_bytes()) {
        redis.key = String::from_utf8_lossy(&masked).into_owned();
    }
    let arguments = arguments(&call.request.body);
    let mut found = Edits::default();
    let secret = secret_arguments(rules, redis, &arguments);
    for (at, argument) in arguments.iter().enumerate().skip(1) {
        let masked = match secret.binary_search(&at) {
            Ok(_) => Some(rules.tagger.plain(Kind::Secret, &argument.bare).into()),
            Err(_) => key_masked(rules, &argument.bare),
        };
        if let Some(masked) = masked {
            found.replace(argument.range.clone(), quoted(&masked));
        }
    }
    let secret = secret_replies(rules, redis, &arguments);
    if let Some(masked) = found.apply(&call.request.body) {
        call.request.body = masked;
    }
    let answered = redis.error.is_none() && !call.response.body.is_empty();
    match secret {
        Secrets::None => {}
        _ if !answered || matches!(&call.response.body[..], b"null" | b"OK" | b"[]" | b"{}") => {}
        Secrets::Whole => {
            let tag = rules.tagger.plain(Kind::Secret, &call.response.body);
            call.response.body = Bytes::from(tag);
        }
        Secrets::Elements(places) => match elements_masked(rules, &call.response.body, &places) {
            Some(masked) => call.response.body = masked,
            None => {
                call.response.body = Bytes::new();
                call.response.omitted = Some(Omitted::Uninspectable);
            }
        },
    }
}

/// Which of a reply is a secret.
enum Secrets {
    None,
    Whole,
    /// Elements of an array.
    Elements(Vec<usize>),
}

/// An argument of a line: where it stands with its quotes, and what it is without.
struct Argument<'a> {
    range: Range<usize>,
    bare: Cow<'a, [u8]>,
}

/// The arguments of a line, as the sealer writes them.
fn arguments(line: &[u8]) -> Vec<Argument<'_>> {
    let mut arguments = Vec::new();
    let mut at = 0;
    while let Some(first) = line.get(at) {
        if *first == b' ' {
            at += 1;
            continue;
        }
        let rest = line.get(at..).unwrap_or_default();
        let (length, bare) = match rest.strip_prefix(b"\"") {
            Some(inner) => unquoted(inner),
            None => {
                let length = memchr::memchr(b' ', rest).unwrap_or(rest.len());
                (length, Cow::Borrowed(rest.get(..length).unwrap_or(rest)))
            }
        };
        arguments.push(Argument {
            range: at..at + length,
            bare,
        });
        at += length;
    }
    arguments
}

/// What stands in quotes, of which the first is gone, and the length with both.
fn unquoted(inner: &[u8]) -> (usize, Cow<'_, [u8]>) {
    let mut bare = Vec::new();
    let mut bytes = inner.iter().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return (at + 2, Cow::Owned(bare)),
            b'\\' => match bytes.next() {
                Some((_, b'n')) => bare.push(b'\n'),
                Some((_, b'r')) => bare.push(b'\r'),
                Some((_, b't')) => bare.push(b'\t'),
                Some((_, escaped)) => bare.push(*escaped),
                None => {}
            },
            byte => bare.push(*byte),
        }
    }
    (inner.len() + 1, Cow::Owned(bare))
}

fn quoted(text: &[u8]) -> Vec<u8> {
    [b"\"", text, b"\""].concat()
}

/// Arguments whose value stands under the name of a secret, in their order.
fn secret_arguments(rules: &Rules, redis: &Redis, arguments: &[Argument<'_>]) -> Vec<usize> {
    let behind = |name: usize, by: usize| {
        let argument = arguments
            .get(name)
            .filter(|argument| is_secret(rules, &argument.bare));
        argument.map(|_| name + by)
    };
    let pairs = |from: usize| -> Vec<usize> {
        let names = (from..arguments.len()).step_by(2);
        names.filter_map(|name| behind(name, 1)).collect()
    };
    let command = redis.command.as_str();
    let key = arguments
        .get(1)
        .is_some_and(|key| is_secret(rules, &key.bare));
    if let Some(from) = places::values_behind_key(command).filter(|_| key) {
        return (from..arguments.len()).collect();
    }
    match command {
        "SET" | "SETNX" | "GETSET" | "APPEND" => behind(1, 1).into_iter().collect(),
        "SETEX" | "PSETEX" | "SETRANGE" => behind(1, 2).into_iter().collect(),
        "MSET" | "MSETNX" => pairs(1),
        "HSET" | "HMSET" | "HSETNX" => pairs(2),
        // The fields of an entry stand behind options and its id, with an even number of them left.
        "XADD" => {
            let mut places = [pairs(3), pairs(4)].concat();
            places.sort_unstable();
            places
        }
        "HSETEX" => pairs(behind_fields(arguments)),
        _ => Vec::new(),
    }
}

/// What of the reply stands under the name of a secret.
fn secret_replies(rules: &Rules, redis: &Redis, arguments: &[Argument<'_>]) -> Secrets {
    let named = |at: usize| {
        let argument = arguments.get(at);
        argument.is_some_and(|argument| is_secret(rules, &argument.bare))
    };
    let elements = |from: usize| {
        let places: Vec<usize> = (from..arguments.len()).filter(|at| named(*at)).collect();
        match places.is_empty() {
            true => Secrets::None,
            false => Secrets::Elements(places.into_iter().map(|at| at - from).collect()),
        }
    };
    let command = redis.command.as_str();
    match command {
        _ if places::tells_key(command) && named(1) => Secrets::Whole,
        _ if places::tells_keys(command) && (1..arguments.len()).any(named) => Secrets::Whole,
        "HGET" if named(2) => Secrets::Whole,
        "MGET" => elements(1),
        "HMGET" => elements(2),
        "HGETEX" | "HGETDEL" => elements(behind_fields(arguments)),
        _ => Secrets::None,
    }
}

/// Where the fields begin of a command that says `FIELDS` and how many there are.
fn behind_fields(arguments: &[Argument<'_>]) -> usize {
    let word = arguments
        .iter()
        .skip(2)
        .position(|it| it.bare.eq_ignore_ascii_case(b"FIELDS"));
    word.map_or(arguments.len(), |word| word + 4)
}

/// Whether the last part of a key, or a field, is the name of a secret. Numbers behind it say whose it is:
/// `refresh_token:42`.
fn is_secret(rules: &Rules, name: &[u8]) -> bool {
    let is_number = |part: &&[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    let mut parts = name.rsplit(|b| matches!(b, b':' | b'/' | b'.'));
    let last = parts.find(|part| !is_number(part));
    last.is_some_and(|last| rules.names.classify(last, Place::Field).is_some())
}

/// An array with these elements masked; `None` where it was cut, so that nobody can say which they are.
fn elements_masked(rules: &Rules, array: &[u8], places: &[usize]) -> Option<Bytes> {
    let mut elements: Vec<Value> = serde_json::from_slice(array).ok()?;
    for place in places {
        if let Some(Value::String(text)) = elements.get_mut(*place) {
            *text = rules.tagger.plain(Kind::Secret, text.as_bytes());
        }
    }
    serde_json::to_vec(&elements).ok().map(Bytes::from)
}

/// A key with the ids of sessions and tokens in it masked, and whatever else its form tells. Behind a
/// part that promises one, any that is long enough is taken for an id, with words between them or not.
fn key_masked(rules: &Rules, key: &[u8]) -> Option<Bytes> {
    let mut found = text::scan(rules, key, false);
    let mut promised = None;
    let mut at = 0;
    for part in key.split(|b| matches!(b, b':' | b'/')) {
        let end = at + part.len();
        let is_id = part.len() >= ID_BYTES && !part.iter().all(u8::is_ascii_digit);
        if let Some(kind) = promised.filter(|_| is_id) {
            found.replace(at..end, rules.tagger.plain(kind, part));
        } else if let Some(id) = glued_id(part) {
            found.replace(end - id.len()..end, rules.tagger.plain(Kind::Cookie, id));
        }
        promised = match rules.names.classify(part, Place::Field) {
            _ if names_session(part) => Some(Kind::Cookie),
            Some(Class::Secret(kind)) => Some(kind),
            Some(_) => Some(Kind::Secret),
            None => promised.filter(|_| is_word(part)),
        };
        at = end + 1;
    }
    found.apply(key)
}

fn names_session(part: &[u8]) -> bool {
    let is = |word: &&[u8]| part.eq_ignore_ascii_case(word);
    let ends = |end: &&[u8]| {
        let start = part.len().checked_sub(end.len());
        let last = start.and_then(|start| part.get(start..));
        last.is_some_and(|last| last.eq_ignore_ascii_case(end))
    };
    SESSIONS.iter().any(is) || SESSION_ENDS.iter().any(ends)
}

/// The id of a session that stands in one part with the name before it.
fn glued_id(part: &[u8]) -> Option<&[u8]> {
    let behind = |name: &&[u8]| {
        let start = memchr::memmem::find(part, name)?;
        part.get(start + name.len()..)
    };
    let id = GLUED.iter().find_map(behind)?;
    (id.len() >= ID_BYTES && id.iter().all(u8::is_ascii_alphanumeric)).then_some(id)
}

/// Whether a part may stand between others of a key; one of a document or a sentence ends what was
/// promised before.
fn is_word(part: &[u8]) -> bool {
    part.iter()
        .all(|b| b.is_ascii_alphanumeric() || b"_-.{}".contains(b))
}

#[cfg(test)]
mod tests;
