//! How long what a fault does to one request may last.

use std::future::pending;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// The rest of a fault's life, as a request that it met sees it.
#[derive(Debug, Clone)]
pub(crate) struct Life {
    expires: Instant,
    stopped: watch::Receiver<bool>,
}

impl Life {
    pub(super) fn new(expires: Instant, stopped: watch::Receiver<bool>) -> Self {
        Self { expires, stopped }
    }

    /// Returns once the fault has expired or was stopped. One that is spent or forgotten goes on with what
    /// it began.
    pub(crate) async fn over(mut self) {
        let stopped = async {
            if self.stopped.wait_for(|stopped| *stopped).await.is_err() {
                pending().await
            }
        };
        tokio::select! {
            () = stopped => {}
            () = sleep_until(self.expires) => {}
        }
    }
}
