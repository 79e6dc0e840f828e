//! Bodies of an archive: text where they are text, else base64, without their content coding.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use remora_store::call::Message;
use remora_store::coding::decoded;
use remora_store::head::find_field;
use serde::Serialize;

use crate::call_json::{BODIES_TAKE, NOT_PERMITTED};

/// What the type of a body is called where none was sent, as browsers call it.
const UNKNOWN_TYPE: &str = "x-unknown";
/// How the tags begin that stand for secrets.
const TAG: &[u8] = b"[redacted ";

/// The body of a response.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Content {
    /// True size without the content coding; where that is not known, the size as it was sent.
    size: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    compression: Option<i64>,
    mime_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
}

/// The body of a request. The format has no place for bytes that are no text: they are in base64,
/// which `_encoding` says.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PostData {
    mime_type: String,
    text: String,
    #[serde(rename = "_encoding", skip_serializing_if = "Option::is_none")]
    encoding: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
}

impl Content {
    pub(super) fn of(message: &Message, withheld: bool, mime_type: Option<&str>) -> Self {
        let body = Body::of(message, withheld);
        let sent = super::size(message.body_size);
        let whole = !message.truncated() && !body.withheld;
        let size = match whole && !message.decoded {
            true => body.bytes.len() as i64,
            false => sent,
        };
        let (text, encoding) = match body.bytes.is_empty() && message.body_size > 0 {
            // It was not kept, which is not the same as an empty one.
            true => (None, None),
            false => written(&body.bytes),
        };
        Self {
            size,
            compression: (body.coding_undone && whole).then_some(size - sent),
            mime_type: mime_type.unwrap_or(UNKNOWN_TYPE).to_owned(),
            text,
            encoding,
            comment: body.comment(message),
        }
    }
}

impl PostData {
    /// `None` for a request without a body.
    pub(super) fn of(message: &Message, withheld: bool, mime_type: Option<&str>) -> Option<Self> {
        if message.body_size == 0 {
            return None;
        }
        let body = Body::of(message, withheld);
        let (text, encoding) = written(&body.bytes);
        Some(Self {
            mime_type: mime_type.unwrap_or(UNKNOWN_TYPE).to_owned(),
            text: text.unwrap_or_default(),
            encoding,
            comment: body.comment(message),
        })
    }
}

/// What was kept of a body, without its content coding where that can be undone.
struct Body<'a> {
    bytes: Cow<'a, [u8]>,
    coding_undone: bool,
    coding_stays: bool,
    /// It was taken out, because the reader may not see it.
    withheld: bool,
}

impl<'a> Body<'a> {
    fn of(message: &'a Message, withheld: bool) -> Self {
        // A compressed file that was sent as it is has no coding to undo.
        let withheld = withheld && message.body_size > 0;
        let coded = !withheld
            && !message.decoded
            && find_field(&message.head, b"content-encoding").is_some();
        let content = match coded {
            true => decoded(&message.head, &message.body, message.truncated()),
            false => Ok(None),
        };
        let coding_stays = content.is_err();
        match content {
            Ok(Some(bytes)) => Self {
                bytes: Cow::Owned(bytes),
                coding_undone: true,
                coding_stays,
                withheld,
            },
            _ => Self {
                bytes: Cow::Borrowed(&message.body),
                coding_undone: false,
                coding_stays,
                withheld,
            },
        }
    }

    /// What a reader must know who takes the text for the body.
    fn comment(&self, message: &Message) -> Option<String> {
        if self.withheld {
            return Some(format!("withheld ({NOT_PERMITTED}): {BODIES_TAKE}"));
        }
        let mut notes = Vec::new();
        if let Some(omitted) = message.omitted {
            let (kept, sent) = (message.body.len(), message.body_size);
            notes.push(format!(
                "truncated ({omitted}): {kept} of {sent} bytes were kept"
            ));
        }
        if message.decoded || memchr::memmem::find(&self.bytes, TAG).is_some() {
            notes.push("secrets were replaced by tags".to_owned());
        }
        if self.coding_stays {
            notes.push("the content coding could not be undone".to_owned());
        }
        (!notes.is_empty()).then(|| notes.join("; "))
    }
}

fn written(bytes: &[u8]) -> (Option<String>, Option<&'static str>) {
    match str::from_utf8(bytes) {
        Ok(text) => (Some(text.to_owned()), None),
        Err(_) => (Some(STANDARD.encode(bytes)), Some("base64")),
    }
}
