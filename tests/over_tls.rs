//! The way from sidecar to hub under the certificates that the injector makes, through their renewal.

use std::time::{SystemTime, UNIX_EPOCH};

use remora_injector::certificates::{Chain, Lifetimes, Names};
use tempfile::TempDir;

use crate::support::api::Client;
use crate::support::process::{HubPlace, Running, start_mapped};
use crate::support::{eventually, origin};

/// What the injector keeps, and where it puts the parts of hub and sidecars.
struct Certificates {
    folder: TempDir,
    chain: Chain,
    lifetimes: Lifetimes,
    now_s: u64,
}

impl Certificates {
    fn new() -> Self {
        let lifetimes = Lifetimes::default();
        // So long ago that the authority is about to be replaced.
        let now_s = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let made_s = now_s - lifetimes.renew_authority.as_secs();
        let chain = Chain::next(None, &names(), &lifetimes, made_s).unwrap();
        let mut certificates = Self {
            folder: tempfile::tempdir().unwrap(),
            chain: chain.unwrap(),
            lifetimes,
            now_s,
        };
        // The leaf of that time has run out.
        certificates.renew();
        certificates
    }

    /// What the injector does next; `false` if nothing is due.
    fn renew(&mut self) -> bool {
        let next = Chain::next(Some(&self.chain), &names(), &self.lifetimes, self.now_s).unwrap();
        let Some(next) = next else { return false };
        self.chain = next;
        true
    }

    fn publish(&self) {
        self.put("ca.crt", &self.chain.bundle());
    }

    fn hand_to_hub(&self) {
        let (certificate, key) = self.chain.of_hub().unwrap();
        self.put("tls.crt", certificate);
        self.put("tls.key", key);
    }

    /// Puts a file there whole, as a kubelet does: a hub that starts meanwhile reads no half of it.
    fn put(&self, name: &str, text: &str) {
        let half = self.file("half");
        std::fs::write(&half, text).unwrap();
        std::fs::rename(half, self.file(name)).unwrap();
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }
}

fn names() -> Names {
    Names {
        webhook: vec!["remora-injector.remora.svc".to_owned()],
        hub: vec!["127.0.0.1".to_owned()],
    }
}

fn start_hub(place: &HubPlace, certificates: &Certificates) -> Running {
    let (certificate, key) = (certificates.file("tls.crt"), certificates.file("tls.key"));
    let tls = ["--ingest-tls-cert", &certificate, "--ingest-tls-key", &key];
    place.start_on("127.0.0.1", &tls)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_call_is_lost_while_authority_and_leaf_are_replaced() {
    let (place, mut certificates) = (HubPlace::new(), Certificates::new());
    let upstream = origin::start().await;
    let client = Client::new();
    let ingest = place.ingest().replace("http", "https");
    let authorities = certificates.file("ca.crt");
    let options = ["--workload", "tested", "--ingest-ca", &authorities];
    let (_sidecar, port) = start_mapped(&ingest, "inbound", upstream, &options);
    let call = async |path: &str| {
        let uri = format!("http://127.0.0.1:{port}{path}");
        assert_eq!(client.get(&uri, &[]).await.unwrap().0, 200);
    };
    let stored = async |count: usize| {
        eventually("the calls are stored", || async {
            let calls = client.calls(&place.api()).await?;
            (calls.len() == count).then_some(())
        })
        .await;
    };

    // Neither hub nor sidecar has what it needs yet; calls wait.
    let hub = start_hub(&place, &certificates);
    call("/before").await;
    certificates.publish();
    certificates.hand_to_hub();
    stored(1).await;

    // A second authority is trusted by then, and signs.
    assert_eq!(certificates.chain.bundle().matches("BEGIN").count(), 2);
    certificates.now_s += certificates.lifetimes.settle.as_secs();
    assert!(certificates.renew());
    certificates.publish();
    certificates.hand_to_hub();
    call("/during").await;
    stored(2).await;

    // The first one goes, and a hub that is started anew is trusted all the same.
    certificates.now_s += certificates.lifetimes.settle.as_secs();
    assert!(certificates.renew());
    assert_eq!(certificates.chain.bundle().matches("BEGIN").count(), 1);
    certificates.publish();
    hub.kill();
    let _hub = start_hub(&place, &certificates);
    call("/after").await;
    stored(3).await;
}
