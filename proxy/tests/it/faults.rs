//! Faults that a person switches on: exactly what was asked for, to exactly as many calls, and nothing to
//! any other.

use remora_store::call::{Call, EffectKind};
use remora_store::fault::{FaultOrder, FaultOrders, HeldFault};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::rig::{Rig, within};

mod forward;
mod http1;
mod http2;
mod idle;
mod leaving;
mod unmatched;

/// Begins a fault called `f-1`.
pub(crate) fn begin(rig: &Rig, leg: &str, effect: Value, more: Value) {
    let mut fault = json!({"id": "f-1", "leg": leg, "effect": effect});
    for (key, value) in more.as_object().unwrap() {
        fault[key] = value.clone();
    }
    rig.faults.follow(FaultOrders {
        start: vec![FaultOrder {
            id: "f-1".to_owned(),
            fault,
            left_ms: 600_000,
        }],
        stop: Vec::new(),
    });
    assert_eq!(rig.faults.report().refused, []);
}

fn stop(rig: &Rig) {
    rig.faults.follow(FaultOrders {
        start: Vec::new(),
        stop: vec!["f-1".to_owned()],
    });
}

fn held(rig: &Rig) -> HeldFault {
    rig.faults.report().held.remove(0)
}

/// What is known of the calls that have ended.
async fn calls_of(rig: &mut Rig) -> Vec<Call> {
    rig.flush().await;
    let mut calls = Vec::new();
    while let Ok(batch) = rig.batches.try_recv() {
        calls.extend(batch.calls.into_iter().map(|recorded| recorded.call));
    }
    calls
}

fn effects(calls: &[Call]) -> Vec<Option<EffectKind>> {
    let effect = |call: &Call| {
        let fault = call.fault.as_ref()?;
        assert_eq!(&*fault.id, "f-1");
        Some(fault.effect)
    };
    calls.iter().map(effect).collect()
}

/// Sends something, which has to arrive, and the answer to it as well.
async fn exchange(client: &mut TcpStream, server: &mut TcpStream, up: &[u8], down: &[u8]) {
    client.write_all(up).await.unwrap();
    assert_eq!(read(server, up.len()).await, up);
    server.write_all(down).await.unwrap();
    assert_eq!(read(client, down.len()).await, down);
}

async fn read(from: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    within(from.read_exact(&mut bytes)).await.unwrap();
    bytes
}

/// Everything up to the end.
async fn read_to_end(from: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    within(from.read_to_end(&mut bytes)).await.unwrap();
    bytes
}
