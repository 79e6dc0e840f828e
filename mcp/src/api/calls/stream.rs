//! Calls sent as they are read, so that an answer of any size takes the room of a few calls.
//!
//! How the formats end when there is more, nothing, or a failure on the way is here too: what was
//! sent until then always reads as what it is, a part.

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use http_body_util::channel::{Channel, Sender};
use remora_store::query::{Cursor, FoundCall};
use serde_json::{Map, Value, json};

use super::Reader;
use crate::coverage::{Coverage, Window};
use crate::error::ApiError;
use crate::fields::Fields;
use crate::har;

/// The columns of TSV if none are asked for.
pub(super) const TSV_FIELDS: &str = "id,time,leg,protocol,src.workload,src.ip,dst.workload,dst.ip,dst.port,\
     method,host,path,status,grpc.status_name,error,latency_ms,request.size,response.size,fault.id,fault.effect";
/// Pieces of an answer that wait to be sent.
const PIECES_AHEAD: usize = 2;
/// A piece is sent once it has so many bytes, or all calls that were read with it.
const PIECE_BYTES: usize = 256 * 1024; // 256 KiB

/// How calls are written one after the other.
pub(super) enum Written {
    Ndjson(Fields),
    Tsv(Fields),
    Har(Archive),
}

/// An archive while it is written.
#[derive(Default)]
pub(super) struct Archive {
    entries: u64,
    left_out: u64,
}

impl Written {
    pub(super) fn ndjson(fields: Fields) -> Self {
        Self::Ndjson(fields)
    }

    pub(super) fn tsv(fields: Fields) -> Self {
        Self::Tsv(fields)
    }

    pub(super) fn har() -> Self {
        Self::Har(Archive::default())
    }

    fn content_type(&self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Ndjson(_) => "application/x-ndjson",
            Self::Tsv(_) => "text/tab-separated-values; charset=utf-8",
            Self::Har(_) => "application/json",
        })
    }

    fn begin(&self) -> String {
        match self {
            Self::Ndjson(_) => String::new(),
            Self::Tsv(fields) => format!("{}\n", fields.paths().join("\t")),
            Self::Har(_) => {
                let creator = json!({"name": "Remora", "version": env!("CARGO_PKG_VERSION")});
                let version = har::VERSION;
                format!(r#"{{"log":{{"version":"{version}","creator":{creator},"entries":["#)
            }
        }
    }

    fn add(&mut self, found: &FoundCall, text: &mut String) {
        match self {
            Self::Ndjson(fields) => {
                text.push_str(&fields.select(found).to_string());
                text.push('\n');
            }
            Self::Tsv(fields) => {
                for (column, value) in fields.values(found).iter().enumerate() {
                    if column > 0 {
                        text.push('\t');
                    }
                    write_cell(value, column == 0, text);
                }
                text.push('\n');
            }
            Self::Har(archive) => match har::Entry::new(found) {
                Some(entry) => {
                    if archive.entries > 0 {
                        text.push_str(",\n");
                    }
                    archive.entries += 1;
                    let entry = serde_json::to_string(&entry);
                    text.push_str(&entry.expect("an entry has only text keys and finite numbers"));
                }
                None => archive.left_out += 1,
            },
        }
    }

    /// The end: `last` says how to go on, why there was nothing, or what failed.
    fn end(&self, last: Option<Value>) -> String {
        match self {
            Self::Ndjson(_) => last.map_or_else(String::new, |last| format!("{last}\n")),
            Self::Tsv(_) => last.map_or_else(String::new, |last| format!("# {last}\n")),
            Self::Har(archive) => {
                let mut notes = vec![format!("{} calls", archive.entries)];
                if archive.left_out > 0 {
                    notes.push(format!("{} left out that are not HTTP", archive.left_out));
                }
                if last.is_some() {
                    notes.push("not all that was asked for: see _remora".to_owned());
                }
                let comment = Value::from(notes.join("; "));
                let remora = last.unwrap_or_else(|| json!({"next": null}));
                format!("],\"comment\":{comment},\"_remora\":{remora}}}}}\n")
            }
        }
    }
}

/// Writes a value as a cell: nothing for `null`, text as it is, anything else in JSON. A tab, a line
/// end and a backslash are escaped, and so is a `#` at the start of a line, where a comment begins.
fn write_cell(value: &Value, first: bool, text: &mut String) {
    let written = match value {
        Value::Null => return,
        Value::String(string) => string.clone(),
        other => other.to_string(),
    };
    if first && written.starts_with('#') {
        text.push('\\');
    }
    for character in written.chars() {
        match character {
            '\t' => text.push_str("\\t"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\\' => text.push_str("\\\\"),
            other => text.push(other),
        }
    }
}

/// Answers piece by piece. The first calls are read before the answer begins, so that what is wrong
/// with the question is told by the status.
pub(super) async fn respond(
    mut reader: Reader,
    written: Written,
    coverage: Coverage,
    window: Window,
) -> Result<Response, ApiError> {
    let first = reader.read().await?;
    let content_type = written.content_type();
    let disposition = matches!(written, Written::Har(_))
        .then(|| HeaderValue::from_static("attachment; filename=\"calls.har\""));
    let short = coverage_header(&coverage);
    let (sender, body) = Channel::<Bytes, Infallible>::new(PIECES_AHEAD);
    tokio::spawn(send(reader, written, first, sender, coverage, window));
    let mut response = Body::new(body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(HeaderName::from_static("remora-coverage"), short);
    if let Some(disposition) = disposition {
        headers.insert(header::CONTENT_DISPOSITION, disposition);
    }
    Ok(response)
}

/// Ends early when the caller hangs up.
async fn send(
    mut reader: Reader,
    mut written: Written,
    first: Vec<FoundCall>,
    mut sender: Sender<Bytes>,
    coverage: Coverage,
    window: Window,
) {
    let mut shown = 0;
    let mut text = written.begin();
    let mut piece = first;
    while !piece.is_empty() {
        shown += piece.len();
        for found in piece {
            written.add(&found, &mut text);
            if text.len() >= PIECE_BYTES
                && sender
                    .send_data(std::mem::take(&mut text).into())
                    .await
                    .is_err()
            {
                return;
            }
        }
        if sender
            .send_data(std::mem::take(&mut text).into())
            .await
            .is_err()
        {
            return;
        }
        piece = match reader.read().await {
            Ok(piece) => piece,
            Err(error) => {
                let error = error.to_json();
                let _ = sender.send_data(written.end(Some(error)).into()).await;
                return;
            }
        };
    }
    let next = reader.query.cursor.as_ref().map(Cursor::to_string);
    let because = reader.empty_because(shown, &coverage, window);
    let is_all = next.is_none() && because.is_none() && reader.undecided == 0;
    let mut last = Map::new();
    last.insert("next".to_owned(), json!(next));
    if let Some(because) = because {
        last.insert("empty_because".to_owned(), json!(because));
    }
    if reader.undecided > 0 {
        last.insert("undecided".to_owned(), json!(reader.undecided));
    }
    let last = (!is_all).then_some(Value::Object(last));
    text.push_str(&written.end(last));
    let _ = sender.send_data(text.into()).await;
}

/// Coverage for a header: the numbers alone, on one line.
fn coverage_header(coverage: &Coverage) -> HeaderValue {
    let mut short = coverage.clone();
    short.sidecars.clear();
    let text = serde_json::to_string(&short).unwrap_or_default();
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("{}"))
}
