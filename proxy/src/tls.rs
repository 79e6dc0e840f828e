//! TLS that is looked into: which connections, under which certificates, and what passes inside.
//!
//! The handshake with the server comes first, under the name and protocols that the client asked for; the client
//! is then shown a certificate for that name by an authority that only this process has. Whatever speaks against
//! it, as long as the client has seen nothing, makes the connection one that is passed through. What passes
//! between the two ends is [`crate::link::Link`]'s, so that every engine carries it.
//!
//! Only what the application's own clients open is looked into: for the other direction the server's key would
//! be needed.

mod authority;
mod bundle;
mod certificate;
mod decision;
mod first_words;
mod folder;
pub(crate) mod hello;
mod intercept;
mod keystore;
mod memory;
mod name_hash;
mod names;
mod roots;
mod session;
mod trial;
mod trust;
mod upstream;

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};

use authority::Authority;
pub use authority::AuthorityError;
pub use bundle::{Bundle, BundleError, Reader, VARIABLES, Variable};
pub use folder::FolderError;
pub(crate) use intercept::{Begun, Inside, Opening, Outside};
use memory::Memory;
pub use names::{Names, NamesError};
use roots::Roots;
pub use roots::RootsError;
pub(crate) use session::Session;
use tokio::sync::Notify;
use trust::Trust;
use upstream::Upstream;

/// What is to be looked into, and what that takes.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Server names to look into.
    pub names: Names,
    /// File with authorities, in PEM, that servers may be certified by beside those that the system knows.
    pub upstream_ca: Option<PathBuf>,
    /// Whether to do without that file where it cannot be used.
    pub upstream_ca_optional: bool,
    /// Files with authorities, in PEM, that some of the application's clients trust already: servers may be certified
    /// by these too, and no other client is told of them. What cannot be used is left out.
    pub clients_ca: Vec<PathBuf>,
    /// Directory that the certificates for the application's clients are written to.
    pub ca_dir: Option<PathBuf>,
}

/// Why TLS cannot be looked into.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// There is nobody to trust.
    #[error(transparent)]
    Roots(#[from] RootsError),
    /// No authority was made.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The application would not learn of it.
    #[error(transparent)]
    Bundle(#[from] BundleError),
}

/// Looks into TLS: what the connections of a sidecar have in common.
pub(crate) struct Interception {
    names: Names,
    authority: Authority,
    upstream: Upstream,
    provider: Arc<CryptoProvider>,
    memory: RefCell<Memory>,
    trust: RefCell<Trust>,
    trial_over: Notify,
}

impl Interception {
    /// Makes an authority, whose key is nowhere but in this value, and writes what the application's clients
    /// need in order to trust it.
    pub(crate) fn new(settings: &Settings) -> Result<(Self, Option<Bundle>), SetupError> {
        let provider = Arc::new(ring::default_provider());
        let roots = Roots::load(
            settings.upstream_ca.as_deref(),
            settings.upstream_ca_optional,
        )?;
        let authority = Authority::new()?;
        let write = |directory| Bundle::write(directory, &authority, roots.all());
        let bundle = settings.ca_dir.as_deref().map(write).transpose()?;
        let interception = Self {
            names: settings.names.clone(),
            upstream: Upstream::new(
                &roots.and_those_in(&settings.clients_ca),
                Arc::clone(&provider),
            )?,
            authority,
            provider,
            memory: RefCell::default(),
            trust: RefCell::default(),
            trial_over: Notify::new(),
        };
        Ok((interception, bundle))
    }
}
