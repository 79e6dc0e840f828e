//! The bridge as a child process, spoken to in lines.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::process::REMORA;

/// Longer than anything here takes, even on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A bridge. It is killed when this is dropped.
pub struct Bridge {
    child: Child,
    input: Option<ChildStdin>,
    output: Receiver<String>,
}

impl Bridge {
    pub fn start(hub: &str, more: &[&str]) -> Self {
        let mut child = Command::new(REMORA)
            .args(["mcp", "--hub", hub])
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, output) = channel();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        std::thread::spawn(move || {
            for line in lines {
                if sender.send(line.unwrap()).is_err() {
                    return;
                }
            }
        });
        Self {
            input: child.stdin.take(),
            child,
            output,
        }
    }

    pub fn send(&mut self, message: &Value) {
        self.send_line(&message.to_string());
    }

    pub fn send_line(&mut self, line: &str) {
        let input = self.input.as_mut().unwrap();
        input.write_all(line.as_bytes()).unwrap();
        input.write_all(b"\n").unwrap();
    }

    pub fn receive_line(&self) -> String {
        self.output
            .recv_timeout(PATIENCE)
            .expect("the bridge writes a line")
    }

    /// The next message. Whatever else stands on standard output is no JSON, and fails.
    pub fn receive(&self) -> Value {
        let message: Value = serde_json::from_str(&self.receive_line()).unwrap();
        assert_eq!(message["jsonrpc"], "2.0", "{message}");
        message
    }

    /// Ends the input; gives the messages that still came, and the exit code.
    pub fn finish(mut self) -> (Vec<Value>, Option<i32>) {
        drop(self.input.take());
        let mut messages = Vec::new();
        while let Ok(line) = self.output.recv_timeout(PATIENCE) {
            messages.push(serde_json::from_str(&line).unwrap());
        }
        // Its output has ended, so it has as good as ended itself.
        let status = self.child.wait().unwrap();
        (messages, status.code())
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A request of the current protocol.
pub fn current(id: Value, method: &str, mut params: Value) -> Value {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

/// A request of the protocol before, which says nothing of itself.
pub fn legacy(id: Value, method: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": {}})
}
