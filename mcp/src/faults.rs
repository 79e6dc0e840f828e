//! Faults as callers ask for them: begun, listed and stopped, over HTTP and over MCP alike.
//!
//! Who may is decided here, what a fault is by the store's [`remora_store::fault`], and what is known of
//! those that act by [`crate::control::faults`].

pub mod answer;
pub mod request;

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use axum::http::StatusCode;
use remora_store::fault::MOST_FAULTS;
use remora_store::filter::nearest;
use remora_store::store::Scope;

use crate::app::App;
use crate::auth::Caller;
use crate::control::faults::KnownFault;
use crate::control::{SidecarName, SidecarState};
use crate::error::ApiError;
use crate::params::quoted;
use crate::tools::text;
use answer::{FaultAnswer, FaultJson, StoppedAnswer};
use request::FaultRequest;

/// How long sidecars have to begin or end a fault before the caller is answered without them.
const PATIENCE: Duration = Duration::from_secs(2);

/// Begins a fault, and waits until the sidecars that are there have it.
///
/// # Errors
///
/// A field is wrong; there is no such workload, or its sidecars allow no faults; the caller may not.
pub async fn start(
    app: &App,
    caller: &Caller,
    request: FaultRequest,
) -> Result<FaultAnswer, ApiError> {
    let (mut spec, life) = request.check()?;
    let owner = owner(app, &caller.scope, &request)?;
    caller.check_may_make_faults(&owner.0).await?;
    let is_owned = |name: &SidecarName| name.namespace == owner.0 && name.workload == owner.1;
    // What each said last of whether it allows faults may be from before it was told to say so.
    let nobody = HashSet::new();
    app.control.flush_in(is_owned, &nobody, PATIENCE).await;
    let sidecars = live(app, is_owned);
    check_allowed(&owner, &sidecars)?;
    check_room(app, &owner)?;
    spec.id = new_id(app);
    let id = spec.id.clone();
    if !app.control.begin_fault(spec, owner, life) {
        let message = "the hub knows as many faults as it can";
        return Err(
            ApiError::new(StatusCode::CONFLICT, "too_many_faults", message)
                .hint("stop some, or wait until they have expired"),
        );
    }
    note(caller, &id, "fault begun");
    let expected: Vec<u128> = sidecars
        .iter()
        .filter(|sidecar| sidecar.allows_faults == Some(true) && sidecar.prompt)
        .map(|sidecar| sidecar.incarnation)
        .collect();
    let answered = || {
        let fault = app.control.fault(&id);
        fault.is_none_or(|fault| {
            let mut late = expected.iter();
            !late.any(|it| !fault.seen.contains_key(it) && !fault.refused.contains_key(it))
        })
    };
    app.control.wait_for_faults(PATIENCE, answered).await;
    let fault = app.control.fault(&id);
    let fault = fault.ok_or_else(|| unknown(app, &caller.scope, &id))?;
    Ok(FaultAnswer::of(&fault, &sidecars))
}

/// The faults that the caller may see, with what their sidecars say of them now; the oldest first.
pub async fn list(app: &App, scope: &Scope) -> Vec<FaultJson> {
    let owners: BTreeSet<(String, String)> = seen(app, scope)
        .into_iter()
        .map(|fault| fault.owner)
        .collect();
    let is_owner =
        |name: &SidecarName| owners.contains(&(name.namespace.clone(), name.workload.clone()));
    if !owners.is_empty() {
        app.control
            .flush_in(is_owner, &HashSet::new(), PATIENCE)
            .await;
    }
    let live: HashSet<u128> = live(app, is_owner)
        .into_iter()
        .map(|sidecar| sidecar.incarnation)
        .collect();
    let faults = seen(app, scope).into_iter();
    faults.map(|fault| FaultJson::of(&fault, &live)).collect()
}

/// Stops a fault, and waits until its sidecars have ended it. One that has ended stays as it is, and is told of.
///
/// # Errors
///
/// There is none of that id that the caller sees, or the caller may not.
pub async fn stop(app: &App, caller: &Caller, id: &str) -> Result<StoppedAnswer, ApiError> {
    let fault = find(app, &caller.scope, id).await?;
    caller.check_may_make_faults(&fault.owner.0).await?;
    if app.control.stop_fault(id) {
        note(caller, id, "fault stopped");
    }
    let live: HashSet<u128> = live(app, |name| {
        (&name.namespace, &name.workload) == (&fault.owner.0, &fault.owner.1)
    })
    .into_iter()
    .map(|sidecar| sidecar.incarnation)
    .collect();
    let acts = || {
        let fault = app.control.fault(id);
        fault.is_some_and(|fault| live.iter().any(|it| fault.acts_in(*it)))
    };
    app.control.wait_for_faults(PATIENCE, || !acts()).await;
    let fault = app.control.fault(id).unwrap_or(fault);
    Ok(StoppedAnswer::of(&fault, &live))
}

/// The fault of an id, where the caller sees it. A hub that began anew may not have heard of it yet, so that
/// sidecars are asked before there is none.
async fn find(app: &App, scope: &Scope, id: &str) -> Result<KnownFault, ApiError> {
    let known = || {
        let known = app.control.fault(id);
        known.filter(|fault| scope.sees(&fault.owner.0))
    };
    if let Some(fault) = known() {
        return Ok(fault);
    }
    let is_seen = |name: &SidecarName| scope.sees(&name.namespace);
    let nobody = HashSet::new();
    app.control.flush_in(is_seen, &nobody, PATIENCE).await;
    known().ok_or_else(|| unknown(app, scope, id))
}

/// In whose sidecars the fault is to act.
fn owner(app: &App, scope: &Scope, request: &FaultRequest) -> Result<(String, String), ApiError> {
    let (workload, wanted) = (&request.workload, request.namespace.as_deref());
    let there = live(app, |name| scope.sees(&name.namespace));
    let found: BTreeSet<&str> = there
        .iter()
        .filter(|it| it.name.workload == *workload)
        .map(|it| it.name.namespace.as_str())
        .filter(|namespace| wanted.is_none_or(|wanted| wanted == *namespace))
        .collect();
    let mut namespaces = found.iter();
    match (namespaces.next(), namespaces.next()) {
        (Some(namespace), None) => Ok(((*namespace).to_owned(), workload.clone())),
        (Some(_), Some(_)) => {
            let message = format!("workload {} is in several namespaces", quoted(workload));
            let names: Vec<&str> = found.into_iter().collect();
            Err(ApiError::bad_request("ambiguous", message)
                .field("namespace")
                .hint(format!("one of: {}", names.join(", "))))
        }
        (None, _) => {
            let place =
                wanted.map_or_else(String::new, |it| format!(" in namespace {}", quoted(it)));
            let message = format!(
                "no sidecar of workload {}{place} is connected",
                quoted(workload)
            );
            let error = ApiError::not_found("unknown_workload", message).field("workload");
            let known = there.iter().filter_map(|it| text::name(&it.name.workload));
            Err(
                match nearest(workload, known.clone().filter(|name| name != workload)) {
                    Some(near) => error.hint(format!("did you mean {near}?")),
                    None if known.clone().next().is_none() => {
                        error.hint("no sidecar is connected at all")
                    }
                    None => {
                        let known: BTreeSet<&str> = known.collect();
                        let known: Vec<&str> = known.into_iter().take(20).collect();
                        error.hint(format!("connected are: {}", known.join(", ")))
                    }
                },
            )
        }
    }
}

fn live(app: &App, wanted: impl Fn(&SidecarName) -> bool) -> Vec<SidecarState> {
    let mut sidecars = app.control.sidecars();
    sidecars.retain(|sidecar| sidecar.live && wanted(&sidecar.name));
    sidecars
}

fn check_allowed(owner: &(String, String), sidecars: &[SidecarState]) -> Result<(), ApiError> {
    let mut allowing = sidecars.iter().map(|sidecar| sidecar.allows_faults);
    if allowing.clone().any(|allows| allows == Some(true)) {
        return Ok(());
    }
    let workload = quoted(&owner.1);
    let error = match allowing.any(|allows| allows == Some(false)) {
        true => ApiError::new(
            StatusCode::CONFLICT,
            "faults_not_allowed",
            format!("workload {workload} allows no faults"),
        )
        .hint(
            "annotate its pods with remora.dev/faults: \"allowed\" (in the pod template, so that new pods have it), or \
             start its `remora proxy` with --allow-faults",
        ),
        false => ApiError::new(
            StatusCode::CONFLICT,
            "sidecars_too_old",
            format!("no sidecar of workload {workload} has said that it knows of faults"),
        )
        .hint("ask again in a few seconds; sidecars of an older version have to be replaced"),
    };
    Err(error.field("workload"))
}

/// A sidecar carries out so many at a time.
fn check_room(app: &App, owner: &(String, String)) -> Result<(), ApiError> {
    let known = app.control.known_faults().into_iter();
    let active = known.filter(|fault| fault.owner == *owner && !fault.state().is_over());
    if active.count() < MOST_FAULTS {
        return Ok(());
    }
    let message = format!(
        "workload {} has {MOST_FAULTS} faults already, as many as a sidecar holds",
        quoted(&owner.1)
    );
    Err(
        ApiError::new(StatusCode::CONFLICT, "too_many_faults", message)
            .field("workload")
            .hint("stop one of them"),
    )
}

/// A name that no fault has, of this run of the hub or of one before: those are asked to keep theirs.
fn new_id(app: &App) -> String {
    loop {
        let id = format!("f-{:08x}", rand::random::<u32>());
        if app.control.fault(&id).is_none() {
            return id;
        }
    }
}

fn seen(app: &App, scope: &Scope) -> Vec<KnownFault> {
    let mut known = app.control.known_faults();
    known.retain(|fault| scope.sees(&fault.owner.0));
    known
}

fn unknown(app: &App, scope: &Scope, id: &str) -> ApiError {
    let message = format!(
        "there is no fault {}: it ended more than ten minutes ago or never was, and no sidecar that is connected \
         holds it",
        quoted(id)
    );
    let error = ApiError::not_found("unknown_fault", message).field("id");
    let seen = seen(app, scope);
    match nearest(id, seen.iter().map(|fault| fault.spec.id.as_str())) {
        Some(near) => error.hint(format!("did you mean {near}?")),
        None if !seen.is_empty() => error.hint("list the faults"),
        None if live(app, |name| scope.sees(&name.namespace)).is_empty() => error.hint(
            "no sidecar is connected: of a hub that was just restarted, ask again in a few seconds",
        ),
        None => error.hint("there are none"),
    }
}

/// Whoever changes traffic is named.
fn note(caller: &Caller, id: &str, what: &str) {
    let user = caller.user.as_deref().unwrap_or("-");
    tracing::info!(target: "audit", { user, fault.id = id }, "{what}");
}
