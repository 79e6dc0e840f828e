//! The way from the data plane to the hub: a thread of its own takes batches, seals blocks, and
//! ships them; while the hub is away they wait in memory, then in the spool.
//!
//! Owns the thread and its ends. Nothing here is awaited by the data plane: a batch is handed over
//! or refused at once, and traffic never depends on the hub.

pub(crate) mod backoff;
pub(crate) mod client;
mod drops;
mod last_word;
mod metrics;
mod queue;
pub(crate) mod sender;
pub(crate) mod state;
mod tls;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use hyper::Uri;
use remora_store::block::Origin;
use remora_store::spool::{Recovered, Spool};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout, timeout_at};

use crate::budget::Budget;
use crate::control;
use crate::faults::Faults;
use crate::given::Given;
use crate::keys::RedactionKey;
use crate::record::{Batch, Flushes, kept_bytes};
use crate::redact::Redaction;
use crate::seal::Sealer;
use crate::tally::Tally;
use client::Hub;
use last_word::LastWord;
pub use metrics::ShipMetrics;
use queue::Queue;
use state::State;

/// Batches that may wait to be sealed. The bytes in them are bounded apart from that.
const CHANNEL_BATCHES: usize = 1024;

/// Flush requests that may wait; the control channel makes one at a time.
const CHANNEL_FLUSHES: usize = 1;

/// How long the first batch waits for the hub's redaction key: joined and comparable from the
/// first call on is worth a moment, and calls wait within the budget.
const FIRST_KEY_WAIT: Duration = Duration::from_millis(500);

/// How much less urgent than traffic the ship thread is, on the scale of `nice`: on a core that both
/// want whole it gets a quarter of it, which is what recording at full speed takes.
const NICENESS: i32 = 5;

/// How long the hub may take to hear the goodbye.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);

/// How long the last blocks may take if nobody said.
const FINISH_DEFAULT: Duration = Duration::from_secs(2);

/// How blocks get to the hub.
#[derive(Debug, Clone)]
pub struct ShipConfig {
    /// Address of the hub's ingest port, such as `http://127.0.0.1:8898`.
    pub ingest: Uri,
    /// File with the authorities, in PEM, that the hub's certificate is checked against; read anew for
    /// every connection. Needed with https.
    pub ingest_ca: Option<PathBuf>,
    /// File with the bearer token; read anew for every request.
    pub token_file: Option<PathBuf>,
    /// Who records. Its incarnation must be random.
    pub origin: Origin,
    /// Which connections of its workload this sidecar is given.
    pub given: Given,
    /// Largest part of a body that leaves, each way, in bytes.
    pub body_limit_bytes: usize,
    /// Memory for blocks that wait, in bytes; a part of the capture budget.
    pub queue_limit_bytes: usize,
    /// Directory for blocks that memory has no room for.
    pub spool_dir: Option<PathBuf>,
    /// Most that the spool may take up, in bytes.
    pub spool_limit_bytes: u64,
    /// Which secrets are masked.
    pub redaction: Redaction,
    /// How long the hub may take to answer a request with blocks. Default 10 s.
    pub answer_timeout: Duration,
    /// The faults that the hub may begin and end; `None` where none are allowed.
    pub faults: Option<Arc<Faults>>,
}

/// The default of [`ShipConfig::answer_timeout`].
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// The data plane's end: takes batches. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Shipper {
    messages: mpsc::Sender<Message>,
    shared: Arc<Shared>,
    limit_bytes: usize,
}

/// What both ends know.
#[derive(Debug, Default)]
struct Shared {
    /// What is handed over and not sealed yet.
    waiting_bytes: AtomicUsize,
    /// Something was observed that no batch which was taken holds or tells of.
    untold: AtomicBool,
    /// Nothing more will be handed over.
    finishing: watch::Sender<bool>,
}

/// What is left when the shipper has ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Finished {
    /// Blocks that stay in the spool, for the next run.
    pub spooled_blocks: u64,
    /// Calls that are lost: the hub was away, and there was no spool or no room in it.
    pub lost_calls: u64,
    /// What was recorded from the start on.
    pub tally: Tally,
}

#[derive(Debug)]
enum Message {
    Batch(Batch),
    /// Asks for the number of the last block once all batches before it are sealed.
    Barrier(oneshot::Sender<u64>),
    Finish(Duration, oneshot::Sender<Finished>),
}

impl Shipper {
    /// Starts the ship thread. The second part asks the data plane to hand over what it has.
    ///
    /// # Errors
    /// If the hub's address cannot be used, the spool cannot be opened, or there is no thread.
    pub fn start(
        config: ShipConfig,
        budget: Budget,
        metrics: ShipMetrics,
    ) -> io::Result<(Self, Flushes)> {
        let hub = Hub::new(
            &config.ingest,
            config.ingest_ca.clone(),
            config.token_file.clone(),
        )?;
        let (spool, last_word, recovered) = open_spool(&config)?;
        let mut queue = Queue::new(
            config.origin.incarnation,
            config.queue_limit_bytes,
            spool,
            budget.clone(),
            metrics.clone(),
        );
        queue.evicted(recovered.damaged);
        let sealer = Sealer::new(
            config.origin.clone(),
            RedactionKey::local(),
            &config.redaction,
            config.body_limit_bytes,
        );
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(2)
            .build()?;
        let (messages, incoming) = mpsc::channel(CHANNEL_BATCHES);
        let (flushes, flush_requests) = mpsc::channel(CHANNEL_FLUSHES);
        let shipper = Self {
            messages,
            shared: Arc::default(),
            limit_bytes: config.queue_limit_bytes,
        };
        let weak = shipper.messages.downgrade();
        let shared = Arc::clone(&shipper.shared);
        thread::Builder::new()
            .name("remora-ship".to_owned())
            .spawn(move || {
                lower_priority();
                let limit = config.queue_limit_bytes;
                let mut ended = None;
                let state = State::new(queue, limit, sealer, last_word, budget, metrics);
                let barrier = async || barrier(&weak).await;
                runtime.block_on(async {
                    tokio::select! {
                        end = intake(&state, incoming, &shared) => ended = Some(end),
                        never = sender::run(&state, hub.clone(), config.answer_timeout) => match never {},
                        never = control::run(&state, hub.clone(), &config.origin, config.given, config.faults.clone(), flushes, barrier) => match never {},
                    }
                });
                let Some(ended) = ended else { return };
                if state.queue().is_empty() && !shared.untold.load(Ordering::Acquire) {
                    let left = ended.deadline.saturating_duration_since(Instant::now());
                    let within = GOODBYE_TIMEOUT.min(left);
                    let goodbye = control::say_goodbye(hub, &config.origin, state.last_sealed());
                    let _ = runtime.block_on(async { timeout(within, goodbye).await });
                }
                // The spool is free for the next one before anybody is told.
                drop(state);
                if let Some(asked) = ended.asked {
                    let _ = asked.send(ended.finished);
                }
            })?;
        Ok((shipper, flush_requests))
    }

    /// Hands a batch over without waiting. A batch that there is no room for comes back; its calls
    /// are the caller's to count, and their bytes to be given back to the budget.
    pub fn try_send(&self, batch: Batch) -> Result<(), Batch> {
        let cost = cost_bytes(&batch);
        // Relaxed: the number guards no other memory, it only has to add up.
        let waiting_bytes = &self.shared.waiting_bytes;
        let waiting = waiting_bytes.fetch_add(cost, Ordering::Relaxed);
        let refused = if waiting > 0 && waiting.saturating_add(cost) > self.limit_bytes {
            Some(batch)
        } else {
            match self.messages.try_send(Message::Batch(batch)) {
                Err(
                    mpsc::error::TrySendError::Full(Message::Batch(batch))
                    | mpsc::error::TrySendError::Closed(Message::Batch(batch)),
                ) => Some(batch),
                _ => None,
            }
        };
        // The next batch tells of the calls of one that was refused.
        self.shared
            .untold
            .store(refused.is_some(), Ordering::Release);
        match refused {
            Some(batch) => {
                waiting_bytes.fetch_sub(cost, Ordering::Relaxed);
                Err(batch)
            }
            None => Ok(()),
        }
    }

    /// Notes that calls were observed which nobody hands over or tells of any more: the hub is not
    /// told that it has everything.
    pub(crate) fn note_loss(&self) {
        self.shared.untold.store(true, Ordering::Release);
    }

    /// Ships all that was handed over, for no longer than `within`; what is left then goes to the
    /// spool. If nothing is left, the hub is told that nothing more comes. The thread ends.
    pub async fn finish(self, within: Duration) -> Finished {
        let (done, finished) = oneshot::channel();
        self.shared.finishing.send_replace(true);
        if self
            .messages
            .send(Message::Finish(within, done))
            .await
            .is_err()
        {
            return Finished::default();
        }
        finished.await.unwrap_or_default()
    }
}

/// What a batch takes while it waits. The copies in a list of running calls are in no budget.
fn cost_bytes(batch: &Batch) -> usize {
    let calls = batch.calls.iter().map(|recorded| recorded.cost_bytes);
    let running = batch.open.iter().flatten().map(kept_bytes);
    calls.chain(running).sum()
}

fn open_spool(config: &ShipConfig) -> io::Result<(Option<Spool>, Option<LastWord>, Recovered)> {
    let Some(dir) = &config.spool_dir else {
        return Ok((None, None, Recovered::default()));
    };
    let (mut spool, mut recovered) =
        Spool::open(dir, config.spool_limit_bytes).map_err(io::Error::other)?;
    let last_word = LastWord::beside_spool(dir);
    last_word.recover(&mut spool, &mut recovered);
    if recovered.blocks > 0 || !recovered.damaged.is_empty() {
        tracing::info!(
            blocks = recovered.blocks,
            calls = recovered.calls,
            damaged = recovered.damaged.len(),
            cut_bytes = recovered.cut_bytes,
            "spool of an earlier run found"
        );
    }
    Ok((Some(spool), Some(last_word), recovered))
}

/// Shipping gives way to traffic where the processor is scarce.
fn lower_priority() {
    let thread = rustix::thread::gettid();
    if let Err(error) = rustix::process::setpriority_process(Some(thread), NICENESS) {
        tracing::debug!(%error, "priority of the ship thread stays");
    }
}

/// How the intake ended.
struct Ended {
    finished: Finished,
    /// Until when there is time for more.
    deadline: Instant,
    /// Who asked it to finish, if anybody.
    asked: Option<oneshot::Sender<Finished>>,
}

/// Takes in what the data plane sends, until it is time to finish, and finishes.
async fn intake(state: &State, mut incoming: mpsc::Receiver<Message>, shared: &Shared) -> Ended {
    let mut finishing = shared.finishing.subscribe();
    let mut tally = Tally::default();
    while let Some(message) = incoming.recv().await {
        match message {
            Message::Batch(batch) => {
                state.hub_known(FIRST_KEY_WAIT).await;
                tokio::select! {
                    () = state.room_in_queue() => {}
                    _ = finishing.wait_for(|finishing| *finishing) => {}
                }
                let waiting_bytes = &shared.waiting_bytes;
                waiting_bytes.fetch_sub(cost_bytes(&batch), Ordering::Relaxed);
                tally.add(&batch);
                state.seal(batch);
            }
            Message::Barrier(answer) => {
                let _ = answer.send(state.queue().last_sealed());
            }
            Message::Finish(within, asked) => {
                return finish(state, within, Some(asked), tally).await;
            }
        }
    }
    finish(state, FINISH_DEFAULT, None, tally).await
}

async fn finish(
    state: &State,
    within: Duration,
    asked: Option<oneshot::Sender<Finished>>,
    mut tally: Tally,
) -> Ended {
    let deadline = Instant::now() + within;
    state.stop();
    let _ = timeout_at(deadline, state.drained()).await;
    state.seal_drops_for_the_spool();
    let mut finished = state.queue().retire();
    tally.lost += state.queue().lost();
    finished.tally = tally;
    state.end_in_good_order();
    tracing::info!(
        spooled_blocks = finished.spooled_blocks,
        lost_calls = finished.lost_calls,
        "shipping ended"
    );
    Ended {
        finished,
        deadline,
        asked,
    }
}

/// The number of the last block, once everything that was handed over is sealed.
async fn barrier(messages: &mpsc::WeakSender<Message>) -> u64 {
    let (answer, sealed) = oneshot::channel();
    // Without a data plane nothing more will be sealed, and what was is waited for elsewhere.
    let Some(messages) = messages.upgrade() else {
        return 0;
    };
    if messages.send(Message::Barrier(answer)).await.is_err() {
        return 0;
    }
    drop(messages);
    sealed.await.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::redact::tests::call;

    #[test]
    fn lists_of_running_calls_take_room_too() {
        let (messages, _waiting) = mpsc::channel(8);
        let shipper = Shipper {
            messages,
            shared: Arc::default(),
            limit_bytes: 1500,
        };
        let list = || {
            let mut running = call();
            running.request.head = Bytes::from(vec![b'x'; 1000]);
            Batch {
                open: Some(vec![running]),
                ..Batch::default()
            }
        };
        assert!(shipper.try_send(list()).is_ok());
        assert!(shipper.try_send(list()).is_err());
    }
}
