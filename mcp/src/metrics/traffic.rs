//! Rate, errors and durations of the recorded HTTP calls, by workload, route and status class.
//!
//! Counted from the columns of blocks as they are kept, each block once; calls that still run are in
//! no columns. Counters begin at zero when the hub starts, whatever its store holds. Health checks
//! are left out, and so are connections that were not understood: their end is no answer. Streams are
//! counted and may fail, but have no duration: how long somebody listened is no latency. What an injected
//! fault met is counted, and is no failure and no duration of anybody's.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;
use remora_store::block::{Columns, Origin};
use remora_store::call::{Leg, Protocol, State};
use remora_store::grpc::status_name;
use remora_store::outcome::{Ending, Outcome};
use remora_store::store::Scope;

/// Most sets of labels; calls beyond go to [`BEYOND`], of which there is one set per leg and class.
const SERIES: usize = 1_000;
/// Most routes of a workload and leg; calls beyond go to [`OTHER_ROUTE`].
const ROUTES: usize = 50;
/// Longest route that becomes a label, in bytes.
const ROUTE_BYTES: usize = 128;
/// Longest name that becomes a label, in bytes: that of a DNS name.
const NAME_BYTES: usize = 253;
/// Stands for routes that are too many, too long, or not printable. No path begins so.
const OTHER_ROUTE: &str = "other";
/// Stands for calls without a path.
const NO_ROUTE: &str = "none";
/// Stands for workloads that are too many, and for names that are none. No name has parentheses.
const BEYOND: &str = "(other)";

/// Upper bounds of the durations, in seconds. Those that Prometheus' clients begin with, from 5 ms to
/// 10 s, and two below: services of one cluster often answer within a millisecond or two.
const BOUNDS: [f64; 13] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// What tells series apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    leg: &'static str,
    namespace: String,
    workload: String,
    route: String,
    status_class: &'static str,
}

impl Labels {
    fn is_beyond(&self) -> bool {
        self.workload == BEYOND || self.route == OTHER_ROUTE
    }
}

#[derive(Debug, Default)]
struct Series {
    calls: u64,
    injected: u64,
    errors: u64,
    /// Calls with an end, by the first bound that their duration is not above; the last entry has
    /// those above all.
    durations: [u64; BOUNDS.len() + 1],
    seconds: f64,
}

/// All that was counted since the hub started.
#[derive(Debug, Default)]
pub(crate) struct Traffic(Mutex<Counted>);

#[derive(Debug, Default)]
struct Counted {
    places: HashMap<Labels, usize>,
    series: Vec<(Labels, Series)>,
    /// Routes by leg, namespace and workload. Each came with a series, so they are no more than those.
    routes: HashMap<(&'static str, String, String), HashSet<String>>,
    beyond: u64,
}

impl Traffic {
    /// Counts the calls of a block that is kept now and was not before.
    pub(crate) fn count(&self, origin: &Origin, columns: &Columns) {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The calls of a block have few routes and classes: labels are made once for each.
        let mut places: HashMap<(Leg, u32, &'static str), usize> = HashMap::new();
        for row in 0..columns.len() {
            let Some(seen) = Seen::of(columns, row) else {
                continue;
            };
            let key = (seen.leg, seen.route, seen.class);
            let place = *places.entry(key).or_insert_with(|| {
                let route = columns.texts.get(seen.route as usize);
                counted.place(origin, seen, route.map_or("", String::as_str))
            });
            counted.add(place, seen);
        }
    }

    /// What may be shown to somebody of this scope, to be registered.
    pub(super) fn shown_to(self: &Arc<Self>, scope: &Scope) -> Box<dyn Collector> {
        Box::new(Shown {
            traffic: Arc::clone(self),
            scope: scope.clone(),
        })
    }
}

/// What the columns say of a call that is counted.
#[derive(Debug, Clone, Copy)]
struct Seen {
    leg: Leg,
    /// Number of the text.
    route: u32,
    class: &'static str,
    /// Whether an injected fault met it.
    injected: bool,
    /// Whether it failed, and not by a fault.
    failed: bool,
    /// `None` for a call without an end, for a stream, and where a fault met it.
    duration_ns: Option<u64>,
}

impl Seen {
    /// `None` for a call that is not counted.
    fn of(columns: &Columns, row: usize) -> Option<Self> {
        let protocol = Protocol::from_code(*columns.protocol.get(row)?)?;
        let is_over = *columns.state.get(row)? != State::Open.code();
        if !protocol.is_http() || !is_over || *columns.probe.get(row)? {
            return None;
        }
        let ending = Ending::at(columns, row);
        let injected = columns.is_injected(row);
        Some(Self {
            leg: Leg::from_code(*columns.leg.get(row)?)?,
            route: *columns.route.get(row)?,
            class: class_of(ending.outcome()),
            injected,
            failed: ending.failed() && !injected,
            duration_ns: columns.pace_ns(row).filter(|_| !injected),
        })
    }
}

fn class_of(outcome: Outcome) -> &'static str {
    let status = match outcome {
        Outcome::Status(status) => status,
        // There are few of them, and each says more than a class would.
        Outcome::Grpc(status) => match status_name(status) {
            Cow::Borrowed(name) => return name,
            Cow::Owned(_) => return "other",
        },
        Outcome::Refused(_) | Outcome::Answered | Outcome::Error(_) | Outcome::Nothing => {
            return "none";
        }
    };
    match status {
        100..=199 => "1xx",
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        500..=599 => "5xx",
        _ => "other",
    }
}

impl Counted {
    /// Where calls are counted.
    fn place(&mut self, origin: &Origin, seen: Seen, route: &str) -> usize {
        let name = |text: &str| if is_name(text) { text } else { BEYOND }.to_owned();
        let labels = Labels {
            leg: seen.leg.as_str(),
            namespace: name(&origin.namespace),
            workload: name(&origin.workload),
            route: match route {
                "" => NO_ROUTE,
                route if is_printable(route) => route,
                _ => OTHER_ROUTE,
            }
            .to_owned(),
            status_class: seen.class,
        };
        let labels = self.bounded(labels);
        if let Some(place) = self.places.get(&labels) {
            return *place;
        }
        let place = self.series.len();
        self.places.insert(labels.clone(), place);
        self.series.push((labels, Series::default()));
        place
    }

    /// The labels themselves if there is room for them, else others that stand for many.
    fn bounded(&mut self, mut labels: Labels) -> Labels {
        if self.places.contains_key(&labels) {
            return labels;
        }
        if self.series.len() >= SERIES {
            labels.namespace = BEYOND.to_owned();
            labels.workload = BEYOND.to_owned();
            labels.route = OTHER_ROUTE.to_owned();
            return labels;
        }
        let side = (
            labels.leg,
            labels.namespace.clone(),
            labels.workload.clone(),
        );
        let routes = self.routes.entry(side).or_default();
        if !routes.contains(&labels.route) && routes.len() >= ROUTES {
            labels.route = OTHER_ROUTE.to_owned();
        } else {
            routes.insert(labels.route.clone());
        }
        labels
    }

    fn add(&mut self, place: usize, seen: Seen) {
        let Some((labels, series)) = self.series.get_mut(place) else {
            return;
        };
        self.beyond += u64::from(labels.is_beyond());
        series.calls += 1;
        series.injected += u64::from(seen.injected);
        series.errors += u64::from(seen.failed);
        if let Some(ns) = seen.duration_ns {
            let seconds = ns as f64 / 1e9;
            let step = BOUNDS.partition_point(|bound| *bound < seconds);
            if let Some(count) = series.durations.get_mut(step) {
                *count += 1;
            }
            series.seconds += seconds;
        }
    }
}

/// A name as Kubernetes or a person gives it to a workload.
fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    (1..=NAME_BYTES).contains(&text.len()) && text.bytes().all(plain)
}

fn is_printable(route: &str) -> bool {
    route.len() <= ROUTE_BYTES && route.bytes().all(|byte| byte.is_ascii_graphic())
}

/// What somebody may see of the traffic.
#[derive(Debug)]
struct Shown {
    traffic: Arc<Traffic>,
    scope: Scope,
}

impl Collector for Shown {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let counted = self.traffic.0.lock();
        let counted = counted.unwrap_or_else(PoisonError::into_inner);
        let series = || {
            let all = counted.series.iter();
            all.filter(|(labels, _)| self.scope.sees(&labels.namespace))
        };
        let help = "HTTP calls that were recorded, health checks left out";
        let mut calls = encoder.encode_descriptor("calls", help, None, MetricType::Counter)?;
        for (labels, series) in series() {
            let mut one = calls.encode_family(labels)?;
            one.encode_counter::<NoLabelSet, u64, f64>(&series.calls, None)?;
        }
        let help = "Those of them that an injected fault met; they are neither among the errors nor among the durations";
        let mut injected =
            encoder.encode_descriptor("calls_injected", help, None, MetricType::Counter)?;
        for (labels, series) in series() {
            let mut one = injected.encode_family(labels)?;
            one.encode_counter::<NoLabelSet, u64, f64>(&series.injected, None)?;
        }
        let help = "Those of the others that failed: status 500 or above, a gRPC status that stands for one, or an error below HTTP";
        let mut errors =
            encoder.encode_descriptor("call_errors", help, None, MetricType::Counter)?;
        for (labels, series) in series() {
            let mut one = errors.encode_family(labels)?;
            one.encode_counter::<NoLabelSet, u64, f64>(&series.errors, None)?;
        }
        let help = "First byte of the request to last byte of the response, of calls with both that are no streams";
        let unit = Unit::Seconds;
        let kind = MetricType::Histogram;
        let mut durations = encoder.encode_descriptor("call_duration", help, Some(&unit), kind)?;
        for (labels, series) in series() {
            let bounds = BOUNDS.into_iter().chain([f64::INFINITY]);
            let steps: Vec<(f64, u64)> = bounds.zip(series.durations).collect();
            let count = series.durations.iter().sum();
            let mut one = durations.encode_family(labels)?;
            one.encode_histogram::<NoLabelSet>(series.seconds, count, &steps, None)?;
        }
        let help = "Those of the calls whose route or workload became other, to bound the series";
        let mut beyond =
            encoder.encode_descriptor("calls_unlabelled", help, None, MetricType::Counter)?;
        beyond.encode_counter::<NoLabelSet, u64, f64>(&counted.beyond, None)
    }
}

#[cfg(test)]
mod tests;
