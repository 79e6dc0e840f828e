//! Programs with their sidecars, one behind the other, and customers before them.

use std::process::Command;
use std::time::Duration;

use remora_mcp::Hub;
use remora_mcp::config::{Config, Keep, Options};
use remora_store::filter::Filter;
use remora_store::query::{FoundCall, Order, Query};
use remora_store::snapshot::View;
use remora_store::store::Scope;

use crate::support::left_out;
use crate::support::process::{Running, free_port};
use crate::support::spoken::Spoken;

/// Longer than all customers of a visit take together.
const VISIT: Duration = Duration::from_secs(300);

const SERVICE: &str = include_str!("service.js");
const THREADED_SERVICE: &str = include_str!("service.py");
const LOAD: &str = include_str!("load.js");

/// Ports at which something is called over HTTP/1 and HTTP/2; 0 where it is not.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    http1: u16,
    http2: u16,
}

/// A hub, and what stands on the street before it.
pub struct Street {
    hub: Hub,
    customers: Spoken,
    services: Vec<Spoken>,
    sidecars: Vec<Running>,
}

impl Street {
    /// `None`, with one line that says so, where there is no Node.
    pub async fn open() -> Option<Self> {
        let is_there = |program: &str| Command::new(program).arg("--version").output().is_ok();
        if !is_there("node") || !is_there("python3") {
            left_out("there is no node, or no python3");
            return None;
        }
        let config = Config::check(Options::on_any_port(Keep::Memory)).unwrap();
        let customers = Spoken::start(Command::new("node").args(["-e", LOAD]));
        assert_eq!(customers.receive(), "ready");
        Some(Self {
            hub: Hub::start(config).await.unwrap(),
            customers,
            services: Vec::new(),
            sidecars: Vec::new(),
        })
    }

    /// Starts a service in Node before another; says where it is called. With `polls` it also does something of
    /// its own.
    pub fn node(
        &mut self,
        name: &str,
        way: &str,
        spread_ms: u32,
        next: Option<(Ports, bool)>,
    ) -> Ports {
        let mut command = Command::new("node");
        command.args(["-e", SERVICE, way, &spread_ms.to_string()]);
        self.service(name, command, next)
    }

    /// Starts a service in Python.
    pub fn python(&mut self, name: &str, next: Ports) -> Ports {
        let mut command = Command::new("python3");
        command.args(["-c", THREADED_SERVICE]);
        self.service(name, command, Some((next, false)))
    }

    fn service(&mut self, name: &str, mut command: Command, next: Option<(Ports, bool)>) -> Ports {
        let mut service = Spoken::start(&mut command);
        let line = service.receive();
        let (http1, http2) = line.split_once(' ').unwrap();
        let own = Ports {
            http1: http1.parse().unwrap(),
            http2: http2.parse().unwrap(),
        };
        let (next, polls) = next.map_or((None, false), |(next, polls)| (Some(next), polls));
        let (inbound, outbound) = self.sidecar(name, Some(own), next);
        if let Some(outbound) = outbound {
            let polls = if polls { "polls" } else { "quiet" };
            service.send(&format!("{} {} {polls}", outbound.http1, outbound.http2));
            assert_eq!(service.receive(), "ready");
        }
        self.services.push(service);
        inbound.unwrap()
    }

    /// Starts a sidecar; says where it takes calls for whom it stands beside, and of whom.
    fn sidecar(
        &mut self,
        name: &str,
        inbound: Option<Ports>,
        outbound: Option<Ports>,
    ) -> (Option<Ports>, Option<Ports>) {
        let mut maps = Vec::new();
        let mut map = |leg: &str, to: Ports| {
            let mut listen = |to: u16| {
                let port = if to == 0 { 0 } else { free_port() };
                if port != 0 {
                    maps.push(format!("{leg}:127.0.0.1:{port}=127.0.0.1:{to}"));
                }
                port
            };
            Ports {
                http1: listen(to.http1),
                http2: listen(to.http2),
            }
        };
        let inbound = inbound.map(|to| map("inbound", to));
        let outbound = outbound.map(|to| map("outbound", to));
        let ingest = format!("http://{}", self.hub.ingest_address());
        let mut arguments = vec!["proxy", "--ingest", &ingest, "--workload", name];
        arguments.extend(["--namespace", "local", "--admin", "off"]);
        for map in &maps {
            arguments.extend(["--map", map]);
        }
        self.sidecars.push(Running::start(&arguments));
        for ports in [inbound, outbound].into_iter().flatten() {
            for port in [ports.http1, ports.http2] {
                if port != 0 {
                    listens(port);
                }
            }
        }
        (inbound, outbound)
    }

    /// Ends the service that was started last.
    pub fn close_last(&mut self) {
        self.services.pop();
    }

    /// Has so many calls made, by so many customers at a time, and waits until all are answered.
    pub fn visit(&mut self, at: Ports, calls: usize, customers: usize, routes: &str, prefix: &str) {
        let (_, door) = self.sidecar("customers", None, Some(at));
        let door = door.unwrap();
        let visit = format!(
            "{} {} {calls} {customers} {routes} {prefix}",
            door.http1, door.http2
        );
        self.customers.send(&visit);
        assert_eq!(self.customers.receive_within(VISIT), "done");
    }

    /// Every leg that was recorded, the oldest first.
    pub async fn recorded(&self) -> Vec<FoundCall> {
        let flushed = self.hub.flush(Duration::from_secs(30)).await;
        assert!(flushed.unanswered.is_empty(), "{flushed:?}");
        let mut calls = Vec::new();
        let mut query = Query {
            filter: Filter::default(),
            since_ns: None,
            until_ns: None,
            order: Order::Oldest,
            limit: 1_000,
            cursor: None,
            probes: true,
            view: View::default(),
            bodies: false,
            time_budget: Duration::from_secs(60),
        };
        loop {
            let page = self.hub.store().list(&Scope::ALL, &query).await.unwrap();
            calls.extend(page.calls);
            match page.next {
                Some(next) => query.cursor = Some(next),
                None => return calls,
            }
        }
    }
}

/// Waits until something listens.
fn listens(port: u16) {
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(
            std::time::Instant::now() < deadline,
            "nothing listens on {port}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}
