//! Node on both sides of a sidecar: its server and its client notice nothing, and what they said is
//! recorded.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::api::Client;
use crate::support::process::{HubPlace, Running, free_port, start_sidecar};
use crate::support::{eventually, left_out};

/// Echoes bodies; streams its answer in chunks, with a trailer.
const SERVER: &str = r#"
const http = require('http');
http.createServer((request, response) => {
  response.setHeader('Trailer', 'X-Sum');
  response.writeHead(request.url === '/missing' ? 404 : 200, {'X-Served-By': 'node'});
  let sum = 0;
  request.on('data', piece => { sum += piece.length; response.write(piece); });
  request.on('end', () => { response.addTrailers({'X-Sum': String(sum)}); response.end('.'); });
}).listen(Number(process.argv[1]), '127.0.0.1');
"#;

/// Asks over one kept connection: without a body, with a length, and in chunks.
const CLIENT: &str = r#"
const http = require('http');
const agent = new http.Agent({keepAlive: true, maxSockets: 1});
const ask = (method, path, pieces, headers) => new Promise((resolve, reject) => {
  const request = http.request({host: '127.0.0.1', port: process.argv[1], agent, method, path, headers},
    response => {
      let body = '';
      response.on('data', piece => body += piece);
      response.on('end', () => resolve(`${response.statusCode} ${body} ${response.trailers['x-sum']}`));
    });
  request.on('error', reject);
  pieces.forEach(piece => request.write(piece));
  request.end();
});
(async () => {
  console.log(await ask('GET', '/plain', [], {}));
  console.log(await ask('POST', '/length', ['twelve bytes'], {'Content-Length': 12}));
  console.log(await ask('PUT', '/chunks', ['one, ', 'two, ', 'three'], {}));
  console.log(await ask('DELETE', '/missing', [], {}));
  agent.destroy();
})();
"#;

const SAID: [&str; 4] = [
    "200 . 0",
    "200 twelve bytes. 12",
    "200 one, two, three. 15",
    "404 . 0",
];

fn start_server(port: u16) -> Running {
    let mut server = node(SERVER, port);
    server.stdin(Stdio::null()).stdout(Stdio::null());
    Running::of(server.spawn().unwrap())
}

fn node(code: &str, port: u16) -> Command {
    let mut command = Command::new("node");
    command.args(["-e", code, &port.to_string()]);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn node_says_the_same_with_and_without_a_sidecar_and_all_of_it_is_recorded() {
    if Command::new("node").arg("--version").output().is_err() {
        return left_out("node is not installed");
    }
    let upstream = free_port();
    let _server = start_server(upstream);
    let client = Client::new();
    eventually("the server listens", || async {
        tokio::net::TcpStream::connect(("127.0.0.1", upstream))
            .await
            .ok()
    })
    .await;
    let place = HubPlace::new();
    let _hub = place.start();
    let (_sidecar, port) = start_sidecar(&place, upstream, &[]);
    assert_eq!(said(upstream), SAID, "without a sidecar");
    assert_eq!(said(port), SAID, "with a sidecar");

    let mut calls = eventually("all calls are stored", || async {
        let calls = client
            .matching(&place.api(), r#"state == "complete""#)
            .await?;
        (calls.len() >= SAID.len()).then_some(calls)
    })
    .await;
    calls.sort_by_key(|call| call["connection"]["ordinal"].as_u64());
    let expected = [
        ("GET", "/plain", 200, "", "."),
        ("POST", "/length", 200, "twelve bytes", "twelve bytes."),
        ("PUT", "/chunks", 200, "one, two, three", "one, two, three."),
        ("DELETE", "/missing", 404, "", "."),
    ];
    assert_eq!(calls.len(), expected.len());
    for (ordinal, (call, (method, path, status, sent, received))) in
        calls.iter().zip(expected).enumerate()
    {
        assert_eq!(call["connection"]["ordinal"], ordinal, "{call}");
        assert_eq!(call["method"], method, "{call}");
        assert_eq!(call["path"], path, "{call}");
        assert_eq!(call["status"], status, "{call}");
        assert_eq!(
            call["request"]["body"].as_str().unwrap_or(""),
            sent,
            "{call}"
        );
        assert_eq!(call["response"]["body"], received, "{call}");
        let sum = Value::from(sent.len().to_string());
        assert_eq!(call["response"]["trailers"][0][1], sum, "{call}");
    }
}

/// What the client prints.
fn said(port: u16) -> Vec<String> {
    let output = node(CLIENT, port).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}
