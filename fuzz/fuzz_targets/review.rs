//! Any bytes where an AdmissionReview is expected, under every path of the webhook: there is an answer, it allows the
//! pod, and what it adds leaves a pod that needs nothing more.
#![no_main]

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::Pod;
use remora_injector::config::{Config, Options, Sidecars};
use remora_injector::decide::Decision;
use remora_injector::webhook::{Selected, SelectedBy, SelectedPodSecurity, answer, answer_check};
use serde_json::Value;

static CONFIGS: LazyLock<[Config; 2]> = LazyLock::new(|| {
    let options = Options {
        image: "registry.example/remora:1".to_owned(),
        ..Options::default()
    };
    let native = Config::check(options).expect("the defaults are good");
    [
        Config {
            sidecars: Sidecars::Classic,
            ..native.clone()
        },
        native,
    ]
});

libfuzzer_sys::fuzz_target!(|review: &[u8]| {
    let body = answer_check(review);
    let body: Value = serde_json::from_slice(&body).expect("an answer is JSON");
    assert_eq!(body["response"]["allowed"], true);
    for by in [SelectedBy::Namespace, SelectedBy::Pod] {
        for pod_security in [SelectedPodSecurity::Permits, SelectedPodSecurity::Refuses] {
            for config in &*CONFIGS {
                check(review, Selected { by, pod_security }, config);
            }
        }
    }
});

fn check(review: &[u8], selected: Selected, config: &Config) {
    let answer = answer(review, selected, config, |_| false);
    let body: Value = serde_json::from_slice(&answer.body).expect("an answer is JSON");
    assert_eq!(body["kind"], "AdmissionReview");
    let response = &body["response"];
    assert_eq!(response["allowed"], true);
    let Some(patch) = response["patch"].as_str() else {
        assert_ne!(
            answer.decision,
            Some(Decision::Inject),
            "a sidecar without a patch"
        );
        return;
    };
    assert_eq!(response["patchType"], "JSONPatch");
    let patch = STANDARD.decode(patch).expect("a patch is base64");
    let patch: json_patch::Patch = serde_json::from_slice(&patch).expect("a patch is a JSON patch");
    let review: Value = serde_json::from_slice(review).expect("what was patched was read");
    assert_eq!(review["request"]["uid"], response["uid"]);
    let review = patched(review, &patch);
    let has_sidecar = review["request"]["object"]["spec"]
        .to_string()
        .contains("\"remora-proxy\"");
    assert!(has_sidecar || answer.decision != Some(Decision::Inject));
    // Asked again, as after another webhook: there is nothing left to do.
    let again = self::answer(review.to_string().as_bytes(), selected, config, |_| false);
    let again: Value = serde_json::from_slice(&again.body).expect("an answer is JSON");
    assert_eq!(again.pointer("/response/patch"), None, "{review}");
}

/// The review with its pod patched, which is as much of a pod as before.
fn patched(mut review: Value, patch: &json_patch::Patch) -> Value {
    let pod = &mut review["request"]["object"];
    let was_pod = serde_json::from_value::<Pod>(pod.clone()).is_ok();
    json_patch::patch(pod, patch).expect("a patch applies to the pod it is for");
    let typed = serde_json::from_value::<Pod>(pod.clone());
    assert!(typed.is_ok() || !was_pod, "no pod any more: {typed:?}");
    review
}
