//! Forgets, again and again, what is older or more than should be kept.

use std::time::Duration;

use remora_store::store::Retention;
use tokio::time::{MissedTickBehavior, interval};

use crate::app::{App, drained};
use crate::clock;
use crate::config::Config;
use crate::error::chain;

/// How often the limits are looked at.
const EVERY: Duration = Duration::from_secs(10);

/// Keeps the store within the configured limits until the hub stops.
pub(crate) async fn run(app: App, config: Config) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = drained(app.draining.clone()) => return,
        }
        let age_ns = i64::try_from(config.retain_age.as_nanos()).unwrap_or(i64::MAX);
        let limits = Retention {
            before_ns: clock::now_ns().checked_sub(age_ns),
            max_bytes: Some(config.retain_bytes),
        };
        match app.store.retain(&limits).await {
            Ok(freed) => {
                failing = false;
                app.metrics.freed(freed.calls);
                if freed.blocks > 0 {
                    tracing::info!(
                        blocks = freed.blocks,
                        calls = freed.calls,
                        size_bytes = freed.bytes,
                        "oldest blocks forgotten"
                    );
                }
            }
            // Said once per outage, not every few seconds.
            Err(error) if !failing => {
                failing = true;
                tracing::error!(error = %chain(&error), "retention failed");
            }
            Err(_) => {}
        }
    }
}
