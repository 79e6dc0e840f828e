//! The hub that the records go to: the one that runs, or one that is started for the while.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use hyper::Uri;
use remora_mcp::config::{Config, Keep, Options};
use remora_mcp::{Hub, StartError};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::say::say;
use crate::arguments::Run;
use crate::http::Client;

/// Longest wait for a hub that may be there.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where records go and questions are answered.
pub(super) struct Place {
    pub(super) api: String,
    pub(super) ingest: String,
    /// The hub that was started here.
    pub(super) own: Option<Hub>,
}

impl Place {
    /// The hub that answers at --hub; if none does, and that is this machine, one that is started there.
    pub(super) async fn find(options: &Run) -> anyhow::Result<Self> {
        let url = options.hub.trim_end_matches('/');
        let address = address_of(url)?;
        if is_hub(url).await {
            reach(&options.recording.ingest).await?;
            return Ok(Self {
                api: url.to_owned(),
                ingest: options.recording.ingest.clone(),
                own: None,
            });
        }
        let Some(listen) = address.filter(|address| address.ip().is_loopback()) else {
            bail!("no hub answers at --hub {url}; one can only be started on loopback");
        };
        let hub = start(listen, options).await?;
        Ok(Self {
            api: format!("http://{}", hub.api_address()),
            ingest: format!("http://{}", hub.ingest_address()),
            own: Some(hub),
        })
    }

    /// Ends the hub, if it was started here.
    pub(super) async fn close(self) {
        if let Some(hub) = self.own {
            hub.stop().await;
        }
    }
}

/// The address in a URL; `None` where it has a name.
fn address_of(url: &str) -> anyhow::Result<Option<SocketAddr>> {
    let wrong = || format!("--hub is {url:?}; it takes a URL such as http://127.0.0.1:8899");
    let uri: Uri = url.parse().with_context(wrong)?;
    let Some(host) = uri.host().filter(|_| uri.scheme_str() == Some("http")) else {
        bail!(wrong());
    };
    let port = uri.port_u16().unwrap_or(80);
    if host == "localhost" {
        return Ok(Some(SocketAddr::from(([127, 0, 0, 1], port))));
    }
    let ip = host.trim_start_matches('[').trim_end_matches(']').parse();
    Ok(ip.ok().map(|ip| SocketAddr::new(ip, port)))
}

/// Whether a hub answers there, be it that it does not know us yet.
async fn is_hub(url: &str) -> bool {
    let Ok(request) = hyper::Request::get(format!("{url}/api/v1/status")).body(Default::default())
    else {
        return false;
    };
    let client = Client::without_reuse();
    let Ok(Ok(answer)) = timeout(PATIENCE, client.send(request)).await else {
        return false;
    };
    let json = serde_json::from_slice::<serde_json::Value>(answer.body()).unwrap_or_default();
    json.get("coverage").is_some() || json.pointer("/error/code").is_some()
}

/// Records that nobody takes would be lost without a word.
async fn reach(ingest: &str) -> anyhow::Result<()> {
    let wrong = || format!("--ingest is {ingest:?}; it takes a URL such as http://127.0.0.1:8898");
    let uri: Uri = ingest.parse().with_context(wrong)?;
    let host = uri.host().with_context(wrong)?;
    let port = uri.port_u16().unwrap_or(match uri.scheme_str() {
        Some("https") => 443,
        _ => 80,
    });
    let stream = TcpStream::connect((host.trim_start_matches('[').trim_end_matches(']'), port));
    let nobody = || format!("the hub runs, but nobody takes records at --ingest {ingest}");
    let reached = timeout(PATIENCE, stream).await.with_context(nobody)?;
    reached.with_context(nobody)?;
    Ok(())
}

/// On the usual ports, or on a free one for each that is taken.
async fn start(listen: SocketAddr, options: &Run) -> anyhow::Result<Hub> {
    let keep = options.data.clone().map_or(Keep::Memory, Keep::Disk);
    let mut usual = Options {
        listen,
        ..Options::new(keep)
    };
    loop {
        let failed = match Hub::start(Config::check(usual.clone())?).await {
            Ok(hub) => return Ok(hub),
            Err(failed) => failed,
        };
        let taken = match &failed {
            StartError::Listen { address, .. } if *address == usual.listen => &mut usual.listen,
            StartError::Listen { .. } => &mut usual.ingest,
            _ => return Err(failed).context("start a hub"),
        };
        // There is none free.
        if taken.port() == 0 {
            return Err(failed).context("start a hub");
        }
        taken.set_port(0);
        if !options.quiet {
            say!(
                "{:#}; a free port is used instead",
                anyhow::Error::new(failed)
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_that_accepts_and_never_answers_is_no_hub() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", silent.local_addr().unwrap());
        assert!(!is_hub(&url).await);
    }

    #[test]
    fn a_url_of_loopback_has_an_address() {
        let address = |url: &str| address_of(url).unwrap().map(|it| it.to_string());
        assert_eq!(address("http://127.0.0.1:8899").unwrap(), "127.0.0.1:8899");
        assert_eq!(address("http://localhost:1").unwrap(), "127.0.0.1:1");
        assert_eq!(address("http://[::1]:2").unwrap(), "[::1]:2");
        assert_eq!(address("http://hub:8899"), None);
        for wrong in ["127.0.0.1:8899", "https://127.0.0.1:8899", "hub"] {
            let error = address_of(wrong).unwrap_err();
            assert!(format!("{error:#}").contains("--hub"), "{error:#}");
        }
    }
}
