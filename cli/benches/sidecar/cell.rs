//! The kinds of load, and what the design's budgets ask of each.

use crate::contender::Contender;
use crate::peers;

/// What the bytes speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Http1,
    Http2,
    /// HTTP/1.1 within TLS, on both sides of a proxy.
    Https,
}

/// One kind of load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    Http1Of1Kb,
    Http1Of64Kb,
    Http2Small,
    HttpsOf1Kb,
}

impl Cell {
    pub const ALL: [Self; 4] = [
        Self::Http1Of1Kb,
        Self::Http1Of64Kb,
        Self::Http2Small,
        Self::HttpsOf1Kb,
    ];

    /// By which it can be asked for.
    pub fn word(self) -> &'static str {
        match self {
            Self::Http1Of1Kb => "1k",
            Self::Http1Of64Kb => "64k",
            Self::Http2Small => "h2",
            Self::HttpsOf1Kb => "tls",
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Http1Of1Kb => "HTTP/1.1, 1 KB, 64 connections",
            Self::Http1Of64Kb => "HTTP/1.1, 64 KB, 64 connections",
            Self::Http2Small => "HTTP/2, 100 B, 8 connections of 8 streams",
            Self::HttpsOf1Kb => "HTTPS, 1 KB, 64 connections",
        }
    }

    pub fn protocol(self) -> Protocol {
        match self {
            Self::Http1Of1Kb | Self::Http1Of64Kb => Protocol::Http1,
            Self::Http2Small => Protocol::Http2,
            Self::HttpsOf1Kb => Protocol::Https,
        }
    }

    /// What is asked for.
    pub fn path(self) -> &'static str {
        match self {
            Self::Http1Of1Kb | Self::HttpsOf1Kb => "/1k",
            Self::Http1Of64Kb => "/64k",
            Self::Http2Small => "/small",
        }
    }

    /// Whether client and server are there; a line that says so if not.
    pub fn can_run(self) -> bool {
        let missing = match self.protocol() {
            Protocol::Http1 | Protocol::Https => None,
            Protocol::Http2 => peers::missing(&["nghttpd", "h2load"]),
        };
        if let Some(why) = &missing {
            eprintln!("left out: {} {why}", self.name());
        }
        missing.is_none()
    }

    /// How much more CPU than that contender recording by the splice may take (design, budgets).
    pub fn target(self, to: Contender) -> Option<f64> {
        let of = match to {
            Contender::RecordOff => [1.10, 1.20, 1.15],
            Contender::Relay => [1.25, 1.25, 1.50],
            Contender::Envoy => [0.50, 0.70, 0.30],
            _ => return None,
        };
        of.get(self as usize).copied()
    }
}
