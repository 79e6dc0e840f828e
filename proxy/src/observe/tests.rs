use remora_store::call::{CallError, Omitted, Phases, Protocol, State};

use super::*;

const LIMITS: Limits = Limits {
    body_bytes: 4 * 1024,
    head_bytes: 64 * 1024,
};

fn observer(limits: Limits, budget: &Budget) -> Observer {
    let facts = ConnectionFacts {
        id: 1,
        leg: Leg::Inbound,
        src: ([10, 0, 0, 1], 40_000).into(),
        dst: ([10, 0, 0, 2], 80).into(),
        accepted_ns: 1_000_000,
    };
    Observer::new(facts, limits, budget.clone())
}

/// An observer with its clock and what it gave out.
struct Watched {
    observer: Observer,
    budget: Budget,
    now: u64,
    out: Vec<Recorded>,
}

impl Watched {
    fn new(limits: Limits, budget_bytes: usize) -> Self {
        let budget = Budget::new(budget_bytes);
        Self {
            observer: observer(limits, &budget),
            budget,
            now: 0,
            out: Vec::new(),
        }
    }

    fn client(&mut self, bytes: &str) {
        self.now += 10;
        self.observer
            .bytes(Side::Client, bytes.as_bytes(), self.now, &mut self.out);
    }

    fn server(&mut self, bytes: &str) {
        self.now += 10;
        self.observer
            .bytes(Side::Server, bytes.as_bytes(), self.now, &mut self.out);
    }

    fn open(&self) -> Vec<Call> {
        let mut calls = Vec::new();
        self.observer.open_calls(self.now, &mut calls);
        calls
    }
}

#[test]
fn an_exchange_is_told_with_its_phases() {
    let mut watched = Watched::new(LIMITS, 1 << 20);
    watched.observer.connected(
        5,
        ([10, 0, 0, 2], 50_000).into(),
        ([10, 0, 0, 3], 80).into(),
    );
    watched.client("POST /a HTTP/1.1\r\nContent-Length: 4\r\n\r\nab");
    watched.client("cd");
    watched.server("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
    assert!(watched.out.is_empty(), "the response is not complete yet");
    watched.server("ok");
    let call = &watched.out[0].call;
    assert_eq!(
        (call.protocol, call.state),
        (Protocol::Http1, State::Complete)
    );
    assert_eq!(&call.request.body[..], b"abcd");
    assert_eq!(&call.response.body[..], b"ok");
    assert_eq!(call.time_ns, 1_000_010);
    assert_eq!(
        call.phases,
        Phases {
            connected: Some(5),
            request_first: Some(10),
            request_last: Some(20),
            response_first: Some(30),
            response_last: Some(40),
            closed: None,
        }
    );
}

#[test]
fn what_runs_is_told_while_it_runs() {
    let mut watched = Watched::new(LIMITS, 1 << 20);
    watched.client("GET /events HTTP/1.1\r\n\r\n");
    watched.server("HTTP/1.1 200 OK\r\n\r\ndata: 1\n\n");
    let open = watched.open();
    assert_eq!(open.len(), 1);
    assert_eq!(open[0].state, State::Open);
    assert_eq!(&open[0].response.body[..], b"data: 1\n\n");
    let mut earlier = Vec::new();
    watched.observer.open_calls(9, &mut earlier);
    assert!(earlier.is_empty(), "it had not begun by then");
    watched
        .observer
        .end(Side::Server, End::Closed, 100, &mut watched.out);
    assert!(watched.open().is_empty());
    let call = &watched.out[0].call;
    assert_eq!(call.phases.response_last, Some(20));
    assert_eq!(
        (call.closed_by, call.phases.closed),
        (Some(Side::Server), Some(100))
    );
    assert_eq!(call.error, None);
}

#[test]
fn bodies_are_kept_up_to_the_limit_and_counted_beyond() {
    let mut watched = Watched::new(LIMITS, 1 << 20);
    watched.client("GET / HTTP/1.1\r\n\r\n");
    watched.server("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
    for _ in 0..100 {
        watched.server(&"x".repeat(1000));
    }
    let recorded = &watched.out[0];
    assert_eq!(recorded.call.response.body.len(), LIMITS.body_bytes);
    assert_eq!(recorded.call.response.body_size, 100_000);
    assert_eq!(recorded.call.response.omitted, Some(Omitted::Limit));
    assert_eq!(watched.budget.used_bytes(), recorded.cost_bytes);
}

#[test]
fn without_budget_for_a_body_the_head_is_kept() {
    let mut watched = Watched::new(LIMITS, 2_000);
    watched.client("POST / HTTP/1.1\r\nContent-Length: 3000\r\n\r\n");
    watched.client(&"x".repeat(3000));
    watched.server("HTTP/1.1 204 No Content\r\n\r\n");
    let call = &watched.out[0].call;
    assert_eq!(call.request.omitted, Some(Omitted::Budget));
    assert_eq!((call.request.body.len(), call.request.body_size), (0, 3000));
    assert!(call.response.head.starts_with(b"HTTP/1.1 204"));
}

#[test]
fn without_budget_for_a_head_the_record_is_dropped_and_the_next_one_is_right() {
    let mut watched = Watched::new(LIMITS, 2_000);
    let long = "x".repeat(3000);
    watched.client(&format!(
        "GET /{long} HTTP/1.1\r\nContent-Length: 2\r\n\r\nab"
    ));
    watched.client("GET /next HTTP/1.1\r\n\r\n");
    watched.server("HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(watched.observer.take_dropped(), 1);
    assert_eq!(watched.observer.take_dropped(), 0);
    assert_eq!(watched.out.len(), 1);
    let call = &watched.out[0].call;
    assert_eq!(call.connection.ordinal, 1);
    assert!(call.request.head.starts_with(b"GET /next"));
    assert!(call.response.head.starts_with(b"HTTP/1.1 200"));
}

#[test]
fn a_head_beyond_its_limit_is_cut_and_the_exchange_goes_on() {
    let limits = Limits {
        head_bytes: 100,
        ..LIMITS
    };
    let mut watched = Watched::new(limits, 1 << 20);
    let long = "x".repeat(500);
    watched.client(&format!(
        "POST / HTTP/1.1\r\nA: {long}\r\nContent-Length: 2\r\n\r\nab"
    ));
    watched.server("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let call = &watched.out[0].call;
    assert_eq!(call.request.head.len(), 100);
    assert_eq!(call.request.omitted, Some(Omitted::Head));
    assert_eq!(&call.request.body[..], b"ab");
}

#[test]
fn a_thrown_away_observer_gives_its_budget_back() {
    let mut watched = Watched::new(LIMITS, 1 << 20);
    watched.client("POST / HTTP/1.1\r\nContent-Length: 3000\r\n\r\nabc");
    assert!(watched.budget.used_bytes() > 0);
    drop(watched.observer);
    assert_eq!(watched.budget.used_bytes(), 0);
}

#[test]
fn every_byte_taken_is_in_the_cost_of_a_record() {
    let mut watched = Watched::new(LIMITS, 1 << 20);
    watched.client("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
    for _ in 0..50 {
        watched.client("3\r\nabc\r\n");
    }
    watched.client("0\r\nX-Sum: 1\r\n\r\n");
    watched.server("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
    watched.server("HTTP/1.1 103 Early Hints\r\nLink: </b>\r\n\r\n");
    watched.server("HTTP/1.1 200 OK\r\n");
    watched.server("Content-Length: 0\r\n\r\n");
    let recorded = &watched.out[0];
    assert_eq!(recorded.call.request.body_size, 150);
    assert_eq!(recorded.cost_bytes, watched.budget.used_bytes());
}

#[test]
fn a_connection_that_never_was_gives_one_record() {
    let mut watched = Watched::new(LIMITS, 1 << 20);
    watched
        .observer
        .connect_failed(7, CallError::ConnectRefused, &mut watched.out);
    watched.observer.closed(Side::Sidecar, 9, &mut watched.out);
    assert_eq!(watched.out.len(), 1);
    let call = &watched.out[0].call;
    assert_eq!(call.error, Some(CallError::ConnectRefused));
    assert_eq!(call.phases.closed, Some(7));
}

#[test]
fn an_idle_connection_takes_little_memory() {
    // Beside these there is a short queue, empty.
    assert!(size_of::<Observer>() + size_of::<Http1>() < 768);
}

#[test]
fn only_so_many_requests_wait_for_their_responses() {
    let mut watched = Watched::new(LIMITS, 64 << 20);
    for _ in 0..2_000 {
        watched.client("GET / HTTP/1.1\r\n\r\n");
    }
    let open = watched.open();
    assert_eq!(
        open.len(),
        1025,
        "1024 requests, and the rest as one opaque call"
    );
    assert_eq!(open[1024].protocol, Protocol::Opaque);
}

#[test]
fn a_sidecar_that_stops_says_so_of_what_runs() {
    let mut watched = Watched::new(LIMITS, 1 << 20);
    watched.client("GET /1 HTTP/1.1\r\n\r\n");
    watched.server("HTTP/1.1 204 No Content\r\n\r\n");
    watched.client("GET /2 HTTP/1.1\r\n\r\n");
    watched.server("HTTP/1.1 200 OK\r\n\r\nuntil close");
    watched.observer.closed(Side::Sidecar, 50, &mut watched.out);
    let [first, second] = &watched.out[..] else {
        panic!("{:?}", watched.out);
    };
    assert_eq!(first.call.error, None);
    assert_eq!(second.call.error, Some(CallError::SidecarStopped));
    assert_eq!(second.call.closed_by, Some(Side::Sidecar));
    assert_eq!(second.call.phases.response_last, None);
}

#[test]
fn a_close_without_its_end_counts_as_one() {
    let mut watched = Watched::new(LIMITS, 1 << 20);
    watched.client("GET / HTTP/1.1\r\n\r\n");
    watched.server("HTTP/1.1 200 OK\r\n\r\nuntil close");
    watched.observer.closed(Side::Server, 50, &mut watched.out);
    let call = &watched.out[0].call;
    assert_eq!(call.error, None);
    assert_eq!(call.phases.response_last, Some(20));
    assert_eq!(call.closed_by, Some(Side::Server));
}

#[test]
fn a_request_begins_with_its_own_first_byte() {
    let mut watched = Watched::new(LIMITS, 1 << 20);
    for piece in ["\r\n", "\r\nG", "E", "T / HTTP/1.1\r\n\r\n"] {
        watched.client(piece);
    }
    watched.server("HTTP/1.1 204 No Content\r\n\r\n");
    let phases = watched.out[0].call.phases;
    assert_eq!(
        (phases.request_first, phases.request_last),
        (Some(20), Some(40))
    );
}
