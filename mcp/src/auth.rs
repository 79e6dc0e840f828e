//! Who may ask: the `Host`, the `Origin` and the token of every request but those of probes.
//!
//! The checks of `Host` and `Origin` keep a web page that somebody has open from asking the hub on
//! their own machine (DNS rebinding). What a caller may see travels on as a [`Caller`] in the
//! request's extensions; no question is answered without one.

mod audit;

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use remora_store::store::Scope;

use crate::app::App;
use crate::cluster::identity::Identity;
use crate::cluster::{self, Cluster};
use crate::error::ApiError;
use crate::params::quoted;
pub use audit::Purpose;

/// Who asks, as far as the answer depends on it.
#[derive(Debug, Clone)]
pub struct Caller {
    /// What they may see.
    pub scope: Scope,
    /// Their name in the cluster; `None` where callers are not told apart.
    pub user: Option<Arc<str>>,
    /// Whom to ask what more they may do.
    asked: Option<(Arc<Cluster>, Arc<Identity>)>,
}

impl Caller {
    /// Somebody who is not told apart from others, and may do everything.
    pub fn anybody() -> Self {
        Self {
            scope: Scope::ALL,
            user: None,
            asked: None,
        }
    }

    /// Whether they may have traffic of a namespace disturbed.
    ///
    /// # Errors
    ///
    /// They may not, or the API server does not answer.
    pub async fn check_may_make_faults(&self, namespace: &str) -> Result<(), ApiError> {
        match &self.asked {
            None => Ok(()),
            Some((cluster, who)) => cluster.check_may_make_faults(who, namespace).await,
        }
    }
}

/// What callers must show to be let in.
#[derive(Clone)]
pub struct Token(Arc<str>);

impl Token {
    /// A token; its text is not checked here.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// Compares in a time that depends on the length alone, so that a token cannot be found out
    /// byte by byte.
    fn is(&self, shown: &str) -> bool {
        let (ours, shown) = (self.0.as_bytes(), shown.as_bytes());
        if ours.len() != shown.len() {
            return false;
        }
        let difference = ours.iter().zip(shown).fold(0, |sum, (a, b)| sum | (a ^ b));
        std::hint::black_box(difference) == 0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(hidden)")
    }
}

/// The names by which the hub may be addressed.
///
/// An IP address is always one of them: an attack by DNS rebinding needs a name.
#[derive(Debug, Clone)]
pub struct AllowedHosts(Arc<[String]>);

impl AllowedHosts {
    /// `localhost`, and `more`.
    ///
    /// # Errors
    ///
    /// One of `more` is not a plain host name.
    pub fn new(more: &[String]) -> Result<Self, String> {
        let mut names = vec!["localhost".to_owned()];
        for name in more {
            let plain = !name.is_empty()
                && name.len() <= 253
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
            if !plain {
                return Err(format!(
                    "{} is not a host name; write it without scheme, port or path",
                    quoted(name)
                ));
            }
            names.push(name.to_ascii_lowercase());
        }
        Ok(Self(names.into()))
    }

    fn allows(&self, host: &str) -> bool {
        let host = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        host.parse::<IpAddr>().is_ok() || self.0.iter().any(|name| name.eq_ignore_ascii_case(host))
    }
}

/// What is checked on one port.
#[derive(Debug, Clone)]
pub struct Gate {
    /// By which names the hub may be addressed.
    pub hosts: AllowedHosts,
    /// What callers must show.
    pub asked: Asked,
}

/// What callers must show to be let in.
#[derive(Debug, Clone)]
pub enum Asked {
    /// Nothing: whoever reaches the port is let in.
    Nothing,
    /// This token, the same for all.
    Token(Token),
    /// A token of their own, which Kubernetes knows.
    Kubernetes(Arc<Cluster>),
}

impl Gate {
    /// Finds out who asks, and what they may see of what `app` has.
    ///
    /// # Errors
    ///
    /// They are not to be answered; the error says why.
    pub async fn admit(
        &self,
        app: &App,
        headers: &HeaderMap,
        uri: &Uri,
    ) -> Result<Caller, ApiError> {
        let who = self.identify(headers, uri).await?;
        let (Asked::Kubernetes(cluster), Some(who)) = (&self.asked, who) else {
            return Ok(Caller::anybody());
        };
        Ok(Caller {
            scope: cluster.scope(&who, namespaces(app)).await?,
            user: Some(who.user.as_str().into()),
            asked: Some((Arc::clone(cluster), who)),
        })
    }

    /// Finds out who asks; `None` where callers are not told apart.
    ///
    /// # Errors
    ///
    /// They are not to be answered; the error says why.
    pub async fn identify(
        &self,
        headers: &HeaderMap,
        uri: &Uri,
    ) -> Result<Option<Arc<Identity>>, ApiError> {
        self.check_host(headers, uri)?;
        self.check_origin(headers)?;
        match &self.asked {
            Asked::Nothing => Ok(None),
            Asked::Token(token) => check_token(token, headers).map(|()| None),
            Asked::Kubernetes(cluster) => {
                let shown = shown_token(headers).map_err(cluster::unauthorized)?;
                cluster.identify(shown).await.map(Some)
            }
        }
    }

    fn check_host(&self, headers: &HeaderMap, uri: &Uri) -> Result<(), ApiError> {
        let mut given = headers.get_all(header::HOST).iter();
        let (host, another) = (given.next(), given.next());
        let text = match (host, another, uri.authority()) {
            (Some(host), None, _) => host.to_str().unwrap_or_default(),
            (None, _, Some(authority)) => authority.as_str(),
            _ => {
                return Err(host_refused(
                    "the request has no Host header, or more than one".to_owned(),
                ));
            }
        };
        match text.parse::<Authority>() {
            Ok(authority) if self.hosts.allows(authority.host()) => Ok(()),
            _ => Err(host_refused(format!(
                "the hub is not addressed as {}",
                quoted(text)
            ))),
        }
    }

    fn check_origin(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let refused = |origin: &str| {
            ApiError::new(
                StatusCode::FORBIDDEN,
                "origin_not_allowed",
                format!("pages of {} may not ask the hub", quoted(origin)),
            )
            .field("Origin")
            .hint("programs that are not browsers send no Origin header")
        };
        for origin in headers.get_all(header::ORIGIN) {
            let origin = origin.to_str().unwrap_or_default();
            let authority = origin
                .strip_prefix("http://")
                .or_else(|| origin.strip_prefix("https://"))
                .and_then(|authority| authority.parse::<Authority>().ok());
            match authority {
                Some(authority) if self.origin_is_ours(&authority, headers) => {}
                _ => return Err(refused(origin)),
            }
        }
        Ok(())
    }

    /// A page of this machine, of the hub itself, or of one of its names.
    fn origin_is_ours(&self, origin: &Authority, headers: &HeaderMap) -> bool {
        let same = headers
            .get(header::HOST)
            .is_some_and(|host| host.as_bytes() == origin.as_str().as_bytes());
        let bare = origin.host().trim_matches(['[', ']']);
        let loopback = bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        let named = bare.parse::<IpAddr>().is_err() && self.hosts.allows(bare);
        same || loopback || named
    }
}

/// Every namespace of which there is something to see.
async fn namespaces(app: &App) -> Result<BTreeSet<String>, ApiError> {
    let recorders = app.store.recorders(&Scope::ALL).await?.into_iter();
    let recorded = recorders.map(|recorder| recorder.origin.namespace);
    let heard = app.control.sidecars().into_iter();
    let watched = app.watches.iter().flat_map(|watches| watches.namespaces());
    Ok(recorded
        .chain(heard.map(|sidecar| sidecar.name.namespace))
        .chain(watched)
        .collect())
}

fn check_token(token: &Token, headers: &HeaderMap) -> Result<(), ApiError> {
    let unauthorized = |message| {
        ApiError::unauthorized(message)
            .hint("send the header `Authorization: Bearer TOKEN` with the token of the hub's --token-file")
    };
    let shown = shown_token(headers).map_err(unauthorized)?;
    if token.is(shown) {
        Ok(())
    } else {
        Err(unauthorized("the token is not the right one"))
    }
}

/// The bearer token of a request; else what is wrong with it.
fn shown_token(headers: &HeaderMap) -> Result<&str, &'static str> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (given.next(), given.next()) else {
        return Err("the hub needs a token, and the request shows none, or more than one");
    };
    match value.to_str().unwrap_or_default().split_once(' ') {
        Some((scheme, shown)) if scheme.eq_ignore_ascii_case("bearer") => Ok(shown.trim()),
        _ => Err("the Authorization header holds no bearer token"),
    }
}

fn host_refused(message: String) -> ApiError {
    ApiError::new(StatusCode::FORBIDDEN, "host_not_allowed", message)
        .field("Host")
        .hint("address it as localhost or by its IP address, or start the hub with --allowed-host NAME")
}

/// The layer that lets nobody through but a [`Caller`], and writes down what those of the cluster asked.
pub async fn admit(
    State((gate, app)): State<(Gate, App)>,
    mut request: Request,
    next: Next,
) -> Response {
    let caller = match gate.admit(&app, request.headers(), request.uri()).await {
        Ok(caller) => caller,
        Err(error) => return error.into_response(),
    };
    let question = audit::Question::of(&caller, &mut request);
    request.extensions_mut().insert(caller);
    // What the token was is nobody's business further in.
    request.headers_mut().remove(header::AUTHORIZATION);
    let response = next.run(request).await;
    question.write(response.status());
    response
}

/// The layer that lets whoever writes through. Where Kubernetes says who they are, that travels on as an
/// [`Identity`] in the request's extensions; what they may write is not decided here.
pub async fn identify(State(gate): State<Gate>, mut request: Request, next: Next) -> Response {
    match gate.identify(request.headers(), request.uri()).await {
        Ok(who) => {
            if let Some(who) = who {
                request.extensions_mut().insert(who);
            }
            request.headers_mut().remove(header::AUTHORIZATION);
            next.run(request).await
        }
        Err(error) => error.into_response(),
    }
}

/// The layer that lets everybody through, with or without a [`Caller`]; but nobody with a wrong token.
pub async fn recognise(
    State((gate, app)): State<(Gate, App)>,
    mut request: Request,
    next: Next,
) -> Response {
    let caller = match gate.admit(&app, request.headers(), request.uri()).await {
        Ok(caller) => Some(caller),
        Err(error) if request.headers().contains_key(header::AUTHORIZATION) => {
            return error.into_response();
        }
        Err(_) => None,
    };
    request.extensions_mut().insert(caller);
    request.headers_mut().remove(header::AUTHORIZATION);
    next.run(request).await
}

#[cfg(test)]
mod tests;
