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

/// Ends with 5 at SIGTERM, and says then how often it was interrupted; to the pipe that its argument names.
pub const COUNTS_SIGINT: &str = "
import signal, sys, os
pipe = int(sys.argv[1])
times = 0
def count(*_):
    global times
    times += 1
    os.write(pipe, b'counted')
def tell(*_):
    os.write(pipe, b'interrupted %d times' % times)
    os._exit(5)
signal.signal(signal.SIGINT, count)
signal.signal(signal.SIGTERM, tell)
os.write(pipe, b'ready')
while True: signal.pause()
";

/// A terminal, in which its arguments run, with the number of a pipe behind them. It presses Ctrl-C once, and
/// asks for the end once that was answered; prints what was said last, and ends as what ran in it.
pub const TERMINAL: &str = r"
import os, pty, signal, sys
ours, theirs = os.pipe()
os.set_inheritable(theirs, True)
child, terminal = pty.fork()
if child == 0:
    os.execv(sys.argv[1], sys.argv[1:] + [str(theirs)])
os.close(theirs)
def hear(): return os.read(ours, 1024).decode()
assert hear() == 'ready'
os.write(terminal, b'\x03')
assert hear() == 'counted'
os.kill(child, signal.SIGTERM)
print(hear())
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
";

/// Has a process of its own, started by another thread, hold a connection until the input ends.
pub const ASKS_DIRECTLY: &str = r#"
import subprocess, sys, threading
holds = """
import socket, sys
with socket.create_connection(('127.0.0.1', int(sys.argv[1]))):
    sys.stdin.read()
"""
run = lambda: subprocess.run([sys.executable, '-c', holds, sys.argv[1]], check=True)
thread = threading.Thread(target=run)
thread.start()
thread.join()
"#;

/// Answers with the path; ends at SIGTERM.
pub const NODE_SERVER: &str = "
const server = require('http').createServer((q, s) => s.end(`node says ${q.url}`));
server.listen(Number(process.argv[1]), 'localhost');
process.on('SIGTERM', () => process.exit(0));
";

/// Asks by what Python brings along, by requests over one session, and by httpx.
pub const PYTHON_CLIENTS: &str = "
import sys, urllib.request, httpx, requests
url = f'http://127.0.0.1:{sys.argv[1]}'
assert urllib.request.urlopen(url + '/urllib').read() == b'/urllib'
with requests.Session() as session:
    assert session.get(url + '/requests').text == '/requests'
    assert session.post(url + '/requests', json={'a': 1}).text == '/requests'
assert httpx.get(url + '/httpx').text == '/httpx'
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

/// Asks by requests and by httpx.
pub const HTTPS_IN_PYTHON: &str = "
import sys, httpx, requests
assert requests.get(sys.argv[1] + '/one').text == 'secret'
assert httpx.get(sys.argv[1] + '/two').text == 'secret'
";

/// Asks by fetch and by https.
pub const HTTPS_IN_NODE: &str = "
const url = process.argv[1];
(async () => {
  if (await (await fetch(url + '/one')).text() !== 'secret') process.exit(1);
  require('https').get(url + '/two', (response) => response.resume().on('end', () => process.exit(0)));
})();
";

/// Asks, once it was told to, and again where it gets 503.
pub const RETRIES: &str = "
import sys, requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry
sys.stdin.readline()
again = HTTPAdapter(max_retries=Retry(total=3, status_forcelist=[503], backoff_factor=0))
with requests.Session() as session:
    session.mount('http://', again)
    session.mount('https://', again)
    assert session.get(sys.argv[1]).status_code == 200
";
