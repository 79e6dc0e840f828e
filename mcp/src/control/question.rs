//! The question of a sidecar as it stands in its URL.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::Extensions;

use super::{Answer, Question, SidecarName};
use crate::app::App;
use crate::error::ApiError;
use crate::params::{Params, quoted};
use crate::writer::Writer;

/// Longest name a sidecar may give itself: that of a Kubernetes object.
const NAME_BYTES: usize = 253;
/// Largest epoch or sequence that is taken; far below an overflow.
pub(super) const LARGEST_NUMBER: u64 = 1 << 62;

const PARAMETERS: &[&str] = &[
    "incarnation",
    "workload",
    "namespace",
    "pod",
    "epoch",
    "sequence",
    "goodbye",
    "outbound",
];

/// `GET /ingest/v1/control`
pub async fn control(
    State(app): State<App>,
    RawQuery(query): RawQuery,
    extensions: Extensions,
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
        is_proxied: params.word("outbound", &[("all", false), ("proxied", true)], false)?,
        goodbye: params.word("goodbye", &[("false", false), ("true", true)], false)?,
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
