//! Manifests as people keep them: the pods in them are patched as the webhook would patch them.
//!
//! A document in which nothing changes comes out as it went in, byte for byte. One that changes is written
//! anew, without its comments except those before its first key. YAML is read as Kubernetes reads it: `yes`
//! is a boolean and `0644` is octal.

mod documents;
mod yaml;

use serde_json::Value;

use crate::config::Config;
use crate::decide::{Decision, Namespace, PodSecurity};
use crate::inject::inject;
use crate::pod::name_of;

/// Largest manifest that is read, in bytes.
pub const MAX_MANIFEST_BYTES: usize = 16 * 1024 * 1024;

/// Where pods are in a manifest, by kind.
const TEMPLATES: [(&str, &str); 8] = [
    ("Pod", ""),
    ("Deployment", "/spec/template"),
    ("StatefulSet", "/spec/template"),
    ("DaemonSet", "/spec/template"),
    ("ReplicaSet", "/spec/template"),
    ("ReplicationController", "/spec/template"),
    ("Job", "/spec/template"),
    ("CronJob", "/spec/jobTemplate/spec/template"),
];

/// Manifests with their sidecars.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The documents, in their order.
    pub text: String,
    /// What whoever applies them should know, each with kind and name.
    pub warnings: Vec<String>,
    /// How many pods and templates got a sidecar.
    pub injected: usize,
}

/// A document that cannot be read, or is more than can be.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The whole is too large.
    #[error("{bytes} bytes are more than {MAX_MANIFEST_BYTES}, the most that is read")]
    TooLarge {
        /// How large it is.
        bytes: usize,
    },
    /// A document is not YAML.
    #[error("document {number}, from line {line}: {message}")]
    Unreadable {
        /// Which one, from 1.
        number: usize,
        /// The line of the whole on which it begins, from 1.
        line: usize,
        /// What the reader of YAML says.
        message: String,
    },
    /// What came of it cannot be written down.
    #[error("failed to write document {number}: {message}")]
    Unwritable {
        /// Which one, from 1.
        number: usize,
        /// What the writer says.
        message: String,
    },
}

/// Puts sidecars into every pod of `text`, one or more YAML or JSON documents. The namespaces are taken as
/// labelled `enabled`; labels of pods and hard reasons still win.
pub fn render(text: &str, config: &Config) -> Result<Rendered, ManifestError> {
    if text.len() > MAX_MANIFEST_BYTES {
        return Err(ManifestError::TooLarge { bytes: text.len() });
    }
    let mut rendered = Rendered {
        text: String::with_capacity(text.len()),
        warnings: Vec::new(),
        injected: 0,
    };
    for (number, document) in (1..).zip(documents::split(text)) {
        let mut value = yaml::read(document.text).map_err(|message| ManifestError::Unreadable {
            number,
            line: document.line,
            message,
        })?;
        if change(&mut value, config, &mut rendered) {
            let written = yaml::write(&value, document.text);
            let written =
                written.map_err(|message| ManifestError::Unwritable { number, message })?;
            rendered.text.push_str(&written);
        } else {
            rendered.text.push_str(document.text);
        }
    }
    Ok(rendered)
}

/// Patches the pods in one object, or in those of a List; tells whether there was something to do.
fn change(object: &mut Value, config: &Config, rendered: &mut Rendered) -> bool {
    let kind = object
        .get("kind")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    if let Some(items) = object.get_mut("items").and_then(Value::as_array_mut)
        && kind.ends_with("List")
    {
        let mut changed = false;
        for item in items {
            changed |= change(item, config, rendered);
        }
        return changed;
    }
    let Some((_, pointer)) = TEMPLATES.iter().find(|(known, _)| *known == kind) else {
        return false;
    };
    let metadata = object.get("metadata");
    let name = metadata.map(name_of).unwrap_or_default().to_owned();
    let namespace = metadata.and_then(|metadata| metadata.get("namespace")?.as_str());
    let namespace = namespace.unwrap_or("default").to_owned();
    let Some(pod) = object.pointer_mut(pointer) else {
        return false;
    };
    let namespace = Namespace {
        name: &namespace,
        inject: Some("enabled"),
        pod_security: PodSecurity::Permits,
    };
    let known = (kind != "Pod").then_some((kind.as_str(), name.as_str()));
    let injection = inject(pod, namespace, known, config);
    let subject = |warning| format!("{}/{name}: {warning}", kind.to_lowercase());
    rendered
        .warnings
        .extend(injection.warnings.into_iter().map(subject));
    rendered.injected += usize::from(injection.decision == Decision::Inject);
    // The patch was made for this very pod, so it applies.
    !injection.patch.is_empty() && json_patch::patch(pod, &injection.patch).is_ok()
}

#[cfg(test)]
mod tests;
