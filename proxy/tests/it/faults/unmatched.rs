//! What no fault means passes as it always did.

use serde_json::json;

use super::begin;
use crate::rig::Rig;
use crate::terminated::{Cut, differences_through};

/// Whatever two ends may say to each other, byte by byte.
#[tokio::test]
async fn connections_that_a_fault_cannot_meet_are_passed_on_byte_for_byte() {
    let rig = Rig::start_outbound().await;
    begin(
        &rig,
        "outbound",
        json!({"reset": true}),
        json!({"filter": {"dst": "127.0.0.9"}}),
    );
    let found = differences_through(rig, Cut::Whole, |_| true).await;
    assert_eq!(found, []);
}

/// Where only the request tells, the engine that reads it changes what it always does, and nothing else.
#[tokio::test]
async fn requests_that_a_fault_does_not_mean_pass_as_the_engine_passes_them() {
    let terminating = Rig::start_terminating().await;
    let known = differences_through(terminating, Cut::Whole, |_| true).await;
    let rig = Rig::start_outbound().await;
    begin(
        &rig,
        "outbound",
        json!({"reset": true}),
        json!({"filter": {"path_prefix": "/no-such-path"}}),
    );
    let found = differences_through(rig, Cut::Whole, |_| true).await;
    assert_eq!(found, known);
}
