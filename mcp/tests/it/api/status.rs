use crate::api::calls::timeless;
use crate::control::ask;
use crate::hub::{INCARNATION, TestHub};

#[tokio::test]
async fn a_hub_with_two_workloads_and_one_connected_sidecar() {
    let hub = TestHub::with_shop().await;
    ask(&hub, &format!("incarnation={INCARNATION}&workload=orders&namespace=shop&pod=orders-1&epoch=0&sequence=3")).await;
    let mut answer = timeless(hub.get("/api/v1/status").await.json());
    answer["redaction"]["key"] = "[key]".into();
    answer["store"]["bytes"] = "[bytes]".into();
    answer["coverage"]["sidecars"][0]["last_seen"] = "[now]".into();
    insta::assert_json_snapshot!(answer);
}

#[tokio::test]
async fn status_takes_no_parameters() {
    let hub = TestHub::start().await;
    let answer = hub.get("/api/v1/status?verbose=1").await;
    assert_eq!(
        (answer.status.as_u16(), answer.error_code().as_str()),
        (400, "unknown_parameter")
    );
}
