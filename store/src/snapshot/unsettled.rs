//! What a sealed snapshot may lack of its own time: what was still under way when it was sealed.

use std::collections::BTreeMap;

use super::{Blindness, MEMBERS_LIMIT, UNDER_WAY_LIMIT, UnderWay};

/// What was under way when a snapshot was sealed, and therefore is no part of it.
///
/// Without it nobody could tell later whether what the snapshot does not hold did not happen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unsettled {
    /// Beside whom calls were running, with how many; health checks are left out.
    pub running: Vec<Beside>,
    /// Those calls one by one, at most [`UNDER_WAY_LIMIT`] of them, requests first. Fewer than `running` counts
    /// where there were more, or where an older hub sealed the snapshot.
    pub calls: Vec<UnderWay>,
    /// Connections that were opened before the snapshot began, and over which passed what nobody read: at most
    /// [`UNDER_WAY_LIMIT`] of them.
    pub unread: Vec<UnderWay>,
    /// Beside whom sidecars had not handed over what they observed, with how many of them.
    pub silent: Vec<Beside>,
    /// How many calls and sidecars there were beside more workloads than are listed.
    pub omitted: u64,
    /// What nobody would have seen then; `None` where an older hub sealed the snapshot.
    pub blindness: Option<Blindness>,
}

/// How much there is of something beside one workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beside {
    /// Kubernetes namespace; `local` outside a cluster.
    pub namespace: String,
    /// Name of the workload.
    pub workload: String,
    /// How much.
    pub count: u64,
}

impl Unsettled {
    /// Gathers it from the calls that ran, and from the namespace and the workload of each sidecar; lists at most
    /// [`MEMBERS_LIMIT`] workloads for either.
    pub fn of<'a>(
        mut calls: Vec<UnderWay>,
        silent: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        calls.sort_by_key(|it| (it.nature, it.since_ns, it.run));
        let running = calls
            .iter()
            .map(|it| (it.namespace.as_str(), it.workload.as_str()));
        let running = Beside::count_up(running);
        calls.truncate(UNDER_WAY_LIMIT);
        let mut omitted = 0;
        let mut listed = |mut all: Vec<Beside>| {
            let beyond = all.split_off(all.len().min(MEMBERS_LIMIT));
            omitted += beyond.iter().map(|it| it.count).sum::<u64>();
            all
        };
        Self {
            running: listed(running),
            calls,
            silent: listed(Beside::count_up(silent)),
            omitted,
            unread: Vec::new(),
            blindness: None,
        }
    }

    /// Whether nothing was.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Beside {
    fn count_up<'a>(names: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<Self> {
        let mut counts: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        for name in names {
            *counts.entry(name).or_default() += 1;
        }
        let counts = counts.into_iter();
        counts
            .map(|((namespace, workload), count)| Self {
                namespace: namespace.to_owned(),
                workload: workload.to_owned(),
                count,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::request;
    use super::*;

    #[test]
    fn workloads_are_counted_and_those_beyond_the_limit_too() {
        let names: Vec<String> = (0..MEMBERS_LIMIT + 2).map(|n| format!("w{n:04}")).collect();
        let twice = names.iter().chain(&names);
        let unsettled = Unsettled::of(twice.map(|name| request(name)).collect(), []);
        assert_eq!(unsettled.running.len(), MEMBERS_LIMIT);
        assert!(unsettled.running.iter().all(|it| it.count == 2));
        assert_eq!((unsettled.silent.len(), unsettled.omitted), (0, 4));
        assert_eq!(unsettled.calls.len(), UNDER_WAY_LIMIT);
        assert!(!unsettled.is_empty());
    }
}
