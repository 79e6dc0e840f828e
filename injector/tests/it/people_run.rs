//! Reviewed: what becomes of the pods that people run.

use remora_injector::config::{Config, Options, Token};
use remora_injector::manifests::{self, Rendered};
use serde_json::Value;

use crate::support::{classic, config, decode_strictly, injected};

/// The manifest with its sidecars, with the warnings on top.
fn rendered(manifest: &str, config: &Config) -> String {
    let Rendered { text, warnings, .. } = manifests::render(manifest, config).unwrap();
    let warnings: String = warnings
        .iter()
        .map(|warning| format!("# {warning}\n"))
        .collect();
    format!("{warnings}{text}")
}

macro_rules! reviewed {
    ($($name:ident: $manifest:literal,)*) => {$(
        #[test]
        fn $name() {
            insta::assert_snapshot!(rendered(include_str!(concat!("pods/", $manifest)), &config()));
        }
    )*};
}

reviewed! {
    a_deployment: "deployment.yaml",
    a_job: "job.yaml",
    a_cron_job: "cron_job.yaml",
    a_daemon_set: "daemon_set.yaml",
    a_stateful_set: "stateful_set.yaml",
    several_containers_and_init_containers: "several.yaml",
    guaranteed_quality_of_service: "guaranteed.yaml",
    a_restricted_security_context: "restricted.yaml",
    every_annotation: "annotated.yaml",
    istio_is_there: "istio.yaml",
    linkerd_is_there: "linkerd.yaml",
    the_network_of_the_node: "host_network.yaml",
}

#[test]
fn a_deployment_without_native_sidecars() {
    insta::assert_snapshot!(rendered(include_str!("pods/several.yaml"), &classic()));
}

#[test]
fn a_job_without_native_sidecars_is_left_alone() {
    insta::assert_snapshot!(rendered(include_str!("pods/job.yaml"), &classic()));
}

#[test]
fn a_token_from_a_secret_and_a_hub_without_tls() {
    let config = Config::check(Options {
        image: "registry.example/remora:1".to_owned(),
        ingest: "http://hub.example:8898".to_owned(),
        token: "secret:hub-token".to_owned(),
        ..Options::default()
    })
    .unwrap();
    assert_eq!(config.token, Token::Secret("hub-token".to_owned()));
    let pod: Value = serde_json::json!({"spec": {"containers": [{"name": "web"}]}});
    let (_, patched) = injected(&pod, &config);
    decode_strictly(&patched, config.sidecars);
    assert!(!patched.to_string().contains("REMORA_INGEST_CA"));
    insta::assert_snapshot!(serde_json::to_string_pretty(&patched["spec"]["volumes"]).unwrap());
}
