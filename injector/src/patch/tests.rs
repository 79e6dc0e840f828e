#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use serde_json::{Value, json};
use test_case::test_case;

use crate::config::{Config, Options};
use crate::decide::{Decision, Namespace, PodSecurity};
use crate::inject::{Injection, inject};

fn config() -> Config {
    Config::check(Options {
        image: "registry.example/remora:1".to_owned(),
        ..Options::default()
    })
    .unwrap()
}

/// Injects `pod`, and gives it with the patch applied.
fn injected(pod: &Value, config: &Config) -> (Value, Injection) {
    let namespace = Namespace {
        name: "shop",
        inject: Some("enabled"),
        pod_security: PodSecurity::Permits,
    };
    let injection = inject(pod, namespace, None, config);
    assert_eq!(injection.decision, Decision::Inject);
    let mut patched = pod.clone();
    json_patch::patch(&mut patched, &injection.patch).unwrap();
    (patched, injection)
}

fn at<'a>(pod: &'a Value, pointer: &str) -> &'a Value {
    pod.pointer(pointer).unwrap_or(&Value::Null)
}

/// The `resources` of the sidecar beside a container with `resources`, asked for by `annotations`.
fn resources(annotations: Value, resources: Value) -> (Value, Vec<String>) {
    let pod = json!({
        "metadata": {"annotations": annotations},
        "spec": {"containers": [{"name": "web", "resources": resources}]},
    });
    let (patched, injection) = injected(&pod, &config());
    (
        at(&patched, "/spec/initContainers/1/resources").clone(),
        injection.warnings,
    )
}

#[test_case(json!({}), json!({}) => json!({"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}}); "the defaults")]
#[test_case(json!({"remora.dev/cpu-request": "50m"}), json!({}) => json!({"requests": {"cpu": "50m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}}); "one asked for, the others stay")]
#[test_case(json!({"remora.dev/memory-request": "256Mi"}), json!({}) => json!({"requests": {"cpu": "10m", "memory": "256Mi"}, "limits": {"memory": "256Mi"}}); "a request beyond the default limit raises it")]
#[test_case(json!({"remora.dev/cpu-limit": "5m"}), json!({}) => json!({"requests": {"cpu": "5m", "memory": "32Mi"}, "limits": {"cpu": "5m", "memory": "128Mi"}}); "a limit below the default request lowers it")]
#[test_case(json!({}), json!({"limits": {"cpu": 1, "memory": "1Gi"}}) => json!({"requests": {"cpu": "200m", "memory": "128Mi"}, "limits": {"cpu": "200m", "memory": "128Mi"}}); "guaranteed stays guaranteed")]
#[test_case(json!({"remora.dev/cpu-limit": "1"}), json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1000m", "memory": "1024Mi"}}) => json!({"requests": {"cpu": "1", "memory": "128Mi"}, "limits": {"cpu": "1", "memory": "128Mi"}}); "guaranteed in other words, with a limit asked for")]
#[test_case(json!({"remora.dev/memory-request": "256Mi", "remora.dev/cpu-request": "300m"}), json!({"limits": {"cpu": 1, "memory": "1Gi"}}) => json!({"requests": {"cpu": "300m", "memory": "256Mi"}, "limits": {"cpu": "300m", "memory": "256Mi"}}); "guaranteed, with requests that are limits then")]
#[test_case(json!({}), json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}) => json!({"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}}); "burstable stays burstable")]
#[test_case(json!({}), json!({"limits": {"ephemeral-storage": "1Gi"}}) => json!({"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "128Mi", "ephemeral-storage": "128Mi"}}); "the spool brings its own storage")]
fn the_sidecar_asks_for(annotations: Value, of_container: Value) -> Value {
    let (resources, warnings) = resources(annotations, of_container);
    assert_eq!(warnings, Vec::<String>::new());
    resources
}

#[test]
fn a_request_beyond_the_limit_that_was_asked_for_too_is_lowered_and_told() {
    let annotations =
        json!({"remora.dev/memory-request": "1Gi", "remora.dev/memory-limit": "64Mi"});
    let (resources, warnings) = resources(annotations, json!({}));
    assert_eq!(at(&resources, "/requests/memory"), "64Mi");
    assert!(
        warnings.concat().contains("1Gi is more than the limit"),
        "{warnings:?}"
    );
}

#[test_case(json!({"remora.dev/memory-request": "48Mi"}), "48Mi is not used"; "less memory than the default limit")]
#[test_case(json!({"remora.dev/cpu-request": "10m", "remora.dev/cpu-limit": "100m"}), "10m is not used"; "less CPU than the limit that was asked for")]
fn a_request_that_a_guaranteed_pod_cannot_have_is_told(annotations: Value, said: &str) {
    let (_, warnings) = resources(annotations, json!({"limits": {"cpu": 1, "memory": "1Gi"}}));
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings.concat().contains(said), "{warnings:?}");
}

#[test]
fn a_pod_with_one_budget_for_all_keeps_it_and_that_is_told() {
    let pod = json!({
        "metadata": {"annotations": {"remora.dev/cpu-limit": "1", "remora.dev/memory-request": "256Mi"}},
        "spec": {
            "resources": {"limits": {"cpu": "1", "memory": "1Gi"}},
            "containers": [{"name": "web"}],
        },
    });
    let (patched, injection) = injected(&pod, &config());
    assert_eq!(at(&patched, "/spec/initContainers/1/resources"), &json!({}));
    assert_eq!(injection.warnings.len(), 2, "{:?}", injection.warnings);
    let said = injection.warnings.concat();
    assert!(
        said.contains("cpu-limit") && said.contains("memory-request"),
        "{said}"
    );
}

#[test_case(json!({"containers": [{"name": "web"}]}) => 15100; "the first choice")]
#[test_case(json!({"containers": [{"name": "web", "securityContext": {"runAsUser": 15100}}]}) => 15101; "not the user of a container")]
#[test_case(json!({"securityContext": {"runAsUser": 15100}, "containers": [{"name": "web"}],
    "initContainers": [{"name": "a", "securityContext": {"runAsUser": 15101}}],
    "ephemeralContainers": [{"name": "b", "securityContext": {"runAsUser": 15102}}]}) => 15103; "not the user of anything in the pod")]
fn the_sidecar_runs_as(spec: Value) -> u64 {
    let (patched, _) = injected(&json!({"metadata": {}, "spec": spec}), &config());
    let uid = at(&patched, "/spec/initContainers/0/securityContext/runAsUser")
        .as_u64()
        .unwrap();
    assert_eq!(
        at(&patched, "/spec/initContainers/1/securityContext/runAsUser"),
        uid
    );
    let env = at(&patched, "/spec/initContainers/0/env/0");
    assert_eq!(
        env,
        &json!({"name": "REMORA_PROXY_UID", "value": uid.to_string()})
    );
    uid
}

fn pod_with_tcp_probes() -> Value {
    json!({
        "metadata": {},
        "spec": {"containers": [{
            "name": "db",
            "ports": [{"name": "sql", "containerPort": 5432}],
            "livenessProbe": {"tcpSocket": {"port": "sql"}, "periodSeconds": 7},
            "readinessProbe": {"tcpSocket": {"port": 5432}},
            "startupProbe": {"tcpSocket": {"port": 80, "host": "10.0.0.1"}},
        }, {
            "name": "web",
            "livenessProbe": {"httpGet": {"port": 80}},
            "readinessProbe": {"tcpSocket": {"port": "unknown"}},
        }]},
    })
}

#[test]
fn tcp_probes_of_own_ports_are_rewritten_and_nothing_else() {
    let pod = pod_with_tcp_probes();
    let (patched, injection) = injected(&pod, &config());
    let mut expected = at(&pod, "/spec/containers").clone();
    let asks = json!({"path": "/probe/tcp/5432", "port": 15120, "scheme": "HTTP"});
    *expected.pointer_mut("/0/livenessProbe").unwrap() =
        json!({"periodSeconds": 7, "httpGet": asks});
    *expected.pointer_mut("/0/readinessProbe").unwrap() = json!({"httpGet": asks});
    assert_eq!(at(&patched, "/spec/containers"), &expected);
    let kept = at(&patched, "/metadata/annotations/remora.dev~1tcp-probes")
        .as_str()
        .unwrap();
    let kept: Value = serde_json::from_str(kept).unwrap();
    assert_eq!(at(&kept, "/0/tcpSocket/port"), "sql");
    assert_eq!(kept.as_array().unwrap().len(), 2);
    assert_eq!(injection.warnings, Vec::<String>::new());
}

#[test]
fn a_pod_that_serves_datagrams_only_is_told_that_they_are_not_seen() {
    let pod = json!({"spec": {"containers": [
        {"name": "dns", "ports": [{"containerPort": 53, "protocol": "UDP"}]},
    ]}});
    let (_, injection) = injected(&pod, &config());
    assert!(
        injection.warnings.concat().contains("UDP"),
        "{:?}",
        injection.warnings
    );
}

#[test]
fn a_label_that_says_nothing_is_told() {
    let pod = json!({
        "metadata": {"labels": {"remora.dev/inject": "true"}},
        "spec": {"containers": [{"name": "web"}]},
    });
    let (_, injection) = injected(&pod, &config());
    assert!(
        injection
            .warnings
            .concat()
            .contains("neither enabled nor disabled")
    );
}

#[test]
fn warnings_are_few_and_short() {
    let names = (0..100).map(|n| (format!("remora.dev/{n}{}", "x".repeat(400)), "".into()));
    let annotations: serde_json::Map<String, Value> = names.collect();
    let pod = json!({
        "metadata": {"annotations": annotations},
        "spec": {"containers": [{"name": "web"}]},
    });
    let (_, injection) = injected(&pod, &config());
    assert_eq!(injection.warnings.len(), 13);
    assert!(
        injection
            .warnings
            .iter()
            .all(|warning| warning.len() <= 256)
    );
    assert_eq!(
        injection.warnings.last().unwrap(),
        "remora: 88 more warnings"
    );
}

/// The environment of the container of a pod whose TLS is looked into, by name.
fn environment(container: Value) -> (Vec<(String, String)>, Vec<String>) {
    let pod = json!({
        "metadata": {"annotations": {"remora.dev/intercept-tls": "*.example.com"}},
        "spec": {"containers": [container]},
    });
    let (patched, injection) = injected(&pod, &config());
    let env = at(&patched, "/spec/containers/0/env").as_array().cloned();
    let text = |one: &Value, field| one[field].as_str().unwrap_or_default().to_owned();
    let env = env.unwrap_or_default();
    let named = env
        .iter()
        .map(|one| (text(one, "name"), text(one, "value")));
    (named.collect(), injection.warnings)
}

/// What its clients would not look at any more for one of ours.
#[test_case("NODE_EXTRA_CA_CERTS", &["NODE_EXTRA_CA_CERTS"])]
#[test_case("SSL_CERT_DIR", &["SSL_CERT_DIR", "PIP_CERT", "AWS_CA_BUNDLE"])]
#[test_case("SSL_CERT_FILE", &["SSL_CERT_DIR", "PIP_CERT", "AWS_CA_BUNDLE"])]
#[test_case("CURL_CA_BUNDLE", &["REQUESTS_CA_BUNDLE", "PIP_CERT", "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE"])]
#[test_case("REQUESTS_CA_BUNDLE", &["REQUESTS_CA_BUNDLE", "PIP_CERT", "AWS_CA_BUNDLE", "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE"])]
#[test_case("HTTPLIB2_CA_CERTS", &["CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE", "HTTPLIB2_CA_CERTS"])]
#[test_case("GRPC_SYSTEM_SSL_ROOTS_DIR", &["GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"])]
fn a_variable_that_a_container_sets_counts(set: &str, left_out: &[&str]) {
    let container = json!({"name": "web", "env": [{"name": set, "value": "mine"}]});
    let (env, warnings) = environment(container);
    assert_eq!(env[0], (set.to_owned(), "mine".to_owned()));
    let added = |name: &str| env[1..].iter().any(|(added, _)| added == name);
    let names = super::TRUST_VARIABLES.iter().map(|(name, _)| *name);
    let missing: Vec<_> = names.filter(|name| !added(name)).collect();
    assert_eq!(missing, left_out);
    assert_eq!(warnings, Vec::<String>::new());
}

/// A variable of the pod wins over the image's: heap limits and agents would be gone.
#[test]
fn the_options_of_a_jvm_are_left_to_its_image() {
    let (env, _) = environment(json!({"name": "web"}));
    assert!(!env.is_empty());
    assert!(
        env.iter().all(|(name, _)| !name.contains("JAVA")),
        "{env:?}"
    );
}

#[test_case(json!({"name": "web", "envFrom": [{"configMapRef": {"name": "web"}}]}), "envFrom"; "variables from elsewhere")]
#[test_case(json!({"name": "web", "volumeMounts": [{"name": "mine", "mountPath": "/var/run/remora/ca"}]}), "mounts a volume"; "a volume in that place")]
fn a_container_that_may_say_otherwise_is_left_alone_and_that_is_told(container: Value, said: &str) {
    let (env, warnings) = environment(container);
    assert!(env.is_empty(), "{env:?}");
    assert!(warnings.concat().contains(said), "{warnings:?}");
}

#[test_case("/var/run/remora/ca/", &json!({"emptyDir": {}}), false => false; "at the same place")]
#[test_case("/var/run/remora/ca/certs", &json!({"emptyDir": {}}), false => false; "below")]
#[test_case("/run/remora/ca", &json!({"emptyDir": {}}), false => false; "at the same place by another name")]
#[test_case("/var/run", &json!({"hostPath": {"path": "/var/run"}}), true => false; "above, to be read only")]
#[test_case("/run", &json!({"hostPath": {"path": "/run"}}), false => false; "above, on the node")]
#[test_case("/var/run/remora", &json!({"configMap": {"name": "remora"}}), false => false; "above, in what is never written to")]
#[test_case("/var", &json!({"emptyDir": {}}), true => false; "above, of the pod, to be read only")]
#[test_case("/var", &json!({"emptyDir": {}}), false => true; "above, of the pod, to be written to")]
#[test_case("/var/run/secrets", &json!({"configMap": {"name": "web"}}), true => true; "beside")]
#[test_case("/var/runner", &json!({"configMap": {"name": "web"}}), true => true; "with a name that only begins alike")]
fn certificates_are_mounted_beside_a_mount(path: &str, volume: &Value, is_read_only: bool) -> bool {
    let mut volume = volume.clone();
    volume["name"] = "mine".into();
    let mount = json!({"name": "mine", "mountPath": path, "readOnly": is_read_only});
    let pod = json!({
        "metadata": {"annotations": {"remora.dev/intercept-tls": "*"}},
        "spec": {"containers": [{"name": "web", "volumeMounts": [mount]}], "volumes": [volume]},
    });
    let (patched, injection) = injected(&pod, &config());
    let is_mounted = at(&patched, "/spec/containers/0/volumeMounts/1/name") == "remora-ca";
    assert_eq!(is_mounted, injection.warnings.is_empty());
    assert_eq!(
        is_mounted,
        !at(&patched, "/spec/containers/0/env").is_null()
    );
    is_mounted
}

#[test]
fn init_containers_are_told_only_where_the_sidecar_runs_before_them() {
    let pod = json!({
        "metadata": {"annotations": {"remora.dev/intercept-tls": "*"}},
        "spec": {"initContainers": [{"name": "migrate"}], "containers": [{"name": "web"}]},
    });
    let (native, _) = injected(&pod, &config());
    let migrate = at(&native, "/spec/initContainers/2");
    assert_eq!(at(migrate, "/volumeMounts/0/name"), "remora-ca");
    let classic = Config::check(Options {
        image: "registry.example/remora:1".to_owned(),
        sidecars: "classic".to_owned(),
        ..Options::default()
    });
    let (classic, _) = injected(&pod, &classic.unwrap());
    assert_eq!(
        at(&classic, "/spec/initContainers/0"),
        &json!({"name": "migrate"})
    );
    assert_eq!(
        at(&classic, "/spec/containers/1/volumeMounts/0/name"),
        "remora-ca"
    );
}

#[test_case("classic" => vec!["migrate", "vault-agent-init", "remora-init"]; "without native sidecars the rules come last")]
#[test_case("native" => vec!["remora-init", "remora-proxy", "migrate", "vault-agent-init"]; "with native ones the sidecar is there before")]
fn with_an_init_container_of_a_later_webhook_they_run_as(sidecars: &str) -> Vec<String> {
    let config = Config::check(Options {
        image: "registry.example/remora:1".to_owned(),
        sidecars: sidecars.to_owned(),
        ..Options::default()
    });
    let config = config.unwrap();
    let pod = json!({"metadata": {}, "spec": {
        "initContainers": [{"name": "migrate"}], "containers": [{"name": "web"}],
    }});
    let (mut pod, _) = injected(&pod, &config);
    let later = json!({"name": "vault-agent-init"});
    pod["spec"]["initContainers"]
        .as_array_mut()
        .unwrap()
        .push(later);
    let again = |pod: &Value| {
        let namespace = Namespace {
            name: "shop",
            inject: Some("enabled"),
            pod_security: PodSecurity::Permits,
        };
        inject(pod, namespace, None, &config).patch
    };
    let patch = again(&pod);
    json_patch::patch(&mut pod, &patch).unwrap();
    assert!(again(&pod).is_empty(), "once is enough");
    let containers = pod["spec"]["initContainers"].as_array().unwrap();
    let names = containers.iter().map(|one| one["name"].as_str().unwrap());
    names.map(ToOwned::to_owned).collect()
}

#[test_case(json!({}) => "25s"; "by the usual grace period")]
#[test_case(json!({"terminationGracePeriodSeconds": 120}) => "115s"; "by that of the pod")]
#[test_case(json!({"terminationGracePeriodSeconds": 2}) => "0s"; "not at all where there is no time")]
fn a_classic_sidecar_serves_on_for_an_application_that_ends(mut spec: Value) -> String {
    let config = Config::check(Options {
        image: "registry.example/remora:1".to_owned(),
        sidecars: "classic".to_owned(),
        ..Options::default()
    });
    spec["containers"] = json!([{"name": "web"}]);
    let (patched, _) = injected(&json!({"metadata": {}, "spec": spec}), &config.unwrap());
    let env = at(&patched, "/spec/containers/0/env").as_array().unwrap();
    let linger = env.iter().find(|one| one["name"] == "REMORA_LINGER");
    linger.unwrap()["value"].as_str().unwrap().to_owned()
}

#[test]
fn authorities_of_servers_come_from_beside_the_pod_and_it_starts_without_them() {
    let pod = json!({
        "metadata": {"annotations": {"remora.dev/intercept-tls": "*", "remora.dev/upstream-ca": "corp-ca"}},
        "spec": {"containers": [{"name": "web"}]},
    });
    let (patched, injection) = injected(&pod, &config());
    assert_eq!(injection.warnings, Vec::<String>::new());
    let sources = at(&patched, "/spec/volumes/0/projected/sources").as_array();
    let expected = json!({"configMap": {"name": "corp-ca", "optional": true,
        "items": [{"key": "ca.crt", "path": "upstream-ca.crt"}]}});
    assert_eq!(sources.unwrap().last(), Some(&expected));
    let env = at(&patched, "/spec/initContainers/1/env")
        .as_array()
        .unwrap();
    let file =
        json!({"name": "REMORA_UPSTREAM_CA", "value": "/var/run/secrets/remora/upstream-ca.crt"});
    let optional = json!({"name": "REMORA_UPSTREAM_CA_OPTIONAL", "value": "true"});
    assert!(env.contains(&file) && env.contains(&optional), "{env:?}");
}

#[test]
fn a_pod_whose_tls_is_passed_through_has_nothing_of_it() {
    let pod = json!({"spec": {"containers": [{"name": "web"}]}});
    let (patched, _) = injected(&pod, &config());
    assert_eq!(at(&patched, "/spec/containers/0"), &json!({"name": "web"}));
    assert!(!patched.to_string().contains("remora-ca\""));
}
