#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use serde_json::Value;
use test_case::test_case;

use super::*;
use crate::config::Options;

fn rendered(text: &str) -> Rendered {
    let config = Config::check(Options {
        image: "registry.example/remora:1".to_owned(),
        ..Options::default()
    });
    render(text, &config.unwrap()).unwrap()
}

#[test_case(""; "nothing")]
#[test_case("# only a comment\n"; "a comment")]
#[test_case("kind: Service\nmetadata: {name: web}   # as it was\nspec:\n    ports: [ {port: 80} ]"; "a Service, without a last newline")]
#[test_case("---\n---\nkind: ConfigMap\ndata:\n  script: |\n    a\n     b: yes\n...\n---\n# end\n"; "documents with markers")]
#[test_case("kind: Pod\nspec:\n  hostNetwork: true # on purpose\n  containers: []\n"; "a pod without containers")]
#[test_case("kind: Deployment\nmetadata: {name: web}\nspec: {template: {metadata: {labels: {remora.dev/inject: disabled}}, spec: {containers: [{name: web}]}}}\n"; "a pod that opts out")]
#[test_case("\u{feff}kind: Service\r\nmetadata:\r\n  name: web\r\n"; "text of another system")]
#[test_case("kind: List\nitems:\n- kind: Service\n  x:   1\n"; "a List without pods")]
#[test_case("- just\n- a\n- list\n"; "no object at all")]
fn what_has_no_pod_to_inject_comes_out_byte_for_byte(text: &str) {
    let rendered = rendered(text);
    assert_eq!(rendered.text, text);
    assert_eq!((rendered.injected, rendered.warnings.len()), (0, 0));
}

#[test_case("Deployment", "/spec/template"; "a Deployment")]
#[test_case("StatefulSet", "/spec/template"; "a StatefulSet")]
#[test_case("DaemonSet", "/spec/template"; "a DaemonSet")]
#[test_case("ReplicaSet", "/spec/template"; "a ReplicaSet")]
#[test_case("Job", "/spec/template"; "a Job")]
#[test_case("CronJob", "/spec/jobTemplate/spec/template"; "a CronJob")]
#[test_case("Pod", ""; "a Pod")]
fn the_template_is_injected_under_the_name_of(kind: &str, pointer: &str) {
    let mut object = serde_json::json!({"kind": kind, "metadata": {"name": "web"}});
    let pod = serde_json::json!({"spec": {"containers": [{"name": "app", "image": "app:1"}]}});
    for (depth, step) in pointer.split('/').skip(1).enumerate() {
        let parent: String = pointer
            .split('/')
            .skip(1)
            .take(depth)
            .map(|s| format!("/{s}"))
            .collect();
        let parent = object
            .pointer_mut(&parent)
            .unwrap()
            .as_object_mut()
            .unwrap();
        parent.insert(step.to_owned(), serde_json::json!({}));
    }
    let target = object
        .pointer_mut(pointer)
        .unwrap()
        .as_object_mut()
        .unwrap();
    target.extend(pod.as_object().unwrap().clone());

    let rendered = rendered(&serde_json::to_string(&object).unwrap());

    let injected: Value = serde_json::from_str(&rendered.text).unwrap();
    let names: Vec<&str> = injected
        .pointer(&format!("{pointer}/spec/initContainers"))
        .and_then(Value::as_array)
        .unwrap()
        .iter()
        .map(name_of)
        .collect();
    assert_eq!(names, ["remora-init", "remora-proxy"]);
    let workload = r#""name":"REMORA_WORKLOAD","value":"web""#;
    assert!(
        squeezed(&rendered.text).contains(workload),
        "{}",
        rendered.text
    );
    assert_eq!(rendered.injected, 1);
}

fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<String>()
}

const MIXED: &str = "\
# The shop.
---
# Who may call it.
kind: Service
metadata:   {name: web}
---
# How it runs.

apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  paused: no
  template:
    spec:
      containers:
      - name: web
        env:
        - {name: FLAG, value: 'yes'}
        - {name: ZIP, value: \"0644\"}
      volumes:
      - {name: keys, secret: {secretName: keys, defaultMode: 0400}}
---
kind: DaemonSet
metadata: {name: agent}
spec: {template: {spec: {hostNetwork: on, containers: [{name: agent}]}}}
";

#[test]
fn several_documents_keep_their_order_and_only_pods_change() {
    let rendered = rendered(MIXED);
    insta::assert_snapshot!(rendered.text);
    assert_eq!(rendered.injected, 1);
    let warning = rendered.warnings.concat();
    assert!(
        warning.starts_with("daemonset/agent: ") && warning.contains("host_network"),
        "{warning}"
    );
}

#[test]
fn what_came_out_comes_out_the_same_again() {
    let once = rendered(MIXED);
    let twice = rendered(&once.text);
    assert_eq!(twice.text, once.text);
    assert_eq!(twice.injected, 0);
}

#[test]
fn every_pod_of_a_list_is_injected() {
    let list = "kind: List\nitems:\n- kind: Pod\n  metadata: {name: a}\n  spec: {containers: [{name: a}]}\n\
                - kind: Pod\n  metadata: {name: b}\n  spec: {containers: [{name: b}]}\n";
    let rendered = rendered(list);
    assert_eq!(rendered.injected, 2);
    assert_eq!(rendered.text.matches("name: remora-proxy").count(), 2);
}

#[test]
fn a_document_that_cannot_be_read_is_named() {
    let config = Config::check(Options {
        image: "remora".to_owned(),
        ..Options::default()
    });
    let error = render(
        "kind: Service\n---\nkind: [Pod\nspec: {\n",
        &config.unwrap(),
    )
    .unwrap_err();
    let said = error.to_string();
    assert!(said.starts_with("document 2, from line 2: "), "{said}");
}

#[test]
fn an_alias_bomb_is_refused() {
    let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for level in 1..10 {
        let before = format!("*a{}", level - 1);
        bomb.push_str(&format!(
            "a{level}: &a{level} [{}]\n",
            [before.as_str(); 10].join(",")
        ));
    }
    let config = Config::check(Options {
        image: "remora".to_owned(),
        ..Options::default()
    });
    assert!(render(&bomb, &config.unwrap()).is_err());
}
