//! What a call says whose bodies its reader may not see.

use super::{CallJson, MessageJson, StreamMessageJson};

/// Why a body or message is not shown to somebody who may not get it.
pub const NOT_PERMITTED: &str = "not_permitted";

/// What it takes to get it.
pub const BODIES_TAKE: &str = "it takes the right to get calls/body of remora.dev in the namespace of the pod that recorded \
                               the call, as the ClusterRole remora-body-reader gives it";

impl CallJson {
    /// Says of each body and message that there is more than is shown. The store has taken it out already.
    pub(super) fn say_withheld(&mut self) {
        for message in [&mut self.request, &mut self.response] {
            message.say_withheld();
        }
        for message in self.messages.iter_mut().flatten() {
            message.say_withheld();
        }
    }
}

impl MessageJson {
    fn say_withheld(&mut self) {
        if self.size > 0 {
            self.truncated = true;
            self.omitted = Some(NOT_PERMITTED);
        }
    }
}

impl StreamMessageJson {
    fn say_withheld(&mut self) {
        if self.size > 0 {
            self.truncated = true;
            self.omitted = Some(NOT_PERMITTED);
        }
        // Read from nothing, these would say that the message was empty.
        self.r#type = None;
        self.message = None;
        self.fields = None;
        self.fields_cut = false;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use remora_store::block::Origin;
    use remora_store::call::{Call, CallId, MessageKind, Protocol, Side, Stream, StreamMessage};
    use remora_store::names::Names;
    use remora_store::query::{FoundCall, found};
    use remora_store::store::{Namespaces, Scope};
    use remora_store::testing;
    use test_case::test_case;

    use super::*;
    use crate::descriptors::Descriptors;
    use crate::har::Entry;
    use crate::related::Related;
    use crate::tools::call_get;

    const PLANTED: &str = "planted-in-a-body";

    /// A call as somebody sees it who may not get bodies.
    fn seen(mut call: Call, protocol: Protocol) -> FoundCall {
        call.protocol = protocol;
        let id = CallId {
            block: 1,
            ordinal: 0,
        };
        let scope = Scope::new(Namespaces::All, Namespaces::Only(Default::default()));
        found(
            &scope,
            &Names::default(),
            id,
            (&Arc::new(Origin::default()), &Arc::default()),
            call,
        )
    }

    fn with_bodies() -> Call {
        let mut call = testing::call(0, "/pay", 200);
        for message in [&mut call.request, &mut call.response] {
            message.body = PLANTED.into();
            message.body_size = 17;
        }
        call
    }

    fn with_messages(kind: MessageKind) -> Call {
        let message = |from| StreamMessage {
            from,
            kind,
            at: 1,
            size: 17,
            compressed: false,
            payload: PLANTED.into(),
            decoded: false,
            omitted: None,
        };
        let mut call = testing::call(0, "/pay", 200);
        call.response.body_size = 0;
        call.stream = Some(Box::new(Stream {
            client_messages: 1,
            server_messages: 1,
            messages: vec![message(Side::Client), message(Side::Server)],
        }));
        call
    }

    #[test_case(with_bodies(), Protocol::Http1; "bodies")]
    #[test_case(with_messages(MessageKind::Text), Protocol::WebSocket; "messages of a websocket")]
    #[test_case(with_messages(MessageKind::Grpc), Protocol::Grpc; "messages of grpc")]
    fn what_is_withheld_is_in_no_form_of_a_call_and_each_says_so(call: Call, protocol: Protocol) {
        let found = seen(call, protocol);
        let descriptors = Descriptors::default();
        let json = CallJson::new(&found, &descriptors);
        let messages = json.messages.iter().flatten();
        let parts = [json.request.omitted, json.response.omitted];
        let said = parts
            .into_iter()
            .chain(messages.map(|message| message.omitted));
        assert_eq!(said.flatten().collect::<Vec<_>>(), [NOT_PERMITTED; 2]);
        for text in [
            serde_json::to_string(&json).unwrap(),
            serde_json::to_string(&Entry::new(&found)).unwrap(),
            call_get::whole(&found, &Related::default(), &descriptors),
        ] {
            assert!(!text.contains(PLANTED), "{text}");
            // An archive has no place for messages of gRPC, and so none to say it in.
            let says = text.contains(NOT_PERMITTED) || protocol == Protocol::Grpc;
            assert!(says && text.contains("/pay"), "{text}");
        }
    }

    #[test]
    fn a_body_that_was_empty_is_not_called_withheld() {
        let mut call = with_bodies();
        call.request.body_size = 0;
        let json = CallJson::new(&seen(call, Protocol::Http1), &Descriptors::default());
        assert_eq!(
            (json.request.omitted, json.request.truncated),
            (None, false)
        );
        assert_eq!(
            (json.response.omitted, json.response.truncated),
            (Some(NOT_PERMITTED), true)
        );
    }
}
