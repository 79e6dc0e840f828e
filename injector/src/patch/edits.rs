//! A JSON patch in the making: it only ever adds, except where a probe is rewritten.

use json_patch::jsonptr::PointerBuf;
use json_patch::{AddOperation, Patch, PatchOperation, RemoveOperation};
use serde_json::{Map, Value};

use crate::pod::Pod;

/// Where in a list of the pod something goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    First,
    Last,
}

/// Operations on one pod, in the order in which they are applied.
#[derive(Debug)]
pub(super) struct Edits<'a> {
    pod: Pod<'a>,
    operations: Vec<PatchOperation>,
    annotations: Vec<(String, String)>,
}

impl<'a> Edits<'a> {
    pub(super) fn new(pod: Pod<'a>) -> Self {
        Self {
            pod,
            operations: Vec::new(),
            annotations: Vec::new(),
        }
    }

    /// Adds `items` to a list of the spec, which is made if it is not there.
    pub(super) fn insert(&mut self, list: &str, place: Place, items: Vec<Value>) {
        if self.pod.list(&format!("/spec/{list}")).is_empty() {
            self.add(["spec", list], Value::Array(items));
            return;
        }
        for (index, item) in items.into_iter().enumerate() {
            let index = match place {
                Place::First => index.to_string(),
                Place::Last => "-".to_owned(),
            };
            self.add(["spec", list, &index], item);
        }
    }

    /// Sets an annotation.
    pub(super) fn annotate(&mut self, name: &str, value: &str) {
        self.annotations.push((name.to_owned(), value.to_owned()));
    }

    /// Adds `value` at a place.
    pub(super) fn add<'t>(&mut self, path: impl IntoIterator<Item = &'t str>, value: Value) {
        let path = PointerBuf::from_tokens(path);
        self.operations
            .push(PatchOperation::Add(AddOperation { path, value }));
    }

    /// Removes what is at a place.
    pub(super) fn remove<'t>(&mut self, path: impl IntoIterator<Item = &'t str>) {
        let path = PointerBuf::from_tokens(path);
        self.operations
            .push(PatchOperation::Remove(RemoveOperation { path }));
    }

    /// The patch. Annotations that are there already are left out.
    pub(super) fn finish(mut self) -> Patch {
        let pod = self.pod;
        let new: Vec<(String, String)> = std::mem::take(&mut self.annotations)
            .into_iter()
            .filter(|(name, value)| pod.annotation(name) != Some(value))
            .collect();
        let to_object = |new: Vec<(String, String)>| {
            let entries = new
                .into_iter()
                .map(|(name, value)| (name, Value::String(value)));
            Value::Object(entries.collect::<Map<_, _>>())
        };
        if new.is_empty() {
        } else if pod.at("/metadata").is_none() {
            let mut metadata = Map::new();
            metadata.insert("annotations".to_owned(), to_object(new));
            self.add(["metadata"], Value::Object(metadata));
        } else if !pod
            .at("/metadata/annotations")
            .is_some_and(Value::is_object)
        {
            self.add(["metadata", "annotations"], to_object(new));
        } else {
            for (name, value) in new {
                self.add(["metadata", "annotations", &name], Value::String(value));
            }
        }
        Patch(self.operations)
    }
}
