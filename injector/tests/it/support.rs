//! What the tests share: a configuration, a namespace, patching, and strict decoding.

use remora_injector::config::{Config, Options, Sidecars};
use remora_injector::decide::{Namespace, PodSecurity};
use remora_injector::inject::{Injection, inject};
use serde_json::Value;

pub const LABELLED: Namespace<'static> = Namespace {
    name: "shop",
    inject: Some("enabled"),
    pod_security: PodSecurity::Permits,
};

pub fn config() -> Config {
    Config::check(Options {
        image: "registry.example/remora:1".to_owned(),
        ..Options::default()
    })
    .unwrap()
}

pub fn classic() -> Config {
    Config {
        sidecars: Sidecars::Classic,
        ..config()
    }
}

/// What is decided about `pod`, and the pod with the patch applied.
pub fn injected(pod: &Value, config: &Config) -> (Injection, Value) {
    let injection = inject(pod, LABELLED, None, config);
    let mut patched = pod.clone();
    json_patch::patch(&mut patched, &injection.patch).unwrap();
    (injection, patched)
}

/// Decodes `pod` with the types of the Kubernetes version that the sidecars are for, and fails over any
/// field that they do not know.
pub fn decode_strictly(pod: &Value, sidecars: Sidecars) {
    let again = match sidecars {
        Sidecars::Native => reencoded::<k8s_openapi::api::core::v1::Pod>(pod),
        Sidecars::Classic => reencoded::<k8s_openapi_1_27::api::core::v1::Pod>(pod),
    };
    assert_eq!(lost(pod, &again, ""), Vec::<String>::new());
}

/// A value as the types of Kubernetes understand it.
pub fn reencoded<T: serde::de::DeserializeOwned + serde::Serialize>(value: &Value) -> Value {
    let typed: T = serde_json::from_value(value.clone()).unwrap();
    serde_json::to_value(typed).unwrap()
}

/// The places of `before` that are not, or not the same, in `after`. Quantities come back as strings.
pub fn lost(before: &Value, after: &Value, at: &str) -> Vec<String> {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => before
            .iter()
            .flat_map(|(key, value)| {
                let at = format!("{at}/{key}");
                // Types leave empty things out, and they mean the same.
                let empty = value.as_object().is_some_and(|object| object.is_empty());
                match after.get(key) {
                    Some(after) => lost(value, after, &at),
                    None if empty || value.is_null() => Vec::new(),
                    None => vec![at],
                }
            })
            .collect(),
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => before
            .iter()
            .zip(after)
            .enumerate()
            .flat_map(|(index, (before, after))| lost(before, after, &format!("{at}/{index}")))
            .collect(),
        _ if before == after => Vec::new(),
        _ => vec![at.to_owned()],
    }
}
