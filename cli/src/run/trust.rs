//! Whom a program trusts whose TLS is looked into: everybody that it did before, and its sidecar.
//!
//! The certificates lie in a folder for the time of the run. The key of the authority is in no file.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use tempfile::TempDir;

/// What shows that a file holds authorities.
const PEM: &[u8] = b"-----BEGIN CERTIFICATE-----";
/// Largest file of authorities that is read, in bytes.
const FILE_BYTES: u64 = 4 * 1024 * 1024;
/// The variable that leads to no such file.
const JAVA: &str = "JAVA_TOOL_OPTIONS";
/// The one that leads to what the system trusts, for the sidecar as well.
const READ_ANYWAY: &str = "SSL_CERT_FILE";

/// The folder, and what was found in the environment.
pub(super) struct Trust {
    folder: TempDir,
    upstream: Option<PathBuf>,
    /// Variables whose authorities are among those in the folder.
    taken_over: Vec<&'static str>,
    /// Variables that lead to something else: they stay as they are.
    kept: Vec<&'static str>,
}

impl Trust {
    /// Makes the folder, with the authorities of `file` and those that the environment names.
    pub(super) fn gather(
        file: Option<&Path>,
        inherited: impl Fn(&str) -> Option<OsString>,
    ) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("remora-").tempdir();
        let mut trust = Self {
            folder: folder.context("make a folder for certificates")?,
            upstream: None,
            taken_over: Vec::new(),
            kept: Vec::new(),
        };
        let mut authorities = Vec::new();
        if let Some(file) = file {
            let name = || format!("read --upstream-ca {}", file.display());
            authorities.extend(fs::read(file).with_context(name)?);
        }
        // Many lead to the same file, which the sidecar may read anyway.
        let mut known: Vec<PathBuf> = Vec::new();
        known.extend(inherited(READ_ANYWAY).map(PathBuf::from));
        let names = remora_proxy::tls::VARIABLES.iter().map(|it| it.name);
        for name in names.filter(|name| ![JAVA, READ_ANYWAY].contains(name)) {
            let Some(path) = inherited(name).map(PathBuf::from) else {
                continue;
            };
            if !known.contains(&path) {
                let Some(pem) = read(&path) else {
                    trust.kept.push(name);
                    continue;
                };
                authorities.push(b'\n');
                authorities.extend(pem);
                known.push(path);
            }
            trust.taken_over.push(name);
        }
        if !authorities.is_empty() {
            let path = trust.folder.path().join("upstream.pem");
            fs::write(&path, authorities).context("write authorities of servers")?;
            trust.upstream = Some(path);
        }
        Ok(trust)
    }

    /// Where the sidecar puts its certificates.
    pub(super) fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// Whom servers may be certified by beside those that the system knows.
    pub(super) fn upstream(&self) -> Option<PathBuf> {
        self.upstream.clone()
    }

    /// The sidecar's variables, as the program is to have them. What adds to the usual authorities has to bring
    /// those along that the variable named before.
    pub(super) fn variables(
        &self,
        variables: &[(&'static str, String)],
    ) -> Vec<(&'static str, String)> {
        let changed = variables
            .iter()
            .filter(|(name, _)| !self.kept.contains(name));
        let led = changed.map(|(name, value)| match self.taken_over.contains(name) {
            true => (*name, value.replace("/ca.pem", "/bundle.pem")),
            false => (*name, value.clone()),
        });
        led.collect()
    }
}

/// Authorities in a file; `None` where it is none, or something else.
fn read(path: &Path) -> Option<Vec<u8>> {
    let is_small = fs::metadata(path).is_ok_and(|it| it.is_file() && it.len() <= FILE_BYTES);
    let pem = is_small.then(|| fs::read(path).ok()).flatten()?;
    pem.windows(PEM.len())
        .any(|window| window == PEM)
        .then_some(pem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_that_the_environment_names_are_taken_over_and_other_things_stay() {
        let place = tempfile::tempdir().unwrap();
        let own = place.path().join("own.pem");
        fs::write(
            &own,
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
        )
        .unwrap();
        let inherited = |name: &str| match name {
            "NODE_EXTRA_CA_CERTS" | "GIT_SSL_CAINFO" => Some(own.clone().into_os_string()),
            // requests takes a folder too.
            "REQUESTS_CA_BUNDLE" => Some(place.path().into()),
            _ => None,
        };
        let trust = Trust::gather(None, inherited).unwrap();
        let upstream = fs::read_to_string(trust.upstream().unwrap()).unwrap();
        assert_eq!(upstream.matches("BEGIN CERTIFICATE").count(), 1);
        let variables = [
            "NODE_EXTRA_CA_CERTS",
            "DENO_CERT",
            "REQUESTS_CA_BUNDLE",
            "CURL_CA_BUNDLE",
        ]
        .map(|name| (name, "/x/ca.pem".to_owned()));
        let led = trust.variables(&variables);
        let expected = [
            ("NODE_EXTRA_CA_CERTS", "/x/bundle.pem".to_owned()),
            ("DENO_CERT", "/x/ca.pem".to_owned()),
            ("CURL_CA_BUNDLE", "/x/ca.pem".to_owned()),
        ];
        assert_eq!(led, expected);
    }

    #[test]
    fn what_the_system_trusts_is_not_read_twice() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, "-----BEGIN CERTIFICATE-----").unwrap();
        let inherited = |name: &str| (name != JAVA).then(|| file.path().into());
        let trust = Trust::gather(None, inherited).unwrap();
        assert_eq!(trust.upstream(), None);
        let led = trust.variables(&[("NODE_EXTRA_CA_CERTS", "/x/ca.pem".to_owned())]);
        assert_eq!(led, [("NODE_EXTRA_CA_CERTS", "/x/bundle.pem".to_owned())]);
    }

    #[test]
    fn nothing_named_is_nothing_added_and_the_folder_goes() {
        let trust = Trust::gather(None, |_| None).unwrap();
        assert_eq!(trust.upstream(), None);
        let folder = trust.folder();
        assert!(folder.is_dir());
        drop(trust);
        assert!(!folder.exists());
    }

    #[test]
    fn a_file_that_is_asked_for_has_to_be_there() {
        let error = Trust::gather(Some(Path::new("/nowhere.pem")), |_| None)
            .err()
            .unwrap();
        assert!(
            format!("{error:#}").contains("--upstream-ca /nowhere.pem"),
            "{error:#}"
        );
    }
}
