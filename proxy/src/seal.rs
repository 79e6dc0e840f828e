//! From the calls of a batch to sealed blocks: digests first, then secrets out, then bodies cut to
//! the user's limit, then sealed.
//!
//! Digests are taken from the bytes as they passed, so this comes before redaction. Redaction comes
//! before the cut, so that it sees secrets whole. Pure but for the clock that stamps a block.

mod digest;

use remora_store::call::{Call, Message, Omitted};

use crate::keys::RedactionKey;
use crate::redact::{Redaction, Redactor};
use digest::Digester;

/// Makes calls fit to leave the pod.
#[derive(Debug)]
pub struct Preparer {
    digester: Digester,
    redactor: Redactor,
    body_limit_bytes: usize,
}

impl Preparer {
    /// Prepares calls under `key`, and cuts bodies to `body_limit_bytes` each way.
    pub fn new(key: &RedactionKey, redaction: &Redaction, body_limit_bytes: usize) -> Self {
        Self {
            digester: Digester::new(key),
            redactor: Redactor::new(key, redaction),
            body_limit_bytes,
        }
    }

    /// Uses `key` from now on.
    pub fn set_key(&mut self, key: &RedactionKey) {
        self.digester = Digester::new(key);
        self.redactor.set_key(key);
    }

    /// Takes the digests of `call`, masks its secrets and cuts its bodies.
    pub fn prepare(&mut self, call: &mut Call) {
        self.digester.digest(call);
        for message in [&mut call.request, &mut call.response] {
            if self.body_limit_bytes == 0 {
                cut(message, 0);
            }
        }
        self.redactor.redact(call);
        cut(&mut call.request, self.body_limit_bytes);
        cut(&mut call.response, self.body_limit_bytes);
    }
}

fn cut(message: &mut Message, limit: usize) {
    if message.body.len() > limit {
        message.body.truncate(limit);
        message.omitted.get_or_insert(Omitted::Limit);
    }
}
