use crate::hub::TestHub;

#[tokio::test]
async fn the_contract_is_as_reviewed() {
    let hub = TestHub::start().await;
    insta::assert_json_snapshot!(hub.get("/openapi.json").await.json());
}
