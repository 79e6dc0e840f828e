//! From a share to what is stated: how often such an answer is right.
//!
//! The numbers were measured on recorded traffic of which the truth is known; `docs/causality.md` has the table,
//! and a test holds it against that traffic.

use super::How;
use crate::confidence::Confidence;

/// Alternatives that are less likely are not listed.
pub(super) const LEAST_LISTED: Confidence = Confidence::thousandths(50);
/// Up to so many in flight, and what fits counts for much.
const FEW: usize = 4;

/// What is stated of a cause.
pub(super) struct Verdict {
    /// Whether one is named.
    pub(super) is_named: bool,
    pub(super) how: How,
    pub(super) confidence: Confidence,
}

/// What the candidates of a call look like.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    /// By what the first of them would be found.
    pub(super) how: How,
    /// How many there are.
    pub(super) candidates: usize,
    /// The largest share of them.
    pub(super) best: f64,
    /// Another has as large a share.
    pub(super) is_level: bool,
    /// What is left to none of them.
    pub(super) background: f64,
}

/// What is stated of the cause of a call.
pub(super) fn verdict(field: &Field) -> Verdict {
    let Field {
        how,
        candidates,
        best,
        is_level,
        background,
    } = *field;
    if background > best {
        return Verdict {
            is_named: false,
            how: How::Background,
            confidence: Confidence::thousandths(970),
        };
    }
    match precision(how, candidates, best).filter(|_| !is_level) {
        Some(thousandths) => Verdict {
            is_named: true,
            how,
            confidence: Confidence::thousandths(thousandths),
        },
        None => Verdict {
            is_named: false,
            how: How::Ambiguous,
            confidence: Confidence::even(candidates),
        },
    }
}

/// How often a cause is right that was found so, in thousandths; `None` where that is less than half.
fn precision(how: How, candidates: usize, best: f64) -> Option<u16> {
    let one = candidates == 1;
    match how {
        How::TraceHeaders if one => Some(1_000),
        How::RequestId if one => Some(990),
        How::SharedId if best >= 0.9 => Some(980),
        How::OnlyOneInFlight if best >= 0.95 => Some(990),
        How::TraceHeaders | How::RequestId | How::Timing if candidates <= FEW => match best {
            0.997.. => Some(980),
            0.97.. => Some(880),
            0.5.. => Some(700),
            _ => None,
        },
        How::TraceHeaders | How::RequestId | How::Timing if best >= 0.997 => Some(700),
        _ => None,
    }
}

/// What is stated of one that was not taken, of so many.
pub(super) fn alternative(share: f64, candidates: usize) -> Confidence {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share lies between 0 and 1"
    )]
    let stated = Confidence::thousandths((share * 1_000.0) as u16);
    stated.min(Confidence::even(candidates))
}
