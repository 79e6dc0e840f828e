//! Secrets that pass a sidecar for real: none of them is in its spool or on its way to the hub, and
//! what is kept of the calls is there all the same.

use std::io::Write;
use std::path::Path;

use bytes::Bytes;
use remora_proxy::ship::ShipConfig;
use remora_store::block::Block;
use remora_store::spool::Spool;

use crate::hub::{Hub, eventually};
use crate::ship::config;
use crate::shipping::Sidecar;

/// Body limit of the sidecar: some of the planted secrets are cut by it.
const BODY_LIMIT: usize = 6000;

/// A secret that nothing else contains a piece of.
fn secret() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// An exchange with the secrets that are planted in it.
struct Planted {
    request: Vec<u8>,
    response: Vec<u8>,
    secrets: Vec<String>,
}

fn planted() -> Vec<Planted> {
    vec![
        heads(),
        json(),
        chunked(),
        compressed(),
        cut(),
        form(),
        websocket(),
    ]
}

fn heads() -> Planted {
    let secrets: Vec<String> = (0..8).map(|_| secret()).collect();
    let [a, b, c, d, e, f, g, h] = &secrets[..] else {
        unreachable!()
    };
    Planted {
        request: format!(
            "GET /a?page=1&access_token={a} HTTP/1.1\r\nHost: shop\r\naUTHORIZATION: Bearer {b}\r\n\
             Cookie: theme=dark; sid={c}\r\nX-API-Key: {d}\r\nReferer: http://u:{e}@shop/\r\n\r\n"
        )
        .into_bytes(),
        response: format!(
            "HTTP/1.1 103 Early Hints\r\nSet-Cookie: early={f}; Path=/\r\n\r\n\
             HTTP/1.1 302 Found\r\nSet-Cookie: sid={g}; HttpOnly\r\nLocation: /b?token={h}\r\n\
             Content-Length: 0\r\n\r\n"
        )
        .into_bytes(),
        secrets,
    }
}

fn json() -> Planted {
    let (a, b) = (secret(), secret());
    let body = format!(r#"{{"user":"ann","login":{{"password":"{a}","pin":[1,2]}}}}"#);
    let answer = format!(r#"{{"refresh_token":"{b}","note":"kept for the shop"}}"#);
    Planted {
        request: format!(
            "POST /login HTTP/1.1\r\nHost: shop\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes(),
        response: format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{answer}",
            answer.len()
        )
        .into_bytes(),
        secrets: vec![a, b],
    }
}

/// Chunks that end in the midst of the secret, and a trailer.
fn chunked() -> Planted {
    let (a, b) = (secret(), secret());
    let body = format!(r#"{{"client_secret":"{a}"}}"#);
    let mut response = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for chunk in body.as_bytes().chunks(7) {
        write!(response, "{:x}\r\n", chunk.len()).unwrap();
        response.extend_from_slice(chunk);
        response.extend_from_slice(b"\r\n");
    }
    write!(response, "0\r\nX-Auth-Token: {b}\r\n\r\n").unwrap();
    Planted {
        request: b"GET /c HTTP/1.1\r\nHost: shop\r\n\r\n".to_vec(),
        response,
        secrets: vec![a, b],
    }
}

fn compressed() -> Planted {
    let a = secret();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    write!(encoder, r#"{{"api_key":"{a}"}}"#).unwrap();
    let body = encoder.finish().unwrap();
    let mut response = format!(
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    response.extend_from_slice(&body);
    Planted {
        request: b"GET /z HTTP/1.1\r\nHost: shop\r\n\r\n".to_vec(),
        response,
        secrets: vec![a],
    }
}

/// The body limit falls into the secret.
fn cut() -> Planted {
    let a = secret();
    let name = r#""password":""#;
    let before = "x".repeat(BODY_LIMIT - name.len() - 16);
    let body = format!("{before}{name}{a}\",\"more\":\"{}\"", "y".repeat(500));
    Planted {
        request: b"GET /t HTTP/1.1\r\nHost: shop\r\n\r\n".to_vec(),
        response: format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes(),
        secrets: vec![a],
    }
}

fn form() -> Planted {
    let a = secret();
    let jwt = format!("eyJ{}.eyJ{}.{}", secret(), secret(), secret());
    let body = format!("user=ann&password={a}&note={jwt}");
    Planted {
        request: format!(
            "POST /f HTTP/1.1\r\nHost: shop\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes(),
        response: b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
        secrets: [a]
            .into_iter()
            .chain(jwt.split('.').map(str::to_owned))
            .collect(),
    }
}

/// Messages of the server behind the handshake: plain, deflated with one window, told back, and so
/// long that the limit falls among secrets.
fn websocket() -> Planted {
    let secrets: Vec<String> = (0..3).map(|_| secret()).collect();
    let [a, b, c] = &secrets[..] else {
        unreachable!()
    };
    let mut response = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
        Upgrade: websocket\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
        .to_vec();
    let long = format!(r#"{{"password":"{a}"}},"#).repeat(200);
    let mut deflate = flate2::Compress::new(flate2::Compression::default(), false);
    for (deflated, text) in [
        (
            false,
            format!(r#"{{"password":"{a}","note":"kept of the chat"}}"#),
        ),
        (true, format!(r#"{{"refresh_token":"{b}"}}"#)),
        (true, format!("once more: {b}")),
        (false, format!("hello, {c}")),
        (false, long),
    ] {
        let mut payload = text.into_bytes();
        if deflated {
            let mut out = Vec::with_capacity(1000);
            let flush = flate2::FlushCompress::Sync;
            deflate.compress_vec(&payload, &mut out, flush).unwrap();
            payload = out[..out.len() - 4].to_vec();
        }
        response.push(if deflated { 0xc1 } else { 0x81 });
        match u8::try_from(payload.len()).ok().filter(|size| *size < 126) {
            Some(size) => response.push(size),
            None => {
                response.push(126);
                let size = u16::try_from(payload.len()).unwrap();
                response.extend_from_slice(&size.to_be_bytes());
            }
        }
        response.extend_from_slice(&payload);
    }
    Planted {
        request: format!(
            "GET /chat HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer {c}\r\n\
             Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        )
        .into_bytes(),
        response,
        secrets,
    }
}

/// None of the secrets is in `bytes`, not even eight characters of one.
fn assert_clean(secrets: &[String], bytes: &[u8], place: &str) {
    for secret in secrets {
        for piece in secret.as_bytes().windows(8) {
            assert!(
                memchr::memmem::find(bytes, piece).is_none(),
                "a piece of {secret} is in {place}"
            );
        }
    }
}

/// Everything that a block holds, unpacked.
fn contents(block: &Block) -> Vec<u8> {
    let mut all = Vec::new();
    let open = block.open_calls().unwrap().unwrap_or_default();
    for call in block.calls().unwrap().iter().chain(&open) {
        for message in [&call.request, &call.response] {
            for part in [
                &message.head,
                &message.body,
                &message.trailers,
                &call.interim,
            ] {
                all.extend_from_slice(part);
            }
        }
        for message in call.stream.iter().flat_map(|stream| &stream.messages) {
            all.extend_from_slice(&message.payload);
        }
    }
    all.extend_from_slice(format!("{:?}", block.columns().unwrap()).as_bytes());
    all
}

fn files(dir: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        all.extend_from_slice(&std::fs::read(entry.unwrap().path()).unwrap());
    }
    all
}

#[tokio::test]
async fn planted_secrets_are_neither_spooled_nor_shipped() {
    let mut hub = Hub::start().await;
    let exchanges = planted();
    let secrets: Vec<String> = exchanges
        .iter()
        .flat_map(|one| one.secrets.clone())
        .collect();
    let spool = tempfile::tempdir().unwrap();
    let ship = ShipConfig {
        spool_dir: Some(spool.path().to_owned()),
        body_limit_bytes: BODY_LIMIT,
        ..config(&hub)
    };

    // With the hub there: over the socket.
    let sidecar = Sidecar::start(ship.clone(), 32 << 20).await;
    for exchange in &exchanges {
        sidecar.play(&exchange.request, &exchange.response).await;
    }
    eventually("all calls being stored", || {
        hub.calls() == exchanges.len() as u64
    })
    .await;
    sidecar.finish().await;
    {
        let ledger = hub.ledger();
        assert_clean(&secrets, &ledger.wire, "what was shipped");
        let stored: Vec<u8> = ledger.blocks.values().flat_map(contents).collect();
        assert_clean(&secrets, &stored, "what the hub can unpack");
        for kept in [
            "Bearer [redacted bearer #",
            "kept for the shop",
            "theme=[redacted cookie #",
            "kept of the chat",
            "once more: [redacted secret #",
            "hello, [redacted bearer #",
        ] {
            assert!(
                memchr::memmem::find(&stored, kept.as_bytes()).is_some(),
                "{kept}"
            );
        }
    }

    // Without the hub: into the spool.
    hub.stop().await;
    let sidecar = Sidecar::start(ship, 32 << 20).await;
    for exchange in &exchanges {
        sidecar.play(&exchange.request, &exchange.response).await;
    }
    sidecar.finish().await;
    assert_clean(&secrets, &files(spool.path()), "the spool");
    let (mut spooled, recovered) = Spool::open(spool.path(), 64 << 20).unwrap();
    assert_eq!(recovered.calls, exchanges.len() as u64);
    for taken in spooled.take(usize::MAX).unwrap().blocks {
        let block = Block::open(Bytes::clone(&taken.block)).unwrap();
        assert_clean(&secrets, &contents(&block), "what the spool unpacks to");
    }
}
