//! A script of bytes, each of which stands for what one side does.

use remora_proxy::observe::End;
use remora_store::call::Side;

use crate::interleaving::Step;

/// The steps of a script in which a byte stands for the piece of its number, sent by the side that speaks,
/// which is `first` at first. Behind the pieces come the numbers that change the side or end it; any other byte
/// stands for itself.
pub fn steps(pieces: &[&[u8]], first: Side, script: &[u8]) -> Vec<Step> {
    let mut steps = Vec::with_capacity(script.len());
    let mut side = first;
    for byte in script {
        let place = usize::from(*byte);
        match (pieces.get(place), place - place.min(pieces.len())) {
            (Some(piece), _) => steps.push(Step::Send(side, piece.to_vec())),
            (None, 0) => side = Side::Server,
            (None, 1) => side = Side::Client,
            (None, 2) => steps.push(Step::End(side, End::Closed)),
            (None, 3) => steps.push(Step::End(side, End::Reset)),
            (None, _) => steps.push(Step::Send(side, vec![*byte])),
        }
    }
    steps
}
