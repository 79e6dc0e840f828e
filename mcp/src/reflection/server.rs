//! The address of a server that is asked.

use std::fmt;
use std::str::FromStr;

use hyper::http::uri::Authority;

/// A server of gRPC, as `HOST:PORT` or `http://HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server(Authority);

/// A text that is no address of a server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} {1}; it takes HOST:PORT, such as orders:50051")]
pub struct BadServer(String, &'static str);

impl Server {
    /// `HOST:PORT`.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Server {
    type Err = BadServer;

    fn from_str(text: &str) -> Result<Self, BadServer> {
        let bad = |why| BadServer(text.chars().take(200).collect(), why);
        if text.starts_with("https://") {
            return Err(bad("asks for TLS, which is not spoken with servers"));
        }
        let address = text.strip_prefix("http://").unwrap_or(text);
        let address = address.strip_suffix('/').unwrap_or(address);
        let authority: Authority = address.parse().map_err(|_| bad("is no address"))?;
        match authority.port_u16() {
            _ if authority.as_str().contains('@') => Err(bad("names a user")),
            None | Some(0) => Err(bad("names no port")),
            Some(_) if authority.host().is_empty() => Err(bad("names no host")),
            Some(_) => Ok(Self(authority)),
        }
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("orders:50051", "orders:50051")]
    #[test_case("http://orders.shop.svc:50051/", "orders.shop.svc:50051")]
    #[test_case("[::1]:50051", "[::1]:50051")]
    fn an_address_is_taken(text: &str, expected: &str) {
        assert_eq!(text.parse::<Server>().unwrap().as_str(), expected);
    }

    #[test_case("orders", "names no port")]
    #[test_case("orders:0", "names no port")]
    #[test_case(":50051", "no "; "no host")]
    #[test_case("", "is no address"; "nothing")]
    #[test_case("me@orders:50051", "names a user")]
    #[test_case("https://orders:443", "asks for TLS")]
    #[test_case("orders:50051/path", "is no address")]
    #[test_case("ftp://orders:21", "is no address")]
    fn another_text_is_refused_with_the_reason(text: &str, reason: &str) {
        let error = text.parse::<Server>().unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}
