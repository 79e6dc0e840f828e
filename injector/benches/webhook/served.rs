//! The injector in a process of its own, with a cluster that keeps what it is given.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use remora_injector::certificates::{Cluster, ClusterError, Keeper, Kept, Lifetimes, Names};
use remora_injector::config::{Config, Options};
use remora_injector::events::Event;
use remora_injector::refusals::Refusal;
use remora_injector::server::{Pace, Server};

/// The name that the certificate is for.
pub(crate) const NAME: &str = "remora-injector.remora.svc";
/// Set in the process that serves.
const CHILD: &str = "REMORA_BENCH_SERVES";

/// An injector that serves; it ends with this.
pub(crate) struct Injector {
    process: Child,
    /// Where it is asked.
    pub(crate) address: SocketAddr,
    /// Whom to trust.
    pub(crate) authorities: String,
}

impl Injector {
    pub(crate) fn start() -> Self {
        let mut process = Command::new(std::env::current_exe().expect("this program"))
            .env(CHILD, "1")
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut lines = BufReader::new(process.stdout.take().expect("it is piped")).lines();
        let mut line = || lines.next().expect("it says where it is").expect("text");
        let address = line().parse().expect("an address");
        let authorities = serde_json::from_str(&line()).expect("a bundle");
        Self {
            process,
            address,
            authorities,
        }
    }

    pub(crate) fn memory(&self) -> String {
        super::memory_of(self.process.id())
    }
}

impl Drop for Injector {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// Serves until it is killed.
pub(crate) fn serve() {
    let options = Options {
        image: "registry.example/remora:1".to_owned(),
        ..Options::default()
    };
    let config = Config::check(options).expect("the defaults are good");
    let local = "127.0.0.1:0".parse().expect("an address");
    // As the program does it: on one thread.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let server = Server::bind(config, local, local).expect("free ports");
        println!("{}", server.webhook_address().expect("it listens"));
        let names = Names {
            webhook: vec![NAME.to_owned()],
            hub: vec!["remora-hub.remora.svc".to_owned()],
        };
        let keeper = Keeper::new(Alone::default(), names, Lifetimes::default());
        server
            .run(keeper, Pace::real(), std::future::pending())
            .await
            .expect("it serves");
    });
}

/// A cluster of this process alone, which says whom to trust.
#[derive(Default)]
struct Alone {
    kept: Mutex<Option<Kept>>,
    published: OnceLock<()>,
}

#[async_trait]
impl Cluster for Alone {
    async fn read(&self) -> Result<Option<Kept>, ClusterError> {
        Ok(self.kept.lock().expect("nobody panics").clone())
    }

    async fn write(&self, bytes: Vec<u8>, _: Option<&str>) -> Result<(), ClusterError> {
        let kept = Kept {
            bytes,
            version: "1".to_owned(),
        };
        *self.kept.lock().expect("nobody panics") = Some(kept);
        Ok(())
    }

    async fn publish(&self, bundle: &str) -> Result<(), ClusterError> {
        // It is published again and again, and nobody listens for long.
        self.published
            .get_or_init(|| println!("{}", serde_json::Value::from(bundle)));
        Ok(())
    }

    async fn hand_to_hub(&self, _: &str, _: &str) -> Result<(), ClusterError> {
        Ok(())
    }

    async fn put_bundle(&self, _: &str, _: &str) -> Result<(), ClusterError> {
        Ok(())
    }

    async fn tell(&self, _: &Event) -> Result<(), ClusterError> {
        Ok(())
    }

    fn refusals(&self) -> BoxStream<'static, Refusal> {
        stream::pending().boxed()
    }

    fn labelled(&self) -> BoxStream<'static, String> {
        stream::pending().boxed()
    }
}
