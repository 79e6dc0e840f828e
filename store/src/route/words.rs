//! Which segments that hold a digit are names all the same, such as `Oauth2Service` or `k8s` (pure).
//!
//! A number is part of a name where it is that of a version, belongs to a term of the trade, or stands
//! between two words as in `Phase2Service`. Whatever else has a digit stands for one of many.

/// Terms with a digit in them. They stand at the beginning of a word, and nothing but another word
/// comes behind them. In the order of their letters.
const TERMS: &[&str] = &[
    "a11y", "amd64", "argon2", "arm64", "auth0", "b2b", "b2c", "base32", "base58", "base64",
    "crc32", "e2e", "ec2", "ed25519", "es256", "h264", "h2c", "hs256", "http1", "http2", "http3",
    "i18n", "ipv4", "ipv6", "iso8601", "k8s", "l10n", "log4j", "md5", "mp3", "mp4", "neo4j",
    "o11y", "oauth1", "oauth2", "p2p", "rs256", "s3", "saml2", "sha1", "sha256", "sha384",
    "sha512", "sqlite3", "utf16", "utf8", "web3", "win32", "x509", "x86",
];

/// Most digits of a number within a name.
const NAME_DIGITS: usize = 2;
/// Fewest letters of the words around it.
const WORD_LETTERS: usize = 3;

/// Whether every number in a segment is part of a name.
pub(super) fn is_name(segment: &str) -> bool {
    segment.is_ascii() && segment.split(['.', '-', '_']).all(is_word)
}

fn is_word(word: &str) -> bool {
    if is_version(word) {
        return true;
    }
    let mut before = "";
    let mut rest = word;
    while let Some(first) = rest.bytes().next() {
        let begins = before.is_empty() || first.is_ascii_uppercase();
        let length = match first {
            // An escape is no letter, and may be a digit.
            b'%' => return false,
            b'0'..=b'9' => digits_between(before, rest),
            _ if begins => Some(term(rest).unwrap_or(1)),
            _ => Some(1),
        };
        let Some(length) = length else {
            return false;
        };
        let Some((taken, left)) = word.split_at_checked(before.len() + length) else {
            return false;
        };
        (before, rest) = (taken, left);
    }
    true
}

/// `v1`, `v2`, and the forms of Kubernetes, `v1beta2` and `v1alpha1`.
fn is_version(word: &str) -> bool {
    let Some(rest) = word.strip_prefix(['v', 'V']) else {
        return false;
    };
    let after_major = without_digits(rest);
    if after_major.len() == rest.len() {
        return false;
    }
    let minor = after_major
        .strip_prefix("beta")
        .or_else(|| after_major.strip_prefix("alpha"))
        .unwrap_or(after_major);
    without_digits(minor).is_empty()
}

/// Length of the term, or of the version, that a word begins with.
fn term(rest: &str) -> Option<usize> {
    let ends = |length: usize| {
        let after = rest.get(length..)?;
        let ends = after.is_empty() || after.starts_with(|c: char| c.is_ascii_uppercase());
        ends.then_some(length)
    };
    let is_here = |term: &&&str| {
        rest.get(..term.len())
            .is_some_and(|begin| begin.eq_ignore_ascii_case(term))
    };
    let known = terms_like(rest)
        .iter()
        .filter(is_here)
        .find_map(|term| ends(term.len()));
    let version = || {
        let digits = rest.strip_prefix(['v', 'V'])?;
        let length = digits.len() - without_digits(digits).len();
        ends(1 + length).filter(|_| (1..=NAME_DIGITS).contains(&length))
    };
    known.or_else(version)
}

/// The terms with the first letter of a word: a sidecar looks at every path that has a digit.
fn terms_like(word: &str) -> &'static [&'static str] {
    let letter = |text: &str| text.bytes().next().map(|byte| byte.to_ascii_lowercase());
    let wanted = letter(word);
    let begin = TERMS.partition_point(|term| letter(term) < wanted);
    let end = TERMS.partition_point(|term| letter(term) <= wanted);
    TERMS.get(begin..end).unwrap_or_default()
}

/// Length of the number that `rest` begins with, where it stands between two words.
fn digits_between(before: &str, rest: &str) -> Option<usize> {
    let after = without_digits(rest);
    let length = rest.len() - after.len();
    let is_lower = |c: char| c.is_ascii_lowercase();
    let is_upper = |c: char| c.is_ascii_uppercase();
    let begin = before.trim_end_matches(is_lower);
    let ends_word = begin.ends_with(is_upper) && before.len() - begin.len() + 1 >= WORD_LETTERS;
    let tail = after.strip_prefix(is_upper)?;
    let begins_word = tail.len() - tail.trim_start_matches(is_lower).len() + 1 >= WORD_LETTERS;
    (length <= NAME_DIGITS && ends_word && begins_word).then_some(length)
}

fn without_digits(text: &str) -> &str {
    text.trim_start_matches(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test]
    fn every_term_is_a_name_by_itself_and_found_by_its_first_letter() {
        assert!(TERMS.is_sorted());
        for term in TERMS {
            assert!(is_name(term) && is_name(&term.to_uppercase()), "{term}");
        }
    }

    #[test_case("Oauth2Service"; "a term in a name")]
    #[test_case("GetOAuth2Token"; "in the midst of a name")]
    #[test_case("oauth2"; "alone")]
    #[test_case("S3"; "short")]
    #[test_case("S3Bucket"; "with a word behind")]
    #[test_case("k8s-clusters"; "with a hyphen")]
    #[test_case("base64"; "a coding")]
    #[test_case("to_base64"; "with an underscore")]
    #[test_case("UseIPv4"; "letters of both kinds")]
    #[test_case("v2"; "a version")]
    #[test_case("v1beta1"; "a version of Kubernetes")]
    #[test_case("shop.v1.Orders"; "a package")]
    #[test_case("auth.oauth2.v1.Oauth2Service"; "a package with terms")]
    #[test_case("OrdersV2"; "a version behind a name")]
    #[test_case("GetV2Orders"; "a version within a name")]
    #[test_case("Phase2Service"; "a number between words")]
    fn stays(segment: &str) {
        assert!(is_name(segment));
    }

    #[test_case("17"; "a number")]
    #[test_case("order-17"; "a name with a number")]
    #[test_case("ada2"; "a user")]
    #[test_case("User2"; "a number at the end")]
    #[test_case("orders3"; "a term must begin a word")]
    #[test_case("s31"; "a term must end")]
    #[test_case("s3cret"; "with a word")]
    #[test_case("sha256:abc"; "a digest")]
    #[test_case("k8s-7f9c"; "a term and an id")]
    #[test_case("v1x"; "no version")]
    #[test_case("v1.2"; "a release")]
    #[test_case("Order1234Item"; "a long number between words")]
    #[test_case("dQw4w9WgXcQ"; "letters and digits at random")]
    #[test_case("0190a6b2-7c3e-7d4f-8a5b-6c7d8e9f0a1b"; "a UUID")]
    #[test_case("a%31"; "an escaped digit")]
    #[test_case("größe2"; "letters beyond ascii")]
    fn stands_for_many(segment: &str) {
        assert!(!is_name(segment));
    }
}
