//! What a pipeline, a value or a hostile server may take, and what is told all the same.

use remora_store::call::{Call, Detail, Leg, Omitted, Protocol, Side};

use crate::budget::Budget;
use crate::observe::{ConnectionFacts, Limits, Observer, Recorded};

const LIMITS: Limits = Limits {
    body_bytes: 4 * 1024,
    head_bytes: 64 * 1024,
};

struct Watched {
    observer: Observer,
    budget: Budget,
    now: u64,
    out: Vec<Recorded>,
}

impl Watched {
    fn new(budget_bytes: usize) -> Self {
        let facts = ConnectionFacts {
            id: 1,
            leg: Leg::Inbound,
            src: ([10, 0, 0, 1], 40_000).into(),
            dst: ([10, 0, 0, 2], 6379).into(),
            accepted_ns: 0,
        };
        let budget = Budget::new(budget_bytes);
        Self {
            observer: Observer::new(facts, LIMITS, budget.clone()),
            budget,
            now: 0,
            out: Vec::new(),
        }
    }

    fn say(&mut self, from: Side, bytes: &[u8]) {
        self.now += 10;
        self.observer.bytes(from, bytes, self.now, &mut self.out);
    }

    fn ask(&mut self, command: &str) {
        let words: Vec<&str> = command.split(' ').collect();
        let mut wire = format!("*{}\r\n", words.len());
        for word in words {
            wire.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        self.say(Side::Client, wire.as_bytes());
    }

    /// What was told is gone, and its room is free again.
    fn ship(&mut self) {
        for recorded in self.out.drain(..) {
            self.budget.give_back(recorded.cost_bytes);
        }
    }

    fn last(&self) -> &Call {
        &self.out.last().expect("a call").call
    }
}

fn command(call: &Call) -> (&str, &str) {
    match &call.detail {
        Detail::Redis(redis) => (&redis.command, &redis.key),
        _ => ("", ""),
    }
}

#[test]
fn a_long_pipeline_without_budget_is_counted_and_stays_in_step() {
    let mut watched = Watched::new(3_000);
    watched.ask("GET first");
    for _ in 0..100_000 {
        watched.ask("INCR counter");
    }
    watched.say(Side::Server, b"$-1\r\n");
    assert_eq!(command(watched.last()), ("GET", "first"));
    let recorded = watched.out.len();
    for _ in 0..100_000 {
        watched.say(Side::Server, b":1\r\n");
    }
    let told = watched.out.len() - 1;
    assert_eq!(watched.observer.take_dropped() as usize, 100_000 - told);
    assert!(recorded + told < 10, "{told} had room at a time");
    watched.ship();
    watched.ask("GET last");
    watched.say(Side::Server, b"$2\r\nok\r\n");
    assert_eq!(command(watched.last()), ("GET", "last"));
    assert_eq!(watched.last().connection.ordinal, 100_001);
    assert_eq!(&watched.last().response.body[..], b"$2\r\nok\r\n");
}

#[test]
fn commands_of_a_transaction_that_have_no_record_are_counted_in_its_reply() {
    let mut watched = Watched::new(5_000);
    watched.ask("MULTI");
    watched.say(Side::Server, b"+OK\r\n");
    for _ in 0..1_000 {
        watched.ask("INCR counter");
        watched.say(Side::Server, b"+QUEUED\r\n");
    }
    watched.ship();
    watched.ask("EXEC");
    let mut reply = b"*1000\r\n".to_vec();
    reply.extend(b":1\r\n".repeat(1_000));
    watched.say(Side::Server, &reply);
    assert_eq!(command(watched.last()), ("EXEC", ""));
    watched.ship();
    watched.ask("GET last");
    watched.say(Side::Server, b"$2\r\nok\r\n");
    assert_eq!(command(watched.last()), ("GET", "last"));
    assert_eq!(watched.last().protocol, Protocol::Redis);
}

#[test]
fn of_a_large_value_only_the_beginning_is_kept() {
    let mut watched = Watched::new(1 << 20);
    watched.say(
        Side::Client,
        b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$104857600\r\n",
    );
    let piece = vec![b'x'; 1 << 20];
    for _ in 0..100 {
        watched.say(Side::Client, &piece);
        assert!(watched.budget.used_bytes() < 16 * 1024);
    }
    watched.say(Side::Client, b"\r\n");
    watched.say(Side::Server, b"+OK\r\n");
    let call = watched.last();
    assert_eq!(call.request.body_size, 104_857_604);
    assert_eq!(call.request.omitted, Some(Omitted::Limit));
    assert_eq!(call.phases.request_last, Some(1020));
}

#[test]
fn what_is_sent_unasked_belongs_to_a_call_of_its_own() {
    let mut watched = Watched::new(1 << 20);
    watched.ask("PING");
    watched.say(Side::Server, b"+PONG\r\n>2\r\n+news\r\n:1\r\n");
    watched.observer.closed(Side::Client, 100, &mut watched.out);
    let call = watched.last();
    assert_eq!(command(call), ("PUSH", ""));
    assert_eq!(call.stream.as_ref().map(|it| it.server_messages), Some(1));
}

#[test]
fn a_first_word_without_end_is_not_held() {
    let mut watched = Watched::new(1 << 20);
    watched.ask("SUBSCRIBE a");
    watched.say(Side::Server, b"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n");
    watched.say(Side::Server, b"*3\r\n$104857600\r\n");
    watched.ask("PING");
    for _ in 0..10 {
        watched.say(Side::Server, &[b'x'; 100_000]);
    }
    assert!(watched.budget.used_bytes() < 32 * 1024);
    let mut open = Vec::new();
    watched.observer.open_calls(u64::MAX, &mut open);
    let ping = open.iter().find(|call| command(call) == ("PING", ""));
    assert_eq!(ping.map(|call| call.response.body_size), Some(1_000_000));
}

#[test]
fn in_resp3_an_array_is_a_reply_whatever_its_first_word() {
    let mut watched = Watched::new(1 << 20);
    watched.ask("HELLO 3");
    watched.say(Side::Server, b"%1\r\n$5\r\nproto\r\n:3\r\n");
    watched.ask("SUBSCRIBE news");
    watched.say(Side::Server, b">3\r\n+subscribe\r\n+news\r\n:1\r\n");
    watched.ask("LRANGE list 0 -1");
    watched.say(Side::Server, b"*2\r\n+message\r\n+x\r\n");
    assert_eq!(command(watched.last()), ("LRANGE", "list"));
    assert_eq!(
        &watched.last().response.body[..],
        b"*2\r\n+message\r\n+x\r\n"
    );
    watched.say(Side::Server, b">3\r\n+message\r\n+news\r\n+hi\r\n");
    watched.ask("GET a");
    watched.say(Side::Server, b"+7\r\n");
    assert_eq!(command(watched.last()), ("GET", "a"));
    assert_eq!(&watched.last().response.body[..], b"+7\r\n");
    watched.observer.closed(Side::Client, 100, &mut watched.out);
    assert_eq!(command(watched.last()), ("SUBSCRIBE", "news"));
    let stream = watched.last().stream.as_ref();
    assert_eq!(stream.map(|it| it.server_messages), Some(1));
}
