//! Numbers and places in words, alike in every check.

use std::fmt::Write as _;

use remora_store::call::CallId;

use super::judgement::EVIDENCE;
use crate::tools::text;
use crate::traffic::Observed;

/// Nanoseconds as people say them: `1.01 s`, `45 ms`, `0.3 ms`.
pub(crate) fn span(ns: f64) -> String {
    let ms = ns / 1e6;
    match ms {
        ms if ms >= 99.95e3 => format!("{:.0} s", ms / 1e3),
        ms if ms >= 999.5 => format!("{:.2} s", ms / 1e3),
        ms if ms >= 9.95 => format!("{ms:.0} ms"),
        ms => format!("{ms:.1} ms"),
    }
}

/// Several of them, such as `1.01 s, 1.00 s, 1.00 s`; many are cut.
pub(crate) fn spans(all_ns: impl IntoIterator<Item = f64>) -> String {
    const SHOWN: usize = 8;
    let mut text = String::new();
    for (place, ns) in all_ns.into_iter().enumerate() {
        if place == SHOWN {
            text.push_str(", …");
            break;
        }
        let separator = if place == 0 { "" } else { ", " };
        let _ = write!(text, "{separator}{}", span(ns));
    }
    text
}

/// `1 call`, `2 calls`, `3 retries`, `4 keys`.
pub(crate) fn counted(n: usize, one: &str) -> String {
    let stem = one.strip_suffix('y');
    match (n, stem.filter(|stem| !stem.ends_with(['a', 'e', 'o']))) {
        (1, _) => format!("1 {one}"),
        (n, Some(stem)) => format!("{n} {stem}ies"),
        (n, None) => format!("{n} {one}s"),
    }
}

/// A share of a whole in percent: `12 %`, `0.3 %`.
pub(crate) fn percent(part: usize, whole: usize) -> String {
    let share = 100.0 * part as f64 / whole.max(1) as f64;
    match share {
        share if share == 0.0 || share >= 9.95 => format!("{share:.0} %"),
        share => format!("{share:.1} %"),
    }
}

/// Who called whom for what: `orders -> payments POST /pay/{id}`.
pub(crate) fn subject(call: &Observed) -> String {
    let (src, dst) = (call.src(), call.dst());
    match call.method.as_str() {
        "" => format!("{src} -> {dst}"),
        method => format!("{src} -> {dst} {}", text::question(method, &call.route)),
    }
}

/// The first few ids, each of them once.
pub(crate) fn evidence(ids: impl IntoIterator<Item = CallId>) -> Vec<CallId> {
    let mut shown = Vec::with_capacity(EVIDENCE);
    for id in ids {
        if shown.len() == EVIDENCE {
            break;
        }
        if !shown.contains(&id) {
            shown.push(id);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case(1.01e9, "1.01 s")]
    #[test_case(0.9996e9, "1.00 s")]
    #[test_case(45.4e6, "45 ms")]
    #[test_case(0.32e6, "0.3 ms")]
    #[test_case(120e9, "120 s")]
    fn a_time_is_said_as_people_say_it(ns: f64, expected: &str) {
        assert_eq!(span(ns), expected);
    }

    #[test]
    fn a_call_is_evidence_once() {
        let ids = [3, 1, 3, 2].map(|ordinal| CallId { block: 1, ordinal });
        let shown: Vec<_> = evidence(ids).iter().map(|id| id.ordinal).collect();
        assert_eq!(shown, [3, 1, 2]);
    }

    #[test_case(0, 10, "0 %")]
    #[test_case(1, 300, "0.3 %")]
    #[test_case(12, 100, "12 %")]
    #[test_case(1, 0, "100 %"; "of nothing")]
    fn a_share_is_said_as_people_say_it(part: usize, whole: usize, expected: &str) {
        assert_eq!(percent(part, whole), expected);
    }
}
