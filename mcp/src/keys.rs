//! The key with which all sidecars make the tags of what they redact and the digests by which calls
//! are joined.
//!
//! It is kept beside the calls, because tags made with another key cannot be compared with theirs.

use std::fmt;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Name of the file in the data directory.
const FILE: &str = "redaction-key";

/// A key and its name.
#[derive(Clone, PartialEq, Eq)]
pub struct RedactionKey {
    /// Its name, which sidecars write into their blocks: `k-` and eight hex digits.
    pub id: String,
    /// The key: 32 bytes in hex.
    pub hex: String,
}

impl RedactionKey {
    /// A new random key.
    pub fn random() -> Self {
        let key: [u8; 32] = rand::random();
        Self {
            id: format!("k-{:08x}", rand::random::<u32>()),
            hex: key.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }

    /// The key of a data directory; made and kept there if it has none yet.
    ///
    /// # Errors
    ///
    /// The file cannot be read, written or understood. A key that is damaged is not replaced: tags
    /// made with a new one would not compare with those that are stored.
    pub fn of_directory(directory: &Path) -> Result<Self, KeyError> {
        let path = directory.join(FILE);
        let failed = |action: &'static str| {
            let path = path.clone();
            move |source| KeyError::Io {
                action,
                path,
                source,
            }
        };
        match fs::read_to_string(&path) {
            Ok(text) => {
                let key =
                    Self::parse(&text).ok_or_else(|| KeyError::Damaged { path: path.clone() })?;
                fs::set_permissions(&path, Permissions::from_mode(0o600))
                    .map_err(failed("protect"))?;
                Ok(key)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let key = Self::random();
                key.write(directory).map_err(failed("write"))?;
                Ok(key)
            }
            Err(error) => Err(failed("read")(error)),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let (id, hex) = text.trim_end().split_once(' ')?;
        let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let name = id.strip_prefix("k-")?;
        (name.len() == 8 && is_hex(name) && hex.len() == 64 && is_hex(hex)).then(|| Self {
            id: id.to_owned(),
            hex: hex.to_owned(),
        })
    }

    /// Written beside, synced, and renamed: a key is there whole or not at all.
    fn write(&self, directory: &Path) -> io::Result<()> {
        let new = directory.join(format!("{FILE}.new"));
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)?;
        writeln!(file, "{} {}", self.id, self.hex)?;
        file.sync_all()?;
        fs::rename(&new, directory.join(FILE))?;
        File::open(directory)?.sync_all()
    }
}

impl fmt::Debug for RedactionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedactionKey({})", self.id)
    }
}

/// Why there is no redaction key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A disk operation failed.
    #[error("{action} redaction key {path}", path = path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// The file.
        path: std::path::PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file does not hold a key.
    #[error("{path} does not hold a redaction key; restore it, or delete it if tags made before may no longer be compared with new ones", path = path.display())]
    Damaged {
        /// The file.
        path: std::path::PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_keeps_its_key_and_nobody_else_may_read_it() {
        let directory = tempfile::tempdir().unwrap();
        let key = RedactionKey::of_directory(directory.path()).unwrap();
        assert_eq!(RedactionKey::of_directory(directory.path()).unwrap(), key);
        let mode = fs::metadata(directory.path().join(FILE))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_key_is_said_and_not_replaced() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(FILE), "k-0000 short").unwrap();
        let error = RedactionKey::of_directory(directory.path()).unwrap_err();
        assert!(matches!(error, KeyError::Damaged { .. }));
        assert_eq!(
            fs::read_to_string(directory.path().join(FILE)).unwrap(),
            "k-0000 short"
        );
    }

    #[test]
    fn the_key_is_not_printed() {
        let key = RedactionKey::random();
        assert!(!format!("{key:?}").contains(&key.hex));
    }
}
