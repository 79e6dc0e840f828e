//! Questions whose time is over.

use std::sync::Arc;
use std::time::Duration;

use remora_store::block::{BlockMeta, Codec, Origin, seal};
use remora_store::memory::Memory;
use remora_store::store::{ReceivedBlock, Scope};
use remora_store::testing::call;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::*;
use crate::clock::now_ns;
use crate::control::Control;
use crate::keys::RedactionKey;

async fn answer(expectations: Value, time: Duration) -> VerifyAnswer {
    let (_running, draining) = watch::channel(false);
    let control = Control::new(RedactionKey::random());
    let store = Arc::new(Memory::new(1 << 20));
    let app = App::new(store, control, Default::default(), draining);
    let meta = BlockMeta {
        sequence: 1,
        ..BlockMeta::default()
    };
    let bytes = seal(&meta, &[call(now_ns(), "/orders/7", 200)], None, Codec::Raw);
    let origin = Origin::default();
    let block = ReceivedBlock { origin, bytes };
    app.store.ingest(vec![block]).await.unwrap();
    let sight = Sight::read(&app, &Scope::ALL, "live:15m").await.unwrap();
    let expectations = read(serde_json::from_value(expectations).unwrap()).unwrap();
    judge_all(&app, &sight, expectations, Budget::of(time))
        .await
        .unwrap()
}

#[tokio::test]
async fn what_there_was_no_time_to_judge_is_inconclusive_and_no_failure() {
    let expectations = json!([
        {"check": "status"},
        {"check": "count", "args": {"min": 1, "filter": {"status": "2xx"}}},
        {"check": "count", "args": {"max": 0, "filter": {"path_prefix": "/orders"}}},
    ]);
    let hour = Duration::from_secs(3600);
    let all = answer(expectations.clone(), hour).await;
    let verdicts: Vec<_> = all.checks.iter().map(|it| it.verdict).collect();
    assert_eq!(verdicts, ["pass", "pass", "fail"], "{all:?}");
    let late = answer(expectations, Duration::ZERO).await;
    let verdicts: Vec<_> = late.checks.iter().map(|it| it.verdict).collect();
    assert_eq!(
        verdicts,
        ["pass", "inconclusive", "inconclusive"],
        "{late:?}"
    );
    assert_eq!(late.checks[1].expected, "at least 1 call");
    assert_eq!(late.checks[1].why, UNASKED);
    assert!(late.blind_spots.contains(&UNASKED.to_owned()), "{late:?}");
}
