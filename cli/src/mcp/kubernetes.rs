//! The hub of a cluster, reached and entered with the help of kubectl: it knows the cluster, and who one is there.
//!
//! Nothing happens before a message needs it: a token is not renewed for nobody, and a login that kubectl asks for is
//! not asked for at night.

mod forward;
mod kubectl;
mod token;

use std::path::PathBuf;

use super::kept::Kept;
use forward::Forward;
use kubectl::Kubectl;
use token::Minted;

/// The way through kubectl.
pub(super) struct Kubernetes {
    kubectl: Kubectl,
    account: String,
    forward: Kept<Forward>,
    token: Kept<Minted>,
}

impl Kubernetes {
    pub(super) fn new(
        program: PathBuf,
        context: Option<String>,
        namespace: String,
        account: String,
    ) -> Self {
        Self {
            kubectl: Kubectl {
                program,
                namespace,
                context,
            },
            account,
            forward: Kept::default(),
            token: Kept::default(),
        }
    }

    /// A port that leads to the hub, and a token for it.
    ///
    /// # Errors
    ///
    /// kubectl does not do its part; what to do about it.
    pub(super) async fn enter(&self) -> Result<(u16, String), String> {
        let start = async {
            let started = Forward::start(&self.kubectl).await;
            started.map_err(|error| error.to_string())
        };
        let port = self.forward.get(Forward::port, |_| None, start);
        let token = self
            .token
            .get(|token| token.fresh(), |token| token.good(), self.mint());
        tokio::try_join!(port, token)
    }

    /// Another token than one that the hub refused.
    ///
    /// # Errors
    ///
    /// As with [`Self::enter`].
    pub(super) async fn another_token(&self, refused: &str) -> Result<String, String> {
        let other = |token: &mut Minted| token.fresh().filter(|_| !token.is(refused));
        self.token.get(other, |_| None, self.mint()).await
    }

    /// Has the port forwarded anew before it is next needed: nothing came through it.
    pub(super) async fn leave(&self, port: u16) {
        self.forward
            .drop_if(|forward| forward.port().is_none_or(|open| open == port))
            .await;
    }

    async fn mint(&self) -> Result<Minted, String> {
        let minted = Minted::make(&self.kubectl, &self.account).await;
        minted.map_err(|error| error.to_string())
    }
}
