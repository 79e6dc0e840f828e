//! Who is let in, on every route but those of probes.

use std::io::Write as _;

use bytes::Bytes;
use hyper::Method;
use remora_mcp::{Keep, Options};

use crate::http::{Answer, send};
use crate::hub::TestHub;

const TOKEN: &str = "a-token-of-some-length";

const API_PATHS: &[&str] = &[
    "/api/v1/status",
    "/api/v1/calls",
    "/api/v1/calls/c1-1",
    "/api/v1/summary",
    "/api/v1/map",
    "/api/v1/snapshots",
    "/api/v1/snapshots/snp_abcdefghijklmnop",
    "/openapi.json",
    "/mcp",
    "/nowhere",
];

async fn hub_with_token() -> TestHub {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "{TOKEN}").unwrap();
    let mut options = Options::on_any_port(Keep::Memory);
    options.token_file = Some(file.path().to_owned());
    TestHub::start_with(options).await
}

async fn ask(hub: &TestHub, path: &str, headers: &[(&str, &str)]) -> Answer {
    let method = if path == "/mcp" {
        Method::POST
    } else {
        Method::GET
    };
    send(hub.api_address(), method, path, headers, Bytes::new()).await
}

#[tokio::test]
async fn no_route_is_answered_under_a_strange_name() {
    let hub = TestHub::start().await;
    for path in API_PATHS {
        let answer = ask(&hub, path, &[("host", "evil.example")]).await;
        assert_eq!(
            (answer.status.as_u16(), answer.error_code().as_str()),
            (403, "host_not_allowed"),
            "{path}"
        );
    }
    for path in ["/ingest/v1/blocks", "/ingest/v1/control"] {
        let answer = send(
            hub.ingest_address(),
            Method::GET,
            path,
            &[("host", "evil.example")],
            Bytes::new(),
        )
        .await;
        assert_eq!(answer.status, 403, "{path}");
    }
}

#[tokio::test]
async fn no_route_is_answered_to_the_page_of_another_site() {
    let hub = TestHub::start().await;
    for path in API_PATHS {
        let answer = ask(&hub, path, &[("origin", "http://evil.example")]).await;
        assert_eq!(
            (answer.status.as_u16(), answer.error_code().as_str()),
            (403, "origin_not_allowed"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_page_of_this_machine_is_answered() {
    let hub = TestHub::start().await;
    let answer = ask(
        &hub,
        "/api/v1/status",
        &[("origin", "http://localhost:5173")],
    )
    .await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn where_there_is_a_token_it_must_be_shown_on_both_ports() {
    let hub = hub_with_token().await;
    for path in API_PATHS {
        let answer = ask(&hub, path, &[]).await;
        assert_eq!(
            (answer.status.as_u16(), answer.error_code().as_str()),
            (401, "unauthorized"),
            "{path}"
        );
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
    }
    let blocks = crate::hub::framed(&crate::shop::blocks());
    let answer = crate::hub::post_blocks(hub.ingest_address(), blocks).await;
    assert_eq!(answer.status, 401);

    let right = format!("Bearer {TOKEN}");
    assert_eq!(
        ask(&hub, "/api/v1/status", &[("authorization", &right)])
            .await
            .status,
        200
    );
    let wrong = format!("Bearer {}", TOKEN.replace('a', "b"));
    assert_eq!(
        ask(&hub, "/api/v1/status", &[("authorization", &wrong)])
            .await
            .status,
        401
    );
}

#[tokio::test]
async fn who_looks_for_an_authorization_server_is_told_that_there_is_none() {
    let hub = hub_with_token().await;
    let answer = ask(&hub, "/.well-known/oauth-protected-resource/mcp", &[]).await;
    assert_eq!(answer.status, 404);
}
