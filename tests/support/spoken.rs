//! A program that is spoken to in lines, over its standard input and output.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Longer than anything here takes, even on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running program. It is killed when this is dropped.
pub struct Spoken {
    child: Child,
    input: Option<ChildStdin>,
    output: Receiver<String>,
}

impl Spoken {
    pub fn start(command: &mut Command) -> Self {
        let mut child = command
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

    pub fn send(&mut self, line: &str) {
        let input = self.input.as_mut().unwrap();
        input.write_all(line.as_bytes()).unwrap();
        input.write_all(b"\n").unwrap();
    }

    pub fn receive(&self) -> String {
        self.receive_within(PATIENCE)
    }

    pub fn receive_within(&self, patience: Duration) -> String {
        self.output
            .recv_timeout(patience)
            .expect("the program writes a line")
    }

    pub fn end_input(&mut self) {
        drop(self.input.take());
    }

    /// Ends the input; gives the lines that still came, and the exit code.
    pub fn finish(mut self) -> (Vec<String>, Option<i32>) {
        self.end_input();
        let mut lines = Vec::new();
        while let Ok(line) = self.output.recv_timeout(PATIENCE) {
            lines.push(line);
        }
        // Its output has ended, so it has as good as ended itself.
        let status = self.child.wait().unwrap();
        (lines, status.code())
    }
}

impl Drop for Spoken {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
