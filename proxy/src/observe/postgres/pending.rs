//! What the client asked and the server has not answered, in order.

use std::collections::VecDeque;
use std::rc::Rc;

use super::statement::{Columns, Formats, Prepared};
use crate::budget::Budget;
use crate::observe::draft::{Budgeted, Grant};

/// How far a question may stand from where it is looked for. Answers come in order, so it is the first
/// as a rule; and nobody shall have a long queue searched for each of his messages.
const FAR: usize = 256;

/// Most questions that may wait for their answers.
const MOST_PENDING: usize = 64 * 1024;

/// Places in the queue that are there without the budget's leave, so that a session with an ordinary
/// pipeline is followed where there is no room for records.
const FREE_PLACES: usize = 1024;

/// Places that a queue begins with.
const FIRST_PLACES: usize = 64;

/// Something that the client sent and the server will answer.
#[derive(Debug)]
pub(super) enum Asked {
    /// What was parsed, where there was room for it, and when it came.
    Parse(Option<Rc<Prepared>>, u64),
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
    pub(super) record: Budgeted,
    /// What is executed, where it was parsed before.
    pub(super) prepared: Option<Rc<Prepared>>,
    /// What its rows are made of, where that was told for this execution.
    pub(super) columns: Option<Rc<Columns>>,
    /// Formats of the columns, where the client chose them.
    pub(super) formats: Option<Rc<Formats>>,
    /// Rows that came.
    pub(super) rows: u64,
    /// How many characters of its text there are up to its end; 0 where it is not one of a text.
    pub(super) text_end: u32,
    /// The client has ended the data of a COPY for it.
    pub(super) copied: bool,
}

/// What an error is about.
#[derive(Debug)]
pub(super) enum Failing {
    Run(Running),
    Parse(Option<Rc<Prepared>>, u64),
}

/// Finds what an error is about among the questions that it ends: the first that was not answered, or what
/// is executed of it. `position` is the character that the error names.
pub(super) fn failing(asked: Vec<Asked>, position: Option<u32>) -> Option<Failing> {
    let mut asked = asked.into_iter();
    let first = asked.next()?;
    let (of, parse) = match first {
        Asked::Execute(running) => return Some(Failing::Run(running)),
        Asked::Statement(running) => {
            // A text that cannot be parsed fails as a whole, before its first statement.
            let is_behind = |it: &Running| position.is_some_and(|at| at > it.text_end);
            if !is_behind(&running) {
                return Some(Failing::Run(running));
            }
            let named = asked.find_map(|asked| match asked {
                Asked::Statement(other) if !is_behind(&other) => Some(other),
                _ => None,
            });
            return Some(Failing::Run(named.unwrap_or(running)));
        }
        Asked::Parse(prepared, began) => (prepared.clone(), Some((prepared, began))),
        Asked::Describe(described) => (described, None),
        Asked::Bind | Asked::Close | Asked::Ready => (None, None),
    };
    let is_of = |running: &Running| match (&of, &running.prepared) {
        (Some(of), Some(prepared)) => Rc::ptr_eq(of, prepared),
        (of, _) => of.is_none() && parse.is_none(),
    };
    let run = asked.find_map(|asked| match asked {
        Asked::Execute(running) if is_of(&running) => Some(running),
        _ => None,
    });
    let parse = parse.map(|(prepared, began)| Failing::Parse(prepared, began));
    run.map(Failing::Run).or(parse)
}

/// What is asked and not answered.
#[derive(Debug)]
pub(super) struct Pending {
    asked: VecDeque<Asked>,
    /// Pays for the places beyond the free ones.
    grant: Grant,
    is_full: bool,
}

impl Pending {
    pub(super) fn new(budget: &Budget) -> Self {
        Self {
            asked: VecDeque::new(),
            grant: Grant::new(budget),
            is_full: false,
        }
    }

    /// Adds a question. Where there is no room for it the queue is full for good, since nobody could
    /// say any more which answer belongs to what.
    pub(super) fn push(&mut self, asked: Asked) {
        if self.has_room() {
            self.asked.push_back(asked);
        } else {
            self.is_full = true;
        }
    }

    /// Whether more was asked than there was room for.
    pub(super) fn is_full(&self) -> bool {
        self.is_full
    }

    fn has_room(&mut self) -> bool {
        let places = self.asked.capacity();
        if self.asked.len() < places {
            return true;
        }
        let more = places
            .max(FIRST_PLACES)
            .min(MOST_PENDING.saturating_sub(places));
        let bytes = more * size_of::<Asked>();
        let has = more > 0 && (places < FREE_PLACES || self.grant.take(bytes).is_ok());
        if has {
            self.asked.reserve_exact(more);
        }
        has
    }

    /// Puts back what was taken from the front.
    pub(super) fn put_back(&mut self, asked: Asked) {
        self.asked.push_front(asked);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Asked> {
        self.asked.iter()
    }

    /// Takes all of it.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Asked> {
        self.asked.drain(..)
    }

    /// The statement that the server is answering. Whatever the client asked before it is done.
    pub(super) fn running(&mut self) -> Option<&mut Running> {
        let runs = |asked: &Asked| matches!(asked, Asked::Execute(_) | Asked::Statement(_));
        if self.reach(runs).is_none() {
            // An answer to nothing says that everything before it is done.
            let end = self.end();
            self.asked.drain(..end);
            return None;
        }
        self.first()
    }

    /// The statement that is first among the questions, if one is.
    pub(super) fn first(&mut self) -> Option<&mut Running> {
        match self.asked.front_mut() {
            Some(Asked::Execute(running) | Asked::Statement(running)) => Some(running),
            _ => None,
        }
    }

    /// The statement that data of a COPY from the client is for. What the client said before of the end of
    /// its pipeline said nothing: a server that copies passes over it, and answers the end behind the data.
    pub(super) fn copying(&mut self) -> Option<&mut Running> {
        let is_end = |asked: &Asked| matches!(asked, Asked::Ready);
        let mut ends = self.asked.iter().rev().take(FAR);
        let ends = ends.position(|asked| !is_end(asked));
        let last = ends.and_then(|ends| self.asked.len().checked_sub(ends + 1));
        // A text says its end itself, and waits for the answer.
        let is_of_pipeline =
            |last: &usize| matches!(self.asked.get(*last), Some(Asked::Execute(_)));
        let Some(last) = last.filter(is_of_pipeline) else {
            return self.running();
        };
        self.asked.truncate(last + 1);
        match self.asked.back_mut() {
            Some(Asked::Execute(running)) => Some(running),
            _ => None,
        }
    }

    /// The server takes data of a COPY from the client: an end of the pipeline that it was told with the
    /// statement is behind it, and passed over. Where the client did not wait for that and has sent the data,
    /// such ends are gone already, and the next is the one behind the data.
    pub(super) fn begin_copy(&mut self) {
        let is_end = |asked: &Asked| matches!(asked, Asked::Ready);
        if let Some(Asked::Execute(Running { copied: false, .. })) = self.running_asked() {
            let ends = self
                .asked
                .iter()
                .skip(1)
                .take_while(|asked| is_end(asked))
                .count();
            self.asked.drain(1..=ends);
        }
    }

    fn running_asked(&mut self) -> Option<&Asked> {
        self.running()?;
        self.asked.front()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.asked.is_empty()
    }

    /// Takes the first thing of a kind, with all before it; nothing where there is none up to the next
    /// end of a text or pipeline.
    pub(super) fn take(&mut self, is_kind: impl Fn(&Asked) -> bool) -> Option<Asked> {
        self.reach(is_kind)?;
        self.asked.pop_front()
    }

    /// Drops what stands before the first thing of a kind, if there is one near in this text or pipeline.
    fn reach(&mut self, is_kind: impl Fn(&Asked) -> bool) -> Option<()> {
        let ends = |asked: &Asked| matches!(asked, Asked::Ready);
        let mut near = self.asked.iter().take(FAR);
        let first = near.position(|asked| is_kind(asked) || ends(asked))?;
        let found = self.asked.get(first).is_some_and(is_kind);
        found.then(|| drop(self.asked.drain(..first)))
    }

    /// Takes what an error ends: all up to the end of the text or pipeline.
    pub(super) fn take_failed(&mut self) -> Vec<Asked> {
        let end = self.end();
        self.asked.drain(..end).collect()
    }

    /// Whether the client has said where the text or pipeline ends.
    pub(super) fn has_end(&self) -> bool {
        self.end() < self.asked.len()
    }

    fn end(&self) -> usize {
        let end = self
            .asked
            .iter()
            .position(|asked| matches!(asked, Asked::Ready));
        end.unwrap_or(self.asked.len())
    }

    /// The server is ready for the next text or pipeline.
    pub(super) fn ready(&mut self) {
        let end = self.end();
        self.asked.drain(..(end + 1).min(self.asked.len()));
        // A long queue is not worth its memory on an idle connection.
        if self.asked.is_empty() && self.asked.capacity() > FIRST_PLACES {
            self.asked = VecDeque::new();
            self.grant.give_back(usize::MAX);
        }
    }
}
