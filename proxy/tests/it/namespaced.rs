//! Real programs in network namespaces whose connections are really redirected.
//!
//! Two pods with a cable between them, each with the rules and a sidecar that runs as the proxy
//! user without capabilities. Programs run as root, who is redirected like any other user.

mod http2;
mod probes;
mod streams;

use std::net::{IpAddr, SocketAddr};
use std::process::Output;
use std::sync::mpsc;
use std::thread;

use remora_proxy::Proxy;
use remora_proxy::budget::Budget;
use remora_proxy::config::{Config, Options};
use remora_proxy::record::{Batch, Outlet};
use remora_proxy::redirect::{PROXY_UID, RedirectOptions, RuleSet};
use remora_store::call::{Call, CallError, Leg, Protocol, Side};
use tokio::sync::oneshot;

use crate::netns::{self, LEFT, Namespace, RIGHT, Running, eventually};

const PROGRAMS: &[&str] = &["ip", "nft", "curl", "python3", "nginx"];

/// A sidecar in a namespace.
struct Sidecar {
    stop: Option<oneshot::Sender<()>>,
    ended: mpsc::Receiver<()>,
    batches: mpsc::Receiver<Batch>,
    seen: Vec<Call>,
}

impl Sidecar {
    fn start(namespace: &Namespace) -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let (sink, batches) = mpsc::channel();
        let (end, ended) = mpsc::channel();
        let (ready, is_ready) = mpsc::channel();
        namespace.enter(|| {
            thread::spawn(move || {
                netns::become_user(PROXY_UID);
                let proxy = Proxy::bind(config()).unwrap();
                ready.send(()).unwrap();
                run(proxy, sink, stopped);
                let _ = end.send(());
            });
        });
        is_ready.recv().unwrap();
        Self {
            stop: Some(stop),
            ended,
            batches,
            seen: Vec::new(),
        }
    }

    /// Stops it, and gives every call that it recorded.
    fn stop(&mut self) -> Vec<Call> {
        self.stop.take();
        self.ended.recv().unwrap();
        self.take_batches();
        std::mem::take(&mut self.seen)
    }

    /// Waits for a call, and takes it out of those that were recorded.
    fn call(&mut self, what: &str, wanted: impl Fn(&Call) -> bool) -> Call {
        let mut found = None;
        eventually(what, || {
            self.take_batches();
            found = self.seen.iter().position(&wanted);
            found.is_some()
        });
        self.seen.remove(found.unwrap())
    }

    fn take_batches(&mut self) {
        for batch in self.batches.try_iter() {
            self.seen
                .extend(batch.calls.into_iter().map(|recorded| recorded.call));
        }
    }
}

fn config() -> Config {
    Config::from_options(Options {
        redirect: true,
        workload: "pod".to_owned(),
        ..Options::default()
    })
    .unwrap()
}

fn run(proxy: Proxy, sink: mpsc::Sender<Batch>, stopped: oneshot::Receiver<()>) {
    let (_flushes, requests) = tokio::sync::mpsc::channel(1);
    let outlet = Outlet {
        sink: Box::new(move |batch| sink.send(batch).map_err(|refused| refused.0)),
        flushes: requests,
    };
    let stopped = async {
        let _ = stopped.await;
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let running = proxy.run_into(Some(outlet), Budget::new(32 << 20), stopped);
    runtime.block_on(running).unwrap();
}

fn redirect(namespace: &Namespace, options: &RedirectOptions) {
    let rules = RuleSet::new(options).unwrap();
    namespace.enter(|| rules.install()).unwrap();
}

/// Two pods, each with rules and a sidecar: the left one calls, the right one serves.
struct Pods {
    left: Namespace,
    right: Namespace,
    caller: Sidecar,
    callee: Sidecar,
}

impl Pods {
    fn start() -> Self {
        let (left, right) = Namespace::pair();
        for namespace in [&left, &right] {
            redirect(namespace, &RedirectOptions::default());
        }
        Self {
            caller: Sidecar::start(&left),
            callee: Sidecar::start(&right),
            left,
            right,
        }
    }

    fn curl(&self, words: &[&str]) -> Output {
        let mut all = vec!["--silent", "--show-error", "--max-time", "15"];
        all.extend(words);
        self.left.run("curl", &all)
    }

    /// The metrics of the caller's sidecar.
    fn metrics(&self) -> String {
        let said = self.curl(&["http://127.0.0.1:15120/metrics"]);
        String::from_utf8(said.stdout).unwrap()
    }
}

/// Starts a server and waits until it listens.
fn serve(namespace: &Namespace, port: u16, program: &str, words: &[&str]) -> Running {
    let running = namespace.spawn(program, words);
    eventually("a server listens", || listens(namespace, port));
    running
}

fn listens(namespace: &Namespace, port: u16) -> bool {
    let sockets = namespace.run("ss", &["--listening", "--tcp", "--numeric", "--no-header"]);
    let text = String::from_utf8_lossy(&sockets.stdout).into_owned();
    text.lines().any(|line| {
        let local = line.split_whitespace().nth(3).unwrap_or_default();
        local.ends_with(&format!(":{port}"))
    })
}

/// A server that answers every POST with what it was sent, and says who asked.
const ECHO: &str = r#"
import http.server, socket, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_GET(self):
        self.answer(b'hello')
    def do_POST(self):
        self.answer(self.rfile.read(int(self.headers['content-length'])))
    def answer(self, body):
        self.send_response(200)
        self.send_header('X-Peer', self.client_address[0])
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words):
        pass
class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET
Server((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
"#;

fn echo_server(namespace: &Namespace, address: &str, port: u16) -> Running {
    serve(
        namespace,
        port,
        "python3",
        &["-c", ECHO, address, &port.to_string()],
    )
}

fn url(address: &str, port: u16, path: &str) -> String {
    match address.parse::<IpAddr>().unwrap() {
        IpAddr::V4(address) => format!("http://{address}:{port}{path}"),
        IpAddr::V6(address) => format!("http://[{address}]:{port}{path}"),
    }
}

/// Whether curl's connection was refused or reset: 56 while it waited for the response, or 7 if that
/// came before it looked at its new connection.
fn was_reset(said: &Output) -> bool {
    matches!(said.status.code(), Some(7 | 56))
}

fn path_is(path: &str) -> impl Fn(&Call) -> bool {
    let path = format!(" {path} ");
    move |call| String::from_utf8_lossy(&call.request.head).contains(&path)
}

#[test_case::test_case("::", LEFT.0, RIGHT.0; "over IPv4 to a dual stack server")]
#[test_case::test_case("::", LEFT.1, RIGHT.1; "over IPv6")]
#[test_case::test_case("0.0.0.0", LEFT.0, RIGHT.0; "over IPv4")]
fn a_call_is_recorded_once_on_each_leg(bind: &str, caller: &str, callee: &str) {
    if !netns::available(PROGRAMS) {
        return;
    }
    let mut pods = Pods::start();
    let _server = echo_server(&pods.right, bind, 8080);
    let said = pods.curl(&[
        "--data",
        "ping",
        "--include",
        &url(callee, 8080, "/echo?x=1"),
    ]);
    let text = String::from_utf8(said.stdout).unwrap();
    assert!(
        text.starts_with("HTTP/1.1 200") && text.ends_with("ping"),
        "{text}"
    );
    // The one difference that the server sees: its peer is its own pod.
    assert!(text.contains(callee), "{text}");

    let outbound = pods.caller.call("the outbound leg", path_is("/echo?x=1"));
    let inbound = pods.callee.call("the inbound leg", path_is("/echo?x=1"));
    let dst = SocketAddr::new(callee.parse().unwrap(), 8080);
    for (call, leg) in [(&outbound, Leg::Outbound), (&inbound, Leg::Inbound)] {
        assert_eq!(
            (call.leg, call.protocol, call.dst),
            (leg, Protocol::Http1, dst)
        );
        assert_eq!(
            (&call.request.body[..], &call.response.body[..]),
            (&b"ping"[..], &b"ping"[..])
        );
        assert_eq!(
            (call.error, call.phases.response_last.is_some()),
            (None, true)
        );
    }
    assert_eq!(outbound.src.ip(), caller.parse::<IpAddr>().unwrap());
    assert_eq!(outbound.connection.forwarded_from, Some(inbound.src));
    assert_eq!(outbound.request.head, inbound.request.head);
    let more = [pods.caller.stop(), pods.callee.stop()].concat();
    assert!(more.is_empty(), "recorded more than once: {more:?}");
}

#[test]
fn python_and_nginx_talk_as_ever() {
    if !netns::available(PROGRAMS) {
        return;
    }
    let mut pods = Pods::start();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("page"), vec![b'x'; 300_000]).unwrap();
    let root = folder.path().display();
    let settings = format!(
        "daemon off; master_process off; pid {root}/pid; error_log {root}/log; user root; events {{}} \
         http {{ access_log off; client_body_temp_path {root}/a; proxy_temp_path {root}/b; \
         fastcgi_temp_path {root}/c; uwsgi_temp_path {root}/d; scgi_temp_path {root}/e; \
         server {{ listen 8081; root {root}; }} }}"
    );
    let file = folder.path().join("nginx.conf");
    std::fs::write(&file, settings).unwrap();
    let _nginx = serve(&pods.right, 8081, "nginx", &["-c", file.to_str().unwrap()]);
    let program = format!(
        "import urllib.request as r; p = r.urlopen('{}'); print(p.status, len(p.read()))",
        url(RIGHT.0, 8081, "/page")
    );
    let said = pods.left.run("python3", &["-c", &program]);
    assert_eq!(String::from_utf8_lossy(&said.stdout).trim(), "200 300000");
    for sidecar in [&mut pods.caller, &mut pods.callee] {
        let call = sidecar.call("the call", path_is("/page"));
        assert_eq!(call.response.body_size, 300_000);
        assert_eq!(call.response.body.len(), 64 * 1024);
    }
}

#[test]
fn a_server_that_speaks_first_is_heard() {
    if !netns::available(PROGRAMS) {
        return;
    }
    let mut pods = Pods::start();
    let server = "import socket\ns = socket.create_server(('0.0.0.0', 2525))\n\
        while True:\n c, _ = s.accept(); c.sendall(b'220 ready\\r\\n'); c.recv(9); c.close()";
    let _server = serve(&pods.right, 2525, "python3", &["-c", server]);
    let client = format!(
        "import socket; c = socket.create_connection(('{}', 2525), 5); print(c.recv(99)); \
         c.sendall(b'QUIT\\r\\n'); print(c.recv(9))",
        RIGHT.0
    );
    let said = pods.left.run("python3", &["-c", &client]);
    assert_eq!(
        String::from_utf8_lossy(&said.stdout),
        "b'220 ready\\r\\n'\nb''\n"
    );
    for sidecar in [&mut pods.caller, &mut pods.callee] {
        let call = sidecar.call("the connection", |call| call.dst.port() == 2525);
        assert_eq!(call.protocol, Protocol::Opaque);
        assert_eq!(call.closed_by, Some(Side::Server));
    }
}

#[test]
fn what_stays_in_the_pod_is_left_alone() {
    if !netns::available(PROGRAMS) {
        return;
    }
    let mut pods = Pods::start();
    let _server = echo_server(&pods.left, "::", 8080);
    for address in ["127.0.0.1", "::1", LEFT.0, LEFT.1] {
        let said = pods.curl(&[&url(address, 8080, "/")]);
        assert_eq!(said.stdout, b"hello", "{address}");
    }
    assert!(pods.caller.stop().is_empty());
}

#[test]
fn a_server_on_localhost_stays_out_of_reach() {
    if !netns::available(PROGRAMS) {
        return;
    }
    let mut pods = Pods::start();
    let _server = echo_server(&pods.right, "127.0.0.1", 8080);
    let said = pods.curl(&[&url(RIGHT.0, 8080, "/")]);
    assert!(!said.status.success());
    let call = pods
        .callee
        .call("the refusal", |call| call.dst.port() == 8080);
    assert_eq!(call.error, Some(CallError::ConnectRefused));
}

#[test]
fn a_closed_port_connects_and_is_reset() {
    if !netns::available(PROGRAMS) {
        return;
    }
    let mut pods = Pods::start();
    for address in [RIGHT.0, RIGHT.1] {
        let said = pods.curl(&[&url(address, 81, "/")]);
        assert!(was_reset(&said), "{address}: {said:?}");
        let call = pods
            .callee
            .call("the refusal", |call| call.dst.port() == 81);
        assert_eq!(call.error, Some(CallError::ConnectRefused));
        let call = pods.caller.call("the reset", |call| call.dst.port() == 81);
        assert_eq!(call.error, Some(CallError::ServerReset));
    }
}

#[test]
fn a_host_that_is_not_there_connects_and_is_reset() {
    if !netns::available(PROGRAMS) {
        return;
    }
    let mut pods = Pods::start();
    let said = pods.curl(&["http://10.77.0.99/"]);
    assert!(was_reset(&said), "{said:?}");
    let call = pods
        .caller
        .call("the failure", |call| call.dst.port() == 80);
    assert_eq!(call.error, Some(CallError::ConnectUnreachable));
}

#[test]
fn a_client_that_gives_up_takes_the_attempt_to_connect_with_it() {
    if !netns::available(PROGRAMS) {
        return;
    }
    let mut pods = Pods::start();
    let client = "import socket, struct; c = socket.create_connection(('10.77.0.99', 80), 5); \
        c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0)); c.close()";
    assert!(pods.left.run("python3", &["-c", client]).status.success());
    let call = pods
        .caller
        .call("the attempt", |call| call.dst.port() == 80);
    assert_eq!(call.error, Some(CallError::ClientReset));
}

#[test]
fn without_a_route_the_program_sees_the_error_itself() {
    if !netns::available(PROGRAMS) {
        return;
    }
    let mut pods = Pods::start();
    for address in ["192.0.2.1", "2001:db8::1"] {
        let said = pods.curl(&[&url(address, 80, "/")]);
        // 7: the connection could not be made.
        assert_eq!(said.status.code(), Some(7), "{address}");
    }
    assert!(pods.caller.stop().is_empty());
}

#[test]
fn a_connection_straight_to_a_redirect_port_is_refused() {
    if !netns::available(PROGRAMS) {
        return;
    }
    let mut pods = Pods::start();
    let local = [
        ("127.0.0.1", 15101),
        ("127.0.0.1", 15106),
        (LEFT.0, 15106),
        (LEFT.1, 15101),
    ];
    for (address, port) in local {
        let said = pods.curl(&[&url(address, port, "/")]);
        assert!(was_reset(&said), "{address}:{port}: {said:?}");
    }
    let metrics = pods.metrics();
    let four = "remora_proxy_loops_refused_total 4\n";
    assert!(metrics.contains(four), "{metrics}");
    assert!(pods.caller.stop().is_empty());
}

#[test]
fn rules_for_another_user_do_not_make_a_loop() {
    if !netns::available(PROGRAMS) {
        return;
    }
    let mut pods = Pods::start();
    let for_another = RedirectOptions {
        proxy_uid: PROXY_UID + 1,
        ..RedirectOptions::default()
    };
    redirect(&pods.left, &for_another);
    let _server = echo_server(&pods.right, "::", 8080);
    let said = pods.curl(&[&url(RIGHT.0, 8080, "/")]);
    assert!(was_reset(&said), "{said:?}");
    assert!(
        pods.metrics()
            .contains("remora_proxy_loops_refused_total 1\n")
    );
    assert_eq!(pods.caller.stop().len(), 1);
}

#[test]
fn skipped_ports_and_networks_are_left_alone() {
    if !netns::available(PROGRAMS) {
        return;
    }
    let mut pods = Pods::start();
    let _servers = [
        echo_server(&pods.right, "::", 8080),
        echo_server(&pods.right, "::", 8090),
    ];
    let skip_inbound = RedirectOptions {
        // More ports than a list of iptables holds.
        skip_inbound_ports: (8070..=8090).map(|port| port.to_string()).collect(),
        ..RedirectOptions::default()
    };
    redirect(&pods.right, &skip_inbound);
    let skip_outbound = RedirectOptions {
        skip_outbound_ports: vec!["8085-8099".to_owned()],
        skip_outbound_cidrs: vec!["fd77::/16".to_owned()],
        ..RedirectOptions::default()
    };
    redirect(&pods.left, &skip_outbound);
    for (address, port) in [(RIGHT.0, 8080), (RIGHT.0, 8090), (RIGHT.1, 8080)] {
        let said = pods.curl(&["--include", &url(address, port, "/")]);
        let text = String::from_utf8(said.stdout).unwrap();
        // Nothing stands between: the server sees who really asks.
        let seen = [LEFT.0, LEFT.1].iter().any(|caller| text.contains(caller));
        assert!(seen, "{text}");
    }
    let recorded = pods.caller.stop();
    assert_eq!(recorded.len(), 1);
    assert_eq!(
        recorded[0].dst,
        SocketAddr::new(RIGHT.0.parse().unwrap(), 8080)
    );
    assert!(pods.callee.stop().is_empty());
}

#[test]
fn traffic_resumes_when_the_sidecar_comes_back() {
    if !netns::available(PROGRAMS) {
        return;
    }
    let mut pods = Pods::start();
    let _server = echo_server(&pods.right, "::", 8080);
    let page = url(RIGHT.0, 8080, "/");
    pods.caller.stop();
    // The rules stay, so nothing passes around the sidecar.
    assert!(was_reset(&pods.curl(&[&page])));
    pods.caller = Sidecar::start(&pods.left);
    assert_eq!(pods.curl(&[&page]).stdout, b"hello");
}
