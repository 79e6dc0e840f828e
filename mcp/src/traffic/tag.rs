//! The tags that stand where secrets were: the same secret, the same tag, under one key (pure).

use memchr::memmem;
use remora_store::call::Message;
use remora_store::head::{RequestHead, fields};

/// Characters of a tag.
const CHARS: usize = 10;
/// What stands before every tag.
const MARK: &[u8] = b"redacted";
/// Kinds of secrets, as sidecars write them.
const KINDS: [&str; 7] = ["bearer", "basic", "cookie", "jwt", "key", "card", "secret"];
/// Most tags of one request that are looked at: of one that has so many it is not known whether it has more.
pub const MOST: usize = 32;

/// A secret in a request, without the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag {
    /// `bearer`, `basic`, `cookie`, `jwt`, `key`, `card` or `secret`.
    pub kind: &'static str,
    /// What is shown of the tag; plain letters and digits.
    pub shown: [u8; CHARS],
    /// Where it stood.
    pub place: Place,
}

/// Where in a request a secret stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// In a field of its head.
    Header,
    /// In its path or query.
    Url,
    /// In its body.
    Body,
}

impl Place {
    /// In words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Header => "a header",
            Self::Url => "the URL",
            Self::Body => "the body",
        }
    }
}

impl Tag {
    /// Every tag in a request, each of them once for each place.
    pub fn all_of(request: &Message) -> Vec<Self> {
        let mut tags = Vec::new();
        let is_marked = |bytes: &[u8]| memmem::find(bytes, MARK).is_some();
        if is_marked(&request.head) {
            let head = RequestHead::parse(&request.head);
            add(head.path.as_bytes(), Place::Url, &mut tags);
            add(head.query.as_bytes(), Place::Url, &mut tags);
            for (name, value) in fields(&request.head) {
                if name != b":path" {
                    add(value, Place::Header, &mut tags);
                }
            }
        }
        add(&request.body, Place::Body, &mut tags);
        tags
    }

    /// The tag as people read it, such as `bearer #7k2m9x4p1q`.
    pub fn name(&self) -> String {
        format!("{} #{}", self.kind, String::from_utf8_lossy(&self.shown))
    }

    /// Whether both stand for the same secret, wherever they stood.
    pub fn is_same_secret(&self, other: &Self) -> bool {
        self.shown == other.shown
    }
}

fn add(bytes: &[u8], place: Place, tags: &mut Vec<Tag>) {
    for found in memmem::find_iter(bytes, MARK) {
        let Some(rest) = bytes.get(found + MARK.len()..) else {
            return;
        };
        let tag = read(rest).map(|(kind, shown)| Tag { kind, shown, place });
        if let Some(tag) = tag.filter(|tag| !tags.contains(tag)) {
            if tags.len() == MOST {
                return;
            }
            tags.push(tag);
        }
    }
}

/// Reads ` bearer #7k2m9x4p1q`, or the same percent-encoded.
fn read(rest: &[u8]) -> Option<(&'static str, [u8; CHARS])> {
    let rest = either(rest, b" ", b"%20")?;
    let kind = KINDS
        .into_iter()
        .find(|kind| rest.starts_with(kind.as_bytes()))?;
    let rest = either(rest.get(kind.len()..)?, b" ", b"%20")?;
    let rest = either(rest, b"#", b"%23")?;
    let shown: [u8; CHARS] = rest.get(..CHARS)?.try_into().ok()?;
    let is_plain = shown
        .iter()
        .all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase());
    is_plain.then_some((kind, shown))
}

fn either<'a>(bytes: &'a [u8], plain: &[u8], encoded: &[u8]) -> Option<&'a [u8]> {
    bytes
        .strip_prefix(plain)
        .or_else(|| bytes.strip_prefix(encoded))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    fn tags(head: &'static str, body: &'static str) -> Vec<(String, Place)> {
        let request = Message {
            head: head.into(),
            body: body.into(),
            ..Message::default()
        };
        let all = Tag::all_of(&request);
        all.iter().map(|tag| (tag.name(), tag.place)).collect()
    }

    #[test]
    fn tags_are_found_in_every_dress() {
        let head = "GET /a?key=[redacted%20key%20%23aaaaaaaaaa] HTTP/1.1\r\n\
                    Authorization: Bearer [redacted bearer #7k2m9x4p1q]\r\n\
                    Cookie: s=[redacted cookie #bbbbbbbbbb]; t=[redacted cookie #bbbbbbbbbb]\r\n\r\n";
        let body = r#"{"password":"[redacted secret #cccccccccc 36 uuid]"}"#;
        assert_eq!(
            tags(head, body),
            [
                ("key #aaaaaaaaaa".to_owned(), Place::Url),
                ("bearer #7k2m9x4p1q".to_owned(), Place::Header),
                ("cookie #bbbbbbbbbb".to_owned(), Place::Header),
                ("secret #cccccccccc".to_owned(), Place::Body),
            ]
        );
    }

    #[test]
    fn what_only_looks_like_one_is_none() {
        let head = "GET / HTTP/1.1\r\nX: [redacted bearer #SHOUTING!!]\r\nY: redacted\r\nZ: [redacted token #aaaaaaaaaa]\r\n\r\n";
        assert_eq!(tags(head, "[redacted bearer #abc"), []);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_and_few_tags_are_kept(body in proptest::collection::vec(any::<u8>(), 0..200), times in 0_usize..80) {
            let marks = (0..times).map(|it| format!("[redacted key #{it:010}]")).collect::<String>();
            let request = Message {
                body: Bytes::from([body.as_slice(), marks.as_bytes()].concat()),
                ..Message::default()
            };
            prop_assert!(Tag::all_of(&request).len() <= MOST);
        }
    }
}
