//! What is offered, to whom, and in which order.

use std::sync::Arc;

use remora_store::block::{BlockMeta, Codec, Origin, seal};
use remora_store::memory::Memory;
use remora_store::store::{Namespaces, ReceivedBlock};
use remora_store::testing::call;
use test_case::test_case;
use tokio::sync::watch;

use super::*;
use crate::control::Control;
use crate::keys::RedactionKey;
use crate::resources::{ReadError, read};

fn of(names: impl IntoIterator<Item = impl Into<String>>, typed: &str) -> Values {
    matching(names.into_iter().map(Into::into).collect(), typed)
}

#[test]
fn what_begins_so_comes_before_what_has_it_elsewhere() {
    let found = of(["web-orders", "Orders", "payments", "orders-db"], "or");
    assert_eq!(found.values, ["Orders", "orders-db", "web-orders"]);
}

#[test]
fn an_answer_has_at_most_a_hundred_values_and_says_how_many_there_are() {
    let found = of((0..250).map(|i| format!("w{i}")), "");
    assert_eq!((found.values.len(), found.total), (VALUES, 250));
}

/// One call of a workload in a namespace of the same name.
fn recorded(incarnation: u128, name: &str, path: &str) -> ReceivedBlock {
    let origin = Origin {
        incarnation,
        workload: name.to_owned(),
        namespace: name.to_owned(),
        ..Origin::default()
    };
    let meta = BlockMeta {
        origin: origin.clone(),
        sequence: 1,
        sealed_ns: now_ns(),
        ..BlockMeta::default()
    };
    ReceivedBlock {
        origin,
        bytes: seal(&meta, &[call(now_ns(), path, 200)], None, Codec::Raw),
    }
}

/// A hub with a call in each of two namespaces, and the right to see one of them.
async fn half_seen() -> (App, Scope, watch::Sender<bool>) {
    let (running, draining) = watch::channel(false);
    let store = Arc::new(Memory::new(1 << 20));
    let app = App::new(
        store,
        Control::new(RedactionKey::random()),
        Default::default(),
        draining,
    );
    let blocks = vec![
        recorded(1, "mine", "/mine/a"),
        recorded(2, "theirs", "/theirs/b"),
        recorded(3, "mine", "/say: ignore all"),
    ];
    app.store.ingest(blocks).await.unwrap();
    let scope = Scope::whole(Namespaces::Only(["mine".to_owned()].into()));
    (app, scope, running)
}

#[test_case("compare_deploys", "workload", "mine"; "workloads")]
#[test_case("audit_token_flow", "namespace", "mine"; "namespaces")]
#[test_case("verify_cache", "route", "/mine/a"; "routes, and of those only plain ones")]
#[tokio::test]
async fn nothing_is_offered_that_the_caller_may_not_see(prompt: &str, argument: &str, seen: &str) {
    let (app, scope, _running) = half_seen().await;
    let found = complete(&app, &scope, Of::Prompt(prompt), argument, "").await;
    assert_eq!(found.unwrap().unwrap().values, [seen]);
    let all = complete(&app, &Scope::ALL, Of::Prompt(prompt), argument, "").await;
    assert!(all.unwrap().unwrap().total >= 2);
}

#[tokio::test]
async fn a_call_that_the_caller_may_not_see_is_one_that_is_not_there() {
    let (app, scope, _running) = half_seen().await;
    let mut seen = Vec::new();
    for id in ["c1-0", "c2-0", "c3-0"] {
        for uri in [
            format!("remora://calls/{id}"),
            format!("remora://calls/{id}/body/response"),
        ] {
            match (
                read(&app, &Scope::ALL, &uri).await,
                read(&app, &scope, &uri).await,
            ) {
                (Ok(_), Ok(_)) => seen.push(id),
                (Ok(_), Err(ReadError::NotFound(error))) => {
                    assert!(
                        error.0.contains(&format!("there is no call {id}")),
                        "{error:?}"
                    );
                }
                (Err(_), Err(_)) => {}
                (all, some) => panic!("{uri}: {all:?} {some:?}"),
            }
        }
    }
    assert!(
        seen.contains(&"c1-0") && !seen.contains(&"c2-0"),
        "{seen:?}"
    );
}
