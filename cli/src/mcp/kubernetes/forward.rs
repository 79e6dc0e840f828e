//! A port of this machine that kubectl forwards to the hub.

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::Child;
use tokio::task::{AbortHandle, spawn};
use tokio::time::timeout;

use super::kubectl::{self, Kubectl, KubectlError, PATIENCE};

/// The service of the hub, and the port of its API.
const WORDS: [&str; 5] = [
    "port-forward",
    "--address",
    "127.0.0.1",
    "service/remora-hub",
    ":8899",
];
/// Longest text that kubectl may print before it says where it listens.
const PREAMBLE_BYTES: u64 = 8 * 1024; // 8 KiB

/// kubectl while it forwards. It ends with this.
pub(super) struct Forward {
    child: Child,
    port: u16,
    drained: [AbortHandle; 2],
}

impl Forward {
    /// Starts kubectl, and waits until it listens.
    pub(super) async fn start(kubectl: &Kubectl) -> Result<Self, KubectlError> {
        let mut child = kubectl.start(&WORDS)?;
        let said = spawn(kubectl::read(child.stderr.take()));
        let mut output = BufReader::new(child.stdout.take().ok_or_else(|| {
            kubectl.unreadable(&WORDS, "nothing, as its output was not to be had")
        })?);
        let Ok(port) = timeout(PATIENCE, listening(&mut output)).await else {
            return Err(kubectl.hangs(&WORDS));
        };
        let Some(port) = port else {
            // It has ended, or it is no kubectl, and then is not waited for.
            let _ = child.start_kill();
            let said = timeout(PATIENCE, said).await;
            return Err(kubectl.failed(&WORDS, &said.ok().and_then(Result::ok).unwrap_or_default()));
        };
        tracing::debug!(port, "kubectl forwards");
        let drained = [
            said.abort_handle(),
            // It prints a line for each connection, and would wait for a reader.
            spawn(async move { kubectl::read(Some(output)).await }).abort_handle(),
        ];
        Ok(Self {
            child,
            port,
            drained,
        })
    }

    /// The port, while kubectl runs.
    pub(super) fn port(&mut self) -> Option<u16> {
        match self.child.try_wait() {
            Ok(None) => Some(self.port),
            Ok(Some(status)) => {
                tracing::debug!(%status, "kubectl forwards no more");
                None
            }
            Err(_) => None,
        }
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.drained.iter().for_each(AbortHandle::abort);
    }
}

/// Reads until kubectl says where it listens; `None` where it ends, or says too much else.
async fn listening(output: &mut (impl AsyncBufRead + Unpin)) -> Option<u16> {
    let mut lines = output.take(PREAMBLE_BYTES).lines();
    loop {
        let line = lines.next_line().await.ok()??;
        if let Some(port) = forwarded(&line) {
            return Some(port);
        }
    }
}

/// The port of `Forwarding from 127.0.0.1:40123 -> 8899`.
fn forwarded(line: &str) -> Option<u16> {
    let (from, _) = line.strip_prefix("Forwarding from ")?.split_once(" -> ")?;
    from.rsplit_once(':')?
        .1
        .parse()
        .ok()
        .filter(|port| *port != 0)
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("Forwarding from 127.0.0.1:40123 -> 8899", Some(40_123); "as it is written")]
    #[test_case("Forwarding from [::1]:40123 -> 8899", Some(40_123); "over ipv6")]
    #[test_case("Handling connection for 40123", None; "another line")]
    #[test_case("Forwarding from 127.0.0.1:0 -> 8899", None; "no port")]
    #[test_case("Forwarding from 127.0.0.1:99999 -> 8899", None; "beyond all ports")]
    fn port_of(line: &str, expected: Option<u16>) {
        assert_eq!(forwarded(line), expected);
    }

    #[tokio::test]
    async fn what_is_printed_before_is_read_over_and_not_for_ever() {
        let mut printed = BufReader::new(&b"warning: x\nForwarding from 127.0.0.1:7 -> 8899\n"[..]);
        assert_eq!(listening(&mut printed).await, Some(7));
        let chatter = "x\n".repeat(10_000) + "Forwarding from 127.0.0.1:7 -> 8899\n";
        let mut printed = BufReader::new(chatter.as_bytes());
        assert_eq!(listening(&mut printed).await, None);
    }
}
