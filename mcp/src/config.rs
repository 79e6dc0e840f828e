//! The hub's configuration: from what was typed to what was checked.
//!
//! Everything is checked at start, and all problems are reported together.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::auth::{AllowedHosts, Token};
use crate::descriptors::Descriptors;
use crate::reflection::Server;
use crate::snapshot::barrier::Waits;
use crate::tls::{Files, Tls};

/// How long calls are kept if nothing is said: a week.
pub const DEFAULT_RETAIN_AGE: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// How many bytes of calls are kept on disk if nothing is said.
pub const DEFAULT_RETAIN_DISK_BYTES: u64 = 10 * 1024 * 1024 * 1024; // 10 GiB
/// How many bytes of calls are kept in memory if nothing is said.
pub const DEFAULT_RETAIN_MEMORY_BYTES: u64 = 256 * 1024 * 1024; // 256 MiB
/// Least that retention may be set to: room for the blocks of a few requests.
const LEAST_RETAIN_BYTES: u64 = 16 * 1024 * 1024; // 16 MiB
/// Shortest token that is taken; a shorter one can be guessed.
const LEAST_TOKEN_BYTES: usize = 16;
/// Longest token file that is read.
const TOKEN_FILE_BYTES: usize = 4 * 1024;
/// Most servers that are asked for their services.
const SERVERS: usize = 64;

/// What was typed, before it is checked.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where people and models ask: the API and MCP. Default 127.0.0.1:8899.
    pub listen: SocketAddr,
    /// Where sidecars bring their blocks. Default 127.0.0.1:8898.
    pub ingest: SocketAddr,
    /// The certificate that sidecars are served under, and its key; without both they come in the clear.
    pub ingest_tls_cert: Option<PathBuf>,
    /// The key of that certificate.
    pub ingest_tls_key: Option<PathBuf>,
    /// Whether tokens of their own may come in the clear from other machines. Default no.
    pub allow_plaintext_ingest: bool,
    /// Where calls are kept.
    pub keep: Keep,
    /// File with the token that callers and sidecars show. Off loopback this or `kubernetes` is needed.
    pub token_file: Option<PathBuf>,
    /// Whether Kubernetes is asked whose tokens callers and sidecars show. Default no.
    pub kubernetes: bool,
    /// How long calls are kept. Default [`DEFAULT_RETAIN_AGE`].
    pub retain_age: Option<Duration>,
    /// Most bytes of calls that are kept. Default [`DEFAULT_RETAIN_DISK_BYTES`], in memory
    /// [`DEFAULT_RETAIN_MEMORY_BYTES`].
    pub retain_bytes: Option<u64>,
    /// Names by which the hub is reached, beside loopback and its own addresses.
    pub allowed_hosts: Vec<String>,
    /// Descriptor sets by which the messages of gRPC are read.
    pub descriptors: Vec<PathBuf>,
    /// Servers that are asked for more of them by reflection, as `HOST:PORT`.
    pub reflection: Vec<String>,
    /// How long those who wait for a snapshot wait for sidecars and for calls that run.
    pub waits: Waits,
}

impl Options {
    /// A hub on the default ports of loopback.
    pub fn new(keep: Keep) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8899)),
            ingest: SocketAddr::from(([127, 0, 0, 1], 8898)),
            ingest_tls_cert: None,
            ingest_tls_key: None,
            allow_plaintext_ingest: false,
            keep,
            token_file: None,
            kubernetes: false,
            retain_age: None,
            retain_bytes: None,
            allowed_hosts: Vec::new(),
            descriptors: Vec::new(),
            reflection: Vec::new(),
            waits: Waits::default(),
        }
    }

    /// A hub on ports of loopback that the system picks, as tests and the demo want it.
    pub fn on_any_port(keep: Keep) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            listen: any,
            ingest: any,
            ..Self::new(keep)
        }
    }
}

/// Where calls are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keep {
    /// In this directory, which one process at a time holds.
    Disk(PathBuf),
    /// In memory; they are gone when the hub ends.
    Memory,
}

/// What the hub runs with.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where people and models ask.
    pub listen: SocketAddr,
    /// Where sidecars bring their blocks.
    pub ingest: SocketAddr,
    /// What they are served under; `None` in the clear.
    pub ingest_tls: Option<Tls>,
    /// Where calls are kept.
    pub keep: Keep,
    /// The one token that callers and sidecars must show; `None` on loopback and with `kubernetes`.
    pub token: Option<Token>,
    /// Whether they must show one that Kubernetes knows.
    pub kubernetes: bool,
    /// How long calls are kept.
    pub retain_age: Duration,
    /// Most bytes of calls that are kept.
    pub retain_bytes: u64,
    /// By which names the hub may be addressed.
    pub hosts: AllowedHosts,
    /// What the messages of gRPC services are made of.
    pub descriptors: Descriptors,
    /// Servers that are asked for more of that.
    pub reflection: Vec<Server>,
    /// How long those who wait for a snapshot wait for others.
    pub waits: Waits,
}

impl Config {
    /// Checks what was typed.
    ///
    /// # Errors
    ///
    /// All problems at once, each with the flag it is about.
    pub fn check(options: Options) -> Result<Self, ConfigError> {
        let mut problems = Vec::new();
        let token = read_token(&options, &mut problems);
        let retain_bytes = options.retain_bytes.unwrap_or(match options.keep {
            Keep::Disk(_) => DEFAULT_RETAIN_DISK_BYTES,
            Keep::Memory => DEFAULT_RETAIN_MEMORY_BYTES,
        });
        if retain_bytes < LEAST_RETAIN_BYTES {
            problems.push(format!(
                "--retain-bytes is {retain_bytes}; the least is {LEAST_RETAIN_BYTES}"
            ));
        }
        let retain_age = options.retain_age.unwrap_or(DEFAULT_RETAIN_AGE);
        if retain_age.is_zero() {
            problems.push("--retain-age is 0; nothing would be kept".to_owned());
        }
        if options.listen == options.ingest && options.listen.port() != 0 {
            problems.push(format!(
                "--listen and --ingest are both {}; they need a port each",
                options.listen
            ));
        }
        let ingest_tls = read_tls(&options, &mut problems);
        let descriptors = Descriptors::read(&options.descriptors).unwrap_or_else(|wrong| {
            problems.extend(wrong.into_iter().map(|why| format!("--descriptors {why}")));
            Descriptors::default()
        });
        let reflection = read_servers(&options.reflection, &mut problems);
        let hosts = AllowedHosts::new(&options.allowed_hosts)
            .map_err(|problem| problems.push(format!("--allowed-host {problem}")));
        match hosts {
            Ok(hosts) if problems.is_empty() => Ok(Self {
                listen: options.listen,
                ingest: options.ingest,
                ingest_tls,
                keep: options.keep,
                token,
                kubernetes: options.kubernetes,
                retain_age,
                retain_bytes,
                hosts,
                descriptors,
                reflection,
                waits: options.waits,
            }),
            _ => Err(ConfigError(problems)),
        }
    }
}

fn read_tls(options: &Options, problems: &mut Vec<String>) -> Option<Tls> {
    let (certificate, key) = match (&options.ingest_tls_cert, &options.ingest_tls_key) {
        (None, None) => {
            let is_near = options.ingest.ip().is_loopback();
            if options.kubernetes && !is_near && !options.allow_plaintext_ingest {
                problems.push(format!(
                    "--ingest {} is served in the clear, and sidecars would send their tokens so; give \
                     --ingest-tls-cert and --ingest-tls-key, or --allow-plaintext-ingest",
                    options.ingest
                ));
            }
            return None;
        }
        (Some(certificate), Some(key)) => (certificate.clone(), key.clone()),
        (certificate, _) => {
            let (given, missing) = match certificate {
                Some(_) => ("--ingest-tls-cert", "--ingest-tls-key"),
                None => ("--ingest-tls-key", "--ingest-tls-cert"),
            };
            problems.push(format!("{given} needs {missing} beside it"));
            return None;
        }
    };
    match Tls::open(Files { certificate, key }) {
        Ok(tls) => Some(tls),
        Err(error) => {
            problems.push(format!("--ingest-tls-cert, --ingest-tls-key: {error}"));
            None
        }
    }
}

fn read_servers(given: &[String], problems: &mut Vec<String>) -> Vec<Server> {
    let mut servers: Vec<Server> = Vec::new();
    for text in given {
        match text.parse() {
            Ok(server) if servers.contains(&server) => {}
            Ok(server) => servers.push(server),
            Err(error) => problems.push(format!("--reflection {error}")),
        }
    }
    if servers.len() > SERVERS {
        problems.push(format!(
            "--reflection names {} servers; at most {SERVERS} are asked",
            servers.len()
        ));
    }
    servers
}

fn read_token(options: &Options, problems: &mut Vec<String>) -> Option<Token> {
    let Some(path) = &options.token_file else {
        if options.kubernetes {
            return None;
        }
        for (flag, address) in [("--listen", options.listen), ("--ingest", options.ingest)] {
            if !address.ip().is_loopback() {
                problems.push(format!(
                    "{flag} {address} can be reached from other machines, and neither --kubernetes nor \
                     --token-file says who may; give one of them, or listen on 127.0.0.1"
                ));
            }
        }
        return None;
    };
    if options.kubernetes {
        problems.push(
            "--kubernetes and --token-file are both given; callers show either tokens of their own or the one \
             of the file, so give one of them"
                .to_owned(),
        );
    }
    match std::fs::read_to_string(path) {
        Ok(text) => match check_token(text.trim()) {
            Ok(token) => return Some(token),
            Err(problem) => problems.push(format!("--token-file {}: {problem}", path.display())),
        },
        Err(error) => problems.push(format!("--token-file {}: {error}", path.display())),
    }
    None
}

fn check_token(token: &str) -> Result<Token, String> {
    if token.len() < LEAST_TOKEN_BYTES || token.len() > TOKEN_FILE_BYTES {
        return Err(format!(
            "the token has {} bytes; it takes {LEAST_TOKEN_BYTES} to {TOKEN_FILE_BYTES}",
            token.len()
        ));
    }
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(
            "the token has spaces or characters that an Authorization header cannot carry"
                .to_owned(),
        );
    }
    Ok(Token::new(token))
}

/// Why the hub cannot run with what was typed.
#[derive(Debug, thiserror::Error)]
#[error("check configuration: {}", .0.join("; "))]
pub struct ConfigError(pub Vec<String>);

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn problems(options: Options) -> Vec<String> {
        let Err(ConfigError(problems)) = Config::check(options) else {
            panic!("the configuration was taken");
        };
        problems
    }

    #[test]
    fn loopback_needs_no_token() {
        let config = Config::check(Options::new(Keep::Memory)).unwrap();
        assert!(config.token.is_none());
    }

    #[test]
    fn either_port_off_loopback_needs_a_token_and_the_flag_is_named() {
        let mut options = Options::new(Keep::Memory);
        options.ingest = SocketAddr::from(([0, 0, 0, 0], 8898));
        let problems = problems(options);
        assert_eq!(problems.len(), 1);
        assert!(
            problems[0].starts_with("--ingest 0.0.0.0:8898"),
            "{problems:?}"
        );
        assert!(problems[0].contains("--kubernetes nor --token-file"));
    }

    #[test]
    fn off_loopback_kubernetes_is_enough_but_not_beside_a_token() {
        let mut options = Options::new(Keep::Memory);
        options.listen = SocketAddr::from(([0, 0, 0, 0], 8899));
        options.kubernetes = true;
        assert!(Config::check(options.clone()).unwrap().kubernetes);
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"0123456789abcdef\n").unwrap();
        options.token_file = Some(file.path().to_owned());
        assert!(problems(options)[0].starts_with("--kubernetes and --token-file"));
    }

    #[test]
    fn tokens_of_kubernetes_do_not_come_in_the_clear_from_elsewhere_unless_it_is_said() {
        let mut options = Options::new(Keep::Memory);
        options.ingest = SocketAddr::from(([0, 0, 0, 0], 8898));
        options.kubernetes = true;
        let told = problems(options.clone());
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(
            told[0].contains("--ingest-tls-cert") && told[0].contains("--allow-plaintext-ingest")
        );
        options.allow_plaintext_ingest = true;
        assert!(Config::check(options).is_ok());
    }

    #[test]
    fn all_problems_are_told_together() {
        let mut options = Options::new(Keep::Memory);
        options.listen = SocketAddr::from(([0, 0, 0, 0], 8899));
        options.retain_bytes = Some(1);
        options.retain_age = Some(Duration::ZERO);
        options.allowed_hosts = vec!["http://hub".to_owned()];
        options.reflection = vec!["orders".to_owned()];
        assert_eq!(problems(options).len(), 5);
    }

    #[test]
    fn a_token_that_can_be_guessed_is_refused() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"short\n").unwrap();
        let mut options = Options::new(Keep::Memory);
        options.token_file = Some(file.path().to_owned());
        assert!(problems(options)[0].contains("5 bytes"));
    }

    #[test]
    fn the_token_is_not_in_the_printed_configuration() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"0123456789abcdef\n").unwrap();
        let mut options = Options::new(Keep::Memory);
        options.token_file = Some(file.path().to_owned());
        let config = Config::check(options).unwrap();
        assert!(!format!("{config:?}").contains("0123456789abcdef"));
    }
}
