//! The beginning of a connection that may be looked into, up to the point where it is or is not.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use remora_store::call::{CallError, Certificate, Secure, Side, TlsHandling, TlsHello, TlsReason};
use rustls::server::{Acceptor, NoServerSessionStorage};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{AlertDescription, Error, ServerConfig, ServerConnection};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::Interception;
use super::certificate;
use super::decision::{is_known, wanted};
use super::first_words::{Heard, listen};
use super::session::{Failure, Session};
use super::trial::{Trial, Unmet};
use super::trust::Word;
use super::upstream;
use crate::link::Link;
use crate::splice::Scratch;

/// How long a server may take to come to terms: what the client is told waits for it meanwhile, and passing the
/// connection through is still open.
const REACH_FOR: Duration = Duration::from_secs(5);

/// A connection both of whose ends stand, of which nothing was passed on.
pub(crate) struct Begun<'a> {
    pub(crate) client: &'a TcpStream,
    pub(crate) server: &'a TcpStream,
    /// Where it goes, as the client addressed it.
    pub(crate) dst: SocketAddr,
}

/// What became of it.
pub(crate) enum Opening<'a> {
    /// TLS stands on both sides: what is read and written from here on is what is inside.
    Inside(Box<Inside<'a>>),
    /// Everything is passed on as it comes, and first what was read already.
    Outside(Outside),
    /// The client was shown a certificate, and did not go on.
    Lost(Arc<Secure>, CallError),
    /// This side broke the connection.
    Broken(Side),
}

/// A connection that is looked into.
pub(crate) struct Inside<'a> {
    pub(crate) near: Session<'a>,
    pub(crate) far: Session<'a>,
    pub(crate) secure: Arc<Secure>,
    /// What its client finds out for others, by saying something.
    pub(crate) trial: Option<Trial<'a>>,
}

/// A connection that is passed through.
pub(crate) struct Outside {
    /// What was read from the client.
    pub(crate) ahead: Bytes,
    /// The client's close was read behind it.
    pub(crate) at_end: bool,
    /// Why, where it is TLS and there was a choice.
    pub(crate) secure: Option<Arc<Secure>>,
    /// The connection to the server was used for a handshake: another one is needed.
    pub(crate) anew: bool,
}

/// The server's end.
struct Server<'a> {
    session: Session<'a>,
    /// What the client is to be shown.
    leaf: Arc<CertifiedKey>,
    alpn: Option<Vec<u8>>,
    version: Option<u16>,
    certificate: Certificate,
}

/// Whom the client asked for, and what it finds out.
struct Shown<'a, 'h> {
    dst: SocketAddr,
    name: &'h str,
    said: &'h TlsHello,
    trial: Option<Trial<'a>>,
}

/// Why a server's end does not stand.
enum Unreached {
    /// The connection is passed through.
    Pass(TlsReason),
    /// This side broke the connection.
    Broken(Side),
}

impl Interception {
    /// Reads the client's first words, and comes to terms with both sides where they ask for it.
    pub(crate) async fn open<'a>(&'a self, begun: Begun<'a>, scratch: &Scratch) -> Opening<'a> {
        let (client, server, dst) = (begun.client, begun.server, begun.dst);
        let words = match listen(client, server, scratch).await {
            Ok(words) => words,
            Err(by) => return Opening::Broken(by),
        };
        let outside = |secure: Option<Secure>, anew| {
            Opening::Outside(Outside {
                ahead: words.said.clone(),
                at_end: words.at_end,
                secure: secure.map(Arc::new),
                anew,
            })
        };
        let hello = match &words.heard {
            Heard::Other => return outside(None, false),
            Heard::Unreadable => return outside(Some(unheard(TlsReason::UnreadableHello)), false),
            Heard::Unfinished => return outside(Some(unheard(TlsReason::UnfinishedHello)), false),
            Heard::Hello(hello) => hello,
        };
        let said = &hello.said;
        let name = match wanted(&self.names, hello).and_then(|name| self.recall(dst, name)) {
            Ok(name) => name,
            // What nobody asked for needs no reason.
            Err(TlsReason::NotAsked) => return outside(None, false),
            Err(reason) => return outside(Some(passed(said, reason)), false),
        };
        let trial = match self.admit(client, name).await {
            Ok(trial) => trial,
            Err(Unmet::Broken) => return Opening::Broken(Side::Client),
            Err(Unmet::Pass(reason)) => return outside(Some(passed(said, reason)), false),
        };
        let reached = match self.reach(client, server, dst, name, said).await {
            Ok(reached) => reached,
            Err(Unreached::Broken(by)) => return Opening::Broken(by),
            Err(Unreached::Pass(reason)) => return outside(Some(passed(said, reason)), true),
        };
        let mut ahead = words.said.clone();
        let Some(tls) = self.meet(&mut ahead, &reached) else {
            self.note(dst, name, TlsReason::Unsupported);
            // It is not to take it for an attack.
            let _ = reached.session.finish_sending(true);
            return outside(Some(passed(said, TlsReason::Unsupported)), true);
        };
        let near = Session::new(client, tls, ahead);
        let shown = Shown {
            dst,
            name,
            said,
            trial,
        };
        self.receive(near, reached, shown).await
    }

    /// Whether nothing went wrong lately with what the client asks for.
    fn recall<'n>(&self, dst: SocketAddr, name: &'n str) -> Result<&'n str, TlsReason> {
        if !self.authority.is_good(SystemTime::now()) {
            return Err(TlsReason::Authority);
        }
        let reason = self.memory.borrow().reason(dst, name, Instant::now());
        reason.map_or(Ok(name), Err)
    }

    /// Has connections to a server passed through for a while.
    fn note(&self, dst: SocketAddr, name: &str, reason: TlsReason) {
        self.memory
            .borrow_mut()
            .note(dst, name, reason, Instant::now());
    }

    /// Comes to terms with the server, as the client would.
    async fn reach<'a>(
        &self,
        client: &TcpStream,
        server: &'a TcpStream,
        dst: SocketAddr,
        name: &str,
        said: &TlsHello,
    ) -> Result<Server<'a>, Unreached> {
        let pass = |reason| {
            self.note(dst, name, reason);
            Unreached::Pass(reason)
        };
        let (tls, asked) = self
            .upstream
            .connection(name, said)
            .map_err(|_| pass(TlsReason::Unsupported))?;
        let session = Session::new(server, tls, Bytes::new());
        let shaken = tokio::select! {
            biased;
            () = Link::Plain(client).reset_by_peer() => {
                return Err(Unreached::Broken(Side::Client));
            }
            shaken = timeout(REACH_FOR, poll_fn(|cx| session.poll_handshake(cx))) => {
                shaken.unwrap_or(Err(Failure::Gone))
            }
        };
        if asked.did() {
            return Err(pass(TlsReason::ClientCertificate));
        }
        match shaken {
            Ok(()) => {}
            // It may be back soon, and the client sees for itself.
            Err(Failure::Gone) => {
                let now = Instant::now();
                self.memory.borrow_mut().suspect(dst, name, now);
                return Err(Unreached::Pass(TlsReason::ServerHandshake));
            }
            Err(Failure::Tls(error)) => return Err(pass(upstream::reason(&error))),
        }
        let (alpn, version, original) = session.inspect(|tls| {
            let alpn = tls.alpn_protocol().map(<[u8]>::to_vec);
            let version = tls.protocol_version().map(u16::from);
            let chain = tls.peer_certificates().unwrap_or_default();
            (alpn, version, chain.first().cloned())
        });
        let mirrored = |alpn: &Vec<u8>| std::str::from_utf8(alpn).is_ok_and(is_known);
        if !alpn.as_ref().is_none_or(mirrored) {
            return Err(pass(TlsReason::Alpn));
        }
        let original = original.ok_or_else(|| pass(TlsReason::ServerUntrusted))?;
        let facts = certificate::read(&original).unwrap_or_default();
        let leaf = self
            .authority
            .leaf(name, &original, &facts, SystemTime::now())
            .map_err(|_| pass(TlsReason::Unsupported))?;
        Ok(Server {
            session,
            leaf,
            alpn,
            version,
            certificate: facts.certificate,
        })
    }

    /// Answers the client's hello, of which nobody has seen the answer yet; `None` where there is no common ground.
    fn meet(&self, ahead: &mut Bytes, reached: &Server<'_>) -> Option<ServerConnection> {
        let mut acceptor = Acceptor::default();
        let mut rest = &ahead[..];
        let accepted = loop {
            match acceptor.accept() {
                Ok(Some(accepted)) => break accepted,
                Ok(None) if !rest.is_empty() => acceptor.read_tls(&mut rest).ok()?,
                Ok(None) | Err(_) => return None,
            };
        };
        let unread = rest.len();
        let resolver = SingleCertAndKey::from(Arc::clone(&reached.leaf));
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .ok()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(resolver));
        // A session that is resumed would have been checked by nobody.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.alpn_protocols.extend(reached.alpn.clone());
        let tls = accepted.into_connection(Arc::new(config)).ok()?;
        *ahead = ahead.slice(ahead.len() - unread..);
        Some(tls)
    }

    /// Comes to terms with the client.
    async fn receive<'a>(
        &self,
        near: Session<'a>,
        reached: Server<'a>,
        shown: Shown<'a, '_>,
    ) -> Opening<'a> {
        let far = reached.session;
        let secure = |reason| {
            Arc::new(Secure {
                handling: TlsHandling::Intercepted,
                reason,
                hello: TlsHello {
                    random: far.random(),
                    ..shown.said.clone()
                },
                alpn: reached.alpn.as_deref().map(text),
                version: reached.version,
                certificate: Some(reached.certificate.clone()),
            })
        };
        let Err(failure) = poll_fn(|cx| near.poll_handshake(cx)).await else {
            let secure = secure(TlsReason::Asked);
            let trial = shown.trial;
            return Opening::Inside(Box::new(Inside {
                near,
                far,
                secure,
                trial,
            }));
        };
        let (reason, error) = match failure {
            Failure::Tls(Error::AlertReceived(alert)) if is_refusal(alert) => {
                self.hear(shown.name, Word::Refused);
                (TlsReason::Refused, CallError::CertificateRefused)
            }
            Failure::Tls(_) => {
                self.note(shown.dst, shown.name, TlsReason::Unsupported);
                (TlsReason::Unsupported, CallError::TlsFailed)
            }
            Failure::Gone => {
                // It may have had enough of waiting.
                if let Some(trial) = shown.trial {
                    trial.left();
                }
                (TlsReason::Asked, CallError::TlsFailed)
            }
        };
        let _ = far.finish_sending(true);
        Opening::Lost(secure(reason), error)
    }
}

/// Whether a client says by this alert that it does not trust the certificate (RFC 8446 section 6.2).
fn is_refusal(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
    )
}

/// What is said of a connection that is passed through.
fn passed(said: &TlsHello, reason: TlsReason) -> Secure {
    Secure {
        handling: TlsHandling::Passthrough,
        reason,
        hello: said.clone(),
        alpn: None,
        version: None,
        certificate: None,
    }
}

/// The same of one whose hello is not known.
fn unheard(reason: TlsReason) -> Secure {
    passed(&TlsHello::default(), reason)
}

fn text(protocol: &[u8]) -> String {
    String::from_utf8_lossy(protocol).into_owned()
}
