//! One line for each question of somebody whom the cluster knows: who asked what and how it ended, never what
//! was looked for or found.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::{Method, StatusCode};
use remora_store::store::Namespaces;

use super::Caller;

/// Longest name that is written down.
const NAME_BYTES: usize = 64;

/// What a question of MCP is for, in the extensions of its request: whoever reads the message says it. Clients before
/// 2026-07-28 name it nowhere else.
#[derive(Debug, Clone, Default)]
pub struct Purpose(Arc<OnceLock<String>>);

impl Purpose {
    /// Says it: the name of a tool or prompt, or else the method. A name that none of ours could have is left out, since
    /// it may hold anything.
    pub fn tell(&self, name: &str) {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'_' || byte == b'/';
        if name.len() <= NAME_BYTES && name.bytes().all(plain) {
            // A request is read once.
            let _ = self.0.set(name.to_owned());
        }
    }
}

/// A question, before it is answered.
pub(super) struct Question {
    user: Option<Arc<str>>,
    method: Method,
    route: Option<MatchedPath>,
    purpose: Purpose,
    /// Whose calls may be seen, and whose bodies, in how many namespaces.
    namespaces: String,
    bodies: String,
    began: Instant,
}

impl Question {
    pub(super) fn of(caller: &Caller, request: &mut Request) -> Self {
        let purpose = Purpose::default();
        request.extensions_mut().insert(purpose.clone());
        Self {
            user: caller.user.clone(),
            method: request.method().clone(),
            route: request.extensions().get::<MatchedPath>().cloned(),
            purpose,
            namespaces: count(caller.scope.calls()),
            bodies: count(caller.scope.bodies()),
            began: Instant::now(),
        }
    }

    /// Writes the line. Without a cluster there is nobody to name, and the access log says the rest.
    pub(super) fn write(self, status: StatusCode) {
        let Some(user) = &self.user else {
            return;
        };
        // The route and not the path: a path may hold what somebody looked for.
        let route = self.route.as_ref().map_or("unknown", MatchedPath::as_str);
        let purpose = self.purpose.0.get().map_or("", String::as_str);
        let duration_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(
            target: "audit",
            { %user, http.method = %self.method, http.route = route, mcp.name = purpose,
              namespaces = %self.namespaces, bodies = %self.bodies, http.status = status.as_u16(), duration_ms },
            "question answered"
        );
    }
}

fn count(namespaces: &Namespaces) -> String {
    match namespaces {
        Namespaces::All => "all".to_owned(),
        Namespaces::Only(names) => names.len().to_string(),
    }
}
