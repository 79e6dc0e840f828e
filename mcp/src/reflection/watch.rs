//! Keeps asking a server what it serves, for as long as the hub runs.
//!
//! A server that is not there yet is asked again, less and less often. One that has answered is asked
//! again now and then, since a new version of it may serve more; what it said stays known while it is
//! away.

use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::{Server, reflect};
use crate::app::{App, drained};
use crate::descriptors::known::Described;
use crate::error::chain;

/// Until the second try.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest until another try.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Until a server that answered is asked again.
const REFRESH: Duration = Duration::from_secs(5 * 60);

/// Asks until the hub stops.
pub(crate) async fn run(app: App, server: Server) {
    let asking = async {
        let mut pause = FIRST_PAUSE;
        loop {
            match ask(&app, &server).await {
                true => {
                    pause = FIRST_PAUSE;
                    sleep(REFRESH).await;
                }
                false => {
                    sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    };
    tokio::select! {
        () = asking => {}
        () = drained(app.draining.clone()) => {}
    }
}

/// Asks once; says whether there was an answer.
async fn ask(app: &App, server: &Server) -> bool {
    let answer = match reflect(server).await {
        // Many files take long to link, and one thread answers everybody.
        Ok(reflected) => spawn_blocking(move || Described::new(reflected))
            .await
            .unwrap_or_else(|error| Err(chain(&error))),
        Err(error) => Err(chain(&error)),
    };
    // Said when it changes, not at every try.
    let is_news = app.descriptors.note(server, answer.clone());
    match &answer {
        Ok(described) if is_news => {
            let (services, undescribed) = (described.services, described.undescribed.len());
            tracing::info!(%server, services, undescribed, "server described its services");
        }
        Err(error) if is_news => {
            tracing::warn!(%server, %error, "server did not describe its services");
        }
        _ => {}
    }
    answer.is_ok()
}
