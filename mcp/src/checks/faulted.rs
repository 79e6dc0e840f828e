//! What judgements say of calls that injected faults met: they are what retries are judged by, and no fault of
//! any service (pure).

use super::Judgement;
use super::words::counted;

/// A judgement of a service by `judged` calls, without those that a fault `touched`.
pub(super) fn left_out(judgement: Judgement, touched: usize, judged: usize) -> Judgement {
    match (touched, judged) {
        (0, _) => judgement,
        (_, 0) => Judgement {
            expected: judgement.expected,
            actual: format!("{}, met by an injected fault", counted(touched, "call")),
            ..Judgement::inconclusive(
                "an injected fault met every call that matched, and what it did says nothing of a service",
            )
        },
        _ => {
            let left_out = format!(
                "left out: {} that an injected fault met",
                counted(touched, "call")
            );
            also(judgement, left_out)
        }
    }
}

/// A judgement by how many calls there are, of which a fault `touched` some: they were made all the same.
pub(super) fn counted_too(judgement: Judgement, touched: usize) -> Judgement {
    match touched {
        0 => judgement,
        _ => also(
            judgement,
            format!("an injected fault met {touched} of them"),
        ),
    }
}

fn also(mut judgement: Judgement, said: String) -> Judgement {
    judgement.why = match judgement.why.is_empty() {
        true => said,
        false => format!("{}; {said}", judgement.why),
    };
    judgement
}

#[cfg(test)]
mod tests;
