//! How much was recorded of a program, as its hub counts it.

use std::fmt;
use std::time::SystemTime;

use hyper::Method;
use serde_json::Value;

use crate::hub_api::{HubApi, part, text};

/// Calls of a program.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    inbound: u64,
    outbound: u64,
    failed: u64,
    /// Connections of which only the TLS handshake was seen; among the calls.
    tls: u64,
}

impl Tally {
    /// Asks the hub what it has of a workload since then.
    pub(super) async fn ask(
        hub: &HubApi,
        workload: &str,
        since: SystemTime,
    ) -> anyhow::Result<Self> {
        // A name in CEL is quoted as in JSON.
        let filter = format!("workload == {}", Value::from(workload));
        let query = form(&[
            ("group_by", "protocol"),
            ("filter", &filter),
            ("since", &humantime::format_rfc3339_nanos(since).to_string()),
        ]);
        let path = format!("/summary?{query}");
        Ok(Self::of(&hub.ask(Method::GET, &path, None).await?))
    }

    fn of(summary: &Value) -> Self {
        let mut tally = Self::default();
        for group in part(summary, "groups").as_array().into_iter().flatten() {
            let number = |field: &str| part(group, field).as_u64().unwrap_or(0);
            let calls = number("calls");
            match text(group, "leg") {
                "inbound" => tally.inbound += calls,
                _ => tally.outbound += calls,
            }
            tally.failed += number("errors");
            if text(group, "protocol") == "tls" {
                tally.tls += calls;
            }
        }
        tally
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |count: u64| if count == 1 { "call" } else { "calls" };
        let all = self.inbound + self.outbound;
        match all {
            0 => return f.write_str("no calls recorded"),
            _ => write!(f, "{all} {} recorded", plural(all))?,
        }
        write!(f, " ({} outbound, {} inbound)", self.outbound, self.inbound)?;
        if self.failed > 0 {
            write!(f, ", {} failed", self.failed)?;
        }
        if self.tls > 0 {
            write!(f, ", {} of them TLS that was not looked into", self.tls)?;
        }
        Ok(())
    }
}

fn form(fields: &[(&str, &str)]) -> String {
    let encode = |text: &str| -> String {
        text.bytes()
            .map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                    char::from(byte).to_string()
                }
                _ => format!("%{byte:02X}"),
            })
            .collect()
    };
    let fields = fields
        .iter()
        .map(|(name, value)| format!("{name}={}", encode(value)));
    fields.collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn calls_are_counted_by_leg() {
        let group = |leg: &str, protocol: &str, calls: u64, errors: u64| json!({"leg": leg, "protocol": protocol, "calls": calls, "errors": errors});
        let summary = json!({"groups": [
            group("outbound", "http1", 3, 1), group("outbound", "tls", 2, 0), group("inbound", "http1", 4, 0),
        ]});
        let tally = Tally::of(&summary);
        assert_eq!(
            tally.to_string(),
            "9 calls recorded (5 outbound, 4 inbound), 1 failed, 2 of them TLS that was not looked into"
        );
        assert_eq!(Tally::default().to_string(), "no calls recorded");
    }
}
