//! The redirect rules in a kernel: what is written is what `--print` shows, however often.

use std::io::Write;
use std::process::Stdio;

use remora_proxy::redirect::{RedirectError, RedirectOptions, RuleSet};

use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};

use crate::netns::{self, Namespace};

const PROGRAMS: &[&str] = &["ip", "nft"];

fn rules() -> RuleSet {
    RuleSet::new(&RedirectOptions {
        skip_inbound_ports: vec!["22".to_owned(), "8000-8099".to_owned()],
        skip_outbound_ports: vec!["3306".to_owned()],
        skip_outbound_cidrs: vec![
            "10.0.0.0/8".to_owned(),
            "172.16.0.0/12".to_owned(),
            "1.2.3.4".to_owned(),
            "fd00::/8".to_owned(),
            "fe80::/10".to_owned(),
        ],
        ..RedirectOptions::default()
    })
    .unwrap()
}

fn listed(namespace: &Namespace) -> String {
    let output = namespace.run("nft", &["--stateless", "list", "ruleset"]);
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn what_is_written_is_what_is_shown() {
    if !netns::available(PROGRAMS) {
        return;
    }
    let (written, loaded) = (Namespace::new(), Namespace::new());
    let rules = rules();
    written.enter(|| rules.install()).unwrap();
    let mut nft = loaded
        .command("nft")
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut script = nft.stdin.take().unwrap();
    script.write_all(rules.to_string().as_bytes()).unwrap();
    drop(script);
    assert!(nft.wait().unwrap().success());
    let listed_rules = listed(&written);
    assert!(
        listed_rules.contains("redirect to :15106"),
        "{listed_rules}"
    );
    assert_eq!(listed_rules, listed(&loaded));
}

#[test]
fn writing_twice_is_the_same_as_once() {
    if !netns::available(PROGRAMS) {
        return;
    }
    let namespace = Namespace::new();
    let rules = rules();
    namespace.enter(|| rules.install()).unwrap();
    let once = listed(&namespace);
    namespace.enter(|| rules.install()).unwrap();
    assert_eq!(listed(&namespace), once);
}

#[test]
fn without_the_capability_the_error_names_it() {
    if !netns::available(PROGRAMS) {
        return;
    }
    let namespace = Namespace::new();
    let refused = namespace.enter(|| {
        netns::become_user(65534);
        rules().install().unwrap_err()
    });
    assert!(matches!(refused, RedirectError::NotPermitted), "{refused}");
    assert_eq!(listed(&namespace), "");
}

/// As with the file capability `cap_net_admin+p`: permitted, but not in effect.
#[test]
fn a_capability_that_is_only_permitted_is_raised() {
    if !netns::available(PROGRAMS) {
        return;
    }
    let namespace = Namespace::new();
    let installed = namespace.enter(|| {
        let sets = CapabilitySets {
            effective: CapabilitySet::empty(),
            permitted: CapabilitySet::NET_ADMIN,
            inheritable: CapabilitySet::empty(),
        };
        set_capabilities(None, sets).unwrap();
        rules().install()
    });
    installed.unwrap();
    assert!(listed(&namespace).contains("redirect to :15101"));
}
