//! The two questions to the API server: whose token is this, and may they.

use async_trait::async_trait;
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use kube::Client;
use kube::api::{Api, PostParams};

use super::AUDIENCE;
use super::identity::Identity;

/// The API group of what the hub gives to read.
const GROUP: &str = "remora.dev";

/// The API server did not answer, or not as it should; the log says why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Away;

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Read calls.
    Calls,
    /// Read their bodies.
    Bodies,
    /// Have calls fail on purpose.
    Faults,
}

impl Right {
    /// What is done, as a role names it.
    pub fn verb(self) -> &'static str {
        match self {
            Self::Calls | Self::Bodies => "get",
            Self::Faults => "create",
        }
    }

    /// To what, as a role names it.
    pub fn resource(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Bodies => "calls/body",
            Self::Faults => "faults",
        }
    }
}

/// Whoever answers the two questions.
#[async_trait]
pub trait Reviews: Send + Sync {
    /// Whose token it is, if it is somebody's and is for [`AUDIENCE`].
    async fn token(&self, token: &str) -> Result<Option<Identity>, Away>;

    /// Whether somebody has a right in a namespace; in all of them, where none is named.
    async fn allows(
        &self,
        who: &Identity,
        right: Right,
        namespace: Option<&str>,
    ) -> Result<bool, Away>;
}

/// The API server.
pub(super) struct ApiServer {
    tokens: Api<TokenReview>,
    access: Api<SubjectAccessReview>,
}

impl ApiServer {
    pub(super) fn new(client: Client) -> Self {
        Self {
            tokens: Api::all(client.clone()),
            access: Api::all(client),
        }
    }
}

#[async_trait]
impl Reviews for ApiServer {
    async fn token(&self, token: &str) -> Result<Option<Identity>, Away> {
        let review = TokenReview {
            spec: TokenReviewSpec {
                audiences: Some(vec![AUDIENCE.to_owned()]),
                token: token.to_owned(),
            },
            ..TokenReview::default()
        };
        let answer = self.tokens.create(&PostParams::default(), &review).await;
        let answer = answer.map_err(|error| unanswered("TokenReview", error))?;
        Ok(accepted(answer))
    }

    async fn allows(
        &self,
        who: &Identity,
        right: Right,
        namespace: Option<&str>,
    ) -> Result<bool, Away> {
        let answer = self
            .access
            .create(
                &PostParams::default(),
                &access_review(who, right, namespace),
            )
            .await;
        let answer = answer.map_err(|error| unanswered("SubjectAccessReview", error))?;
        Ok(answer.status.is_some_and(|status| status.allowed))
    }
}

/// Whom a review accepts. An answer without our audience is one of an API server that did not look at it.
pub(super) fn accepted(review: TokenReview) -> Option<Identity> {
    let status = review.status?;
    let for_us = status
        .audiences
        .is_some_and(|audiences| audiences.iter().any(|audience| audience == AUDIENCE));
    if status.authenticated != Some(true) || !for_us {
        return None;
    }
    let identity = Identity::of(status.user?);
    // Rights are asked by name, and a question without one is one about nobody.
    (!identity.user.is_empty()).then_some(identity)
}

fn access_review(who: &Identity, right: Right, namespace: Option<&str>) -> SubjectAccessReview {
    let (resource, subresource) = match right.resource().split_once('/') {
        Some((resource, subresource)) => (resource, Some(subresource.to_owned())),
        None => (right.resource(), None),
    };
    SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(who.user.clone()),
            uid: (!who.uid.is_empty()).then(|| who.uid.clone()),
            groups: Some(who.groups.clone()),
            extra: Some(who.extra.clone()),
            resource_attributes: Some(ResourceAttributes {
                group: Some(GROUP.to_owned()),
                resource: Some(resource.to_owned()),
                subresource,
                verb: Some(right.verb().to_owned()),
                namespace: namespace.map(str::to_owned),
                ..ResourceAttributes::default()
            }),
            non_resource_attributes: None,
        },
        ..SubjectAccessReview::default()
    }
}

fn unanswered(review: &'static str, error: kube::Error) -> Away {
    tracing::warn!(
        { review, error = &error as &dyn std::error::Error },
        "api server of kubernetes does not answer"
    );
    Away
}
