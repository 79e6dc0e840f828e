//! Secrets in the messages inside bodies, looked for as in bodies.
//!
//! Each message is looked through on its own; a secret that is told in two messages is not found by
//! its form.

use bytes::Bytes;
use remora_store::call::{Call, MessageKind, Omitted, Side, StreamMessage};
use remora_store::coding::Undecodable;

use super::Redactor;
use super::echo::{self, Part};
use super::edit::Edits;
use super::protobuf::{self, Look};

impl Redactor {
    /// Masks the secrets in the messages of `call`, those of its heads and bodies told back in them
    /// too.
    pub(super) fn messages(&self, call: &mut Call) {
        let Some(stream) = &mut call.stream else {
            return;
        };
        for message in &mut stream.messages {
            if !message.payload.is_empty() && self.message(message).is_err() {
                message.payload = Bytes::new();
                message.omitted = Some(Omitted::Uninspectable);
                let direction = match message.from {
                    Side::Server => &mut call.response,
                    Side::Client | Side::Sidecar => &mut call.request,
                };
                direction.omitted.get_or_insert(Omitted::Uninspectable);
            }
        }
    }

    fn message(&self, message: &mut StreamMessage) -> Result<(), Undecodable> {
        // What is still compressed cannot be looked through.
        if message.compressed && !message.decoded {
            return Err(Undecodable);
        }
        let cut = message.omitted.is_some();
        if message.kind == MessageKind::Grpc {
            self.masked_protobuf(message, true);
            return Ok(());
        }
        if let Some(inspected) = self.inspected(b"", &message.payload, cut)? {
            message.payload = inspected.content;
            message.decoded |= inspected.decoded;
        }
        Ok(())
    }

    fn masked_protobuf(&self, message: &mut StreamMessage, by_form: bool) {
        let look = Look {
            rules: &self.rules,
            by_form,
        };
        let cut = message.omitted.is_some();
        if let Some(masked) = protobuf::masked(look, &message.payload, cut) {
            message.payload = masked;
        }
    }

    /// Masks what was found elsewhere in the call and is told back in a message.
    pub(super) fn echoes_in_messages(&self, call: &mut Call) {
        let messages = call
            .stream
            .iter_mut()
            .flat_map(|stream| &mut stream.messages);
        for message in messages {
            if message.kind == MessageKind::Grpc {
                self.masked_protobuf(message, false);
                continue;
            }
            let cut = message.omitted.is_some();
            let mut found = Edits::default();
            let part = Part::Body { cut };
            echo::find(&self.rules.tagger, &message.payload, part, &mut found);
            if let Some(masked) = found.apply(&message.payload) {
                message.payload = masked;
            }
        }
    }
}
