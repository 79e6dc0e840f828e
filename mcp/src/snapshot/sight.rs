//! What a question looks at: a scope, a stretch of time, and the part of it that a snapshot shows.

use std::time::Duration;

use remora_store::snapshot::{Beside, Blindness, Snapshot, UnderWay, Unsettled, View};
use remora_store::store::Scope;

use super::{find, is_id};
use crate::app::App;
use crate::clock::{now_ns, parse_duration};
use crate::coverage::Window;
use crate::error::ApiError;
use crate::params::quoted;

/// What a question looks at.
#[derive(Debug, Clone)]
pub struct Sight {
    /// What is seen: at most what the caller sees.
    pub scope: Scope,
    /// Which stretch of time.
    pub window: Window,
    /// Which part of it.
    pub view: View,
    /// Where it is a sealed snapshot: what of it was still under way then, as far as the scope sees it.
    pub sealed: Option<Unsettled>,
}

impl Sight {
    /// Everything that a caller sees in a stretch of time.
    pub fn of_window(scope: &Scope, window: Window) -> Self {
        Self {
            scope: scope.clone(),
            window,
            view: View::default(),
            sealed: None,
        }
    }

    /// What of a snapshot a caller sees.
    pub fn of_snapshot(caller: &Scope, snapshot: &Snapshot) -> Self {
        let scope = caller.within(&snapshot.namespaces);
        let seen = |beside: &[Beside]| {
            let seen = beside.iter().filter(|it| scope.sees(&it.namespace));
            seen.cloned().collect()
        };
        let seen_calls = |calls: &[UnderWay]| {
            let seen = calls.iter().filter(|it| scope.sees(&it.namespace));
            seen.cloned().collect()
        };
        let seen_blindness = |all: &Blindness| {
            let seen = all.beside.iter().filter(|it| scope.sees(&it.namespace));
            Blindness {
                beside: seen.cloned().collect(),
                ..all.clone()
            }
        };
        let unsettled = snapshot.seal.as_ref().map(|seal| &seal.unsettled);
        let sealed = unsettled.map(|it| Unsettled {
            running: seen(&it.running),
            calls: seen_calls(&it.calls),
            unread: seen_calls(&it.unread),
            silent: seen(&it.silent),
            omitted: it.omitted,
            blindness: it.blindness.as_ref().map(seen_blindness),
        });
        Self {
            scope,
            sealed,
            window: Window {
                since_ns: Some(snapshot.since_ns),
                until_ns: snapshot.until_ns(),
            },
            view: snapshot.view(),
        }
    }

    /// Reads `snapshot`: an id, or `live:15m` for a window that ends now.
    ///
    /// # Errors
    ///
    /// It is neither, or there is no such snapshot.
    pub async fn read(app: &App, caller: &Scope, snapshot: &str) -> Result<Self, ApiError> {
        if is_id(snapshot) {
            let snapshot = find(app, caller, snapshot).await?;
            return Ok(Self::of_snapshot(caller, &snapshot));
        }
        let ago = snapshot.strip_prefix("live:").and_then(parse_duration);
        let ago = ago.filter(|ago| *ago > Duration::ZERO);
        let Some(ago) = ago.and_then(|ago| i64::try_from(ago.as_nanos()).ok()) else {
            return Err(ApiError::bad_request(
                "bad_snapshot",
                format!(
                    "snapshot is {}; it takes the id of a snapshot, such as snp_abcdefghijklmnop, or a \
                     window that ends now, such as live:15m",
                    quoted(snapshot)
                ),
            )
            .field("snapshot"));
        };
        let window = Window {
            since_ns: now_ns().checked_sub(ago),
            until_ns: None,
        };
        Ok(Self::of_window(caller, window))
    }

    /// The part of it in another stretch of time.
    #[must_use]
    pub fn within(mut self, window: Window) -> Self {
        let since = [self.window.since_ns, window.since_ns];
        let until = [self.window.until_ns, window.until_ns];
        self.window = Window {
            since_ns: since.into_iter().flatten().max(),
            until_ns: until.into_iter().flatten().min(),
        };
        self
    }
}
