//! The connection that every benchmark observes.

use remora_proxy::budget::Budget;
use remora_proxy::observe::{ConnectionFacts, Limits, Observer};
use remora_store::call::Leg;

pub(crate) fn observer(budget: &Budget) -> Observer {
    let facts = ConnectionFacts {
        id: 1,
        leg: Leg::Inbound,
        src: ([10, 0, 0, 1], 40_000).into(),
        dst: ([10, 0, 0, 2], 80).into(),
        accepted_ns: 0,
    };
    let limits = Limits {
        body_bytes: 64 * 1024,
        head_bytes: 64 * 1024,
    };
    Observer::new(facts, limits, budget.clone())
}
