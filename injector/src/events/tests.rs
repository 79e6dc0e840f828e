#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::sync::Mutex;

use serde_json::{Value, json};

use super::*;
use crate::config::{Config, Options};
use crate::decide::{Namespace, PodSecurity};
use crate::inject::inject;
use crate::pod::Pod;

fn event_of(pod: &Value) -> Option<Event> {
    let config = Config::check(Options {
        image: "registry.example/remora:1".to_owned(),
        ..Options::default()
    });
    let namespace = Namespace {
        name: "shop",
        inject: Some("enabled"),
        pod_security: PodSecurity::Permits,
    };
    let injection = inject(pod, namespace, None, &config.unwrap());
    Event::of(&Maker::of(Pod::new(pod).unwrap(), "shop"), &injection)
}

#[test]
fn what_somebody_should_act_on_is_an_event_and_nothing_else_is() {
    let pod = |more: Value| {
        let mut pod =
            json!({"metadata": {"name": "web"}, "spec": {"containers": [{"name": "web"}]}});
        json_patch::merge(&mut pod, &more);
        pod
    };
    assert_eq!(event_of(&pod(json!({}))), None);
    let opted_out = json!({"metadata": {"labels": {"remora.dev/inject": "disabled"}}});
    assert_eq!(event_of(&pod(opted_out)), None);
    let skipped = event_of(&pod(json!({"spec": {"hostNetwork": true}}))).unwrap();
    assert_eq!((skipped.reason, skipped.action), (SKIPPED, "host_network"));
    assert_eq!(
        skipped.note,
        "remora: not recorded (host_network): the pod uses the network of its node"
    );
    let wrong = json!({"metadata": {"annotations": {"remora.dev/cpu-limit": "lots", "remora.dev/body-limt": "1"}}});
    let warned = event_of(&pod(wrong)).unwrap();
    assert_eq!((warned.reason, warned.action), (WARNED, "inject"));
    assert!(
        warned.note.contains("remora.dev/cpu-limit: "),
        "{}",
        warned.note
    );
    assert!(
        warned.note.contains("remora.dev/body-limit?"),
        "{}",
        warned.note
    );
}

#[test]
fn a_note_is_no_longer_than_the_api_server_takes() {
    let names = (0..20).map(|n| (format!("remora.dev/{n}{}", "ü".repeat(100)), "".into()));
    let annotations: serde_json::Map<String, Value> = names.collect();
    let pod = json!({"metadata": {"annotations": annotations}, "spec": {"containers": [{"name": "web"}]}});
    let note = event_of(&pod).unwrap().note;
    assert!(
        (1000..=MOST_NOTE_BYTES).contains(&note.len()),
        "{}",
        note.len()
    );
}

/// What is told of `events`, one after the other, and the page of metrics after.
async fn told(
    events: Vec<Event>,
    answers: impl Fn(&Event) -> Result<(), ClusterError>,
) -> (Vec<Event>, String) {
    let (telling, waiting) = mpsc::channel(WAITING);
    for event in events {
        telling.try_send(event).unwrap();
    }
    let told = Mutex::new(Vec::new());
    let teller = async |event: &Event| {
        told.lock().unwrap().push(event.clone());
        answers(event)
    };
    let metrics = Metrics::default();
    tokio::select! {
        never = tell(teller, waiting, &metrics) => match never {},
        // Time stands still but for those who wait, so the queue is empty by then.
        () = sleep(AGAIN_AFTER / 2) => {}
    }
    (told.into_inner().unwrap(), metrics.page())
}

fn event(name: &str) -> Event {
    let pod =
        json!({"metadata": {"name": name}, "spec": {"hostNetwork": true, "containers": [{}]}});
    event_of(&pod).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_hundred_pods_alike_are_told_once() {
    let mut events = vec![event("web"); 100];
    events.push(event("cart"));
    let (told, page) = told(events, |_| Ok(())).await;
    assert_eq!(told, [event("web"), event("cart")]);
    assert!(page.contains(r#"events_total{outcome="told"} 2"#), "{page}");
    assert!(
        page.contains(r#"events_total{outcome="repeated"} 99"#),
        "{page}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_the_api_server_does_not_take_is_counted_and_keeps_nobody() {
    let gone = |event: &Event| match event.maker.name.as_str() {
        "gone" => Err(ClusterError::NoSuchPlace),
        _ => Ok(()),
    };
    let (told, page) = told(vec![event("gone"), event("web")], gone).await;
    assert_eq!(told.len(), 2);
    assert!(
        page.contains(r#"events_total{outcome="failed"} 1"#),
        "{page}"
    );
    assert!(page.contains(r#"events_total{outcome="told"} 1"#), "{page}");
}
