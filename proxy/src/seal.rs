//! From the calls of a batch to sealed blocks: digests first, then messages inflated, secrets out,
//! bodies cut to the user's limit, then sealed.
//!
//! Digests are taken from the bytes as they passed, so this comes before redaction. Redaction comes
//! before the cut, so that it sees secrets whole. Pure but for the clock that stamps a block.

mod cut;
mod decode;
mod digest;
mod inflate;
mod redis;

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use remora_store::block::{self, BlockMeta, Codec, Drop, Origin};
use remora_store::call::Call;

use crate::keys::RedactionKey;
use crate::record::wall_clock_ns;
use crate::redact::{Redaction, Redactor};
use digest::Digester;

/// Largest block, in bytes; the hub takes no larger one.
pub const BLOCK_LIMIT: usize = 4 * 1024 * 1024;

/// A sealed block with what has to be known of it if it is lost.
#[derive(Debug, Clone)]
pub struct Sealed {
    /// Its number within the incarnation.
    pub sequence: u64,
    /// How many finished calls are in it.
    pub calls: u64,
    /// Drops that the block tells of.
    pub drops: Vec<Drop>,
    /// The block.
    pub bytes: Bytes,
}

/// What came of sealing.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The blocks: one, unless that were larger than [`BLOCK_LIMIT`].
    pub blocks: Vec<Sealed>,
    /// Calls that are gone because preparing them panicked: what was not looked through for
    /// secrets does not leave.
    pub panicked: u64,
}

/// Makes calls fit to leave the pod, and seals them.
pub struct Sealer {
    origin: Origin,
    key: RedactionKey,
    digester: Digester,
    redactor: Redactor,
    body_limit_bytes: usize,
    sequence: u64,
}

impl Sealer {
    /// Seals blocks of `origin` under `key`, with bodies of no more than `body_limit_bytes` each way.
    pub fn new(
        origin: Origin,
        key: RedactionKey,
        redaction: &Redaction,
        body_limit_bytes: usize,
    ) -> Self {
        Self {
            origin,
            digester: Digester::new(&key),
            redactor: Redactor::new(&key, redaction),
            key,
            body_limit_bytes,
            sequence: 0,
        }
    }

    /// Uses `key` from the next block on.
    pub fn set_key(&mut self, key: RedactionKey) {
        self.digester = Digester::new(&key);
        self.redactor.set_key(&key);
        self.key = key;
    }

    /// Digests, redacts, cuts and seals.
    pub fn seal(
        &mut self,
        mut calls: Vec<Call>,
        mut open: Option<Vec<Call>>,
        drops: Vec<Drop>,
        codec: Codec,
    ) -> Outcome {
        let before = calls.len();
        calls.retain_mut(|call| self.prepared(call));
        let panicked = (before - calls.len()) as u64;
        if let Some(open) = &mut open {
            open.retain_mut(|call| self.prepared(call));
        }
        let mut outcome = Outcome {
            blocks: Vec::with_capacity(1),
            panicked,
        };
        self.pack(&calls, open.as_deref(), drops, codec, &mut outcome.blocks);
        outcome
    }

    /// An empty block with the number behind the last one. It uses the number up only if it is
    /// shipped, by a later run.
    pub fn last_word(&self) -> Bytes {
        block::seal(&self.meta(Vec::new()), &[], None, Codec::Raw)
    }

    fn meta(&self, drops: Vec<Drop>) -> BlockMeta {
        BlockMeta {
            origin: self.origin.clone(),
            sequence: self.sequence + 1,
            sealed_ns: wall_clock_ns(),
            redaction_key: self.key.id().to_owned(),
            drops,
        }
    }

    /// Prepares a call; false if that panicked.
    fn prepared(&mut self, call: &mut Call) -> bool {
        catch_unwind(AssertUnwindSafe(|| self.prepare(call))).is_ok()
    }

    fn prepare(&mut self, call: &mut Call) {
        self.digester.digest(call);
        if self.body_limit_bytes == 0 {
            cut::cut(call, 0);
        }
        inflate::inflate(call);
        decode::decode(call);
        redis::write(call);
        self.redactor.redact(call);
        cut::cut(call, self.body_limit_bytes);
    }

    fn pack(
        &mut self,
        calls: &[Call],
        open: Option<&[Call]>,
        drops: Vec<Drop>,
        codec: Codec,
        blocks: &mut Vec<Sealed>,
    ) {
        let meta = self.meta(drops);
        let bytes = block::seal(&meta, calls, open, codec);
        if bytes.len() <= BLOCK_LIMIT || calls.len() + usize::from(open.is_some()) <= 1 {
            self.sequence = meta.sequence;
            blocks.push(Sealed {
                sequence: meta.sequence,
                calls: calls.len() as u64,
                drops: meta.drops,
                bytes,
            });
        } else if open.is_some() {
            self.pack(calls, None, meta.drops, codec, blocks);
            self.pack(&[], open, Vec::new(), codec, blocks);
        } else {
            let (first, second) = calls.split_at(calls.len() / 2);
            self.pack(first, None, meta.drops, codec, blocks);
            self.pack(second, None, Vec::new(), codec, blocks);
        }
    }
}
