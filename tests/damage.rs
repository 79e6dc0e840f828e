//! Files in the hub's folder are damaged while it is stopped: it starts, says what it set aside,
//! serves the rest, and takes new calls.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::api::{Client, times_stored};
use crate::support::process::{HubPlace, Running, start_sidecar};
use crate::support::{eventually, origin};

const WAVES: u64 = 6;
const CALLS_EACH: u64 = 40;
const CALLS: u64 = WAVES * CALLS_EACH;

#[tokio::test(flavor = "multi_thread")]
async fn bytes_flipped_in_a_segment_cost_what_they_hit_and_the_hub_says_so() {
    damage("segments", true, |file| {
        let mut bytes = fs::read(file).unwrap();
        let middle = bytes.len() / 2;
        for byte in &mut bytes[middle..middle + 64] {
            *byte ^= 0xa5;
        }
        fs::write(file, bytes).unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_that_was_cut_is_served_up_to_the_cut_and_the_hub_says_so() {
    damage("segments", true, cut_to_half).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_catalogue_costs_no_call() {
    damage("catalogue", false, |file| {
        let mut bytes = fs::read(file).unwrap();
        for byte in bytes.iter_mut().step_by(97) {
            *byte ^= 0xa5;
        }
        fs::write(file, bytes).unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalogue_that_was_cut_costs_no_call() {
    damage("catalogue", false, cut_to_half).await;
}

fn cut_to_half(file: &Path) {
    let file = fs::OpenOptions::new().write(true).open(file).unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
}

/// Records calls, does harm to every file in a part of the hub's folder, and looks what is left.
async fn damage(part: &str, costs_calls: bool, harm: fn(&Path)) {
    let place = HubPlace::new();
    let hub = place.start();
    let client = Client::new();
    let upstream = origin::start().await;
    let (_sidecar, port) = start_sidecar(&place, upstream, &[]);
    for wave in 0..WAVES {
        // One block or more for each wave, so that damage hits some and leaves others.
        send(&client, port, wave * CALLS_EACH..(wave + 1) * CALLS_EACH).await;
        wait_for(&client, &place, (wave + 1) * CALLS_EACH).await;
    }
    assert_eq!(hub.stop(), Some(0));
    let harmed = files(&place.data().join(part));
    assert!(!harmed.is_empty(), "there are no files in {part}");
    harmed.iter().for_each(|file| harm(file));

    let hub = place.start();
    let left = settled(&client, &place).await;
    check_left(&client, &place, left, costs_calls).await;

    send(&client, port, CALLS..CALLS + CALLS_EACH).await;
    wait_for(&client, &place, left + CALLS_EACH).await;
    // The same after one more start, in good order.
    stop_and_start(hub, &place, &client, left + CALLS_EACH).await;
}

async fn send(client: &Client, port: u16, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let uri = format!("http://127.0.0.1:{port}/call/{number}");
        assert_eq!(client.get(&uri, &[]).await.unwrap().0, 200);
    }
}

async fn wait_for(client: &Client, place: &HubPlace, stored: u64) {
    eventually(&format!("{stored} calls are stored"), || async {
        let calls = client.calls(&place.api()).await?;
        (calls.len() as u64 == stored).then_some(())
    })
    .await;
}

/// How many calls are served once the hub has set aside what it met: a damaged block is found when
/// it is read.
async fn settled(client: &Client, place: &HubPlace) -> u64 {
    eventually("the hub serves what it says it has", || async {
        let calls = client.calls(&place.api()).await?.len() as u64;
        let status = client.status(&place.api()).await?;
        (status["store"]["calls"] == calls).then_some(calls)
    })
    .await
}

async fn check_left(client: &Client, place: &HubPlace, left: u64, costs_calls: bool) {
    let calls = client.calls(&place.api()).await.unwrap();
    let times = times_stored(&calls);
    assert_eq!(times.len() as u64, left, "a call is double");
    for (path, _) in times {
        let number = path
            .strip_prefix("/call/")
            .and_then(|number| number.parse().ok());
        assert!(number.is_some_and(|number: u64| number < CALLS), "{path}");
    }
    let status = client.status(&place.api()).await.unwrap();
    let said = status["store"]["quarantined"].as_array().unwrap();
    if costs_calls {
        assert!(left < CALLS, "the damage hit nothing");
        assert!(left > 0, "nothing is left");
        assert!(
            !said.is_empty(),
            "{left} of {CALLS} calls are left: {status}"
        );
        let listed = client
            .json(&format!("{}/api/v1/calls?limit=1", place.api()))
            .await
            .unwrap();
        assert!(
            listed["coverage"]["quarantined"].as_u64() > Some(0),
            "{listed}"
        );
    } else {
        assert_eq!(left, CALLS, "{said:?}");
    }
    assert_eq!(status["store"]["writable"], true, "{status}");
}

async fn stop_and_start(hub: Running, place: &HubPlace, client: &Client, stored: u64) {
    let before = client.calls(&place.api()).await.unwrap();
    assert_eq!(hub.stop(), Some(0));
    let _hub = place.start();
    wait_for(client, place, stored).await;
    let after = client.calls(&place.api()).await.unwrap();
    assert_eq!(before, after);
}

/// Files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().flatten();
    entries
        .flat_map(|entry| match entry.path() {
            folder if folder.is_dir() => files(&folder),
            file => vec![file],
        })
        .collect()
}
