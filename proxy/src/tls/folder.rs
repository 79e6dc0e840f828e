//! The directory that certificates are written to, which may turn out to be somebody else's: nothing is taken out
//! or replaced there but what a sidecar wrote.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::authority;
use super::bundle::read_up_to;

/// Everybody looks into the directories, and reads the files, whatever the mask of the process.
const DIRECTORY_MODE: u32 = 0o755;
const FILE_MODE: u32 = 0o644;

/// What a file is called until it is whole.
const UNFINISHED: &str = "unfinished";

/// What the files with other certificates begin with: by it a later run knows that a sidecar wrote them. Readers of PEM pass
/// over what stands before a certificate (RFC 7468 section 2).
const MARK: &str = "# trusted together with a Remora sidecar\n";

/// Most that one certificate takes up.
const CERTIFICATE_BYTES: u64 = 64 * 1024;

/// Why a directory is not written to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// It cannot be.
    #[error("write {path}")]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// There is something that no sidecar wrote: it would be replaced, or trusted.
    #[error("{path} was not written by a sidecar; name a directory of its own")]
    Foreign {
        /// What is there.
        path: PathBuf,
    },
}

/// A directory that holds nothing of somebody else's in the places that are written to.
pub(super) struct Folder<'a> {
    directory: &'a Path,
}

impl<'a> Folder<'a> {
    /// Makes `directory`, and in it `hashed`, or takes those that an earlier run made: its certificates, which may be
    /// trusted for nothing any more, are taken out of `hashed`. Before that, everything there and every one of
    /// `files` is looked at: if one is not a sidecar's, nothing is touched.
    pub(super) fn take(
        directory: &'a Path,
        files: &[&str],
        hashed: &str,
    ) -> Result<Self, FolderError> {
        make(directory).map_err(|source| failed(directory, source))?;
        let hashed = directory.join(hashed);
        let old = match certificates(&hashed)? {
            Some(old) => old,
            // It is made first: without it, no sidecar wrote the others.
            None => {
                for path in files.iter().map(|file| directory.join(file)) {
                    if path.symlink_metadata().is_ok() {
                        return Err(FolderError::Foreign { path });
                    }
                }
                make(&hashed).map_err(|source| failed(&hashed, source))?;
                Vec::new()
            }
        };
        for path in old {
            fs::remove_file(&path).map_err(|source| failed(&path, source))?;
        }
        Ok(Self { directory })
    }

    /// Puts one certificate, in PEM, into the directory of those that a later run may take out.
    pub(super) fn write_certificate(&self, name: &str, pem: &str) -> Result<(), FolderError> {
        self.write(name, [MARK, pem].concat().as_bytes())
    }

    /// Puts a file in the place of the one that may be there.
    pub(super) fn write(&self, name: &str, content: &[u8]) -> Result<(), FolderError> {
        let unfinished = self.directory.join(UNFINISHED);
        let path = self.directory.join(name);
        replace(&path, &unfinished, content).map_err(|source| failed(&path, source))
    }
}

/// Makes a directory that everybody may look into, unless it is there.
fn make(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    let mut builder = DirBuilder::new();
    builder
        .recursive(true)
        .mode(DIRECTORY_MODE)
        .create(directory)?;
    fs::set_permissions(directory, Permissions::from_mode(DIRECTORY_MODE))
}

/// The certificates of earlier runs in a directory, which holds nothing else; `None` if it is not there.
fn certificates(directory: &Path) -> Result<Option<Vec<PathBuf>>, FolderError> {
    let foreign = |path: &Path| FolderError::Foreign {
        path: path.to_owned(),
    };
    match directory.symlink_metadata() {
        Ok(about) if about.is_dir() => {}
        Ok(_) => return Err(foreign(directory)),
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(err) => return Err(failed(directory, err)),
    }
    let mut found = Vec::new();
    let entries = fs::read_dir(directory).map_err(|source| failed(directory, source))?;
    for entry in entries {
        let path = entry.map_err(|source| failed(directory, source))?.path();
        if !is_of_a_sidecar(&path) {
            return Err(foreign(&path));
        }
        found.push(path);
    }
    Ok(Some(found))
}

/// Whether a file is one certificate that a sidecar wrote, under a name by which OpenSSL looks for it.
fn is_of_a_sidecar(path: &Path) -> bool {
    let is_file = path.symlink_metadata().is_ok_and(|about| about.is_file());
    let name = path.file_name().and_then(OsStr::to_str);
    let parts = name.and_then(|name| name.split_once('.'));
    let is_hash = parts.is_some_and(|(hash, place)| {
        u32::from_str_radix(hash, 16).is_ok() && place.parse::<usize>().is_ok()
    });
    if !is_file || !is_hash {
        return false;
    }
    let content = read_up_to(path, CERTIFICATE_BYTES).unwrap_or_default();
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&content).collect();
    // An older sidecar wrote its authority alone, and without the mark.
    let is_ours =
        |one: &CertificateDer<'_>| content.starts_with(MARK.as_bytes()) || authority::is_one(one);
    certificates.is_ok_and(|them| matches!(&them[..], [one] if is_ours(one)))
}

fn replace(path: &Path, unfinished: &Path, content: &[u8]) -> io::Result<()> {
    // One that a crash left behind.
    match fs::remove_file(unfinished) {
        Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(err),
        _ => {}
    }
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(unfinished)?;
    file.set_permissions(Permissions::from_mode(FILE_MODE))?;
    file.write_all(content)?;
    fs::rename(unfinished, path)
}

fn failed(path: &Path, source: io::Error) -> FolderError {
    FolderError::Write {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests;
