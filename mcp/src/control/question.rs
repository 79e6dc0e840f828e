//! The question of a sidecar as it stands in its URL, and in its body what it says of faults.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::Extensions;
use remora_store::fault::{FaultReport, RefusedFault};
use serde::Deserialize;
use serde_json::Value;

use super::{Answer, Question, Share, SidecarName};
use crate::app::App;
use crate::error::ApiError;
use crate::params::{Params, quoted};
use crate::writer::Writer;

/// Longest name a sidecar may give itself: that of a Kubernetes object.
const NAME_BYTES: usize = 253;
/// Largest epoch or sequence that is taken; far below an overflow.
pub(super) const LARGEST_NUMBER: u64 = 1 << 62;

/// Largest body of a question: what a sidecar holds of faults.
pub const QUESTION_BYTES: usize = 512 * 1024; // 512 KiB

const PARAMETERS: &[&str] = &[
    "incarnation",
    "workload",
    "namespace",
    "pod",
    "epoch",
    "sequence",
    "goodbye",
    "inbound",
    "outbound",
];

/// What `inbound` and `outbound` may be.
const SHARES: [(&str, Share); 3] = [
    ("all", Share::All),
    ("proxied", Share::Proxied),
    ("none", Share::Nothing),
];

/// `GET /ingest/v1/control`, and `POST` where the sidecar has something to say of faults
pub async fn control(
    State(app): State<App>,
    RawQuery(query): RawQuery,
    extensions: Extensions,
    body: Bytes,
) -> Result<Json<Answer>, ApiError> {
    let writer = Writer::of(&extensions)?;
    let params = Params::parse(query.as_deref(), PARAMETERS)?;
    let claimed = parse_incarnation(params.text("incarnation").unwrap_or_default())
        .map_err(|error| error.field("incarnation"))?;
    let question = Question {
        incarnation: writer.incarnation(claimed),
        name: writer.name(SidecarName {
            namespace: name(&params, "namespace")?,
            workload: name(&params, "workload")?,
            pod: name(&params, "pod")?,
        }),
        epoch: counter(&params, "epoch")?,
        sequence: counter(&params, "sequence")?,
        inbound: params.word("inbound", &SHARES, Share::All)?,
        outbound: params.word("outbound", &SHARES, Share::All)?,
        goodbye: params.word("goodbye", &[("false", false), ("true", true)], false)?,
        faults: fault_report(&body)?,
    };
    app.metrics.control_questions.inc();
    app.control
        .ask(question, app.draining.clone())
        .await
        .map(Json)
}

/// Reads the number of a sidecar's run: 32 hex digits.
pub fn parse_incarnation(text: &str) -> Result<u128, ApiError> {
    let digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = digits
        .then(|| u128::from_str_radix(text, 16).ok())
        .flatten();
    number.ok_or_else(|| {
        ApiError::bad_request(
            "bad_incarnation",
            format!("the incarnation is {}; it is 32 hex digits", quoted(text)),
        )
    })
}

/// What a sidecar says of its faults.
fn fault_report(body: &Bytes) -> Result<Option<FaultReport>, ApiError> {
    if body.is_empty() {
        return Ok(None);
    }
    let said: Said = serde_json::from_slice(body).map_err(|error| {
        let message = format!("the body does not say which faults are held: {error}");
        ApiError::bad_request("bad_body", message)
    })?;
    let held = said.held.into_iter();
    Ok(Some(FaultReport {
        allowed: said.allowed,
        held: held
            .filter_map(|held| serde_json::from_value(held).ok())
            .collect(),
        refused: said.refused,
    }))
}

/// A report in which single faults may be newer than this hub: those it cannot tell of.
#[derive(Deserialize)]
struct Said {
    allowed: bool,
    #[serde(default)]
    held: Vec<Value>,
    #[serde(default)]
    refused: Vec<RefusedFault>,
}

fn name(params: &Params, field: &'static str) -> Result<String, ApiError> {
    let text = params.text(field).unwrap_or_default();
    if text.len() > NAME_BYTES || text.chars().any(char::is_control) {
        return Err(ApiError::bad_request(
            "bad_parameter",
            format!(
                "{field} is {}; it takes up to {NAME_BYTES} printable characters",
                quoted(text)
            ),
        )
        .field(field));
    }
    Ok(text.to_owned())
}

fn counter(params: &Params, field: &'static str) -> Result<u64, ApiError> {
    let text = params.text(field).unwrap_or("0");
    text.parse()
        .ok()
        .filter(|&number| number <= LARGEST_NUMBER)
        .ok_or_else(|| {
            ApiError::bad_request(
                "bad_parameter",
                format!(
                    "{field} is {}; it takes a number from 0 to {LARGEST_NUMBER}",
                    quoted(text)
                ),
            )
            .field(field)
        })
}
