//! Why an answer is empty, as far as that is known.

use remora_store::filter::Filter;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Coverage, Window};
use crate::clock::rfc3339;

/// Why a filter is undecided over calls.
pub const UNDECIDED_BECAUSE: &str =
    "what it asks for was not kept, or you may not get their bodies";

/// Why an answer is empty.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct EmptyBecause {
    /// `no_sidecar`, `nothing_recorded`, `nothing_in_window`, `nothing_matches` or `not_all_examined`.
    pub code: &'static str,
    /// The same in words.
    pub message: String,
}

/// What is said, and the first pods that should be recorded and are not.
fn with_unrecorded(said: &str, coverage: &Coverage) -> String {
    let Some(first) = coverage.unrecorded.first() else {
        return said.to_owned();
    };
    let fix = match first.fix.as_str() {
        "" => String::new(),
        fix => format!("; {fix}"),
    };
    format!("{said}; {}{fix}", first.sentence())
}

/// What is known when an answer turned out empty.
#[derive(Debug, Clone, Copy)]
pub struct Emptiness<'a> {
    /// What may be missing.
    pub coverage: &'a Coverage,
    /// The window that was asked about.
    pub window: Window,
    /// How many calls were looked at.
    pub examined: u64,
    /// Set when the time budget ran out before all were looked at.
    pub cut_short: bool,
    /// How many were left out because it depends on what was not kept of their bodies, or is withheld.
    pub undecided: u64,
    /// Which calls were asked for.
    pub filter: &'a Filter,
    /// The answer continues an earlier one.
    pub continued: bool,
}

impl EmptyBecause {
    /// Finds out why an answer is empty.
    pub fn of(empty: Emptiness<'_>) -> Self {
        let mut because = Self::examined(empty);
        let unread = empty.filter.unrecorded_protocols();
        if because.code == "nothing_matches" && !unread.is_empty() {
            because
                .message
                .push_str("; not recorded yet, and so false in every call: ");
            because.message.push_str(&unread.join(", "));
        }
        if empty.undecided > 0 {
            because
                .message
                .push_str(&format!("; {} might: {UNDECIDED_BECAUSE}", empty.undecided));
        }
        because
    }

    fn examined(empty: Emptiness<'_>) -> Self {
        let because = |code, message| Self { code, message };
        if empty.continued {
            return because(
                "nothing_matches",
                "no more calls match after this cursor".to_owned(),
            );
        }
        if empty.examined > 0 {
            return because(
                "nothing_matches",
                format!(
                    "none of the {} calls that were examined matches the filter",
                    empty.examined
                ),
            );
        }
        if empty.cut_short {
            return because(
                "not_all_examined",
                "the time for one question ran out first; ask about less time".to_owned(),
            );
        }
        let nobody = empty.coverage.sidecars.is_empty() && empty.coverage.past_sidecars == 0;
        let kept = empty.coverage.kept;
        match (kept.oldest_ns, kept.newest_ns) {
            (Some(oldest), Some(newest)) => {
                let recorded = format!(
                    "calls are recorded from {} to {}",
                    rfc3339(oldest),
                    rfc3339(newest)
                );
                // Blocks in which nothing can match are passed by without an examination.
                if !empty.filter.source().is_empty() && empty.window.touches(oldest, newest) {
                    because(
                        "nothing_matches",
                        format!("no call of that time matches the filter; {recorded}"),
                    )
                } else {
                    because(
                        "nothing_in_window",
                        format!("no call began in the time that was asked about; {recorded}"),
                    )
                }
            }
            _ if nobody => because(
                "no_sidecar",
                with_unrecorded(
                    "no sidecar is connected to this hub, and none has brought a call",
                    empty.coverage,
                ),
            ),
            _ => because(
                "nothing_recorded",
                with_unrecorded(
                    "sidecars have reached this hub, and recorded no call yet",
                    empty.coverage,
                ),
            ),
        }
    }
}
