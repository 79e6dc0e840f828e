//! A token, made by kubectl.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::kubectl::{Kubectl, KubectlError};

/// Whom the token is for.
const AUDIENCE: &str = "remora-hub";
/// Longest token that is taken.
const TOKEN_BYTES: usize = 16 * 1024; // 16 KiB

/// A token, and how long it is good.
pub(super) struct Minted {
    text: String,
    made: Instant,
    life: Duration,
}

impl Minted {
    /// Has kubectl make one of an account.
    pub(super) async fn make(kubectl: &Kubectl, account: &str) -> Result<Self, KubectlError> {
        let words = [
            "create",
            "token",
            account,
            "--audience",
            AUDIENCE,
            "-o",
            "json",
        ];
        // From before it is asked for: it lasts no longer than this says.
        let made = Instant::now();
        let printed = kubectl.run(&words).await?;
        let (text, life) = read(&printed).map_err(|what| kubectl.unreadable(&words, what))?;
        Ok(Self { text, made, life })
    }

    /// The token, while less than 80 % of its life is over.
    pub(super) fn fresh(&self) -> Option<String> {
        self.before(self.life.mul_f64(0.8))
    }

    /// The token, while it is good.
    pub(super) fn good(&self) -> Option<String> {
        self.before(self.life)
    }

    /// Whether this is its text.
    pub(super) fn is(&self, text: &str) -> bool {
        self.text == text
    }

    fn before(&self, age: Duration) -> Option<String> {
        (self.made.elapsed() < age).then(|| self.text.clone())
    }
}

/// Token and life of a TokenRequest (`authentication.k8s.io/v1`); else what was printed instead. The life is told as a
/// duration and not by its end, as the two clocks may differ.
fn read(printed: &[u8]) -> Result<(String, Duration), &'static str> {
    let request: Value = serde_json::from_slice(printed).map_err(|_| "no JSON")?;
    let token = request.pointer("/status/token").and_then(Value::as_str);
    let seconds = request
        .pointer("/spec/expirationSeconds")
        .and_then(Value::as_u64);
    let is_token = |token: &&str| {
        !token.is_empty()
            && token.len() <= TOKEN_BYTES
            && token.bytes().all(|byte| byte.is_ascii_graphic())
    };
    let token = token.filter(is_token).ok_or("JSON without a token")?;
    let seconds = seconds.ok_or("a token that does not say how long it is good")?;
    // Longer than any cluster gives, and short enough to reckon with.
    let life = Duration::from_secs(seconds.min(u64::from(u32::MAX)));
    Ok((token.to_owned(), life))
}

#[cfg(test)]
mod tests {
    use test_case::test_case;
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_token_is_fresh_for_four_fifths_of_its_life() {
        let printed = br#"{"spec": {"expirationSeconds": 3600}, "status": {"token": "abc"}}"#;
        let (text, life) = read(printed).unwrap();
        let made = Instant::now();
        let minted = Minted { text, made, life };
        for (seconds, fresh, good) in [
            (0, true, true),
            (2_879, true, true),
            (1, false, true),
            (719, false, true),
            (1, false, false),
        ] {
            advance(Duration::from_secs(seconds)).await;
            assert_eq!(
                (minted.fresh().is_some(), minted.good().is_some()),
                (fresh, good)
            );
        }
    }

    #[test_case("abc.def.ghi", "no JSON"; "a token alone, as without -o json")]
    #[test_case("{}", "JSON without a token"; "something else")]
    #[test_case(r#"{"spec": {"expirationSeconds": 9}, "status": {"token": "a b"}}"#, "JSON without a token"; "a token that is none")]
    #[test_case(r#"{"status": {"token": "abc"}}"#, "a token that does not say how long it is good"; "no life")]
    #[test_case(r#"{"spec": {"expirationSeconds": -1}, "status": {"token": "abc"}}"#, "a token that does not say how long it is good"; "a life before its begin")]
    fn what_is_no_token_is_refused(printed: &str, expected: &str) {
        assert_eq!(read(printed.as_bytes()), Err(expected));
    }

    #[test]
    fn a_life_beyond_all_measure_is_one_that_can_be_reckoned_with() {
        let printed = format!(
            r#"{{"spec": {{"expirationSeconds": {}}}, "status": {{"token": "abc"}}}}"#,
            u64::MAX
        );
        assert!(read(printed.as_bytes()).is_ok());
    }
}
