//! The keyed digests of a call: by one its two legs are joined, by the other a body is known again.
//!
//! Both are taken over a fixed prefix that depends on no limit, before anything is masked.
//!
//! A digest is a pseudo-random function of its bytes, built as hash-then-PRF: POLYVAL (RFC 8452
//! section 3) under a secret key brings the bytes to one block, keyed BLAKE3 makes of it what tells
//! nothing without the key. BLAKE3 over all the bytes would say the same at several times the price,
//! which every call pays.

use std::borrow::Cow;

use polyval::Polyval;
use polyval::universal_hash::UniversalHash;
use remora_store::call::{
    BODY_DIGEST_PREFIX_BYTES, Call, DATABASE_DIGEST_PREFIX_BYTES, Digest, JOIN_DIGEST_PREFIX_BYTES,
    Message, Protocol, Side, State, Stream,
};

use crate::keys::RedactionKey;

/// Digests calls under one key.
pub(super) struct Digester {
    /// POLYVAL under its own key, fed with nothing yet.
    universal: Polyval,
    /// Key of the PRF.
    key: [u8; 32],
    /// Most requests have no body.
    empty_body: Option<Digest>,
}

/// What is digested; bytes that are the same give unequal digests in each.
#[derive(Clone, Copy)]
enum Domain {
    Join = 0,
    Body = 1,
}

impl Digester {
    pub(super) fn new(key: &RedactionKey) -> Self {
        let key = *key.digests();
        let mut universal_key = [0; 16];
        blake3::Hasher::new_keyed(&key)
            .update(b"remora digests, key of POLYVAL")
            .finalize_xof()
            .fill(&mut universal_key);
        let mut digester = Self {
            universal: Polyval::new(&universal_key.into()),
            key,
            empty_body: None,
        };
        digester.empty_body = digester.body(&Message::default(), None);
        digester
    }

    /// Fills in what digests the kept bytes allow. An open call has none yet: its bytes are still
    /// coming, and half of them would digest to something else.
    pub(super) fn digest(&self, call: &mut Call) {
        if call.state == State::Open {
            return;
        }
        if call.protocol.is_database() {
            return self.digest_question(call);
        }
        if !call.protocol.is_http() {
            return;
        }
        if call.protocol == Protocol::WebSocket {
            // Its digest is that of the handshake, which has no body: what was said after it does not
            // join, and messages are no body that could be known again.
            let head = &call.request.head;
            call.join_digest = (!head.is_empty()).then(|| self.head(head));
            return;
        }
        let stream = call.stream.as_deref();
        // Server-sent events stay in the body; only gRPC's stand in its place.
        let stream = stream.filter(|_| call.protocol == Protocol::Grpc);
        let payloads = |from| Payloads::of(stream?, from);
        let (client, server) = (payloads(Side::Client), payloads(Side::Server));
        call.join_digest = self.join(&call.request, client.as_ref());
        call.request.body_digest = self.body(&call.request, client.as_ref());
        if !call.response.head.is_empty() {
            call.response.body_digest = self.body(&call.response, server.as_ref());
        }
    }

    /// What a database is asked has no head: its legs are joined by what was asked.
    fn digest_question(&self, call: &mut Call) {
        let (request, response) = (&mut call.request, &mut call.response);
        if let Some(asked) = written(request, DATABASE_DIGEST_PREFIX_BYTES) {
            call.join_digest = Some(self.prf(Domain::Join, &[asked], request.body_size));
            request.body_digest = Some(self.prf(Domain::Body, &[asked], request.body_size));
        }
        if call.phases.response_first.is_some() {
            response.body_digest = written(response, BODY_DIGEST_PREFIX_BYTES)
                .map(|answer| self.prf(Domain::Body, &[answer], response.body_size));
        }
    }

    fn join(&self, request: &Message, payloads: Option<&Payloads<'_>>) -> Option<Digest> {
        if request.head.is_empty() {
            return None;
        }
        let head = prefix(&request.head, JOIN_DIGEST_PREFIX_BYTES);
        let wanted = JOIN_DIGEST_PREFIX_BYTES - head.len();
        let body = kept(request, payloads, wanted)?;
        Some(self.prf(Domain::Join, &[head, body], 0))
    }

    fn head(&self, head: &[u8]) -> Digest {
        let head = prefix(head, JOIN_DIGEST_PREFIX_BYTES);
        self.prf(Domain::Join, &[head, b""], 0)
    }

    fn body(&self, message: &Message, payloads: Option<&Payloads<'_>>) -> Option<Digest> {
        if message.body_size == 0 && self.empty_body.is_some() {
            return self.empty_body;
        }
        let kept = kept(message, payloads, BODY_DIGEST_PREFIX_BYTES)?;
        Some(self.prf(Domain::Body, &[kept], message.body_size))
    }

    /// Digests the concatenation of `parts`, and `size` beside it.
    fn prf(&self, domain: Domain, parts: &[&[u8]], size: u64) -> Digest {
        let mut universal = self.universal.clone();
        let mut lengths = [0_u64; 2];
        for (part, length) in parts.iter().zip(&mut lengths) {
            universal.update_padded(part);
            *length = part.len() as u64;
        }
        // Gathered, so that BLAKE3 has its one block at once: piece by piece costs as much again.
        let mut block = [0; 16 + 4 * 8];
        let (hash, numbers) = block.split_at_mut(16);
        hash.copy_from_slice(&universal.finalize());
        // Each part was padded: its length tells the padding from the part.
        let [head, body] = lengths;
        for (place, number) in numbers
            .chunks_exact_mut(8)
            .zip([domain as u64, size, head, body])
        {
            place.copy_from_slice(&number.to_le_bytes());
        }
        let hash = blake3::keyed_hash(&self.key, &block);
        let digest = hash.as_bytes().first_chunk();
        Digest(*digest.expect("a hash is longer than a digest"))
    }
}

/// The beginning of what one side's messages carried, which stands for the body that they came in.
struct Payloads<'a> {
    /// Payloads one behind the other, up to the first that was not kept whole; no more than the
    /// longest prefix that is digested needs.
    beginning: Cow<'a, [u8]>,
    /// There is more, or less was kept than was sent.
    cut: bool,
}

impl<'a> Payloads<'a> {
    /// `None` if that side sent no message.
    fn of(stream: &'a Stream, from: Side) -> Option<Self> {
        let mut left = match from {
            Side::Server => stream.server_messages,
            Side::Client | Side::Sidecar => stream.client_messages,
        };
        if left == 0 {
            return None;
        }
        let mut beginning = Cow::Borrowed(&[][..]);
        let mut cut = false;
        for message in stream.messages.iter().filter(|m| m.from == from) {
            left = left.saturating_sub(1);
            match beginning.is_empty() {
                true => beginning = Cow::Borrowed(&message.payload),
                false => beginning.to_mut().extend_from_slice(&message.payload),
            }
            cut = message.omitted.is_some();
            if cut || beginning.len() >= BODY_DIGEST_PREFIX_BYTES {
                break;
            }
        }
        cut |= left > 0;
        Some(Self { beginning, cut })
    }
}

/// The first `wanted` bytes of the body, or all if it is shorter; `None` if they were not kept.
fn kept<'a>(
    message: &'a Message,
    payloads: Option<&'a Payloads<'_>>,
    wanted: usize,
) -> Option<&'a [u8]> {
    if let Some(payloads) = payloads.filter(|_| message.body.is_empty()) {
        let kept = prefix(&payloads.beginning, wanted);
        return (kept.len() == wanted || !payloads.cut).then_some(kept);
    }
    let there = usize::try_from(message.body_size).unwrap_or(usize::MAX);
    let kept = prefix(&message.body, wanted);
    (kept.len() == wanted.min(there)).then_some(kept)
}

/// The same of a body that was written from values of another size: it is whole where it says so.
fn written(message: &Message, wanted: usize) -> Option<&[u8]> {
    let kept = prefix(&message.body, wanted);
    (kept.len() == wanted || message.omitted.is_none()).then_some(kept)
}

fn prefix(bytes: &[u8], length: usize) -> &[u8] {
    bytes.get(..length).unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn request(head: &'static str, body: &'static str) -> Message {
        Message {
            head: Bytes::from(head),
            body: Bytes::from(body),
            body_size: body.len() as u64,
            ..Message::default()
        }
    }

    fn digester(secret: u8) -> Digester {
        Digester::new(&RedactionKey::new("k".to_owned(), &[secret; 32]))
    }

    #[test]
    fn a_join_digest_covers_head_and_body_under_the_key() {
        let one = digester(1).join(&request("GET /", "ab"), None);
        assert!(one.is_some());
        assert_eq!(one, digester(1).join(&request("GET /", "ab"), None));
        assert_ne!(one, digester(1).join(&request("GET /", "ac"), None));
        assert_ne!(one, digester(2).join(&request("GET /", "ab"), None));
    }

    #[test]
    fn how_much_was_kept_beyond_the_prefix_does_not_matter() {
        let body = Bytes::from(vec![b'x'; 9000]);
        let long = Message {
            body: body.clone(),
            body_size: 9000,
            ..request("POST /", "")
        };
        let short = Message {
            body: body.slice(..BODY_DIGEST_PREFIX_BYTES),
            ..long.clone()
        };
        let digester = digester(1);
        assert_eq!(digester.join(&long, None), digester.join(&short, None));
        assert_eq!(digester.body(&long, None), digester.body(&short, None));
    }

    #[test]
    fn a_websocket_has_the_join_digest_of_its_handshake() {
        let handshake = request("GET /chat", "");
        let mut call = crate::redact::tests::call();
        call.protocol = Protocol::WebSocket;
        call.request = handshake.clone();
        call.request.body_size = 5000;
        digester(1).digest(&mut call);
        assert_eq!(call.join_digest, digester(1).join(&handshake, None));
        assert_eq!(call.request.body_digest, None);
    }

    #[test]
    fn the_values_behind_a_long_statement_tell_questions_apart() {
        let asked = |value: &str, key| {
            let mut call = remora_store::testing::sql_call(5, "SELECT ?");
            call.request.body = format!("SELECT {} $1\n[{value}]", "a, ".repeat(3000)).into();
            call.request.body_size = 9000;
            digester(key).digest(&mut call);
            let digests = (call.request.body_digest, call.join_digest);
            assert!(digests.0.is_some() && digests.1.is_some() && digests.0 != digests.1);
            assert!(call.response.body_digest.is_some());
            digests
        };
        assert_eq!(asked("17", 1), asked("17", 1));
        assert_ne!(asked("17", 1), asked("18", 1));
        assert_ne!(asked("17", 1), asked("17", 2));
    }

    #[test]
    fn there_is_none_where_the_bytes_were_kept_away() {
        let away = Message {
            body_size: 10,
            ..request("POST /", "")
        };
        assert_eq!(digester(1).join(&away, None), None);
        assert_eq!(digester(1).body(&away, None), None);
        assert_eq!(digester(1).join(&request("", ""), None), None);
    }

    #[test]
    fn bodies_of_one_beginning_and_different_sizes_differ() {
        let one = request("POST /", "ab");
        let mut two = one.clone();
        two.body = Bytes::from(vec![b'x'; BODY_DIGEST_PREFIX_BYTES]);
        two.body_size = 5000;
        let mut three = two.clone();
        three.body_size = 5001;
        let digester = digester(1);
        assert_ne!(digester.body(&two, None), digester.body(&three, None));
        assert_ne!(digester.body(&one, None), digester.body(&two, None));
    }
}
