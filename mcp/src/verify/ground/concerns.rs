//! Whether a call that was under way when a snapshot was sealed may be one that a filter asks for (pure).

use remora_store::names::Party;
use remora_store::snapshot::{Nature, UnderWay};

use crate::tools::filter::FilterInput;

/// Whether it may. How it ended nobody knows, and what only its end or `where` would tell is taken to be so.
pub(super) fn may_be(filter: Option<&FilterInput>, call: &UnderWay) -> bool {
    let Some(filter) = filter else {
        return true;
    };
    // What was not seen, or was too long to keep, may be anything.
    let may_say = |seen: &str, wanted: &Option<String>| match wanted {
        Some(wanted) if !seen.is_empty() => seen == wanted,
        _ => true,
    };
    let begins = filter.path_prefix.as_ref();
    // What speaks a protocol of its own asks for nothing by a path, and has no status.
    !(call.nature == Nature::Opaque && asks_inside(filter))
        && joins(filter, &call.src, &call.dst)
        && may_say(&call.method, &filter.method)
        && may_say(&call.route, &filter.route)
        && begins.is_none_or(|begins| call.path.is_empty() || call.path.starts_with(begins))
}

/// Whether a filter asks for what only somebody can tell who reads what passes.
pub(super) fn asks_inside(filter: &FilterInput) -> bool {
    let texts = [
        &filter.method,
        &filter.route,
        &filter.path_prefix,
        &filter.header,
        &filter.trace_id,
        &filter.r#where,
    ];
    texts.into_iter().any(Option::is_some) || filter.status.is_some()
}

/// Whether these are the ends that a filter names, as far as it names any.
pub(super) fn joins(filter: &FilterInput, src: &Party, dst: &Party) -> bool {
    let is_end = |wanted: &Option<String>, party: &Party| {
        wanted.as_ref().is_none_or(|name| is_called(party, name))
    };
    let namespace = filter.namespace.as_ref();
    is_end(&filter.src, src)
        && is_end(&filter.dst, dst)
        && namespace.is_none_or(|name| [&src.namespace, &dst.namespace].contains(&name))
}

/// Whether a filter that names somebody so means this end.
fn is_called(party: &Party, name: &str) -> bool {
    [&party.workload, &party.service, &party.pod].contains(&&name.to_owned())
        || party.address.ip().to_string() == name
        || party.address.to_string() == name
}

#[cfg(test)]
mod tests {
    use remora_store::call::Leg;
    use test_case::test_case;

    use super::*;

    /// `POST /pay/7` that `web` had sent to `payments`.
    fn sent() -> UnderWay {
        let party = |name: &str, address: &str| Party {
            workload: name.to_owned(),
            namespace: "shop".to_owned(),
            ..Party::unknown(address.parse().unwrap())
        };
        UnderWay {
            since_ns: 0,
            nature: Nature::Request,
            run: 1,
            namespace: "shop".to_owned(),
            workload: "web".to_owned(),
            leg: Leg::Outbound,
            src: party("web", "10.0.0.1:50000"),
            dst: party("payments", "10.0.0.2:80"),
            method: "POST".to_owned(),
            path: "/pay/7".to_owned(),
            route: "/pay/{id}".to_owned(),
        }
    }

    fn filter(json: &str) -> FilterInput {
        serde_json::from_str(json).unwrap()
    }

    #[test_case("{}", true; "any call")]
    #[test_case(r#"{"src": "web", "dst": "payments"}"#, true; "its ends")]
    #[test_case(r#"{"dst": "10.0.0.2:80"}"#, true; "its address")]
    #[test_case(r#"{"dst": "admin"}"#, false; "another callee")]
    #[test_case(r#"{"namespace": "bank"}"#, false; "another namespace")]
    #[test_case(r#"{"method": "GET"}"#, false; "another method")]
    #[test_case(r#"{"path_prefix": "/pay"}"#, true; "its path")]
    #[test_case(r#"{"path_prefix": "/admin"}"#, false; "another path")]
    #[test_case(r#"{"route": "/pay/{id}"}"#, true; "its route")]
    #[test_case(r#"{"route": "/orders/{id}"}"#, false; "another route")]
    #[test_case(r#"{"status": "5xx"}"#, true; "how it ends")]
    #[test_case(r#"{"where": "status == 404"}"#, true; "what only its end tells")]
    fn a_call_under_way_may_be_what_is_asked_for(asked: &str, expected: bool) {
        assert_eq!(may_be(Some(&filter(asked)), &sent()), expected);
    }

    #[test]
    fn one_of_which_nothing_was_seen_may_ask_for_anything() {
        let unread = UnderWay {
            nature: Nature::Tls,
            method: String::new(),
            path: String::new(),
            route: String::new(),
            ..sent()
        };
        let asked = |json| may_be(Some(&filter(json)), &unread);
        assert!(asked(
            r#"{"src": "web", "method": "GET", "path_prefix": "/admin"}"#
        ));
        assert!(!asked(r#"{"src": "batch", "path_prefix": "/admin"}"#));
    }
}
