//! At which addresses a listener is called that listens on all of them.
//!
//! Others know a workload by its addresses, never by `0.0.0.0`. Read from the kernel's tables, where
//! it needs neither privilege nor a library; without them only loopback is known.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// IPv4 routes, those to the machine's own addresses among them.
const IPV4_TABLE: &str = "/proc/net/fib_trie";

/// IPv6 addresses of the interfaces.
const IPV6_TABLE: &str = "/proc/net/if_inet6";

/// The addresses by which a listener on `address` is reached: itself, unless it is a wildcard.
pub(crate) fn reached_at(address: SocketAddr) -> Vec<SocketAddr> {
    if !address.ip().is_unspecified() {
        return vec![address];
    }
    // Where a table cannot be read, what is known without it has to do.
    let table = |path| fs::read_to_string(path).unwrap_or_default();
    let mut ips = BTreeSet::from([IpAddr::V4(Ipv4Addr::LOCALHOST)]);
    ips.extend(own_ipv4(&table(IPV4_TABLE)).map(IpAddr::V4));
    // An IPv6 wildcard takes IPv4 as well.
    if address.is_ipv6() {
        ips.insert(IpAddr::V6(Ipv6Addr::LOCALHOST));
        ips.extend(own_ipv6(&table(IPV6_TABLE)).map(IpAddr::V6));
    }
    ips.into_iter()
        .map(|ip| SocketAddr::new(ip, address.port()))
        .collect()
}

/// Each address stands in a line, and what it is in the next.
fn own_ipv4(table: &str) -> impl Iterator<Item = Ipv4Addr> {
    let lines = table.lines().map(str::trim);
    let pairs = lines.clone().zip(lines.skip(1));
    pairs.filter_map(|(address, kind)| {
        let address = address.strip_prefix("|-- ")?;
        (kind == "/32 host LOCAL").then(|| address.parse().ok())?
    })
}

/// Addresses of one link are left out: nobody can name them without the link.
fn own_ipv6(table: &str) -> impl Iterator<Item = Ipv6Addr> {
    let digits = table.lines().filter_map(|line| line.split(' ').next());
    digits
        .filter_map(|digits| u128::from_str_radix(digits, 16).ok())
        .map(Ipv6Addr::from)
        .filter(|address| !address.is_unicast_link_local())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_reached_at_itself() {
        let address = "10.0.0.1:80".parse().unwrap();
        assert_eq!(reached_at(address), [address]);
    }

    #[test]
    fn a_wildcard_is_reached_at_addresses_that_can_be_called() {
        for wildcard in ["0.0.0.0:80", "[::]:80"] {
            let reached = reached_at(wildcard.parse().unwrap());
            assert!(reached.contains(&"127.0.0.1:80".parse().unwrap()));
            assert!(reached.iter().all(|address| address.port() == 80));
            assert!(!reached.iter().any(|address| address.ip().is_unspecified()));
        }
    }

    #[test]
    fn own_addresses_are_told_from_other_routes() {
        let table = "\
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
           |-- 127.0.0.0
              /8 host LOCAL
        +-- 192.0.2.0/30 2 0 2
           |-- 192.0.2.0
              /24 link UNICAST
           |-- 192.0.2.2
              /32 host LOCAL
        |-- 192.0.2.255
           /32 link BROADCAST
";
        let own: Vec<_> = own_ipv4(table).collect();
        assert_eq!(own, [Ipv4Addr::new(192, 0, 2, 2)]);
    }

    #[test]
    fn addresses_of_a_link_are_left_out() {
        let table = "\
fe8000000000000000fc00fffe000001 04 40 20 80     eth0
fd000000000000000000000000000002 04 40 00 82     eth0
";
        let own: Vec<_> = own_ipv6(table).collect();
        assert_eq!(own, ["fd00::2".parse::<Ipv6Addr>().unwrap()]);
    }
}
