//! The messages inside a body, and the end of a stream, as they are written and read.

use super::super::record::{Http2Record, StreamMessageRecord, StreamRecord};
use super::{MAX_BODY_BYTES, clip, known};
use crate::call::{
    Http2, MAX_KEPT_MESSAGES, MessageKind, Omitted, Reset, Side, Stream, StreamMessage,
};

/// The messages that are written: no more than a reader takes, their payloads no larger in all than
/// one body.
pub(super) fn written(stream: Option<&Stream>) -> Vec<StreamMessageRecord> {
    let mut room = MAX_BODY_BYTES;
    stream
        .into_iter()
        .flat_map(|stream| &stream.messages)
        .take(MAX_KEPT_MESSAGES)
        .map(|message| {
            let payload = clip(&message.payload, room);
            room -= payload.len();
            let cut = payload.len() < message.payload.len();
            let omitted = message.omitted.or(cut.then_some(Omitted::Limit));
            StreamMessageRecord {
                from: message.from.code().into(),
                kind: message.kind.code().into(),
                at: message.at,
                size: message.size,
                compressed: message.compressed,
                payload,
                decoded: message.decoded,
                omitted: omitted.map(|reason| reason.code().into()),
            }
        })
        .collect()
}

/// The stream, with its messages where the bodies were read.
pub(super) fn read(counts: StreamRecord, messages: Vec<StreamMessageRecord>) -> Stream {
    Stream {
        client_messages: counts.client_messages,
        server_messages: counts.server_messages,
        messages: messages
            .into_iter()
            .take(MAX_KEPT_MESSAGES)
            .map(Into::into)
            .collect(),
    }
}

impl From<StreamMessageRecord> for StreamMessage {
    fn from(record: StreamMessageRecord) -> Self {
        Self {
            from: known(record.from, Side::from_code).unwrap_or(Side::Client),
            kind: known(record.kind, MessageKind::from_code).unwrap_or(MessageKind::Other),
            at: record.at,
            size: record.size,
            compressed: record.compressed,
            payload: record.payload,
            decoded: record.decoded,
            omitted: record
                .omitted
                .map(|code| known(code, Omitted::from_code).unwrap_or(Omitted::Other)),
        }
    }
}

impl From<&Stream> for StreamRecord {
    fn from(stream: &Stream) -> Self {
        Self {
            client_messages: stream.client_messages,
            server_messages: stream.server_messages,
        }
    }
}

impl From<&Http2> for Http2Record {
    fn from(http2: &Http2) -> Self {
        Self {
            reset_by: http2.reset.map(|reset| reset.by.code().into()),
            reset_code: http2.reset.map_or(0, |reset| reset.code),
            pushed: http2.pushed,
        }
    }
}

impl From<Http2Record> for Http2 {
    fn from(record: Http2Record) -> Self {
        let by = record
            .reset_by
            .and_then(|code| known(code, Side::from_code));
        Self {
            reset: by.map(|by| Reset {
                by,
                code: record.reset_code,
            }),
            pushed: record.pushed,
        }
    }
}
