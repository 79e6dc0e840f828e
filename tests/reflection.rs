//! Servers that say by reflection what they serve: printed for a file, and asked by the hub itself.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use test_case::test_case;

use crate::support::api::Client;
use crate::support::eventually;
use crate::support::process::{HubPlace, REMORA, free_port, start_sidecar};
use crate::support::programs::Programs;
use crate::support::spoken::Spoken;

/// What `shop.proto` describes; `protoc` wrote the first from the second.
const SHOP_SET: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../mcp/tests/it/streams/shop.binpb"
);
const SHOP_PROTO: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../mcp/tests/it/streams/shop.proto"
);

/// Listens on a port, and says what it serves, by `v1alpha` alone.
const PYTHON_SERVER: &str = "
import sys, grpc
from concurrent import futures
from google.protobuf import descriptor_pb2, descriptor_pool
from grpc_reflection.v1alpha import reflection
pool = descriptor_pool.DescriptorPool()
shop = descriptor_pb2.FileDescriptorSet.FromString(open(sys.argv[1], 'rb').read())
for file in shop.file: pool.AddSerializedFile(file.SerializeToString())
server = grpc.server(futures.ThreadPoolExecutor(4))
methods = {'Get': grpc.unary_unary_rpc_method_handler(lambda request, context: request)}
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler('shop.v1.Orders', methods),))
reflection.enable_server_reflection(['shop.v1.Orders', 'shop.v1.Forgotten'], server, pool)
port = server.add_insecure_port('127.0.0.1:' + sys.argv[2])
server.start()
print(port, flush=True)
server.wait_for_termination()
";

/// The same by `v1`.
const NODE_SERVER: &str = "
const grpc = require('@grpc/grpc-js');
const { ReflectionService } = require('@grpc/reflection');
const shop = require('@grpc/proto-loader').loadSync(process.argv[1]);
const server = new grpc.Server();
server.addService(grpc.loadPackageDefinition(shop).shop.v1.Orders.service, {});
new ReflectionService(shop).addToServer(server);
server.bindAsync('127.0.0.1:' + process.argv[2], grpc.ServerCredentials.createInsecure(), (_, port) => console.log(port));
";

const CLIENT: &str = "
import sys, grpc
get = grpc.insecure_channel('127.0.0.1:' + sys.argv[1]).unary_unary('/shop.v1.Orders/Get')
print(get(b'\\x08\\x11') == b'\\x08\\x11')
";

fn serve(programs: &Programs, language: &str, port: u16) -> (Spoken, u16) {
    let mut command = match language {
        "node" => programs.node(NODE_SERVER),
        _ => programs.python(PYTHON_SERVER),
    };
    let described = if language == "node" {
        SHOP_PROTO
    } else {
        SHOP_SET
    };
    let server = Spoken::start(command.arg(described).arg(port.to_string()));
    let port = server.receive().parse().unwrap();
    (server, port)
}

fn descriptors(server: &str) -> Output {
    let mut command = Command::new(REMORA);
    command.args(["descriptors", server]).stdin(Stdio::null());
    command.output().unwrap()
}

/// Has a client call the server through a sidecar; gives the call as the hub shows it.
async fn called(programs: &Programs, place: &HubPlace, upstream: u16) -> Value {
    let (_sidecar, port) = start_sidecar(place, upstream, &[]);
    let said = programs.python(CLIENT).arg(port.to_string()).output();
    assert_eq!(String::from_utf8_lossy(&said.unwrap().stdout), "True\n");
    let client = Client::new();
    eventually("the call is stored", || async {
        let mut calls = client
            .matching(&place.api(), r#"grpc && state == "complete""#)
            .await?;
        calls.pop()
    })
    .await
}

fn assert_is_named(call: &Value) {
    for (message, name) in [(0, "shop.v1.OrderId"), (1, "shop.v1.Order")] {
        let message = &call["messages"][message];
        assert_eq!(message["type"], name, "{call}");
        assert_eq!(message["message"], json!({"id": "17"}), "{call}");
    }
    assert_eq!(call["grpc"]["kind_from"], "descriptors", "{call}");
}

#[test_case("python", Some("shop.v1.Forgotten"); "of v1alpha alone, from Python")]
#[test_case("node", None; "of v1, from Node")]
#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_says_is_a_descriptor_set_that_a_hub_reads(
    language: &str,
    undescribed: Option<&str>,
) {
    let Some(programs) = Programs::of_streams() else {
        return;
    };
    let (_server, port) = serve(&programs, language, 0);
    let printed = descriptors(&format!("http://127.0.0.1:{port}"));
    let said = String::from_utf8_lossy(&printed.stderr);
    assert!(printed.status.success(), "{said}");
    assert!(
        said.starts_with("shop.v1.Orders\n") || said.contains("\nshop.v1.Orders\n"),
        "{said}"
    );
    match undescribed {
        Some(service) => assert!(
            said.contains(&format!("warning: {service} is not described")),
            "{said}"
        ),
        None => assert!(!said.contains("warning"), "{said}"),
    }
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&printed.stdout).unwrap();

    let (_echo, upstream) = serve(&programs, "python", 0);
    let place = HubPlace::new();
    let path = file.path().to_str().unwrap();
    let _hub = place.start_on("127.0.0.1", &["--descriptors", path]);
    assert_is_named(&called(&programs, &place, upstream).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_asks_a_server_as_soon_as_it_is_there() {
    let Some(programs) = Programs::of_streams() else {
        return;
    };
    let port = free_port();
    let server = format!("127.0.0.1:{port}");
    let place = HubPlace::new();
    let _hub = place.start_on("127.0.0.1", &["--reflection", &server]);
    let client = Client::new();
    let asked = |wanted: fn(&Value) -> bool| {
        let (client, api) = (client.clone(), place.api());
        async move {
            eventually("the server was asked", || async {
                let reflection = client.status(&api).await?["reflection"][0].clone();
                wanted(&reflection).then_some(reflection)
            })
            .await
        }
    };
    let away = asked(|reflection| reflection["error"].is_string()).await;
    assert_eq!(away["server"], server.as_str());
    assert!(
        away["error"].as_str().unwrap().contains("refused"),
        "{away}"
    );

    let (_server, _) = serve(&programs, "python", port);
    let there = asked(|reflection| reflection["services"] == 1).await;
    assert_eq!(there["error"], Value::Null, "{there}");
    assert_eq!(there["undescribed"], json!(["shop.v1.Forgotten"]));
    assert!(there["answered"].is_string(), "{there}");
    assert_is_named(&called(&programs, &place, port).await);
}

#[test]
fn what_cannot_be_asked_is_told_with_the_reason() {
    let nobody = format!("127.0.0.1:{}", free_port());
    for (server, code, reason) in [
        (nobody.as_str(), 1, "connect to 127.0.0.1:"),
        ("https://127.0.0.1:50051", 2, "TLS"),
        ("orders", 2, "it takes HOST:PORT"),
    ] {
        let printed = descriptors(server);
        let said = String::from_utf8_lossy(&printed.stderr);
        assert_eq!(printed.status.code(), Some(code), "{said}");
        assert!(said.contains(reason) && printed.stdout.is_empty(), "{said}");
    }
}
