//! A trust store as every Java reads it: a JKS file with certificates and nothing else.
//!
//! Its password guards nothing, since nothing in it is secret; Java checks it only where one is given.

use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use rustls::pki_types::CertificateDer;

/// The password that Java's own trust store has.
const PASSWORD: &str = "changeit";

const MAGIC: u32 = 0xfeed_feed;
const VERSION: u32 = 2;
const TRUSTED_CERTIFICATE: u32 = 2;
/// What the digest over the file is salted with.
const WHITENER: &[u8] = b"Mighty Aphrodite";

/// Writes certificates into a trust store, each trusted.
pub(super) fn trusting(certificates: &[CertificateDer<'_>]) -> Vec<u8> {
    let mut store = Vec::new();
    let count = u32::try_from(certificates.len()).unwrap_or(u32::MAX);
    for word in [MAGIC, VERSION, count] {
        store.extend(word.to_be_bytes());
    }
    for (number, certificate) in certificates.iter().enumerate() {
        store.extend(TRUSTED_CERTIFICATE.to_be_bytes());
        text(&mut store, &format!("remora-{number}"));
        // When it was put in, which nobody asks.
        store.extend(0_u64.to_be_bytes());
        text(&mut store, "X.509");
        let length = u32::try_from(certificate.len()).unwrap_or(u32::MAX);
        store.extend(length.to_be_bytes());
        store.extend_from_slice(certificate);
    }
    let mut digest = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    for unit in PASSWORD.encode_utf16() {
        digest.update(&unit.to_be_bytes());
    }
    digest.update(WHITENER);
    digest.update(&store);
    store.extend_from_slice(digest.finish().as_ref());
    store
}

/// A text of ASCII with its length before it.
fn text(store: &mut Vec<u8>, text: &str) {
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    store.extend(length.to_be_bytes());
    store.extend_from_slice(text.as_bytes());
}
