//! What a caller is told when the hub cannot do as it was asked.
//!
//! The message names the field and is for the caller. What only the operator should see (paths, what
//! the operating system said) goes to the log, once, when the answer is made.

use std::borrow::Cow;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use remora_store::store::StoreError;
use serde::Serialize;
use utoipa::ToSchema;

/// An answer that says why there is no other.
#[derive(Debug)]
pub struct ApiError(Box<Refusal>);

#[derive(Debug)]
struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: Cow<'static, str>,
    hint: Option<Cow<'static, str>>,
    field: Option<Cow<'static, str>>,
    index: Option<usize>,
    retry_after_s: Option<u32>,
}

/// The body of every answer that is not a success.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErrorBody {
    /// What went wrong.
    pub error: ErrorDetail,
}

/// What went wrong.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErrorDetail {
    /// A fixed word for programs.
    #[schema(example = "unknown_parameter")]
    pub code: String,
    /// What is wrong, for people and models.
    #[schema(example = "there is no parameter \"fliter\"")]
    pub message: String,
    /// What to do instead.
    #[schema(example = "did you mean filter?")]
    pub hint: Option<String>,
    /// Which parameter, header or argument is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Which of several blocks is meant, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
}

impl ApiError {
    /// An answer with the given status.
    pub fn new(
        status: StatusCode,
        code: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self(Box::new(Refusal {
            status,
            code,
            message: message.into(),
            hint: None,
            field: None,
            index: None,
            retry_after_s: None,
        }))
    }

    /// The caller asked wrongly.
    pub fn bad_request(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// The caller shows no token that is good here.
    pub fn unauthorized(message: &'static str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message).field("Authorization")
    }

    /// The caller is known, and may not.
    pub fn forbidden(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, message)
    }

    /// There is no such thing.
    pub fn not_found(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    /// The hub cannot just now; the caller may come again.
    pub fn unavailable(
        code: &'static str,
        message: impl Into<Cow<'static, str>>,
        retry_after_s: u32,
    ) -> Self {
        let mut error = Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message);
        error.0.retry_after_s = Some(retry_after_s);
        error
    }

    /// Says what to do instead.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Says which parameter, header or argument is meant.
    #[must_use]
    pub fn field(mut self, field: impl Into<Cow<'static, str>>) -> Self {
        self.0.field = Some(field.into());
        self
    }

    /// Says which of several blocks is meant.
    #[must_use]
    pub fn index(mut self, index: usize) -> Self {
        self.0.index = Some(index);
        self
    }

    /// Status of the answer.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The fixed word for programs.
    pub fn code(&self) -> &'static str {
        self.0.code
    }

    /// What is wrong.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What to do instead, where that can be told.
    pub fn hint_text(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The error as it stands in lines, behind answers that have begun.
    pub fn to_json(&self) -> serde_json::Value {
        let (code, message) = (self.code(), self.message());
        serde_json::json!({"error": {"code": code, "message": message, "hint": self.hint_text()}})
    }

    /// The same error of something that is part of something else: the field begins with the place.
    #[must_use]
    pub fn within(mut self, place: &str) -> Self {
        self.0.field = Some(match self.0.field {
            Some(field) => format!("{place}.{field}").into(),
            None => place.to_owned().into(),
        });
        self
    }

    /// Which parameter, header or argument is meant, where there is one.
    pub fn field_name(&self) -> Option<&str> {
        self.0.field.as_deref()
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let Refusal {
            status,
            code,
            message,
            hint,
            field,
            index,
            retry_after_s,
        } = *self.0;
        let body = ErrorBody {
            error: ErrorDetail {
                code: code.to_owned(),
                message: message.into_owned(),
                hint: hint.map(Cow::into_owned),
                field: field.map(Cow::into_owned),
                index,
            },
        };
        let mut response = (status, Json(body)).into_response();
        if let Some(seconds) = retry_after_s {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::BadBlock { index, reason } => Self::bad_request(
                "bad_block",
                format!("block {index} of the request cannot be read: {reason}"),
            )
            .index(index)
            .hint(
                "nothing of this request was kept; leave this block out and send the others again",
            ),
            StoreError::Full => Self::unavailable(
                "store_full",
                "the disk is full, and there is nothing to forget but what snapshots pin",
                10,
            )
            .hint(
                "delete a snapshot that is not needed any more, give the hub more space, or lower its --retain-bytes",
            ),
            StoreError::Filter(error) => Self::bad_filter(error),
            StoreError::TooManySnapshots { limit } => Self::new(
                StatusCode::CONFLICT,
                "too_many_snapshots",
                format!("there are {limit} snapshots, and a hub keeps no more"),
            )
            .hint("delete one that is not needed any more, or give them a shorter ttl"),
            error @ StoreError::Damaged { .. } => {
                tracing::error!(error = %chain(&error), "stored block is damaged");
                Self::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "damaged",
                    "the stored block of this call is damaged; it was set aside",
                )
            }
            error => {
                tracing::error!(error = %chain(&error), "store failed");
                Self::unavailable(
                    "store_failed",
                    "the store failed; the hub's log says how",
                    10,
                )
            }
        }
    }
}

/// The hint where nothing better is known of a filter.
const FILTER_EXAMPLE: &str = r#"a filter looks like this: http && status_code >= 500 && path.startsWith("/api") && elapsed_time > 2000000"#;

impl ApiError {
    /// A filter that cannot be read or evaluated.
    pub fn bad_filter(error: remora_store::filter::FilterError) -> Self {
        let refusal = Self::bad_request("bad_filter", error.message).field("filter");
        match error.hint {
            Some(hint) => refusal.hint(hint),
            None => refusal.hint(FILTER_EXAMPLE),
        }
    }
}

/// An error and what caused it, on one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
