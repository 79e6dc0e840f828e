//! Go and Java: each knows of proxies and certificates in its own way.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::https::Server;
use super::{Place, program, said};
use crate::support::api::Client;
use crate::support::{hosts, left_out, origin};

/// Asks for each of its arguments, and prints what came.
const GO: &str = r#"
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
)

func main() {
	for _, url := range os.Args[1:] {
		answer, err := http.Get(url)
		if err != nil {
			panic(err)
		}
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			panic(err)
		}
		answer.Body.Close()
		fmt.Println(string(body))
	}
}
"#;

/// Prints an option of its own, and what each of its arguments has to say to both clients of the JDK.
const JAVA: &str = r#"
import java.net.URI;
import java.net.http.*;

public class Ask {
    public static void main(String[] urls) throws Exception {
        System.out.println(System.getProperty("mark"));
        var client = HttpClient.newHttpClient();
        for (var url : urls) {
            var request = HttpRequest.newBuilder(URI.create(url + "/client")).build();
            System.out.println(client.send(request, HttpResponse.BodyHandlers.ofString()).body());
            try (var body = URI.create(url + "/stream").toURL().openStream()) {
                System.out.println(new String(body.readAllBytes()));
            }
        }
    }
}
"#;

/// Has a compiler work on a program in a folder; false, with one line that says so, where there is none.
fn is_compiled(source: &str, name: &str, compiler: &[&str], folder: &Path) -> bool {
    fs::write(folder.join(name), source).unwrap();
    let mut command = program(compiler[0], &compiler[1..]);
    let Ok(output) = command.arg(name).current_dir(folder).output() else {
        left_out(&format!("{} is not installed", compiler[0]));
        return false;
    };
    assert!(output.status.success(), "{output:?}");
    true
}

/// Runs a program that knows the name `api.test`; `None` where that cannot be arranged.
async fn run(place: &Place, options: &[&str], program: &Command) -> Option<(String, String)> {
    let names = tempfile::NamedTempFile::new().unwrap();
    fs::write(&names, "127.0.0.1 localhost api.test\n").unwrap();
    let remora = hosts::named_by(names.path(), &place.remora(options, program))?;
    let mut remora = tokio::process::Command::from(remora);
    let output = remora.kill_on_drop(true).output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    Some(said(&output))
}

#[tokio::test]
async fn go_is_recorded_but_where_it_asks_loopback_by_that_name() {
    let folder = tempfile::tempdir().unwrap();
    if !is_compiled(GO, "ask.go", &["go", "build", "-o", "ask"], folder.path()) {
        return;
    }
    let (place, server) = (Place::start().await, Server::start().await);
    let port = origin::start().await;
    let mut ask = Command::new(folder.path().join("ask"));
    ask.arg(format!("http://api.test:{port}/one"))
        .arg(server.url("/two").replace("localhost", "api.test"))
        .arg(format!("http://localhost:{port}/three"));
    let [flag, file] = server.trusted();
    let options = ["--workload", "go", &flag, &file];
    let Some((out, err)) = run(&place, &options, &ask).await else {
        return;
    };
    assert_eq!(out, "/one\nsecret\n/three\n", "{err}");
    assert_eq!(
        place.calls("go").await,
        ["outbound GET /one 200", "outbound GET /two 200"]
    );
    assert!(err.contains("nor are calls of Go to localhost"), "{err}");
    let status = Client::new().status(&place.hub.api()).await.unwrap();
    assert_eq!(status["coverage"]["proxied"], serde_json::json!(["go"]));
}

#[tokio::test]
async fn java_is_recorded_and_keeps_its_own_options() {
    let folder = tempfile::tempdir().unwrap();
    if !is_compiled(JAVA, "Ask.java", &["javac"], folder.path()) {
        return;
    }
    let (place, server) = (Place::start().await, Server::start().await);
    let port = origin::start().await;
    let mut ask = Command::new("java");
    // The older client of the two names no server to TLS whose name has no dot, and is then not looked into.
    ask.arg("-cp")
        .arg(folder.path())
        .arg("Ask")
        .arg(format!("http://localhost:{port}"))
        .arg(server.url("").replace("localhost", "api.test"))
        .env("JAVA_TOOL_OPTIONS", "-Dmark=kept");
    let [flag, file] = server.trusted();
    let options = ["--workload", "java", &flag, &file];
    let Some((out, err)) = run(&place, &options, &ask).await else {
        return;
    };
    assert_eq!(out, "kept\n/client\n/stream\nsecret\nsecret\n", "{err}");
    let each = ["outbound GET /client 200", "outbound GET /stream 200"];
    assert_eq!(
        place.calls("java").await,
        [each[0], each[0], each[1], each[1]]
    );
}
