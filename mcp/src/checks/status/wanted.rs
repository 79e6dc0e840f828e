//! The status that calls should end with, and which calls have one of its kind.

use remora_store::call::Protocol;
use remora_store::filter::{Filter, StatusFilter};
use remora_store::grpc;
use remora_store::query::Outcome;

use crate::checks::retries::attempts::is_unconnected;
use crate::checks::words::counted;
use crate::traffic::Observed;

/// The status that calls should end with.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    filter: Filter,
    /// Whether it is one of gRPC, and not of HTTP.
    is_grpc: bool,
    /// Whether a call that ends with it has failed.
    is_failure: bool,
}

impl Wanted {
    pub(super) fn new(status: &StatusFilter, filter: Filter) -> Self {
        let text = match status {
            StatusFilter::Code(code) => code.to_string(),
            StatusFilter::Class(class) => class.trim().to_owned(),
        };
        let of_grpc = grpc::status_of_name(&text);
        Self {
            filter,
            is_grpc: of_grpc.is_some(),
            is_failure: of_grpc.map_or(text.starts_with('5'), grpc::is_server_failure),
        }
    }

    /// Whether a call has a status of that kind, or would have one if there had been a connection.
    pub(super) fn is_about(&self, call: &Observed) -> bool {
        let protocol = call.found.call.protocol;
        let has_such = match self.is_grpc {
            true => protocol == Protocol::Grpc,
            false => protocol.is_http(),
        };
        has_such || is_unconnected(call)
    }

    /// Whether it ended so, and not only seemed to: a 200 may be cut off, and says nothing of a call of gRPC.
    pub(super) fn is_met_by(&self, call: &Observed) -> bool {
        let is_other_of_grpc =
            !self.is_grpc && matches!(call.outcome(), Outcome::Grpc(status) if status != 0);
        self.filter.matches(&call.found).unwrap_or(false)
            && (self.is_failure || !(call.ending.failed() || is_other_of_grpc))
    }

    /// What is said of calls that it is not about.
    pub(super) fn left_out(&self, calls: usize) -> String {
        let kind = match self.is_grpc {
            true => "gRPC",
            false => "HTTP",
        };
        format!(
            "{} without a status of {kind} left out",
            counted(calls, "call")
        )
    }
}
