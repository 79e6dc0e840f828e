//! WebSockets and event streams of real programs: each message once per leg, as they meant it.

use std::path::PathBuf;

use remora_proxy::keys::RedactionKey;
use remora_proxy::redact::Redaction;
use remora_proxy::seal::Sealer;
use remora_store::block::{Block, Codec, Origin};
use remora_store::call::{MessageKind, Stream, StreamMessage};
use test_case::test_case;

use super::*;

/// Where `proxy/tests/clients/install.sh` put the programs; `None`, and said in a line, where they are
/// missing, which is a failure with `REMORA_REQUIRE=all`.
pub(super) fn programs() -> Option<PathBuf> {
    let clients = std::env::var_os("REMORA_CLIENTS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/clients")),
        PathBuf::from,
    );
    let folder = clients.join("streams");
    if folder.join("python/bin/python").exists() && folder.join("node/node_modules/ws").exists() {
        return Some(folder);
    }
    assert!(
        std::env::var_os("REMORA_REQUIRE").is_none_or(|required| required != "all"),
        "REMORA_REQUIRE=all, and proxy/tests/clients/install.sh was not run"
    );
    eprintln!("skipped: proxy/tests/clients/install.sh was not run");
    None
}

/// How a program in that language is run: the program and its words.
pub(super) fn interpreter(
    folder: &std::path::Path,
    language: &str,
    program: &str,
) -> (String, Vec<String>) {
    let folder = folder.display();
    match language {
        "node" => (
            "env".to_owned(),
            vec![
                format!("NODE_PATH={folder}/node/node_modules"),
                "node".to_owned(),
                "-e".to_owned(),
                program.to_owned(),
            ],
        ),
        _ => (
            format!("{folder}/python/bin/python"),
            vec!["-c".to_owned(), program.to_owned()],
        ),
    }
}

pub(super) fn words(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

/// Messages that each client sends and gets back.
const MESSAGES: u8 = 20;

const NODE_ECHO: &str = "
const { WebSocketServer } = require('ws');
new WebSocketServer({ host: '0.0.0.0', port: 9001, perMessageDeflate: { threshold: 0 } })
  .on('connection', (c) => c.on('message', (m, binary) => c.send(m, { binary })));
";

const PYTHON_ECHO: &str = "
from websockets.sync.server import serve
def echo(c):
    for m in c: c.send(m)
serve(echo, '0.0.0.0', 9001).serve_forever()
";

const NODE_CLIENT: &str = "
const WebSocket = require('ws');
const c = new WebSocket('ws://10.77.0.2:9001/chat', { perMessageDeflate: { threshold: 0 } });
let n = 0;
const say = () => c.send(n % 5 == 4 ? Buffer.alloc(300, n) : `{\"order\":${n},\"item\":\"something that was ordered\"}`);
c.on('open', say);
c.on('message', () => { n += 1; if (n < 20) say(); else c.ping('still there?'); });
c.on('pong', () => c.close(1000, 'done'));
c.on('close', (code) => console.log(n, code));
";

const PYTHON_CLIENT: &str = "
from websockets.sync.client import connect
with connect('ws://10.77.0.2:9001/chat') as c:
    for n in range(20):
        m = bytes([n]) * 300 if n % 5 == 4 else '{\"order\":%d,\"item\":\"something that was ordered\"}' % n
        c.send(m)
        assert c.recv() == m
    c.ping('still there?').wait(10)
    c.close(1000, 'done')
    print(20, c.close_code)
";

/// The calls as they leave the sidecar: inflated, redacted, sealed.
pub(super) fn sealed(call: Call) -> Call {
    let key = RedactionKey::new("k".to_owned(), &[7; 32]);
    let redaction = Redaction::default();
    let mut sealer = Sealer::new(Origin::default(), key, &redaction, 64 * 1024);
    let mut outcome = sealer.seal(vec![call], None, Vec::new(), Codec::Raw);
    let block = Block::open(outcome.blocks.remove(0).bytes).unwrap();
    block.calls().unwrap().remove(0)
}

fn of_kind(stream: &Stream, from: Side, kinds: &[MessageKind]) -> Vec<StreamMessage> {
    let wanted = |message: &&StreamMessage| message.from == from && kinds.contains(&message.kind);
    stream.messages.iter().filter(wanted).cloned().collect()
}

#[test_case("node", NODE_ECHO, "python", PYTHON_CLIENT; "from Python to Node")]
#[test_case("python", PYTHON_ECHO, "node", NODE_CLIENT; "from Node to Python")]
fn each_message_of_a_websocket_is_recorded_once_per_leg(
    server: &str,
    echo: &str,
    client: &str,
    program: &str,
) {
    let Some(folder) = programs().filter(|_| netns::available(&["ip", "nft", "ss"])) else {
        return;
    };
    let mut pods = Pods::start();
    let (server, server_words) = interpreter(&folder, server, echo);
    let _server = serve(&pods.right, 9001, &server, &words(&server_words));
    let (client, client_words) = interpreter(&folder, client, program);
    let said = pods.left.run(&client, &words(&client_words));
    let text = String::from_utf8_lossy(&said.stdout);
    assert_eq!(text.trim(), "20 1000", "{said:?}");

    let expected: Vec<(MessageKind, Vec<u8>)> = (0..MESSAGES)
        .map(|n| match n % 5 {
            4 => (MessageKind::Binary, vec![n; 300]),
            _ => {
                let text = format!(r#"{{"order":{n},"item":"something that was ordered"}}"#);
                (MessageKind::Text, text.into_bytes())
            }
        })
        .collect();
    for sidecar in [&mut pods.caller, &mut pods.callee] {
        let call = sealed(sidecar.call("the websocket", path_is("/chat")));
        assert_eq!((call.protocol, call.error), (Protocol::WebSocket, None));
        assert!(call.join_digest.is_some() && call.phases.closed.is_some());
        let stream = call.stream.as_deref().unwrap();
        let counts = (stream.client_messages, stream.server_messages);
        assert_eq!(counts, (MESSAGES.into(), MESSAGES.into()));
        for side in [Side::Client, Side::Server] {
            let data = of_kind(stream, side, &[MessageKind::Text, MessageKind::Binary]);
            assert!(
                data.iter()
                    .all(|message| message.compressed && message.decoded)
            );
            let told: Vec<_> = data
                .into_iter()
                .map(|message| (message.kind, message.payload.to_vec()))
                .collect();
            assert_eq!(told, expected, "of the {side}");
            let close = of_kind(stream, side, &[MessageKind::Close]);
            assert_eq!(close[0].payload[..2], [0x03, 0xe8]);
        }
        let ping = of_kind(stream, Side::Client, &[MessageKind::Ping]);
        assert_eq!(ping[0].payload, "still there?");
        let pong = of_kind(stream, Side::Server, &[MessageKind::Pong]);
        assert_eq!(pong[0].payload, "still there?");
    }
    let more = [pods.caller.stop(), pods.callee.stop()].concat();
    assert!(more.is_empty(), "recorded more than once: {more:?}");
}

/// Sends three events and a comment, each in a chunk of its own, and goes on holding the line.
const EVENT_SERVER: &str = r"
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_GET(self):
        self.send_response(200)
        self.send_header('Content-Type', 'text/event-stream')
        self.send_header('Transfer-Encoding', 'chunked')
        self.end_headers()
        for piece in [b'data: 1\n\n', b': comment\n\n', b'event: x\r\ndata: 2\r\n\r\n', b'data: 3\n\n']:
            self.wfile.write(b'%x\r\n%s\r\n' % (len(piece), piece))
        if self.path == '/finite':
            return self.wfile.write(b'0\r\n\r\n')
        self.rfile.read(1)
    def log_message(self, *words):
        pass
http.server.ThreadingHTTPServer(('0.0.0.0', 9002), Handler).serve_forever()
";

const EVENT_CLIENT: &str = "
const { EventSource } = require('eventsource');
const source = new EventSource('http://10.77.0.2:9002/events');
const got = (event) => { console.log(event.data); if (event.data == '3') source.close(); };
source.onmessage = got;
source.addEventListener('x', got);
";

#[test]
fn events_are_counted_as_a_client_gets_them() {
    let Some(folder) = programs().filter(|_| netns::available(PROGRAMS)) else {
        return;
    };
    let mut pods = Pods::start();
    let _server = serve(&pods.right, 9002, "python3", &["-c", EVENT_SERVER]);
    let (client, client_words) = interpreter(&folder, "node", EVENT_CLIENT);
    let said = pods.left.run(&client, &words(&client_words));
    assert_eq!(
        String::from_utf8_lossy(&said.stdout),
        "1\n2\n3\n",
        "{said:?}"
    );
    let said = pods.curl(&["--no-buffer", &url(RIGHT.0, 9002, "/finite")]);
    assert!(said.stdout.ends_with(b"data: 3\n\n"), "{said:?}");
    for (path, error) in [
        ("/events", Some(CallError::ClientClosed)),
        ("/finite", None),
    ] {
        for sidecar in [&mut pods.caller, &mut pods.callee] {
            let call = sealed(sidecar.call(path, path_is(path)));
            assert_eq!((call.protocol, call.error), (Protocol::Http1, error));
            let stream = call.stream.as_deref().unwrap();
            assert_eq!((stream.client_messages, stream.server_messages), (0, 3));
            let sizes: Vec<u64> = stream.messages.iter().map(|event| event.size).collect();
            assert_eq!(sizes, [9, 32, 9], "they add up to places in the body");
            assert!(call.response.body.ends_with(b"data: 3\n\n"));
            let times = stream.messages.iter().map(|event| event.at);
            assert!(times.is_sorted());
        }
    }
}
