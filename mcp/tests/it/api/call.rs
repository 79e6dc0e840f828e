use serde_json::Value;

use crate::api::calls::timeless;
use crate::hub::TestHub;

async fn id_of(hub: &TestHub, filter: &str) -> String {
    let path = format!(
        "/api/v1/calls?fields=id&filter={}",
        crate::http::encoded(filter)
    );
    let answer = hub.get(&path).await.json();
    answer["calls"][0]["id"]
        .as_str()
        .unwrap_or_else(|| panic!("no call in {answer}"))
        .to_owned()
}

async fn whole(filter: &str) -> Value {
    let hub = TestHub::with_shop().await;
    let id = id_of(&hub, filter).await;
    timeless(hub.get(&format!("/api/v1/calls/{id}")).await.json())
}

#[tokio::test]
async fn a_call_with_text_and_binary_bodies() {
    insta::assert_json_snapshot!(whole("method == \"POST\"").await);
}

#[tokio::test]
async fn a_call_that_was_refused() {
    insta::assert_json_snapshot!(whole("path == \"/pay\"").await);
}

#[tokio::test]
async fn a_tls_connection_that_was_passed_through() {
    insta::assert_json_snapshot!(whole("tls").await);
}

#[tokio::test]
async fn an_opaque_connection() {
    insta::assert_json_snapshot!(whole("opaque").await);
}

#[tokio::test]
async fn fields_are_shown_as_chosen() {
    let hub = TestHub::with_shop().await;
    let id = id_of(&hub, "method == \"POST\"").await;
    let mut answer = hub
        .get(&format!(
            "/api/v1/calls/{id}?fields=method,request.size,opaque"
        ))
        .await
        .json();
    answer.as_object_mut().unwrap().remove("coverage");
    assert_eq!(
        answer.to_string(),
        r#"{"method":"POST","request":{"size":54},"opaque":null}"#
    );
}

#[tokio::test]
async fn a_call_that_is_not_there_is_not_found() {
    let hub = TestHub::with_shop().await;
    let answer = hub.get("/api/v1/calls/c999-1").await;
    assert_eq!(
        (answer.status.as_u16(), answer.error_code().as_str()),
        (404, "no_such_call")
    );
}

#[tokio::test]
async fn what_is_no_id_is_refused() {
    let hub = TestHub::start().await;
    for id in ["12", "c01-1", "c1-1%ff", "c1-99999999999999"] {
        let answer = hub.get(&format!("/api/v1/calls/{id}")).await;
        assert_eq!(
            (answer.status.as_u16(), answer.error_code().as_str()),
            (400, "bad_call_id"),
            "{id}"
        );
    }
}
