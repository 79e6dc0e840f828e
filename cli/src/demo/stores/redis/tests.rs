//! The stand-in and a client that nobody here wrote; the shop's client and a server that nobody here wrote.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::*;
use crate::demo::ledger::Ledger;

async fn stand_in() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, Store::default()));
    address
}

/// Says in one line that a program is missing; a failure where every test is required.
fn left_out(program: &str) {
    let required = std::env::var("REMORA_REQUIRE").as_deref() == Ok("all");
    assert!(!required, "{program} is not installed");
    eprintln!("left out: {program} is not installed");
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_cli_takes_the_stand_in_for_redis() {
    if Command::new("redis-cli").arg("--version").output().is_err() {
        return left_out("redis-cli");
    }
    let port = stand_in().await.port().to_string();
    let ask = move |command: &[&str]| {
        let mut cli = Command::new("redis-cli");
        let output = cli.args(["-p", &port]).args(command).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    tokio::task::spawn_blocking(move || {
        assert_eq!(ask(&["PING"]), "PONG\n");
        assert_eq!(ask(&["SET", "a", "two words"]), "OK\n");
        assert_eq!(ask(&["GET", "a"]), "two words\n");
        assert_eq!(ask(&["GET", "b"]), "\n");
        assert_eq!(ask(&["SET", "b", "1", "EX", "60"]), "OK\n");
        assert_eq!(ask(&["MGET", "a", "none", "b"]), "two words\n\n1\n");
        assert_eq!(ask(&["DEL", "a", "none"]), "1\n");
        assert_eq!(
            ask(&["SET", "b", "1", "EX", "0"]),
            "ERR value is not an integer or out of range\n\n"
        );
        assert_eq!(
            ask(&["GET"]),
            "ERR wrong number of arguments for 'get' command\n\n"
        );
        assert_eq!(ask(&["FLUSHALL"]), "ERR unknown command\n\n");
    })
    .await
    .unwrap();
}

#[test]
fn what_is_due_is_gone() {
    let store = Store::default();
    store.put(b"a", b"1", Some(Duration::ZERO));
    store.put(b"b", b"1", Some(Duration::from_secs(60)));
    assert_eq!(
        (store.get(b"a"), store.get(b"b")),
        (None, Some(b"1".to_vec()))
    );
}

/// A process that ends with the test.
struct Ending(Child);

impl Drop for Ending {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shop_can_keep_its_values_in_redis_itself() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = port.local_addr().unwrap();
    drop(port);
    let server = Command::new("redis-server")
        .args(["--port", &address.port().to_string(), "--save", ""])
        .args(["--bind", "127.0.0.1", "--dir", "/tmp"])
        .stdout(Stdio::null())
        .spawn();
    let Ok(server) = server.map(Ending) else {
        return left_out("redis-server");
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    while std::net::TcpStream::connect(address).is_err() {
        assert!(Instant::now() < deadline, "redis-server does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
    let client = Redis::new(address, Ledger::default());
    client.set("a", "{\"id\": 7}", 60).await.unwrap();
    assert_eq!(
        client.get("a").await.unwrap().as_deref(),
        Some("{\"id\": 7}")
    );
    assert_eq!(client.get("b").await.unwrap(), None);
    let both = client
        .get_all(&["a".to_owned(), "b".to_owned()])
        .await
        .unwrap();
    assert_eq!(both, [Some("{\"id\": 7}".to_owned()), None]);
    drop(server);
}
