//! What the client asked and the server has not answered, in order.

use std::collections::VecDeque;
use std::rc::Rc;

use super::statement::{Columns, Prepared};
use crate::observe::draft::Draft;

/// How far a question may stand from where it is looked for. Answers come in order, so it is the first
/// as a rule; and nobody shall have a long queue searched for each of his messages.
const FAR: usize = 256;

/// Something that the client sent and the server will answer.
#[derive(Debug)]
pub(super) enum Asked {
    Parse(Rc<Prepared>, u64),
    Bind,
    Describe(Option<Rc<Prepared>>),
    Execute(Running),
    Close,
    /// One statement of a text; the last of it is followed by a [`Asked::Ready`].
    Statement(Running),
    /// The end of a text or of a pipeline: the server says that it is ready again, whatever happened.
    Ready,
}

/// A call that the server is to answer.
#[derive(Debug)]
pub(super) struct Running {
    /// `None` where the budget had no room for it.
    pub(super) draft: Option<Box<Draft>>,
    /// What is executed, where it was parsed before.
    pub(super) prepared: Option<Rc<Prepared>>,
    /// What its rows are made of, where that was told for this execution.
    pub(super) columns: Option<Rc<Columns>>,
    /// Formats of the columns, where the client chose them.
    pub(super) formats: Option<Rc<[u16]>>,
    /// Rows that came.
    pub(super) rows: u64,
}

/// What is asked and not answered.
#[derive(Debug, Default)]
pub(super) struct Pending(pub(super) VecDeque<Asked>);

impl Pending {
    pub(super) fn push(&mut self, asked: Asked) {
        self.0.push_back(asked);
    }

    /// The statement that the server is answering. Whatever the client asked before it is done.
    pub(super) fn running(&mut self) -> Option<&mut Running> {
        let runs = |asked: &Asked| matches!(asked, Asked::Execute(_) | Asked::Statement(_));
        if self.reach(runs).is_none() {
            // An answer to nothing says that everything before it is done.
            let end = self.end();
            self.0.drain(..end);
            return None;
        }
        self.first()
    }

    /// The statement that is first among the questions, if one is.
    pub(super) fn first(&mut self) -> Option<&mut Running> {
        match self.0.front_mut() {
            Some(Asked::Execute(running) | Asked::Statement(running)) => Some(running),
            _ => None,
        }
    }

    /// The statement that data of a COPY from the client is for. What the client said before of the end of
    /// its pipeline said nothing: a server that copies passes over it, and answers the end behind the data.
    pub(super) fn copying(&mut self) -> Option<&mut Running> {
        let is_end = |asked: &Asked| matches!(asked, Asked::Ready);
        let mut ends = self.0.iter().rev().take(FAR);
        let ends = ends.position(|asked| !is_end(asked));
        let last = ends.and_then(|ends| self.0.len().checked_sub(ends + 1));
        // A text says its end itself, and waits for the answer.
        let is_of_pipeline = |last: &usize| matches!(self.0.get(*last), Some(Asked::Execute(_)));
        let Some(last) = last.filter(is_of_pipeline) else {
            return self.running();
        };
        self.0.truncate(last + 1);
        match self.0.back_mut() {
            Some(Asked::Execute(running)) => Some(running),
            _ => None,
        }
    }

    /// Takes the first thing of a kind, with all before it; nothing where there is none up to the next
    /// end of a text or pipeline.
    pub(super) fn take(&mut self, is_kind: impl Fn(&Asked) -> bool) -> Option<Asked> {
        self.reach(is_kind)?;
        self.0.pop_front()
    }

    /// Drops what stands before the first thing of a kind, if there is one near in this text or pipeline.
    fn reach(&mut self, is_kind: impl Fn(&Asked) -> bool) -> Option<()> {
        let ends = |asked: &Asked| matches!(asked, Asked::Ready);
        let mut near = self.0.iter().take(FAR);
        let first = near.position(|asked| is_kind(asked) || ends(asked))?;
        let found = self.0.get(first).is_some_and(is_kind);
        found.then(|| drop(self.0.drain(..first)))
    }

    /// Takes what an error ends: all up to the end of the text or pipeline.
    pub(super) fn take_failed(&mut self) -> Vec<Asked> {
        let end = self.end();
        self.0.drain(..end).collect()
    }

    /// Whether the client has said where the text or pipeline ends.
    pub(super) fn has_end(&self) -> bool {
        self.end() < self.0.len()
    }

    fn end(&self) -> usize {
        let end = self
            .0
            .iter()
            .position(|asked| matches!(asked, Asked::Ready));
        end.unwrap_or(self.0.len())
    }

    /// The server is ready for the next text or pipeline.
    pub(super) fn ready(&mut self) {
        let end = self.end();
        self.0.drain(..(end + 1).min(self.0.len()));
        // A long queue is not worth its memory on an idle connection.
        if self.0.is_empty() && self.0.capacity() > 32 {
            self.0 = VecDeque::new();
        }
    }
}
