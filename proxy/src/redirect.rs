//! The redirect rules: which TCP connections of a pod go through its sidecar.
//!
//! One nftables table, `inet remora`, for IPv4 and IPv6. The rules are values; the same values are
//! written to the kernel and shown as `nft` text. Rules that were there before are replaced in the
//! same transaction, so that running twice is the same as running once.

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

use crate::config::{ADMIN_PORT, ConfigError, Problem, RedirectPorts};
pub use crate::redirect::batch::RedirectError;

mod batch;
mod options;

/// User that the sidecar runs as in a pod. What this user sends is never redirected, else the
/// sidecar would be its own client.
pub const PROXY_UID: u32 = 15100;

/// Name of the table, of family `inet`.
const TABLE: &str = "remora";

/// Where in the order of hooks the chains stand: with destination NAT. `nft` has a name for this
/// number, but takes it only before routing.
const PRIORITY: i32 = -100;

/// Which connections to leave alone, as it was written.
#[derive(Debug, Clone)]
pub struct RedirectOptions {
    /// User that the sidecar runs as. Default [`PROXY_UID`].
    pub proxy_uid: u32,
    /// Where connections are redirected to. Default 15106 and 15101.
    pub ports: RedirectPorts,
    /// Ports of the pod that clients reach directly: `8080` or `8000-8099`.
    pub skip_inbound_ports: Vec<String>,
    /// Ports that the pod reaches directly.
    pub skip_outbound_ports: Vec<String>,
    /// Networks that the pod reaches directly: `10.0.0.0/8`, `fd00::/8` or a single address.
    pub skip_outbound_cidrs: Vec<String>,
}

impl Default for RedirectOptions {
    fn default() -> Self {
        Self {
            proxy_uid: PROXY_UID,
            ports: RedirectPorts::default(),
            skip_inbound_ports: Vec::new(),
            skip_outbound_ports: Vec::new(),
            skip_outbound_cidrs: Vec::new(),
        }
    }
}

/// The rules of one network namespace. Shown as a script for `nft -f`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleSet {
    chains: Vec<Chain>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Chain {
    hook: Hook,
    rules: Vec<Rule>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hook {
    /// Connections that come in.
    Prerouting,
    /// Connections that the pod makes.
    Output,
}

/// What happens to a connection that all of the conditions hold for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    conditions: Vec<Condition>,
    verdict: Verdict,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Condition {
    /// It comes in over the loopback interface.
    FromLoopback,
    /// It goes out over the loopback interface: to localhost or to the pod's own address.
    ToLoopback,
    /// A process of this user made it.
    OwnedBy(u32),
    /// It is TCP.
    Tcp,
    /// It is TCP and goes to one of these ports.
    TcpPort(RangeInclusive<u16>),
    /// It goes to this network.
    To(Network),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// It goes where it was going.
    LeaveAlone,
    /// It goes to this port of the sidecar.
    RedirectTo(u16),
}

/// A network, or a single address where the prefix is as long as the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    prefix: u8,
}

impl RuleSet {
    /// The rules for `options`; everything that is wrong with them is reported together.
    pub fn new(options: &RedirectOptions) -> Result<Self, ConfigError> {
        let mut problems = Vec::new();
        let mut read = |field, texts: &[String]| options::ports(field, texts, &mut problems);
        let skip_inbound = read("--skip-inbound-ports", &options.skip_inbound_ports);
        let skip_outbound = read("--skip-outbound-ports", &options.skip_outbound_ports);
        let skip_networks = options::networks(
            "--skip-outbound-cidrs",
            &options.skip_outbound_cidrs,
            &mut problems,
        );
        if options.proxy_uid == 0 {
            problems.push(Problem {
                field: "--proxy-uid",
                message:
                    "it is 0: what root sends would never be seen; run the sidecar as its own user"
                        .to_owned(),
            });
        }
        if !problems.is_empty() {
            return Err(ConfigError { problems });
        }
        Ok(Self {
            chains: vec![
                inbound(options.ports, &skip_inbound),
                outbound(options, &skip_outbound, &skip_networks),
            ],
        })
    }

    /// Writes the rules into the network namespace of this process, in one transaction.
    pub fn install(&self) -> Result<(), RedirectError> {
        raise_net_admin();
        batch::install(self)
    }
}

fn inbound(ports: RedirectPorts, skip: &[RangeInclusive<u16>]) -> Chain {
    let own = [ports.inbound, ports.outbound, ADMIN_PORT].map(|port| port..=port);
    let mut rules = vec![Rule::leave(Condition::FromLoopback)];
    rules.extend(
        own.iter()
            .chain(skip)
            .cloned()
            .map(Condition::TcpPort)
            .map(Rule::leave),
    );
    rules.push(Rule::redirect(ports.inbound));
    Chain {
        hook: Hook::Prerouting,
        rules,
    }
}

fn outbound(
    options: &RedirectOptions,
    skip: &[RangeInclusive<u16>],
    networks: &[Network],
) -> Chain {
    let mut rules = vec![
        // First, and before anything that could match: the loop guard.
        Rule::leave(Condition::OwnedBy(options.proxy_uid)),
        Rule::leave(Condition::ToLoopback),
    ];
    rules.extend(
        skip.iter()
            .cloned()
            .map(Condition::TcpPort)
            .map(Rule::leave),
    );
    rules.extend(networks.iter().copied().map(Condition::To).map(Rule::leave));
    rules.push(Rule::redirect(options.ports.outbound));
    Chain {
        hook: Hook::Output,
        rules,
    }
}

impl Rule {
    fn leave(condition: Condition) -> Self {
        Self {
            conditions: vec![condition],
            verdict: Verdict::LeaveAlone,
        }
    }

    fn redirect(port: u16) -> Self {
        Self {
            conditions: vec![Condition::Tcp],
            verdict: Verdict::RedirectTo(port),
        }
    }
}

/// Makes use of CAP_NET_ADMIN where the process may have it.
///
/// The file capability only permits it: with the effective bit in the file, the same binary could
/// not start where all capabilities are dropped. What is missing shows when the rules are written.
fn raise_net_admin() {
    let Ok(mut sets) = capabilities(None) else {
        return;
    };
    if sets.permitted.contains(CapabilitySet::NET_ADMIN) {
        sets.effective |= CapabilitySet::NET_ADMIN;
        // A refusal shows when the rules are written.
        let _ = set_capabilities(None, sets);
    }
}

impl fmt::Display for RuleSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "add table inet {TABLE}")?;
        writeln!(f, "delete table inet {TABLE}")?;
        writeln!(f, "table inet {TABLE} {{")?;
        for chain in &self.chains {
            let name = chain.hook.name();
            writeln!(f, "\tchain {name} {{")?;
            writeln!(
                f,
                "\t\ttype nat hook {name} priority {PRIORITY}; policy accept;"
            )?;
            for rule in &chain.rules {
                writeln!(f, "\t\t{rule}")?;
            }
            writeln!(f, "\t}}")?;
        }
        writeln!(f, "}}")
    }
}

impl Hook {
    fn name(self) -> &'static str {
        match self {
            Hook::Prerouting => "prerouting",
            Hook::Output => "output",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for condition in &self.conditions {
            write!(f, "{condition} ")?;
        }
        match self.verdict {
            Verdict::LeaveAlone => f.write_str("counter return"),
            Verdict::RedirectTo(port) => write!(f, "counter redirect to :{port}"),
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Condition::FromLoopback => f.write_str("iifname \"lo\""),
            Condition::ToLoopback => f.write_str("oifname \"lo\""),
            Condition::OwnedBy(uid) => write!(f, "meta skuid {uid}"),
            Condition::Tcp => f.write_str("meta l4proto tcp"),
            Condition::TcpPort(ports) if ports.start() == ports.end() => {
                write!(f, "tcp dport {}", ports.start())
            }
            Condition::TcpPort(ports) => {
                write!(f, "tcp dport {}-{}", ports.start(), ports.end())
            }
            Condition::To(network) => write!(f, "{network}"),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (family, bits) = match self.address {
            IpAddr::V4(_) => ("ip", 32),
            IpAddr::V6(_) => ("ip6", 128),
        };
        write!(f, "{family} daddr {}", self.address)?;
        if self.prefix < bits {
            write!(f, "/{}", self.prefix)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
