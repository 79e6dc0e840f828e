//! A pod as it came: a reading view over its JSON.
//!
//! Only what decides and patches is read, and tolerantly: a field of the wrong type counts as absent, because
//! refusing it is the API server's business.

use serde_json::Value;

/// A pod, or the template of one: an object with `metadata` and a `spec` that has containers.
#[derive(Debug, Clone, Copy)]
pub struct Pod<'a>(&'a Value);

impl<'a> Pod<'a> {
    /// A view of `pod`; `None` if nothing can be added to it because it has no containers.
    pub fn new(pod: &'a Value) -> Option<Self> {
        let containers = pod.pointer("/spec/containers")?.as_array()?;
        let readable = !containers.is_empty() && pod.get("metadata").is_none_or(is_object_or_null);
        readable.then_some(Self(pod))
    }

    /// The JSON under a pointer, such as `/spec/hostNetwork`; null counts as absent.
    pub fn at(&self, pointer: &str) -> Option<&'a Value> {
        self.0.pointer(pointer).filter(|value| !value.is_null())
    }

    /// The string under a pointer.
    pub fn text(&self, pointer: &str) -> Option<&'a str> {
        self.at(pointer)?.as_str()
    }

    /// The value of a label.
    pub fn label(&self, name: &str) -> Option<&'a str> {
        self.at("/metadata/labels")?.get(name)?.as_str()
    }

    /// The value of an annotation.
    pub fn annotation(&self, name: &str) -> Option<&'a str> {
        self.at("/metadata/annotations")?.get(name)?.as_str()
    }

    /// The names of all annotations that are strings, in their order.
    pub fn annotations(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.names("/metadata/annotations")
    }

    /// The names of all labels that are strings, in their order.
    pub fn labels(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.names("/metadata/labels")
    }

    fn names(&self, pointer: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let entries = self.at(pointer).and_then(Value::as_object);
        let texts = entries
            .into_iter()
            .flatten()
            .filter(|(_, value)| value.is_string());
        texts.map(|(name, _)| name.as_str())
    }

    /// The containers of the application.
    pub fn containers(&self) -> &'a [Value] {
        self.list("/spec/containers")
    }

    /// The containers that run before, and native sidecars.
    pub fn init_containers(&self) -> &'a [Value] {
        self.list("/spec/initContainers")
    }

    /// Every container, init containers first.
    pub fn all_containers(&self) -> impl Iterator<Item = &'a Value> + use<'a> {
        self.init_containers().iter().chain(self.containers())
    }

    /// The elements of the array under a pointer; none if there is no array.
    pub fn list(&self, pointer: &str) -> &'a [Value] {
        self.at(pointer)
            .and_then(Value::as_array)
            .map_or(&[], Vec::as_slice)
    }
}

fn is_object_or_null(value: &Value) -> bool {
    value.is_object() || value.is_null()
}

/// The name of a container, volume or port.
pub fn name_of(value: &Value) -> &str {
    value
        .get("name")
        .and_then(Value::as_str)
        .unwrap_or_default()
}
