//! The redaction key: it makes the tags that stand for secrets, and the digests by which the two
//! legs of a call are joined.
//!
//! The hub gives every sidecar the same key, so that tags can be compared between them. Until the
//! hub was reached a key of the sidecar's own serves; its id says so, and its tags are never
//! compared with those of another sidecar.

use std::fmt;

/// What the id of a key begins with that the sidecar made itself.
pub const LOCAL_PREFIX: &str = "local-";

/// Longest id of a key that is taken from the hub, in bytes; it is repeated in every block.
const ID_LIMIT_BYTES: usize = 64;

/// A redaction key with its id. `Debug` hides the key.
#[derive(Clone, PartialEq, Eq)]
pub struct RedactionKey {
    id: String,
    tags: [u8; 32],
    digests: [u8; 32],
}

impl RedactionKey {
    /// A random key of this sidecar's own.
    pub fn local() -> Self {
        let id = format!("{LOCAL_PREFIX}{:016x}", rand::random::<u64>());
        Self::new(id, &rand::random())
    }

    /// The key `secret`, called `id`.
    ///
    /// Tags and digests get a key of their own each, so that a digest can never be taken for the
    /// tag of a secret with the same bytes.
    pub fn new(id: String, secret: &[u8; 32]) -> Self {
        Self {
            id,
            tags: blake3::derive_key("remora redaction tags 1", secret),
            digests: blake3::derive_key("remora message digests 1", secret),
        }
    }

    /// A key as the hub writes it: an id, and 32 bytes in hexadecimal.
    ///
    /// # Errors
    /// [`BadKey`] if the id is empty, too long or claims to be local, or if the bytes are not 32.
    pub fn from_hub(id: &str, hex: &str) -> Result<Self, BadKey> {
        let plain = id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if id.is_empty() || id.len() > ID_LIMIT_BYTES || !plain || id.starts_with(LOCAL_PREFIX) {
            return Err(BadKey::Id);
        }
        let secret = blake3::Hash::from_hex(hex).map_err(|_| BadKey::Bytes)?;
        Ok(Self::new(id.to_owned(), secret.as_bytes()))
    }

    /// Name of the key; it travels with every block.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The key under which secrets are tagged.
    pub(crate) fn tags(&self) -> &[u8; 32] {
        &self.tags
    }

    /// The key under which messages are digested.
    pub(crate) fn digests(&self) -> &[u8; 32] {
        &self.digests
    }
}

impl fmt::Debug for RedactionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedactionKey({})", self.id)
    }
}

/// Why a key from the hub cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// The id is empty, too long, not plain, or one that only sidecars may give.
    #[error("the hub's redaction key has an unusable id")]
    Id,
    /// The key is not 64 hexadecimal digits.
    #[error("the hub's redaction key is not 64 hexadecimal digits")]
    Bytes,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_key_says_so_and_is_never_the_same_twice() {
        let (one, two) = (RedactionKey::local(), RedactionKey::local());
        assert!(one.id().starts_with(LOCAL_PREFIX));
        assert_ne!(one, two);
    }

    #[test]
    fn a_key_from_the_hub_is_read() {
        let key = RedactionKey::from_hub("k-1", &"ab".repeat(32)).unwrap();
        assert_eq!(key, RedactionKey::new("k-1".to_owned(), &[0xab; 32]));
        assert_ne!(key.tags(), key.digests());
    }

    #[test]
    fn an_unusable_key_is_refused() {
        let hex = "ab".repeat(32);
        assert_eq!(RedactionKey::from_hub("", &hex), Err(BadKey::Id));
        assert_eq!(RedactionKey::from_hub("local-1", &hex), Err(BadKey::Id));
        assert_eq!(RedactionKey::from_hub("k\n1", &hex), Err(BadKey::Id));
        assert_eq!(RedactionKey::from_hub("k-1", "ab"), Err(BadKey::Bytes));
    }

    #[test]
    fn debug_hides_the_key() {
        let key = RedactionKey::new("k-1".to_owned(), &[7; 32]);
        assert_eq!(format!("{key:?}"), "RedactionKey(k-1)");
    }
}
