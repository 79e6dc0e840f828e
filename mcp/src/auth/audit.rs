//! One line for each question of somebody whom the cluster knows: who asked what and how it ended, never what
//! was looked for or found.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, Method, StatusCode};
use remora_store::store::Namespaces;

use super::Caller;

/// Longest name of a tool or resource that is written down.
const NAME_BYTES: usize = 64;

/// A question, before it is answered.
pub(super) struct Question {
    user: Option<Arc<str>>,
    method: Method,
    route: Option<MatchedPath>,
    tool: String,
    /// Whose calls may be seen, and whose bodies, in how many namespaces.
    namespaces: String,
    bodies: String,
    began: Instant,
}

impl Question {
    pub(super) fn of(caller: &Caller, request: &Request) -> Self {
        Self {
            user: caller.user.clone(),
            method: request.method().clone(),
            route: request.extensions().get::<MatchedPath>().cloned(),
            tool: tool(request.headers()),
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
        let duration_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(
            target: "audit",
            { %user, http.method = %self.method, http.route = route, mcp.name = %self.tool,
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

/// The tool of a request of MCP, as clients of its current version name it in a header.
fn tool(headers: &HeaderMap) -> String {
    let name = headers.get("mcp-name").and_then(|name| name.to_str().ok());
    let plain = |name: &&str| {
        name.len() <= NAME_BYTES
            && name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    };
    name.filter(plain).unwrap_or_default().to_owned()
}
