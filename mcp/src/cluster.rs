//! The Kubernetes that the hub runs in, asked who a caller is and whether they may read what was recorded.
//!
//! Its answers are remembered for a short while, under hashes: a token is never kept. While it does not
//! answer, nobody is let in on a guess.

pub mod identity;
mod remembered;
pub mod reviews;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use kube::Client;
use remora_store::store::{Namespaces, Scope};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::error::ApiError;
use identity::Identity;
use remembered::{Key, Remembered};
use reviews::{ApiServer, Away, Reviews, Right};

/// Whom a token must be for: one that was made for anybody else is not ours to accept.
pub const AUDIENCE: &str = "remora-hub";
/// How long an accepted token is not asked about again, if it does not end before.
const ACCEPTED: Duration = Duration::from_secs(60);
/// How long a refused one is not.
const REFUSED: Duration = Duration::from_secs(10);
/// How long a right is not, given or not: a revoked role is gone after it.
const RIGHTS: Duration = Duration::from_secs(30);
/// How long the API server is left alone with a question that it did not answer.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a question may take, with the wait for its turn.
const DEADLINE: Duration = Duration::from_secs(5);
/// Most questions to the API server at a time.
const AT_A_TIME: usize = 16;
/// Longest token that is asked about.
const TOKEN_BYTES: usize = 16 * 1024; // 16 KiB

/// The cluster, as far as it says who may ask.
pub struct Cluster {
    reviews: Box<dyn Reviews>,
    tokens: Remembered<Option<Arc<Identity>>>,
    rights: Remembered<bool>,
    turns: Semaphore,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").finish_non_exhaustive()
    }
}

/// There is no cluster to ask.
#[derive(Debug, thiserror::Error)]
#[error("find the API server of Kubernetes (--kubernetes)")]
pub struct ConnectError(#[source] kube::Error);

impl Cluster {
    /// The cluster that this process runs in, or that `KUBECONFIG` names, and the way
    /// to it. Nothing is asked of it yet.
    ///
    /// # Errors
    ///
    /// There is neither.
    pub async fn connect() -> Result<(Self, Client), ConnectError> {
        let client = Client::try_default().await.map_err(ConnectError)?;
        let cluster = Self::over(Box::new(ApiServer::new(client.clone())));
        Ok((cluster, client))
    }

    /// A cluster that answers with `reviews`.
    pub fn over(reviews: Box<dyn Reviews>) -> Self {
        Self {
            reviews,
            tokens: Remembered::default(),
            rights: Remembered::default(),
            turns: Semaphore::new(AT_A_TIME),
        }
    }

    /// Whose token it is.
    ///
    /// # Errors
    ///
    /// It is nobody's, or not for us; or the API server does not answer.
    pub async fn identify(&self, token: &str) -> Result<Arc<Identity>, ApiError> {
        if token.len() > TOKEN_BYTES {
            return Err(unauthorized("the token is longer than any token"));
        }
        let key = Key::of("token", &[token]);
        let review = self.in_turn(async {
            let reviewed = self.reviews.token(token).await?;
            Ok(reviewed.map(Arc::new))
        });
        let keep = |found: &Option<Arc<Identity>>| match found {
            Some(_) => ACCEPTED.min(time_left(token)),
            None => REFUSED,
        };
        match self.tokens.ask(key, review, keep).await {
            Ok(Some(identity)) => Ok(identity),
            Ok(None) => Err(unauthorized(
                "Kubernetes does not know the token, or it is not for the audience remora-hub",
            )),
            Err(Away) => Err(away()),
        }
    }

    /// Which of `namespaces` somebody may read the calls of, and of which the bodies too. `namespaces` is not
    /// waited for where they may read all.
    ///
    /// # Errors
    ///
    /// They may read the calls of none; or the API server does not answer; or the error of `namespaces`.
    pub async fn scope(
        &self,
        who: &Identity,
        namespaces: impl Future<Output = Result<BTreeSet<String>, ApiError>>,
    ) -> Result<Scope, ApiError> {
        let everywhere = async |right| self.may(who, right, None).await.map_err(|Away| away());
        let all_calls = everywhere(Right::Calls).await?;
        let all_bodies = everywhere(Right::Bodies).await?;
        if all_calls && all_bodies {
            return Ok(Scope::ALL);
        }
        let mut known = namespaces.await?;
        let mut calls = Namespaces::All;
        if !all_calls {
            known = self.those_with(who, Right::Calls, known).await?;
            calls = Namespaces::Only(known.clone());
        }
        if calls == Namespaces::Only(BTreeSet::new()) {
            let message = "you may get calls of remora.dev in no namespace";
            return Err(ApiError::forbidden("forbidden", message).hint(
                "have your account bound to the ClusterRole remora-reader, or remora-body-reader: by a RoleBinding in \
                 each namespace that you should see, or by a ClusterRoleBinding",
            ));
        }
        let bodies = match all_bodies {
            true => Namespaces::All,
            false => Namespaces::Only(self.those_with(who, Right::Bodies, known).await?),
        };
        Ok(Scope::new(calls, bodies))
    }

    /// Whether somebody may have the traffic of a namespace disturbed.
    ///
    /// # Errors
    ///
    /// They may not; or the API server does not answer.
    pub async fn check_may_make_faults(
        &self,
        who: &Identity,
        namespace: &str,
    ) -> Result<(), ApiError> {
        let may = self.may(who, Right::Faults, Some(namespace)).await;
        if may.map_err(|Away| away())? {
            return Ok(());
        }
        let message = format!("you may not create faults of remora.dev in namespace {namespace}");
        Err(ApiError::forbidden("forbidden", message).hint(
            "have your account bound to the ClusterRole remora-fault-maker by a RoleBinding in that namespace",
        ))
    }

    /// Those of `namespaces` in which somebody has a right.
    async fn those_with(
        &self,
        who: &Identity,
        right: Right,
        namespaces: BTreeSet<String>,
    ) -> Result<BTreeSet<String>, ApiError> {
        let asked = stream::iter(namespaces).map(async |namespace| {
            let may = self.may(who, right, Some(&namespace)).await?;
            Ok(may.then_some(namespace))
        });
        let asked = asked.buffer_unordered(AT_A_TIME).try_collect().await;
        let those: Vec<Option<String>> = asked.map_err(|Away| away())?;
        Ok(those.into_iter().flatten().collect())
    }

    async fn may(
        &self,
        who: &Identity,
        right: Right,
        namespace: Option<&str>,
    ) -> Result<bool, Away> {
        let key = who.key(right, namespace);
        let review = self.in_turn(self.reviews.allows(who, right, namespace));
        self.rights.ask(key, review, |_| RIGHTS).await
    }

    async fn in_turn<T>(&self, review: impl Future<Output = Result<T, Away>>) -> Result<T, Away> {
        let asked = timeout(DEADLINE, async {
            // The semaphore is never closed, so a turn always comes.
            let _turn = self.turns.acquire().await;
            review.await
        });
        asked.await.unwrap_or_else(|_| {
            tracing::warn!("api server of kubernetes did not answer in time");
            Err(Away)
        })
    }
}

/// The answer to who shows no token that is good here.
pub(crate) fn unauthorized(message: &'static str) -> ApiError {
    ApiError::unauthorized(message).hint(
        "send the header `Authorization: Bearer TOKEN` with what this prints: \
         kubectl create token SERVICEACCOUNT --namespace NAMESPACE --audience remora-hub --duration 8h",
    )
}

fn away() -> ApiError {
    ApiError::unavailable(
        "kubernetes_away",
        "the API server of Kubernetes does not say who you are; nobody is let in meanwhile",
        2,
    )
    .hint("ask again; if this lasts, the hub's log says why")
}

/// How long a token still is good by its own word; anything that is not a JSON web token does not say.
fn time_left(token: &str) -> Duration {
    #[derive(serde::Deserialize)]
    struct Claims {
        exp: f64,
    }
    let claims = || {
        let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
        serde_json::from_slice::<Claims>(&payload).ok()
    };
    let Some(Claims { exp }) = claims() else {
        return Duration::MAX;
    };
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let left = exp - now.unwrap_or_default().as_secs_f64();
    Duration::try_from_secs_f64(left).unwrap_or_default()
}

#[cfg(test)]
mod tests;
