//! Real programs under real redirection: every call is recorded once per leg, and the programs
//! notice nothing.

use std::process::Command;

use serde_json::Value;

use crate::support::eventually;
use crate::support::namespaces::{Host, Lan, TOKEN};
use crate::support::process::Running;

pub const HTTP_SERVER: &str = r#"
import http.server, socket
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self):
        size = int(self.headers.get("Content-Length", 0))
        body = b"you sent " + self.rfile.read(size) + b" to " + self.path.encode()
        self.send_response(404 if "missing" in self.path else 200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Peer", self.client_address[0])
        self.end_headers()
        self.wfile.write(body)
    do_GET = do_POST = answer
class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
Server(("::", 8080), Handler).serve_forever()
"#;

/// Says hello before it hears anything, as mail servers do, and echoes one line.
const SPEAKS_FIRST: &str = r#"
import socketserver
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(b"220 hello\r\n")
        self.wfile.write(b"250 " + self.rfile.readline())
socketserver.ThreadingTCPServer(("0.0.0.0", 2525), Handler).serve_forever()
"#;

const URLLIB_CLIENT: &str = r#"
import sys, urllib.request
request = urllib.request.Request(sys.argv[1], data=b"from python", method="POST")
print(urllib.request.urlopen(request).read().decode())
"#;

const LISTENING_CLIENT: &str = r#"
import socket, sys
peer = socket.create_connection((sys.argv[1], 2525))
stream = peer.makefile("rwb", buffering=0)
print(stream.readline().decode().strip())
stream.write(b"noop\r\n")
print(stream.readline().decode().strip())
"#;

/// What the hub must have once per leg: method, path, status, request body, response body.
type Expected = (&'static str, String, u64, &'static str, String);

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_real_programs_are_recorded_once_per_leg() {
    let Some(mut lan) = Lan::try_new() else {
        return;
    };
    let _sidecars = start_everything(&mut lan).await;
    let mut expected = Vec::new();
    for address in [Host::B.ipv4(), format!("[{}]", Host::B.ipv6())] {
        expected.extend(call_from_programs(&lan, &address));
    }
    listen_first(&lan);

    // Both legs of each call, and of the connection to the server that speaks first.
    let legs = (expected.len() + 1) * 2;
    let calls = eventually("all legs are stored", || async {
        stored(&lan).filter(|calls| calls.len() >= legs)
    })
    .await;
    for wanted in &expected {
        for leg in ["outbound", "inbound"] {
            check_leg(&calls, leg, wanted);
        }
    }
    check_opaque_legs(&calls);
    assert_eq!(calls.len(), legs, "something was recorded that nobody sent");
}

/// Starts all and waits for each, by ways that the rules leave alone: a call made too early would be
/// recorded like any other.
async fn start_everything(lan: &mut Lan) -> [Running; 2] {
    lan.start_hub();
    lan.start_python(Host::B, HTTP_SERVER);
    lan.start_python(Host::B, SPEAKS_FIRST);
    eventually("the server answers", || async {
        output(curl(lan, Host::B, &["http://127.0.0.1:8080/"]))
    })
    .await;
    eventually("the server that speaks first greets", || async {
        output(listen_to(lan, Host::B, "127.0.0.1"))
    })
    .await;
    let hosts = [(Host::A, "caller"), (Host::B, "callee")];
    let sidecars = hosts.map(|(host, workload)| {
        lan.write_rules(host);
        lan.start_sidecar(host, workload)
    });
    for (host, _) in hosts {
        let ready = "http://127.0.0.1:15120/readyz";
        eventually("the sidecar is ready", || async {
            output(curl(lan, host, &["-f", ready]))
        })
        .await;
    }
    sidecars
}

pub fn curl(lan: &Lan, host: Host, arguments: &[&str]) -> Command {
    let mut command = lan.command(host, "curl");
    command.args(["-sS", "--max-time", "10"]).args(arguments);
    command
}

fn call_from_programs(lan: &Lan, address: &str) -> Vec<Expected> {
    let version = if address.starts_with('[') { "v6" } else { "v4" };
    let url = |path: &str| format!("http://{address}:8080/{path}/{version}");
    let reply = |sent: &str, path: &str| format!("you sent {sent} to /{path}/{version}");
    let curl = |arguments: &[&str]| curl(lan, Host::A, arguments);
    let said = output(curl(&[&url("plain")])).unwrap();
    assert_eq!(said, reply("", "plain"));
    let said = output(curl(&["-d", "from curl", &url("form")])).unwrap();
    assert_eq!(said, reply("from curl", "form"));
    let said = output(curl(&[&url("missing")])).unwrap();
    assert_eq!(said, reply("", "missing"));
    let mut python = lan.command(Host::A, "python3");
    python.args(["-c", URLLIB_CLIENT, &url("python")]);
    assert_eq!(
        output(python).unwrap().trim(),
        reply("from python", "python")
    );
    let path = |name: &str| format!("/{name}/{version}");
    vec![
        ("GET", path("plain"), 200, "", reply("", "plain")),
        (
            "POST",
            path("form"),
            200,
            "from curl",
            reply("from curl", "form"),
        ),
        ("GET", path("missing"), 404, "", reply("", "missing")),
        (
            "POST",
            path("python"),
            200,
            "from python",
            reply("from python", "python"),
        ),
    ]
}

fn listen_to(lan: &Lan, host: Host, server: &str) -> Command {
    let mut command = lan.command(host, "python3");
    command.args(["-c", LISTENING_CLIENT, server]);
    command
}

fn listen_first(lan: &Lan) {
    let said = output(listen_to(lan, Host::A, &Host::B.ipv4())).unwrap();
    assert_eq!(said.lines().collect::<Vec<_>>(), ["220 hello", "250 noop"]);
}

fn check_leg(calls: &[Value], leg: &str, (method, path, status, sent, received): &Expected) {
    let found: Vec<&Value> = calls
        .iter()
        .filter(|call| call["leg"] == leg && call["path"] == **path)
        .collect();
    let [call] = found[..] else {
        panic!("{leg} leg of {path} is stored {} times", found.len())
    };
    assert_eq!(call["method"], *method, "{call}");
    assert_eq!(call["status"], *status, "{call}");
    assert_eq!(
        call["request"]["body"].as_str().unwrap_or(""),
        *sent,
        "{call}"
    );
    assert_eq!(call["response"]["body"], **received, "{call}");
    let (v4, v6) = (Host::A.ipv4(), Host::A.ipv6());
    let peer = if path.ends_with("v6") { v6 } else { v4 };
    assert_eq!(call["src"]["ip"], *peer, "{call}");
    assert_eq!(
        (&call["src"]["workload"], &call["dst"]["workload"]),
        (&"caller".into(), &"callee".into()),
        "{call}"
    );
    let phase = |name: &str| {
        call["phases_ns"][name]
            .as_u64()
            .unwrap_or_else(|| panic!("no {name} in {call}"))
    };
    let order = [
        "request_first",
        "request_last",
        "response_first",
        "response_last",
    ]
    .map(phase);
    assert!(order.is_sorted(), "{call}");
}

fn check_opaque_legs(calls: &[Value]) {
    for leg in ["outbound", "inbound"] {
        let opaque: Vec<&Value> = calls
            .iter()
            .filter(|call| call["leg"] == leg && call["protocol"] == "opaque")
            .collect();
        assert_eq!(opaque.len(), 1, "{leg}: {opaque:?}");
        assert_eq!(opaque[0]["opaque"]["first_speaker"], "server");
        assert_eq!(
            opaque[0]["response"]["size"],
            "220 hello\r\n250 noop\r\n".len()
        );
    }
}

/// Every stored call with its bodies; `None` while the hub does not answer, or a call runs.
pub fn stored(lan: &Lan) -> Option<Vec<Value>> {
    let mut curl = lan.command(Host::Lan, "curl");
    curl.args(["-sS", "-H", &format!("Authorization: Bearer {TOKEN}")]);
    curl.arg("http://10.99.7.1:8899/api/v1/calls?limit=1000&order=oldest&format=json");
    let page: Value = serde_json::from_str(&output(curl)?).ok()?;
    let calls = page["calls"].as_array()?;
    let are_over = calls.iter().all(|call| call["state"] != "open");
    are_over.then(|| calls.clone())
}

/// What a command printed; `None` if it failed.
pub fn output(mut command: Command) -> Option<String> {
    let output = command.output().unwrap();
    if !output.status.success() {
        eprintln!("{}", String::from_utf8_lossy(&output.stderr));
        return None;
    }
    Some(String::from_utf8(output.stdout).unwrap())
}
