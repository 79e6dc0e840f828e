//! Doubts that take time to arise, in time of the tests' own.

use std::sync::Arc;

use remora_store::block::{BlockMeta, Codec, Origin, seal};
use remora_store::filter::Filter;
use remora_store::memory::Memory;
use remora_store::store::{ReceivedBlock, Scope};
use remora_store::testing::call;
use serde_json::{Value, json};
use test_case::test_case;
use tokio::sync::watch;
use tokio::time::{Duration, advance};

use crate::app::App;
use crate::clock::now_ns;
use crate::control::{Control, Question, SILENT_AFTER, Share, SidecarName};
use crate::keys::RedactionKey;
use crate::snapshot::barrier::{Progress, Wait, wait};
use crate::snapshot::{StartRequest, start};
use crate::verify::{CheckJson, VerifyRequest, verify};

/// A hub, and what sidecars tell it.
struct Scene {
    app: App,
    _running: watch::Sender<bool>,
}

impl Scene {
    fn new() -> Self {
        let (running, draining) = watch::channel(false);
        let control = Control::new(RedactionKey::random());
        let store = Arc::new(Memory::new(1 << 20));
        Self {
            app: App::new(store, control, Default::default(), draining),
            _running: running,
        }
    }

    /// A sidecar of this pod asks, and goes away with a goodbye or without one.
    async fn hears_of(&self, pod: &Pod, outbound: Share, goodbye: bool) {
        let question = Question {
            incarnation: pod.run,
            name: SidecarName {
                namespace: "shop".to_owned(),
                workload: pod.workload.to_owned(),
                pod: format!("{}-{}", pod.workload, pod.run),
            },
            epoch: 0,
            sequence: 0,
            inbound: Share::All,
            outbound,
            goodbye,
            faults: None,
        };
        let draining = self.app.draining.clone();
        self.app.control.ask(question, draining).await.unwrap();
    }

    /// A good answer to `/orders/7` that a sidecar of this pod saw just now.
    async fn hears_a_call_of(&self, pod: &Pod) {
        let origin = Origin {
            incarnation: pod.run,
            workload: pod.workload.to_owned(),
            namespace: "shop".to_owned(),
            pod: format!("{}-{}", pod.workload, pod.run),
            ..Origin::default()
        };
        let meta = BlockMeta {
            origin: origin.clone(),
            sequence: 1,
            sealed_ns: now_ns(),
            ..BlockMeta::default()
        };
        let bytes = seal(&meta, &[call(now_ns(), "/orders/7", 200)], None, Codec::Raw);
        let block = ReceivedBlock { origin, bytes };
        self.app.store.ingest(vec![block]).await.unwrap();
    }

    async fn begins_a_snapshot(&self) -> String {
        let request = StartRequest::default();
        let made = start(&self.app, &Scope::ALL, request).await.unwrap();
        made.id.to_string()
    }

    async fn seals(&self, id: &str) {
        let snapshot = crate::snapshot::find(&self.app, &Scope::ALL, id).await;
        let until = Wait {
            filter: Filter::default(),
            idle: Duration::ZERO,
            min_calls: 0,
            patience: Duration::from_secs(60),
            seal: true,
        };
        let (progress, _) = watch::channel(Progress::default());
        let waited = wait(&self.app, &Scope::ALL, snapshot.unwrap(), &until, &progress).await;
        assert!(waited.unwrap().snapshot.seal.is_some());
    }

    async fn judges(&self, snapshot: &str, check: &str, args: Value) -> CheckJson {
        let request: VerifyRequest = serde_json::from_value(json!({
            "snapshot": snapshot, "expectations": [{"check": check, "args": args}],
        }))
        .unwrap();
        let mut answer = verify(&self.app, &Scope::ALL, request).await.unwrap();
        answer.checks.remove(0)
    }
}

struct Pod {
    workload: &'static str,
    run: u128,
}

const WEB_1: Pod = Pod {
    workload: "web",
    run: 1,
};
const WEB_2: Pod = Pod {
    workload: "web",
    run: 2,
};
const BATCH: Pod = Pod {
    workload: "batch",
    run: 3,
};

#[test_case("no_call", json!({"filter": {"src": "web", "dst": "admin"}}))]
#[test_case("status", json!({"filter": {"dst": "web"}}))]
#[tokio::test(start_paused = true)]
async fn a_sidecar_that_fell_silent_before_the_snapshot_began_is_missed(check: &str, args: Value) {
    for (silent, expected) in [(&WEB_2, "inconclusive"), (&BATCH, "pass")] {
        let scene = Scene::new();
        scene.hears_of(silent, Share::All, false).await;
        advance(SILENT_AFTER).await;
        let id = scene.begins_a_snapshot().await;
        scene.hears_a_call_of(&WEB_1).await;
        scene.hears_of(&WEB_1, Share::All, true).await;
        if check == "status" {
            let live = scene.judges("live:15m", check, args.clone()).await;
            assert_eq!(live.verdict, expected, "{live:?}");
        }
        scene.seals(&id).await;
        let sealed = scene.judges(&id, check, args.clone()).await;
        assert_eq!(sealed.verdict, expected, "{sealed:?}");
        let says = sealed
            .why
            .contains("the sidecar of web had not handed over");
        assert_eq!(says, expected == "inconclusive", "{sealed:?}");
    }
}

#[test_case(Share::All, "pass"; "it got all calls")]
#[test_case(Share::Nothing, "inconclusive"; "it got none")]
#[test_case(Share::Proxied, "inconclusive"; "it got those that a proxy is asked for")]
#[tokio::test(start_paused = true)]
async fn what_was_not_seen_at_the_seal_stays_so(then: Share, expected: &str) {
    let scene = Scene::new();
    let id = scene.begins_a_snapshot().await;
    scene.hears_a_call_of(&WEB_1).await;
    scene.hears_of(&WEB_1, then, false).await;
    scene.hears_of(&WEB_1, then, true).await;
    scene.seals(&id).await;
    let absent = json!({"filter": {"src": "web", "dst": "admin"}});
    let sealed = scene.judges(&id, "no_call", absent.clone()).await;
    assert_eq!(sealed.verdict, expected, "{sealed:?}");
    for later in [Share::Nothing, Share::Proxied, Share::All] {
        scene.hears_of(&WEB_2, later, false).await;
        let again = scene.judges(&id, "no_call", absent.clone()).await;
        assert_eq!((again.verdict, &again.why), (expected, &sealed.why));
    }
}
