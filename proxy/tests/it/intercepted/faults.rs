//! Faults inside TLS that is looked into.

use remora_store::call::{EffectKind, TlsHandling, TlsReason};
use serde_json::json;
use test_case::test_case;

use super::*;
use crate::faults::begin;

#[test_case("--http1.1")]
#[test_case("--http2")]
#[tokio::test]
async fn a_fault_answers_for_the_server_inside_tls(version: &str) {
    let street = Street::with_nginx(Flaw::None, "auto", "").await;
    let effect = json!({"status": 503, "body": "not now"});
    let filter = json!({"filter": {"path_prefix": "/pay"}});
    begin(&street.rig, "outbound", effect, filter);
    let (pay, other) = (
        format!("https://{NAME}/pay"),
        format!("https://{NAME}/other"),
    );
    let mut failing = curl(street.rig.address, &[version, "--fail-with-body", &pay]);
    let (went_well, said) = street.run(&mut failing).await;
    assert!(!went_well && said.starts_with("not now"), "{said}");
    let mut spared = curl(street.rig.address, &[version, "--fail-with-body", &other]);
    let (went_well, said) = street.run(&mut spared).await;
    assert!(went_well && said.contains("/other"), "{said}");
    let calls = street.calls().await;
    assert_eq!(
        handled(&calls),
        [(TlsHandling::Intercepted, TlsReason::Asked); 2]
    );
    let effects = calls.iter().map(|call| Some(call.fault.as_ref()?.effect));
    assert_eq!(
        effects.collect::<Vec<_>>(),
        [Some(EffectKind::Status), None]
    );
}
