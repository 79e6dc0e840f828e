//! Commands in the order in which they are answered.
//!
//! Those that have no record and do nothing but be answered are kept as one with a number: so the
//! queue is as short as the budget, whatever a client pipelines.

use std::collections::VecDeque;

use super::exchange::Exchange;

/// The queue, oldest first.
#[derive(Debug, Default)]
pub(super) struct Queue {
    exchanges: VecDeque<Exchange>,
    commands: u64,
}

impl Queue {
    /// How many commands it holds.
    pub(super) fn commands(&self) -> u64 {
        self.commands
    }

    /// How many places they take.
    pub(super) fn len(&self) -> usize {
        self.exchanges.len()
    }

    pub(super) fn push(&mut self, exchange: Exchange) {
        self.commands += exchange.commands;
        self.exchanges.push_back(exchange);
        self.fold();
    }

    /// Makes one of the last two where neither has more to tell than that it is there.
    pub(super) fn fold(&mut self) {
        let Some(last) = self.exchanges.pop_back_if(|last| last.is_bare()) else {
            return;
        };
        match self.exchanges.back_mut() {
            Some(before) if before.is_bare() => before.commands += last.commands,
            _ => self.exchanges.push_back(last),
        }
    }

    /// The command that is answered next.
    pub(super) fn front(&mut self) -> Option<&mut Exchange> {
        self.exchanges.front_mut()
    }

    /// The command that came last.
    pub(super) fn back(&mut self) -> Option<&mut Exchange> {
        self.exchanges.back_mut()
    }

    /// Takes the command that is answered next.
    pub(super) fn pop(&mut self) -> Option<Exchange> {
        let front = self.exchanges.front_mut()?;
        self.commands -= 1;
        if front.commands > 1 {
            front.commands -= 1;
            return Some(Exchange::bare());
        }
        let front = self.exchanges.pop_front();
        // A long queue is not worth its memory on an idle connection.
        if self.exchanges.is_empty() && self.exchanges.capacity() > 8 {
            self.exchanges = VecDeque::new();
        }
        front
    }

    /// Takes the command that came last, which stands for itself alone.
    pub(super) fn pop_back(&mut self) -> Option<Exchange> {
        let last = self.exchanges.pop_back()?;
        self.commands -= last.commands;
        Some(last)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Exchange> {
        self.exchanges.iter()
    }

    /// Takes them all.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Exchange> {
        self.commands = 0;
        std::mem::take(&mut self.exchanges).into_iter()
    }
}
