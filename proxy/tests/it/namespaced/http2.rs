//! HTTP/2 and gRPC of real programs: each call and message once per leg, as they meant it.

use std::collections::BTreeMap;

use remora_store::call::{Detail, Message, MessageKind};
use remora_store::head;
use test_case::test_case;

use super::streams::{interpreter, programs, sealed, words};
use super::*;

/// A call to this path, in HTTP/2 or in HTTP/1.
fn is_to(path: &str) -> impl Fn(&Call) -> bool {
    move |call| head::RequestHead::parse(&call.request.head).path == path
}

fn status(call: &Call) -> Option<u16> {
    head::response_status(&call.response.head)
}

/// What gRPC's status says, wherever it stands.
fn grpc_status(response: &Message) -> String {
    let field = |text| head::find_field(text, b"grpc-status");
    let found = field(&response.trailers).or_else(|| field(&response.head));
    String::from_utf8_lossy(found.unwrap_or(b"none")).into_owned()
}

fn nginx(namespace: &Namespace, folder: &std::path::Path) -> Running {
    let root = folder.display();
    let settings = format!(
        "daemon off; master_process off; pid {root}/pid; error_log {root}/log; user root; events {{}} \
         http {{ access_log off; keepalive_requests 100000; client_body_temp_path {root}/a; \
         proxy_temp_path {root}/b; fastcgi_temp_path {root}/c; uwsgi_temp_path {root}/d; \
         scgi_temp_path {root}/e; server {{ listen 8081 http2; root {root}; }} }}"
    );
    let file = folder.join("nginx.conf");
    std::fs::write(&file, settings).unwrap();
    serve(namespace, 8081, "nginx", &["-c", file.to_str().unwrap()])
}

#[test]
fn curl_and_nginx_talk_http2() {
    if !netns::available(PROGRAMS) {
        return;
    }
    let mut pods = Pods::start();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("page"), vec![b'x'; 300_000]).unwrap();
    let _nginx = nginx(&pods.right, folder.path());
    let page = url(RIGHT.0, 8081, "/page");
    let none = url(RIGHT.0, 8081, "/none");
    let said = pods.curl(&["--http2-prior-knowledge", &page]);
    assert_eq!(said.stdout.len(), 300_000, "{said:?}");
    let said = pods.curl(&["--http2-prior-knowledge", "--head", &none]);
    let text = String::from_utf8_lossy(&said.stdout);
    assert!(text.starts_with("HTTP/2 404"), "{text}");
    for sidecar in [&mut pods.caller, &mut pods.callee] {
        let call = sidecar.call("the page", is_to("/page"));
        assert_eq!((call.protocol, call.error), (Protocol::Http2, None));
        assert_eq!((status(&call), call.connection.ordinal), (Some(200), 1));
        assert_eq!(call.response.body_size, 300_000);
        assert_eq!(call.response.body.len(), 64 * 1024);
        let call = sidecar.call("the page that is not there", is_to("/none"));
        assert_eq!((status(&call), call.response.body_size), (Some(404), 0));
    }
}

/// Requests of h2load, on several connections with several streams each.
const LOAD: usize = 5_000;

#[test]
fn h2load_counts_as_many_requests_as_are_recorded() {
    if !netns::available(&[PROGRAMS, &["h2load"]].concat()) {
        return;
    }
    let mut pods = Pods::start();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("small"), "hello").unwrap();
    let _nginx = nginx(&pods.right, folder.path());
    let target = url(RIGHT.0, 8081, "/small");
    let load = LOAD.to_string();
    let said = pods
        .left
        .run("h2load", &["-n", &load, "-c", "4", "-m", "10", &target]);
    let text = String::from_utf8_lossy(&said.stdout);
    assert!(
        text.contains(&format!("{LOAD} succeeded, 0 failed")),
        "{text}"
    );
    for sidecar in [&mut pods.caller, &mut pods.callee] {
        let calls = sidecar.stop();
        assert_eq!(calls.len(), LOAD);
        let mut keys: Vec<_> = calls
            .iter()
            .map(|c| (c.connection.id, c.connection.ordinal))
            .collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), LOAD, "a stream was told twice");
        for call in &calls {
            assert_eq!(
                (status(call), &call.response.body[..], call.error),
                (Some(200), &b"hello"[..], None)
            );
        }
    }
}

const UPGRADING: &str = "
import asyncio
from hypercorn.asyncio import serve
from hypercorn.config import Config
async def app(scope, receive, send):
    if scope['type'] != 'http': return
    await send({'type': 'http.response.start', 'status': 200, 'headers': [(b'x-version', scope['http_version'].encode())]})
    await send({'type': 'http.response.body', 'body': b'hello'})
config = Config()
config.bind = ['0.0.0.0:8082']
asyncio.run(serve(app, config))
";

#[test]
fn a_connection_that_curl_upgrades_is_one_call_and_more() {
    let Some(folder) = programs().filter(|_| netns::available(PROGRAMS)) else {
        return;
    };
    let mut pods = Pods::start();
    let (server, server_words) = interpreter(&folder, "python", UPGRADING);
    let _server = serve(&pods.right, 8082, &server, &words(&server_words));
    let [first, second] = ["/first", "/second"].map(|path| url(RIGHT.0, 8082, path));
    let said = pods.curl(&["--http2", "--include", &first, &second]);
    let text = String::from_utf8_lossy(&said.stdout);
    assert!(text.starts_with("HTTP/1.1 101"), "{text}");
    for sidecar in [&mut pods.caller, &mut pods.callee] {
        let call = sidecar.call("the request that upgrades", is_to("/first"));
        assert_eq!((call.protocol, call.error), (Protocol::Http2, None));
        assert!(call.request.head.starts_with(b"GET /first HTTP/1.1\r\n"));
        assert!(call.interim.starts_with(b"HTTP/1.1 101"));
        assert_eq!(
            (status(&call), &call.response.body[..]),
            (Some(200), &b"hello"[..])
        );
        let call = sidecar.call("the second request", is_to("/second"));
        assert_eq!((call.protocol, status(&call)), (Protocol::Http2, Some(200)));
        assert_eq!(call.connection.ordinal, 3);
    }
    let more = [pods.caller.stop(), pods.callee.stop()].concat();
    assert!(more.is_empty(), "recorded more than once: {more:?}");
}

const GRPC_SERVER: &str = "
import grpc, time
from concurrent import futures
def one(request, context):
    if request == b'long': return request * 100
    if request == b'fail': context.abort(grpc.StatusCode.NOT_FOUND, 'no such order')
    if request == b'sleep':
        while context.is_active(): time.sleep(0.01)
    context.set_trailing_metadata((('x-cost', '3'),))
    return b'one:' + request
def many(request, context):
    for n in range(3): yield b'%d:%s' % (n, request)
    while request == b'endless' and context.is_active(): time.sleep(0.01)
def all(requests, context):
    return b'+'.join(requests)
def each(requests, context):
    for request in requests: yield b'each:' + request
handlers = {
  'One': grpc.unary_unary_rpc_method_handler(one), 'Many': grpc.unary_stream_rpc_method_handler(many),
  'All': grpc.stream_unary_rpc_method_handler(all), 'Each': grpc.stream_stream_rpc_method_handler(each)}
server = grpc.server(futures.ThreadPoolExecutor(8), compression=grpc.Compression.Gzip)
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler('shop.Orders', handlers),))
server.add_insecure_port('0.0.0.0:50051')
server.start()
server.wait_for_termination()
";

const PYTHON_CLIENT: &str = "
import grpc
c = grpc.insecure_channel('10.77.0.2:50051')
one, many = c.unary_unary('/shop.Orders/One'), c.unary_stream('/shop.Orders/Many')
all, each = c.stream_unary('/shop.Orders/All'), c.stream_stream('/shop.Orders/Each')
assert one(b'a') == b'one:a'
assert one(b'long') == b'long' * 100
assert list(many(b'b')) == [b'0:b', b'1:b', b'2:b']
assert all(iter([b'c', b'd'])) == b'c+d'
assert list(each(iter([b'e', b'f']))) == [b'each:e', b'each:f']
def fails(call):
    try: call()
    except grpc.RpcError as error: print(error.code().name)
fails(lambda: one(b'fail'))
fails(lambda: one(b'sleep', timeout=3))
running = many(b'endless')
assert [next(running) for _ in range(3)] == [b'0:endless', b'1:endless', b'2:endless']
running.cancel()
fails(lambda: next(running))
c.close()
";

const NODE_CLIENT: &str = "
const grpc = require('@grpc/grpc-js');
const same = (b) => b;
const c = new grpc.Client('10.77.0.2:50051', grpc.credentials.createInsecure());
const p = (m) => ['/shop.Orders/' + m, same, same];
const b = Buffer.from;
const read = (call) => new Promise((done) => { const got = []; call.on('data', (m) => got.push(m)); call.on('error', () => {}); call.on('status', (s) => done([got.join(), s.code])); });
const one = (m, o = {}) => new Promise((done) => c.makeUnaryRequest(...p('One'), b(m), o, (e, r) => done(e ? e.code : String(r))));
const equal = require('assert').deepEqual;
(async () => {
  equal(await one('a'), 'one:a');
  equal(await one('long'), 'long'.repeat(100));
  equal(await read(c.makeServerStreamRequest(...p('Many'), b('b'))), ['0:b,1:b,2:b', 0]);
  equal(await new Promise((done) => { const call = c.makeClientStreamRequest(...p('All'), (e, r) => done(String(r))); call.write(b('c')); call.write(b('d')); call.end(); }), 'c+d');
  const each = c.makeBidiStreamRequest(...p('Each')); each.write(b('e')); each.write(b('f')); each.end();
  equal(await read(each), ['each:e,each:f', 0]);
  const name = (code) => console.log(Object.keys(grpc.status).find((k) => grpc.status[k] == code));
  name(await one('fail'));
  name(await one('sleep', { deadline: Date.now() + 3000 }));
  const running = c.makeServerStreamRequest(...p('Many'), b('endless'));
  running.on('data', (m) => { if (String(m) == '2:endless') running.cancel(); });
  name((await read(running))[1]);
  c.close();
})();
";

/// Path, messages of both sides, gRPC status and error of a call.
type Summary = (String, Vec<String>, Vec<String>, String, Option<CallError>);

fn summary(call: &Call) -> Summary {
    let stream = call.stream.as_deref().expect("gRPC has messages");
    let said = |side| -> Vec<String> {
        let of_side = stream
            .messages
            .iter()
            .filter(|message| message.from == side);
        of_side
            .map(|message| {
                assert_eq!(message.kind, MessageKind::Grpc);
                assert_eq!(message.compressed, message.decoded);
                String::from_utf8(message.payload.to_vec()).unwrap()
            })
            .collect()
    };
    let (client, server) = (said(Side::Client), said(Side::Server));
    let counts = (stream.client_messages, stream.server_messages);
    assert_eq!(counts, (client.len() as u64, server.len() as u64));
    let path = head::RequestHead::parse(&call.request.head)
        .path
        .into_owned();
    (
        path,
        client,
        server,
        grpc_status(&call.response),
        call.error,
    )
}

fn expected() -> Vec<Summary> {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let cancelled = Some(CallError::ClientCancelled);
    let long = "long".repeat(100);
    [
        ("One", &["a"][..], &["one:a"][..], "0", None),
        ("One", &["long"], &[&long], "0", None),
        ("Many", &["b"], &["0:b", "1:b", "2:b"], "0", None),
        ("All", &["c", "d"], &["c+d"], "0", None),
        ("Each", &["e", "f"], &["each:e", "each:f"], "0", None),
        ("One", &["fail"], &[], "5", None),
        ("One", &["sleep"], &[], "none", cancelled),
        (
            "Many",
            &["endless"],
            &["0:endless", "1:endless", "2:endless"],
            "none",
            cancelled,
        ),
    ]
    .map(|(method, client, server, status, error)| {
        let path = format!("/shop.Orders/{method}");
        (path, texts(client), texts(server), status.to_owned(), error)
    })
    .into()
}

#[test_case("python", PYTHON_CLIENT; "from Python")]
#[test_case("node", NODE_CLIENT; "from Node")]
fn each_grpc_call_is_recorded_once_per_leg_with_its_messages(language: &str, program: &str) {
    let Some(folder) = programs().filter(|_| netns::available(PROGRAMS)) else {
        return;
    };
    let mut pods = Pods::start();
    let (server, server_words) = interpreter(&folder, "python", GRPC_SERVER);
    let _server = serve(&pods.right, 50_051, &server, &words(&server_words));
    let (client, client_words) = interpreter(&folder, language, program);
    let said = pods.left.run(&client, &words(&client_words));
    let text = String::from_utf8_lossy(&said.stdout);
    assert_eq!(
        text, "NOT_FOUND\nDEADLINE_EXCEEDED\nCANCELLED\n",
        "{said:?}"
    );
    for sidecar in [&mut pods.caller, &mut pods.callee] {
        let calls: Vec<Call> = sidecar.stop().into_iter().map(sealed).collect();
        let mut told: BTreeMap<u32, Summary> = BTreeMap::new();
        for call in &calls {
            assert_eq!(call.protocol, Protocol::Grpc);
            let mut summary = summary(call);
            // Both sides keep the time: whichever is first ends the call.
            if summary.1 == ["sleep"] && summary.3 == "4" {
                (summary.3, summary.4) = ("none".to_owned(), Some(CallError::ClientCancelled));
            }
            told.insert(call.connection.ordinal, summary);
        }
        assert_eq!(told.len(), calls.len(), "a stream was told twice");
        assert_eq!(told.into_values().collect::<Vec<_>>(), expected());
        let unary = &calls[0];
        assert_eq!(
            head::find_field(&unary.response.trailers, b"x-cost"),
            Some(&b"3"[..])
        );
        let coded = |call: &Call| {
            call.stream
                .as_ref()
                .is_some_and(|s| s.messages.iter().any(|m| m.compressed))
        };
        assert_eq!(
            calls.iter().filter(|call| coded(call)).count(),
            1,
            "the long one"
        );
        let has_deadline =
            |call: &&Call| head::find_field(&call.request.head, b"grpc-timeout").is_some();
        assert_eq!(calls.iter().filter(has_deadline).count(), 1);
        let cancelled = |call: &&Call| {
            matches!(&call.detail, Detail::Http2(detail)
                if detail.reset.is_some_and(|reset| reset.by == Side::Client))
        };
        assert!(calls.iter().filter(cancelled).count() >= 1);
    }
}
