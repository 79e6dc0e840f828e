//! What is wrong with the demo's shop on purpose, and whether the hub found just that.

use anyhow::Context;
use serde_json::Value;

use crate::http::Client;
use crate::hub_api::{part, text};

/// One thing that is wrong on purpose: check, code and subject of its finding.
type Planted = (&'static str, &'static str, &'static str);

/// Everything that is wrong with the shop as it is opened without `--fixed`.
const PLANTED: [Planted; 14] = [
    ("retries", "no_backoff", "orders -> payments POST /charge"),
    (
        "retries",
        "retry_after_ignored",
        "orders -> payments POST /charge",
    ),
    ("status", "failing", "orders -> payments POST /charge"),
    (
        "n_plus_one",
        "one_call_for_each",
        "storefront -> orders GET /orders/{id} causes orders -> inventory GET /items/{id}",
    ),
    (
        "n_plus_one",
        "same_call_again",
        "127.0.0.1 -> storefront POST /api/checkout causes storefront -> inventory GET /rates",
    ),
    (
        "n_plus_one",
        "one_call_for_each",
        "127.0.0.1 -> storefront GET /api/cart causes storefront -> redis GET item:{id}",
    ),
    (
        "n_plus_one",
        "one_call_for_each",
        "storefront -> orders GET /customers/{id}/orders causes orders -> postgres SELECT id, customer, total FROM orders WHERE id = ?",
    ),
    (
        "cache",
        "never_cached",
        "127.0.0.1 -> storefront GET /api/orders/{id}",
    ),
    (
        "cache",
        "never_cached",
        "storefront -> orders GET /orders/{id}",
    ),
    (
        "cache",
        "never_cached",
        "127.0.0.1 -> storefront GET /api/catalog",
    ),
    ("secrets", "in_url", "storefront -> inventory GET /rates"),
    ("secrets", "forwarded", "storefront -> orders POST /orders"),
    ("secrets", "forwarded", "orders -> payments POST /charge"),
    ("connections", "no_reuse", "orders -> inventory"),
];

/// What the hub found, against what was planted.
#[derive(Debug)]
pub(super) struct Hunt {
    /// What was found, a line each.
    pub(super) found: Vec<String>,
    /// What is not as it should be: something missed, something else found, or evidence that proves nothing.
    pub(super) faults: Vec<String>,
}

/// Asks the hub what is wrong, and looks at the evidence.
pub(super) async fn hunt(client: &Client, api: &str, fixed: bool) -> anyhow::Result<Hunt> {
    let answer = client
        .json(&format!("{api}/api/v1/findings?snapshot=live:1h"))
        .await?;
    let findings = part(&answer, "findings")
        .as_array()
        .context("the hub told no findings")?;
    let planted: &[Planted] = if fixed { &[] } else { &PLANTED };
    let mut hunt = Hunt {
        found: Vec::new(),
        faults: Vec::new(),
    };
    for finding in findings {
        let line = format!(
            "{:<6} {}/{} {}: {}",
            text(finding, "severity"),
            text(finding, "check"),
            text(finding, "code"),
            text(finding, "subject"),
            text(finding, "seen")
        );
        if !planted.iter().any(|it| is_of(finding, it)) {
            hunt.faults.push(format!("nobody planted this: {line}"));
        }
        hunt.faults.extend(prove(client, api, finding).await?);
        hunt.found.push(line);
    }
    for missed in planted
        .iter()
        .filter(|it| !findings.iter().any(|found| is_of(found, it)))
    {
        let (check, code, subject) = missed;
        hunt.faults
            .push(format!("planted and not found: {check}/{code} {subject}"));
    }
    Ok(hunt)
}

fn is_of(finding: &Value, (check, code, subject): &Planted) -> bool {
    text(finding, "check") == *check
        && text(finding, "code") == *code
        && text(finding, "subject") == *subject
}

/// What is wrong with the evidence of a finding: its calls have to be there, and one of them has to be of
/// what the finding says.
async fn prove(client: &Client, api: &str, finding: &Value) -> anyhow::Result<Option<String>> {
    let subject = text(finding, "subject");
    let ids = part(finding, "evidence")
        .as_array()
        .cloned()
        .unwrap_or_default();
    let mut proves = false;
    for id in ids.iter().filter_map(Value::as_str) {
        let call = client.json(&format!("{api}/api/v1/calls/{id}")).await?;
        let name = |end: &str| text(part(&call, end), "workload").to_owned();
        let ends = format!("{} -> {}", name("src"), name("dst"));
        let asked = format!("{} {}", text(&call, "method"), text(&call, "route"));
        proves |= subject.contains(&asked) || subject == ends;
    }
    Ok((!proves).then(|| format!("the evidence of {subject} does not prove it: {ids:?}")))
}
