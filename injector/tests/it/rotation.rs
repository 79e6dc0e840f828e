//! Two replicas that share one Secret, and clients that trust what was published: nobody is ever refused.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt};
use remora_injector::certificates::{Cluster, ClusterError, Keeper, Kept, Lifetimes, Names};
use remora_injector::events::Event;
use remora_injector::refusals::Refusal;
use remora_injector::server::{Pace, Server};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use serde_json::Value;
use tokio::sync::oneshot;

use crate::support::config;

const NAME: &str = "remora-injector.remora.svc";
const HUB: &str = "remora-hub.remora.svc";
/// A namespace with the label.
const LABELLED: &str = "cart";
/// One that was deleted.
const GONE: &str = "gone";

fn names() -> Names {
    Names {
        webhook: vec![NAME.to_owned()],
        hub: vec![HUB.to_owned()],
    }
}

/// A Secret, and the bundle that an API server would trust.
#[derive(Default)]
struct Fake {
    secret: Mutex<Option<(Vec<u8>, u64)>>,
    bundle: Mutex<String>,
    /// What the hub serves under.
    hub: Mutex<String>,
    /// What sidecars trust, by namespace.
    bundles: Mutex<BTreeMap<String, String>>,
    /// Certificates that the hub got before every namespace trusted them.
    early: Mutex<Vec<String>>,
    is_away: AtomicBool,
}

#[derive(Clone)]
struct Shared(Arc<Fake>);

#[async_trait]
impl Cluster for Shared {
    async fn read(&self) -> Result<Option<Kept>, ClusterError> {
        if self.0.is_away.load(Ordering::SeqCst) {
            return Err(ClusterError::Refused {
                action: "read".to_owned(),
                source: "away".into(),
            });
        }
        let secret = self.0.secret.lock().unwrap().clone();
        Ok(secret.map(|(bytes, version)| Kept {
            bytes,
            version: version.to_string(),
        }))
    }

    async fn write(&self, bytes: Vec<u8>, version: Option<&str>) -> Result<(), ClusterError> {
        let mut secret = self.0.secret.lock().unwrap();
        let current = secret.as_ref().map(|(_, version)| version.to_string());
        if current.as_deref() != version {
            return Err(ClusterError::Conflict);
        }
        let next = secret.as_ref().map_or(1, |(_, version)| version + 1);
        *secret = Some((bytes, next));
        Ok(())
    }

    async fn publish(&self, bundle: &str) -> Result<(), ClusterError> {
        *self.0.bundle.lock().unwrap() = bundle.to_owned();
        Ok(())
    }

    async fn hand_to_hub(&self, certificate: &str, _: &str) -> Result<(), ClusterError> {
        let bundles = self.0.bundles.lock().unwrap();
        if !bundles.values().all(|bundle| trusts(bundle, certificate)) {
            self.0.early.lock().unwrap().push(certificate.to_owned());
        }
        *self.0.hub.lock().unwrap() = certificate.to_owned();
        Ok(())
    }

    async fn put_bundle(&self, namespace: &str, bundle: &str) -> Result<(), ClusterError> {
        if namespace == GONE {
            return Err(ClusterError::NoSuchPlace);
        }
        let mut bundles = self.0.bundles.lock().unwrap();
        bundles.insert(namespace.to_owned(), bundle.to_owned());
        Ok(())
    }

    async fn tell(&self, _: &Event) -> Result<(), ClusterError> {
        Ok(())
    }

    fn refusals(&self) -> BoxStream<'static, Refusal> {
        stream::pending().boxed()
    }

    fn labelled(&self) -> BoxStream<'static, String> {
        let names = [GONE, LABELLED].map(str::to_owned);
        stream::iter(names).chain(stream::pending()).boxed()
    }
}

/// Whether a certificate is of one of the authorities in `bundle`, by its signature.
fn trusts(bundle: &str, certificate: &str) -> bool {
    let mut roots = RootCertStore::empty();
    for authority in CertificateDer::pem_slice_iter(bundle.as_bytes()) {
        roots.add(authority.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), provider)
        .build()
        .unwrap();
    let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
    let name = ServerName::try_from(HUB).unwrap();
    let verified = verifier.verify_server_cert(&certificate, &[], &name, &[], UnixTime::now());
    verified.is_ok()
}

impl Fake {
    fn chain(&self) -> Value {
        let secret = self.secret.lock().unwrap();
        let bytes = secret.as_ref().map(|(bytes, _)| bytes.as_slice());
        bytes.map_or(Value::Null, |bytes| serde_json::from_slice(bytes).unwrap())
    }

    fn generations(&self) -> Vec<u64> {
        let chain = self.chain();
        let authorities = chain["authorities"].as_array().cloned().unwrap_or_default();
        authorities
            .iter()
            .map(|authority| authority["generation"].as_u64().unwrap())
            .collect()
    }
}

/// One replica on a thread of its own; it stops when it is dropped.
struct Replica {
    webhook: SocketAddr,
    admin: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Replica {
    fn start(fake: &Arc<Fake>, now_s: &Arc<AtomicU64>) -> Self {
        let local = "127.0.0.1:0".parse().unwrap();
        let server = Server::bind(config(), local, local).unwrap();
        let (webhook, admin) = (
            server.webhook_address().unwrap(),
            server.admin_address().unwrap(),
        );
        // Short beside its validity, so that a slow machine sees no certificate run out.
        let lifetimes = Lifetimes {
            renew_leaf: Duration::from_secs(1000),
            renew_authority: Duration::from_secs(5000),
            settle: Duration::from_secs(100),
            ..Lifetimes::default()
        };
        let keeper = Keeper::new(Shared(Arc::clone(fake)), names(), lifetimes);
        let now_s = Arc::clone(now_s);
        let pace = Pace {
            every: Duration::from_millis(5),
            linger: Duration::ZERO,
            now_s: move || now_s.load(Ordering::SeqCst),
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let stopped = async { drop(stopped.await) };
            runtime.block_on(server.run(keeper, pace, stopped)).unwrap();
        });
        Self {
            webhook,
            admin,
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().unwrap().join();
        assert!(ended.is_ok() || std::thread::panicking());
    }
}

/// Clients that never stop asking, each time over a new connection, trusting what is published just then.
struct Clients<'a> {
    fake: &'a Fake,
    replicas: [SocketAddr; 2],
    folder: &'a Path,
    asked: [AtomicUsize; 2],
    is_over: AtomicBool,
    refused: Mutex<Vec<String>>,
}

impl Clients<'_> {
    fn ask_until_over(&self, client: usize) {
        let bundle = self.folder.join(format!("bundle-{client}.pem"));
        while !self.is_over.load(Ordering::SeqCst) {
            fs::write(&bundle, &*self.fake.bundle.lock().unwrap()).unwrap();
            for replica in self.replicas {
                if let Err(refusal) = ask(replica, &bundle, &self.folder.join("review.json")) {
                    self.refused.lock().unwrap().push(refusal);
                }
            }
            self.asked[client].fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Waits until every client has begun and ended a round since the call.
    fn everybody_asks(&self) {
        let before = [0, 1].map(|client| self.asked[client].load(Ordering::SeqCst));
        eventually("clients ask", || {
            (0..2).all(|client| self.asked[client].load(Ordering::SeqCst) >= before[client] + 2)
        });
    }
}

/// Asks once with curl, which checks name, time and authority.
fn ask(replica: SocketAddr, bundle: &Path, review: &Path) -> Result<Value, String> {
    let port = replica.port();
    let output = Command::new("curl")
        .args(["-sS", "--max-time", "60", "--noproxy", "*", "--cacert"])
        .arg(bundle)
        .args(["--resolve", &format!("{NAME}:{port}:127.0.0.1")])
        .args(["-H", "content-type: application/json", "--data-binary"])
        .arg(format!("@{}", review.display()))
        .arg(format!(
            "https://{NAME}:{port}/inject/namespace/permits?timeout=3s"
        ))
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout)
        .map_err(|_| String::from_utf8_lossy(&output.stderr).into_owned())?;
    match &answer["response"] {
        response if response["allowed"] == true && response["patch"].is_string() => Ok(answer),
        other => Err(format!("no patch in {other}")),
    }
}

fn eventually(what: &str, holds: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_secs(120);
    while !holds() {
        assert!(
            std::time::Instant::now() < deadline,
            "{what} did not come about"
        );
        std::thread::yield_now();
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

fn page(address: SocketAddr, path: &str) -> String {
    let output = Command::new("curl")
        .args(["-sS", "--noproxy", "*", &format!("http://{address}{path}")])
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn nobody_is_refused_while_leaf_and_authority_are_renewed_by_two_replicas() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("review.json"),
        include_str!("review.json"),
    )
    .unwrap();
    let fake = Arc::new(Fake::default());
    let real_s = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let now_s = Arc::new(AtomicU64::new(real_s - 8000));
    let replicas = [Replica::start(&fake, &now_s), Replica::start(&fake, &now_s)];
    eventually("replicas are ready", || {
        replicas
            .iter()
            .all(|replica| page(replica.admin, "/readyz") == "ready\n")
    });
    let clients = Clients {
        fake: &fake,
        replicas: [replicas[0].webhook, replicas[1].webhook],
        folder: folder.path(),
        asked: Default::default(),
        is_over: AtomicBool::new(false),
        refused: Mutex::default(),
    };
    std::thread::scope(|scope| {
        for client in 0..2 {
            let clients = &clients;
            scope.spawn(move || clients.ask_until_over(client));
        }
        let over = Over(&clients.is_over);
        clients.everybody_asks();

        let leaf = fake.chain()["leaf"]["certificate"].clone();
        now_s.fetch_add(1000, Ordering::SeqCst);
        eventually("a new leaf", || fake.chain()["leaf"]["certificate"] != leaf);
        clients.everybody_asks();

        now_s.fetch_add(4000, Ordering::SeqCst);
        eventually("a new authority", || fake.generations() == [1, 2]);
        assert_eq!(
            fake.chain()["leaf"]["by"],
            1,
            "nobody trusts the new one yet"
        );
        clients.everybody_asks();

        let published = || {
            let bundles = fake.bundles.lock().unwrap();
            bundles
                .values()
                .all(|bundle| bundle.matches("BEGIN").count() == 2)
        };
        eventually("every namespace trusts both", published);
        now_s.fetch_add(100, Ordering::SeqCst);
        eventually("a leaf of the new authority", || {
            fake.chain()["leaf"]["by"] == 2 && fake.chain()["hub"]["by"] == 2
        });
        clients.everybody_asks();

        now_s.fetch_add(100, Ordering::SeqCst);
        eventually("the old authority is gone", || fake.generations() == [2]);
        eventually("no namespace trusts it any more", || {
            let bundles = fake.bundles.lock().unwrap();
            bundles
                .values()
                .all(|bundle| bundle.matches("BEGIN").count() == 1)
        });
        clients.everybody_asks();

        // The API server is away: what is served goes on being served.
        fake.is_away.store(true, Ordering::SeqCst);
        clients.everybody_asks();
        fake.is_away.store(false, Ordering::SeqCst);
        drop(over);
    });
    assert_eq!(*clients.refused.lock().unwrap(), Vec::<String>::new());
    assert_eq!(*fake.early.lock().unwrap(), Vec::<String>::new());
    let hub = fake.hub.lock().unwrap().clone();
    assert_eq!(fake.chain()["hub"]["certificate"], hub.as_str());
    // The namespace that has the label, and the one that the pod went into; none that is gone.
    let bundles = fake.bundles.lock().unwrap().clone();
    assert_eq!(bundles.keys().collect::<Vec<_>>(), [LABELLED, "shop"]);
    for bundle in bundles.values() {
        assert_eq!(*bundle, *fake.bundle.lock().unwrap());
        assert!(trusts(bundle, &hub));
    }
    let metrics = page(replicas[0].admin, "/metrics");
    assert!(
        metrics.contains(r#"remora_injector_reviews_total{outcome="injected",reason=""}"#),
        "{metrics}"
    );
}

/// Ends the clients, also when the test fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn a_secret_that_was_deleted_or_spoilt_is_made_anew() {
    let fake = Arc::new(Fake::default());
    let keeper = Keeper::new(Shared(Arc::clone(&fake)), names(), Lifetimes::default());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let keep = || runtime.block_on(keeper.keep(1_800_000_000)).unwrap();
    let first = keep();
    assert_eq!(keep(), first);
    *fake.secret.lock().unwrap() = None;
    let second = keep();
    assert_ne!(second, first);
    *fake.secret.lock().unwrap() = Some((b"{\"authorities\": []}".to_vec(), 7));
    let third = keep();
    assert_ne!(third, second);
    let mut chain = fake.chain();
    chain["leaf"]["key"] = "lost".into();
    *fake.secret.lock().unwrap() = Some((chain.to_string().into_bytes(), 9));
    let fourth = keep();
    assert_ne!(fourth, third);
    assert_eq!(*fake.bundle.lock().unwrap(), fourth.bundle());
}
