//! The forms that values of annotations have; each error says what would be right.

use std::net::IpAddr;

use crate::config::LEAST_MEMORY_LIMIT;
use crate::quantity::Quantity;

/// Most that a sidecar keeps of a body, in bytes; it refuses to start with more.
const MOST_BODY_LIMIT_BYTES: u64 = 1024 * 1024;
/// Most ports or networks in one annotation: each is a rule that every new connection is held against.
const MOST_ITEMS: usize = 64;
/// Most of a foreign text that a warning repeats, in characters.
const MOST_SHOWN_CHARS: usize = 40;
/// Words that mean no server to whoever writes them where servers are named.
const SWITCHES_OFF: [&str; 7] = ["disabled", "off", "false", "no", "none", "never", "null"];
/// Most edits between a name and the one that was meant.
const MOST_EDITS: usize = 3;

/// `22,9000-9010`.
pub(super) fn ports(text: &str) -> Result<String, String> {
    let port = |text: &str| text.trim().parse::<u16>().ok().filter(|port| *port != 0);
    items(text, |item| {
        let range = item.split_once('-').unwrap_or((item, item));
        match (port(range.0), port(range.1)) {
            (Some(first), Some(last)) if first == last => Ok(first.to_string()),
            (Some(first), Some(last)) if first < last => Ok(format!("{first}-{last}")),
            _ => Err(format!(
                "{} is not a port; it is a number from 1 to 65535, or a range such as 8000-8099",
                shown(item)
            )),
        }
    })
}

/// `10.0.0.0/8,fd00::/8,10.1.2.3`.
pub(super) fn networks(text: &str) -> Result<String, String> {
    items(text, network)
}

fn network(item: &str) -> Result<String, String> {
    let wrong = || {
        format!(
            "{} is not a network; it has the form 10.0.0.0/8, fd00::/8 or 10.1.2.3",
            shown(item)
        )
    };
    let (address, prefix) = match item.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (item, None),
    };
    let address: IpAddr = address.parse().map_err(|_| wrong())?;
    let bits: u8 = if address.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix {
        Some(prefix) => prefix.parse().ok().filter(|prefix| *prefix <= bits),
        None => Some(bits),
    };
    let prefix = prefix.ok_or_else(wrong)?;
    let network = masked(address, prefix);
    if network != address {
        return Err(format!(
            "{} is not a network, did you mean {network}/{prefix}?",
            shown(item)
        ));
    }
    Ok(format!("{network}/{prefix}"))
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

fn items(text: &str, read: impl Fn(&str) -> Result<String, String>) -> Result<String, String> {
    let words = text
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty());
    let items: Vec<String> = words
        .take(MOST_ITEMS + 1)
        .map(read)
        .collect::<Result<_, _>>()?;
    match items.len() {
        0 => Err("it is empty".to_owned()),
        n if n > MOST_ITEMS => Err(format!("it has more than {MOST_ITEMS} items")),
        _ => Ok(items.join(",")),
    }
}

/// `16KiB`, also as Kubernetes writes it (`16Ki`); in bytes.
pub(super) fn body_limit(text: &str) -> Result<u64, String> {
    let wrong = || {
        format!(
            "{} is not a size; it is a number of bytes, or one with KiB or MiB, at most 1MiB",
            shown(text)
        )
    };
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits).ok_or_else(wrong)?;
    let factor = match unit.trim() {
        "" | "B" => 1,
        "Ki" | "KiB" => 1 << 10,
        "Mi" | "MiB" => 1 << 20,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number
        .checked_mul(factor)
        .filter(|bytes| *bytes <= MOST_BODY_LIMIT_BYTES)
        .ok_or_else(wrong)
}

/// `auto`, `splice`, `terminate`.
pub(super) fn engine(text: &str) -> Result<&'static str, String> {
    const ENGINES: [&str; 3] = ["auto", "splice", "terminate"];
    let known = || ENGINES.into_iter();
    if let Some(engine) = known().find(|engine| *engine == text) {
        return Ok(engine);
    }
    Err(match nearest(text, known()) {
        Some(right) => format!("{} is not an engine, did you mean {right}?", shown(text)),
        None => format!(
            "{} is not an engine; it is auto, splice or terminate",
            shown(text)
        ),
    })
}

/// `api.example.com,*.example.org`, `*`.
pub(super) fn server_names(text: &str) -> Result<String, String> {
    items(text, |item| {
        let name = item.trim_end_matches('.').to_ascii_lowercase();
        let host = name.strip_prefix("*.").unwrap_or(&name);
        let is_address = name.parse::<IpAddr>().is_ok();
        let is_switch = ["enabled", "on", "true", "yes", "all"].contains(&name.as_str());
        let is_off = SWITCHES_OFF.contains(&name.as_str());
        match name == "*" || is_host(host) && !is_address {
            _ if is_off => Err(format!(
                "{} names no server; leave the annotation out to look into none",
                shown(item)
            )),
            _ if is_switch => Err(format!("{} names no server, did you mean *?", shown(item))),
            true => Ok(name),
            false => Err(format!(
                "{} is not a server name; names look like api.example.com, patterns like *.example.com, and * is all",
                shown(item)
            )),
        }
    })
}

/// Labels of letters, digits, `-` and `_` (RFC 1035 section 2.3.4 says how long).
fn is_host(name: &str) -> bool {
    let is_label = |label: &str| {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (1..=63).contains(&label.len()) && label.bytes().all(known)
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

/// A name that an object may have: a DNS subdomain (RFC 1123 section 2.1), as Kubernetes takes it.
pub(super) fn config_map(text: &str) -> Result<String, String> {
    let is_label = |label: &str| {
        let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        label.bytes().all(known)
            && !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    match text.len() <= 253 && text.split('.').all(is_label) {
        true => Ok(text.to_owned()),
        false => Err(format!(
            "{} is not the name of a ConfigMap; names look like kube-root-ca.crt",
            shown(text)
        )),
    }
}

/// `allowed`.
pub(super) fn allowed(text: &str) -> Result<(), String> {
    match text {
        "allowed" => Ok(()),
        _ => Err(format!(
            "{} is not allowed, which is the only value",
            shown(text)
        )),
    }
}

/// `100m`, `0.5`, `1`.
pub(super) fn cpu(text: &str) -> Result<Quantity, String> {
    let least = Quantity::parse("1m");
    Quantity::parse(text)
        .filter(|quantity| Some(quantity) >= least.as_ref())
        .ok_or_else(|| {
            format!(
                "{} is not an amount of CPU, such as 20m or 0.5",
                shown(text)
            )
        })
}

/// `64Mi`.
pub(super) fn memory(text: &str) -> Result<Quantity, String> {
    let least = Quantity::parse("1Mi");
    Quantity::parse(text)
        .filter(|quantity| Some(quantity) >= least.as_ref())
        .ok_or_else(|| format!("{} is not an amount of memory, such as 64Mi", shown(text)))
}

/// As [`memory`], and enough to run in.
pub(super) fn memory_limit(text: &str) -> Result<Quantity, String> {
    let quantity = memory(text)?;
    if Some(&quantity) < Quantity::parse(LEAST_MEMORY_LIMIT).as_ref() {
        return Err(format!(
            "{quantity} is too little; the least is {LEAST_MEMORY_LIMIT}"
        ));
    }
    Ok(quantity)
}

/// A foreign text as a warning repeats it: quoted, escaped, short.
pub(crate) fn shown(text: &str) -> String {
    let mut short: String = text.chars().take(MOST_SHOWN_CHARS).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("{short:?}")
}

/// The known name that `word` was probably meant to be.
pub(super) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > 2 * MOST_SHOWN_CHARS {
        return None;
    }
    known
        .map(|name| (edits(word, name), name))
        .filter(|(edits, _)| *edits <= MOST_EDITS)
        .min()
        .map(|(_, name)| name)
}

/// Letters to add, take away or change to make one word of the other (Levenshtein).
fn edits(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.chars().count()).collect();
    for (line, a) in left.chars().enumerate() {
        let mut diagonal = line;
        let mut before = line + 1;
        for (cell, b) in row.iter_mut().skip(1).zip(right.chars()) {
            let above = *cell;
            *cell = (diagonal + usize::from(a != b))
                .min(above + 1)
                .min(before + 1);
            diagonal = above;
            before = *cell;
        }
        if let Some(first) = row.first_mut() {
            *first = line + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}
