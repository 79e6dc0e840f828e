//! What a sidecar did about the TLS of a connection, and why.

use std::fmt;
use std::str::FromStr;

use super::{Call, Detail, Protocol, TlsHello, UnknownWord};

/// What is known of the TLS that a call travelled in, beside what its ClientHello says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secure {
    /// Whether the sidecar looked inside.
    pub handling: TlsHandling,
    /// Why.
    pub reason: TlsReason,
    /// What the client asked for and offered; of an intercepted connection only here. `random` is that of
    /// the hello that the server got: the sidecar's own where it intercepted.
    pub hello: TlsHello,
    /// Application protocol that the server chose (RFC 7301), where the sidecar asked.
    pub alpn: Option<String>,
    /// Version of TLS between sidecar and server, where the sidecar spoke it.
    pub version: Option<u16>,
    /// The server's certificate, where the sidecar checked it.
    pub certificate: Option<Certificate>,
}

/// What a certificate says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Certificate {
    /// Whose it is, such as `CN=api.example.com`; at most [`Certificate::SUBJECT_BYTES`].
    pub subject: String,
    /// Until when it is good: seconds since the Unix epoch.
    pub expires_s: i64,
}

impl Certificate {
    /// Longest subject that is kept; what is longer is cut.
    pub const SUBJECT_BYTES: usize = 256;
}

impl Call {
    /// Whether the sidecar looked inside the TLS of the connection, and why it did or did not.
    ///
    /// Sidecars that cannot intercept say nothing of it, as those do that were not asked to.
    pub fn tls_handling(&self) -> (TlsHandling, TlsReason) {
        match (&self.secure, self.protocol) {
            (Some(secure), _) => (secure.handling, secure.reason),
            (None, Protocol::Tls) => (TlsHandling::Passthrough, TlsReason::NotAsked),
            (None, _) => (TlsHandling::Plaintext, TlsReason::NoTls),
        }
    }

    /// What the client's hello said, where there was one that could be read.
    pub fn tls_hello(&self) -> Option<&TlsHello> {
        match (&self.secure, &self.detail) {
            (_, Detail::Tls(hello)) => Some(hello),
            (Some(secure), _) => Some(&secure.hello),
            (None, _) => None,
        }
    }
}

words! {
    /// What a sidecar did about the TLS of a connection.
    TlsHandling {
        /// There was none.
        Plaintext = 0 "plaintext",
        /// It was passed through: nothing is known of what was inside.
        Passthrough = 1 "passthrough",
        /// It was ended in the sidecar and begun anew towards the server: what was inside is recorded.
        Intercepted = 2 "intercepted",
    }
}

words! {
    /// Why a sidecar did that.
    TlsReason {
        /// The connection was none of TLS.
        NoTls = 0 "no_tls",
        /// The name is one of those to intercept.
        Asked = 1 "asked",
        /// The name is none of those to intercept, or interception is off.
        NotAsked = 2 "not_asked",
        /// The ClientHello names no server (RFC 6066 section 3).
        NoName = 3 "no_sni",
        /// The ClientHello is encrypted, or looks as if it were (RFC 9849).
        EncryptedHello = 4 "encrypted_hello",
        /// The ClientHello makes no sense to the sidecar, or is longer than it reads.
        UnreadableHello = 5 "unreadable_hello",
        /// An application protocol that the sidecar does not know.
        Alpn = 6 "alpn",
        /// A version below TLS 1.2.
        Version = 7 "version",
        /// The client offers nothing that the sidecar can agree to.
        Unsupported = 8 "client_unsupported",
        /// The server asked for a certificate of the client's.
        ClientCertificate = 9 "client_certificate",
        /// The server's certificate has expired, or is not good yet.
        ServerExpired = 10 "server_certificate_expired",
        /// The server's certificate is for other names.
        ServerName = 11 "server_certificate_name",
        /// The server's certificate is from nobody whom the sidecar trusts, or not good in another way.
        ServerUntrusted = 12 "server_certificate_untrusted",
        /// The handshake with the server failed in another way.
        ServerHandshake = 13 "server_handshake",
        /// This client did not accept the certificate that the sidecar showed it.
        Refused = 14 "refused_by_client",
        /// Clients did so before, for the same name, or left without a word.
        RefusedBefore = 15 "refused_before",
        /// The sidecar's own authority is too old.
        Authority = 16 "authority_expired",
        /// Another client was still finding out whether the sidecar's certificate for this name is accepted.
        OnTrial = 17 "on_trial",
        /// It began like a ClientHello, which did not go on in time, was cut short by a close, or the server spoke first.
        UnfinishedHello = 18 "unfinished_hello",
        /// A reason that only newer sidecars know.
        Other = 254 "other",
    }
}
