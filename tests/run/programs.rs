//! Programs that are run and recorded.

use std::path::Path;

use crate::support::left_out;

/// Says that it is ready, and ends with 42 at the signal that it is told the name of.
pub const WAITS_FOR_A_SIGNAL: &str = "
import signal, sys, os
signal.signal(getattr(signal, sys.argv[1]), lambda *_: os._exit(42))
print('ready', flush=True)
while True: signal.pause()
";

/// Ends with 5 at SIGTERM, and says how often it was interrupted before.
pub const COUNTS_SIGINT: &str = "
import signal, sys, os
times = 0
def count(*_):
    global times
    times += 1
    print('counted', flush=True)
def tell(*_):
    print(f'interrupted {times} times', flush=True)
    os._exit(5)
signal.signal(signal.SIGINT, count)
signal.signal(signal.SIGTERM, tell)
print('ready', flush=True)
while True: signal.pause()
";

/// A terminal, in which its arguments run. It presses Ctrl-C once, and asks for the end once that was
/// answered; prints the last line, and ends as what ran in it.
pub const TERMINAL: &str = r"
import os, pty, signal, sys
child, terminal = pty.fork()
if child == 0:
    os.execv(sys.argv[1], sys.argv[1:])
said = b''
def until(word):
    global said
    while word not in said:
        try: piece = os.read(terminal, 1024)
        except OSError: piece = b''
        if not piece: break
        said += piece
until(b'ready')
os.write(terminal, b'\x03')
until(b'counted')
os.kill(child, signal.SIGTERM)
until(b'times')
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(said.decode().split('\r\n')[-2])
sys.exit(code)
";

/// Answers with the path; ends at SIGTERM.
pub const NODE_SERVER: &str = "
const server = require('http').createServer((q, s) => s.end(`node says ${q.url}`));
server.listen(Number(process.argv[1]), 'localhost');
process.on('SIGTERM', () => process.exit(0));
";

/// Asks by what Python brings along, and by requests over one session.
pub const PYTHON_CLIENTS: &str = "
import sys, urllib.request, requests
url = f'http://127.0.0.1:{sys.argv[1]}'
assert urllib.request.urlopen(url + '/urllib').read() == b'/urllib'
with requests.Session() as session:
    assert session.get(url + '/requests').text == '/requests'
    assert session.post(url + '/requests', json={'a': 1}).text == '/requests'
";

/// Asks by fetch and by http.
pub const NODE_CLIENTS: &str = "
const url = `http://127.0.0.1:${process.argv[1]}`;
(async () => {
  console.log(await (await fetch(url + '/fetch')).text());
  require('http').get(url + '/http', (response) => response.pipe(process.stdout).on('close', () => {}));
  process.on('exit', () => console.log());
})();
";

/// A Node that honours the variables of proxies; `None`, with one line that says so, where none is installed.
pub fn node_22() -> Option<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let clients =
        std::env::var_os("REMORA_CLIENTS").map_or_else(|| root.join("target/clients"), Into::into);
    let node = std::path::absolute(clients.join("suite/node_modules/node/bin/node")).unwrap();
    if node.is_file() {
        return Some(node.display().to_string());
    }
    left_out("Node 22 is not installed: run mcp/tests/clients/install.sh");
    None
}
