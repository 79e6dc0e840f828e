//! Texts as numbers, the same for all blocks of a question.

use std::collections::HashMap;

use crate::names::Party;

/// Number of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Label(u32);

impl Label {
    /// Stands for what calls are not grouped by.
    pub(super) const NONE: Self = Self(u32::MAX);
}

/// Every text that a group is named by.
#[derive(Debug, Default)]
pub(super) struct Labels {
    numbers: HashMap<String, Label>,
    texts: Vec<String>,
}

impl Labels {
    pub(super) fn number(&mut self, text: &str) -> Label {
        if let Some(label) = self.numbers.get(text) {
            return *label;
        }
        let label = Label(self.texts.len() as u32);
        self.texts.push(text.to_owned());
        self.numbers.insert(text.to_owned(), label);
        label
    }

    pub(super) fn text(&self, label: Label) -> Option<&str> {
        self.texts.get(label.0 as usize).map(String::as_str)
    }
}

/// What an end of a call is called in a summary: its workload or service, else its address, whose
/// port would tell each connection apart.
pub(super) fn name_of(party: &Party) -> String {
    let known = [&party.workload, &party.service, &party.pod];
    match known.into_iter().find(|name| !name.is_empty()) {
        Some(name) => name.clone(),
        None => party.address.ip().to_canonical().to_string(),
    }
}
