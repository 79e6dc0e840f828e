//! Which names promise a secret: of header fields, query parameters, form and JSON fields.
//!
//! A name is compared without case and without anything but letters and digits, so `X-Api-Key`,
//! `api_key` and `apiKey` are one name. Most rules look at how a name ends: `stripe_api_key` is as
//! much a key as `api_key`.

use super::tag::Kind;

/// Longest name that is looked at, in letters and digits; of a longer one the end counts.
const NAME_LIMIT: usize = 64;

/// Where a name stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// A header field.
    Head,
    /// A parameter of a query or a form.
    Parameter,
    /// A field of JSON or of another text.
    Field,
}

/// What the value behind a name is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// A scheme and credentials (RFC 9110 section 11.4).
    Authorization,
    /// Name-value pairs (RFC 6265 section 4.2).
    Cookie,
    /// One name-value pair with attributes (RFC 6265 section 4.1).
    SetCookie,
    /// A secret as a whole.
    Secret(Kind),
    /// Secrets if they are texts; numbers under such a name are counts (`tokens: 512`).
    Texts,
}

/// Ends of names whose value is a secret.
const SECRETS: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "pwd",
    "secret",
    "token",
    "credential",
    "credentials",
];

/// Ends of names whose value is a key. `key` alone is not among them: an `Idempotency-Key`, a
/// `Sec-WebSocket-Key` or a `public_key` is no secret.
const KEYS: &[&str] = &[
    "apikey",
    "appkey",
    "secretkey",
    "privatekey",
    "accesskey",
    "authkey",
    "sessionkey",
    "signingkey",
    "encryptionkey",
    "masterkey",
    "sharedkey",
    "subscriptionkey",
    "functionskey",
    "accountkey",
    "storagekey",
    "clientkey",
    "servicekey",
    "licensekey",
];

/// Whole names whose value is a secret anywhere.
const EXACT: &[&str] = &[
    "cvv",
    "cvc",
    "cvv2",
    "cvc2",
    "ssn",
    "otp",
    "pin",
    "sessionid",
    "xsessionid",
    "jsessionid",
    "phpsessid",
    "jwt",
];

/// Whole names that are secret in a query, a form or a head, but too common elsewhere.
const EXACT_OUTSIDE_FIELDS: &[&str] = &["auth", "xauth", "sid", "sessid"];

/// Whole names that are secret in a query or a form only: signatures that grant access to who has
/// the URL, and Google's `key`.
const EXACT_PARAMETERS: &[&str] = &["key", "sig", "signature", "xamzsignature", "xgoogsignature"];

/// Ends of names that look like a token's and are none: marks in a list, words of a vocabulary.
const HARMLESS: &[&str] = &[
    "pagetoken",
    "nexttoken",
    "continuationtoken",
    "synctoken",
    "starttoken",
    "eostoken",
    "bostoken",
    "padtoken",
    "unktoken",
    "stoptoken",
];

/// What may follow a secret's name without making it another thing.
const TAILS: &[&str] = &[
    "confirmation",
    "confirm",
    "again",
    "repeat",
    "value",
    "hash",
    "text",
    "plain",
    "encoded",
    "base64",
];

/// The names that are looked for: the list above, and the user's own.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    extra: Vec<Vec<u8>>,
}

impl Names {
    /// The documented names and `extra`, which are matched as a whole, without case and punctuation.
    pub(super) fn new(extra: &[String]) -> Self {
        let normal = |name: &String| Normal::of(name.as_bytes()).as_bytes().to_vec();
        Self {
            extra: extra.iter().map(normal).filter(|n| !n.is_empty()).collect(),
        }
    }

    /// What stands behind `name`; `None` if it promises no secret.
    pub(super) fn classify(&self, name: &[u8], place: Place) -> Option<Class> {
        let normal = Normal::of(name);
        let name = normal.as_bytes();
        if name.is_empty() {
            return None;
        }
        if self.extra.iter().any(|extra| extra == name) {
            return Some(Class::Secret(Kind::Secret));
        }
        if ends(name, &["authorization"]) {
            return Some(Class::Authorization);
        }
        if ends(name, &["setcookie", "setcookie2"]) {
            return Some(Class::SetCookie);
        }
        if ends(name, &["cookie", "cookies"]) {
            return Some(Class::Cookie);
        }
        secret(name, place)
    }
}

fn secret(name: &[u8], place: Place) -> Option<Class> {
    let is = |list: &[&str]| list.iter().any(|entry| entry.as_bytes() == name);
    if ends(name, HARMLESS) {
        return None;
    }
    let stem = without_tail(name);
    if ends(stem, KEYS) {
        return Some(Class::Secret(Kind::Key));
    }
    if ends(stem, SECRETS) || is(EXACT) {
        return Some(Class::Secret(Kind::Secret));
    }
    if let Some(one) = stem.strip_suffix(b"s")
        && (ends(one, SECRETS) || ends(one, KEYS))
    {
        return Some(Class::Texts);
    }
    // A test report counts what did `pass`.
    if name == b"pass" {
        return Some(Class::Texts);
    }
    let here = match place {
        Place::Field => false,
        Place::Head => is(EXACT_OUTSIDE_FIELDS),
        Place::Parameter => is(EXACT_OUTSIDE_FIELDS) || is(EXACT_PARAMETERS),
    };
    here.then_some(Class::Secret(Kind::Secret))
}

fn ends(name: &[u8], list: &[&str]) -> bool {
    list.iter().any(|end| name.ends_with(end.as_bytes()))
}

/// `password2` and `password_confirmation` are passwords too.
fn without_tail(name: &[u8]) -> &[u8] {
    let end = name.iter().rposition(|b| !b.is_ascii_digit());
    let name = end.and_then(|end| name.get(..=end)).unwrap_or_default();
    TAILS
        .iter()
        .find_map(|tail| name.strip_suffix(tail.as_bytes()))
        .unwrap_or(name)
}

/// The letters and digits of a name, small.
struct Normal {
    buffer: [u8; NAME_LIMIT],
    start: usize,
}

impl Normal {
    fn of(name: &[u8]) -> Self {
        let mut buffer = [0; NAME_LIMIT];
        let letters = name.iter().rev().filter(|b| b.is_ascii_alphanumeric());
        let mut start = NAME_LIMIT;
        for (slot, letter) in buffer.iter_mut().rev().zip(letters) {
            *slot = letter.to_ascii_lowercase();
            start -= 1;
        }
        Self { buffer, start }
    }

    fn as_bytes(&self) -> &[u8] {
        self.buffer.get(self.start..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test_case("Authorization", Class::Authorization)]
    #[test_case("PROXY-AUTHORIZATION", Class::Authorization)]
    #[test_case("Cookie", Class::Cookie)]
    #[test_case("Set-Cookie", Class::SetCookie)]
    #[test_case("X-Api-Key", Class::Secret(Kind::Key))]
    #[test_case("apiKey", Class::Secret(Kind::Key))]
    #[test_case("x-amz-security-token", Class::Secret(Kind::Secret))]
    #[test_case("client_secret", Class::Secret(Kind::Secret))]
    #[test_case("password_confirmation", Class::Secret(Kind::Secret); "a repeated password")]
    #[test_case("newPassword2", Class::Secret(Kind::Secret); "a numbered password")]
    #[test_case("Ocp-Apim-Subscription-Key", Class::Secret(Kind::Key))]
    #[test_case("tokens", Class::Texts)]
    #[test_case("pass", Class::Texts)]
    #[test_case("private.key", Class::Secret(Kind::Key))]
    fn a_name_promises(name: &str, class: Class) {
        let names = Names::new(&[]);
        assert_eq!(names.classify(name.as_bytes(), Place::Field), Some(class));
    }

    #[test_case("Idempotency-Key")]
    #[test_case("Sec-WebSocket-Key")]
    #[test_case("public_key")]
    #[test_case("nextPageToken")]
    #[test_case("token_type")]
    #[test_case("passenger")]
    #[test_case("max_tokens_per_day")]
    #[test_case("key")]
    #[test_case("")]
    #[test_case("---")]
    fn a_name_promises_nothing(name: &str) {
        let names = Names::new(&[]);
        assert_eq!(names.classify(name.as_bytes(), Place::Field), None);
    }

    #[test]
    fn a_key_parameter_is_secret_only_in_a_query() {
        let names = Names::new(&[]);
        assert!(names.classify(b"key", Place::Parameter).is_some());
        assert!(names.classify(b"key", Place::Head).is_none());
    }

    #[test]
    fn the_users_own_names_are_known() {
        let names = Names::new(&["X-House-Ticket".to_owned()]);
        assert!(names.classify(b"x-house-ticket", Place::Head).is_some());
        assert!(names.classify(b"house-ticket", Place::Head).is_none());
    }

    #[test]
    fn of_an_overlong_name_the_end_counts() {
        let name = format!("{}_password", "a".repeat(200));
        assert!(
            Names::new(&[])
                .classify(name.as_bytes(), Place::Field)
                .is_some()
        );
    }
}
