//! What is removed from a call before it is spooled or leaves the pod.
//!
//! Every secret is replaced by a keyed tag of its bare value, so that "the same token was sent
//! downstream" stays provable without the token. Pure: a call goes in, a call comes out. Owns what a
//! secret is and what stands in its place; the key is [`crate::keys`]' business.
//!
//! **What is looked for**: credentials of `Authorization` and its kin (the scheme stays); the values
//! of cookies (names and attributes stay); fields, parameters and headers whose names promise a
//! secret (`names`), whatever their value; JWTs, `Bearer` tokens and card numbers by their own
//! form, anywhere; credentials in URLs; and what was found once in a call, wherever else the call
//! tells it. In start lines, fields, trailers, interim heads, bodies and the messages inside them:
//! plain, or inside gzip, deflate, brotli and zstd.
//!
//! **What stands in its place**: `[redacted bearer #7k2m9x4p1q]`. A masked value keeps its type,
//! length and format as far as its place asks for them:
//! - in heads, the mask as above; in a query or a form the same, percent-encoded;
//! - in a string of JSON or XML, with length in characters and format (`uuid`, `digits`, `hex`,
//!   `base64`, `text`): `[redacted secret #7k2m9x4p1q 36 uuid]`, since contracts are checked on them;
//! - a number stays a number with as many digits, made from the tag; sign and point stay;
//! - a card number keeps its groups and last four digits: `[redacted card #… **** **** **** 1111]`;
//! - `true`, `false`, `null` and empty values hold no secret, and stay.
//!
//! **What cannot be looked through** is not kept: an unknown coding, broken or excessive compressed
//! data leave size and digest only ([`Omitted::Uninspectable`]). A body that was cut off is searched
//! for the beginnings of secrets at its end too. A clean body stays as it is, byte for byte.

mod cards;
mod credentials;
mod echo;
mod edit;
mod fields;
mod heads;
mod messages;
mod names;
mod nested;
mod protobuf;
mod query;
mod redis;
mod scan;
mod statements;
mod tag;
mod text;
mod tokens;

use bytes::Bytes;
use remora_store::call::{Call, Detail, Message, Omitted, State};
use remora_store::coding;

use crate::keys::RedactionKey;
use echo::Part;
use edit::Edits;
use heads::Scratch;
use names::Names;
use scan::Words;
use tag::Tagger;

/// What the user asked of redaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redaction {
    /// Whether secrets are masked. Default true.
    pub enabled: bool,
    /// More names of headers, parameters and fields whose values are secret; compared as a whole,
    /// without case and punctuation.
    pub names: Vec<String>,
}

impl Default for Redaction {
    fn default() -> Self {
        Self {
            enabled: true,
            names: Vec::new(),
        }
    }
}

/// Masks the secrets of calls under one key.
#[derive(Debug)]
pub struct Redactor {
    enabled: bool,
    rules: Rules,
    scratch: Scratch,
}

/// A body that was looked through.
struct Inspected {
    content: Bytes,
    /// Its coding was undone.
    decoded: bool,
}

/// What is looked for, and under which key it is tagged.
#[derive(Debug)]
struct Rules {
    tagger: Tagger,
    names: Names,
    words: Words,
    head_words: Words,
}

impl Redactor {
    /// A redactor that tags under `key`.
    pub fn new(key: &RedactionKey, options: &Redaction) -> Self {
        Self {
            enabled: options.enabled,
            rules: Rules {
                tagger: Tagger::new(*key.tags()),
                names: Names::new(&options.names),
                words: Words::of_texts(&options.names),
                head_words: Words::of_heads(&options.names),
            },
            scratch: Scratch::default(),
        }
    }

    /// Tags under `key` from now on.
    pub fn set_key(&mut self, key: &RedactionKey) {
        self.rules.tagger = Tagger::new(*key.tags());
    }

    /// Masks every secret in `call`.
    pub fn redact(&mut self, call: &mut Call) {
        if !self.enabled {
            return;
        }
        self.rules.tagger.take_remembered();
        // Of what has no proper end, the last piece may be the beginning of a secret.
        let broken = call.state != State::Complete || call.error.is_some();
        for message in [&mut call.request, &mut call.response] {
            let cut = broken || message.omitted == Some(Omitted::Head);
            self.head(&mut message.head, cut);
            self.head(&mut message.trailers, cut);
        }
        self.head(&mut call.interim, false);
        redis::redact(&self.rules, call);
        self.statement(call, broken);
        let is_statement = matches!(call.detail, Detail::Sql(_));
        for (message, is_done) in [
            (&mut call.request, is_statement),
            (&mut call.response, false),
        ] {
            if !message.body.is_empty() && !is_done {
                self.body(message, broken);
            }
        }
        self.messages(call);
        self.echoes(call);
        self.echoes_in_messages(call);
    }

    /// A statement with its values: what the names in it tell, and what is secret by its form. Its
    /// fingerprint may hold the latter where it stood without the quotes of a value.
    fn statement(&self, call: &mut Call, broken: bool) {
        let Detail::Sql(sql) = &mut call.detail else {
            return;
        };
        let message = &mut call.request;
        let cut = broken || message.truncated();
        let mut found = Edits::default();
        let told = statements::find(&self.rules, sql, message, &mut found);
        found.absorb(text::scan(&self.rules, &message.body, cut), 0);
        echo::find(
            &self.rules.tagger,
            &message.body,
            Part::Body { cut },
            &mut found,
        );
        if let Some(masked) = found.apply(&message.body) {
            message.body = masked;
        }
        let mut found = text::scan(&self.rules, sql.fingerprint.as_bytes(), false);
        statements::in_fingerprint(&self.rules, sql.fingerprint.as_bytes(), &mut found);
        if let Some(masked) = found.apply(sql.fingerprint.as_bytes()) {
            sql.fingerprint = String::from_utf8_lossy(&masked).into_owned();
        }
        if sql.error.is_some() {
            let answer = &mut call.response.body;
            let mut found = Edits::default();
            statements::in_error(&self.rules, answer, &told, &mut found);
            *answer = found.apply(answer).unwrap_or_else(|| answer.clone());
        }
    }

    /// The head of a request by itself, as its record will show it. What only a body of the call makes known as a
    /// secret stays.
    pub(crate) fn request_head(&mut self, head: Vec<u8>) -> Bytes {
        let mut head = Bytes::from(head);
        if !self.enabled {
            return head;
        }
        self.rules.tagger.take_remembered();
        self.head(&mut head, false);
        let mut found = Edits::default();
        echo::find(&self.rules.tagger, &head, Part::Head, &mut found);
        found.apply(&head).unwrap_or(head)
    }

    fn head(&mut self, head: &mut Bytes, cut: bool) {
        if head.is_empty() {
            return;
        }
        if let Some(masked) = heads::redact(&self.rules, &mut self.scratch, head, cut) {
            *head = masked;
        }
    }

    /// The head tells coding and form of the body; masking leaves those fields alone.
    fn body(&self, message: &mut Message, broken: bool) {
        let short = (message.body.len() as u64) < message.body_size;
        let cut = broken || short || message.truncated();
        match self.inspected(&message.head, &message.body, cut) {
            Ok(None) => {}
            Ok(Some(inspected)) => {
                message.body = inspected.content;
                message.decoded |= inspected.decoded;
            }
            Err(coding::Undecodable) => {
                message.body = Bytes::new();
                message.omitted = Some(Omitted::Uninspectable);
            }
        }
    }

    /// What has to stand in place of `body` so that no secret is in it; `None` if it may stay.
    fn inspected(
        &self,
        head: &[u8],
        body: &[u8],
        cut: bool,
    ) -> Result<Option<Inspected>, coding::Undecodable> {
        let Some(content) = coding::decoded(head, body, cut)? else {
            let masked = self.content(head, body, cut);
            return Ok(masked.map(|content| Inspected {
                content,
                decoded: false,
            }));
        };
        let masked = self.content(head, &content, cut);
        // Of a coded body that was cut, the last piece cannot be decoded, and may hold plain text for
        // all that: only what was looked through is kept.
        let content = masked.or_else(|| cut.then(|| Bytes::from(content)));
        Ok(content.map(|content| Inspected {
            content,
            decoded: true,
        }))
    }

    /// The content with its secrets masked, those of the heads told back in it too.
    fn content(&self, head: &[u8], content: &[u8], cut: bool) -> Option<Bytes> {
        let mut found = match query::is_form(head) {
            true => query::parameters(&self.rules, content, cut),
            false => text::scan(&self.rules, content, cut),
        };
        echo::find(&self.rules.tagger, content, Part::Body { cut }, &mut found);
        found.apply(content)
    }

    /// Secrets of the bodies may be told back in a head, and those of the response's in the
    /// request's body.
    fn echoes(&self, call: &mut Call) {
        let Call {
            request,
            response,
            interim,
            ..
        } = call;
        let body = Part::Body { cut: false };
        for (bytes, part) in [
            (&mut request.head, Part::Head),
            (&mut request.trailers, body),
            (&mut request.body, body),
            (&mut response.head, Part::Head),
            (&mut response.trailers, body),
            (interim, body),
        ] {
            let mut found = Edits::default();
            echo::find(&self.rules.tagger, bytes, part, &mut found);
            if let Some(masked) = found.apply(bytes) {
                *bytes = masked;
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
