//! Which of a name's addresses is connected to: the first that answers (RFC 8305, "Happy Eyeballs"). Pure but
//! for the clock.
//!
//! The next address is tried as soon as an attempt has failed, or none has come to anything for a while. None is
//! given up for that: each has as long as the system waits.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

/// How long the latest attempt is alone (RFC 8305 section 5, "Connection Attempt Delay").
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Most addresses of a name that are tried.
const ADDRESSES: usize = 16;

/// The order in which addresses are tried: as they were found, with families taking turns, so that one which
/// leads nowhere delays little (RFC 8305 section 4).
pub(super) fn in_turn(found: impl IntoIterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let found: Vec<SocketAddr> = found.into_iter().collect();
    let is_ipv6 = found.first().is_some_and(SocketAddr::is_ipv6);
    let (first, other): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|it| it.is_ipv6() == is_ipv6);
    let mut other = other.into_iter();
    let mut order = Vec::new();
    for address in first {
        order.push(address);
        order.extend(other.next());
    }
    order.extend(other);
    order.truncate(ADDRESSES);
    order
}

/// Attempts one address after the other until one succeeds, and drops the others then. Fails as the attempt that
/// failed last, which is `None` where there was nothing to try.
pub(super) async fn first<T, E>(
    addresses: &[SocketAddr],
    attempt: impl AsyncFn(SocketAddr) -> Result<T, E>,
) -> Result<T, Option<(SocketAddr, E)>> {
    let attempt = &attempt;
    let mut waiting = addresses.iter().copied();
    let mut running = Vec::new();
    let mut failure = None;
    loop {
        match waiting.next() {
            Some(address) => running.push(Box::pin(async move {
                let outcome = attempt(address).await;
                outcome.map_err(|error| (address, error))
            })),
            None if running.is_empty() => return Err(failure),
            None => {}
        }
        tokio::select! {
            biased;
            outcome = next_of(&mut running) => match outcome {
                Ok(connection) => return Ok(connection),
                Err(failed) => failure = Some(failed),
            },
            () = tokio::time::sleep(ATTEMPT_DELAY), if waiting.len() > 0 => {}
        }
    }
}

/// The outcome of whichever is over first, which is taken out.
async fn next_of<F: Future>(running: &mut Vec<Pin<Box<F>>>) -> F::Output {
    poll_fn(|cx| {
        let mut polled = running.iter_mut().map(|it| it.as_mut().poll(cx));
        let over = polled
            .by_ref()
            .enumerate()
            .find_map(|(at, poll)| match poll {
                Poll::Ready(outcome) => Some((at, outcome)),
                Poll::Pending => None,
            });
        match over {
            Some((at, outcome)) => {
                drop(running.swap_remove(at));
                Poll::Ready(outcome)
            }
            None => Poll::Pending,
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::future::pending;

    use test_case::test_case;
    use tokio::time::{Instant, sleep};

    use super::*;

    /// What becomes of an attempt.
    #[derive(Clone, Copy)]
    enum Fate {
        ConnectsAfter(u64),
        FailsAfter(u64),
        Hangs,
    }
    use Fate::{ConnectsAfter, FailsAfter, Hangs};

    fn address(number: usize) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], number as u16))
    }

    /// The number of the address that was connected to, or that failed last; and when each was tried, in
    /// milliseconds.
    async fn race(fates: &[Fate]) -> (Result<u16, Option<u16>>, Vec<u128>) {
        let addresses: Vec<_> = (0..fates.len()).map(address).collect();
        let (begin, tried) = (Instant::now(), RefCell::new(Vec::new()));
        let outcome = first(&addresses, async |address| {
            tried.borrow_mut().push(begin.elapsed().as_millis());
            match fates[usize::from(address.port())] {
                ConnectsAfter(ms) => sleep(Duration::from_millis(ms)).await,
                FailsAfter(ms) => {
                    sleep(Duration::from_millis(ms)).await;
                    return Err(());
                }
                Hangs => pending().await,
            }
            Ok(address.port())
        })
        .await;
        let outcome = outcome.map_err(|failed| failed.map(|(address, ())| address.port()));
        (outcome, tried.into_inner())
    }

    #[test_case(&[], Err(None), &[]; "nothing to try")]
    #[test_case(&[ConnectsAfter(200), Hangs], Ok(0), &[0]; "one that answers soon is alone")]
    #[test_case(&[Hangs, ConnectsAfter(1)], Ok(1), &[0, 250]; "one that hangs holds up the next a little")]
    #[test_case(&[ConnectsAfter(300), ConnectsAfter(100)], Ok(0), &[0, 250]; "the first to connect wins")]
    #[test_case(&[ConnectsAfter(400), ConnectsAfter(100)], Ok(1), &[0, 250]; "whichever that is")]
    #[test_case(&[FailsAfter(10), ConnectsAfter(0)], Ok(1), &[0, 10]; "a failure is not waited out")]
    #[test_case(&[FailsAfter(260), Hangs, ConnectsAfter(1)], Ok(2), &[0, 250, 260]; "nor that of an earlier one")]
    #[test_case(&[FailsAfter(9_000), FailsAfter(0)], Err(Some(0)), &[0, 250]; "none is given up")]
    #[test_case(&[FailsAfter(0), FailsAfter(0)], Err(Some(1)), &[0, 0]; "all fail")]
    #[tokio::test(start_paused = true)]
    async fn addresses_are_tried(
        fates: &[Fate],
        outcome: Result<u16, Option<u16>>,
        tried: &[u128],
    ) {
        let (ended, seen) = race(fates).await;
        assert_eq!(ended, outcome);
        // The clock of tokio's timers has steps of a millisecond.
        let is_near = |(seen, tried): (&u128, &u128)| seen.abs_diff(*tried) <= 2;
        assert!(
            seen.len() == tried.len() && seen.iter().zip(tried).all(is_near),
            "{seen:?}"
        );
    }

    #[test_case(&["[::1]:1", "[::2]:1", "127.0.0.1:1", "127.0.0.2:1", "127.0.0.3:1"],
        &["[::1]:1", "127.0.0.1:1", "[::2]:1", "127.0.0.2:1", "127.0.0.3:1"]; "both families")]
    #[test_case(&["127.0.0.1:1", "127.0.0.2:1", "[::1]:1"],
        &["127.0.0.1:1", "[::1]:1", "127.0.0.2:1"]; "the system's preference stays")]
    #[test_case(&["127.0.0.1:1"], &["127.0.0.1:1"]; "one")]
    #[test_case(&[], &[]; "none")]
    fn families_take_turns(found: &[&str], order: &[&str]) {
        let read = |all: &[&str]| -> Vec<SocketAddr> {
            all.iter().map(|it| it.parse().unwrap()).collect()
        };
        assert_eq!(in_turn(read(found)), read(order));
    }

    #[test]
    fn of_many_addresses_both_families_are_tried() {
        let ipv6 = SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 1));
        let order = in_turn((0..100).map(address).chain([ipv6]));
        assert_eq!(order.len(), ADDRESSES);
        assert!(order.contains(&ipv6), "{order:?}");
    }
}
