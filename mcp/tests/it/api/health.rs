use crate::http::send;
use crate::hub::TestHub;
use bytes::Bytes;
use hyper::Method;

#[tokio::test]
async fn probes_need_neither_a_known_host_nor_a_token() {
    let hub = TestHub::start().await;
    for path in ["/healthz", "/readyz", "/metrics"] {
        let answer = send(
            hub.api_address(),
            Method::GET,
            path,
            &[("host", "10.1.2.3.example")],
            Bytes::new(),
        )
        .await;
        assert_eq!(answer.status, 200, "{path}");
    }
}

#[tokio::test]
async fn metrics_count_what_came_in() {
    let hub = TestHub::with_shop().await;
    let metrics = hub.get("/metrics").await;
    let text = metrics.text();
    for line in [
        "remora_hub_ingest_blocks_total 2",
        "remora_hub_store_blocks 2",
        "remora_hub_store_writable 1",
        "remora_hub_ingest_requests_total 1",
    ] {
        assert!(
            text.lines().any(|found| found == line),
            "no {line} in {text}"
        );
    }
    assert!(text.ends_with("# EOF\n"));
}
