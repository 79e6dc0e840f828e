//! `GET /`: the web page, a client of the API like any other.
//!
//! One file without anything from elsewhere. It holds no data, so that it is served without a token;
//! where the hub has one, the page asks for it. What it may do is in its policy: run and style itself
//! alone, ask this hub, and make no markup out of strings.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::Html;

const PAGE: &str = include_str!("page.html");

/// `GET /`
pub async fn page() -> (HeaderMap, Html<String>) {
    // Another one in each answer, so that nobody can write a script that has it.
    let nonce = format!("{:032x}", rand::random::<u128>());
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    );
    let mut headers = HeaderMap::new();
    if let Ok(policy) = HeaderValue::try_from(policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    (headers, Html(PAGE.replace("{nonce}", &nonce)))
}
