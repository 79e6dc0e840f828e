//! The small words that a call is made of, each with a number for blocks and a word for people.

use std::fmt;
use std::str::FromStr;

/// Defines an enum whose variants have one fixed word each, on the wire, in filters and in JSON.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $code:literal $word:literal,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum $name { $($(#[$vmeta])* $variant = $code,)* }

        impl $name {
            /// Every value, in the order of their codes.
            pub const ALL: &[$name] = &[$($name::$variant,)*];

            /// The fixed word for this value.
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word,)* }
            }

            /// The number that stands for this value in a block.
            pub const fn code(self) -> u8 {
                self as u8
            }

            /// The value for a number in a block; `None` for one that only newer sidecars know.
            pub const fn from_code(code: u8) -> Option<Self> {
                match code { $($code => Some($name::$variant),)* _ => None }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;

            fn from_str(word: &str) -> Result<Self, UnknownWord> {
                match word { $($word => Ok($name::$variant),)* _ => Err(UnknownWord(word.to_owned())) }
            }
        }
    };
}

/// A word that none of the values has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown word {0:?}")]
pub struct UnknownWord(pub String);

words! {
    /// What was spoken on the wire.
    Protocol {
        /// Bytes that are not parsed.
        Opaque = 0 "opaque",
        /// HTTP/1.0 and HTTP/1.1.
        Http1 = 1 "http1",
        /// HTTP/2.
        Http2 = 2 "http2",
        /// TLS that is passed through.
        Tls = 3 "tls",
        /// gRPC over HTTP/2.
        Grpc = 4 "grpc",
        /// WebSocket, with the HTTP exchange that opened it.
        WebSocket = 5 "websocket",
        /// PostgreSQL, frontend and backend protocol 3.
        Postgresql = 6 "postgresql",
        /// Redis, RESP2 and RESP3.
        Redis = 7 "redis",
    }
}

impl Protocol {
    /// Whether its calls are exchanges of HTTP, whatever passes inside their bodies.
    pub const fn is_http(self) -> bool {
        matches!(self, Self::Http1 | Self::WebSocket) || self.is_http2()
    }

    /// Whether its calls are streams of HTTP/2. A WebSocket may be one, which only its head tells.
    pub const fn is_http2(self) -> bool {
        matches!(self, Self::Http2 | Self::Grpc)
    }

    /// Whether its calls are questions to a database.
    pub const fn is_database(self) -> bool {
        matches!(self, Self::Postgresql | Self::Redis)
    }
}

words! {
    /// Which side of a call a record is.
    Leg {
        /// Recorded beside the callee.
        Inbound = 0 "inbound",
        /// Recorded beside the caller.
        Outbound = 1 "outbound",
    }
}

words! {
    /// Which engine carried the bytes.
    Engine {
        /// Bytes were passed on unchanged and parsed on the side.
        Splice = 0 "splice",
        /// HTTP was terminated and sent anew.
        Terminate = 1 "terminate",
    }
}

words! {
    /// Whether a call has ended.
    State {
        /// Still running; a later record of the same connection and ordinal supersedes this one.
        Open = 0 "open",
        /// Ended, well or badly.
        Complete = 1 "complete",
        /// Its sidecar went away before the call ended.
        Lost = 2 "lost",
    }
}

words! {
    /// One end of a connection.
    Side {
        /// The end that opened the connection.
        Client = 0 "client",
        /// The end that accepted it.
        Server = 1 "server",
        /// Neither: the sidecar itself ended it.
        Sidecar = 2 "sidecar",
    }
}

words! {
    /// Why less of a message was kept than was sent.
    Omitted {
        /// The body is longer than the body limit.
        Limit = 0 "limit",
        /// The capture budget was used up.
        Budget = 1 "budget",
        /// The content coding could not be undone within bounds, so secrets could not be looked for.
        Uninspectable = 2 "uninspectable",
        /// The head is longer than the head limit.
        Head = 3 "head",
        /// The bytes are not parsed, so they were counted only.
        Opaque = 4 "opaque",
        /// It is a credential by its place, such as an argument of `AUTH`.
        Secret = 5 "secret",
        /// A reason that only newer sidecars know.
        Other = 254 "other",
    }
}

words! {
    /// Why a call failed below its protocol. The word names who failed.
    CallError {
        /// The server's host answered that nothing listens there (`ECONNREFUSED`).
        ConnectRefused = 0 "connect_refused",
        /// The server did not answer the connection attempt (`ETIMEDOUT`).
        ConnectTimeout = 1 "connect_timeout",
        /// There is no way to the server (`ENETUNREACH`, `EHOSTUNREACH`).
        ConnectUnreachable = 2 "connect_unreachable",
        /// The connection to the server failed in another way.
        ConnectFailed = 3 "connect_failed",
        /// The client closed before the exchange was over.
        ClientClosed = 4 "client_closed",
        /// The server closed before the exchange was over.
        ServerClosed = 5 "server_closed",
        /// The client reset the connection.
        ClientReset = 6 "client_reset",
        /// The server reset the connection.
        ServerReset = 7 "server_reset",
        /// The request cannot be parsed; it was passed on all the same.
        MalformedRequest = 8 "malformed_request",
        /// The response cannot be parsed; it was passed on all the same.
        MalformedResponse = 9 "malformed_response",
        /// The sidecar stopped while the call was running.
        SidecarStopped = 10 "sidecar_stopped",
        /// The client ended the stream early, such as on a deadline or when it lost interest.
        ClientCancelled = 11 "client_cancelled",
        /// The server ended the stream early.
        ServerCancelled = 12 "server_cancelled",
        /// The server did not look at the request: it may be sent again (RFC 9113 section 8.7).
        ServerRefused = 13 "server_refused",
        /// The sidecar reset it, because a person switched a fault on ([`Call::fault`]).
        FaultReset = 14 "fault_reset",
        /// The client did not accept the certificate that an intercepting sidecar showed it.
        CertificateRefused = 15 "certificate_refused",
        /// The client and an intercepting sidecar could not agree on TLS, or the client left without a word while
        /// it was not known yet that the sidecar's certificate is accepted.
        TlsFailed = 16 "tls_failed",
        /// A failure that only newer sidecars know.
        Other = 254 "other",
    }
}

impl CallError {
    /// Whether the client left by itself: it closed, reset or cancelled.
    pub const fn is_client_leaving(self) -> bool {
        matches!(
            self,
            Self::ClientClosed | Self::ClientReset | Self::ClientCancelled
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_codes_lead_back_to_their_value() {
        for error in CallError::ALL {
            assert_eq!(CallError::from_code(error.code()), Some(*error));
            assert_eq!(error.as_str().parse(), Ok(*error));
        }
    }
}
