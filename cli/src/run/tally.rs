//! How much was recorded of a program, in words.

use std::fmt::Write as _;

use remora_proxy::Tally;

/// What is said of it at the end.
pub(super) fn in_words(tally: &Tally) -> String {
    let plural = |count: u64| if count == 1 { "call" } else { "calls" };
    let all = tally.inbound + tally.outbound;
    let mut said = match all {
        0 => "no calls recorded".to_owned(),
        _ => format!(
            "{all} {} recorded ({} outbound, {} inbound)",
            plural(all),
            tally.outbound,
            tally.inbound
        ),
    };
    for (count, what) in [
        (tally.failed, "failed"),
        (tally.tls, "of them TLS that was not looked into"),
        (tally.lost, "did not reach the hub"),
    ] {
        if count > 0 {
            // Writing to a string cannot fail.
            let _ = write!(said, ", {count} {what}");
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_there_is_nothing_of_is_not_said() {
        assert_eq!(in_words(&Tally::default()), "no calls recorded");
        let one = Tally {
            inbound: 1,
            ..Tally::default()
        };
        assert_eq!(in_words(&one), "1 call recorded (0 outbound, 1 inbound)");
        let all = Tally {
            inbound: 4,
            outbound: 5,
            failed: 1,
            tls: 2,
            lost: 3,
        };
        assert_eq!(
            in_words(&all),
            "9 calls recorded (5 outbound, 4 inbound), 1 failed, 2 of them TLS that was not looked into, \
             3 did not reach the hub"
        );
    }
}
