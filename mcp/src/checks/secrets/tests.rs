use serde_json::json;
use test_case::test_case;

use super::super::testing::{findings, firm, judge, shaky};
use super::*;
use crate::checks::{Check, Ground};
use crate::traffic::testing::{Told, get, traffic};

const TOKEN: &str = "Authorization: Bearer [redacted bearer #7k2m9x4p1q]";

fn login() -> Told {
    get(0, "/login", 200)
        .taking_ms(90)
        .received()
        .sending(TOKEN)
}

fn onward(path: &str) -> Told {
    get(10, path, 200).between("orders", "stock")
}

fn other_key(told: Told) -> Told {
    told.under_key("local-2")
}

#[test_case(vec![login(), onward("/rows").sending(TOKEN)], &[("forwarded", "medium")]; "sent on")]
#[test_case(vec![login(), onward("/rows")], &[]; "kept")]
#[test_case(vec![login(), onward("/rows").sending("Authorization: Bearer [redacted bearer #0000000000]")], &[]; "one of its own")]
#[test_case(vec![onward("/rows").sending(TOKEN)], &[]; "never received")]
#[test_case(vec![login(), onward("/login").sending(TOKEN)], &[]; "passed through by a gateway")]
#[test_case(vec![login(), other_key(onward("/rows").sending(TOKEN))], &[]; "tagged under another key")]
#[test_case(vec![login(), onward("/rows?t=[redacted%20bearer%20%237k2m9x4p1q]")], &[("in_url", "high")]; "in a URL")]
#[test_case(vec![login(), onward("/rows").sending(TOKEN).at_unknown([93, 184, 215, 14])], &[("leaves_cluster", "high")]; "out of the cluster")]
#[test_case(vec![login(), onward("/rows").sending(TOKEN).at_unknown([10, 0, 0, 9])], &[("forwarded", "medium")]; "to somebody unknown inside")]
#[test_case(vec![login(), onward("/rows").sending(TOKEN).in_namespaces("shop", "billing")], &[("crosses_namespace", "medium")]; "to another namespace")]
fn where_a_token_goes(told: Vec<Told>, expected: &[(&str, &str)]) {
    let found = findings(Kind::Secrets, told);
    let found: Vec<_> = found
        .iter()
        .map(|it| (it.code, it.severity.as_str()))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn what_may_stand_in_a_body_that_is_not_known_passes_nothing() {
    let told = vec![
        onward("/rows")
            .having(|call| call.request.body_size = 9)
            .withheld(),
    ];
    let judgement = judge(Kind::Secrets, json!({}), told, &firm());
    assert_eq!(judgement.verdict, Verdict::Inconclusive, "{judgement:?}");
}

#[test]
fn the_clock_of_whoever_sent_it_does_not_matter() {
    // The sidecar of web is 50 ms ahead; both legs are joined by their digest.
    let digest = |told: Told| {
        told.having(|call| {
            call.join_digest = Some(remora_store::call::Digest([7; 16]));
            call.connection.forwarded_from = Some(call.src);
        })
    };
    let sent = digest(get(50, "/login", 200).taking_ms(90).sending(TOKEN));
    let told = vec![digest(login()), sent, onward("/rows").sending(TOKEN)];
    let found = findings(Kind::Secrets, told);
    assert!(found.iter().any(|it| it.code == "forwarded"), "{found:?}");
}

#[test]
fn who_had_sent_it_is_told_and_proved() {
    let found = findings(Kind::Secrets, vec![login(), onward("/rows").sending(TOKEN)]);
    let [finding] = found.as_slice() else {
        panic!("there is one finding: {found:?}");
    };
    assert_eq!(finding.subject, "orders -> stock GET /rows");
    assert_eq!(
        finding.seen,
        "sent on: bearer #7k2m9x4p1q, which web had sent, in a header of 1 call"
    );
    let ids: Vec<_> = finding.evidence.iter().map(ToString::to_string).collect();
    assert_eq!(ids, ["c1-0", "c1-1"]);
}

#[test]
fn whoever_may_have_it_is_no_leak() {
    let told = || vec![login(), onward("/rows").sending(TOKEN)];
    let verdict = |args, ground: &Ground| judge(Kind::Secrets, args, told(), ground).verdict;
    assert_eq!(verdict(json!({}), &firm()), Verdict::Fail);
    assert_eq!(
        verdict(json!({"may_receive": ["stock"]}), &firm()),
        Verdict::Pass
    );
    assert_eq!(
        verdict(json!({"may_receive": ["stock"]}), &shaky()),
        Verdict::Inconclusive
    );
    assert_eq!(
        judge(Kind::Secrets, json!({}), vec![], &firm()).verdict,
        Verdict::Inconclusive
    );
}

#[test_case(MOST - 1, Verdict::Pass)]
#[test_case(MOST, Verdict::Inconclusive; "there may be one more")]
#[test_case(2 * MOST, Verdict::Inconclusive; "there is more")]
fn secrets_that_were_not_looked_at_are_no_pass(secrets: usize, expected: Verdict) {
    let tags = (0..secrets).map(|it| format!("x-key-{it}: [redacted key #{it:010}]"));
    let fields = tags.collect::<Vec<_>>().join("\r\n");
    let told = vec![get(0, "/", 200).sending(&fields)];
    let judgement = judge(Kind::Secrets, json!({}), told, &firm());
    assert_eq!(judgement.verdict, expected, "{judgement:?}");
    let says = judgement.why.contains("1 request of 32 secrets or more");
    assert_eq!(says, expected == Verdict::Inconclusive, "{judgement:?}");
}

#[test_case(0, TOKEN, Verdict::Pass; "few were received")]
#[test_case(MOST, TOKEN, Verdict::Inconclusive; "too many were received to know of each")]
#[test_case(MOST, "accept: */*", Verdict::Pass; "nothing is sent on")]
fn what_came_to_a_pod_counts_though_the_filter_leaves_it_out(
    more: usize,
    sent: &str,
    expected: Verdict,
) {
    let tags = (0..more).map(|it| format!("x-key-{it}: [redacted key #{it:010}]"));
    let fields = tags.collect::<Vec<_>>().join("\r\n");
    let received = get(0, "/login", 200)
        .taking_ms(90)
        .received()
        .sending(&fields);
    let traffic = traffic(vec![received, onward("/rows").sending(sent)]);
    let second = traffic.observed()[1].id();
    let picked = traffic.pick(|id| id == second);
    let check = Check::read(Kind::Secrets, serde_json::Map::new()).expect("it needs none");
    let judgement = check.judge(&[traffic.view(&picked)], &firm());
    assert_eq!(judgement.verdict, expected, "{judgement:?}");
}
