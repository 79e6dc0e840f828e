//! Hub and sidecar over the control channel. Time is the test's own.

use std::sync::Arc;

use remora_store::fault::{EffectSpec, RefusedFault};
use tokio::sync::watch;

use super::*;
use crate::control::{Question, Share};
use crate::keys::RedactionKey;

const LIFE: Duration = Duration::from_secs(60);

fn spec(id: &str) -> FaultSpec {
    FaultSpec {
        id: id.to_owned(),
        leg: "outbound".to_owned(),
        effect: EffectSpec {
            status: Some(503),
            ..EffectSpec::default()
        },
        first: Some(3),
        ..FaultSpec::default()
    }
}

fn owner() -> (String, String) {
    ("shop".to_owned(), "orders".to_owned())
}

fn held(id: &str, state: FaultState, touched: u64) -> HeldFault {
    HeldFault {
        fault: spec(id),
        left_ms: 30_000,
        state,
        touched,
        covered: 1,
        not_covered: 2,
    }
}

fn allowing(held: Vec<HeldFault>) -> FaultReport {
    FaultReport {
        allowed: true,
        held,
        refused: Vec::new(),
    }
}

fn control() -> Arc<Control> {
    Arc::new(Control::new(RedactionKey::random()))
}

/// What a sidecar of `workload` is told that says this; it has to be told something.
async fn told(
    control: &Arc<Control>,
    incarnation: u128,
    workload: &str,
    report: FaultReport,
) -> FaultOrders {
    let (_running, draining) = watch::channel(false);
    let question = Question {
        incarnation,
        name: SidecarName {
            namespace: "shop".to_owned(),
            workload: workload.to_owned(),
            pod: String::new(),
        },
        epoch: u64::MAX >> 3,
        sequence: 0,
        goodbye: false,
        faults: Some(report),
        inbound: Share::All,
        outbound: Share::All,
    };
    control.ask(question, draining).await.unwrap().faults
}

fn names(orders: &FaultOrders) -> Vec<&str> {
    let start = orders.start.iter();
    start.map(|order| order.id.as_str()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_fault_is_told_until_it_is_held() {
    let control = control();
    assert!(control.begin_fault(spec("f-1"), owner(), LIFE));
    for _ in 0..2 {
        let orders = told(&control, 1, "orders", allowing(Vec::new())).await;
        assert_eq!(names(&orders), ["f-1"]);
        assert_eq!(orders.start[0].left_ms, 60_000);
    }
    let report = allowing(vec![held("f-1", FaultState::Active, 0)]);
    let orders = told(&control, 1, "orders", report).await;
    assert!(orders.is_empty(), "{orders:?}");
}

#[tokio::test(start_paused = true)]
async fn a_sidecar_that_waits_is_told_at_once() {
    let control = control();
    told(&control, 1, "orders", allowing(Vec::new())).await;
    let began = Instant::now();
    let (orders, ()) = tokio::join!(told(&control, 1, "orders", allowing(Vec::new())), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        control.begin_fault(spec("f-1"), owner(), LIFE);
    });
    assert_eq!(names(&orders), ["f-1"]);
    assert_eq!(began.elapsed(), Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn others_are_not_told() {
    let control = control();
    control.begin_fault(spec("f-1"), owner(), LIFE);
    let other = told(&control, 1, "web", allowing(Vec::new())).await;
    let forbidding = told(&control, 2, "orders", FaultReport::default()).await;
    assert!(other.is_empty() && forbidding.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_fault_that_a_sidecar_refuses_is_not_told_again() {
    let control = control();
    control.begin_fault(spec("f-1"), owner(), LIFE);
    let refusing = FaultReport {
        refused: vec![RefusedFault {
            id: "f-1".to_owned(),
            why: "too new".to_owned(),
        }],
        ..allowing(Vec::new())
    };
    let orders = told(&control, 1, "orders", refusing).await;
    assert!(orders.is_empty());
    let fault = control.fault("f-1").unwrap();
    assert_eq!(fault.refused[&1], "too new");
}

#[tokio::test(start_paused = true)]
async fn a_fault_that_is_stopped_is_told_of_until_it_has_ended() {
    let control = control();
    control.begin_fault(spec("f-1"), owner(), LIFE);
    let active = || allowing(vec![held("f-1", FaultState::Active, 2)]);
    told(&control, 1, "orders", active()).await;
    control.stop_fault("f-1");
    assert!(control.fault("f-1").unwrap().acts_in(1));
    let orders = told(&control, 1, "orders", active()).await;
    assert_eq!(orders.stop, ["f-1"]);
    let ended = allowing(vec![held("f-1", FaultState::Stopped, 3)]);
    told(&control, 1, "orders", ended).await;
    let fault = control.fault("f-1").unwrap();
    assert_eq!(fault.state(), FaultState::Stopped);
    assert_eq!((fault.acts_in(1), fault.seen[&1].touched), (false, 3));
}

#[tokio::test(start_paused = true)]
async fn a_fault_that_has_expired_is_not_stopped_any_more() {
    let control = control();
    control.begin_fault(spec("f-1"), owner(), LIFE);
    let active = allowing(vec![held("f-1", FaultState::Active, 2)]);
    told(&control, 1, "orders", active).await;
    tokio::time::advance(LIFE).await;
    assert!(!control.stop_fault("f-1"));
    let fault = control.fault("f-1").unwrap();
    assert_eq!(fault.state(), FaultState::Expired);
    // Its sidecar ends it by its own clock, and may not have said so.
    assert!(!fault.acts_in(1));
}

#[tokio::test(start_paused = true)]
async fn a_fault_that_is_spent_is_stopped_like_others_and_once() {
    let control = control();
    control.begin_fault(spec("f-1"), owner(), LIFE);
    let spent = allowing(vec![held("f-1", FaultState::Spent, 3)]);
    told(&control, 1, "orders", spent.clone()).await;
    assert_eq!(control.fault("f-1").unwrap().state(), FaultState::Spent);
    assert!(control.stop_fault("f-1"));
    assert!(!control.stop_fault("f-1"));
    let orders = told(&control, 1, "orders", spent).await;
    assert_eq!(orders.stop, ["f-1"]);
    // One that starts anew has forgotten it, and is not told of it.
    let orders = told(&control, 2, "orders", allowing(Vec::new())).await;
    assert!(orders.is_empty(), "{orders:?}");
    assert_eq!(control.fault("f-1").unwrap().state(), FaultState::Stopped);
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_starts_anew_learns_of_the_faults_that_act_and_can_stop_them() {
    let control = control();
    let active = || allowing(vec![held("f-1", FaultState::Active, 2)]);
    told(&control, 1, "orders", active()).await;
    let fault = control.fault("f-1").unwrap();
    assert_eq!(
        (fault.owner.clone(), fault.spec.clone()),
        (owner(), spec("f-1"))
    );
    assert_eq!(fault.expires - Instant::now(), Duration::from_secs(30));
    control.stop_fault("f-1");
    let orders = told(&control, 1, "orders", active()).await;
    assert_eq!(orders.stop, ["f-1"]);
}

#[tokio::test(start_paused = true)]
async fn what_one_sidecar_says_begins_no_fault_in_others() {
    let control = control();
    let claims = (0..40).map(|number| held(&format!("f-{number}"), FaultState::Active, 0));
    told(&control, 1, "orders", allowing(claims.collect())).await;
    assert_eq!(control.known_faults().len(), MOST_FAULTS);
    let orders = told(&control, 2, "orders", allowing(Vec::new())).await;
    assert!(orders.is_empty(), "{orders:?}");
}

#[tokio::test(start_paused = true)]
async fn a_sidecar_that_was_away_still_ends_what_was_stopped_meanwhile() {
    let control = control();
    control.begin_fault(spec("f-1"), owner(), MOST_LIFE);
    let active = || allowing(vec![held("f-1", FaultState::Active, 2)]);
    told(&control, 1, "orders", active()).await;
    control.stop_fault("f-1");
    tokio::time::advance(TOLD_FOR + LIFE).await;
    control.begin_fault(spec("f-2"), owner(), LIFE);
    assert_eq!(control.known_faults().len(), 1);
    let orders = told(&control, 1, "orders", active()).await;
    assert_eq!(names(&orders), ["f-2"]);
    assert_eq!(orders.stop, ["f-1"]);
}

#[tokio::test(start_paused = true)]
async fn nobody_speaks_for_the_sidecars_of_others() {
    let control = control();
    control.begin_fault(spec("f-1"), owner(), LIFE);
    told(
        &control,
        9,
        "web",
        allowing(vec![held("f-1", FaultState::Stopped, 99)]),
    )
    .await;
    let fault = control.fault("f-1").unwrap();
    assert!(fault.seen.is_empty());
    assert_eq!(fault.state(), FaultState::Active);
}

#[tokio::test(start_paused = true)]
async fn a_fault_is_told_of_for_a_while_after_its_end() {
    let control = control();
    control.begin_fault(spec("f-1"), owner(), LIFE);
    tokio::time::advance(LIFE).await;
    assert_eq!(control.known_faults()[0].state(), FaultState::Expired);
    let orders = told(&control, 1, "orders", allowing(Vec::new())).await;
    assert!(orders.is_empty());
    tokio::time::advance(TOLD_FOR).await;
    assert!(control.known_faults().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_hub_knows_no_more_faults_than_it_can() {
    let control = control();
    for number in 0..MOST_KNOWN {
        assert!(control.begin_fault(spec(&format!("f-{number}")), owner(), LIFE));
    }
    assert!(!control.begin_fault(spec("f-x"), owner(), LIFE));
    tokio::time::advance(LIFE + TOLD_FOR).await;
    assert!(control.begin_fault(spec("f-x"), owner(), LIFE));
}
