//! Raw exchanges as data: what client and server send, byte by byte, and how they end.
//!
//! The files in `corpus/` are read by people first. An exchange begins with `== name`; lines that
//! begin with `#` say what it shows. Then, one line each:
//!
//! ```text
//! client: GET / HTTP/1.1\r\n          bytes, with the escapes \r \n \t \0 \\ \xNN
//! server hex: 16 03 01  # what it is  bytes in hexadecimal
//! client repeat 1000: abc             the same bytes many times (`repeat 1000 hex:` too)
//! --                                  the next line is a write of its own
//! client fin                          closes its direction
//! server rst                          resets the connection
//! ```
//!
//! Lines of one side that follow each other are one write. Every exchange ends with a `fin` of
//! both sides, or with one `rst`.

use remora_store::call::Side;

const FILES: &[(&str, &str)] = &[
    ("messages", include_str!("corpus/messages.txt")),
    ("order", include_str!("corpus/order.txt")),
    ("malformed", include_str!("corpus/malformed.txt")),
    ("closing", include_str!("corpus/closing.txt")),
    ("tunnels", include_str!("corpus/tunnels.txt")),
    ("websocket", include_str!("corpus/websocket.txt")),
    ("events", include_str!("corpus/events.txt")),
    ("http2", include_str!("corpus/http2.txt")),
    ("tls", include_str!("corpus/tls.txt")),
    ("redis", include_str!("corpus/redis.txt")),
    ("opaque", include_str!("corpus/opaque.txt")),
];

/// One connection from its first byte to its end.
#[derive(Debug, Clone)]
pub(crate) struct Exchange {
    /// The file it is in.
    pub(crate) group: &'static str,
    /// What it is, unique in the corpus.
    pub(crate) name: &'static str,
    /// What happens, in this order: each step has arrived before the next one begins.
    pub(crate) steps: Vec<Step>,
}

/// What one side does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) side: Side,
    pub(crate) action: Action,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// Sends bytes; never none.
    Send(Vec<u8>),
    /// Closes its direction (FIN).
    Fin,
    /// Resets the connection (RST); always the last step.
    Rst,
}

/// Every exchange of the corpus.
pub(crate) fn exchanges() -> Vec<Exchange> {
    let read = |(group, text): &(&'static str, &'static str)| read_file(group, text);
    FILES.iter().flat_map(read).collect()
}

fn read_file(group: &'static str, text: &'static str) -> Vec<Exchange> {
    let mut exchanges: Vec<Exchange> = Vec::new();
    // The step that further bytes of the same side are added to.
    let mut joins = false;
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(name) = line.strip_prefix("== ") {
            exchanges.push(Exchange {
                group,
                name,
                steps: Vec::new(),
            });
            joins = false;
            continue;
        }
        let exchange = exchanges.last_mut().expect("a file begins with `== name`");
        if line == "--" {
            joins = false;
        } else if !line.starts_with('#') {
            let step = read_step(line).unwrap_or_else(|| panic!("{group}: cannot read {line:?}"));
            add(&mut exchange.steps, step, joins);
            joins = true;
        }
    }
    exchanges
}

fn add(steps: &mut Vec<Step>, step: Step, joins: bool) {
    if let (Action::Send(bytes), Some(last)) = (&step.action, steps.last_mut())
        && let Action::Send(sent) = &mut last.action
        && joins
        && last.side == step.side
    {
        sent.extend(bytes);
        return;
    }
    steps.push(step);
}

fn read_step(line: &str) -> Option<Step> {
    let side_end = line.find([' ', ':'])?;
    let (side, rest) = line.split_at(side_end);
    let side = side.parse().ok()?;
    let action = match rest {
        " fin" => Action::Fin,
        " rst" => Action::Rst,
        _ => Action::Send(read_bytes(rest)?),
    };
    Some(Step { side, action })
}

fn read_bytes(rest: &str) -> Option<Vec<u8>> {
    let (kind, content) = rest.split_once(": ")?;
    let (count, kind) = match kind.strip_prefix(" repeat ") {
        Some(kind) => {
            let (count, kind) = kind.split_at(kind.find(' ').unwrap_or(kind.len()));
            (count.parse().ok()?, kind)
        }
        None => (1, kind),
    };
    let bytes = match kind {
        "" => unescape(content)?,
        " hex" => unhex(content.split('#').next()?)?,
        _ => return None,
    };
    Some(bytes.repeat(count)).filter(|bytes| !bytes.is_empty())
}

fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first != b'\\' {
            bytes.push(*first);
            continue;
        }
        let (escape, tail) = rest.split_first()?;
        rest = tail;
        bytes.push(match escape {
            b'r' => b'\r',
            b'n' => b'\n',
            b't' => b'\t',
            b'0' => 0,
            b'\\' => b'\\',
            b'x' => {
                let (digits, tail) = rest.split_at_checked(2)?;
                rest = tail;
                u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?
            }
            _ => return None,
        });
    }
    Some(bytes)
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    text.split_whitespace()
        .map(|digits| u8::from_str_radix(digits, 16).ok())
        .collect()
}

#[test]
fn the_corpus_is_whole() {
    let exchanges = exchanges();
    assert!(exchanges.len() >= 60, "{} exchanges", exchanges.len());
    let mut names: Vec<_> = exchanges.iter().map(|exchange| exchange.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), exchanges.len(), "every name is used once");
    for exchange in &exchanges {
        let ends = |side, action: &Action| {
            let step = Step {
                side,
                action: action.clone(),
            };
            exchange.steps.iter().filter(|s| **s == step).count()
        };
        let fins = (
            ends(Side::Client, &Action::Fin),
            ends(Side::Server, &Action::Fin),
        );
        let reset = exchange.steps.iter().filter(|s| s.action == Action::Rst);
        let last_resets = exchange
            .steps
            .last()
            .is_some_and(|s| s.action == Action::Rst);
        assert!(
            (reset.count(), last_resets, fins) == (0, false, (1, 1)) || last_resets,
            "{:?} does not end",
            exchange.name
        );
    }
}
