#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use super::*;

const NOW_S: u64 = 1_700_000_000;

fn names() -> Names {
    Names {
        webhook: vec!["remora-injector.remora.svc".to_owned()],
        hub: vec!["remora-hub.remora.svc".to_owned()],
    }
}

fn next(chain: Option<&Chain>, now_s: u64) -> Option<Chain> {
    Chain::next(chain, &names(), &Lifetimes::default(), now_s).unwrap()
}

fn generations(chain: &Chain) -> Vec<u64> {
    chain
        .authorities
        .iter()
        .map(|authority| authority.generation)
        .collect()
}

/// Who signed the leaves of webhook and hub.
fn signers(chain: &Chain) -> [u64; 2] {
    [chain.leaf.by, chain.hub.as_ref().unwrap().by]
}

#[test]
fn a_fresh_chain_is_left_alone() {
    let chain = next(None, NOW_S).unwrap();
    assert_eq!(next(Some(&chain), NOW_S + 3600), None);
    assert_eq!(chain.bundle().matches("BEGIN CERTIFICATE").count(), 1);
}

#[test]
fn a_leaf_is_renewed_at_two_thirds_of_its_life_under_the_same_authority() {
    let chain = next(None, NOW_S).unwrap();
    let day = 24 * 3600;
    assert_eq!(next(Some(&chain), NOW_S + 59 * day), None);
    let renewed = next(Some(&chain), NOW_S + 60 * day).unwrap();
    assert_eq!(renewed.bundle(), chain.bundle());
    assert_ne!(renewed.certificate(), chain.certificate());
    assert_ne!(renewed.of_hub(), chain.of_hub());
}

#[test]
fn a_chain_of_an_injector_that_knew_no_hub_gets_a_leaf_for_it() {
    let chain = next(None, NOW_S).unwrap();
    let mut old = serde_json::to_value(&chain).unwrap();
    old.as_object_mut().unwrap().remove("hub");
    let old: Chain = serde_json::from_value(old).unwrap();
    let renewed = next(Some(&old), NOW_S).unwrap();
    assert!(renewed.of_hub().is_some());
    assert_eq!(
        (renewed.bundle(), renewed.certificate()),
        (chain.bundle(), chain.certificate())
    );
}

#[test]
fn an_authority_stays_while_the_hub_may_serve_a_leaf_of_it() {
    let lifetimes = Lifetimes::default();
    let settle = lifetimes.settle.as_secs();
    let mut chain = next(None, NOW_S).unwrap();
    let renewal = NOW_S + lifetimes.renew_authority.as_secs();
    chain = next(Some(&chain), renewal).unwrap();
    chain = next(Some(&chain), renewal + settle).unwrap();
    // Made anew since, as when the hub's names change.
    chain.hub.as_mut().unwrap().made_s = renewal + settle + 60;
    assert_eq!(next(Some(&chain), renewal + 2 * settle), None);
    chain = next(Some(&chain), renewal + 2 * settle + 60).unwrap();
    assert_eq!(generations(&chain), vec![2]);
}

#[test]
fn a_new_authority_is_published_before_it_signs_and_the_old_one_goes_last() {
    let lifetimes = Lifetimes::default();
    let settle = lifetimes.settle.as_secs();
    let mut chain = next(None, NOW_S).unwrap();
    let mut at = NOW_S + lifetimes.renew_authority.as_secs();

    chain = next(Some(&chain), at).unwrap();
    assert_eq!(
        (generations(&chain), signers(&chain)),
        (vec![1, 2], [1, 1]),
        "published"
    );
    assert_eq!(
        next(Some(&chain), at + settle - 1),
        None,
        "not everybody trusts it yet"
    );
    at += settle;
    chain = next(Some(&chain), at).unwrap();
    assert_eq!(
        (generations(&chain), signers(&chain)),
        (vec![1, 2], [2, 2]),
        "it signs"
    );
    assert_eq!(
        next(Some(&chain), at + settle - 1),
        None,
        "old leaves may be left"
    );
    at += settle;
    chain = next(Some(&chain), at).unwrap();
    assert_eq!(
        (generations(&chain), signers(&chain)),
        (vec![2], [2, 2]),
        "the old one goes"
    );
    assert_eq!(next(Some(&chain), at), None);
}

#[test]
fn another_name_needs_another_leaf() {
    let chain = next(None, NOW_S).unwrap();
    let other = Names {
        webhook: vec!["injector.elsewhere.svc".to_owned()],
        ..names()
    };
    let renewed = Chain::next(Some(&chain), &other, &Lifetimes::default(), NOW_S).unwrap();
    let renewed = renewed.unwrap();
    assert_eq!(renewed.bundle(), chain.bundle());
    assert_ne!(renewed.certificate(), chain.certificate());
    assert_eq!(renewed.of_hub(), chain.of_hub());
}

#[test]
fn a_replica_whose_clock_is_behind_does_not_go_back_to_the_old_authority() {
    let lifetimes = Lifetimes::default();
    let renewal = NOW_S + lifetimes.renew_authority.as_secs();
    let settled = renewal + lifetimes.settle.as_secs();
    let mut chain = next(None, NOW_S).unwrap();
    chain = next(Some(&chain), renewal).unwrap();
    chain = next(Some(&chain), settled).unwrap();
    assert_eq!(chain.leaf.by, 2);
    assert_eq!(next(Some(&chain), settled - 60), None);
}

#[test]
fn a_clock_that_was_set_back_changes_nothing() {
    let chain = next(None, NOW_S).unwrap();
    assert_eq!(next(Some(&chain), NOW_S - 1_000_000), None);
}

#[test]
fn no_key_is_ever_shown() {
    let shown = format!("{:?}", next(None, NOW_S).unwrap());
    assert!(!shown.contains("PRIVATE"), "{shown}");
}
