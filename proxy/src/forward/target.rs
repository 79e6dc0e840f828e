//! What a request to the forward proxy asks for: the target of its request line, taken apart. Pure.

use std::fmt;

use super::refusal::Refusal;

/// Longest name of a host (RFC 1035 section 2.3.4, in its written form).
const HOST_BYTES: usize = 253;

/// Port of `http` where none is named (RFC 9110 section 4.2.1).
const HTTP_PORT: u16 = 80;

/// Whom a request is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Origin {
    /// A name or an address, an IPv6 one without its brackets; in lower case.
    pub(super) host: String,
    pub(super) port: u16,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// A target in absolute-form (RFC 9112 section 3.2.2).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Absolute<'a> {
    pub(super) origin: Origin,
    /// Host and port as they are written.
    pub(super) authority: &'a str,
    /// Path and query as the origin is to see them.
    pub(super) path: Vec<u8>,
}

/// Reads the target of CONNECT (RFC 9112 section 3.2.3): a host and a port, both of which must be there.
pub(super) fn authority_form(target: &[u8]) -> Result<Origin, Refusal> {
    let text = text(target)?;
    let (origin, has_port) = origin(text, HTTP_PORT)?;
    match has_port {
        true => Ok(origin),
        false => Err(Refusal::bad_request(format!(
            "CONNECT names {text:?} without a port, did you mean {text}:443?"
        ))),
    }
}

/// Reads the target of any other method.
pub(super) fn absolute_form<'a>(method: &[u8], target: &'a [u8]) -> Result<Absolute<'a>, Refusal> {
    let (scheme, rest) = match memchr::memmem::find(target, b"://") {
        Some(at) if !target.starts_with(b"/") => target.split_at(at),
        _ => return Err(no_url(target)),
    };
    if scheme.eq_ignore_ascii_case(b"https") {
        return Err(Refusal::bad_request(
            "a URL of https is to be asked for through CONNECT, so that the TLS is yours",
        ));
    }
    if !scheme.eq_ignore_ascii_case(b"http") {
        let scheme = String::from_utf8_lossy(scheme);
        return Err(Refusal::bad_request(format!(
            "the scheme {scheme:?} is none of this proxy's; it forwards http, and everything else through CONNECT"
        )));
    }
    let rest = rest.get(b"://".len()..).unwrap_or_default();
    let end = rest.iter().position(|byte| b"/?#".contains(byte));
    let (authority, path) = rest.split_at(end.unwrap_or(rest.len()));
    let authority = text(authority)?;
    let (origin, _) = origin(authority, HTTP_PORT)?;
    Ok(Absolute {
        origin,
        authority,
        path: origin_form(method, path),
    })
}

/// A path that is empty is asked for as `/`; of OPTIONS it means the server as a whole (RFC 9112 sections
/// 3.2.1 and 3.2.4).
fn origin_form(method: &[u8], path: &[u8]) -> Vec<u8> {
    match path.first() {
        None if method == b"OPTIONS" => b"*".to_vec(),
        Some(b'/') => path.to_vec(),
        _ => [b"/", path].concat(),
    }
}

fn no_url(target: &[u8]) -> Refusal {
    let shown: String = String::from_utf8_lossy(target).chars().take(80).collect();
    Refusal::bad_request(format!(
        "this is a forward proxy, and {shown:?} is no URL; ask for http://HOST/PATH, or CONNECT to HOST:PORT"
    ))
}

fn text(bytes: &[u8]) -> Result<&str, Refusal> {
    std::str::from_utf8(bytes).map_err(|_| Refusal::bad_request("the target's host is no text"))
}

/// `HOST[:PORT]`, and whether it names the port.
fn origin(authority: &str, usual_port: u16) -> Result<(Origin, bool), Refusal> {
    let wrong = |what: &str| {
        let shown: String = authority.chars().take(80).collect();
        Refusal::bad_request(format!("the target's host {shown:?} {what}"))
    };
    if authority.contains('@') {
        return Err(Refusal::bad_request(
            "the target holds a user or a password; send them in a field (RFC 9110 section 4.2.4)",
        ));
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or_else(|| wrong("lacks a ]"))?;
            if host.parse::<std::net::Ipv6Addr>().is_err() {
                return Err(wrong("is no IPv6 address"));
            }
            (
                host,
                rest.strip_prefix(':').or(rest.is_empty().then_some("")),
            )
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, Some("")),
        },
    };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte);
    if host.is_empty() || host.len() > HOST_BYTES || !host.bytes().all(is_plain) {
        return Err(wrong("is neither a name nor an address"));
    }
    let port = port.ok_or_else(|| wrong("has something behind its ]"))?;
    let number = match port {
        "" => usual_port,
        digits if !digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            return Err(wrong("has a port that is no number"));
        }
        digits => match digits.parse::<u16>() {
            Ok(number) if number > 0 => number,
            _ => return Err(wrong("has a port that is not between 1 and 65535")),
        },
    };
    let origin = Origin {
        host: host.to_ascii_lowercase(),
        port: number,
    };
    Ok((origin, !port.is_empty()))
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("http://shop", "shop:80", "/"; "no path")]
    #[test_case("http://shop/", "shop:80", "/"; "the root")]
    #[test_case("HTTP://Shop.Local:8080/a?b=http://c/d", "shop.local:8080", "/a?b=http://c/d"; "a URL in a query")]
    #[test_case("http://shop?x=1", "shop:80", "/?x=1"; "a query without a path")]
    #[test_case("http://shop:/a", "shop:80", "/a"; "an empty port")]
    #[test_case("http://[::1]:9000/a", "[::1]:9000", "/a"; "an IPv6 address")]
    #[test_case("http://10.0.0.1/%00/../b", "10.0.0.1:80", "/%00/../b"; "a path stays as it is")]
    fn absolute(target: &str, origin: &str, path: &str) {
        let read = absolute_form(b"GET", target.as_bytes()).unwrap();
        assert_eq!(read.origin.to_string(), origin);
        assert_eq!(read.path, path.as_bytes());
    }

    #[test]
    fn options_for_a_whole_server_keep_their_meaning() {
        let path = |target: &str| {
            let read = absolute_form(b"OPTIONS", target.as_bytes());
            String::from_utf8(read.unwrap().path).unwrap()
        };
        assert_eq!(path("http://shop"), "*");
        assert_eq!(path("http://shop/"), "/");
        assert_eq!(path("http://shop?x"), "/?x");
    }

    #[test_case("/index.html", "no URL"; "origin form")]
    #[test_case("/to?u=http://x/", "no URL"; "origin form with a URL in it")]
    #[test_case("*", "no URL"; "asterisk form")]
    #[test_case("https://shop/", "CONNECT"; "https")]
    #[test_case("ftp://shop/", "ftp"; "another scheme")]
    #[test_case("http:///a", "neither a name nor an address"; "no host")]
    #[test_case("http://a b/", "neither a name nor an address"; "a space")]
    #[test_case("http://u:p@shop/", "password"; "credentials")]
    #[test_case("http://shop:http/", "no number"; "a port in words")]
    #[test_case("http://shop:70000/", "65535"; "a port too large")]
    #[test_case("http://shop:0/", "65535"; "port zero")]
    #[test_case("http://a:b:1/", "no number"; "an IPv6 address without brackets")]
    #[test_case("http://[::1/", "]"; "an open bracket")]
    #[test_case("http://[::1]x/", "behind"; "something behind a bracket")]
    #[test_case("http://[shop]/", "no IPv6"; "a name in brackets")]
    fn refused(target: &str, says: &str) {
        let refusal = absolute_form(b"GET", target.as_bytes()).unwrap_err();
        assert!(refusal.text().contains(says), "{refusal:?}");
    }

    #[test]
    fn connect_needs_a_port() {
        assert_eq!(authority_form(b"shop:443").unwrap().to_string(), "shop:443");
        let refusal = authority_form(b"shop").unwrap_err();
        assert!(refusal.text().contains("shop:443"), "{refusal:?}");
    }
}
