//! The extensions of a WebSocket, as the answer to its handshake names them.
//!
//! Only permessage-deflate (RFC 7692) is understood. Of any other one it is only known that frames
//! may use reserved bits; their payloads cannot be looked into then.

/// What was agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extensions {
    /// None.
    None,
    /// permessage-deflate, and nothing else.
    Deflate(Deflate),
    /// Others, or what they are cannot be told.
    Unknown,
}

/// How messages are compressed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Deflate {
    /// The client compresses every message on its own.
    pub(crate) client_resets: bool,
    /// The server does.
    pub(crate) server_resets: bool,
}

impl Extensions {
    /// RSV1, by which permessage-deflate marks a message, among the lowest three bits.
    pub(crate) const COMPRESSED: u8 = 0b100;

    /// What `Sec-WebSocket-Extensions` says in the head of the response.
    pub(crate) fn in_head(head: &[u8]) -> Self {
        let mut found = Self::None;
        for line in head.split(|b| *b == b'\n') {
            let Some(colon) = memchr::memchr(b':', line) else {
                continue;
            };
            let (name, value) = line.split_at(colon);
            if !name
                .trim_ascii()
                .eq_ignore_ascii_case(b"sec-websocket-extensions")
            {
                continue;
            }
            let offers = value.get(1..).unwrap_or_default().split(|b| *b == b',');
            for offer in offers.filter(|offer| !offer.trim_ascii().is_empty()) {
                found = match (found, Deflate::read(offer)) {
                    (Self::None, Some(deflate)) => Self::Deflate(deflate),
                    _ => Self::Unknown,
                };
            }
        }
        found
    }

    /// The reserved bits that frames may have.
    pub(crate) fn reserved_bits(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Deflate(_) => Self::COMPRESSED,
            Self::Unknown => 0b111,
        }
    }
}

impl Deflate {
    /// `None` if the extension is another one. The sizes of windows do not matter to who decodes with
    /// the largest one.
    fn read(offer: &[u8]) -> Option<Self> {
        let mut words = offer.split(|b| *b == b';').map(<[u8]>::trim_ascii);
        let name = words.next()?;
        if !name.eq_ignore_ascii_case(b"permessage-deflate") {
            return None;
        }
        let mut deflate = Self::default();
        for word in words {
            if word.eq_ignore_ascii_case(b"client_no_context_takeover") {
                deflate.client_resets = true;
            } else if word.eq_ignore_ascii_case(b"server_no_context_takeover") {
                deflate.server_resets = true;
            }
        }
        Some(deflate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    const BOTH_RESET: Deflate = Deflate {
        client_resets: true,
        server_resets: true,
    };

    #[test_case("", Extensions::None; "no field")]
    #[test_case("Sec-WebSocket-Extensions: \r\n", Extensions::None; "an empty field")]
    #[test_case("sec-websocket-extensions: permessage-deflate\r\n", Extensions::Deflate(Deflate::default()); "deflate")]
    #[test_case("Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=10 ; CLIENT_no_context_takeover;server_no_context_takeover\r\n", Extensions::Deflate(BOTH_RESET); "parameters")]
    #[test_case("Sec-WebSocket-Extensions: x-other\r\n", Extensions::Unknown; "another one")]
    #[test_case("Sec-WebSocket-Extensions: permessage-deflate, x-other\r\n", Extensions::Unknown; "another one besides")]
    #[test_case("Sec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Extensions: permessage-deflate\r\n", Extensions::Unknown; "twice")]
    fn the_answer_names_the_extensions(fields: &str, expected: Extensions) {
        let head = format!("HTTP/1.1 101 Switching Protocols\r\n{fields}\r\n");
        assert_eq!(Extensions::in_head(head.as_bytes()), expected);
    }
}
