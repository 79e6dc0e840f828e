//! The control channel: a long poll by which the hub gives the redaction key, asks for flushes, and begins
//! and ends faults.
//!
//! An epoch is a barrier. Asked for epoch E, the data plane hands over everything it has observed,
//! and only once all of that is acknowledged (or counted as dropped) does the next poll say E. A
//! sidecar that ends with nothing left to ship says goodbye, so that nobody waits for it.
//!
//! A hub that knows of faults says so in its answer. From then on each question brings along which faults
//! are held here and what came of them, and the answer which are to begin or end.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::{Method, Request, StatusCode};
use remora_store::block::Origin;
use remora_store::fault::{FaultOrders, FaultReport};
use serde::Deserialize;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::faults::Faults;
use crate::given::Given;
use crate::keys::RedactionKey;
use crate::ship::backoff::Backoff;
use crate::ship::client::{Answer, Client, Failure, Hub, Payload};
use crate::ship::sender::{chain, refusal};
use crate::ship::state::State;

/// How long a poll may take: the hub answers after 25 s with or without news.
const POLL_TIMEOUT: Duration = Duration::from_secs(40);

/// Longest wait between polls while the hub is away.
const ABSENT_WAIT: Duration = Duration::from_secs(1);

/// Longest wait between polls while the hub refuses them.
const REFUSED_WAIT: Duration = Duration::from_secs(10);

/// Shortest time from poll to poll that bring nothing new, whatever the hub does.
const IDLE_INTERVAL: Duration = Duration::from_secs(1);

/// How long the data plane may take to hand over what it has.
const HANDOVER_TIMEOUT: Duration = Duration::from_secs(5);

/// Asks the data plane to hand over everything it has observed.
pub(crate) type FlushSender = mpsc::Sender<oneshot::Sender<()>>;

/// What the hub answers.
#[derive(Debug, Deserialize)]
struct Orders {
    epoch: u64,
    redaction_key: Option<KeyOrder>,
    /// Absent from a hub that does not know of any.
    faults: Option<FaultOrders>,
}

#[derive(Debug, Deserialize)]
struct KeyOrder {
    id: String,
    key: String,
}

/// Keeps the control channel open, for ever.
///
/// `barrier` waits until the shipper has sealed everything that was handed to it, and gives the
/// number of the last block. `given` says which connections of its workload this sidecar is given; a hub tells whoever asks it.
pub(crate) async fn run(
    state: &State,
    hub: Hub,
    origin: &Origin,
    given: Given,
    faults: Option<Arc<Faults>>,
    flushes: FlushSender,
    barrier: impl AsyncFn() -> u64,
) -> Infallible {
    let mut control = Control {
        client: Client::new(hub),
        backoff: Backoff::new(),
        who: format!("{}{}", identity(origin), given.words()),
        faults,
        asks_for_faults: false,
        epoch: 0,
        key_id: String::new(),
        heard: true,
    };
    loop {
        let asked = Instant::now();
        let answer = control.poll(state.last_sealed()).await;
        let wait = match control.understand(answer) {
            Ok(orders) => {
                let news = control.follow(state, orders, &flushes, &barrier).await;
                let quiet = IDLE_INTERVAL.saturating_sub(asked.elapsed());
                if news { Duration::ZERO } else { quiet }
            }
            Err(wait) => wait,
        };
        state.pause(wait).await;
    }
}

/// Tells the hub that every block up to `sequence` was shipped, and that none comes after it.
///
/// One that does not hear it, or is too old to understand it, takes the sidecar for silent.
pub(crate) async fn say_goodbye(hub: Hub, origin: &Origin, sequence: u64) {
    let who = identity(origin);
    let path = format!("/ingest/v1/control?{who}&sequence={sequence}&goodbye=true");
    let told = Client::new(hub)
        .exchange(question, &path, POLL_TIMEOUT)
        .await;
    match told {
        Ok(answer) if answer.status == StatusCode::OK => {}
        Ok(answer) => tracing::debug!(status = %answer.status, "hub takes no goodbye"),
        Err(failure) => tracing::debug!(reason = chain(&failure), "hub did not hear the goodbye"),
    }
}

struct Control {
    client: Client,
    backoff: Backoff,
    /// The part of the query that says who asks.
    who: String,
    /// `None` where none are allowed.
    faults: Option<Arc<Faults>>,
    /// The hub has said that it knows of faults.
    asks_for_faults: bool,
    /// The last epoch that was answered.
    epoch: u64,
    key_id: String,
    /// Whether the last poll went well, so that an outage is one line in the log.
    heard: bool,
}

impl Control {
    async fn poll(&mut self, sequence: u64) -> Result<Answer, Failure> {
        let (who, epoch) = (&self.who, self.epoch);
        let path = format!("/ingest/v1/control?{who}&epoch={epoch}&sequence={sequence}");
        if !self.asks_for_faults {
            return self.client.exchange(question, &path, POLL_TIMEOUT).await;
        }
        let report = self.faults.as_ref().map(|faults| faults.report());
        let report = report.unwrap_or_default();
        let ask = || question_with(&report);
        let answer = self.client.exchange(ask, &path, POLL_TIMEOUT).await;
        if let (Some(faults), Ok(answer)) = (&self.faults, &answer)
            && answer.status == StatusCode::OK
        {
            faults.forget_told(&report);
        }
        answer
    }

    /// The hub's orders, or how long to wait before it is asked again.
    fn understand(&mut self, answer: Result<Answer, Failure>) -> Result<Orders, Duration> {
        let (reason, wait) = match answer {
            Ok(answer) if answer.status == StatusCode::OK => {
                match serde_json::from_slice(&answer.body) {
                    Ok(orders) => {
                        self.backoff.reset();
                        self.heard = true;
                        return Ok(orders);
                    }
                    Err(error) => (chain(&error), self.backoff.wait(REFUSED_WAIT)),
                }
            }
            Ok(answer) => {
                // It may be an older one by now.
                self.asks_for_faults = false;
                let wait = match answer.retry_after {
                    Some(after) => Backoff::asked(after),
                    None => self.backoff.wait(REFUSED_WAIT),
                };
                (refusal(&answer), wait)
            }
            Err(failure @ Failure::Timeout { .. }) => (chain(&failure), Duration::ZERO),
            Err(failure) => (chain(&failure), self.backoff.wait(ABSENT_WAIT)),
        };
        if std::mem::replace(&mut self.heard, false) {
            tracing::warn!(reason, "no control channel to the hub");
        }
        Err(wait)
    }

    /// Does what the hub asks for; whether that was anything.
    async fn follow(
        &mut self,
        state: &State,
        orders: Orders,
        flushes: &FlushSender,
        barrier: &impl AsyncFn() -> u64,
    ) -> bool {
        let new_key = self.new_key(&orders);
        let mut news = new_key.is_some();
        if let (Some(key), Some(faults)) = (&new_key, &self.faults) {
            faults.set_key(key);
        }
        state.hub_answered(new_key);
        news |= self.follow_faults(orders.faults, flushes).await;
        if orders.epoch <= self.epoch {
            // A hub that counts from the beginning again is a new one.
            self.epoch = orders.epoch;
            return news;
        }
        if !hand_over(flushes).await {
            // Asked again at once, and answered only when it is true.
            return true;
        }
        let sequence = barrier().await;
        state.settled(sequence).await;
        self.epoch = orders.epoch;
        state.metrics().flushes.inc();
        true
    }

    /// Begins and ends faults; whether there is anything to tell the hub of that.
    async fn follow_faults(&mut self, orders: Option<FaultOrders>, flushes: &FlushSender) -> bool {
        let first = !std::mem::replace(&mut self.asks_for_faults, orders.is_some());
        let (Some(orders), Some(faults)) = (orders, &self.faults) else {
            return first && self.asks_for_faults;
        };
        if orders.is_empty() {
            return first;
        }
        faults.follow(orders);
        // What is told next of the connections is what has become of them by then.
        hand_over(flushes).await;
        true
    }

    fn new_key(&mut self, orders: &Orders) -> Option<RedactionKey> {
        let order = orders.redaction_key.as_ref()?;
        if order.id == self.key_id {
            return None;
        }
        self.key_id = order.id.clone();
        match RedactionKey::from_hub(&order.id, &order.key) {
            Ok(key) => {
                tracing::info!(key.id = key.id(), "redaction key received");
                Some(key)
            }
            Err(error) => {
                tracing::error!(%error, "redaction key refused, tags stay local");
                None
            }
        }
    }
}

/// Waits until the data plane has handed over all that it observed; false if it took too long.
async fn hand_over(flushes: &FlushSender) -> bool {
    let (answer, answered) = oneshot::channel();
    let asking = async {
        // A data plane that is gone has nothing more to hand over.
        if flushes.send(answer).await.is_ok() {
            let _ = answered.await;
        }
    };
    let handed_over = tokio::time::timeout(HANDOVER_TIMEOUT, asking).await.is_ok();
    if !handed_over {
        tracing::warn!("data plane did not hand over its calls in time");
    }
    handed_over
}

fn question() -> Request<Payload> {
    let mut request = Request::new(Payload::default());
    *request.method_mut() = Method::GET;
    request
}

/// A question that says which faults are held here.
fn question_with(report: &FaultReport) -> Request<Payload> {
    let mut payload = Payload::default();
    // It is made of texts and numbers.
    payload.push(serde_json::to_vec(report).unwrap_or_default().into());
    let mut request = Request::new(payload);
    *request.method_mut() = Method::POST;
    request
}

fn identity(origin: &Origin) -> String {
    let mut query = format!("incarnation={:032x}", origin.incarnation);
    for (name, value) in [
        ("workload", &origin.workload),
        ("namespace", &origin.namespace),
        ("pod", &origin.pod),
    ] {
        query.push('&');
        query.push_str(name);
        query.push('=');
        for byte in value.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    query.push(char::from(byte));
                }
                _ => query.push_str(&format!("%{byte:02X}")),
            }
        }
    }
    query
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_encoded_in_the_query() {
        let origin = Origin {
            incarnation: 0xab,
            workload: "a b&c".to_owned(),
            namespace: "local".to_owned(),
            ..Origin::default()
        };
        assert_eq!(
            identity(&origin),
            "incarnation=000000000000000000000000000000ab&workload=a%20b%26c&namespace=local&pod="
        );
    }
}
