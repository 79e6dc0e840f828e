//! Flags of `remora hub`.

use std::net::SocketAddr;
use std::path::PathBuf;

use bytesize::ByteSize;
use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Hub {
    /// Address of the API, of MCP and of the health checks
    #[arg(
        long,
        env = "REMORA_LISTEN",
        default_value = "127.0.0.1:8899",
        value_name = "ADDR"
    )]
    pub(crate) listen: SocketAddr,
    /// Address that sidecars ship to
    #[arg(
        long,
        env = "REMORA_INGEST",
        default_value = "127.0.0.1:8898",
        value_name = "ADDR"
    )]
    pub(crate) ingest: SocketAddr,
    /// Certificate (PEM) that sidecars are served under; read again when it changes, waited for while it
    /// is not there
    #[arg(
        long,
        env = "REMORA_INGEST_TLS_CERT",
        value_name = "FILE",
        requires = "ingest_tls_key"
    )]
    pub(crate) ingest_tls_cert: Option<PathBuf>,
    /// Private key (PEM) of that certificate
    #[arg(
        long,
        env = "REMORA_INGEST_TLS_KEY",
        value_name = "FILE",
        requires = "ingest_tls_cert"
    )]
    pub(crate) ingest_tls_key: Option<PathBuf>,
    /// With --kubernetes, serve sidecars of other machines without TLS: their tokens cross the network in
    /// the clear
    #[arg(long, env = "REMORA_ALLOW_PLAINTEXT_INGEST")]
    pub(crate) allow_plaintext_ingest: bool,
    /// Folder for the records; one hub at a time holds it
    #[arg(long, env = "REMORA_DATA", value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Ask Kubernetes whose tokens callers and sidecars send (TokenReview, audience remora-hub); off
    /// loopback this or --token-file is required
    #[arg(long, env = "REMORA_KUBERNETES", conflicts_with = "token_file")]
    pub(crate) kubernetes: bool,
    /// File with the one token that callers and sidecars must send
    #[arg(long, env = "REMORA_TOKEN_FILE", value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Name under which callers may reach the hub besides localhost (repeat)
    #[arg(
        long = "allowed-host",
        env = "REMORA_ALLOWED_HOST",
        value_delimiter = ',',
        value_name = "HOST"
    )]
    pub(crate) allowed_hosts: Vec<String>,
    /// Descriptor set by which gRPC messages are shown with names, as
    /// `protoc --include_imports --descriptor_set_out FILE` writes it (repeat)
    #[arg(
        long,
        env = "REMORA_DESCRIPTORS",
        value_delimiter = ',',
        value_name = "FILE"
    )]
    pub(crate) descriptors: Vec<PathBuf>,
    /// Server of gRPC that is asked for its descriptors by reflection, in the clear; asked again while it
    /// is not there (repeat)
    #[arg(
        long,
        env = "REMORA_REFLECTION",
        value_delimiter = ',',
        value_name = "HOST:PORT"
    )]
    pub(crate) reflection: Vec<String>,
    /// Calls older than this are forgotten
    #[arg(
        long,
        env = "REMORA_RETAIN_AGE",
        default_value = "7d",
        value_name = "DURATION"
    )]
    pub(crate) retain_age: humantime::Duration,
    /// Most bytes kept on disk; the oldest calls go first
    #[arg(
        long,
        env = "REMORA_RETAIN_BYTES",
        default_value = "10GiB",
        value_name = "SIZE"
    )]
    pub(crate) retain_bytes: ByteSize,
}
