//! The sidecar: it passes bytes on unchanged, watches them, and ships what it understood.
//!
//! The life of a connection: accept, find the original destination, dial at once, copy both ways;
//! each piece of bytes is shown to the connection's observer before it is written on. The observer
//! gives calls, which are batched, redacted, sealed into blocks, spooled and shipped to the hub.

#![forbid(unsafe_code)]

use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use prometheus_client::registry::Registry;
use remora_store::call::{BODY_DIGEST_PREFIX_BYTES, Leg};
use tokio::task::JoinHandle;

use crate::admin::Readiness;
use crate::budget::Budget;
use crate::config::Config;
use crate::crash::Run;
use crate::error::Error;
use crate::faults::Faults;
use crate::given::Given;
use crate::listener::{Listener, Route};
use crate::metrics::Metrics;
use crate::observe::Limits;
use crate::plane::DataPlane;
use crate::record::{Flushes, Outlet};
use crate::redact::Redaction;
use crate::ship::{ANSWER_TIMEOUT, ShipConfig, ShipMetrics, Shipper};
pub use crate::tally::Tally;
use crate::tls::{Bundle, Interception};

mod addresses;
mod admin;
pub mod budget;
pub mod config;
mod connection;
mod control;
mod crash;
pub mod detect;
pub mod error;
mod extensions;
pub mod faults;
mod forward;
pub mod given;
pub mod keys;
mod link;
mod listener;
mod metrics;
pub mod observe;
mod persistence;
mod plane;
pub mod record;
pub mod redact;
pub mod redirect;
pub mod seal;
pub mod ship;
mod socket;
mod splice;
pub mod sql;
mod tally;
mod tap;
mod terminate;
pub mod tls;

/// Largest head that is parsed and kept.
const HEAD_LIMIT_BYTES: usize = 64 * 1024;

/// A sidecar whose ports are taken but which does not run yet.
pub struct Proxy {
    config: Config,
    listeners: Vec<Listener>,
    admin: Option<TcpListener>,
    /// `None` where the workload allows no faults.
    faults: Option<Arc<Faults>>,
    interception: Option<(Interception, Option<Bundle>)>,
}

/// A port that a sidecar listens on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// Which side of the calls the sidecar is on there.
    pub leg: Leg,
    /// The address, with the port that the system chose where none was asked for.
    pub address: SocketAddr,
}

impl Bound {
    /// The addresses by which it is reached: its own, or this machine's where it is a wildcard.
    pub fn reached_at(&self) -> Vec<SocketAddr> {
        addresses::reached_at(self.address)
    }
}

impl Proxy {
    /// Takes the ports. Connections wait until [`Proxy::run`].
    pub fn bind(mut config: Config) -> Result<Self, Error> {
        config.origin.incarnation = rand::random();
        let mut listeners = Vec::new();
        for map in &config.maps {
            let route = Route::Mapped(map.upstream.clone());
            let listener = Listener::bind(map.listen, map.leg, route)?;
            if map.leg == Leg::Inbound {
                // The system may have chosen the port, and nobody calls a wildcard by its name.
                let serves = &mut config.origin.serves;
                serves.retain(|address| *address != map.listen);
                serves.extend(addresses::reached_at(listener.address()));
            }
            listeners.push(listener);
        }
        if let Some(address) = config.forward {
            if !address.ip().is_loopback() {
                tracing::warn!(
                    listen.addr = %address,
                    "whoever reaches the forward proxy can have it connect anywhere"
                );
            }
            listeners.push(Listener::bind(address, Leg::Outbound, Route::Forward)?);
        }
        if let Some(ports) = config.redirect {
            let everywhere = |port| SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, port));
            for (port, leg) in [
                (ports.inbound, Leg::Inbound),
                (ports.outbound, Leg::Outbound),
            ] {
                listeners.push(Listener::bind(everywhere(port), leg, Route::Redirected)?);
            }
        }
        let admin = config.admin.map(bind_admin).transpose()?;
        let faults = config
            .allow_faults
            .then(|| Arc::new(Faults::new(&redaction(&config))));
        let interception = config
            .interception
            .as_ref()
            .map(Interception::new)
            .transpose()?;
        Ok(Self {
            config,
            listeners,
            admin,
            faults,
            interception,
        })
    }

    /// The ports that were taken: maps in the order of the configuration, the forward proxy, redirect
    /// ports.
    pub fn bound(&self) -> Vec<Bound> {
        let bound = |listener: &Listener| Bound {
            leg: listener.leg(),
            address: listener.address(),
        };
        self.listeners.iter().map(bound).collect()
    }

    /// Address of the forward proxy.
    pub fn forward_address(&self) -> Option<SocketAddr> {
        let mut listeners = self.listeners.iter();
        listeners
            .find(|listener| listener.is_forward())
            .map(Listener::address)
    }

    /// The faults that the sidecar carries out; `None` where its workload allows none.
    pub fn faults(&self) -> Option<Arc<Faults>> {
        self.faults.clone()
    }

    /// The certificates that were written for the application's clients, where TLS is looked into and a directory
    /// was named.
    pub fn bundle(&self) -> Option<&Bundle> {
        let (_, bundle) = self.interception.as_ref()?;
        bundle.as_ref()
    }

    /// Address of metrics and probes.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin
            .as_ref()
            .and_then(|admin| admin.local_addr().ok())
    }

    /// Runs until `shutdown`, shipping what is recorded to the hub. Gives how much that was.
    ///
    /// Stops gracefully: at most [`Config::linger`] as before, then no new connections,
    /// [`Config::drain_timeout`] for the open ones, then [`Config::flush_timeout`] to ship the rest. What the hub does not take goes to the spool.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<Tally, Error> {
        let mut registry = metrics::registry();
        let budget = Budget::new(self.config.capture_budget_bytes);
        if !self.config.record {
            let served = self.serve(None, budget, registry, shutdown).await;
            return served.map(|()| Tally::default());
        }
        let metrics = ShipMetrics::register(&mut registry);
        let (shipper, flushes) = start_shipper(&self.config, self.faults(), &budget, &metrics)?;
        let sender = shipper.clone();
        let outlet = Outlet {
            sink: Box::new(move |batch| sender.try_send(batch)),
            flushes,
        };
        let flush_timeout = self.config.flush_timeout;
        let outcome = self.serve(Some(outlet), budget, registry, shutdown).await;
        if outcome.is_err() {
            shipper.note_loss();
        }
        let finished = shipper.finish(flush_timeout).await;
        tracing::info!(
            spooled.blocks = finished.spooled_blocks,
            lost.calls = finished.lost_calls,
            "sidecar stopped"
        );
        outcome.map(|()| finished.tally)
    }

    /// Runs until `shutdown`, handing what is recorded to `outlet`; without one, it only relays.
    ///
    /// Stops gracefully: at most [`Config::linger`] as before, then no new connections,
    /// [`Config::drain_timeout`] for the open ones, and all
    /// that was observed is handed over before this returns.
    pub async fn run_into(
        self,
        outlet: Option<Outlet>,
        budget: Budget,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), Error> {
        self.serve(outlet, budget, metrics::registry(), shutdown)
            .await
    }

    async fn serve(
        self,
        outlet: Option<Outlet>,
        budget: Budget,
        mut registry: Registry,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), Error> {
        let open_files = socket::raise_open_files_limit();
        let run = outlet.as_ref().and_then(|_| note_run(&self.config));
        let readiness = Readiness::default();
        metrics::register_budget(&mut registry, &budget);
        let mut plane = DataPlane {
            listeners: self.listeners,
            outlet,
            engine: self.config.engine,
            faults: self.faults,
            interception: self.interception.map(|(interception, _)| interception),
            suspended: run.as_ref().is_some_and(Run::keeps_crashing),
            limits: limits(&self.config),
            budget,
            metrics: Metrics::register(&mut registry),
            readiness: readiness.clone(),
            linger: self.config.linger,
            drain_timeout: self.config.drain_timeout,
        }
        .start()?;
        let admin = self.admin.map(|listener| {
            let serving = admin::serve(listener, Arc::new(registry), readiness);
            // It is up until the end, so that a probe sees a sidecar that stops.
            AbortOnDrop(tokio::spawn(serving))
        });
        tracing::info!(open_files.limit = open_files, "sidecar started");
        let outcome = tokio::select! {
            () = shutdown => plane.stop().await,
            err = plane.failed() => Err(err),
        };
        drop(admin);
        if let Some(run) = run.filter(|_| outcome.is_ok()) {
            run.end();
        }
        outcome
    }
}

/// A task that ends with its owner.
struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Leaves the mark by which the next run knows whether this one crashed.
fn note_run(config: &Config) -> Option<Run> {
    let directory = config.spool_dir.as_ref()?;
    match Run::begin(directory) {
        Ok(run) => {
            if run.keeps_crashing() {
                tracing::error!("crashed twice within a minute, relaying without recording");
            }
            Some(run)
        }
        Err(err) => {
            tracing::warn!(
                error = %err,
                spool.dir = %directory.display(),
                "cannot keep track of crashes"
            );
            None
        }
    }
}

/// Starts the ship thread; without the spool if that cannot be opened, since traffic must not wait
/// for somebody to repair a directory.
fn start_shipper(
    config: &Config,
    faults: Option<Arc<Faults>>,
    budget: &Budget,
    metrics: &ShipMetrics,
) -> Result<(Shipper, Flushes), Error> {
    let mut ship = ship_config(config, faults);
    let mut started = Shipper::start(ship.clone(), budget.clone(), metrics.clone());
    if let (Err(err), Some(directory)) = (&started, ship.spool_dir.take()) {
        tracing::error!(
            error = %err,
            spool.dir = %directory.display(),
            "cannot use the spool, what memory has no room for will be lost"
        );
        started = Shipper::start(ship, budget.clone(), metrics.clone());
    }
    started.map_err(|source| Error::Start {
        part: "shipper",
        source,
    })
}

fn ship_config(config: &Config, faults: Option<Arc<Faults>>) -> ShipConfig {
    ShipConfig {
        ingest: config.ingest.clone(),
        ingest_ca: config.ingest_ca.clone(),
        token_file: config.token_file.clone(),
        origin: config.origin.clone(),
        given: Given::of(config),
        body_limit_bytes: config.body_limit_bytes,
        queue_limit_bytes: config.capture_budget_bytes / 2,
        spool_dir: config.spool_dir.clone(),
        spool_limit_bytes: config.spool_limit_bytes,
        redaction: redaction(config),
        answer_timeout: ANSWER_TIMEOUT,
        faults,
    }
}

fn redaction(config: &Config) -> Redaction {
    Redaction {
        enabled: config.redact,
        names: config.redact_names.clone(),
    }
}

fn bind_admin(address: SocketAddr) -> Result<TcpListener, Error> {
    socket::listen(address).map_err(|source| Error::Listen {
        address,
        purpose: "metrics and probes (--admin says where else, or off)",
        source,
    })
}

/// Digests need more of a body than the user may want to be kept; the rest is cut off after them.
fn limits(config: &Config) -> Limits {
    Limits {
        body_bytes: config.body_limit_bytes.max(BODY_DIGEST_PREFIX_BYTES),
        head_bytes: HEAD_LIMIT_BYTES,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Options;

    fn served(maps: &[&str]) -> (Vec<SocketAddr>, Vec<Bound>) {
        let options = Options {
            maps: maps.iter().map(|&map| map.to_owned()).collect(),
            admin: Some("off".to_owned()),
            workload: "orders".to_owned(),
            ..Options::default()
        };
        let proxy = Proxy::bind(Config::from_options(options).unwrap()).unwrap();
        (proxy.config.origin.serves.clone(), proxy.bound())
    }

    #[test]
    fn a_workload_is_called_at_its_inbound_listeners_only() {
        let (serves, bound) = served(&[
            "outbound:127.0.0.1:0=127.0.0.1:1",
            "inbound:127.0.0.1:0=127.0.0.1:2",
            "inbound:127.0.0.1:0=127.0.0.1:3",
        ]);
        assert_eq!(serves, [bound[1].address, bound[2].address]);
    }

    #[test]
    fn a_listener_on_all_addresses_is_called_at_each_of_them() {
        let (serves, bound) = served(&["inbound:0.0.0.0:0=127.0.0.1:1"]);
        let port = bound[0].address.port();
        assert!(serves.contains(&SocketAddr::from(([127, 0, 0, 1], port))));
        assert!(!serves.iter().any(|address| address.ip().is_unspecified()));
    }
}
