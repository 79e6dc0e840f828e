//! Which calls are asked for: CEL over one call, with KFL2's names.

use serde::{Deserialize, Serialize};

/// The flat filter of the tools and expectations: every field that is set must hold.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlatFilter {
    /// Workload, service, pod or address that called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub src: Option<String>,
    /// Workload, service, pod or address that was called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dst: Option<String>,
    /// Request method, such as `GET`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Route, such as `/api/orders/{id}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// Beginning of the path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_prefix: Option<String>,
    /// A status such as `404`, or a class such as `"5xx"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<StatusFilter>,
    /// Least latency, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_ms: Option<f64>,
    /// `name` or `name: value` of a request or response header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// Revision of the recording workload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Namespace of the caller or the callee.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Trace id in `traceparent`, `b3` or `x-request-id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// CEL, for what the other fields cannot say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r#where: Option<String>,
}

/// A status, or a class of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum StatusFilter {
    /// Exactly this one.
    Code(u16),
    /// `"5xx"`, or a code as text.
    Class(String),
}

/// A filter that was read and checked: it names only what exists.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    source: String,
}

impl Filter {
    /// The text this filter was read from; empty for the filter that lets everything through.
    pub fn source(&self) -> &str {
        &self.source
    }
}

/// Why a text is not a filter. Says the place, and the nearest right name where there is one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FilterError {
    /// What is wrong, in words for the person or model that wrote the filter.
    pub message: String,
    /// What to write instead, where that can be told.
    pub hint: Option<String>,
}
