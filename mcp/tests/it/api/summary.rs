use crate::api::calls::timeless;
use crate::hub::TestHub;

#[tokio::test]
async fn groups_by_edge_and_route() {
    let hub = TestHub::with_shop().await;
    insta::assert_json_snapshot!(timeless(hub.get("/api/v1/summary").await.json()));
}

#[tokio::test]
async fn groups_by_status_and_revision_of_what_matches() {
    let hub = TestHub::with_shop().await;
    let answer = hub
        .get("/api/v1/summary?group_by=status,revision&filter=leg+%3D%3D+%22inbound%22")
        .await;
    insta::assert_json_snapshot!(timeless(answer.json())["groups"]);
}

#[tokio::test]
async fn what_the_limit_cuts_off_is_counted() {
    let hub = TestHub::with_shop().await;
    let all = hub.get("/api/v1/summary").await.json()["groups"]
        .as_array()
        .unwrap()
        .len();
    let answer = hub.get("/api/v1/summary?limit=1").await.json();
    assert_eq!(answer["groups"].as_array().unwrap().len(), 1);
    assert_eq!(answer["groups_omitted"], all - 1);
}

#[tokio::test]
async fn a_wrong_key_is_refused_with_the_nearest_one() {
    let hub = TestHub::start().await;
    let answer = hub.get("/api/v1/summary?group_by=edge,rout").await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json()["error"]["hint"], "did you mean route?");
    assert_eq!(
        hub.get("/api/v1/summary?group_by=edge,edge").await.status,
        400
    );
}

#[tokio::test]
async fn an_empty_summary_says_why() {
    let hub = TestHub::with_shop().await;
    let answer = hub.get("/api/v1/summary?since=1s").await.json();
    assert_eq!(answer["empty_because"]["code"], "nothing_in_window");
}
