use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use bytes::{BufMut, BytesMut};
use remora_store::block::{BlockMeta, Codec, seal};
use remora_store::call::Call;
use remora_store::memory::Memory;
use remora_store::store::Scope;
use remora_store::testing::call;
use tokio::sync::watch;
use tower::Service as _;

use super::*;
use crate::app::App;
use crate::auth::{AllowedHosts, Asked, Gate};
use crate::control::Control;
use crate::descriptors::Descriptors;
use crate::descriptors::known::Known;
use crate::keys::RedactionKey;
use crate::router;

fn proven(uid: &str) -> ProvenPod {
    ProvenPod {
        namespace: "shop".to_owned(),
        name: "cart-1".to_owned(),
        uid: uid.to_owned(),
        facts: Some(PodFacts {
            workload: "cart".to_owned(),
            revision: "abc".to_owned(),
            ips: vec!["10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap()],
        }),
    }
}

fn pod(uid: &str) -> Writer {
    Writer::Pod(proven(uid))
}

fn lie() -> Origin {
    Origin {
        incarnation: 7,
        workload: "bank".to_owned(),
        namespace: "money".to_owned(),
        pod: "bank-0".to_owned(),
        pod_uid: "its uid".to_owned(),
        revision: "9".to_owned(),
        serves: vec!["10.0.0.9:443".parse().unwrap()],
    }
}

#[test]
fn nothing_that_a_pod_says_of_itself_is_believed() {
    let stamped = pod("a").stamp(&lie());
    let expected = Origin {
        incarnation: stamped.incarnation,
        workload: "cart".to_owned(),
        namespace: "shop".to_owned(),
        pod: "cart-1".to_owned(),
        pod_uid: "a".to_owned(),
        revision: "abc".to_owned(),
        serves: vec![
            "10.0.0.1:0".parse().unwrap(),
            "[fd00::1]:0".parse().unwrap(),
        ],
    };
    assert_eq!(stamped, expected);
}

#[test]
fn a_pod_that_the_watch_has_not_heard_of_names_no_address() {
    let unheard = ProvenPod {
        facts: None,
        ..proven("a")
    };
    let stamped = Writer::Pod(unheard).stamp(&lie());
    assert_eq!(stamped.serves, Vec::<SocketAddr>::new());
    assert_eq!((&*stamped.namespace, &*stamped.pod), ("shop", "cart-1"));
}

#[test]
fn the_number_of_a_run_is_bound_to_the_pod() {
    let (a, b) = (pod("a"), pod("b"));
    assert_eq!(a.incarnation(7), a.incarnation(7));
    assert_ne!(a.incarnation(7), b.incarnation(7));
    assert_ne!(a.incarnation(7), a.incarnation(8));
    // To claim what another is filed under leads elsewhere.
    assert_ne!(b.incarnation(a.incarnation(7)), a.incarnation(7));
}

#[test]
fn outside_a_cluster_what_is_claimed_stands() {
    assert_eq!(Writer::Unproven.stamp(&lie()), lie());
    assert_eq!(Writer::Unproven.incarnation(7), 7);
}

/// The ingest port of a hub, asked by whom a test wants.
struct Port {
    app: App,
    _stopping: watch::Sender<bool>,
}

impl Port {
    fn new() -> Self {
        let (stopping, draining) = watch::channel(false);
        let app = App::new(
            Arc::new(Memory::new(64 << 20)),
            Control::new(RedactionKey::random()),
            Known::new(Descriptors::default(), &[]),
            draining,
        );
        Self {
            app,
            _stopping: stopping,
        }
    }

    async fn send(
        &self,
        uid: &str,
        request: axum::http::request::Builder,
        body: Body,
    ) -> StatusCode {
        let gate = Gate {
            hosts: AllowedHosts::new(&[]).unwrap(),
            asked: Asked::Nothing,
        };
        let mut request = request.header("host", "localhost").body(body).unwrap();
        request.extensions_mut().insert(Proved(Some(proven(uid))));
        let answer = router::ingest(self.app.clone(), gate).call(request).await;
        answer.unwrap().status()
    }

    /// Brings a block as a sidecar would whose words are `claimed`.
    async fn write(&self, uid: &str, claimed: &Origin, sequence: u64, calls: &[Call]) {
        let meta = BlockMeta {
            origin: claimed.clone(),
            sequence,
            redaction_key: "k-1".to_owned(),
            ..BlockMeta::default()
        };
        let block = seal(&meta, calls, None, Codec::Raw);
        let mut body = BytesMut::new();
        body.put_u32_le(u32::try_from(block.len()).unwrap());
        body.put_slice(&block);
        let request = Request::post("/ingest/v1/blocks")
            .header("content-type", "application/vnd.remora.blocks")
            .header(
                "x-remora-incarnation",
                format!("{:032x}", claimed.incarnation),
            );
        let status = self.send(uid, request, Body::from(body.freeze())).await;
        assert_eq!(status, StatusCode::OK);
    }

    /// Asks on the control channel.
    async fn ask(&self, uid: &str, claimed: &Origin, more: &str) {
        let request = Request::get(format!(
            "/ingest/v1/control?incarnation={:032x}&namespace={}&workload={}&pod={}{more}",
            claimed.incarnation, claimed.namespace, claimed.workload, claimed.pod
        ));
        let status = self.send(uid, request, Body::empty()).await;
        assert_eq!(status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_block_under_the_number_of_another_pod_hides_none_of_its_blocks() {
    let port = Port::new();
    // The hostile one is first, and says it is the other.
    port.write("b", &lie(), 1, &[call(1_000, "/a", 200)]).await;
    port.write("a", &lie(), 1, &[call(1_000, "/a", 200)]).await;
    // What is the same pod's comes once.
    port.write("a", &lie(), 1, &[call(1_000, "/a", 200)]).await;
    let recorders = port.app.store.recorders(&Scope::ALL).await.unwrap();
    let mut uids: Vec<_> = recorders
        .iter()
        .map(|it| it.origin.pod_uid.as_str())
        .collect();
    uids.sort_unstable();
    assert_eq!(uids, ["a", "b"]);
    assert_eq!(port.app.store.health().await.calls, 2);
}

#[tokio::test]
async fn a_goodbye_in_the_name_of_another_pod_ends_nobody() {
    let port = Port::new();
    port.ask("a", &lie(), "").await;
    port.ask("b", &lie(), "&goodbye=true").await;
    // Not under the number either by which the other is known inside.
    let known = Origin {
        incarnation: pod("a").incarnation(lie().incarnation),
        ..lie()
    };
    port.ask("b", &known, "&goodbye=true").await;
    let there = port.app.control.sidecars();
    let names: Vec<_> = there
        .iter()
        .map(|it| (&*it.name.namespace, &*it.name.workload))
        .collect();
    assert_eq!(names, [("shop", "cart")]);
    port.ask("a", &lie(), "&goodbye=true").await;
    assert!(port.app.control.sidecars().is_empty());
}

#[test]
fn a_token_that_is_of_no_pod_writes_nothing() {
    let mut extensions = Extensions::new();
    extensions.insert(Proved(None));
    let refused = Writer::of(&extensions).unwrap_err();
    assert_eq!(
        (refused.status(), refused.code()),
        (StatusCode::FORBIDDEN, "not_a_pod")
    );
}

#[tokio::test]
async fn an_address_names_the_pod_that_has_it_whoever_else_claims_it() {
    let port = Port::new();
    let mut called = call(1_000, "/a", 200);
    called.src = "10.0.0.1:40000".parse().unwrap();
    called.dst = "10.0.0.9:443".parse().unwrap();
    // That it serves 10.0.0.9 is a lie; that it has 10.0.0.1 is what the cluster says.
    port.write("a", &lie(), 1, &[called]).await;
    let recorders = port.app.store.recorders(&Scope::ALL).await.unwrap();
    let served = &recorders.first().unwrap().origin.serves;
    assert_eq!(
        *served,
        [
            "10.0.0.1:0".parse().unwrap(),
            "[fd00::1]:0".parse().unwrap()
        ]
    );
}
