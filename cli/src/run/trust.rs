//! Whom a program trusts whose TLS is looked into: with each variable those that it led to before, and its sidecar.
//!
//! The certificates lie in a folder for the time of the run. The key of the authority is in no file.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use remora_proxy::tls::{Bundle, VARIABLES};
use tempfile::TempDir;

/// What shows that a file holds authorities.
const PEM: &[u8] = b"-----BEGIN CERTIFICATE-----";
/// Largest file of authorities that is read, in bytes.
const FILE_BYTES: u64 = 4 * 1024 * 1024;
/// The variable that leads to no such file.
const JAVA: &str = "JAVA_TOOL_OPTIONS";
/// Variables that the clients of another read too, where that one is not set. It is set from now on.
const INSTEAD: [(&str, &[&str]); 3] = [
    ("REQUESTS_CA_BUNDLE", &["CURL_CA_BUNDLE"]),
    ("PIP_CERT", &["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"]),
    ("AWS_CA_BUNDLE", &["REQUESTS_CA_BUNDLE"]),
];

/// The folder, and what was found in the environment.
pub(super) struct Trust {
    folder: TempDir,
    /// What variables lead to, where that is a file of authorities.
    named: Vec<Named>,
    /// Variables that lead to something else: they stay as they are.
    kept: Vec<&'static str>,
}

/// A file of authorities.
struct Named {
    variable: &'static str,
    path: PathBuf,
    pem: Vec<u8>,
}

impl Trust {
    /// Makes the folder, and reads what the environment names. Nothing is named by an empty variable, which clients
    /// take for unset.
    pub(super) fn gather(inherited: impl Fn(&str) -> Option<OsString>) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("remora-").tempdir();
        let mut trust = Self {
            folder: folder.context("make a folder for certificates")?,
            named: Vec::new(),
            kept: Vec::new(),
        };
        let variables = VARIABLES.iter().map(|it| it.name);
        for variable in variables.filter(|name| *name != JAVA) {
            let instead = INSTEAD.iter().find(|(name, _)| *name == variable);
            let instead = instead.map_or(&[][..], |(_, others)| *others);
            let mut names = std::iter::once(&variable).chain(instead);
            let named = names.find_map(|name| inherited(name).filter(|value| !value.is_empty()));
            let Some(path) = named.map(PathBuf::from) else {
                continue;
            };
            match read(&path) {
                Some(pem) => trust.named.push(Named {
                    variable,
                    path,
                    pem,
                }),
                None => trust.kept.push(variable),
            }
        }
        Ok(trust)
    }

    /// Where the sidecar puts its certificates.
    pub(super) fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// Files of authorities by which the program trusts servers, with whichever variable.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = self.named.iter().map(|it| it.path.clone()).collect();
        files.sort();
        files.dedup();
        files
    }

    /// The sidecar's variables, as the program is to have them: one that led to authorities leads to those and the
    /// sidecar's.
    pub(super) fn variables(&self, bundle: &Bundle) -> anyhow::Result<Vec<(&'static str, String)>> {
        let own = bundle.authority();
        let own = fs::read(&own).with_context(|| format!("read {}", own.display()))?;
        let mut led = Vec::new();
        for (name, value) in bundle.variables() {
            if self.kept.contains(&name) {
                continue;
            }
            let value = match self.named.iter().find(|it| it.variable == name) {
                Some(named) => self.write(named, &own)?,
                None => value,
            };
            led.push((name, value));
        }
        Ok(led)
    }

    /// Writes the authorities of a variable and the sidecar's `own`; gives the path.
    fn write(&self, named: &Named, own: &[u8]) -> anyhow::Result<String> {
        let path = self.folder.path().join(format!("{}.pem", named.variable));
        let all = [&named.pem, &b"\n"[..], own].concat();
        fs::write(&path, all).with_context(|| format!("write {}", path.display()))?;
        Ok(path.to_string_lossy().into_owned())
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

    const AUTHORITY: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----";

    /// What the environment says, and what it leads to.
    struct Place {
        folder: TempDir,
        file: PathBuf,
    }

    impl Place {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("own.pem");
            fs::write(&file, AUTHORITY).unwrap();
            Self { folder, file }
        }

        /// The variables that are named lead to the file.
        fn trust(&self, names: &[&str]) -> Trust {
            let inherited = |name: &str| match name {
                // requests takes a folder too.
                "PIP_CERT" => Some(self.folder.path().into()),
                name => names.contains(&name).then(|| self.file.clone().into()),
            };
            Trust::gather(inherited).unwrap()
        }
    }

    fn variables_of(trust: &Trust) -> Vec<&'static str> {
        trust.named.iter().map(|it| it.variable).collect()
    }

    #[test]
    fn authorities_that_a_variable_leads_to_are_known_and_other_things_stay() {
        let place = Place::new();
        let trust = place.trust(&["NODE_EXTRA_CA_CERTS", "GIT_SSL_CAINFO", JAVA]);
        assert_eq!(
            variables_of(&trust),
            ["GIT_SSL_CAINFO", "NODE_EXTRA_CA_CERTS"]
        );
        assert_eq!(trust.files(), [place.file]);
        assert_eq!(trust.kept, ["PIP_CERT"]);
    }

    #[test]
    fn a_client_that_reads_another_variable_finds_the_same_in_its_own() {
        let place = Place::new();
        let requests = place.trust(&["CURL_CA_BUNDLE"]);
        assert_eq!(
            variables_of(&requests),
            ["CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"]
        );
        let aws = place.trust(&["REQUESTS_CA_BUNDLE"]);
        assert_eq!(variables_of(&aws), ["REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE"]);
    }

    #[test]
    fn an_empty_variable_names_nothing_and_hides_nothing() {
        let place = Place::new();
        let trust = Trust::gather(|name| match name {
            "SSL_CERT_FILE" | "CURL_CA_BUNDLE" | "PIP_CERT" => Some(OsString::new()),
            "REQUESTS_CA_BUNDLE" => Some(place.file.clone().into()),
            _ => None,
        });
        let trust = trust.unwrap();
        assert_eq!(trust.kept, Vec::<&str>::new());
        let mut named = variables_of(&trust);
        named.sort_unstable();
        assert_eq!(named, ["AWS_CA_BUNDLE", "PIP_CERT", "REQUESTS_CA_BUNDLE"]);
    }

    #[test]
    fn nothing_named_is_nothing_known_and_the_folder_goes() {
        let trust = Trust::gather(|_| None).unwrap();
        assert_eq!(trust.files(), Vec::<PathBuf>::new());
        let folder = trust.folder();
        assert!(folder.is_dir());
        drop(trust);
        assert!(!folder.exists());
    }
}
