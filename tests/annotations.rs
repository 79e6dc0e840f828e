//! What the injector lets pass in an annotation means the same to the sidecar, which gets it as a flag and would end at
//! once over one that it cannot read. Neither may know the other, so each reads it by rules of its own; here both read
//! the same texts.

use remora_injector::annotations::{
    INTERCEPT_TLS, Options, SKIP_INBOUND_PORTS, SKIP_OUTBOUND_CIDRS,
};
use remora_injector::pod::Pod;
use remora_proxy::redirect::{RedirectOptions, RuleSet};
use remora_proxy::tls::Names;
use serde_json::json;

/// What the injector makes of an annotation.
fn annotated(name: &str, text: &str) -> Options {
    let pod = json!({"metadata": {"annotations": {name: text}}, "spec": {"containers": [{"name": "app"}]}});
    Options::read(Pod::new(&pod).unwrap(), &mut Vec::new())
}

/// Every text of one, two or three of these pieces.
fn joined(pieces: &[&str], by: &str) -> Vec<String> {
    let mut texts: Vec<String> = pieces.iter().map(|&piece| piece.to_owned()).collect();
    for _ in 0..2 {
        let longer = texts
            .iter()
            .flat_map(|text| pieces.iter().map(move |piece| format!("{text}{by}{piece}")));
        let longer: Vec<String> = longer.collect();
        texts.extend(longer);
    }
    texts
}

/// Holds the two readers against each other over texts of which some have to pass and some must not.
fn hold<T: PartialEq>(
    texts: &[String],
    of_injector: impl Fn(&str) -> Option<String>,
    of_sidecar: impl Fn(&str) -> Option<T>,
) {
    let mut passed = 0;
    for text in texts {
        let told = of_sidecar(text);
        match of_injector(text) {
            None => assert!(told.is_none(), "the sidecar alone reads {text:?}"),
            Some(flag) => {
                assert!(told.is_some(), "the injector alone reads {text:?}");
                assert!(of_sidecar(&flag) == told, "{text:?} becomes {flag:?}");
                passed += 1;
            }
        }
    }
    assert!((1..texts.len()).contains(&passed), "{passed} passed");
}

#[test]
fn a_list_of_server_names_is_the_same_to_both() {
    let (longest, too_long) = ("l".repeat(63), "l".repeat(64));
    let labels = [
        "", "a", "B", "-", "_", "\u{e9}", "10", "on", "*", " ", "a,b", ":", &longest, &too_long,
    ];
    let mut texts = joined(&labels, ".");
    texts.extend(["10.0.0.1", "*.10.0.0.1", "::1", "all", "*,a", "https://a"].map(str::to_owned));
    texts.extend([126, 127].map(|labels| ["a"].repeat(labels).join(".")));
    texts.push(["a"].repeat(128).join("."));
    hold(
        &texts,
        |text| annotated(INTERCEPT_TLS, text).intercept_tls,
        |text| Names::parse(text).ok(),
    );
}

#[test]
fn a_list_of_ports_is_the_same_to_both() {
    let texts = joined(
        &["0", "1", "+7", "22", "65535", "65536", " 9 ", "a", "3,4"],
        "-",
    );
    hold(
        &texts,
        |text| annotated(SKIP_INBOUND_PORTS, text).skip_inbound_ports,
        |text| {
            let options = RedirectOptions {
                skip_inbound_ports: vec![text.to_owned()],
                ..RedirectOptions::default()
            };
            RuleSet::new(&options).ok()
        },
    );
}

#[test]
fn a_list_of_networks_is_the_same_to_both() {
    let texts = joined(
        &[
            "10.0.0.0",
            "10.1.2.3",
            "0.0.0.0",
            "fd00::",
            "::1",
            "8",
            "0",
            "32",
            "33",
            "128",
            "129",
            "+8",
            "a",
            " ",
            "::/0,10.0.0.0",
        ],
        "/",
    );
    hold(
        &texts,
        |text| annotated(SKIP_OUTBOUND_CIDRS, text).skip_outbound_cidrs,
        |text| {
            let options = RedirectOptions {
                skip_outbound_cidrs: vec![text.to_owned()],
                ..RedirectOptions::default()
            };
            let rules = RuleSet::new(&options).ok();
            // Without a network there is nothing to say; the injector wants to be told something.
            rules.filter(|_| !text.trim().is_empty())
        },
    );
}
