//! "Exercise, then ask": what a sidecar still holds is part of the answer.

use std::sync::Arc;

use remora_store::block::{BlockMeta, Codec, Origin, seal};
use remora_store::memory::Memory;
use remora_store::store::ReceivedBlock;
use remora_store::testing::call as recorded;
use test_case::test_case;
use tokio::sync::{oneshot, watch};

use super::*;
use crate::clock::now_ns;
use crate::control::{Control, Question, Share, SidecarName};
use crate::keys::RedactionKey;

fn sealed() -> ReceivedBlock {
    let origin = Origin {
        incarnation: 1,
        workload: "orders".to_owned(),
        namespace: "shop".to_owned(),
        ..Origin::default()
    };
    let meta = BlockMeta {
        origin: origin.clone(),
        sequence: 1,
        sealed_ns: now_ns(),
        ..BlockMeta::default()
    };
    let calls = [recorded(now_ns(), "/just/now", 200)];
    ReceivedBlock {
        origin,
        bytes: seal(&meta, &calls, None, Codec::Raw),
    }
}

/// A sidecar that holds one block and ships it only when it is told to.
async fn sidecar(app: App, registered: oneshot::Sender<()>) {
    let ask = async |epoch| {
        let question = Question {
            incarnation: 1,
            name: SidecarName {
                namespace: "shop".to_owned(),
                workload: "orders".to_owned(),
                ..SidecarName::default()
            },
            epoch,
            sequence: 1,
            inbound: Share::All,
            outbound: Share::All,
            goodbye: false,
            faults: None,
        };
        let answer = app.control.ask(question, app.draining.clone()).await;
        answer.unwrap().epoch
    };
    let epoch = ask(0).await;
    registered.send(()).unwrap();
    let told = ask(epoch).await;
    app.store.ingest(vec![sealed()]).await.unwrap();
    ask(told).await;
}

#[test_case(recorder_status::NAME, "orders\tshop\t1"; "status")]
#[test_case(traffic_summary::NAME, "/just/now"; "summary")]
#[test_case(calls_search::NAME, "/just/now"; "search")]
#[tokio::test(start_paused = true)]
async fn a_question_is_answered_with_what_just_happened(tool: &str, expected: &str) {
    let (_running, draining) = watch::channel(false);
    let store = Arc::new(Memory::new(1 << 20));
    let app = App::new(
        store,
        Control::new(RedactionKey::random()),
        Default::default(),
        draining,
    );
    let (registered, is_registered) = oneshot::channel();
    let sidecar = tokio::spawn(sidecar(app.clone(), registered));
    is_registered.await.unwrap();
    let (progress, _) = watch::channel(Progress::default());
    let caller = Caller::anybody();
    let answer = call(&app, &caller, tool, Map::new(), &progress).await;
    let text = answer.unwrap().unwrap().text;
    assert!(text.contains(expected), "{text}");
    sidecar.abort();
}
