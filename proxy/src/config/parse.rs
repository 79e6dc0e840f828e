//! Words of the command line to values; each error says what would be right.

use std::net::{Ipv4Addr, SocketAddr};

use hyper::Uri;
use remora_store::call::Leg;
use remora_store::filter::nearest;

use crate::config::{EngineChoice, Map, Upstream};

/// `inbound|outbound:LISTEN=UPSTREAM`.
pub(super) fn map(text: &str) -> Result<Map, String> {
    let form = "it has the form inbound|outbound:LISTEN=UPSTREAM, such as inbound:127.0.0.1:8080=127.0.0.1:3000";
    let (leg, rest) = text
        .split_once(':')
        .ok_or_else(|| format!("{text:?}: {form}"))?;
    let (listen, upstream) = rest
        .split_once('=')
        .ok_or_else(|| format!("{text:?}: {form}"))?;
    let leg: Leg = leg.parse().map_err(|_| match nearest_leg(leg) {
        Some(right) => format!("{leg:?} is not a leg, did you mean {right}?"),
        None => format!("{leg:?} is not a leg; it is inbound or outbound"),
    })?;
    let listen = address(listen)?;
    let upstream = upstream_of(upstream)?;
    if upstream == Upstream::Address(listen) {
        return Err(format!("{listen} would connect to itself for ever"));
    }
    Ok(Map {
        leg,
        listen,
        upstream,
    })
}

fn nearest_leg(word: &str) -> Option<Leg> {
    let first = word.chars().next()?.to_ascii_lowercase();
    Leg::ALL
        .iter()
        .copied()
        .find(|leg| leg.as_str().starts_with(first))
}

/// `IP:PORT`.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        let port = text.trim_start_matches("localhost").trim_start_matches(':');
        match port.parse::<u16>() {
            Ok(port) => format!(
                "{text:?} is not an address, did you mean {}?",
                SocketAddr::from((Ipv4Addr::LOCALHOST, port))
            ),
            Err(_) => format!("{text:?} is not an address; it has the form IP:PORT, such as 127.0.0.1:8080 or [::1]:8080"),
        }
    })
}

/// `IP:PORT`, or `PORT` on loopback.
pub(super) fn listen(text: &str) -> Result<SocketAddr, String> {
    match text.parse::<u16>() {
        Ok(port) => Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
        Err(_) => address(text),
    }
}

fn upstream_of(text: &str) -> Result<Upstream, String> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return match address.port() {
            0 => Err(format!("{text:?} has no port to connect to")),
            _ => Ok(Upstream::Address(address)),
        };
    }
    let name = text.rsplit_once(':').filter(|(host, port)| {
        let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        !host.is_empty()
            && host.chars().all(known)
            && port.parse::<u16>().is_ok_and(|port| port != 0)
    });
    match (name, text.parse::<u16>()) {
        (Some(_), _) => Ok(Upstream::Name(text.to_owned())),
        (None, Ok(port)) => Err(format!(
            "{text:?} is not an address, did you mean 127.0.0.1:{port}?"
        )),
        (None, Err(_)) => Err(format!(
            "{text:?} is not an address; it has the form HOST:PORT"
        )),
    }
}

/// `on` or `off`.
pub(super) fn switch(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        "true" | "yes" | "1" => Err(format!("{text:?} is not on or off, did you mean on?")),
        "false" | "no" | "0" => Err(format!("{text:?} is not on or off, did you mean off?")),
        _ => Err(format!("{text:?} is not on or off")),
    }
}

/// `auto`, `splice` or `terminate`.
pub(super) fn engine(text: &str) -> Result<EngineChoice, String> {
    match text {
        "auto" => Ok(EngineChoice::Auto),
        "splice" => Ok(EngineChoice::Splice),
        "terminate" => Ok(EngineChoice::Terminate),
        _ => Err(match nearest(text, ["auto", "splice", "terminate"]) {
            Some(right) => format!("{text:?} is not an engine, did you mean {right}?"),
            None => format!("{text:?} is not an engine; it is auto, splice or terminate"),
        }),
    }
}

/// `http://HOST[:PORT]` or `https://…`.
pub(super) fn url(text: &str) -> Result<Uri, String> {
    let example = "it has the form http[s]://HOST:PORT, such as http://127.0.0.1:8898";
    if !text.contains("://") {
        return Err(format!(
            "{text:?} is not a URL, did you mean http://{text}?"
        ));
    }
    let uri: Uri = text
        .parse()
        .map_err(|_| format!("{text:?} is not a URL; {example}"))?;
    match uri.scheme_str() {
        Some("http" | "https") if uri.host().is_some_and(|host| !host.is_empty()) => Ok(uri),
        _ => Err(format!("{text:?} is not a URL of a hub; {example}")),
    }
}

/// A number of bytes, alone or with `B`, `KiB`, `MiB` or `GiB`.
pub(super) fn size(text: &str, least: usize, most: usize) -> Result<usize, String> {
    let digits = text.chars().take_while(char::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let wrong =
        || format!("{text:?} is not a size; it is a number of bytes, or one with KiB, MiB or GiB");
    let number: usize = number.parse().map_err(|_| wrong())?;
    let factor: usize = match unit.trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        other => {
            return Err(match nearest_unit(other) {
                Some(right) => format!("{text:?} is not a size, did you mean {number}{right}?"),
                None => wrong(),
            });
        }
    };
    let bytes = number.checked_mul(factor).ok_or_else(wrong)?;
    if bytes < least {
        return Err(format!("{text:?} is too small; the least is {least} bytes"));
    }
    if bytes > most {
        return Err(format!("{text:?} is too large; the most is {most} bytes"));
    }
    Ok(bytes)
}

fn nearest_unit(unit: &str) -> Option<&'static str> {
    match unit.chars().next()?.to_ascii_lowercase() {
        'k' => Some("KiB"),
        'm' => Some("MiB"),
        'g' => Some("GiB"),
        _ => None,
    }
}
