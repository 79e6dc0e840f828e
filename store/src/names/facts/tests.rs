use super::*;
use crate::names::Names;

/// A second, in nanoseconds.
const SECOND: i64 = 1_000_000_000;

fn holder(kind: HolderKind, name: &str, workload: &str) -> Arc<Holder> {
    let is_pod = kind == HolderKind::Pod;
    let (pod, service) = if is_pod { (name, "") } else { ("", name) };
    Arc::new(Holder {
        kind,
        namespace: "shop".to_owned(),
        workload: workload.to_owned(),
        pod: pod.to_owned(),
        service: service.to_owned(),
        revision: String::new(),
    })
}

fn fact(kind: HolderKind, address: &str, name: &str, workload: &str, since: i64) -> Fact {
    let address: SocketAddr = address.parse().unwrap();
    Fact {
        address: address.ip(),
        port: address.port(),
        since_ns: since * SECOND,
        until_ns: None,
        holder: holder(kind, name, workload),
    }
}

fn pod(address: &str, name: &str, since: i64) -> Fact {
    fact(HolderKind::Pod, &format!("{address}:0"), name, name, since)
}

fn at(names: &Names, address: &str, seconds: i64) -> String {
    let party = names.party(address.parse().unwrap(), seconds * SECOND);
    format!("{}/{}/{}", party.workload, party.pod, party.service)
}

#[test]
fn an_address_that_was_given_to_another_pod_names_the_one_that_had_it() {
    let mut names = Names::default();
    names.observe(&[pod("10.0.0.1", "old", 100)], 101 * SECOND);
    names.observe(&[], 200 * SECOND);
    names.observe(&[pod("10.0.0.1", "new", 300)], 301 * SECOND);
    for (seconds, expected) in [
        (100, "old/old/"),
        (199, "old/old/"),
        (204, "old/old/"),
        (250, "//"),
        (296, "new/new/"),
        (900, "new/new/"),
    ] {
        assert_eq!(at(&names, "10.0.0.1:80", seconds), expected, "at {seconds}");
    }
}

#[test]
fn an_address_that_was_given_away_before_its_end_was_seen_is_the_later_ones() {
    let mut names = Names::default();
    names.observe(&[pod("10.0.0.1", "old", 100)], 101 * SECOND);
    let both = [pod("10.0.0.1", "old", 100), pod("10.0.0.1", "new", 150)];
    names.observe(&both, 151 * SECOND);
    assert_eq!(at(&names, "10.0.0.1:80", 149), "old/old/");
    assert_eq!(at(&names, "10.0.0.1:80", 151), "new/new/");
}

#[test]
fn a_pod_that_ended_keeps_its_address_only_until_then_however_often_it_is_seen() {
    let mut names = Names::default();
    names.observe(&[pod("10.0.0.1", "job", 100)], 101 * SECOND);
    let ended = Fact {
        until_ns: Some(150 * SECOND),
        ..pod("10.0.0.1", "job", 100)
    };
    let changed = names.observe(std::slice::from_ref(&ended), 160 * SECOND);
    assert_eq!(changed, std::slice::from_ref(&ended));
    assert_eq!(names.observe(&[ended], 170 * SECOND), []);
    assert_eq!(at(&names, "10.0.0.1:80", 149), "job/job/");
    assert_eq!(at(&names, "10.0.0.1:80", 158), "//");
}

#[test]
fn a_service_leads_where_it_led_at_the_time() {
    let service = |workload| fact(HolderKind::Service, "10.96.0.1:80", "web", workload, 100);
    let mut names = Names::default();
    names.observe(&[service("")], 100 * SECOND);
    names.observe(&[service("blue")], 110 * SECOND);
    names.observe(&[service("")], 150 * SECOND);
    names.observe(&[service("green")], 200 * SECOND);
    assert_eq!(at(&names, "10.96.0.1:80", 105), "blue//web", "learnt later");
    assert_eq!(at(&names, "10.96.0.1:80", 160), "blue//web", "no pod is up");
    assert_eq!(at(&names, "10.96.0.1:80", 200), "green//web");
    assert_eq!(at(&names, "10.96.0.1:81", 200), "//", "another port");
}

#[test]
fn the_service_that_leads_to_a_pod_is_named_beside_it() {
    let endpoint = fact(HolderKind::Endpoint, "10.0.0.1:8080", "web", "", 100);
    let mut names = Names::default();
    names.observe(&[pod("10.0.0.1", "a", 100), endpoint], 101 * SECOND);
    assert_eq!(at(&names, "10.0.0.1:8080", 120), "a/a/web");
    assert_eq!(at(&names, "10.0.0.1:9090", 120), "a/a/");
}

#[test]
fn who_has_an_address_throughout_is_told_only_where_it_does_not_change() {
    let mut names = Names::default();
    names.observe(&[pod("10.0.0.1", "old", 100)], 101 * SECOND);
    names.observe(&[pod("10.0.0.1", "new", 300)], 200 * SECOND);
    for first in (80..320).step_by(3) {
        for last in (first..320).step_by(7) {
            let address = "10.0.0.1:80".parse().unwrap();
            let throughout = names.party_throughout(address, first * SECOND, last * SECOND);
            if let Some(party) = throughout {
                for moment in first..=last {
                    assert_eq!(
                        names.party(address, moment * SECOND),
                        party,
                        "{first} {last}"
                    );
                }
            }
        }
    }
    let steady = |first: i64, last: i64| {
        let address = "10.0.0.1:80".parse().unwrap();
        names.party_throughout(address, first * SECOND, last * SECOND)
    };
    assert_eq!(steady(110, 190).unwrap().pod, "old");
    assert_eq!(steady(310, 900).unwrap().pod, "new");
    assert_eq!(steady(190, 310), None);
}

#[test]
fn what_ended_is_forgotten_with_the_calls_of_its_time_and_the_first_to_end_beyond_the_limit() {
    let mut facts = Facts::default();
    for number in 0..20 {
        let seen = pod(&format!("10.0.0.{number}"), "job", number * 10);
        facts.observe(&[seen], (number * 10 + 1) * SECOND);
    }
    facts.forget_before(50 * SECOND);
    assert_eq!(facts.len(), 16);
    facts.keep_within(10);
    assert_eq!(facts.len(), 9);
    assert!(facts.iter().any(|fact| fact.until_ns.is_none()));
    assert!(facts.iter().all(|fact| fact.since_ns >= 110 * SECOND));
}
