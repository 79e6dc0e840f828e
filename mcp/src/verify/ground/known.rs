//! Whether somebody has the name that a filter gives to an end, and whom it may have meant (pure).

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use remora_store::filter::nearest;
use remora_store::store::Recorder;

use crate::tools::filter::FilterInput;
use crate::tools::text;
use crate::traffic::Traffic;

/// Names that somebody has, as far as they may be shown.
pub(crate) struct Known<'a>(BTreeSet<&'a str>);

impl<'a> Known<'a> {
    /// Those of who recorded, of who was seen, and of what is in the cluster.
    pub(crate) fn of(
        recorders: &'a [Recorder],
        traffic: &'a Traffic,
        in_cluster: &'a [String],
    ) -> Self {
        let recorders = recorders.iter();
        let recorded = recorders.flat_map(|it| [&it.origin.workload, &it.origin.pod]);
        let legs = traffic.observed().iter();
        let parties = legs.flat_map(|it| [&it.found.src, &it.found.dst]);
        let seen = parties.flat_map(|it| [&it.workload, &it.service, &it.pod]);
        let all = recorded.chain(seen).chain(in_cluster);
        Self(all.filter_map(|name| text::name(name)).collect())
    }

    /// Which ends of a filter nobody is known as, where a name that is known is so near that it was likely meant.
    pub(crate) fn mistaken(&self, filter: Option<&FilterInput>) -> Vec<String> {
        let ends = FilterInput::ends(filter);
        let mistaken = ends.iter().filter_map(|(field, name)| {
            let near = self.meant(name)?;
            let shown = text::name(name).unwrap_or("(odd name)");
            Some(format!(
                "nobody is known as {field} {shown}: did you mean {near}?"
            ))
        });
        mistaken.collect()
    }

    fn meant(&self, name: &str) -> Option<&'a str> {
        let is_address = name.parse::<IpAddr>().is_ok() || name.parse::<SocketAddr>().is_ok();
        if is_address || self.0.contains(name) {
            return None;
        }
        // The next version of somebody, or the next pod, is no slip of the pen.
        let without_digits = |name: &str| name.replace(|c: char| c.is_ascii_digit(), "");
        let others = self.0.iter().copied();
        let others = others.filter(|other| without_digits(other) != without_digits(name));
        nearest(name, others)
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("admn", Some("admin"); "a letter is missing")]
    #[test_case("Orders", Some("orders"); "another case")]
    #[test_case("admin", None; "the name itself")]
    #[test_case("payments-v2", None; "another version")]
    #[test_case("billing", None; "a name like no other")]
    #[test_case("10.0.0.1", None; "an address")]
    #[test_case("10.0.0.1:80", None; "an address with its port")]
    fn whom_a_name_means(name: &str, meant: Option<&str>) {
        let known = Known(BTreeSet::from(["admin", "orders", "payments-v1"]));
        assert_eq!(known.meant(name), meant);
    }
}
