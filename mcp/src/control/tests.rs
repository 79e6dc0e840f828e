//! The barrier, seen from both of its sides. Time is the test's own.

use std::collections::HashSet;

use remora_store::store::{Namespaces, Scope};
use tokio::time::Instant;

use super::flush::HAND_OVER;
use super::sidecar::PROMPT_WITHIN;
use super::*;

fn control() -> Arc<Control> {
    Arc::new(Control::new(RedactionKey::random()))
}

fn question(incarnation: u128, epoch: u64) -> Question {
    Question {
        incarnation,
        name: SidecarName {
            workload: format!("w{incarnation}"),
            ..SidecarName::default()
        },
        epoch,
        sequence: 0,
        inbound: Share::All,
        outbound: Share::All,
        goodbye: false,
        faults: None,
    }
}

/// A sidecar that answers every epoch it is told, `answers` times.
async fn sidecar(control: Arc<Control>, incarnation: u128, answers: usize) {
    let (_running, draining) = watch::channel(false);
    let mut epoch = 0;
    for _ in 0..=answers {
        let answer = control
            .ask(question(incarnation, epoch), draining.clone())
            .await;
        epoch = answer.unwrap().epoch;
    }
    // Holds its place until the test ends, as a sidecar with nothing to do does.
    let _ = control.ask(question(incarnation, epoch), draining).await;
}

async fn registered(control: &Control, count: usize) {
    let mut heard = control.heard.subscribe();
    heard.mark_changed();
    while control.sidecars().len() < count {
        heard.changed().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_question_is_answered_at_once() {
    let (_running, draining) = watch::channel(false);
    let began = Instant::now();
    let answer = control().ask(question(1, 0), draining).await.unwrap();
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert!(answer.epoch > 0);
    assert_eq!(answer.redaction_key.key.len(), 64);
}

#[tokio::test(start_paused = true)]
async fn a_sidecar_with_nothing_to_answer_waits_for_a_long_poll() {
    let (_running, draining) = watch::channel(false);
    let control = control();
    let epoch = control
        .ask(question(1, 0), draining.clone())
        .await
        .unwrap()
        .epoch;
    let began = Instant::now();
    let answer = control.ask(question(1, epoch), draining).await.unwrap();
    assert_eq!(answer.epoch, epoch);
    assert_eq!(began.elapsed(), LONG_POLL);
}

#[tokio::test(start_paused = true)]
async fn a_flush_ends_when_all_sidecars_have_answered() {
    let control = control();
    for incarnation in [1, 2] {
        tokio::spawn(sidecar(Arc::clone(&control), incarnation, 5));
    }
    registered(&control, 2).await;
    let began = Instant::now();
    let flushed = control.flush(Duration::from_secs(2)).await;
    assert_eq!(flushed.answered.len(), 2);
    assert!(flushed.unanswered.is_empty());
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_sidecar_that_does_not_answer_is_named() {
    let control = control();
    tokio::spawn(sidecar(Arc::clone(&control), 1, 5));
    let (_running, draining) = watch::channel(false);
    control.ask(question(2, 0), draining).await.unwrap();
    registered(&control, 2).await;
    let flushed = control.flush(Duration::from_secs(2)).await;
    assert_eq!(flushed.answered.len(), 1);
    assert_eq!(flushed.unanswered, [question(2, 0).name]);
}

#[tokio::test(start_paused = true)]
async fn a_sidecar_that_went_away_is_not_waited_for() {
    let control = control();
    let (_running, draining) = watch::channel(false);
    control.ask(question(1, 0), draining).await.unwrap();
    tokio::time::advance(SILENT_AFTER).await;
    assert_eq!(
        control.flush(Duration::from_secs(2)).await,
        Flushed::default()
    );
}

#[tokio::test(start_paused = true)]
async fn a_hub_whose_clock_stepped_back_goes_on_above_the_epochs_it_gave_out() {
    let control = control();
    let (_running, draining) = watch::channel(false);
    let ahead = *control.epoch.borrow() + 1_000_000;
    let answer = control.ask(question(1, ahead), draining).await.unwrap();
    assert_eq!(answer.epoch, ahead);
    let flush = tokio::spawn({
        let control = Arc::clone(&control);
        async move { control.flush(Duration::from_secs(2)).await }
    });
    let (_running, draining) = watch::channel(false);
    let told = control
        .ask(question(1, ahead), draining.clone())
        .await
        .unwrap()
        .epoch;
    assert!(told > ahead);
    let answered =
        tokio::spawn(async move { control.ask(question(1, told), draining).await.map(|_| ()) });
    assert_eq!(flush.await.unwrap().answered.len(), 1);
    answered.abort();
}

#[tokio::test(start_paused = true)]
async fn waiting_sidecars_are_answered_when_the_hub_stops() {
    let control = control();
    let (running, draining) = watch::channel(false);
    let epoch = control
        .ask(question(1, 0), draining.clone())
        .await
        .unwrap()
        .epoch;
    let began = Instant::now();
    let ask = control.ask(question(1, epoch), draining);
    running.send(true).unwrap();
    ask.await.unwrap();
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn sidecars_that_answer_hand_over_at_once() {
    let control = control();
    tokio::spawn(sidecar(Arc::clone(&control), 1, 5));
    registered(&control, 1).await;
    let (began, epoch) = (Instant::now(), *control.epoch.borrow());
    control.hand_over(&Scope::ALL).await;
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert!(control.lock()[&1].epoch > epoch);
}

#[tokio::test(start_paused = true)]
async fn a_sidecar_that_hangs_delays_a_question_by_half_a_second_and_then_no_more() {
    let control = control();
    let (_running, draining) = watch::channel(false);
    control.ask(question(1, 0), draining).await.unwrap();
    let mut began = Instant::now();
    control.hand_over(&Scope::ALL).await;
    assert_eq!(began.elapsed(), HAND_OVER);
    tokio::time::advance(PROMPT_WITHIN).await;
    began = Instant::now();
    control.hand_over(&Scope::ALL).await;
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_sidecar_out_of_scope_is_not_waited_for() {
    let control = control();
    let (_running, draining) = watch::channel(false);
    control.ask(question(1, 0), draining).await.unwrap();
    let began = Instant::now();
    let scope = Scope::whole(Namespaces::Only(["elsewhere".to_owned()].into()));
    control.hand_over(&scope).await;
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_sidecar_that_said_goodbye_is_not_known_any_more_whatever_comes_after_it() {
    let control = control();
    let (_running, draining) = watch::channel(false);
    control.ask(question(1, 0), draining.clone()).await.unwrap();
    let began = Instant::now();
    let goodbye = Question {
        goodbye: true,
        ..question(1, 0)
    };
    control.ask(goodbye, draining.clone()).await.unwrap();
    assert_eq!(began.elapsed(), Duration::ZERO);
    // A question that was under way when it ended.
    let _ = tokio::time::timeout(LONG_POLL, control.ask(question(1, 0), draining)).await;
    control.heard_blocks_of(1);
    assert!(control.sidecars().is_empty());
    let flushed = control.flush(Duration::from_secs(2)).await;
    assert_eq!(flushed, Flushed::default());
}

#[tokio::test(start_paused = true)]
async fn a_sidecar_is_missed_in_a_time_before_another_took_its_place() {
    let control = control();
    let (_running, draining) = watch::channel(false);
    control.ask(question(1, 0), draining.clone()).await.unwrap();
    let name = question(1, 0).name;
    assert_eq!(control.silent_since(0), []);
    tokio::time::advance(SILENT_AFTER).await;
    let missed = [(1, name.clone())];
    assert_eq!(control.silent_since(clock::now_ns()), missed);
    let before = clock::now_ns();
    let restarted = Question {
        name,
        ..question(2, 0)
    };
    control.ask(restarted, draining).await.unwrap();
    assert_eq!(control.silent_since(before), missed);
    assert_eq!(control.silent_since(clock::now_ns() + 1), []);
    let replaced = |since_ns| control.replaced_before(since_ns);
    assert_eq!(replaced(before), HashSet::new());
    assert_eq!(replaced(clock::now_ns() + 1), HashSet::from([1]));
}

#[tokio::test(start_paused = true)]
async fn a_sidecar_that_fell_silent_long_before_a_time_is_not_missed_in_it() {
    let control = control();
    let (_running, draining) = watch::channel(false);
    control.ask(question(1, 0), draining).await.unwrap();
    tokio::time::advance(SILENT_AFTER).await;
    let minutes_later = |minutes: i64| clock::now_ns() + minutes * 60 * 1_000_000_000;
    assert_eq!(control.silent_since(minutes_later(4)).len(), 1);
    assert_eq!(control.silent_since(minutes_later(6)), []);
}

#[tokio::test(start_paused = true)]
async fn that_calls_are_seen_only_through_a_proxy_outlasts_a_goodbye() {
    let control = control();
    let (_running, draining) = watch::channel(false);
    let proxied = Question {
        outbound: Share::Proxied,
        ..question(1, 0)
    };
    control.ask(proxied, draining.clone()).await.unwrap();
    let goodbye = Question {
        goodbye: true,
        ..question(1, 0)
    };
    control.ask(goodbye, draining.clone()).await.unwrap();
    control.ask(question(2, 0), draining).await.unwrap();
    let expected = (question(1, 0).name, Share::All, Share::Proxied);
    assert_eq!(control.partly_given(), [expected]);
}

#[tokio::test(start_paused = true)]
async fn a_goodbye_answers_the_flush_that_is_under_way() {
    let control = control();
    let (_running, draining) = watch::channel(false);
    control.ask(question(1, 0), draining.clone()).await.unwrap();
    let nobody = HashSet::new();
    let patience = Duration::from_secs(2);
    let goodbye = Question {
        goodbye: true,
        ..question(1, 0)
    };
    let (flushed, answer) = tokio::join!(
        control.flush_in(|_| true, &nobody, patience),
        control.ask(goodbye, draining),
    );
    answer.unwrap();
    assert_eq!(flushed.answered, [(1, question(1, 0).name)]);
    assert_eq!(flushed.unanswered, []);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_calls_itself_ever_anew_takes_up_no_place_of_another() {
    let control = control();
    let (_running, draining) = watch::channel(false);
    let named = |incarnation: u128, pod: &str| {
        let mut question = question(incarnation, 0);
        question.name.pod = pod.to_owned();
        question
    };
    control
        .ask(named(1, "quiet"), draining.clone())
        .await
        .unwrap();
    for run in 0..1_000 {
        control
            .ask(named(1_000 + run, "loud"), draining.clone())
            .await
            .unwrap();
    }
    let known = control.sidecars();
    assert_eq!(known.len(), 1 + RUNS_OF_A_POD);
    assert!(known.iter().any(|it| it.incarnation == 1));
    assert!(known.iter().any(|it| it.incarnation == 1_999));
}
