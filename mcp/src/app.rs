//! What every handler shares.

use std::sync::Arc;

use remora_store::store::CallStore;
use tokio::sync::{Semaphore, watch};

use crate::control::Control;
use crate::descriptors::known::Known;
use crate::ingest::IN_FLIGHT_BYTES;
use crate::metrics::Metrics;
use crate::snapshot::barrier::{WAITERS, Waits};
use crate::watches::Watches;

/// Most questions at a time whose calls are all held in memory until they are judged.
const JUDGED_AT_A_TIME: usize = 2;
/// Most questions that are worked on at a time; more of them wait their turn.
const QUERIES_AT_A_TIME: usize = 8;

/// What every handler shares; cheap to clone.
#[derive(Clone)]
pub struct App {
    /// Where calls are kept.
    pub store: Arc<dyn CallStore>,
    /// What is known of the sidecars, and how they are told things.
    pub control: Arc<Control>,
    /// What the messages of gRPC services are made of, as far as that is known.
    pub descriptors: Arc<Known>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Bytes of blocks that may be in the hub's hands at a time.
    pub ingest_bytes: Arc<Semaphore>,
    /// Turns for questions.
    pub query_turns: Arc<Semaphore>,
    /// Turns for questions that hold all their calls until they are judged.
    pub judging: Arc<Semaphore>,
    /// Told whenever blocks were stored.
    pub arrivals: watch::Sender<()>,
    /// Places for those who wait until a snapshot has settled.
    pub waiters: Arc<Semaphore>,
    /// How long they wait for sidecars and for calls that run.
    pub waits: Waits,
    /// What is seen of the cluster, where the hub is in one.
    pub watches: Option<Arc<Watches>>,
    /// Turns true when the hub stops: whoever waits then answers with what there is.
    pub draining: watch::Receiver<bool>,
}

impl App {
    /// What handlers share, over a store.
    pub fn new(
        store: Arc<dyn CallStore>,
        control: Control,
        descriptors: Known,
        draining: watch::Receiver<bool>,
    ) -> Self {
        Self {
            store,
            control: Arc::new(control),
            descriptors: Arc::new(descriptors),
            metrics: Arc::new(Metrics::new()),
            ingest_bytes: Arc::new(Semaphore::new(IN_FLIGHT_BYTES as usize)),
            query_turns: Arc::new(Semaphore::new(QUERIES_AT_A_TIME)),
            judging: Arc::new(Semaphore::new(JUDGED_AT_A_TIME)),
            arrivals: watch::Sender::new(()),
            waiters: Arc::new(Semaphore::new(WAITERS)),
            waits: Waits::default(),
            watches: None,
            draining,
        }
    }

    /// The same, with other waits than usual.
    #[must_use]
    pub fn with_waits(self, waits: Waits) -> Self {
        Self { waits, ..self }
    }

    /// The same, in a cluster that is watched.
    #[must_use]
    pub fn with_watches(self, watches: Option<Arc<Watches>>) -> Self {
        Self { watches, ..self }
    }
}

/// Returns when the hub stops; never while it runs.
pub(crate) async fn drained(mut draining: watch::Receiver<bool>) {
    // An error means that the sender is gone, and with it the hub.
    let _ = draining.wait_for(|draining| *draining).await;
}
