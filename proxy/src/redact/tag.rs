//! What stands in the place of a secret: a keyed tag of the bare value, in the dress that its place
//! asks for.
//!
//! The tag is keyed BLAKE3 of the value without scheme, quotes, escapes or percent-encoding, so the
//! same token has the same tag wherever it stands. Ten characters of it are shown.

use std::cell::RefCell;
use std::fmt::Write;

/// Characters of the tag that are shown; five bits each.
const SHOWN: usize = 10;

/// Crockford's base32 in small letters: no `i`, `l`, `o` or `u`, which are misread.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// What kind of secret was found, as its place told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Bearer,
    Basic,
    Cookie,
    Jwt,
    Key,
    Card,
    Secret,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Kind::Bearer => "bearer",
            Kind::Basic => "basic",
            Kind::Cookie => "cookie",
            Kind::Jwt => "jwt",
            Kind::Key => "key",
            Kind::Card => "card",
            Kind::Secret => "secret",
        }
    }
}

/// Shortest secret that is remembered, in bytes, and shortest cookie: their values are often words.
const REMEMBERED_MIN: usize = 10;
const REMEMBERED_COOKIE_MIN: usize = 16;

/// Longest secret that is remembered, in bytes: each is looked for in all of the call.
const REMEMBERED_LONGEST: usize = 4 * 1024;

/// Most secrets of one call that are remembered.
const REMEMBERED_MAX: usize = 32;

/// Makes tags under one key, and remembers the secrets of a call, so that one that was found in its
/// place is known where it is told back without one.
#[derive(Debug)]
pub(super) struct Tagger {
    key: [u8; 32],
    remembered: RefCell<Vec<Remembered>>,
}

/// A secret that stood somewhere in the call.
#[derive(Debug)]
pub(super) struct Remembered {
    pub(super) kind: Kind,
    pub(super) bare: Vec<u8>,
}

impl Tagger {
    pub(super) fn new(key: [u8; 32]) -> Self {
        Self {
            key,
            remembered: RefCell::default(),
        }
    }

    /// The secrets since the last time; those too short or too plain to be known again are not
    /// among them.
    pub(super) fn take_remembered(&self) -> Vec<Remembered> {
        self.remembered.take()
    }

    /// Remembers these, and nothing that was found meanwhile.
    pub(super) fn put_back(&self, remembered: Vec<Remembered>) {
        self.remembered.replace(remembered);
    }

    fn remember(&self, kind: Kind, bare: &[u8]) {
        let mut remembered = self.remembered.borrow_mut();
        let least = match kind {
            Kind::Cookie => REMEMBERED_COOKIE_MIN,
            _ => REMEMBERED_MIN,
        };
        if (least..=REMEMBERED_LONGEST).contains(&bare.len())
            && remembered.len() < REMEMBERED_MAX
            && bare.iter().any(u8::is_ascii_digit)
            && !remembered.iter().any(|known| known.bare == bare)
        {
            remembered.push(Remembered {
                kind,
                bare: bare.to_vec(),
            });
        }
    }

    /// `[redacted bearer #7k2m9x4p1q]`
    pub(super) fn plain(&self, kind: Kind, bare: &[u8]) -> String {
        self.remember(kind, bare);
        format!("[redacted {} #{}]", kind.word(), self.shown(bare))
    }

    /// The same, percent-encoded as far as a request target needs it.
    pub(super) fn in_url(&self, kind: Kind, bare: &[u8]) -> String {
        self.remember(kind, bare);
        format!("[redacted%20{}%20%23{}]", kind.word(), self.shown(bare))
    }

    /// The same before the `@` of a URL, where brackets would be taken for an address.
    pub(super) fn in_userinfo(&self, kind: Kind, bare: &[u8]) -> String {
        self.remember(kind, bare);
        let tag = self.shown(bare);
        format!("%5Bredacted%20{}%20%23{tag}%5D", kind.word())
    }

    /// With what is left of the value's shape: `[redacted secret #7k2m9x4p1q 36 uuid]`.
    pub(super) fn shaped(&self, kind: Kind, bare: &[u8]) -> String {
        self.remember(kind, bare);
        let length = match std::str::from_utf8(bare) {
            Ok(text) => text.chars().count(),
            Err(_) => bare.len(),
        };
        let tag = self.shown(bare);
        let format = format_of(bare);
        format!("[redacted {} #{tag} {length} {format}]", kind.word())
    }

    /// A card number as a pattern: separators and the last four digits stay.
    pub(super) fn card(&self, bare: &[u8], written: &[u8]) -> String {
        let tag = self.shown(bare);
        let mut hidden = bare.len().saturating_sub(4);
        let mut out = format!("[redacted {} #{tag} ", Kind::Card.word());
        for &byte in written {
            match byte {
                b'0'..=b'9' if hidden > 0 => {
                    hidden -= 1;
                    out.push('*');
                }
                _ => out.push(char::from(byte)),
            }
        }
        out.push(']');
        out
    }

    /// A number with as many digits as `written`, each made from the tag; sign, point and exponent
    /// stay where they are, and so do the last `keep` digits.
    pub(super) fn number(&self, bare: &[u8], written: &[u8], keep: usize) -> Vec<u8> {
        let digits = written.iter().filter(|b| b.is_ascii_digit()).count();
        let mut hidden = digits.saturating_sub(keep);
        let mut source = blake3::Hasher::new_keyed(&self.key)
            .update(bare)
            .finalize_xof();
        let mut first = true;
        let mut exponent = false;
        let mut out = written.to_vec();
        for byte in &mut out {
            exponent |= matches!(byte, b'e' | b'E');
            if !byte.is_ascii_digit() || hidden == 0 {
                continue;
            }
            hidden -= 1;
            let mut drawn = [0u8; 4];
            source.fill(&mut drawn);
            let drawn = u32::from_le_bytes(drawn);
            // A number must not begin with a zero, and a drawn exponent could make it infinite.
            *byte = match (first, exponent) {
                (_, true) => b'0',
                (true, false) => b'1' + u8::try_from(drawn % 9).unwrap_or(0),
                (false, false) => b'0' + u8::try_from(drawn % 10).unwrap_or(0),
            };
            first = false;
        }
        out
    }

    fn shown(&self, bare: &[u8]) -> String {
        let hash = blake3::keyed_hash(&self.key, bare);
        let mut bits = [0u8; 8];
        bits.copy_from_slice(hash.as_bytes().first_chunk::<8>().unwrap_or(&[0; 8]));
        let mut bits = u64::from_le_bytes(bits);
        let mut shown = String::with_capacity(SHOWN);
        for _ in 0..SHOWN {
            let letter = usize::try_from(bits & 31).unwrap_or(0);
            let letter = ALPHABET.get(letter).copied().unwrap_or(b'0');
            let _ = shown.write_char(char::from(letter));
            bits >>= 5;
        }
        shown
    }
}

/// What a text looks like, in one of a few fixed words.
fn format_of(bare: &[u8]) -> &'static str {
    let all = |test: fn(&u8) -> bool| !bare.is_empty() && bare.iter().all(test);
    if is_uuid(bare) {
        "uuid"
    } else if all(u8::is_ascii_digit) {
        "digits"
    } else if all(u8::is_ascii_hexdigit) {
        "hex"
    } else if bare.len() >= 16 && all(|b| b.is_ascii_alphanumeric() || b"+/=_-".contains(b)) {
        "base64"
    } else {
        "text"
    }
}

fn is_uuid(bare: &[u8]) -> bool {
    bare.len() == 36
        && bare.iter().enumerate().all(|(i, b)| match i {
            8 | 13 | 18 | 23 => *b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tagger() -> Tagger {
        Tagger::new([1; 32])
    }

    #[test]
    fn a_tag_has_ten_characters_and_depends_on_value_and_key() {
        let text = tagger().plain(Kind::Bearer, b"abc");
        let tag = text
            .strip_prefix("[redacted bearer #")
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap();
        assert_eq!(tag.len(), SHOWN);
        assert!(tag.bytes().all(|b| ALPHABET.contains(&b)));
        assert_eq!(text, tagger().plain(Kind::Bearer, b"abc"));
        assert_ne!(text, tagger().plain(Kind::Bearer, b"abd"));
        assert_ne!(text, Tagger::new([2; 32]).plain(Kind::Bearer, b"abc"));
    }

    #[test]
    fn only_what_can_be_known_again_is_remembered() {
        let tagger = tagger();
        tagger.plain(Kind::Bearer, b"abcdef123456");
        tagger.plain(Kind::Bearer, b"abcdef123456");
        tagger.plain(Kind::Secret, b"short1");
        tagger.plain(Kind::Secret, b"a word or two");
        tagger.plain(Kind::Cookie, b"abcdef123456");
        let remembered = tagger.take_remembered();
        assert_eq!(remembered.len(), 1);
        assert_eq!(remembered[0].bare, b"abcdef123456");
        assert!(tagger.take_remembered().is_empty());
    }

    #[test]
    fn a_number_keeps_its_digit_count_sign_and_point() {
        let masked = tagger().number(b"-1234.50", b"-1234.50", 0);
        assert_eq!(masked.len(), 8);
        assert_eq!((masked[0], masked[5]), (b'-', b'.'));
        assert!((b'1'..=b'9').contains(&masked[1]));
        assert!(serde_json::from_slice::<f64>(&masked).is_ok());
    }

    #[test]
    fn the_shape_of_a_text_is_recorded() {
        let uuid = b"550e8400-e29b-41d4-a716-446655440000";
        assert!(tagger().shaped(Kind::Secret, uuid).ends_with(" 36 uuid]"));
        assert!(
            tagger()
                .shaped(Kind::Secret, b"1234")
                .ends_with(" 4 digits]")
        );
        assert!(
            tagger()
                .shaped(Kind::Secret, "grün!".as_bytes())
                .ends_with(" 5 text]")
        );
    }

    #[test]
    fn a_card_keeps_its_separators_and_last_four() {
        let masked = tagger().card(b"4111111111111111", b"4111-1111-1111-1111");
        assert!(masked.ends_with(" ****-****-****-1111]"), "{masked}");
    }
}
