//! Who somebody is by the word of the API server.

use std::collections::BTreeMap;

use k8s_openapi::api::authentication::v1::UserInfo;

use super::remembered::Key;
use super::reviews::Right;

/// How the name of a service account begins.
const SERVICE_ACCOUNT: &str = "system:serviceaccount:";
/// Where a review names the pod that a token is bound to.
const POD_NAME: &str = "authentication.kubernetes.io/pod-name";
/// Where it names the uid of that pod.
const POD_UID: &str = "authentication.kubernetes.io/pod-uid";

/// Somebody whom the API server knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// Their name.
    pub user: String,
    /// Their uid; may be empty.
    pub uid: String,
    /// Their groups.
    pub groups: Vec<String>,
    /// What else is known of them.
    pub extra: BTreeMap<String, Vec<String>>,
    /// The pod that the token is bound to, if it is bound to one.
    pub pod: Option<PodIdentity>,
}

/// The pod that a token is bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodIdentity {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
}

impl Identity {
    /// From the answer to a review.
    pub fn of(user: UserInfo) -> Self {
        let name = user.username.unwrap_or_default();
        let extra = user.extra.unwrap_or_default();
        let pod = pod(&name, &extra);
        Self {
            user: name,
            uid: user.uid.unwrap_or_default(),
            groups: user.groups.unwrap_or_default(),
            extra,
            pod,
        }
    }

    /// Under which the answer to whether they have a right is remembered.
    pub(super) fn key(&self, right: Right, namespace: Option<&str>) -> Key {
        // No namespace has an empty name.
        let namespace = namespace.unwrap_or_default();
        let mut parts = vec![right.verb(), right.resource(), namespace];
        parts.extend([self.user.as_str(), &self.uid]);
        let groups = self.groups.len().to_string();
        parts.push(&groups);
        parts.extend(self.groups.iter().map(String::as_str));
        for (name, values) in &self.extra {
            // A name is told from a value by what stands before it.
            parts.extend(["extra", name.as_str()]);
            parts.extend(values.iter().flat_map(|value| ["value", value.as_str()]));
        }
        Key::of("right", &parts)
    }
}

fn pod(user: &str, extra: &BTreeMap<String, Vec<String>>) -> Option<PodIdentity> {
    // What others than service accounts bring along is not the API server's own word.
    let (namespace, _) = user.strip_prefix(SERVICE_ACCOUNT)?.split_once(':')?;
    let only = |name| match extra.get(name)?.as_slice() {
        [value] => Some(value.clone()),
        _ => None,
    };
    Some(PodIdentity {
        namespace: namespace.to_owned(),
        name: only(POD_NAME)?,
        uid: only(POD_UID)?,
    })
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    fn user(name: &str, pod: &[(&str, &[&str])]) -> UserInfo {
        let values = |values: &[&str]| values.iter().map(|&value| value.to_owned()).collect();
        UserInfo {
            username: Some(name.to_owned()),
            extra: Some(
                pod.iter()
                    .map(|&(name, given)| (name.to_owned(), values(given)))
                    .collect(),
            ),
            ..UserInfo::default()
        }
    }

    const BOUND: &[(&str, &[&str])] = &[(POD_NAME, &["cart-1"]), (POD_UID, &["u1"])];

    #[test]
    fn a_token_of_a_pod_names_the_pod() {
        let identity = Identity::of(user("system:serviceaccount:shop:default", BOUND));
        let pod = identity.pod.unwrap();
        assert_eq!(
            (&*pod.namespace, &*pod.name, &*pod.uid),
            ("shop", "cart-1", "u1")
        );
    }

    #[test_case("system:serviceaccount:shop:default", &[]; "a token that is bound to nothing")]
    #[test_case("system:serviceaccount:shop:default", &[(POD_NAME, &["cart-1"])]; "one without a uid")]
    #[test_case("system:serviceaccount:shop:default", &[(POD_NAME, &["a", "b"]), (POD_UID, &["u"])]; "one with two names")]
    #[test_case("jane", BOUND; "a person who says to be one")]
    #[test_case("system:serviceaccount:shop", BOUND; "half a name")]
    fn nobody_else_is_a_pod(name: &str, extra: &[(&str, &[&str])]) {
        assert_eq!(Identity::of(user(name, extra)).pod, None);
    }

    #[test]
    fn whoever_differs_in_anything_has_other_rights() {
        let plain = Identity {
            user: "jane".to_owned(),
            ..Identity::default()
        };
        let grouped = Identity {
            groups: vec!["dev".to_owned()],
            ..plain.clone()
        };
        let named = Identity {
            uid: "dev".to_owned(),
            ..plain.clone()
        };
        let bound = Identity::of(user("jane", BOUND));
        let all = [&plain, &grouped, &named, &bound];
        for (at, one) in all.iter().enumerate() {
            for other in &all[at + 1..] {
                assert_ne!(one.key(Right::Calls, None), other.key(Right::Calls, None));
            }
            let shop = one.key(Right::Calls, Some("shop"));
            assert_ne!(one.key(Right::Calls, None), one.key(Right::Bodies, None));
            assert_ne!(one.key(Right::Calls, None), shop);
            assert_ne!(one.key(Right::Calls, Some("bank")), shop);
        }
    }
}
