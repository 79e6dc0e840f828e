//! What a sidecar recorded in its run, in numbers: for whoever started it.

use remora_store::call::{Call, Leg, Protocol};
use remora_store::outcome::Ending;

use crate::record::Batch;

/// Calls of one run. Health checks are not among them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Calls that the workload answered.
    pub inbound: u64,
    /// Calls that it made.
    pub outbound: u64,
    /// How many of both failed, as a hub counts failures ([`Ending::failed`]).
    pub failed: u64,
    /// How many of both are connections of which only the TLS handshake was seen.
    pub tls: u64,
    /// Calls that were observed and did not reach the hub, for whatever reason.
    pub lost: u64,
}

impl Tally {
    /// Adds what a batch brings.
    pub(crate) fn add(&mut self, batch: &Batch) {
        self.lost += batch.drops.iter().map(|drop| drop.calls).sum::<u64>();
        let calls = batch.calls.iter().map(|recorded| &recorded.call);
        calls
            .filter(|call| !call.probe)
            .for_each(|call| self.count(call));
    }

    fn count(&mut self, call: &Call) {
        match call.leg {
            Leg::Inbound => self.inbound += 1,
            Leg::Outbound => self.outbound += 1,
        }
        self.failed += u64::from(Ending::of(call).failed());
        self.tls += u64::from(call.protocol == Protocol::Tls);
    }
}

#[cfg(test)]
mod tests {
    use remora_store::block::Drop;

    use super::*;
    use crate::observe::Recorded;
    use crate::redact::tests::call;

    #[test]
    fn calls_and_losses_are_counted_and_health_checks_are_not() {
        let recorded = |change: &dyn Fn(&mut Call)| {
            let mut call = call();
            change(&mut call);
            Recorded {
                call,
                cost_bytes: 0,
            }
        };
        let batch = Batch {
            calls: vec![
                recorded(&|call| call.leg = Leg::Inbound),
                recorded(&|call| {
                    call.leg = Leg::Outbound;
                    call.response.head = "HTTP/1.1 503 Busy\r\n\r\n".into();
                }),
                recorded(&|call| {
                    call.leg = Leg::Outbound;
                    call.protocol = Protocol::Tls;
                }),
                recorded(&|call| call.probe = true),
            ],
            open: Some(vec![call()]),
            drops: vec![Drop {
                reason: "queue".to_owned(),
                calls: 3,
                since_ns: 0,
                until_ns: 0,
            }],
        };
        let mut tally = Tally::default();
        tally.add(&batch);
        let expected = Tally {
            inbound: 1,
            outbound: 2,
            failed: 1,
            tls: 1,
            lost: 3,
        };
        assert_eq!(tally, expected);
    }
}
