//! Ports and networks as they are written in flags and annotations.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use crate::config::Problem;
use crate::redirect::Network;

/// Ports and ranges of ports; each text may hold several, separated by commas.
pub(super) fn ports(
    field: &'static str,
    texts: &[String],
    problems: &mut Vec<Problem>,
) -> Vec<RangeInclusive<u16>> {
    read(field, texts, problems, |text| {
        port_range(text).ok_or_else(|| {
            format!("{text:?} is not a port; it is a number from 1 to 65535, or a range such as 8000-8099")
        })
    })
}

/// Networks and addresses; each text may hold several, separated by commas.
pub(super) fn networks(
    field: &'static str,
    texts: &[String],
    problems: &mut Vec<Problem>,
) -> Vec<Network> {
    read(field, texts, problems, network)
}

fn read<T>(
    field: &'static str,
    texts: &[String],
    problems: &mut Vec<Problem>,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Vec<T> {
    let mut values = Vec::new();
    let words = texts.iter().flat_map(|text| text.split(',')).map(str::trim);
    for word in words.filter(|word| !word.is_empty()) {
        match parse(word) {
            Ok(value) => values.push(value),
            Err(message) => problems.push(Problem { field, message }),
        }
    }
    values
}

fn port_range(text: &str) -> Option<RangeInclusive<u16>> {
    let port = |text: &str| text.trim().parse::<u16>().ok().filter(|port| *port != 0);
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (port(first)?, port(last)?),
        None => (port(text)?, port(text)?),
    };
    (first <= last).then_some(first..=last)
}

fn network(text: &str) -> Result<Network, String> {
    let wrong =
        || format!("{text:?} is not a network; it has the form 10.0.0.0/8, fd00::/8 or 10.1.2.3");
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().map_err(|_| wrong())?;
    let bits = if address.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix {
        Some(prefix) => prefix.parse::<u8>().map_err(|_| wrong())?,
        None => bits,
    };
    if prefix > bits {
        return Err(format!(
            "{text:?}: the prefix is longer than the {bits} bits of the address"
        ));
    }
    let network = masked(address, prefix);
    if network != address {
        return Err(format!(
            "{text:?} is not a network, did you mean {network}/{prefix}?"
        ));
    }
    Ok(Network { address, prefix })
}

/// The address with the bits behind the prefix cleared.
fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V4((address.to_bits() & mask).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V6((address.to_bits() & mask).into())
        }
    }
}
