//! What a connection has been told to be.

use super::command::{Class, Effect, Replies};
use super::resp::Kind;

/// The state of a session, as far as its commands and their replies tell.
#[derive(Debug)]
pub(super) struct Session {
    /// The database that commands are for.
    pub(super) database: u32,
    /// Version of the protocol, 2 or 3.
    pub(super) version: u32,
    /// Which commands are answered.
    pub(super) replies: Replies,
    /// What is subscribed to: channels, patterns, channels of shards.
    subscribed: [u64; 3],
}

impl Session {
    pub(super) fn new() -> Self {
        Self {
            database: 0,
            version: 2,
            replies: Replies::On,
            subscribed: [0; 3],
        }
    }

    /// A command went well, and was answered with a value of this kind.
    pub(super) fn apply(&mut self, effect: Effect, answer: Option<Kind>) {
        match effect {
            Effect::Select(database) => self.database = database,
            // The answer is a map in the version that has maps.
            Effect::Hello => self.version = if answer == Some(Kind::Map) { 3 } else { 2 },
            Effect::Reset => *self = Self::new(),
            _ => {}
        }
    }

    /// Whether a command is answered that switches replies by `switch`, if it does.
    pub(super) fn expects_reply(&mut self, switch: Option<Replies>) -> bool {
        match (switch, self.replies) {
            (Some(Replies::Skip), Replies::Off) => return false,
            (Some(switch), _) => self.replies = switch,
            (None, Replies::Skip) => {
                self.replies = Replies::On;
                return false;
            }
            (None, _) => {}
        }
        self.replies == Replies::On
    }

    /// How much of a class is subscribed to.
    pub(super) fn subscribed(&self, class: Class) -> u64 {
        let [channels, patterns, shards] = self.subscribed;
        match class {
            Class::Channel => channels,
            Class::Pattern => patterns,
            Class::Shard => shards,
        }
    }

    /// Nothing is subscribed to.
    pub(super) fn is_free(&self) -> bool {
        self.subscribed == [0; 3]
    }

    /// A change of subscriptions was told, with how many there are now: of shards by themselves, of
    /// channels and patterns together.
    pub(super) fn note_subscriptions(&mut self, class: Class, now: u64) {
        let [channels, patterns, shards] = &mut self.subscribed;
        match class {
            Class::Channel => *channels = now.saturating_sub(*patterns),
            Class::Pattern => *patterns = now.saturating_sub(*channels),
            Class::Shard => *shards = now,
        }
    }
}
