//! What tests of checks have in common.

use serde_json::Value;

use super::{Check, Finding, Ground, Judgement, Kind, find};
use crate::traffic::testing::{Told, at, traffic};

/// A ground on which what was not seen did not happen.
pub(super) fn firm() -> Ground {
    Ground {
        until_ns: at(3_600_000),
        ..Ground::default()
    }
}

/// One on which it may have: a sidecar that was there lost records.
pub(super) fn shaky() -> Ground {
    let lost = vec!["3 calls were not recorded".to_owned()];
    Ground {
        doubts: lost.clone(),
        missing: lost,
        has_gaps: true,
        ..firm()
    }
}

/// What a check of all of these calls comes to.
pub(super) fn judge(kind: Kind, args: Value, told: Vec<Told>, ground: &Ground) -> Judgement {
    let Value::Object(args) = args else {
        panic!("arguments are an object");
    };
    let check = Check::read(kind, args).expect("the arguments are right");
    let traffic = traffic(told);
    let all = traffic.pick(|_| true);
    check.judge(&[traffic.view(&all)], ground)
}

/// What a check finds in all of these calls.
pub(super) fn findings(kind: Kind, told: Vec<Told>) -> Vec<Finding> {
    let traffic = traffic(told);
    let all = traffic.pick(|_| true);
    find(&[kind], &traffic.view(&all))
}

/// Which field is wrong in arguments that no check takes.
pub(super) fn refused_field(kind: Kind, args: Value) -> String {
    let Value::Object(args) = args else {
        panic!("arguments are an object");
    };
    let error = Check::read(kind, args).expect_err("the arguments are wrong");
    error.field_name().unwrap_or_default().to_owned()
}
