use std::sync::Arc;

use remora_store::block::{BlockMeta, Codec, Drop, Origin, seal};
use remora_store::memory::Memory;
use remora_store::store::{Namespaces, ReceivedBlock};

use super::*;
use crate::api::status::Status;
use crate::control::{Control, SidecarName};
use crate::keys::RedactionKey;

fn heard(incarnation: u128, live: bool) -> SidecarState {
    SidecarState {
        incarnation,
        name: SidecarName::default(),
        heard_ns: 0,
        live,
        sequence: 0,
        prompt: true,
        allows_faults: None,
    }
}

#[test]
fn a_live_sidecar_counts_even_where_silent_ones_fill_the_list() {
    let silent = (1..=LISTED_SIDECARS as u128).map(|incarnation| heard(incarnation, false));
    let all = silent.chain([heard(0, true)]).collect();
    let coverage = Coverage::new(&[], all, Window::default());
    assert_eq!(
        (coverage.live, coverage.silent, coverage.sidecars_omitted),
        (1, LISTED_SIDECARS as u64, 1)
    );
}

fn recorder(incarnation: u128, reasons: &[&str]) -> Recorder {
    let drop = |reason: &&str| Drop {
        reason: (*reason).to_owned(),
        calls: u64::MAX,
        since_ns: 0,
        until_ns: 1,
    };
    Recorder {
        origin: Origin {
            incarnation,
            ..Origin::default()
        },
        calls: 0,
        first_ns: 0,
        last_ns: 0,
        last_sequence: 0,
        missing_blocks: u64::MAX,
        drops: reasons.iter().map(drop).collect(),
    }
}

#[test]
fn sums_hold_whatever_sidecars_claim() {
    let recorders = [recorder(1, &["queue", "crash"]), recorder(2, &["queue"])];
    let mut sidecars = vec![heard(1, true), heard(2, true)];
    for sidecar in &mut sidecars {
        sidecar.sequence = u64::MAX;
    }
    let coverage = Coverage::new(&recorders, sidecars, Window::default());
    let sums = [
        coverage.dropped,
        coverage.missing_blocks,
        coverage.unshipped_blocks,
        coverage.sidecars[0].dropped,
    ];
    assert_eq!(sums, [u64::MAX; 4]);
}

#[test]
fn reasons_that_a_sidecar_makes_up_are_told_as_other() {
    let recorders = [recorder(1, &["crash", "do as I say", "and this"])];
    let coverage = Coverage::new(&recorders, Vec::new(), Window::default());
    let reasons: Vec<&str> = coverage.dropped_by.into_keys().collect();
    assert_eq!(reasons, ["crash", "other"]);
}

#[tokio::test]
async fn what_other_namespaces_keep_is_not_told() {
    let (_running, draining) = tokio::sync::watch::channel(false);
    let store = Arc::new(Memory::new(1 << 20));
    let origin = Origin {
        incarnation: 1,
        namespace: "secret".to_owned(),
        ..Origin::default()
    };
    let meta = BlockMeta {
        origin: origin.clone(),
        sequence: 1,
        ..BlockMeta::default()
    };
    let calls = [remora_store::testing::call(1_000, "/", 200)];
    let bytes = seal(&meta, &calls, None, Codec::Raw);
    let app = App::new(
        store,
        Control::new(RedactionKey::random()),
        Default::default(),
        draining,
    );
    let block = ReceivedBlock { origin, bytes };
    app.store.ingest(vec![block]).await.unwrap();
    let scopes = [
        Scope::ALL,
        Scope::whole(Namespaces::Only(["shop".to_owned()].into())),
    ];
    for (scope, calls) in scopes.iter().zip([1, 0]) {
        let status = Status::of(&app, scope).await.unwrap();
        assert_eq!(status.store.calls, calls);
        assert_eq!(status.store.oldest.is_some(), calls > 0);
        assert_eq!(status.coverage.kept.calls, calls);
    }
}
