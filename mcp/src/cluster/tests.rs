use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use futures_util::future::join_all;
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewStatus, UserInfo};
use test_case::test_case;
use tokio::time::advance;

use super::remembered::ENTRIES;
use super::*;

/// An API server that knows every token that begins with `good`.
#[derive(Default)]
struct Server {
    asked: AtomicUsize,
    at_a_time: AtomicUsize,
    most_at_a_time: AtomicUsize,
    /// Never answers.
    hangs: Mutex<bool>,
    away: Mutex<bool>,
    denied: Mutex<Option<Right>>,
    /// The one namespace in which there is a right to bodies, whatever else there is.
    bodies_only: Mutex<Option<&'static str>>,
    /// The one namespace in which there are rights.
    only: Mutex<Option<&'static str>>,
}

impl Server {
    async fn answer(&self) -> Result<(), Away> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let now = self.at_a_time.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_a_time.fetch_max(now, Ordering::SeqCst);
        tokio::task::yield_now().await;
        if *self.hangs.lock().unwrap() {
            std::future::pending::<()>().await;
        }
        self.at_a_time.fetch_sub(1, Ordering::SeqCst);
        if *self.away.lock().unwrap() {
            Err(Away)
        } else {
            Ok(())
        }
    }

    fn asked(&self) -> usize {
        self.asked.swap(0, Ordering::SeqCst)
    }
}

#[async_trait::async_trait]
impl Reviews for Arc<Server> {
    async fn token(&self, token: &str) -> Result<Option<Identity>, Away> {
        self.answer().await?;
        let known = token.starts_with("good");
        Ok(known.then(|| Identity {
            user: token.to_owned(),
            ..Identity::default()
        }))
    }

    async fn allows(
        &self,
        _: &Identity,
        right: Right,
        namespace: Option<&str>,
    ) -> Result<bool, Away> {
        self.answer().await?;
        let elsewhere = self
            .only
            .lock()
            .unwrap()
            .is_some_and(|only| Some(only) != namespace);
        let bodies_only = *self.bodies_only.lock().unwrap();
        let without = right == Right::Bodies && bodies_only.is_some() && bodies_only != namespace;
        Ok(*self.denied.lock().unwrap() != Some(right) && !elsewhere && !without)
    }
}

fn cluster() -> (Arc<Server>, Cluster) {
    let server = Arc::new(Server::default());
    (Arc::clone(&server), Cluster::over(Box::new(server)))
}

async fn status(cluster: &Cluster, token: &str) -> u16 {
    let found = cluster.identify(token).await;
    found.map_or_else(|error| error.status().as_u16(), |_| 200)
}

#[tokio::test(start_paused = true)]
async fn a_token_is_asked_about_once_a_minute_and_a_refused_one_every_ten_seconds() {
    let (server, cluster) = cluster();
    for (token, expected, seconds) in [("good", 200, 60), ("bad", 401, 10)] {
        for _ in 0..3 {
            assert_eq!(status(&cluster, token).await, expected);
        }
        assert_eq!(server.asked(), 1);
        advance(Duration::from_secs(seconds - 1)).await;
        assert_eq!(status(&cluster, token).await, expected);
        assert_eq!(server.asked(), 0);
        advance(Duration::from_secs(1)).await;
        assert_eq!(status(&cluster, token).await, expected);
        assert_eq!(server.asked(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn faults_are_a_right_of_their_own_in_each_namespace() {
    let (server, cluster) = cluster();
    let who = cluster.identify("good").await.unwrap();
    let may = async |namespace| {
        let checked = cluster.check_may_make_faults(&who, namespace).await;
        checked.map_or_else(|error| error.status().as_u16(), |()| 200)
    };
    assert_eq!(may("shop").await, 200);
    *server.only.lock().unwrap() = Some("shop");
    assert_eq!(may("bank").await, 403);
    *server.denied.lock().unwrap() = Some(Right::Faults);
    advance(RIGHTS).await;
    assert_eq!(may("shop").await, 403);
    *server.away.lock().unwrap() = true;
    advance(RIGHTS).await;
    assert_eq!(may("shop").await, 503);
}

#[tokio::test(start_paused = true)]
async fn those_who_show_the_same_token_at_a_time_share_one_question() {
    let (server, cluster) = cluster();
    let all = join_all((0..50).map(|_| status(&cluster, "good"))).await;
    assert_eq!((all, server.asked()), (vec![200; 50], 1));
}

#[tokio::test(start_paused = true)]
async fn many_tokens_are_asked_about_a_few_at_a_time_and_not_all_remembered() {
    let (server, cluster) = cluster();
    let tokens: Vec<_> = (0..ENTRIES + 100).map(|at| format!("bad {at}")).collect();
    for some in tokens.chunks(100) {
        join_all(some.iter().map(|token| status(&cluster, token))).await;
    }
    assert_eq!(server.most_at_a_time.load(Ordering::SeqCst), AT_A_TIME);
    assert!(cluster.tokens.len() <= ENTRIES, "{}", cluster.tokens.len());
}

#[tokio::test(start_paused = true)]
async fn while_the_api_server_is_away_nobody_is_let_in_and_nobody_refused_for_good() {
    let (server, cluster) = cluster();
    *server.away.lock().unwrap() = true;
    assert_eq!(status(&cluster, "good").await, 503);
    assert_eq!(status(&cluster, "good").await, 503);
    assert_eq!(server.asked(), 1);
    *server.away.lock().unwrap() = false;
    advance(PAUSE).await;
    let who = cluster.identify("good").await.unwrap();
    *server.away.lock().unwrap() = true;
    let refused = cluster.scope(&who, namespaces()).await.unwrap_err();
    assert_eq!(
        (refused.status(), refused.code()),
        (StatusCode::SERVICE_UNAVAILABLE, "kubernetes_away")
    );
    assert!(
        refused
            .into_response()
            .headers()
            .contains_key("retry-after")
    );
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_never_answers_is_away_after_the_deadline() {
    let (server, cluster) = cluster();
    *server.hangs.lock().unwrap() = true;
    let began = tokio::time::Instant::now();
    let all = join_all((0..5).map(|_| status(&cluster, "good"))).await;
    assert_eq!((all, server.asked()), (vec![503; 5], 1));
    assert_eq!(began.elapsed(), DEADLINE);
}

async fn namespaces() -> Result<BTreeSet<String>, ApiError> {
    Ok(["bank", "shop"].map(str::to_owned).into())
}

#[tokio::test]
async fn who_may_not_see_all_sees_the_namespaces_in_which_they_may() {
    let (server, cluster) = cluster();
    let who = cluster.identify("good").await.unwrap();
    assert_eq!(cluster.scope(&who, namespaces()).await.unwrap(), Scope::ALL);
    let other = cluster.identify("good2").await.unwrap();
    *server.only.lock().unwrap() = Some("shop");
    assert_eq!(
        cluster.scope(&other, namespaces()).await.unwrap(),
        Scope::whole(only(&["shop"]))
    );
}

fn only(names: &[&str]) -> Namespaces {
    Namespaces::Only(names.iter().map(|&name| name.to_owned()).collect())
}

#[test_case(None, Some("shop"), Namespaces::All, &["shop"]; "bodies of one of all namespaces")]
#[test_case(Some("shop"), Some("shop"), only(&["shop"]), &["shop"]; "one namespace, whole")]
#[test_case(Some("shop"), Some("bank"), only(&["shop"]), &[]; "bodies without their calls")]
#[test_case(None, Some("new"), Namespaces::All, &[]; "calls alone")]
#[tokio::test]
async fn calls_and_their_bodies_are_two_rights(
    calls_in: Option<&'static str>,
    bodies_in: Option<&'static str>,
    calls: Namespaces,
    bodies: &[&str],
) {
    let (server, cluster) = cluster();
    *server.only.lock().unwrap() = calls_in;
    *server.bodies_only.lock().unwrap() = bodies_in;
    let who = cluster.identify("good").await.unwrap();
    let scope = cluster.scope(&who, namespaces()).await.unwrap();
    assert_eq!(scope, Scope::new(calls, only(bodies)));
}

#[tokio::test(start_paused = true)]
async fn a_right_that_was_taken_away_is_gone_in_half_a_minute() {
    let (server, cluster) = cluster();
    let who = cluster.identify("good").await.unwrap();
    assert!(cluster.scope(&who, namespaces()).await.is_ok());
    *server.denied.lock().unwrap() = Some(Right::Bodies);
    advance(RIGHTS).await;
    let scope = cluster.scope(&who, namespaces()).await.unwrap();
    assert_eq!(scope, Scope::new(Namespaces::All, only(&[])));
    *server.denied.lock().unwrap() = Some(Right::Calls);
    advance(RIGHTS).await;
    let refused = cluster.scope(&who, namespaces()).await.unwrap_err();
    assert_eq!(
        (refused.status(), refused.code()),
        (StatusCode::FORBIDDEN, "forbidden")
    );
}

#[test_case("good", 60; "one that does not say when it ends")]
#[test_case("good.e30.x", 60; "a web token that does not either")]
#[test_case("good.eyJleHAiOjF9.x", 0; "one that ended long ago")]
#[tokio::test(start_paused = true)]
async fn an_accepted_token_is_not_trusted_past_its_own_end(token: &str, seconds: u64) {
    assert_eq!(ACCEPTED.min(time_left(token)), Duration::from_secs(seconds));
    let (server, cluster) = cluster();
    status(&cluster, token).await;
    status(&cluster, token).await;
    assert_eq!(server.asked(), if seconds == 0 { 2 } else { 1 });
}

#[tokio::test]
async fn a_token_beyond_all_size_is_not_asked_about() {
    let (server, cluster) = cluster();
    assert_eq!(status(&cluster, &"good".repeat(TOKEN_BYTES)).await, 401);
    assert_eq!(server.asked(), 0);
}

#[test_case(Some(true), Some(&["remora-hub"]), "jane", true; "one for us")]
#[test_case(Some(true), Some(&["other", "remora-hub"]), "jane", true; "one for us among others")]
#[test_case(Some(true), Some(&["other"]), "jane", false; "one for somebody else")]
#[test_case(Some(true), Some(&[]), "jane", false; "one for nobody")]
#[test_case(Some(true), None, "jane", false; "one whose audience was not looked at")]
#[test_case(Some(false), Some(&["remora-hub"]), "jane", false; "one that is not good")]
#[test_case(None, Some(&["remora-hub"]), "jane", false; "one of which nothing is said")]
#[test_case(Some(true), Some(&["remora-hub"]), "", false; "one of somebody without a name")]
fn token(authenticated: Option<bool>, audiences: Option<&[&str]>, user: &str, expected: bool) {
    let review = TokenReview {
        status: Some(TokenReviewStatus {
            authenticated,
            audiences: audiences.map(|all| all.iter().map(|&one| one.to_owned()).collect()),
            user: Some(UserInfo {
                username: Some(user.to_owned()),
                ..UserInfo::default()
            }),
            error: None,
        }),
        ..TokenReview::default()
    };
    assert_eq!(reviews::accepted(review).is_some(), expected);
}
