//! The street where the shop stands: each service with its sidecar, wired so that every call between
//! two services passes the caller's sidecar and the callee's.

use std::net::SocketAddr;

use anyhow::Context;
use axum::Router;
use remora_proxy::Proxy;
use remora_proxy::config::{Config, Options};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::customers;
use super::ledger::{Book, Ledger};
use super::shop::{self, Build, Caller};
use super::stores;

/// Everything that runs.
pub(super) struct Street {
    ledger: Ledger,
    customers: Caller,
    storefront: SocketAddr,
    build: Build,
    sidecars: Vec<Sidecar>,
    services: Vec<JoinHandle<()>>,
}

impl Street {
    /// Starts services and sidecars, callees first, since a caller's sidecar is told where to send.
    pub(super) async fn open(ingest: SocketAddr, build: Build) -> anyhow::Result<Self> {
        let ledger = Ledger::default();
        let mut builder = Builder {
            ingest,
            sidecars: Vec::new(),
            services: Vec::new(),
        };
        let inventory = builder
            .add("inventory", [], |[]| shop::backends::inventory())
            .await?;
        let payments = builder
            .add("payments", [], |[]| shop::backends::payments(build))
            .await?;
        let kept = shop::backends::articles();
        let redis = builder
            .add_server("redis", [], |[], listener| {
                tokio::spawn(stores::redis::serve(listener, kept))
            })
            .await?;
        let postgres = builder
            .add_server("postgres", [], |[], listener| {
                tokio::spawn(stores::postgres::serve(listener, shop::orders::placed()))
            })
            .await?;
        let caller = Caller::new("orders", ledger.clone(), true);
        let book = ledger.clone();
        let orders = builder
            .add(
                "orders",
                [inventory, payments, postgres],
                |[inventory, payments, postgres]| {
                    shop::orders::service(shop::orders::Orders {
                        caller,
                        build,
                        inventory,
                        payments,
                        postgres: stores::postgres::Postgres::new(postgres, book),
                    })
                },
            )
            .await?;
        let caller = Caller::new("storefront", ledger.clone(), true);
        let book = ledger.clone();
        let storefront = builder
            .add(
                "storefront",
                [orders, inventory, redis],
                |[orders, inventory, redis]| {
                    shop::storefront::service(shop::storefront::Storefront {
                        caller,
                        build,
                        orders,
                        inventory,
                        redis: stores::redis::Redis::new(redis, book),
                    })
                },
            )
            .await?;
        let customers = Caller::new("customer", ledger.clone(), false);
        let Builder {
            sidecars, services, ..
        } = builder;
        Ok(Self {
            ledger,
            customers,
            storefront,
            build,
            sidecars,
            services,
        })
    }

    /// One round of customers.
    pub(super) async fn round(&self, round: u64) -> anyhow::Result<()> {
        customers::visit(&self.customers, self.storefront, self.build, round).await
    }

    /// Every call that the shop has made so far.
    pub(super) fn book(&self) -> Book {
        self.ledger.book()
    }

    /// Closes the shop and lets the sidecars ship what they hold.
    pub(super) async fn close(self) -> anyhow::Result<()> {
        for service in &self.services {
            service.abort();
        }
        for sidecar in self.sidecars {
            sidecar.stop().await?;
        }
        Ok(())
    }
}

/// A sidecar that runs until it is told to stop.
struct Sidecar {
    stop: oneshot::Sender<()>,
    running: JoinHandle<Result<remora_proxy::Tally, remora_proxy::error::Error>>,
}

impl Sidecar {
    fn start(proxy: Proxy) -> Self {
        let (stop, stopped) = oneshot::channel();
        let shutdown = async {
            // A sender that is gone means the same as one that has spoken.
            let _ = stopped.await;
        };
        Self {
            stop,
            running: tokio::spawn(proxy.run(shutdown)),
        }
    }

    async fn stop(self) -> anyhow::Result<()> {
        // The sidecar may have ended by itself; then its result says why.
        let _ = self.stop.send(());
        self.running.await?.context("run a sidecar")?;
        Ok(())
    }
}

struct Builder {
    ingest: SocketAddr,
    sidecars: Vec<Sidecar>,
    services: Vec<JoinHandle<()>>,
}

impl Builder {
    /// Starts a service of HTTP, as [`Builder::add_server`] starts any.
    async fn add<const CALLEES: usize>(
        &mut self,
        workload: &str,
        callees: [SocketAddr; CALLEES],
        service: impl FnOnce([SocketAddr; CALLEES]) -> Router,
    ) -> anyhow::Result<SocketAddr> {
        self.add_server(workload, callees, |callees, listener| {
            shop::serve(listener, service(callees))
        })
        .await
    }

    /// Starts a server behind a sidecar that also carries its calls to `callees`. Gives the address
    /// at which it is to be called; it is given the addresses that stand for its callees.
    async fn add_server<const CALLEES: usize>(
        &mut self,
        workload: &str,
        callees: [SocketAddr; CALLEES],
        serve: impl FnOnce([SocketAddr; CALLEES], TcpListener) -> JoinHandle<()>,
    ) -> anyhow::Result<SocketAddr> {
        let (listener, own) = shop::bind().await?;
        let maps = std::iter::once(format!("inbound:127.0.0.1:0={own}")).chain(
            callees
                .iter()
                .map(|callee| format!("outbound:127.0.0.1:0={callee}")),
        );
        let options = Options {
            workload: workload.to_owned(),
            ingest: format!("http://{}", self.ingest),
            maps: maps.collect(),
            admin: Some("off".to_owned()),
            ..Options::default()
        };
        let config = Config::from_options(options).context("configure a sidecar")?;
        let proxy =
            Proxy::bind(config).with_context(|| format!("start the sidecar of {workload}"))?;
        let addresses: Vec<SocketAddr> = proxy.bound().iter().map(|bound| bound.address).collect();
        let (inbound, outbound) = addresses
            .split_first()
            .context("the sidecar has no mapped listener")?;
        let outbound = outbound
            .try_into()
            .context("the sidecar has too few mapped listeners")?;
        self.services.push(serve(outbound, listener));
        self.sidecars.push(Sidecar::start(proxy));
        Ok(*inbound)
    }
}
