//! Exchanges with secrets in all places where they occur.

use std::hash::{BuildHasher, RandomState};
use std::io::Write;

/// An exchange with the secrets that are planted in it.
pub struct Planted {
    pub path: &'static str,
    pub request: Vec<u8>,
    pub response: Vec<u8>,
    pub secrets: Vec<String>,
}

impl Planted {
    /// What a server has to know of it.
    pub fn played(&self) -> (&'static str, (Vec<u8>, Vec<u8>)) {
        (self.path, (self.request.clone(), self.response.clone()))
    }
}

/// What all planted paths have in common, as a filter.
pub const PLANTED: &str = r#"path.startsWith("/planted/")"#;

pub fn planted() -> Vec<Planted> {
    vec![heads(), json(), form(), compressed(), chunked()]
}

fn heads() -> Planted {
    let secrets: Vec<String> = (0..7).map(|_| secret()).collect();
    let [a, b, c, d, e, f, g] = &secrets[..] else {
        unreachable!()
    };
    Planted {
        path: "/planted/heads",
        request: format!(
            "GET /planted/heads?page=1&access_token={a} HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer {b}\r\n\
             Cookie: theme=dark; sid={c}\r\nX-API-Key: {d}\r\nProxy-Authorization: Basic {e}\r\n\r\n"
        )
        .into_bytes(),
        response: format!(
            "HTTP/1.1 302 Found\r\nSet-Cookie: sid={f}; HttpOnly\r\nLocation: /b?token={g}\r\n\
             Content-Length: 0\r\nConnection: close\r\n\r\n"
        )
        .into_bytes(),
        secrets,
    }
}

fn json() -> Planted {
    let (a, b, card) = (secret(), secret(), card());
    let body = format!(
        r#"{{"user":"ann","login":{{"password":"{a}"}},"paid":"with {card}","note":"kept for the shop"}}"#
    );
    Planted {
        path: "/planted/json",
        request: post("/planted/json", "application/json", body.as_bytes()),
        response: answer("", format!(r#"{{"refresh_token":"{b}"}}"#).as_bytes()),
        // Its last four digits are kept.
        secrets: vec![a, b, card[..12].to_owned()],
    }
}

fn form() -> Planted {
    let (a, header, claims, signature) = (secret(), secret(), secret(), secret());
    let jwt = format!("eyJ{header}.eyJ{claims}.{signature}");
    let body = format!("user=ann&password={a}&note={jwt}");
    Planted {
        path: "/planted/form",
        request: post(
            "/planted/form",
            "application/x-www-form-urlencoded",
            body.as_bytes(),
        ),
        response: answer("", format!("you are {jwt}").as_bytes()),
        secrets: vec![a, header, claims, signature],
    }
}

fn compressed() -> Planted {
    let a = secret();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    write!(encoder, r#"{{"api_key":"{a}"}}"#).unwrap();
    let body = encoder.finish().unwrap();
    Planted {
        path: "/planted/gzip",
        request: b"GET /planted/gzip HTTP/1.1\r\nHost: shop\r\n\r\n".to_vec(),
        response: answer("Content-Encoding: gzip\r\n", &body),
        secrets: vec![a],
    }
}

/// Chunks that end in the midst of the secret, and a trailer.
fn chunked() -> Planted {
    let (a, b) = (secret(), secret());
    let body = format!(r#"{{"client_secret":"{a}"}}"#);
    let mut response =
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n".to_vec();
    for chunk in body.as_bytes().chunks(7) {
        write!(response, "{:x}\r\n", chunk.len()).unwrap();
        response.extend_from_slice(chunk);
        response.extend_from_slice(b"\r\n");
    }
    write!(response, "0\r\nX-Auth-Token: {b}\r\n\r\n").unwrap();
    Planted {
        path: "/planted/chunked",
        request: b"GET /planted/chunked HTTP/1.1\r\nHost: shop\r\n\r\n".to_vec(),
        response,
        secrets: vec![a, b],
    }
}

fn post(path: &str, r#type: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: shop\r\nContent-Type: {type}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

pub fn answer(headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// A secret that nothing else contains a piece of.
pub fn secret() -> String {
    let random = || RandomState::new().hash_one(0);
    format!("{:016x}{:016x}", random(), random())
}

/// A card number with the right check digit.
fn card() -> String {
    let number = format!(
        "4{:014}",
        RandomState::new().hash_one(0) % 100_000_000_000_000
    );
    let sum: u32 = number
        .bytes()
        .rev()
        .zip([2, 1].into_iter().cycle())
        .map(|(digit, weight)| {
            let product = u32::from(digit - b'0') * weight;
            product / 10 + product % 10
        })
        .sum();
    format!("{number}{}", (10 - sum % 10) % 10)
}
