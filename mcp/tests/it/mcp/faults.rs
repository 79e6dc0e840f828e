//! The tools of faults, against a sidecar that does as it is told.

use std::fmt::Write as _;

use hyper::Method;
use serde_json::{Value, json};

use super::{call, timeless};
use crate::http::send;
use crate::hub::TestHub;

/// The tools that are asked here, and not with the others.
pub(super) const TOOLS: [&str; 3] = ["fault_start", "fault_list", "fault_stop"];

/// A sidecar of `checkout`: it holds what it is told to, and each fault has met three calls.
async fn sidecar(hub: &TestHub, allowed: bool) {
    let mut held: Vec<Value> = Vec::new();
    let mut epoch = 0;
    loop {
        let report = json!({"allowed": allowed, "held": held});
        let answer = ask(hub, epoch, Some(report)).await;
        epoch = answer["epoch"].as_u64().unwrap();
        for order in answer["faults"]["start"].as_array().unwrap() {
            held.push(json!({
                "fault": order["fault"], "left_ms": order["left_ms"], "state": "spent",
                "touched": 3, "covered": 4, "not_covered": 1,
            }));
        }
        for id in answer["faults"]["stop"].as_array().unwrap() {
            let is_it = |one: &&mut Value| one["fault"]["id"] == *id;
            held.iter_mut().find(is_it).unwrap()["state"] = json!("stopped");
        }
    }
}

/// What the hub answers to a sidecar of `checkout`, one that says which faults it holds or not.
async fn ask(hub: &TestHub, epoch: u64, report: Option<Value>) -> Value {
    let path = format!(
        "/ingest/v1/control?incarnation={:032x}&workload=checkout&namespace=shop&pod=&epoch={epoch}&sequence=1",
        0xfa
    );
    let (method, body) = match report {
        Some(report) => (Method::POST, report.to_string()),
        None => (Method::GET, String::new()),
    };
    let answer = send(hub.ingest_address(), method, &path, &[], body.into()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// What the tools say, one after the other; `ID` is the fault that was begun.
async fn asked(hub: &TestHub, questions: &[(&str, Value)]) -> String {
    let mut id = String::new();
    let mut transcript = String::new();
    for (tool, arguments) in questions {
        let arguments = arguments.to_string().replace("ID", &id);
        let answer = call(hub, tool, serde_json::from_str(&arguments).unwrap()).await;
        let text = answer["content"][0]["text"].as_str().unwrap();
        if let Some(begun) = text.strip_prefix("fault ") {
            id = begun.split(' ').next().unwrap().to_owned();
        }
        let error = if answer["isError"] == true {
            "error: "
        } else {
            ""
        };
        let _ = writeln!(transcript, "{tool}({arguments})\n\n{error}{text}");
    }
    match id.is_empty() {
        true => timeless(&transcript),
        false => timeless(&transcript).replace(&id, "[fault]"),
    }
}

async fn transcript(allowed: bool, questions: &[(&str, Value)]) -> String {
    let hub = TestHub::start().await;
    tokio::select! {
        transcript = asked(&hub, questions) => transcript,
        () = sidecar(&hub, allowed) => String::new(),
    }
}

#[tokio::test]
async fn the_tools_of_faults_answer_as_reviewed() {
    let fault = json!({"workload": "checkout", "filter": {"dst": "payment", "path_prefix": "/pay"},
        "effect": {"status": 503, "headers": {"retry-after": "1"}}, "first": 3, "for": "10m"});
    let questions = [
        ("fault_list", json!({})),
        ("fault_start", fault),
        ("fault_list", json!({})),
        ("fault_stop", json!({"id": "ID"})),
        ("fault_stop", json!({"id": "ID"})),
        ("fault_stop", json!({"id": "f-0"})),
        ("fault_list", json!({})),
    ];
    insta::assert_snapshot!(transcript(true, &questions).await);
}

#[tokio::test]
async fn a_workload_that_allows_no_faults_says_what_would_allow_them() {
    let fault = |workload: &str| json!({"workload": workload, "effect": {"reset": true}});
    let questions = [
        ("fault_start", fault("checkout")),
        ("fault_start", fault("chekout")),
        (
            "fault_start",
            json!({"workload": "checkout", "effect": {"status": 503, "delay_ms": 5}}),
        ),
        (
            "fault_start",
            json!({"workload": "checkout", "effect": {"reset": true}, "filter": {"src": "web"}}),
        ),
    ];
    insta::assert_snapshot!(transcript(false, &questions).await);
}

#[tokio::test]
async fn a_hub_that_began_anew_asks_its_sidecars_before_it_knows_of_no_fault() {
    let hub = TestHub::start().await;
    // To a hub that is new to it, a sidecar says nothing of faults yet.
    let epoch = |answer: Value| answer["epoch"].as_u64().unwrap();
    let first = epoch(ask(&hub, 0, None).await);
    let report = |state: &str| {
        let fault = json!({"id": "f-00000001", "leg": "outbound", "effect": {"status": 503}});
        let held = json!({"fault": fault, "left_ms": 60_000, "state": state, "touched": 3,
            "covered": 1, "not_covered": 0});
        Some(json!({"allowed": true, "held": [held]}))
    };
    let speaking = async {
        let asked = epoch(ask(&hub, first, None).await);
        let told = ask(&hub, asked, report("active")).await;
        assert_eq!(told["faults"]["stop"], json!(["f-00000001"]));
        ask(&hub, asked, report("stopped")).await
    };
    let stopping = call(&hub, "fault_stop", json!({"id": "f-00000001"}));
    tokio::select! {
        answer = stopping => {
            let text = answer["content"][0]["text"].as_str().unwrap();
            assert_eq!(text, "fault f-00000001 is stopped, it met 3 calls\n");
        }
        _ = speaking => panic!("the hub has heard enough to answer"),
    }
}
