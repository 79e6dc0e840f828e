//! Sessions told message by message. What real servers and clients say is tested end to end.

use proptest::prelude::*;
use remora_store::call::{Call, CallError, Detail, Leg, Omitted, Protocol, Side, Sql};
use remora_store::sql;
use serde_json::{Value, json};

use crate::budget::Budget;
use crate::observe::{ConnectionFacts, End, Limits, Observer, Recorded};

mod answers;
mod budget;
mod kept;
mod order;
mod pieces;
mod session;
mod statements;
mod wire;

use wire::*;

struct Watched {
    observer: Observer,
    now: u64,
    out: Vec<Recorded>,
}

impl Watched {
    fn new(body_bytes: usize, budget_bytes: usize) -> Self {
        let facts = ConnectionFacts {
            id: 1,
            leg: Leg::Outbound,
            src: ([10, 0, 0, 1], 40_000).into(),
            dst: ([10, 0, 0, 2], 5432).into(),
            accepted_ns: 1_000_000,
        };
        let limits = Limits {
            body_bytes,
            head_bytes: 64 * 1024,
        };
        Self {
            observer: Observer::new(facts, limits, Budget::new(budget_bytes)),
            now: 0,
            out: Vec::new(),
        }
    }

    /// A session that stands.
    fn session() -> Self {
        let mut watched = Self::new(4096, 1 << 20);
        watched.client(&[startup()]);
        watched.server(&[welcome()]);
        watched
    }

    fn client(&mut self, messages: &[Vec<u8>]) -> &mut Self {
        self.say(Side::Client, &messages.concat())
    }

    fn server(&mut self, messages: &[Vec<u8>]) -> &mut Self {
        self.say(Side::Server, &messages.concat())
    }

    /// A text of one statement, which is answered at once.
    fn answered(&mut self, text: &str, tag: &str) -> &mut Self {
        self.client(&[query(text)])
            .server(&[done(tag), ready(b'I')])
    }

    fn say(&mut self, from: Side, bytes: &[u8]) -> &mut Self {
        self.now += 10;
        self.observer.bytes(from, bytes, self.now, &mut self.out);
        self
    }

    /// What runs now, as it is told to who asks.
    fn open(&self) -> Vec<Call> {
        let mut calls = Vec::new();
        self.observer.open_calls(self.now, &mut calls);
        calls
    }

    fn calls(&self) -> Vec<&Call> {
        self.out.iter().map(|recorded| &recorded.call).collect()
    }

    /// Command, fingerprint, values, rows and code of the error of each call.
    fn told(&self) -> Vec<Value> {
        self.calls().into_iter().map(told).collect()
    }
}

fn told(call: &Call) -> Value {
    let sql = detail(call);
    let statement = sql::statement(call);
    json!([
        sql.command,
        sql.fingerprint,
        statement.and_then(|it| it.params),
        sql.rows,
        sql.error.map(|error| error.code.to_string()),
    ])
}

fn detail(call: &Call) -> &Sql {
    match &call.detail {
        Detail::Sql(sql) => sql,
        other => panic!("it is no statement: {other:?}"),
    }
}

fn body(call: &Call) -> &str {
    str::from_utf8(&call.response.body).unwrap()
}
