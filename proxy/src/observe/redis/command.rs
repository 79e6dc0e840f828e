//! What a command is and what it is about, told from its arguments as they pass.
//!
//! Of an argument only the beginning is looked at. Credentials are known by their place: from there
//! on nothing of the command is to be kept.

use std::borrow::Cow;

use super::shapes::{Shape, shape_of};

/// Longest key that is told; of a longer one this much.
pub(super) const KEY_BYTES: usize = 256;

/// Longest name of a command, or of its second half.
const NAME_BYTES: usize = 32;

/// What a command does to its connection, as far as the reader of replies has to know.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Effect {
    #[default]
    None,
    Multi,
    Exec,
    Discard,
    /// It is answered once for each of its channels.
    Subscribe(Class),
    Unsubscribe(Class),
    Monitor,
    Tracking {
        on: bool,
    },
    Hello,
    /// The commands behind it are for this database.
    Select(u32),
    Reset,
    /// The connection becomes one of replication, which is another protocol.
    Replicate,
    /// `CLIENT REPLY`: whether this command and those behind it are answered.
    Replies(Replies),
}

/// What is subscribed to: each is counted by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Channel,
    Pattern,
    Shard,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Replies {
    #[default]
    On,
    Off,
    /// Neither this command nor the next one is answered.
    Skip,
}

/// A command while its arguments come.
#[derive(Debug, Default)]
pub(super) struct Command {
    /// How many arguments there are, with the name.
    arguments: u64,
    /// Which of them comes next.
    next: u64,
    /// The beginning of the argument that is coming.
    text: Vec<u8>,
    name: Cow<'static, str>,
    shape: Option<Shape>,
    key: Option<String>,
    /// The number in a command that says how many keys it has.
    counted: u64,
    /// Where the word `STREAMS` stood.
    streams: Option<u64>,
    effect: Effect,
    withheld: Withheld,
}

/// What must not be kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Withheld {
    /// The arguments that follow.
    pub(super) arguments: bool,
    /// The reply.
    pub(super) reply: bool,
}

/// What a complete command has told.
#[derive(Debug)]
pub(super) struct About {
    /// In capitals, with its second half where it has one; empty where that is no name.
    pub(super) name: Cow<'static, str>,
    /// The first key or channel.
    pub(super) key: Option<String>,
    /// How many keys or channels there are.
    pub(super) keys: u64,
    pub(super) effect: Effect,
}

impl Command {
    /// A command of so many arguments begins.
    pub(super) fn begin(&mut self, arguments: u64) {
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        *self = Self {
            arguments,
            text,
            ..Self::default()
        };
    }

    /// What must not be kept, as far as the arguments that are complete tell.
    pub(super) fn withheld(&self) -> Withheld {
        self.withheld
    }

    /// A piece of the argument that is coming.
    pub(super) fn text(&mut self, piece: &[u8]) {
        let room = (KEY_BYTES + 1).saturating_sub(self.text.len());
        if room > 0 && self.wants_next() {
            let piece = piece.get(..room).unwrap_or(piece);
            self.text.extend_from_slice(piece);
        }
    }

    /// Whether the argument that is coming may say anything of interest.
    fn wants_next(&self) -> bool {
        match self.shape {
            None => true,
            Some(Shape::Streams) => self.key.is_none(),
            Some(_) => self.next <= 3 || self.effect == Effect::Hello,
        }
    }

    /// That argument is complete.
    pub(super) fn end_argument(&mut self) {
        let text = std::mem::take(&mut self.text);
        match (self.next, self.shape) {
            (0, _) => self.take_name(&text),
            (1, Some(Shape::Container | Shape::Behind)) => self.take_second_half(&text),
            (1, _) if self.name == "SELECT" => self.effect = selected(&text),
            (2, Some(Shape::Container)) => self.take_switch(&text),
            _ => {}
        }
        if self.effect == Effect::Hello && text.eq_ignore_ascii_case(b"AUTH") {
            self.withheld.arguments = true;
        }
        self.look_for_key(&text);
        self.next += 1;
        self.text = text;
        self.text.clear();
    }

    fn take_name(&mut self, text: &[u8]) {
        let Some(name) = word(text) else {
            self.shape = Some(Shape::Keyless);
            return;
        };
        let (known, shape) = shape_of(&name);
        self.shape = Some(shape);
        self.name = known.map_or(Cow::Owned(name), Cow::Borrowed);
        self.withheld.arguments = matches!(&*self.name, "AUTH" | "MIGRATE");
        self.effect = match &*self.name {
            "MULTI" => Effect::Multi,
            "EXEC" => Effect::Exec,
            "DISCARD" => Effect::Discard,
            "SUBSCRIBE" => Effect::Subscribe(Class::Channel),
            "PSUBSCRIBE" => Effect::Subscribe(Class::Pattern),
            "SSUBSCRIBE" => Effect::Subscribe(Class::Shard),
            "UNSUBSCRIBE" => Effect::Unsubscribe(Class::Channel),
            "PUNSUBSCRIBE" => Effect::Unsubscribe(Class::Pattern),
            "SUNSUBSCRIBE" => Effect::Unsubscribe(Class::Shard),
            "MONITOR" => Effect::Monitor,
            "HELLO" => Effect::Hello,
            "RESET" => Effect::Reset,
            "SYNC" | "PSYNC" => Effect::Replicate,
            _ => Effect::None,
        };
    }

    fn take_second_half(&mut self, text: &[u8]) {
        let second = word(text).unwrap_or_default();
        let (arguments, reply) = match (&*self.name, &*second) {
            // Passwords, and digests of them.
            ("ACL", _) => (true, true),
            // A pattern such as `*` is answered with passwords too.
            ("CONFIG", "GET") => (false, true),
            // The calls of others, with all their arguments.
            ("SLOWLOG", "GET") => (false, true),
            ("CONFIG" | "SENTINEL", "SET") | ("SENTINEL", "CONFIG") => (true, true),
            ("MODULE", "LOAD" | "LOADEX") => (true, false),
            _ => (false, false),
        };
        self.withheld = Withheld { arguments, reply };
        if !second.is_empty() {
            self.name = Cow::Owned(format!("{} {second}", self.name));
        }
    }

    fn take_switch(&mut self, text: &[u8]) {
        let switch = word(text).unwrap_or_default();
        self.effect = match (&*self.name, &*switch) {
            ("CLIENT TRACKING", "ON") => Effect::Tracking { on: true },
            ("CLIENT TRACKING", "OFF") => Effect::Tracking { on: false },
            ("CLIENT REPLY", "ON") => Effect::Replies(Replies::On),
            ("CLIENT REPLY", "OFF") => Effect::Replies(Replies::Off),
            ("CLIENT REPLY", "SKIP") => Effect::Replies(Replies::Skip),
            _ => return,
        };
    }

    fn look_for_key(&mut self, text: &[u8]) {
        let place = match self.shape {
            None | Some(Shape::Keyless | Shape::Container) => return,
            Some(Shape::Counted(at)) if self.next == at => return self.count(text),
            Some(Shape::Counted(at)) if self.counted > 0 => at + 1,
            Some(Shape::Counted(_)) => return,
            Some(Shape::StoreCounted) if self.next == 2 => return self.count(text),
            Some(Shape::Behind | Shape::BitOp) => 2,
            Some(Shape::Streams) => match self.streams {
                Some(at) => at + 1,
                None if text.eq_ignore_ascii_case(b"STREAMS") => {
                    self.streams = Some(self.next);
                    return;
                }
                None => return,
            },
            Some(_) => 1,
        };
        if self.next == place {
            self.key = Some(shown(text));
        }
    }

    fn count(&mut self, text: &[u8]) {
        let number = std::str::from_utf8(text).ok();
        self.counted = number.and_then(|n| n.parse().ok()).unwrap_or_default();
    }

    /// The command is complete; `None` if it has no arguments, and so is none.
    pub(super) fn finish(&mut self) -> Option<About> {
        let behind = |at: u64| self.arguments.saturating_sub(at + 1);
        let operands = behind(0);
        let keys = match self.shape {
            _ if self.key.is_none() => 0,
            None | Some(Shape::Keyless | Shape::Container) => 0,
            Some(Shape::First | Shape::Behind) => 1,
            Some(Shape::Two) => 2,
            Some(Shape::All) => operands,
            Some(Shape::AllButLast | Shape::BitOp) => behind(1),
            Some(Shape::EverySecond) => operands.div_ceil(2),
            Some(Shape::Counted(_)) => self.counted,
            Some(Shape::StoreCounted) => self.counted.saturating_add(1),
            Some(Shape::Streams) => self.streams.map_or(0, behind) / 2,
        };
        (self.arguments > 0).then(|| About {
            name: std::mem::take(&mut self.name),
            key: self.key.take(),
            keys: keys.min(operands),
            effect: self.effect,
        })
    }
}

fn selected(text: &[u8]) -> Effect {
    let number = std::str::from_utf8(text).ok().and_then(|n| n.parse().ok());
    number.map_or(Effect::None, Effect::Select)
}

/// A name, in capitals; `None` for what is none.
fn word(text: &[u8]) -> Option<String> {
    let is_letter = |b: &u8| b.is_ascii_alphanumeric() || b"._-".contains(b);
    let is_word = !text.is_empty() && text.len() <= NAME_BYTES && text.iter().all(is_letter);
    let text = std::str::from_utf8(text).ok().filter(|_| is_word)?;
    Some(text.to_ascii_uppercase())
}

/// A key as text: what is neither UTF-8 nor fit to be shown is escaped as Redis does it (`\xff`), and
/// of a long one the beginning is there, with `…` behind it.
fn shown(key: &[u8]) -> String {
    let cut = key.len() > KEY_BYTES;
    let key = key.get(..KEY_BYTES).unwrap_or(key);
    let mut text = String::with_capacity(key.len());
    for chunk in key.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character.is_control() {
                true => text.extend(character.escape_default()),
                false => text.push(character),
            }
        }
        text.extend(chunk.invalid().escape_ascii().map(char::from));
    }
    if cut {
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    /// A command whose arguments come in pieces of two bytes.
    fn command(words: &[&str]) -> (About, Withheld) {
        let mut command = Command::default();
        command.begin(words.len() as u64);
        for word in words {
            word.as_bytes()
                .chunks(2)
                .for_each(|piece| command.text(piece));
            command.end_argument();
        }
        let withheld = command.withheld();
        (command.finish().expect("a command"), withheld)
    }

    #[test_case("get a", ("GET", Some("a"), 1); "small letters")]
    #[test_case("PING", ("PING", None, 0); "no key")]
    #[test_case("MSET a 1 b 2", ("MSET", Some("a"), 2); "pairs")]
    #[test_case("DEL a b c", ("DEL", Some("a"), 3); "all")]
    #[test_case("BLPOP a b 0", ("BLPOP", Some("a"), 2); "all but the last")]
    #[test_case("RENAME a b", ("RENAME", Some("a"), 2); "two")]
    #[test_case("EVAL s 2 a b c", ("EVAL", Some("a"), 2); "counted")]
    #[test_case("EVAL s 0 c", ("EVAL", None, 0); "counted to none")]
    #[test_case("EVAL s 9 a", ("EVAL", Some("a"), 3); "miscounted")]
    #[test_case("LMPOP 2 a b LEFT", ("LMPOP", Some("a"), 2); "counted first")]
    #[test_case("ZUNIONSTORE d 2 a b", ("ZUNIONSTORE", Some("d"), 3); "stored")]
    #[test_case("BITOP AND d a b", ("BITOP", Some("d"), 3); "behind an operation")]
    #[test_case("XREADGROUP GROUP g c COUNT 1 STREAMS a b > >", ("XREADGROUP", Some("a"), 2); "streams")]
    #[test_case("OBJECT ENCODING a", ("OBJECT ENCODING", Some("a"), 1); "behind half a name")]
    #[test_case("MEMORY DOCTOR", ("MEMORY DOCTOR", None, 0); "nothing behind half a name")]
    #[test_case("client setname x", ("CLIENT SETNAME", None, 0); "two halves")]
    #[test_case("PUBLISH news hi", ("PUBLISH", Some("news"), 1); "a channel")]
    #[test_case("FT.SEARCH idx *", ("FT.SEARCH", Some("idx"), 1); "a module's")]
    #[test_case("NEWCOMMAND a", ("NEWCOMMAND", None, 0); "not known")]
    #[test_case("what? a", ("", None, 0); "no name")]
    fn a_command_is_about_its_first_key(words: &str, expected: (&str, Option<&str>, u64)) {
        let words: Vec<&str> = words.split(' ').collect();
        let (about, _) = command(&words);
        assert_eq!((&*about.name, about.key.as_deref(), about.keys), expected);
    }

    #[test_case("AUTH x", (true, false))]
    #[test_case("HELLO 3 AUTH u x", (true, false))]
    #[test_case("HELLO 3 SETNAME a AUTH u x", (true, false); "behind a name")]
    #[test_case("HELLO 3", (false, false); "no password")]
    #[test_case("config set requirepass x", (true, true); "set")]
    #[test_case("CONFIG GET *", (false, true); "got")]
    #[test_case("CONFIG REWRITE", (false, false); "neither")]
    #[test_case("ACL SETUSER a >x", (true, true))]
    #[test_case("MIGRATE h 1 k 0 5 AUTH x", (true, false))]
    #[test_case("SENTINEL SET m auth-pass x", (true, true))]
    #[test_case("SET auth x", (false, false); "a key")]
    fn credentials_are_known_by_their_place(words: &str, expected: (bool, bool)) {
        let words: Vec<&str> = words.split(' ').collect();
        let (_, withheld) = command(&words);
        assert_eq!((withheld.arguments, withheld.reply), expected);
    }

    #[test]
    fn a_long_key_is_cut_and_a_strange_one_escaped() {
        let long = "k".repeat(300);
        let (about, _) = command(&["GET", &long]);
        let key = about.key.expect("a key");
        assert_eq!(key.chars().count(), KEY_BYTES + 1);
        assert!(key.ends_with('…'));
        assert_eq!(shown(b"a\xff\nb"), "a\\xff\\nb");
    }
}
