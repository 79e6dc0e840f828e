#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use serde_json::json;
use test_case::test_case;

use super::*;

/// Reads one annotation; gives what was understood and the warnings.
fn read(name: &str, value: &str) -> (Options, Vec<String>) {
    let pod = json!({
        "metadata": {"annotations": {name: value, "example.com/other": "mine"}},
        "spec": {"containers": [{}]},
    });
    let mut warnings = Vec::new();
    let options = Options::read(Pod::new(&pod).unwrap(), &mut warnings);
    (options, warnings)
}

fn quantity(text: &str) -> Option<Quantity> {
    Some(Quantity::parse(text).unwrap())
}

#[test_case(SKIP_INBOUND_PORTS, " 22, 9000-9010 ,7-7" => Options { skip_inbound_ports: Some("22,9000-9010,7".into()), ..Options::default() })]
#[test_case(SKIP_OUTBOUND_PORTS, "5432" => Options { skip_outbound_ports: Some("5432".into()), ..Options::default() })]
#[test_case(SKIP_OUTBOUND_CIDRS, "10.0.0.0/8, fd00::/8,10.1.2.3" => Options { skip_outbound_cidrs: Some("10.0.0.0/8,fd00::/8,10.1.2.3/32".into()), ..Options::default() })]
#[test_case(SKIP_OUTBOUND_CIDRS, "0.0.0.0/0" => Options { skip_outbound_cidrs: Some("0.0.0.0/0".into()), ..Options::default() }; "every network")]
#[test_case(BODY_LIMIT, "16KiB" => Options { body_limit_bytes: Some(16_384), ..Options::default() })]
#[test_case(BODY_LIMIT, "1Mi" => Options { body_limit_bytes: Some(1_048_576), ..Options::default() }; "a body limit as Kubernetes writes it")]
#[test_case(BODY_LIMIT, "0" => Options { body_limit_bytes: Some(0), ..Options::default() }; "no bodies")]
#[test_case(FAULTS, "allowed" => Options { faults_allowed: true, ..Options::default() })]
#[test_case(ENGINE, "terminate" => Options { engine: Some("terminate"), ..Options::default() })]
#[test_case(INTERCEPT_TLS, "API.example.com., *.example.org" => Options { intercept_tls: Some("api.example.com,*.example.org".into()), ..Options::default() })]
#[test_case(INTERCEPT_TLS, "*" => Options { intercept_tls: Some("*".into()), ..Options::default() }; "every server")]
#[test_case(CPU_REQUEST, "20m" => resources(|r| r.cpu_request = quantity("20m")))]
#[test_case(CPU_LIMIT, "0.5" => resources(|r| r.cpu_limit = quantity("0.5")))]
#[test_case(MEMORY_REQUEST, "48Mi" => resources(|r| r.memory_request = quantity("48Mi")))]
#[test_case(MEMORY_LIMIT, "64Mi" => resources(|r| r.memory_limit = quantity("64Mi")))]
fn a_good_value_is_taken_without_a_word(name: &str, value: &str) -> Options {
    let (options, warnings) = read(name, value);
    assert_eq!(warnings, Vec::<String>::new());
    options
}

fn resources(set: impl Fn(&mut ResourceOptions)) -> Options {
    let mut options = Options::default();
    set(&mut options.resources);
    options
}

#[test_case(SKIP_INBOUND_PORTS, "http", "number from 1 to 65535"; "a port by name")]
#[test_case(SKIP_INBOUND_PORTS, "0", "number from 1 to 65535"; "port zero")]
#[test_case(SKIP_INBOUND_PORTS, "22,90-80", "number from 1 to 65535"; "a range backwards")]
#[test_case(SKIP_OUTBOUND_PORTS, "70000", "number from 1 to 65535"; "a port too large")]
#[test_case(SKIP_OUTBOUND_PORTS, " , ", "empty"; "no port")]
#[test_case(SKIP_OUTBOUND_CIDRS, "10.1.2.3/8", "did you mean 10.0.0.0/8?"; "a network with host bits")]
#[test_case(SKIP_OUTBOUND_CIDRS, "10.0.0.0/33", "is not a network"; "a prefix too long")]
#[test_case(SKIP_OUTBOUND_CIDRS, "example.com", "is not a network"; "a host name")]
#[test_case(ENGINE, "Terminate", "did you mean terminate?"; "an engine in capitals")]
#[test_case(FAULTS, "true", "\"true\" is not allowed"; "faults by another word")]
#[test_case(ENGINE, "diesel-electric", "it is auto, splice or terminate"; "no engine")]
#[test_case(INTERCEPT_TLS, "https://api.example.com", "names look like api.example.com"; "a URL")]
#[test_case(INTERCEPT_TLS, "enabled", "did you mean *?"; "a switch")]
#[test_case(INTERCEPT_TLS, "False", "leave the annotation out"; "a switch that is off")]
#[test_case(INTERCEPT_TLS, "api.example.com,none", "leave the annotation out"; "a server and none")]
#[test_case(INTERCEPT_TLS, "10.0.0.1", "is not a server name"; "an address")]
#[test_case(INTERCEPT_TLS, "*example.com", "patterns like *.example.com"; "a star without its dot")]
#[test_case(UPSTREAM_CA, "/etc/ca.pem", "names look like kube-root-ca.crt"; "a file")]
#[test_case(UPSTREAM_CA, "corp-ca", "no effect without remora.dev/intercept-tls"; "authorities of nothing")]
#[test_case(BODY_LIMIT, "64 potatoes", "not a size"; "a size in potatoes")]
#[test_case(BODY_LIMIT, "2MiB", "at most 1MiB"; "a body limit too large")]
#[test_case(BODY_LIMIT, "99999999999999999999MiB", "not a size"; "a body limit beyond numbers")]
#[test_case(CPU_REQUEST, "a lot", "amount of CPU"; "a lot of CPU")]
#[test_case(CPU_LIMIT, "0", "amount of CPU"; "no CPU")]
#[test_case(MEMORY_REQUEST, "64m", "amount of memory"; "thousandths of a byte")]
#[test_case(MEMORY_LIMIT, "32Mi", "the least is 64Mi"; "memory that is too little")]
fn a_bad_value_gives_a_warning_that_names_it_and_the_default(name: &str, value: &str, said: &str) {
    let (options, warnings) = read(name, value);
    assert_eq!(options, Options::default());
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let warning = warnings.concat();
    assert!(
        warning.starts_with(name) && warning.contains(said),
        "{warning}"
    );
}

#[test]
fn an_annotation_with_too_many_ports_is_not_taken() {
    let many: Vec<String> = (1..=65).map(|port| port.to_string()).collect();
    let (options, warnings) = read(SKIP_INBOUND_PORTS, &many.join(","));
    assert_eq!(options, Options::default());
    assert!(warnings.concat().contains("more than 64"), "{warnings:?}");
}

#[test_case("remora.dev/skip-inbound-port", "did you mean remora.dev/skip-inbound-ports?"; "misspelt")]
#[test_case("remora.dev/colour", "is not known"; "invented")]
#[test_case("remora.dev/inject", "is a label"; "the label as an annotation")]
#[test_case("remora.dev/opaque-ports", "no effect in this version"; "opaque-ports")]
#[test_case("remora.dev/capture-probes", "no effect in this version"; "capture-probes")]
fn a_name_without_effect_is_told(name: &str, said: &str) {
    let (options, warnings) = read(name, "allowed");
    assert_eq!(options, Options::default());
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings.concat().contains(said), "{warnings:?}");
}

#[test_case("remora.dev/faults", "is an annotation; as a label"; "an annotation as a label")]
#[test_case("remora.dev/injekt", "did you mean remora.dev/inject?"; "misspelt")]
#[test_case("remora.dev/opaque-ports", "no effect in this version"; "reserved")]
fn a_label_without_effect_is_told(name: &str, said: &str) {
    let pod = json!({
        "metadata": {"labels": {name: "allowed", INJECT: "enabled", CHECK: "true", "app": "web"}},
        "spec": {"containers": [{}]},
    });
    let mut warnings = Vec::new();
    let options = Options::read(Pod::new(&pod).unwrap(), &mut warnings);
    assert_eq!(options, Options::default());
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings.concat().contains(said), "{warnings:?}");
}

#[test]
fn a_warning_repeats_no_more_than_a_few_words_and_no_control_characters() {
    let (_, warnings) = read(BODY_LIMIT, &"\u{1b}[2J".repeat(10_000));
    let warning = warnings.concat();
    assert!(
        warning.len() < 512 && !warning.contains('\u{1b}'),
        "{warning}"
    );
}
