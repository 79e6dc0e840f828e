//! The data plane: one thread that accepts, passes on and records, and shares nothing with others but
//! the batches it hands over.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::admin::Readiness;
use crate::budget::Budget;
use crate::config::EngineChoice;
use crate::connection::{Plane, Recording};
use crate::error::Error;
use crate::faults::Faults;
use crate::listener::Listener;
use crate::metrics::Metrics;
use crate::observe::Limits;
use crate::record::{Outlet, Recorder};
use crate::tls::Interception;

/// How long nothing has to be open before a sidecar that lingers takes it that the application has ended.
const QUIET: Duration = Duration::from_secs(5);

/// What a data-plane thread works with.
pub(crate) struct DataPlane {
    pub(crate) listeners: Vec<Listener>,
    pub(crate) engine: EngineChoice,
    /// What a person switches on; `None` where that is not allowed.
    pub(crate) faults: Option<Arc<Faults>>,
    /// Looks into the TLS of outbound connections, where that was asked for.
    pub(crate) interception: Option<Interception>,
    /// Where records go; `None` makes it a plain relay.
    pub(crate) outlet: Option<Outlet>,
    /// Crashes before this run forbid to observe.
    pub(crate) suspended: bool,
    pub(crate) limits: Limits,
    pub(crate) budget: Budget,
    pub(crate) metrics: Metrics,
    pub(crate) readiness: Readiness,
    pub(crate) linger: Duration,
    pub(crate) drain_timeout: Duration,
}

/// A data-plane thread that runs.
pub(crate) struct Running {
    stop: oneshot::Sender<()>,
    ended: oneshot::Receiver<io::Result<()>>,
}

impl DataPlane {
    /// Starts the thread.
    pub(crate) fn start(self) -> Result<Running, Error> {
        let (stop, stopped) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        thread::Builder::new()
            .name("remora-plane".to_owned())
            .spawn(move || {
                // The receiver is gone only when the process is on its way out.
                let _ = end.send(self.run(stopped));
            })
            .map_err(start_error)?;
        Ok(Running { stop, ended })
    }

    fn run(self, stopped: oneshot::Receiver<()>) -> io::Result<()> {
        let runtime = Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build_local(LocalOptions::default())?;
        // Dropping the runtime resets what is still open.
        runtime.block_on(self.serve(stopped))
    }

    async fn serve(self, stopped: oneshot::Receiver<()>) -> io::Result<()> {
        let recorder = self.outlet.map(|outlet| {
            let metrics = self.metrics.record.clone();
            let recorder = Recorder::new(self.limits, self.budget, outlet.sink, metrics);
            let runner = Rc::clone(&recorder);
            tokio::task::spawn_local(async move { runner.run(outlet.flushes).await });
            recorder
        });
        let recording = match &recorder {
            Some(recorder) if self.suspended => Recording::Suspended(Rc::clone(recorder)),
            Some(recorder) => Recording::On(Rc::clone(recorder)),
            None => Recording::Off,
        };
        let observes = matches!(recording, Recording::On(_));
        self.metrics.recording.set(i64::from(observes));
        // One that keeps crashing is a plain relay: nothing but the splice carries bytes.
        let (engine, interception) = match self.suspended {
            true => (EngineChoice::Splice, None),
            false => (self.engine, self.interception),
        };
        let plane = Plane::new(engine, self.faults, interception, recording, self.metrics);
        let accepting = self
            .listeners
            .into_iter()
            .map(|listener| listener.spawn(Rc::clone(&plane)))
            .collect::<io::Result<Vec<JoinHandle<()>>>>()?;
        self.readiness.set(true);
        // A sender that is gone asks to stop as well.
        let _ = stopped.await;
        self.readiness.set(false);
        // Whoever is asked to stop at the same time may still have work, or get some, and nobody tells when it is over.
        if timeout(self.linger, plane.wait_until_quiet(QUIET))
            .await
            .is_ok()
        {
            tracing::info!(quiet_ms = QUIET.as_millis(), "nothing is open any more");
        }
        for task in accepting {
            task.abort();
        }
        if timeout(self.drain_timeout, plane.wait_until_empty())
            .await
            .is_err()
        {
            tracing::info!("connections still open are reset");
        }
        if let Some(recorder) = recorder {
            recorder.finish();
        }
        Ok(())
    }
}

impl Running {
    /// Waits for the thread to end of itself, which it only does by failing.
    pub(crate) async fn failed(&mut self) -> Error {
        match (&mut self.ended).await {
            Ok(Err(source)) => start_error(source),
            Ok(Ok(())) | Err(_) => Error::DataPlanePanicked,
        }
    }

    /// Asks the thread to stop, and waits until it has.
    pub(crate) async fn stop(self) -> Result<(), Error> {
        // The thread may have failed meanwhile; then it says so below.
        let _ = self.stop.send(());
        match self.ended.await {
            Ok(outcome) => outcome.map_err(start_error),
            Err(_) => Err(Error::DataPlanePanicked),
        }
    }
}

fn start_error(source: io::Error) -> Error {
    Error::Start {
        part: "data plane",
        source,
    }
}
