//! The traffic that the questions are about: a shop calls two services, each beside its sidecar.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response};
use serde_json::Value;

use crate::support::api::Client;
use crate::support::process::{HubPlace, Running, free_port, start_mapped};
use crate::support::{eventually, origin};

/// A hub with calls of three sidecars.
pub struct Town {
    pub place: HubPlace,
    pub client: Client,
    /// Port at which the shop calls the payment service.
    pub payment: u16,
    /// Every call, newest first, as the hub shows it without a filter.
    pub calls: Vec<Value>,
    _running: Vec<Running>,
}

impl Town {
    pub async fn start() -> Self {
        let place = HubPlace::new();
        let mut running = vec![place.start()];
        let upstream = origin::serve(answer).await;
        let inbound = |workload: &'static str, namespace: &'static str| {
            let options = ["--workload", workload, "--namespace", namespace];
            start_mapped(&place.ingest(), "inbound", upstream, &options)
        };
        let (payment_sidecar, payment) = inbound("payment", "dev");
        let (login_sidecar, login) = inbound("login", "auth");
        let login_listener = free_port();
        let map = format!("outbound:127.0.0.1:{login_listener}=127.0.0.1:{login}");
        let mut options = vec!["--workload", "shop", "--namespace", "dev"];
        options.extend(["--revision", "7f8b9c", "--map", &map]);
        let (shop_sidecar, payment) = start_mapped(&place.ingest(), "outbound", payment, &options);
        running.extend([payment_sidecar, login_sidecar, shop_sidecar]);
        eventually("the second port listens", || async {
            let login = std::net::TcpStream::connect(("127.0.0.1", login_listener));
            login.ok()
        })
        .await;
        let client = Client::new();
        let sent = trade(&client, payment, login_listener).await;
        let calls = eventually("both legs of all calls are stored", || async {
            let calls = client.matching(&place.api(), "true").await?;
            let complete = calls.iter().filter(|call| call["state"] == "complete");
            (complete.count() >= sent * 2).then_some(calls)
        })
        .await;
        assert_eq!(calls.len(), sent * 2);
        Self {
            place,
            client,
            payment,
            calls,
            _running: running,
        }
    }

    /// Asks the API: status and JSON.
    pub async fn ask(&self, path_and_query: &str) -> (u16, Value) {
        let uri = format!("{}{path_and_query}", self.place.api());
        let (status, body) = self.client.get(&uri, &[]).await.unwrap();
        let text = String::from_utf8_lossy(&body).into_owned();
        (status, serde_json::from_str(&text).unwrap_or(text.into()))
    }
}

/// What both services do.
async fn answer(request: Request<Bytes>) -> Response<Bytes> {
    let path = request.uri().path().to_owned();
    if path.ends_with("/slow") {
        tokio::time::sleep(Duration::from_millis(2_100)).await;
    }
    let status = match path.as_str() {
        "/broken" => 503,
        "/nowhere" => 404,
        _ => 200,
    };
    let mut response = Response::builder().status(status);
    if path.starts_with("/api/orders/") {
        response = response.header("Cache-Control", "no-store");
    }
    let json = format!(r#"{{"path":"{path}","items":[]}}"#);
    response = response.header("Content-Type", "application/json");
    response.body(Bytes::from(json)).unwrap()
}

/// What the shop calls; gives how many calls that are.
async fn trade(client: &Client, payment: u16, login: u16) -> usize {
    let calls = [
        ("GET", payment, "/api/orders/17?page=2", &[][..], ""),
        (
            "GET",
            payment,
            "/api/orders/18",
            &[("x-request-id", "abc")],
            "",
        ),
        ("GET", payment, "/api/orders/slow", &[], ""),
        (
            "POST",
            payment,
            "/pay",
            &[("content-type", "application/json")],
            r#"{"amount":12}"#,
        ),
        (
            "POST",
            payment,
            "/pay/slow",
            &[
                ("content-type", "text/plain"),
                ("authorization", "Bearer a-token-of-somebody-1"),
            ],
            "12",
        ),
        ("GET", payment, "/broken", &[("x-request-id", "other")], ""),
        ("GET", payment, "/nowhere", &[], ""),
        (
            "POST",
            login,
            "/login",
            &[("content-type", "application/x-www-form-urlencoded")],
            "user=ann",
        ),
        (
            "GET",
            login,
            "/session",
            &[("authorization", "Bearer a-token-of-somebody-1")],
            "",
        ),
        ("GET", login, "/broken", &[], ""),
    ];
    let sent = calls.map(|(method, port, target, headers, body)| {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://127.0.0.1:{port}{target}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::from(body)).unwrap();
        let client = client.clone();
        tokio::spawn(async move { client.send(request).await.expect("the service answers") })
    });
    let count = sent.len();
    for call in sent {
        call.await.unwrap();
    }
    count
}
