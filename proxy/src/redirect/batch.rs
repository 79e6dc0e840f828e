//! The rules on the wire: one nfnetlink transaction, as the kernel's `nf_tables.h` lays it out.
//!
//! Owns the encoding and the conversation with the kernel; what the rules say is decided above.

use std::io;
use std::net::IpAddr;

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with,
};

use crate::redirect::batch::message::{Attributes, Batch, Kind};
use crate::redirect::{Chain, Condition, Hook, Network, PRIORITY, Rule, RuleSet, TABLE, Verdict};

mod message;

/// Why the rules were not written. Nothing is changed then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RedirectError {
    /// The process lacks CAP_NET_ADMIN.
    #[error(
        "the kernel refused the redirect rules: CAP_NET_ADMIN is missing; \
         in a pod, the container needs securityContext.capabilities.add: [NET_ADMIN]"
    )]
    NotPermitted,
    /// The kernel lacks nftables or a part of it.
    #[error("the kernel lacks the module for {part}; load {modules} on the node")]
    ModuleMissing {
        /// What the kernel does not know.
        part: String,
        /// What would have to be loaded.
        modules: &'static str,
    },
    /// The kernel refused one of the messages.
    #[error("the kernel refused {part} of the redirect rules")]
    Refused {
        /// Which.
        part: String,
        /// What it said.
        source: io::Error,
    },
    /// There is no netlink socket, or it broke.
    #[error("talk to nftables over netlink")]
    Netlink(#[from] io::Error),
}

/// Writes the rules in one transaction.
pub(super) fn install(rules: &RuleSet) -> Result<(), RedirectError> {
    let batch = encode(rules);
    let socket = socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        Some(rustix::net::netlink::NETFILTER),
    )
    .map_err(io::Error::from)?;
    let kernel = SocketAddrNetlink::new(0, 0);
    sendto(&socket, batch.bytes(), SendFlags::empty(), &kernel).map_err(io::Error::from)?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        // The kernel answers while it takes the batch: the answer is there, or there is none.
        let (_, length) =
            recv(&socket, buffer.as_mut_slice(), RecvFlags::DONTWAIT).map_err(io::Error::from)?;
        let answers = buffer.get(..length).unwrap_or_default();
        if let Some(verdict) = batch.verdict(answers) {
            return verdict.map_err(|(part, errno)| explain(part, errno));
        }
    }
}

fn explain(part: &str, errno: i32) -> RedirectError {
    let part = part.to_owned();
    match errno {
        libc::EPERM | libc::EACCES => RedirectError::NotPermitted,
        libc::EOPNOTSUPP | libc::EPROTONOSUPPORT | libc::EAFNOSUPPORT => {
            RedirectError::ModuleMissing {
                part,
                modules: "nf_tables",
            }
        }
        libc::ENOENT => RedirectError::ModuleMissing {
            part,
            modules: "nft_chain_nat, nft_redir and nft_counter",
        },
        errno => RedirectError::Refused {
            part,
            source: io::Error::from_raw_os_error(errno),
        },
    }
}

fn encode(rules: &RuleSet) -> Batch {
    let mut batch = Batch::new();
    let table = |attributes: &mut Attributes<'_>| attributes.text(attribute::TABLE_NAME, TABLE);
    // Deleting needs a table that is there: it is made first, empty, if it is not.
    batch.push("the table", Kind::NewTable, table);
    batch.push("the old table", Kind::DeleteTable, table);
    batch.push("the table", Kind::NewTable, table);
    for chain in &rules.chains {
        let name = chain.hook.name();
        batch.push(
            &format!("the NAT chain {name}"),
            Kind::NewChain,
            |attributes| {
                encode_chain(chain, attributes);
            },
        );
        for rule in &chain.rules {
            batch.push(&format!("the rule `{rule}`"), Kind::NewRule, |attributes| {
                attributes.text(attribute::RULE_TABLE, TABLE);
                attributes.text(attribute::RULE_CHAIN, name);
                attributes.nested(attribute::RULE_EXPRESSIONS, |list| encode_rule(rule, list));
            });
        }
    }
    batch.finish();
    batch
}

fn encode_chain(chain: &Chain, attributes: &mut Attributes<'_>) {
    let hook = match chain.hook {
        Hook::Prerouting => 0,
        Hook::Output => 3,
    };
    attributes.text(attribute::CHAIN_TABLE, TABLE);
    attributes.text(attribute::CHAIN_NAME, chain.hook.name());
    attributes.nested(attribute::CHAIN_HOOK, |attributes| {
        attributes.number(attribute::HOOK_NUMBER, hook);
        attributes.number(attribute::HOOK_PRIORITY, PRIORITY.cast_unsigned());
    });
    attributes.number(attribute::CHAIN_POLICY, POLICY_ACCEPT);
    attributes.text(attribute::CHAIN_TYPE, "nat");
}

fn encode_rule(rule: &Rule, list: &mut Attributes<'_>) {
    for condition in &rule.conditions {
        encode_condition(condition, list);
    }
    expression(list, "counter", |_| {});
    match rule.verdict {
        Verdict::LeaveAlone => expression(list, "immediate", |attributes| {
            attributes.number(attribute::IMMEDIATE_REGISTER, REGISTER_VERDICT);
            attributes.nested(attribute::IMMEDIATE_DATA, |data| {
                data.nested(attribute::DATA_VERDICT, |verdict| {
                    verdict.number(attribute::VERDICT_CODE, VERDICT_RETURN.cast_unsigned());
                });
            });
        }),
        Verdict::RedirectTo(port) => {
            expression(list, "immediate", |attributes| {
                attributes.number(attribute::IMMEDIATE_REGISTER, REGISTER);
                value(attributes, attribute::IMMEDIATE_DATA, &port.to_be_bytes());
            });
            expression(list, "redir", |attributes| {
                attributes.number(attribute::REDIRECT_PORT_REGISTER, REGISTER);
            });
        }
    }
}

fn encode_condition(condition: &Condition, list: &mut Attributes<'_>) {
    match condition {
        Condition::FromLoopback => compare_meta(list, META_INPUT_NAME, &interface("lo")),
        Condition::ToLoopback => compare_meta(list, META_OUTPUT_NAME, &interface("lo")),
        Condition::OwnedBy(uid) => compare_meta(list, META_OWNER_UID, &uid.to_ne_bytes()),
        Condition::Tcp => compare_meta(list, META_L4_PROTOCOL, &[PROTOCOL_TCP]),
        Condition::TcpPort(ports) => {
            compare_meta(list, META_L4_PROTOCOL, &[PROTOCOL_TCP]);
            load_payload(list, BASE_TRANSPORT, 2, 2);
            if ports.start() == ports.end() {
                compare(list, OPERATOR_EQUAL, &ports.start().to_be_bytes());
            } else {
                compare(list, OPERATOR_AT_LEAST, &ports.start().to_be_bytes());
                compare(list, OPERATOR_AT_MOST, &ports.end().to_be_bytes());
            }
        }
        Condition::To(network) => encode_network(network, list),
    }
}

/// The destination address lies at a fixed place of the IP header.
fn encode_network(network: &Network, list: &mut Attributes<'_>) {
    let (family, offset, bytes) = match network.address {
        IpAddr::V4(address) => (FAMILY_IPV4, 16, address.octets().to_vec()),
        IpAddr::V6(address) => (FAMILY_IPV6, 24, address.octets().to_vec()),
    };
    compare_meta(list, META_FAMILY, &[family]);
    let length = bytes.len() as u32;
    load_payload(list, BASE_NETWORK, offset, length);
    let mask = mask(network.prefix, bytes.len());
    if mask.iter().any(|byte| *byte != u8::MAX) {
        expression(list, "bitwise", |attributes| {
            attributes.number(attribute::BITWISE_SOURCE, REGISTER);
            attributes.number(attribute::BITWISE_TARGET, REGISTER);
            attributes.number(attribute::BITWISE_LENGTH, length);
            value(attributes, attribute::BITWISE_MASK, &mask);
            value(attributes, attribute::BITWISE_XOR, &vec![0; mask.len()]);
        });
    }
    compare(list, OPERATOR_EQUAL, &bytes);
}

fn mask(prefix: u8, bytes: usize) -> Vec<u8> {
    let byte = |index: usize| {
        let bits = usize::from(prefix).saturating_sub(index * 8).min(8) as u32;
        u8::MAX.checked_shl(8 - bits).unwrap_or(0)
    };
    (0..bytes).map(byte).collect()
}

/// Interface names are compared in the kernel's fixed size.
fn interface(name: &str) -> [u8; 16] {
    let mut field = [0; 16];
    for (slot, byte) in field.iter_mut().zip(name.bytes()) {
        *slot = byte;
    }
    field
}

fn compare_meta(list: &mut Attributes<'_>, key: u32, wanted: &[u8]) {
    expression(list, "meta", |attributes| {
        attributes.number(attribute::META_REGISTER, REGISTER);
        attributes.number(attribute::META_KEY, key);
    });
    compare(list, OPERATOR_EQUAL, wanted);
}

fn load_payload(list: &mut Attributes<'_>, base: u32, offset: u32, length: u32) {
    expression(list, "payload", |attributes| {
        attributes.number(attribute::PAYLOAD_REGISTER, REGISTER);
        attributes.number(attribute::PAYLOAD_BASE, base);
        attributes.number(attribute::PAYLOAD_OFFSET, offset);
        attributes.number(attribute::PAYLOAD_LENGTH, length);
    });
}

fn compare(list: &mut Attributes<'_>, operator: u32, wanted: &[u8]) {
    expression(list, "cmp", |attributes| {
        attributes.number(attribute::COMPARE_REGISTER, REGISTER);
        attributes.number(attribute::COMPARE_OPERATOR, operator);
        value(attributes, attribute::COMPARE_DATA, wanted);
    });
}

fn expression(list: &mut Attributes<'_>, name: &str, data: impl FnOnce(&mut Attributes<'_>)) {
    list.nested(attribute::LIST_ELEMENT, |element| {
        element.text(attribute::EXPRESSION_NAME, name);
        element.nested(attribute::EXPRESSION_DATA, data);
    });
}

fn value(attributes: &mut Attributes<'_>, kind: u16, bytes: &[u8]) {
    attributes.nested(kind, |data| data.bytes(attribute::DATA_VALUE, bytes));
}

/// The register that values pass through, 16 bytes wide.
const REGISTER: u32 = 1;
const REGISTER_VERDICT: u32 = 0;
const VERDICT_RETURN: i32 = -5;
const POLICY_ACCEPT: u32 = 1;

const META_INPUT_NAME: u32 = 6;
const META_OUTPUT_NAME: u32 = 7;
const META_OWNER_UID: u32 = 10;
const META_FAMILY: u32 = 15;
const META_L4_PROTOCOL: u32 = 16;

const PROTOCOL_TCP: u8 = 6;
const FAMILY_IPV4: u8 = 2;
const FAMILY_IPV6: u8 = 10;

const BASE_NETWORK: u32 = 1;
const BASE_TRANSPORT: u32 = 2;

const OPERATOR_EQUAL: u32 = 0;
const OPERATOR_AT_MOST: u32 = 3;
const OPERATOR_AT_LEAST: u32 = 5;

/// Numbers of attributes, each within the message or expression that it is named after.
mod attribute {
    pub(super) const TABLE_NAME: u16 = 1;
    pub(super) const CHAIN_TABLE: u16 = 1;
    pub(super) const CHAIN_NAME: u16 = 3;
    pub(super) const CHAIN_HOOK: u16 = 4;
    pub(super) const CHAIN_POLICY: u16 = 5;
    pub(super) const CHAIN_TYPE: u16 = 7;
    pub(super) const HOOK_NUMBER: u16 = 1;
    pub(super) const HOOK_PRIORITY: u16 = 2;
    pub(super) const RULE_TABLE: u16 = 1;
    pub(super) const RULE_CHAIN: u16 = 2;
    pub(super) const RULE_EXPRESSIONS: u16 = 4;
    pub(super) const LIST_ELEMENT: u16 = 1;
    pub(super) const EXPRESSION_NAME: u16 = 1;
    pub(super) const EXPRESSION_DATA: u16 = 2;
    pub(super) const DATA_VALUE: u16 = 1;
    pub(super) const DATA_VERDICT: u16 = 2;
    pub(super) const VERDICT_CODE: u16 = 1;
    pub(super) const META_REGISTER: u16 = 1;
    pub(super) const META_KEY: u16 = 2;
    pub(super) const COMPARE_REGISTER: u16 = 1;
    pub(super) const COMPARE_OPERATOR: u16 = 2;
    pub(super) const COMPARE_DATA: u16 = 3;
    pub(super) const PAYLOAD_REGISTER: u16 = 1;
    pub(super) const PAYLOAD_BASE: u16 = 2;
    pub(super) const PAYLOAD_OFFSET: u16 = 3;
    pub(super) const PAYLOAD_LENGTH: u16 = 4;
    pub(super) const BITWISE_SOURCE: u16 = 1;
    pub(super) const BITWISE_TARGET: u16 = 2;
    pub(super) const BITWISE_LENGTH: u16 = 3;
    pub(super) const BITWISE_MASK: u16 = 4;
    pub(super) const BITWISE_XOR: u16 = 5;
    pub(super) const IMMEDIATE_REGISTER: u16 = 1;
    pub(super) const IMMEDIATE_DATA: u16 = 2;
    pub(super) const REDIRECT_PORT_REGISTER: u16 = 1;
}
