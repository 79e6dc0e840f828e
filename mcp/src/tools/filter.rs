//! `filter`: which calls a tool looks at. The store's flat filter, with a schema.

use remora_store::filter::{Filter, FlatFilter, StatusFilter};
use schemars::JsonSchema;
use serde::Deserialize;
use utoipa::ToSchema;

use super::ToolError;
use crate::error::ApiError;

/// Every field that is set must hold.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema, ToSchema)]
#[schema(as = Filter)]
#[serde(
    deny_unknown_fields,
    expecting = "an object such as {\"status\":\"5xx\"} or {\"where\":\"status >= 500\"}"
)]
pub struct FilterInput {
    /// Caller: workload, service, pod or address
    pub src: Option<String>,
    /// Callee: workload, service, pod or address
    pub dst: Option<String>,
    /// Such as GET
    pub method: Option<String>,
    /// Such as /api/orders/{id}
    pub route: Option<String>,
    /// Beginning of the path
    pub path_prefix: Option<String>,
    /// "404", "5xx", or of gRPC "NOT_FOUND"
    // Models write a number too, and that is taken; the schema names the one form that says both.
    #[schemars(with = "Option<String>")]
    #[schema(value_type = Option<String>)]
    pub status: Option<StatusFilter>,
    /// Least latency in milliseconds
    pub min_ms: Option<f64>,
    /// "name" or "name: value" of a header
    pub header: Option<String>,
    /// Revision of the recording workload
    pub revision: Option<String>,
    /// Of caller or callee
    pub namespace: Option<String>,
    /// In traceparent, b3 or x-request-id
    pub trace_id: Option<String>,
    /// CEL for the rest, such as request.headers["x-user"] == "7" || path.contains("cart")
    pub r#where: Option<String>,
}

impl FilterInput {
    /// The names of caller and callee that were asked for, each with its field.
    pub fn ends(filter: Option<&Self>) -> Vec<(&'static str, String)> {
        let Some(filter) = filter else {
            return Vec::new();
        };
        let ends = [("src", &filter.src), ("dst", &filter.dst)];
        let given = ends
            .into_iter()
            .filter_map(|(field, name)| Some((field, name.clone()?)));
        given.collect()
    }

    /// Whether it lets every call through.
    pub fn is_empty(&self) -> bool {
        self.clone().flat() == FlatFilter::default()
    }

    /// CEL alone, as the HTTP API takes it.
    pub fn of_cel(cel: &str) -> Self {
        Self {
            r#where: Some(cel.to_owned()),
            ..Self::default()
        }
    }

    /// The filter, read and checked.
    ///
    /// # Errors
    ///
    /// A field has a value that no call could have, or `where` is not CEL.
    pub fn lower(filter: Option<Self>) -> Result<Filter, ToolError> {
        Self::read(filter).map_err(ToolError::from)
    }

    /// The same, for whoever answers in JSON.
    ///
    /// # Errors
    ///
    /// As for [`FilterInput::lower`].
    pub fn read(filter: Option<Self>) -> Result<Filter, ApiError> {
        let flat = filter.unwrap_or_default().flat();
        Filter::from_flat(&flat).map_err(ApiError::bad_filter)
    }

    /// The same fields, for whoever reads them otherwise.
    pub fn flat(self) -> FlatFilter {
        FlatFilter {
            src: self.src,
            dst: self.dst,
            method: self.method,
            route: self.route,
            path_prefix: self.path_prefix,
            status: self.status,
            min_ms: self.min_ms,
            header: self.header,
            revision: self.revision,
            namespace: self.namespace,
            trace_id: self.trace_id,
            r#where: self.r#where,
        }
    }
}
