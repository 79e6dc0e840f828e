//! Flags of whatever runs a sidecar: what it listens on, what it keeps of calls, and where that goes.

use std::path::PathBuf;

use clap::Args;
use remora_proxy::config::Options;

#[derive(Debug, Clone, Args)]
pub(crate) struct Recording {
    /// Listen on LISTEN and pass on to UPSTREAM: `inbound:127.0.0.1:8080=127.0.0.1:3000`, or on the way to one
    /// server, such as a database, `outbound:127.0.0.1:15432=127.0.0.1:5432` (repeat)
    #[arg(
        long = "map",
        env = "REMORA_MAP",
        value_delimiter = ',',
        value_name = "inbound|outbound:LISTEN=UPSTREAM"
    )]
    pub(crate) maps: Vec<String>,
    /// Where records go: the hub's ingest address
    #[arg(
        long,
        env = "REMORA_INGEST",
        default_value = "http://127.0.0.1:8898",
        value_name = "URL"
    )]
    pub(crate) ingest: String,
    /// Authorities (PEM) that the hub's certificate is checked against, with an https address; read
    /// again whenever a connection is made
    #[arg(long, env = "REMORA_INGEST_CA", value_name = "FILE")]
    pub(crate) ingest_ca: Option<PathBuf>,
    /// File with the token for the hub; read again whenever the hub refuses it
    #[arg(long, env = "REMORA_TOKEN_FILE", value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Largest part of a body that is kept, each way
    #[arg(
        long,
        env = "REMORA_BODY_LIMIT",
        default_value = "64KiB",
        value_name = "SIZE"
    )]
    pub(crate) body_limit: String,
    /// Memory for everything captured; beyond it records are dropped and counted, never traffic
    #[arg(
        long,
        env = "REMORA_CAPTURE_BUDGET",
        default_value = "32MiB",
        value_name = "SIZE"
    )]
    pub(crate) capture_budget: String,
    /// `splice` passes bytes on as they come, `terminate` reads HTTP and sends it on by messages, `auto`
    /// splices wherever nothing has to act
    #[arg(
        long,
        env = "REMORA_ENGINE",
        default_value = "auto",
        value_name = "auto|splice|terminate"
    )]
    pub(crate) engine: String,
    /// Carries out the faults that people switch on for the workload
    #[arg(long, env = "REMORA_ALLOW_FAULTS")]
    pub(crate) allow_faults: bool,
    /// Authorities, in PEM, that servers whose TLS is looked into may be certified by beside those that the
    /// system knows
    #[arg(long, env = "REMORA_UPSTREAM_CA", value_name = "FILE")]
    pub(crate) upstream_ca: Option<PathBuf>,
    /// Start without that file where it is missing or holds no authority
    #[arg(long, env = "REMORA_UPSTREAM_CA_OPTIONAL")]
    pub(crate) upstream_ca_optional: bool,
    /// `off` ships secrets as they are
    #[arg(
        long,
        env = "REMORA_REDACT",
        default_value = "on",
        value_name = "on|off"
    )]
    pub(crate) redact: String,
    /// Further header, query parameter or JSON field whose value is secret (repeat)
    #[arg(
        long = "redact-name",
        env = "REMORA_REDACT_NAMES",
        value_delimiter = ',',
        value_name = "NAME"
    )]
    pub(crate) redact_names: Vec<String>,
}

impl Recording {
    /// The same as the sidecar takes it, with the usual for the rest.
    pub(crate) fn options(self) -> Options {
        Options {
            maps: self.maps,
            ingest: self.ingest,
            ingest_ca: self.ingest_ca,
            token_file: self.token_file,
            body_limit: self.body_limit,
            capture_budget: self.capture_budget,
            engine: self.engine,
            allow_faults: self.allow_faults,
            upstream_ca: self.upstream_ca,
            upstream_ca_optional: self.upstream_ca_optional,
            redact: self.redact,
            redact_names: self.redact_names,
            ..Options::default()
        }
    }
}
