//! Crash mode: a sidecar that crashed twice within a minute starts as a plain relay.
//!
//! A run leaves a mark in the spool directory when it starts and takes it away when it ends in
//! good order; the run that finds the mark of another knows that it crashed. Without a spool
//! directory nothing outlives a crash, and there is no crash mode.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Crashes after which recording is off.
const CRASHES: usize = 2;

/// How far back crashes count.
const WINDOW: Duration = Duration::from_secs(60);

/// Name of the file in the spool directory: one line per crash, in seconds since the Unix epoch,
/// and a line `running`.
const FILE: &str = "runs";
const RUNNING: &str = "running";

/// The mark of this run.
#[derive(Debug)]
pub(crate) struct Run {
    path: PathBuf,
    crashes: Vec<Duration>,
}

impl Run {
    /// Leaves the mark in `directory`, and counts the crashes before.
    pub(crate) fn begin(directory: &Path) -> io::Result<Self> {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self::begin_at(directory, now)
    }

    fn begin_at(directory: &Path, now: Duration) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        let path = directory.join(FILE);
        let left = match fs::read(&path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(err) if err.kind() == io::ErrorKind::NotFound => String::new(),
            Err(err) => return Err(err),
        };
        let mut crashes: Vec<Duration> = left
            .lines()
            .filter_map(|line| line.parse().ok().map(Duration::from_secs))
            .filter(|crash| *crash <= now && now - *crash <= WINDOW)
            .collect();
        if left.lines().any(|line| line == RUNNING) {
            crashes.push(now);
        }
        let run = Self { path, crashes };
        run.write()?;
        Ok(run)
    }

    /// Whether the sidecar crashed so often that it should only relay.
    pub(crate) fn keeps_crashing(&self) -> bool {
        self.crashes.len() >= CRASHES
    }

    /// Takes the mark away: this run ends in good order.
    pub(crate) fn end(self) {
        if let Err(err) = fs::remove_file(&self.path) {
            tracing::warn!(
                error = %err,
                file = %self.path.display(),
                "cannot remove the mark of this run, the next one will take it for a crash"
            );
        }
    }

    /// A torn file would count a crash too many or too few, no more; it still is replaced whole.
    fn write(&self) -> io::Result<()> {
        let mut text = String::new();
        for crash in &self.crashes {
            text.push_str(&format!("{}\n", crash.as_secs()));
        }
        text.push_str(RUNNING);
        text.push('\n');
        let new = self.path.with_extension("new");
        fs::write(&new, text)?;
        fs::rename(&new, &self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(directory: &Path, at_s: u64) -> Run {
        Run::begin_at(directory, Duration::from_secs(at_s)).unwrap()
    }

    #[test]
    fn two_crashes_within_a_minute_turn_recording_off() {
        let directory = tempfile::tempdir().unwrap();
        assert!(!begin(directory.path(), 1000).keeps_crashing());
        assert!(!begin(directory.path(), 1010).keeps_crashing());
        assert!(begin(directory.path(), 1020).keeps_crashing());
    }

    #[test]
    fn crashes_far_apart_do_not_count_together() {
        let directory = tempfile::tempdir().unwrap();
        begin(directory.path(), 1000);
        begin(directory.path(), 1010);
        assert!(!begin(directory.path(), 1100).keeps_crashing());
    }

    #[test]
    fn an_end_in_good_order_is_no_crash() {
        let directory = tempfile::tempdir().unwrap();
        for at_s in 1000..1005 {
            let run = begin(directory.path(), at_s);
            assert!(!run.keeps_crashing());
            run.end();
        }
    }

    #[test]
    fn a_damaged_file_is_no_reason_not_to_start() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(FILE), b"\xff\xfe\n99999999999\n-3\n").unwrap();
        assert!(!begin(directory.path(), 1000).keeps_crashing());
    }
}
