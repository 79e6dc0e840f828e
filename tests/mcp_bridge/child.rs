//! The bridge as a child process, spoken to in lines.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::process::REMORA;
use crate::support::spoken::Spoken;

/// A bridge. It is killed when this is dropped.
pub struct Bridge(Spoken);

impl Bridge {
    pub fn start(hub: &str, more: &[&str]) -> Self {
        let mut command = Command::new(REMORA);
        command.args(["mcp", "--hub", hub]).args(more);
        Self::of(&mut command)
    }

    /// One that is started in another way.
    pub fn of(command: &mut Command) -> Self {
        Self(Spoken::start(command))
    }

    pub fn send(&mut self, message: &Value) {
        self.send_line(&message.to_string());
    }

    pub fn send_line(&mut self, line: &str) {
        self.0.send(line);
    }

    pub fn receive_line(&self) -> String {
        self.0.receive()
    }

    /// The next message. Whatever else stands on standard output is no JSON, and fails.
    pub fn receive(&self) -> Value {
        let message: Value = serde_json::from_str(&self.receive_line()).unwrap();
        assert_eq!(message["jsonrpc"], "2.0", "{message}");
        message
    }

    /// Ends the input; gives the messages that still came, and the exit code.
    pub fn finish(self) -> (Vec<Value>, Option<i32>) {
        let (lines, code) = self.0.finish();
        let messages = lines.iter().map(|line| serde_json::from_str(line).unwrap());
        (messages.collect(), code)
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
