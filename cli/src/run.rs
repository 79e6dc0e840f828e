//! `remora run`: a local program, recorded without any privilege.
//!
//! Its outbound calls come by through a forward proxy that the environment names, its inbound ones through
//! mapped ports. Everything it says and reads is its own; what is ours goes to standard error, in few words.

mod around;
mod environment;
mod hub;
mod program;
mod say;
mod signals;
mod tally;
mod trust;

use std::net::SocketAddr;
use std::path::Path;
use std::pin::pin;
use std::process::ExitCode;

use anyhow::{Context, bail};
use remora_proxy::config::{Config, Options};
use remora_proxy::tls::Bundle;
use remora_proxy::{Bound, Proxy, Tally};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::arguments::Run;
use hub::Place;
use say::say;
use signals::Signals;
use tally::in_words;
use trust::Trust;

/// What is said where the program was not even started.
pub(crate) const FAILED: u8 = 125;

pub(crate) fn run(options: &Run) -> anyhow::Result<ExitCode> {
    // Hub and shipper share this runtime; the data plane has a thread of its own.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("start the runtime")?;
    let code = runtime.block_on(record(options)).unwrap_or_else(|error| {
        say!("{error:#}");
        FAILED
    });
    Ok(ExitCode::from(code))
}

async fn record(options: &Run) -> anyhow::Result<u8> {
    let workload = workload(options)?;
    let listen = maps(&options.listen)?;
    let inherited = |name: &str| std::env::var_os(name);
    // Before there is anything that a signal would leave behind.
    let mut signals = Signals::catch()?;
    let trust = match options.no_intercept {
        true => None,
        false => Some(Trust::gather(inherited)?),
    };
    let place = tokio::select! {
        place = Place::find(options) => place?,
        signal = signals.next() => return Ok(program::died_of(signal)),
    };
    let sidecar = sidecar_options(options, &place, listen, &workload, trust.as_ref());
    let code = record_at(&place, options, sidecar, trust.as_ref(), &mut signals).await;
    place.close().await;
    code
}

/// Runs the program. Once it has run, its exit code counts, whatever becomes of the recording.
async fn record_at(
    place: &Place,
    options: &Run,
    sidecar: Options,
    trust: Option<&Trust>,
    signals: &mut Signals,
) -> anyhow::Result<u8> {
    let inherited = |name: &str| std::env::var_os(name);
    let mut sidecar = Sidecar::start(sidecar)?;
    if !options.quiet {
        tell_where(place, &sidecar);
        if let Some(name) = environment::proxy_passed_by(inherited) {
            say!("{name} is set, and the program's calls do not go there while they are recorded");
        }
    }
    let trusted = match (trust, &sidecar.bundle) {
        (Some(trust), Some(bundle)) => trust.variables(bundle)?,
        _ => Vec::new(),
    };
    let changes = environment::changes(sidecar.forward, &trusted, inherited);
    let code = match program::start(&options.command, changes) {
        Ok(child) => {
            let known = sidecar.addresses();
            let known = (!options.quiet).then_some(&known[..]);
            let mut waiting = pin!(program::wait(child, signals, known));
            tokio::select! {
                code = &mut waiting => code?,
                outcome = sidecar.outcome() => {
                    say!("recording has ended, and the program's calls are refused");
                    told(outcome);
                    waiting.await?
                }
            }
        }
        Err(code) => return Ok(code),
    };
    let ended = async {
        let tally = told(sidecar.stop().await);
        if !options.quiet {
            tell_how_much(options, place, tally);
        }
        if options.keep && place.own.is_some() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = ended => {}
        // Whoever asks twice is not kept waiting, and a hub that was kept ends now.
        () = signals.again() => {}
    }
    Ok(code)
}

/// The name that calls go by.
fn workload(options: &Run) -> anyhow::Result<String> {
    if let Some(name) = &options.workload {
        return Ok(name.clone());
    }
    let program = options.command.first().map(Path::new);
    let name = program
        .and_then(Path::file_name)
        .context("name a program")?;
    Ok(name.to_string_lossy().into_owned())
}

/// Mapped listeners for `[IP:]PORT:PORT`.
fn maps(listen: &[String]) -> anyhow::Result<Vec<String>> {
    let map = |text: &String| {
        let form = "it has the form [IP:]PORT:PORT, the port to listen on and the program's own, such as 8080:3000";
        let Some((listen, port)) = text.rsplit_once(':') else {
            bail!("--listen is {text:?}; {form}");
        };
        let listen = match listen.parse::<u16>() {
            Ok(port) => SocketAddr::from(([127, 0, 0, 1], port)),
            Err(_) => listen
                .parse()
                .with_context(|| format!("--listen is {text:?}; {form}"))?,
        };
        match port.parse::<u16>() {
            Ok(port) if port > 0 && port != listen.port() => {
                // Some programs listen on ::1 alone.
                Ok(format!("inbound:{listen}=localhost:{port}"))
            }
            Ok(port) if port > 0 => bail!("--listen is {text:?}; the two ports have to differ"),
            _ => bail!("--listen is {text:?}; {form}"),
        }
    };
    listen.iter().map(map).collect()
}

fn sidecar_options(
    options: &Run,
    place: &Place,
    listen: Vec<String>,
    workload: &str,
    trust: Option<&Trust>,
) -> Options {
    let recording = options.recording.clone().options();
    let is_own = place.own.is_some();
    Options {
        workload: workload.to_owned(),
        maps: [listen, recording.maps].concat(),
        forward: Some("0".to_owned()),
        admin: Some("off".to_owned()),
        intercept_tls: trust.map(|_| options.intercept_tls.clone()),
        ca_dir: trust.map(Trust::folder),
        // Of no use where no TLS is looked into.
        upstream_ca: recording.upstream_ca.filter(|_| trust.is_some()),
        upstream_ca_optional: recording.upstream_ca_optional && trust.is_some(),
        clients_ca: trust.map(Trust::files).unwrap_or_default(),
        ingest: place.ingest.clone(),
        ingest_ca: recording.ingest_ca.filter(|_| !is_own),
        token_file: recording.token_file.filter(|_| !is_own),
        ..recording
    }
}

/// A sidecar that runs until it is told to stop.
struct Sidecar {
    /// The forward proxy.
    forward: SocketAddr,
    mapped: Vec<Bound>,
    /// Its certificates, where it looks into TLS.
    bundle: Option<Bundle>,
    stop: Option<oneshot::Sender<()>>,
    /// `None` once its end was told.
    running: Option<JoinHandle<Result<Tally, remora_proxy::error::Error>>>,
}

impl Sidecar {
    fn start(options: Options) -> anyhow::Result<Self> {
        let config = Config::from_options(options)?;
        let maps = config.maps.len();
        let proxy = Proxy::bind(config)?;
        let forward = proxy.forward_address().context("no forward proxy")?;
        let mapped = proxy.bound().into_iter().take(maps).collect();
        let bundle = proxy.bundle().cloned();
        let (stop, stopped) = oneshot::channel();
        let shutdown = async {
            // A sender that is gone means the same as one that has spoken.
            let _ = stopped.await;
        };
        Ok(Self {
            forward,
            mapped,
            bundle,
            stop: Some(stop),
            running: Some(tokio::spawn(proxy.run(shutdown))),
        })
    }

    /// Where the program's connections are recorded.
    fn addresses(&self) -> Vec<SocketAddr> {
        let mapped = self.mapped.iter().flat_map(Bound::reached_at);
        mapped.chain([self.forward]).collect()
    }

    /// Waits for its end, and tells once what that came to.
    async fn outcome(&mut self) -> anyhow::Result<Option<Tally>> {
        let Some(running) = &mut self.running else {
            return Ok(None);
        };
        let outcome = running.await;
        self.running = None;
        outcome?.context("record the program").map(Some)
    }

    /// Ends it once everything is shipped that the hub takes.
    async fn stop(mut self) -> anyhow::Result<Option<Tally>> {
        // It may have ended by itself; then its result says why.
        let _ = self.stop.take().map(|stop| stop.send(()));
        self.outcome().await
    }
}

/// How much was recorded; what went wrong is said.
fn told(outcome: anyhow::Result<Option<Tally>>) -> Option<Tally> {
    outcome.unwrap_or_else(|error| {
        say!("{error:#}");
        None
    })
}

fn tell_where(place: &Place, sidecar: &Sidecar) {
    let api = &place.api;
    let whose = match place.own {
        Some(_) => "a hub of its own",
        None => "the hub",
    };
    say!("recording; look at {api}/ (MCP: {api}/mcp), {whose}");
    for Bound { leg, address } in &sidecar.mapped {
        say!("{leg} calls are recorded on {address}");
    }
}

fn tell_how_much(options: &Run, place: &Place, tally: Option<Tally>) {
    if let Some(tally) = tally {
        say!(
            "{}; programs that do not honour HTTP_PROXY are not seen, nor are calls of Go to localhost",
            in_words(&tally)
        );
    }
    match (&place.own, options.keep, &options.data) {
        (Some(_), true, _) => say!("the hub stays at {}; end with Ctrl-C", place.api),
        (Some(_), false, Some(data)) => say!(
            "the records stay in {0}; `remora hub --data {0}` shows them",
            data.display()
        ),
        (Some(_), false, None) => {
            say!("the records end with this hub; --keep has it stay, --data DIR keeps them");
        }
        (None, ..) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_by_a_port_on_all_addresses_are_known_to_be_recorded() {
        let sidecar = Sidecar {
            forward: SocketAddr::from(([127, 0, 0, 1], 1)),
            mapped: vec![Bound {
                leg: remora_store::call::Leg::Outbound,
                address: SocketAddr::from(([0, 0, 0, 0], 15432)),
            }],
            bundle: None,
            stop: None,
            running: None,
        };
        let loopback = SocketAddr::from(([127, 0, 0, 1], 15432));
        assert!(sidecar.addresses().contains(&loopback));
    }

    #[tokio::test]
    async fn a_sidecar_that_ends_by_itself_says_why_once() {
        let (stop, _) = oneshot::channel();
        let failed = remora_proxy::error::Error::Start {
            part: "data plane",
            source: std::io::ErrorKind::OutOfMemory.into(),
        };
        let mut sidecar = Sidecar {
            forward: SocketAddr::from(([127, 0, 0, 1], 1)),
            mapped: Vec::new(),
            bundle: None,
            stop: Some(stop),
            running: Some(tokio::spawn(async { Err(failed) })),
        };
        let error = sidecar.outcome().await.unwrap_err();
        assert!(format!("{error:#}").contains("data plane"), "{error:#}");
        sidecar.stop().await.unwrap();
    }

    #[test]
    fn a_port_is_mapped_to_the_programs_own() {
        let mapped = |text: &str| maps(&[text.to_owned()]).map(|mut maps| maps.remove(0));
        assert_eq!(
            mapped("8080:3000").unwrap(),
            "inbound:127.0.0.1:8080=localhost:3000"
        );
        assert_eq!(
            mapped("0.0.0.0:80:3000").unwrap(),
            "inbound:0.0.0.0:80=localhost:3000"
        );
        assert_eq!(
            mapped("[::1]:80:3000").unwrap(),
            "inbound:[::1]:80=localhost:3000"
        );
        for (wrong, says) in [
            ("8080", "8080:3000"),
            ("a:3000", "[IP:]PORT:PORT"),
            ("8080:a", "[IP:]PORT:PORT"),
            ("8080:0", "[IP:]PORT:PORT"),
            ("3000:3000", "have to differ"),
        ] {
            let error = mapped(wrong).unwrap_err();
            assert!(format!("{error:#}").contains(says), "{error:#}");
        }
    }
}
