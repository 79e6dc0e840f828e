//! What became of a pod that was tried, in words (pure).

use std::collections::BTreeMap;
use std::fmt;

use kube::core::Status;
use serde_json::Value;

use crate::annotations::{CHECK, INJECT, STATUS};

/// How the API server begins when a webhook that it must not ignore does not answer.
const NOT_CALLED: &str = "failed calling webhook \"check.remora.dev\"";

/// What becomes of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It gets a sidecar.
    Injected,
    /// The injector was asked, and let it be: a code and a sentence.
    Skipped(String, String),
    /// The injector is reached, and is not asked about the pods of a namespace without the label.
    Unlabelled,
    /// The injector is reached, and is not asked about this namespace although its label says so.
    NotAsked,
    /// The API server has no webhook of Remora's.
    NotInstalled,
    /// The API server takes no certificate of the injector's, for this reason.
    NotTrusted(String),
    /// The API server does not reach the injector, for this reason.
    NotReached(String),
    /// The API server takes no such pod, whatever its sidecar, for this reason.
    Refused(String),
}

impl Verdict {
    /// What the annotations of the pod tell that was tried; `asks` if a label asks for its sidecar.
    pub(super) fn of_pod(annotations: &BTreeMap<String, String>, asks: bool) -> Self {
        let status = annotations.get(STATUS);
        let status = status.and_then(|status| serde_json::from_str::<Value>(status).ok());
        if let Some(status) = status {
            let text = |field| {
                status
                    .get(field)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned()
            };
            return match status.get("injected") {
                Some(Value::Bool(true)) => Self::Injected,
                _ => Self::Skipped(text("reason"), text("message")),
            };
        }
        match (annotations.contains_key(CHECK), asks) {
            (false, _) => Self::NotInstalled,
            (true, true) => Self::NotAsked,
            (true, false) => Self::Unlabelled,
        }
    }

    /// What the API server's refusal tells; `None` if it refused whoever asked, not the pod.
    pub(super) fn of_refusal(status: &Status) -> Option<Self> {
        let message = status.message.clone();
        if message.contains(NOT_CALLED) {
            let is_tls = ["x509:", "tls:"].iter().any(|word| message.contains(word));
            return Some(match is_tls {
                true => Self::NotTrusted(message),
                false => Self::NotReached(message),
            });
        }
        // Who may not make pods is refused before there is one that could have a name.
        let of_pod = status.details.as_ref().is_some_and(|details| {
            details.kind.eq_ignore_ascii_case("pods") && !details.name.is_empty()
                || details.kind == "Pod"
        });
        let by_webhook = message.contains("denied the request");
        (of_pod || by_webhook).then_some(Self::Refused(message))
    }

    /// Whether the pod gets a sidecar.
    pub fn is_injected(&self) -> bool {
        *self == Self::Injected
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Injected => f.write_str("reached: new pods get a sidecar"),
            Self::Skipped(code, message) => {
                write!(f, "reached, but such a pod gets no sidecar ({code}): {message}")
            }
            Self::Unlabelled => write!(
                f,
                "reached, but not asked about this namespace: label it with {INJECT}=enabled"
            ),
            Self::NotAsked => f.write_str(
                "reached, but not asked about this namespace: namespaces of Kubernetes and Remora's own are left \
                 alone; for any other, see that the MutatingWebhookConfiguration remora-injector is as the chart makes it",
            ),
            Self::NotInstalled => f.write_str(
                "not installed: there is no MutatingWebhookConfiguration remora-injector, or it is not of this version; \
                 install the chart",
            ),
            Self::NotTrusted(message) => write!(
                f,
                "not trusted: the API server does not take the injector's certificate, which heals within some seconds \
                 while an injector runs that may write the authorities into caBundle; it says: {message}"
            ),
            Self::NotReached(message) => write!(
                f,
                "not reached: see that an injector is ready, and that the control plane may connect to it \
                 (port 8443 of its pods); the API server says: {message}"
            ),
            Self::Refused(message) => {
                write!(f, "refused: the API server takes no such pod in this namespace; it says: {message}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

    use serde_json::json;
    use test_case::test_case;

    use super::*;

    #[test_case(json!({STATUS: r#"{"injected":true,"mode":"native"}"#, CHECK: "reached"}), true => Verdict::Injected; "a sidecar")]
    #[test_case(json!({STATUS: r#"{"injected":false,"reason":"pod_security","message":"no"}"#, CHECK: "reached"}), true
        => Verdict::Skipped("pod_security".to_owned(), "no".to_owned()); "a reason")]
    #[test_case(json!({CHECK: "reached"}), false => Verdict::Unlabelled; "no label")]
    #[test_case(json!({CHECK: "reached"}), true => Verdict::NotAsked; "a label, and nobody asked")]
    #[test_case(json!({}), true => Verdict::NotInstalled; "no webhook")]
    fn a_pod_that_was_tried_tells(annotations: Value, asks: bool) -> Verdict {
        Verdict::of_pod(&serde_json::from_value(annotations).unwrap(), asks)
    }

    #[test_case("Internal error occurred: failed calling webhook \"check.remora.dev\": failed to call webhook: Post \"https://a\": tls: failed to verify certificate: x509: certificate signed by unknown authority", "", "" => "not trusted"; "another authority")]
    #[test_case("Internal error occurred: failed calling webhook \"check.remora.dev\": failed to call webhook: Post \"https://a\": dial tcp 10.0.0.1:443: connect: connection refused", "", "" => "not reached"; "nobody there")]
    #[test_case("Internal error occurred: failed calling webhook \"other.example\": context deadline exceeded", "", "" => "nothing"; "somebody else's webhook")]
    #[test_case("pods \"remora-check-x\" is forbidden: exceeded quota: q", "pods", "remora-check-x" => "refused"; "a quota")]
    #[test_case("admission webhook \"a.b\" denied the request: no", "", "" => "refused"; "a policy")]
    #[test_case("pods is forbidden: User \"a\" cannot create resource \"pods\" in API group \"\" in the namespace \"shop\"", "pods", "" => "nothing"; "no right")]
    #[test_case("namespaces \"shop\" not found", "namespaces", "shop" => "nothing"; "no namespace")]
    fn a_refusal_tells(message: &str, kind: &str, name: &str) -> String {
        let status = json!({"status": "Failure", "message": message, "reason": "", "code": 403,
            "details": {"kind": kind, "name": name}});
        let verdict = Verdict::of_refusal(&serde_json::from_value(status).unwrap());
        let words = verdict.map_or_else(|| "nothing".to_owned(), |verdict| verdict.to_string());
        words.split(':').next().unwrap().to_owned()
    }
}
