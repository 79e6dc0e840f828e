//! What is not there.

use bytes::Bytes;
use hyper::Method;

use crate::http::send;
use crate::hub::TestHub;

#[tokio::test]
async fn an_unknown_path_is_answered_with_the_nearest_one() {
    let hub = TestHub::start().await;
    let answer = hub.get("/api/v1/call").await;
    assert_eq!(answer.status, 404);
    assert_eq!(
        answer.json()["error"]["hint"],
        "did you mean /api/v1/calls?"
    );
}

#[tokio::test]
async fn a_wrong_method_is_answered_with_the_right_one() {
    let hub = TestHub::start().await;
    for path in ["/api/v1/calls", "/metrics"] {
        let answer = send(hub.api_address(), Method::DELETE, path, &[], Bytes::new()).await;
        assert_eq!(answer.status, 405, "{path}");
        assert_eq!(answer.error_code(), "method_not_allowed", "{path}");
        assert_eq!(answer.headers["allow"], "GET, HEAD", "{path}");
    }
}

#[tokio::test]
async fn each_port_serves_its_own_paths_only() {
    let hub = TestHub::start().await;
    assert_eq!(hub.get("/ingest/v1/control").await.status, 404);
    assert_eq!(
        crate::http::get(hub.ingest_address(), "/api/v1/status")
            .await
            .status,
        404
    );
}
