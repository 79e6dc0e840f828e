#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use proptest::collection;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::json;
use test_case::test_case;

use super::*;
use crate::config::Options;
use crate::decide::Reason;

const BY_NAMESPACE: Selected = Selected {
    by: SelectedBy::Namespace,
    pod_security: SelectedPodSecurity::Permits,
};

/// No pod was refused.
pub(super) fn nobody(_: &Maker) -> bool {
    false
}

pub(super) fn config() -> Config {
    Config::check(Options {
        image: "registry.example/remora:1".to_owned(),
        ..Options::default()
    })
    .unwrap()
}

pub(super) fn request(pod: Value) -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5", "operation": "CREATE", "namespace": "shop", "dryRun": false,
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "userInfo": {"username": "system:serviceaccount:kube-system:replicaset-controller"},
            "object": pod,
        },
    })
}

fn answered(review: &Value, selected: Selected) -> (Answer, Value) {
    let answer = answer(review.to_string().as_bytes(), selected, &config(), nobody);
    let body = serde_json::from_slice(&answer.body).unwrap();
    (answer, body)
}

#[test]
fn a_pod_is_answered_with_its_patch_under_its_uid() {
    let pod = json!({"metadata": {"generateName": "web-"}, "spec": {"serviceAccountName": "default", "containers": [{"name": "web"}]}});
    let (answer, body) = answered(&request(pod), BY_NAMESPACE);
    assert_eq!(answer.decision, Some(Decision::Inject));
    let response = body.get("response").unwrap();
    assert_eq!(body.get("apiVersion").unwrap(), "admission.k8s.io/v1");
    assert_eq!(response.get("uid").unwrap(), "705ab4f5");
    assert_eq!(response.get("allowed").unwrap(), true);
    assert_eq!(response.get("patchType").unwrap(), "JSONPatch");
    let patch = response.get("patch").unwrap();
    // The API server wants base64.
    let patch = STANDARD.decode(patch.as_str().unwrap()).unwrap();
    let patch: json_patch::Patch = serde_json::from_slice(&patch).unwrap();
    assert!(!patch.is_empty());
}

#[test_case("/request/resource/resource", json!("deployments"); "another resource")]
#[test_case("/request/resource/group", json!("apps"); "another group")]
#[test_case("/request/operation", json!("UPDATE"); "an update")]
#[test_case("/request/subResource", json!("ephemeralcontainers"); "a part of a pod")]
fn what_is_no_new_pod_stays_as_it_is(place: &str, value: Value) {
    let mut review = request(
        json!({"spec": {"serviceAccountName": "default", "containers": [{"name": "web"}]}}),
    );
    review["request"]["subResource"] = Value::Null;
    *review.pointer_mut(place).unwrap() = value;
    let (answer, body) = answered(&review, BY_NAMESPACE);
    assert_eq!(answer.decision, None);
    let response = &body["response"];
    assert_eq!(
        (&response["allowed"], &response["patch"]),
        (&json!(true), &Value::Null)
    );
}

#[test]
fn a_pod_whose_token_nobody_could_make_is_left_alone() {
    let pod = json!({"spec": {"containers": [{"name": "web"}]}});
    let (answer, body) = answered(&request(pod.clone()), BY_NAMESPACE);
    assert_eq!(
        answer.decision,
        Some(Decision::Skip(Reason::NoServiceAccount))
    );
    let warning = body["response"]["warnings"][0].as_str().unwrap();
    assert!(warning.contains("no_service_account"), "{warning}");
    // A token from a Secret needs no account.
    let config = Config {
        token: crate::config::Token::Secret("token".to_owned()),
        ..config()
    };
    let review = request(pod).to_string();
    let answer = super::answer(review.as_bytes(), BY_NAMESPACE, &config, nobody);
    assert_eq!(answer.decision, Some(Decision::Inject));
}

#[test]
fn fields_that_no_type_knows_do_not_keep_a_pod_from_its_sidecar() {
    let pod = json!({
        "metadata": {"name": "web", "newInMetadata": {"a": 1}},
        "spec": {"serviceAccountName": "default", "containers": [{"name": "web", "newInContainer": []}], "newInSpec": true},
    });
    let (answer, _) = answered(&request(pod), BY_NAMESPACE);
    assert_eq!(answer.decision, Some(Decision::Inject));
}

#[test_case(SelectedBy::Namespace, SelectedPodSecurity::Permits => Decision::Inject)]
#[test_case(SelectedBy::Namespace, SelectedPodSecurity::Refuses => Decision::Skip(Reason::PodSecurity))]
#[test_case(SelectedBy::Pod, SelectedPodSecurity::Permits => Decision::Skip(Reason::NotEnabled))]
fn what_selected_a_pod_stands_for_the_labels_of_its_namespace(
    by: SelectedBy,
    pod_security: SelectedPodSecurity,
) -> Decision {
    let pod = request(
        json!({"spec": {"serviceAccountName": "default", "containers": [{"name": "web"}]}}),
    );
    answered(&pod, Selected { by, pod_security })
        .0
        .decision
        .unwrap()
}

#[test]
fn a_reason_to_skip_is_a_warning_that_kubectl_shows() {
    let pod = json!({"spec": {"hostNetwork": true, "containers": [{"name": "web"}]}});
    let (_, body) = answered(&request(pod), BY_NAMESPACE);
    let warning = body
        .pointer("/response/warnings/0")
        .unwrap()
        .as_str()
        .unwrap();
    assert!(warning.contains("host_network"), "{warning}");
}

#[test]
fn a_dry_run_is_answered_alike_and_marked() {
    let mut review = request(
        json!({"spec": {"serviceAccountName": "default", "containers": [{"name": "web"}]}}),
    );
    let (real, body) = answered(&review, BY_NAMESPACE);
    *review.pointer_mut("/request/dryRun").unwrap() = true.into();
    let (tried, same) = answered(&review, BY_NAMESPACE);
    assert_eq!((real.dry_run, tried.dry_run), (false, true));
    assert_eq!(body, same);
}

#[test_case(b"" ; "nothing")]
#[test_case(b"\xff\xfe" ; "no text")]
#[test_case(b"[]" ; "another JSON")]
#[test_case(b"{\"request\": null}" ; "no request")]
#[test_case(b"{\"request\": {\"uid\": \"1\", \"object\": {\"spec\": {\"containers\": 7}}}}" ; "half a request")]
fn what_cannot_be_read_is_let_through(bytes: &[u8]) {
    let answer = answer(bytes, BY_NAMESPACE, &config(), nobody);
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(body.pointer("/response/allowed").unwrap(), true);
    assert_eq!(body.pointer("/response/patch"), None);
    assert_eq!(answer.decision, None);
}

#[test]
fn an_answer_is_of_the_kind_that_is_waited_for_whatever_the_question_says() {
    let mut review = request(json!({"spec": {"containers": [{"name": "web"}]}}));
    for place in ["/kind", "/apiVersion"] {
        *review.pointer_mut(place).unwrap() = "another".into();
        let (_, body) = answered(&review, BY_NAMESPACE);
        assert_eq!(body["kind"], "AdmissionReview");
        assert_eq!(body["apiVersion"], "admission.k8s.io/v1");
    }
}

#[test]
fn json_that_nests_without_end_is_let_through() {
    let deep = "[".repeat(1_000_000);
    assert_eq!(
        answer(deep.as_bytes(), BY_NAMESPACE, &config(), nobody).decision,
        None
    );
}

/// A review as an API server sends it.
const REVIEW: &[u8] = include_bytes!("../../tests/it/review.json");

proptest! {
    #[test]
    fn a_review_with_any_bytes_in_it_is_answered_and_allowed(
        at in any::<Index>(),
        cut in 0_usize..40,
        bytes in collection::vec(any::<u8>(), 0..40),
    ) {
        let mut review = REVIEW.to_vec();
        let at = at.index(review.len());
        let end = review.len().min(at + cut);
        review.splice(at..end, bytes);
        prop_assert!(is_allowed(&review));
    }

    #[test]
    fn a_review_with_any_value_in_any_place_is_answered_and_allowed(
        place in any::<Index>(),
        value in select(vec![
            json!(null), json!(true), json!(-1), json!(1e300), json!(""), json!("enabled"),
            json!([]), json!([[null]]), json!({}), json!({"": {"remora.dev/inject": "enabled"}}),
        ]),
    ) {
        let mut review: Value = serde_json::from_slice(REVIEW).unwrap();
        let mut places = Vec::new();
        list_places(&review, "", &mut places);
        let place = places.get(place.index(places.len())).unwrap();
        *review.pointer_mut(place).unwrap() = value;
        prop_assert!(is_allowed(review.to_string().as_bytes()));
    }
}

fn is_allowed(review: &[u8]) -> bool {
    let answer = answer(review, BY_NAMESPACE, &config(), nobody);
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    body.pointer("/response/allowed") == Some(&Value::Bool(true))
}

fn list_places(value: &Value, at: &str, places: &mut Vec<String>) {
    places.push(at.to_owned());
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let name = name.replace('~', "~0").replace('/', "~1");
                list_places(value, &format!("{at}/{name}"), places);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                list_places(value, &format!("{at}/{index}"), places);
            }
        }
        _ => {}
    }
}
