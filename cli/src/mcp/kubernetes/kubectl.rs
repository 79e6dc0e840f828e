//! kubectl, run within bounds.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// How long kubectl may take for what is no more than a question.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);
/// Longest output that is read of it.
const OUTPUT_BYTES: u64 = 64 * 1024; // 64 KiB
/// Longest part of what it complains of that is passed on.
const SAID_CHARS: usize = 500;

/// The program, and where it is to look.
#[derive(Debug, Clone)]
pub(super) struct Kubectl {
    pub(super) program: PathBuf,
    pub(super) namespace: String,
    pub(super) context: Option<String>,
}

/// kubectl did not do as it was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum KubectlError {
    #[error(
        "there is no program {}: install kubectl, or say where it is with --kubectl PROGRAM",
        .0.display()
    )]
    Missing(PathBuf),
    #[error("start `{command}`: {source}")]
    Start { command: String, source: io::Error },
    #[error(
        "`{command}` had not answered within {} s. Run it in a terminal: if it asks for a login, log in there; if it hangs \
         there too, the cluster is not reached (--context names another)",
        PATIENCE.as_secs()
    )]
    Hangs { command: String },
    #[error("`{command}` failed: {said}{}", advice(.said))]
    Failed { command: String, said: String },
    #[error("`{command}` printed {what}; is --kubectl the program kubectl, 1.24 or later?")]
    Unreadable { command: String, what: &'static str },
}

impl Kubectl {
    /// Starts it, with its output to be read. It ends when the child is dropped.
    pub(super) fn start(&self, words: &[&str]) -> Result<Child, KubectlError> {
        Command::new(&self.program)
            .args(self.arguments(words))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|source| match source.kind() {
                io::ErrorKind::NotFound => KubectlError::Missing(self.program.clone()),
                _ => KubectlError::Start {
                    command: self.spoken(words),
                    source,
                },
            })
    }

    /// Runs it to its end; gives what it printed.
    pub(super) async fn run(&self, words: &[&str]) -> Result<Vec<u8>, KubectlError> {
        let mut child = self.start(words)?;
        let (output, said) = (child.stdout.take(), child.stderr.take());
        let ended = timeout(PATIENCE, async {
            tokio::join!(read(output), read(said), child.wait())
        });
        let Ok((output, said, status)) = ended.await else {
            return Err(self.hangs(words));
        };
        match status {
            Ok(status) if status.success() => Ok(output),
            Ok(_) => Err(self.failed(words, &said)),
            Err(source) => Err(KubectlError::Start {
                command: self.spoken(words),
                source,
            }),
        }
    }

    pub(super) fn hangs(&self, words: &[&str]) -> KubectlError {
        let command = self.spoken(words);
        KubectlError::Hangs { command }
    }

    pub(super) fn failed(&self, words: &[&str], said: &[u8]) -> KubectlError {
        let said = String::from_utf8_lossy(said);
        let lines: Vec<&str> = said
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        let said = lines.join("; ");
        KubectlError::Failed {
            command: self.spoken(words),
            said: match said.as_str() {
                "" => "it says nothing of why".to_owned(),
                said => said
                    .chars()
                    .filter(|c| !c.is_control())
                    .take(SAID_CHARS)
                    .collect(),
            },
        }
    }

    pub(super) fn unreadable(&self, words: &[&str], what: &'static str) -> KubectlError {
        let command = self.spoken(words);
        KubectlError::Unreadable { command, what }
    }

    fn arguments(&self, words: &[&str]) -> Vec<OsString> {
        let words = words.iter().map(|word| (*word).to_owned());
        let namespace = format!("--namespace={}", self.namespace);
        let context = self
            .context
            .iter()
            .map(|context| format!("--context={context}"));
        words
            .chain([namespace])
            .chain(context)
            .map(OsString::from)
            .collect()
    }

    /// The command as somebody may type it.
    fn spoken(&self, words: &[&str]) -> String {
        let arguments = self.arguments(words);
        let words = arguments
            .iter()
            .map(|word| word.to_string_lossy().into_owned());
        let program = self.program.display().to_string();
        std::iter::once(program)
            .chain(words)
            .collect::<Vec<_>>()
            .join(" ")
    }
}

/// Reads up to the bound, and then on without keeping it, so that the writer never waits.
pub(super) async fn read(from: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut kept = Vec::new();
    if let Some(mut from) = from {
        // What can be read no further has been read.
        let _ = (&mut from).take(OUTPUT_BYTES).read_to_end(&mut kept).await;
        let _ = tokio::io::copy(&mut from, &mut tokio::io::sink()).await;
    }
    kept
}

/// What to do about what kubectl complains of.
fn advice(said: &str) -> &'static str {
    let says = |part: &str| said.contains(part);
    if says("serviceaccounts") && says("not found") {
        ". The chart makes the account remora-reader where its value `readers` names namespaces, and remora-body-reader where \
         `bodyReaders` does; --service-account names another, and --namespace where it and the hub are"
    } else if says("services") && says("not found") {
        ". Is the hub in another namespace (--namespace), or another cluster (--context)?"
    } else if says("forbidden") {
        ". Whoever kubectl is here needs the rights to create serviceaccounts/token and pods/portforward, and to get services and \
         pods, in the hub's namespace"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    /// A shell in the place of kubectl.
    fn shell() -> Kubectl {
        Kubectl {
            program: PathBuf::from("/bin/sh"),
            namespace: "remora".to_owned(),
            context: Some("work".to_owned()),
        }
    }

    // Time passes as soon as there is nothing to do but wait.
    #[tokio::test(start_paused = true)]
    async fn what_hangs_is_given_up_and_named() {
        let hangs = shell().run(&["-c", "exec sleep 60"]).await.unwrap_err();
        let said = hangs.to_string();
        let command = "`/bin/sh -c exec sleep 60 --namespace=remora --context=work`";
        assert!(
            said.starts_with(command) && said.contains("within 15 s"),
            "{said}"
        );
    }

    #[tokio::test]
    async fn output_beyond_the_bound_is_read_and_not_kept() {
        let words = ["-c", "yes | head -c 1000000"];
        assert_eq!(
            shell().run(&words).await.unwrap().len() as u64,
            OUTPUT_BYTES
        );
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named() {
        let kubectl = Kubectl {
            program: PathBuf::from("/nonexistent/kubectl"),
            ..shell()
        };
        let said = kubectl.run(&["version"]).await.unwrap_err().to_string();
        assert!(
            said.contains("/nonexistent/kubectl: install kubectl"),
            "{said}"
        );
    }

    #[test_case("echo 'error: serviceaccounts \"x\" not found' >&2; exit 1", "bodyReaders"; "no such account")]
    #[test_case("echo 'error: services \"remora-hub\" not found' >&2; exit 1", "--namespace"; "no hub")]
    #[test_case("echo 'error: pods is forbidden: User \"x\"' >&2; exit 1", "pods/portforward"; "no right")]
    #[test_case("printf 'one\\n\\n \\033[31mtwo\\n' >&2; exit 3", "failed: one; [31mtwo"; "several lines and colours")]
    #[test_case("exit 1", "it says nothing of why"; "nothing")]
    #[tokio::test]
    async fn what_it_complains_of_is_passed_on_with_what_to_do(script: &str, expected: &str) {
        let said = shell().run(&["-c", script]).await.unwrap_err().to_string();
        assert!(said.contains(expected) && !said.contains('\n'), "{said}");
    }
}
