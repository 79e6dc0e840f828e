//! One keep-alive connection to the hub's ingest port.
//!
//! Owns how bytes get there and back within time and size limits; what they mean is the callers'
//! business.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Frame, SizeHint};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{AUTHORIZATION, HOST, HeaderValue, RETRY_AFTER};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::tls::Tls;

/// How long a connection may take to come about, with its handshake where there is one.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Largest answer that is read, in bytes.
const ANSWER_LIMIT: usize = 64 * 1024;

/// Where the hub is, and how it knows us.
#[derive(Debug, Clone)]
pub(crate) struct Hub {
    host: String,
    port: u16,
    authority: HeaderValue,
    prefix: String,
    token_file: Option<PathBuf>,
    /// With https.
    tls: Option<Tls>,
}

impl Hub {
    /// The hub at `uri`; with https its certificate is checked against the authorities in `ca_file`.
    ///
    /// # Errors
    /// If the address has no host, or none that a certificate can be for, or if an address has https
    /// and no file of authorities comes with it.
    pub(crate) fn new(
        uri: &Uri,
        ca_file: Option<PathBuf>,
        token_file: Option<PathBuf>,
    ) -> io::Result<Self> {
        let wrong = |why: String| {
            let message = format!("ship to {uri}: {why}");
            io::Error::new(io::ErrorKind::InvalidInput, message)
        };
        let authority = uri
            .authority()
            .ok_or_else(|| wrong("the address names no host".to_owned()))?;
        let host = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']');
        let (tls, default_port) = match (uri.scheme_str(), ca_file) {
            (Some("http"), _) => (None, 80),
            (Some("https"), Some(file)) => {
                let tls = Tls::new(host, file).map_err(|error| wrong(error.to_string()))?;
                (Some(tls), 443)
            }
            (Some("https"), None) => {
                return Err(wrong("https needs a file of authorities".to_owned()));
            }
            _ => {
                return Err(wrong(
                    "the address must begin with http:// or https://".to_owned(),
                ));
            }
        };
        let port = authority.port_u16().unwrap_or(default_port);
        // Credentials in the address are nobody's host name.
        let name = authority.as_str().rsplit('@').next().unwrap_or_default();
        Ok(Self {
            host: host.to_owned(),
            port,
            authority: HeaderValue::from_str(name)
                .map_err(|_| wrong("the host's name cannot be sent".to_owned()))?,
            prefix: uri.path().trim_end_matches('/').to_owned(),
            token_file,
            tls,
        })
    }

    /// The token as it is now: Kubernetes writes a new one before the old one expires.
    fn token(&self) -> Result<Option<HeaderValue>, Failure> {
        let Some(file) = &self.token_file else {
            return Ok(None);
        };
        let failed = |source| Failure::Token {
            file: file.clone(),
            source,
        };
        let token = std::fs::read_to_string(file).map_err(failed)?;
        let mut value =
            HeaderValue::from_str(&format!("Bearer {}", token.trim())).map_err(|_| {
                failed(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "it holds characters that no token has",
                ))
            })?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

/// What the hub answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("read token file {file}")]
    Token { file: PathBuf, source: io::Error },
    #[error("read {file}, the authorities that the hub's certificate is checked against")]
    Authorities { file: PathBuf, source: io::Error },
    #[error("connect to hub {hub}")]
    Connect { hub: String, source: io::Error },
    #[error("trust hub {hub}")]
    Handshake { hub: String, source: io::Error },
    #[error("hub {hub} did not answer in time")]
    Timeout { hub: String },
    #[error("exchange with hub {hub}")]
    Exchange {
        hub: String,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Failure {
    /// Whether the hub may have acted on the request.
    pub(crate) fn reached_hub(&self) -> bool {
        matches!(self, Failure::Timeout { .. } | Failure::Exchange { .. })
    }

    /// One word for the metrics.
    pub(crate) fn outcome(&self) -> &'static str {
        match self {
            Failure::Token { .. } => "token_unreadable",
            Failure::Authorities { .. } => "authorities_unreadable",
            Failure::Handshake { .. } => "handshake_failed",
            Failure::Connect { .. } => "connect_failed",
            Failure::Timeout { .. } => "timeout",
            Failure::Exchange { .. } => "broken",
        }
    }
}

/// A connection that is made when it is needed, and kept.
#[derive(Debug)]
pub(crate) struct Client {
    hub: Hub,
    connection: Option<SendRequest<Payload>>,
}

impl Client {
    pub(crate) fn new(hub: Hub) -> Self {
        Self {
            hub,
            connection: None,
        }
    }

    /// Sends a request and waits for the answer for no longer than `timeout`.
    ///
    /// `path` begins with a slash. A kept connection that the hub has closed meanwhile is made anew
    /// once: whatever is sent here may be sent twice.
    pub(crate) async fn exchange(
        &mut self,
        request: impl Fn() -> Request<Payload>,
        path: &str,
        timeout: Duration,
    ) -> Result<Answer, Failure> {
        let token = self.hub.token()?;
        loop {
            let kept = match self.connection.take() {
                // Fails at once if the hub has closed it meanwhile.
                Some(mut kept) => kept.ready().await.is_ok().then_some(kept),
                None => None,
            };
            let reused = kept.is_some();
            let mut connection = match kept {
                Some(kept) => kept,
                None => self.connect().await?,
            };
            let request = self.addressed(request(), path, token.clone());
            let answer = tokio::time::timeout(timeout, answer(&mut connection, request)).await;
            match answer {
                Ok(Ok(answer)) => {
                    self.connection = Some(connection);
                    return Ok(answer);
                }
                Ok(Err(_)) if reused => {}
                Ok(Err(source)) => {
                    return Err(Failure::Exchange {
                        hub: self.name(),
                        source,
                    });
                }
                Err(_) => return Err(Failure::Timeout { hub: self.name() }),
            }
        }
    }

    fn addressed(
        &self,
        mut request: Request<Payload>,
        path: &str,
        token: Option<HeaderValue>,
    ) -> Request<Payload> {
        if let Ok(uri) = format!("{}{path}", self.hub.prefix).parse() {
            *request.uri_mut() = uri;
        }
        let headers = request.headers_mut();
        headers.insert(HOST, self.hub.authority.clone());
        if let Some(token) = token {
            headers.insert(AUTHORIZATION, token);
        }
        request
    }

    async fn connect(&self) -> Result<SendRequest<Payload>, Failure> {
        let hub = &self.hub;
        let failed = |source| Failure::Connect {
            hub: self.name(),
            source,
        };
        let deadline = Instant::now() + CONNECT_TIMEOUT;
        // Before anything is sent: without authorities there is nothing to say to the hub.
        let tls = match &hub.tls {
            None => None,
            Some(tls) => {
                let config = tls.config().map_err(|source| Failure::Authorities {
                    file: tls.file().to_owned(),
                    source,
                })?;
                Some((tls, config))
            }
        };
        let connecting = TcpStream::connect((hub.host.as_str(), hub.port));
        let stream = timeout_at(deadline, connecting)
            .await
            .map_err(|_| failed(io::ErrorKind::TimedOut.into()))?
            .map_err(failed)?;
        // Without it, the end of a request waits for the acknowledgement of its beginning.
        let _ = stream.set_nodelay(true);
        let Some((tls, config)) = tls else {
            return speak(stream).await.map_err(failed);
        };
        let distrusted = |source| Failure::Handshake {
            hub: self.name(),
            source,
        };
        let stream = timeout_at(deadline, tls.connect(config, stream))
            .await
            .map_err(|_| distrusted(io::ErrorKind::TimedOut.into()))?
            .map_err(distrusted)?;
        speak(stream).await.map_err(failed)
    }

    fn name(&self) -> String {
        format!("{}:{}", self.hub.host, self.hub.port)
    }
}

/// Begins to speak HTTP over `stream`, on a task of its own.
async fn speak<S>(stream: S) -> io::Result<SendRequest<Payload>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "connection to hub ended");
        }
    });
    Ok(sender)
}

async fn answer(
    connection: &mut SendRequest<Payload>,
    request: Request<Payload>,
) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
    let response = connection.send_request(request).await?;
    let status = response.status();
    let retry_after = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.trim().parse().ok())
        .map(Duration::from_secs);
    let body = Limited::new(response.into_body(), ANSWER_LIMIT)
        .collect()
        .await?;
    Ok(Answer {
        status,
        retry_after,
        body: body.to_bytes(),
    })
}

/// A body in pieces that are sent as they lie, without a copy.
#[derive(Debug, Default)]
pub(crate) struct Payload {
    pieces: VecDeque<Bytes>,
    left: u64,
}

impl Payload {
    pub(crate) fn push(&mut self, piece: Bytes) {
        self.left += piece.len() as u64;
        self.pieces.push_back(piece);
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.pieces.pop_front();
        if let Some(piece) = &piece {
            self.left -= piece.len() as u64;
        }
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub(uri: &str) -> io::Result<Hub> {
        Hub::new(&uri.parse().unwrap(), None, None)
    }

    #[test]
    fn an_address_gives_host_and_port() {
        let hub = hub("http://hub.remora:8898/base/").unwrap();
        assert_eq!((hub.host.as_str(), hub.port), ("hub.remora", 8898));
        assert_eq!(hub.authority, "hub.remora:8898");
        assert_eq!(hub.prefix, "/base");
    }

    #[test]
    fn an_address_of_version_6_loses_its_brackets_only_for_the_socket() {
        let hub = hub("http://[::1]:8898").unwrap();
        assert_eq!((hub.host.as_str(), hub.port), ("::1", 8898));
        assert_eq!(hub.authority, "[::1]:8898");
    }

    #[test]
    fn an_address_needs_a_scheme_and_https_needs_authorities() {
        assert!(hub("hub:8898").is_err());
        assert!(hub("/path").is_err());
        assert!(hub("https://hub:8898").is_err());

        let uri = "https://hub.remora.svc".parse().unwrap();
        let hub = Hub::new(&uri, Some("/etc/ca.crt".into()), None).unwrap();
        assert_eq!((hub.host.as_str(), hub.port), ("hub.remora.svc", 443));
    }
}
