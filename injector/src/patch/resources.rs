//! What the sidecar asks for and may use, so that the pod keeps its quality of service.

use serde_json::{Map, Value, json};

use super::SPOOL_SIZE;
use crate::annotations::{CPU_REQUEST, MEMORY_REQUEST, ResourceOptions};
use crate::config::Config;
use crate::pod::Pod;
use crate::quantity::Quantity;

/// CPU of a sidecar in a Guaranteed pod, where the request is the limit and the default request would
/// throttle it.
const GUARANTEED_CPU: &str = "200m";

/// The `resources` of the sidecar, and of the init container, which runs before it and so costs nothing more.
pub(super) fn of_sidecar(
    pod: Pod<'_>,
    asked: &ResourceOptions,
    config: &Config,
    warnings: &mut Vec<String>,
) -> Value {
    // The pod has one budget for all, and our share would have to fit into it.
    if pod.at("/spec/resources").is_some() {
        for (annotation, _) in asked.given() {
            warnings.push(format!(
                "{annotation} has no effect where the pod has one budget for all its containers (spec.resources)"
            ));
        }
        return json!({});
    }
    let guaranteed = is_guaranteed(pod);
    let defaults = &config.resources;
    let (cpu, memory) = if guaranteed {
        let cpu = asked.cpu_limit.as_ref().or(asked.cpu_request.as_ref());
        let cpu = cpu.map_or(GUARANTEED_CPU, Quantity::as_str);
        let memory = match (&asked.memory_limit, &asked.memory_request) {
            (Some(limit), _) => limit,
            (None, Some(request)) => request.max(&defaults.memory_limit),
            (None, None) => &defaults.memory_limit,
        };
        let memory = memory.as_str();
        warn_of_requests(asked, [cpu, memory], warnings);
        ((cpu, Some(cpu)), (memory, Some(memory)))
    } else {
        let cpu = fit(
            CPU_REQUEST,
            (asked.cpu_request.as_ref(), &defaults.cpu_request),
            (asked.cpu_limit.as_ref(), defaults.cpu_limit.as_ref()),
            warnings,
        );
        let memory = fit(
            MEMORY_REQUEST,
            (asked.memory_request.as_ref(), &defaults.memory_request),
            (asked.memory_limit.as_ref(), Some(&defaults.memory_limit)),
            warnings,
        );
        (cpu, memory)
    };
    let mut limits = Map::new();
    for (name, limit) in [("cpu", cpu.1), ("memory", memory.1)] {
        if let Some(limit) = limit {
            limits.insert(name.to_owned(), limit.into());
        }
    }
    // Limits of all containers together bound what the volumes of a pod may hold; the spool brings its own.
    if has_storage_limit(pod) {
        limits.insert("ephemeral-storage".to_owned(), SPOOL_SIZE.into());
    }
    json!({"requests": {"cpu": cpu.0, "memory": memory.0}, "limits": limits})
}

/// In a Guaranteed pod a request that is not the limit would change what the pod is.
fn warn_of_requests(asked: &ResourceOptions, used: [&str; 2], warnings: &mut Vec<String>) {
    let requests = [
        (CPU_REQUEST, &asked.cpu_request),
        (MEMORY_REQUEST, &asked.memory_request),
    ];
    for ((annotation, request), used) in requests.into_iter().zip(used) {
        if let Some(request) = request
            && Quantity::parse(used).as_ref() != Some(request)
        {
            warnings.push(format!(
                "{annotation}: {request} is not used, since the pod is Guaranteed and asks for its limits; {used} is used"
            ));
        }
    }
}

/// Request and limit of one resource. A limit that was asked for bounds the default request; a request that
/// was asked for raises the default limit.
fn fit<'a>(
    annotation: &str,
    (asked_request, default_request): (Option<&'a Quantity>, &'a Quantity),
    (asked_limit, default_limit): (Option<&'a Quantity>, Option<&'a Quantity>),
    warnings: &mut Vec<String>,
) -> (&'a str, Option<&'a str>) {
    let request = asked_request.unwrap_or(default_request);
    let Some(limit) = asked_limit.or(default_limit) else {
        return (request.as_str(), None);
    };
    if request <= limit {
        return (request.as_str(), Some(limit.as_str()));
    }
    if asked_limit.is_none() {
        return (request.as_str(), Some(request.as_str()));
    }
    if asked_request.is_some() {
        warnings.push(format!(
            "{annotation}: {request} is more than the limit; {limit} is used"
        ));
    }
    (limit.as_str(), Some(limit.as_str()))
}

/// Whether Kubernetes calls the pod Guaranteed: every container has limits of both, and asks for as much.
fn is_guaranteed(pod: Pod<'_>) -> bool {
    pod.all_containers().all(|container| {
        ["cpu", "memory"].into_iter().all(|resource| {
            let limit = quantity(container, "limits", resource);
            let request = quantity(container, "requests", resource);
            limit.is_some() && (request.is_none() || request == limit)
        })
    })
}

fn has_storage_limit(pod: Pod<'_>) -> bool {
    pod.containers()
        .iter()
        .any(|container| quantity(container, "limits", "ephemeral-storage").is_some())
}

/// An amount of a container; manifests may write it as a number.
fn quantity(container: &Value, kind: &str, resource: &str) -> Option<Quantity> {
    match container.get("resources")?.get(kind)?.get(resource)? {
        Value::String(text) => Quantity::parse(text),
        Value::Number(number) => Quantity::parse(&number.to_string()),
        _ => None,
    }
}
