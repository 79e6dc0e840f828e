use std::os::unix::fs::symlink;

use super::super::authority::Authority;
use super::super::bundle::{Bundle, BundleError};
use super::*;

fn write(directory: &Path) -> Result<Bundle, BundleError> {
    Bundle::write(directory, &Authority::new().unwrap(), &[])
}

/// What there is in the way, if anything.
fn refused(directory: &Path) -> PathBuf {
    match write(directory).unwrap_err().source {
        FolderError::Foreign { path } => path,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_directory_with_anything_else_in_it_is_refused_and_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let certs = directory.path().join("certs");
    fs::create_dir(&certs).unwrap();
    let anybody = rcgen::generate_simple_self_signed(["corp.example".to_owned()]).unwrap();
    for name in ["corp.pem", "0a1b2c3d.0"] {
        let path = certs.join(name);
        fs::write(&path, anybody.cert.pem()).unwrap();
        assert_eq!(refused(directory.path()), path);
        let there: Vec<_> = fs::read_dir(directory.path()).unwrap().collect();
        assert_eq!(there.len(), 1, "{there:?}");
        assert_eq!(fs::read_to_string(&path).unwrap(), anybody.cert.pem());
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn the_authority_of_an_earlier_run_is_taken_out() {
    let directory = tempfile::tempdir().unwrap();
    let certs = directory.path().join("certs");
    let names = || -> Vec<_> {
        let entries = fs::read_dir(&certs).unwrap();
        entries.map(|entry| entry.unwrap().file_name()).collect()
    };
    write(directory.path()).unwrap();
    let before = names();
    write(directory.path()).unwrap();
    let after = names();
    assert_eq!((before.len(), after.len()), (1, 1));
    assert_ne!(before, after);
}

#[test]
fn a_link_is_not_followed() {
    let directory = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let certs = directory.path().join("certs");
    symlink(elsewhere.path(), &certs).unwrap();
    assert_eq!(refused(directory.path()), certs);
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
}

#[test]
fn a_file_of_somebody_elses_is_not_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ca.pem");
    fs::write(&path, "mine").unwrap();
    assert_eq!(refused(directory.path()), path);
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
}

#[test]
fn everybody_may_read_what_is_written() {
    let above = tempfile::tempdir().unwrap();
    let directory = above.path().join("ca");
    write(&directory).unwrap();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory), 0o755);
    assert_eq!(mode(&directory.join("certs")), 0o755);
    assert_eq!(mode(&directory.join("bundle.pem")), 0o644);
}
