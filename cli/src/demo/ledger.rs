//! The shop's own book of the calls it made: what Remora must have recorded, whatever it says itself.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use crate::http::Client;

/// One call that the shop made, as the caller saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Value of the call's `x-request-id`; no two calls share one.
    pub(super) request_id: String,
    pub(super) method: &'static str,
    /// Path and query.
    pub(super) target: String,
    pub(super) status: u16,
    /// Whether the caller has a sidecar too, so that there is an outbound leg.
    pub(super) caller_recorded: bool,
}

/// What was asked of a store, as Remora writes it: such questions have no names of their own, and are
/// counted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Question {
    /// The protocol's name in a call's JSON.
    protocol: &'static str,
    text: String,
}

impl Question {
    /// A command of Redis; the shop's have no argument that would have to be quoted but JSON.
    pub(super) fn redis(command: &[&str]) -> Self {
        let quoted = command
            .iter()
            .map(|argument| match argument.contains(['"', ' ']) {
                true => format!(
                    "\"{}\"",
                    argument.replace('\\', "\\\\").replace('"', "\\\"")
                ),
                false => (*argument).to_owned(),
            });
        Self {
            protocol: "redis",
            text: quoted.collect::<Vec<_>>().join(" "),
        }
    }

    /// A statement with one value, whose type was not told.
    pub(super) fn sql(statement: &str, value: &str) -> Self {
        Self {
            protocol: "postgresql",
            text: format!("{statement}\n[\"{value}\"]"),
        }
    }
}

/// Everything that is written down.
#[derive(Debug, Clone, Default)]
pub(super) struct Book {
    pub(super) entries: Vec<Entry>,
    /// How often each was asked.
    pub(super) questions: BTreeMap<Question, usize>,
}

/// The book of the shop. Every clone writes into the same one.
#[derive(Debug, Clone, Default)]
pub(super) struct Ledger(Arc<Mutex<Book>>);

impl Ledger {
    pub(super) fn write(&self, entry: Entry) {
        self.open().entries.push(entry);
    }

    /// A store answered a question.
    pub(super) fn ask(&self, question: Question) {
        *self.open().questions.entry(question).or_default() += 1;
    }

    pub(super) fn book(&self) -> Book {
        self.open().clone()
    }

    fn open(&self) -> std::sync::MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What came of holding the book against the hub.
#[derive(Debug, Default)]
pub(super) struct Audit {
    /// Calls in the book.
    pub(super) calls: usize,
    /// Legs that the book asks for.
    pub(super) legs: usize,
    /// One line for each leg that is missing, doubled or wrong.
    pub(super) faults: Vec<String>,
}

/// Reads every call from the hub at `api` and holds the ledger against them.
pub(super) async fn audit(client: &Client, api: &str, book: &Book) -> anyhow::Result<Audit> {
    let (stored, asked) = stored_legs(client, api).await?;
    let mut audit = Audit {
        calls: book.entries.len() + book.questions.values().sum::<usize>(),
        ..Audit::default()
    };
    audit_questions(&book.questions, &asked, &mut audit);
    for entry in &book.entries {
        let legs: &[&str] = if entry.caller_recorded {
            &["inbound", "outbound"]
        } else {
            &["inbound"]
        };
        audit.legs += legs.len();
        for leg in legs {
            let found = stored.get(&(entry.request_id.clone(), (*leg).to_owned()));
            if let Some(fault) = compare(entry, leg, found.map_or(&[], Vec::as_slice)) {
                audit.faults.push(fault);
            }
        }
    }
    Ok(audit)
}

/// Who asks a store has a sidecar, and so has the store: each question is stored as often as it was asked,
/// on both legs, and no other.
fn audit_questions(questions: &BTreeMap<Question, usize>, stored: &AskedLegs, audit: &mut Audit) {
    for leg in ["inbound", "outbound"] {
        for (question, times) in questions {
            audit.legs += times;
            let Question { protocol, text } = question;
            let key = ((*protocol).to_owned(), text.clone(), leg.to_owned());
            let found = stored.get(&key).copied().unwrap_or_default();
            if found != *times {
                audit.faults.push(format!(
                    "{leg} leg of {protocol} {text}, asked {times} times, is stored {found} times"
                ));
            }
        }
    }
    let unknown = stored.keys().filter(|(protocol, text, _)| {
        let is = |it: &Question| it.protocol == protocol && it.text == *text;
        !questions.keys().any(is)
    });
    let faults = unknown.map(|(protocol, text, leg)| {
        format!("{leg} leg of {protocol} {text} is stored, which nobody asked")
    });
    audit.faults.extend(faults);
}

/// Stored calls by request id and leg.
type StoredLegs = HashMap<(String, String), Vec<serde_json::Value>>;

/// How often questions to stores are stored, by protocol, text and leg.
type AskedLegs = BTreeMap<(String, String, String), usize>;

/// Protocols of the shop's stores.
const STORES: [&str; 2] = ["redis", "postgresql"];

async fn stored_legs(client: &Client, api: &str) -> anyhow::Result<(StoredLegs, AskedLegs)> {
    let mut legs = StoredLegs::new();
    let mut asked = AskedLegs::new();
    let mut cursor = String::new();
    loop {
        let page = client
            .json(&format!(
                "{api}/api/v1/calls?order=oldest&limit=1000{cursor}"
            ))
            .await?;
        for call in page
            .get("calls")
            .and_then(|calls| calls.as_array())
            .into_iter()
            .flatten()
        {
            if STORES.contains(&text(call, "/protocol")) {
                let [protocol, question, leg] = ["/protocol", "/request/body", "/leg"]
                    .map(|pointer| text(call, pointer).to_owned());
                *asked.entry((protocol, question, leg)).or_default() += 1;
            }
            if let Some(request_id) = request_header(call, "x-request-id") {
                let leg = text(call, "/leg").to_owned();
                legs.entry((request_id.to_owned(), leg))
                    .or_default()
                    .push(call.clone());
            }
        }
        match page.get("next").and_then(|next| next.as_str()) {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok((legs, asked)),
        }
    }
}

/// The parameter in which the shop sends a key, and how it is stored.
const KEY: &str = "api_key=";
const REPLACED_KEY: &str = "api_key=[redacted%20key%20%23";
/// What stands for a tag.
const REPLACED: &str = "(tag)";

/// What is wrong with the records of one leg, if anything is.
fn compare(entry: &Entry, leg: &str, found: &[serde_json::Value]) -> Option<String> {
    let target = match entry.target.split_once(KEY) {
        Some((start, _)) => format!("{start}{KEY}{REPLACED}"),
        None => entry.target.clone(),
    };
    let wanted = format!("{} {target} -> {}", entry.method, entry.status);
    let [call] = found else {
        return Some(format!(
            "{leg} leg of {wanted} is stored {} times",
            found.len()
        ));
    };
    // Of a secret its tag is stored, which no ledger knows.
    let query = match text(call, "/query").split_once(REPLACED_KEY) {
        Some((start, _)) => format!("{start}{KEY}{REPLACED}"),
        None => text(call, "/query").to_owned(),
    };
    let separator = if query.is_empty() { "" } else { "?" };
    let status = call
        .pointer("/status")
        .and_then(serde_json::Value::as_u64)
        .unwrap_or(0);
    let stored = format!(
        "{} {}{separator}{query} -> {status}",
        text(call, "/method"),
        text(call, "/path")
    );
    (stored != wanted).then(|| format!("{leg} leg of {wanted} is stored as {stored}"))
}

fn text<'a>(call: &'a serde_json::Value, pointer: &str) -> &'a str {
    call.pointer(pointer)
        .and_then(|value| value.as_str())
        .unwrap_or("")
}

/// First value of a request header in a call's JSON, where headers are `[[name, value], …]`.
fn request_header<'a>(call: &'a serde_json::Value, name: &str) -> Option<&'a str> {
    let headers = call.pointer("/request/headers")?.as_array()?;
    headers
        .iter()
        .find_map(|header| match header.as_array()?.as_slice() {
            [found, value] if found.as_str()?.eq_ignore_ascii_case(name) => value.as_str(),
            _ => None,
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry() -> Entry {
        Entry {
            request_id: "r1".to_owned(),
            method: "GET",
            target: "/orders/7?full=1".to_owned(),
            status: 200,
            caller_recorded: true,
        }
    }

    fn stored(status: u16) -> serde_json::Value {
        json!({"method": "GET", "path": "/orders/7", "query": "full=1", "status": status})
    }

    #[test]
    fn a_leg_that_is_stored_once_and_right_is_no_fault() {
        assert_eq!(compare(&entry(), "inbound", &[stored(200)]), None);
    }

    #[test]
    fn a_missing_a_doubled_and_a_wrong_leg_are_faults() {
        let missing = compare(&entry(), "inbound", &[]).unwrap();
        assert!(missing.contains("stored 0 times"), "{missing}");
        let doubled = compare(&entry(), "inbound", &[stored(200), stored(200)]).unwrap();
        assert!(doubled.contains("stored 2 times"), "{doubled}");
        let wrong = compare(&entry(), "inbound", &[stored(503)]).unwrap();
        assert!(wrong.contains("-> 503"), "{wrong}");
    }

    #[test]
    fn a_question_is_stored_as_often_as_it_was_asked_on_both_legs() {
        let question = Question::redis(&["SET", "a", "{\"b\": 1}"]);
        assert_eq!(question.text, r#"SET a "{\"b\": 1}""#);
        let stored = |text: &str, leg: &str| ("redis".to_owned(), text.to_owned(), leg.to_owned());
        let legs = ["inbound", "outbound"].map(|leg| (stored(&question.text, leg), 2));
        let faults = |asked: usize, stored: &AskedLegs| {
            let mut audit = Audit::default();
            let questions = BTreeMap::from([(question.clone(), asked)]);
            audit_questions(&questions, stored, &mut audit);
            audit.faults.len()
        };
        let mut asked = AskedLegs::from(legs);
        assert_eq!((faults(2, &asked), faults(3, &asked)), (0, 2));
        asked.insert(stored("GET b", "inbound"), 1);
        assert_eq!(faults(2, &asked), 1);
    }

    #[test]
    fn a_key_is_stored_as_its_tag_and_never_as_it_was_sent() {
        let sent = Entry {
            target: "/rates?api_key=secret".to_owned(),
            ..entry()
        };
        let stored =
            |query: &str| json!({"method": "GET", "path": "/rates", "query": query, "status": 200});
        let tagged = stored("api_key=[redacted%20key%20%237k2m9x4p1q]");
        assert_eq!(compare(&sent, "inbound", &[tagged]), None);
        assert!(compare(&sent, "inbound", &[stored("api_key=secret")]).is_some());
    }

    #[test]
    fn header_names_are_compared_without_case() {
        let call = json!({"request": {"headers": [["Host", "shop"], ["X-Request-Id", "r9"]]}});
        assert_eq!(request_header(&call, "x-request-id"), Some("r9"));
    }
}
