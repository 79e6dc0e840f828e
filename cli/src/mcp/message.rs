//! What must be known of a message to relay it, and the answers that are the bridge's own (pure).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};

/// It is no JSON (JSON-RPC 2.0, section 5.1).
pub(super) const PARSE_ERROR: i64 = -32700;
/// It is no message, or none that is taken.
pub(super) const INVALID_REQUEST: i64 = -32600;
/// The hub did not answer as it should.
pub(super) const INTERNAL_ERROR: i64 = -32603;

/// A message of a client.
#[derive(Debug, PartialEq)]
pub(super) enum Message {
    /// It is to be answered.
    Request(Request),
    /// It is not.
    Notification(Outgoing),
    /// The request of this id is not wanted any more.
    Cancel(Value),
    /// It answers something, and a hub asks nothing.
    Answer,
}

/// A message that is to be answered.
#[derive(Debug, PartialEq)]
pub(super) struct Request {
    /// Its id, a number or a text.
    pub(super) id: Value,
    /// What is sent.
    pub(super) outgoing: Outgoing,
    /// Whether its answer says which protocol is spoken from then on.
    pub(super) initializes: bool,
}

/// What is sent, with the headers that must say the same.
#[derive(Debug, PartialEq)]
pub(super) struct Outgoing {
    /// The message as the client wrote it.
    pub(super) line: Bytes,
    /// `Mcp-Method`.
    pub(super) method: String,
    /// `Mcp-Name`, where there is one.
    pub(super) name: Option<String>,
    /// The protocol that the message itself names; before 2026-07-28 none does.
    pub(super) version: Option<String>,
}

impl Message {
    /// Reads a line.
    ///
    /// # Errors
    ///
    /// It is no message; what the client is to be told.
    pub(super) fn read(line: Bytes) -> Result<Self, Bytes> {
        let refused = |id: &Value, code, why: &str| Err(refusal(id, code, why));
        let value: Value = match serde_json::from_slice(&line) {
            Ok(value) => value,
            Err(error) => {
                return refused(
                    &Value::Null,
                    PARSE_ERROR,
                    &format!("a line is no JSON: {error}"),
                );
            }
        };
        let id = value
            .get("id")
            .filter(|id| id.is_number() || id.is_string());
        if value.is_array() {
            return refused(
                &Value::Null,
                INVALID_REQUEST,
                "MCP has no batches; send each message on a line of its own",
            );
        }
        let Some(method) = value.get("method").and_then(Value::as_str) else {
            let is_answer = value.get("result").or(value.get("error")).is_some();
            return if is_answer {
                Ok(Self::Answer)
            } else {
                refused(
                    id.unwrap_or(&Value::Null),
                    INVALID_REQUEST,
                    "a message has no method",
                )
            };
        };
        let params = value.get("params").unwrap_or(&Value::Null);
        if method == "notifications/cancelled" {
            let cancelled = params.get("requestId").cloned().unwrap_or_default();
            return Ok(Self::Cancel(cancelled));
        }
        let text = |pointer| params.pointer(pointer).and_then(Value::as_str);
        let name = match method {
            "tools/call" | "prompts/get" => text("/name"),
            "resources/read" => text("/uri"),
            _ => None,
        };
        let outgoing = Outgoing {
            line,
            method: header_value(method),
            name: name.map(header_value),
            version: text("/_meta/io.modelcontextprotocol~1protocolVersion").map(header_value),
        };
        Ok(match id {
            Some(id) => Self::Request(Request {
                id: id.clone(),
                outgoing,
                initializes: method == "initialize",
            }),
            None if value.get("id").is_some() => {
                return refused(&Value::Null, INVALID_REQUEST, "an id is a number or a text");
            }
            None => Self::Notification(outgoing),
        })
    }
}

/// An error of the bridge's own, as a line.
pub(super) fn refusal(id: &Value, code: i64, why: &str) -> Bytes {
    let message = json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": why}});
    message.to_string().into()
}

/// A message of the hub as a line. Line ends in it stand between values, never in a text, where JSON
/// has none.
pub(super) fn one_line(message: &[u8]) -> Bytes {
    let line = message.trim_ascii().iter().map(|&byte| match byte {
        b'\n' | b'\r' => b' ',
        byte => byte,
    });
    line.collect()
}

/// A value as a header can carry it (MCP 2026-07-28, HTTP headers): as it is, or in base64.
fn header_value(text: &str) -> String {
    let plain = text
        .bytes()
        .all(|byte| byte == b' ' || byte.is_ascii_graphic())
        && text.trim() == text
        && !text.starts_with("=?base64?");
    if plain {
        text.to_owned()
    } else {
        format!("=?base64?{}?=", STANDARD.encode(text))
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    fn read(text: &str) -> Result<Message, Bytes> {
        Message::read(Bytes::from(text.to_owned()))
    }

    #[test]
    fn the_headers_of_a_request_come_from_its_text() {
        let text = r#"{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"caf\u00e9","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;
        let Ok(Message::Request(request)) = read(text) else {
            panic!("no request");
        };
        assert_eq!(request.id, json!("a"));
        assert_eq!(
            request.outgoing.name.as_deref(),
            Some("=?base64?Y2Fmw6k=?=")
        );
        assert_eq!(request.outgoing.version.as_deref(), Some("2026-07-28"));
        assert_eq!(request.outgoing.line, text, "not a byte is changed");
    }

    #[test]
    fn what_is_cancelled_is_known_by_the_id_as_it_was_written() {
        let cancel =
            |id| format!(r#"{{"method":"notifications/cancelled","params":{{"requestId":{id}}}}}"#);
        assert_eq!(read(&cancel("7")), Ok(Message::Cancel(json!(7))));
        assert_eq!(read(&cancel("\"7\"")), Ok(Message::Cancel(json!("7"))));
    }

    #[test_case("nonsense", -32700, "null"; "no JSON")]
    #[test_case("[]", -32600, "null"; "a batch")]
    #[test_case(r#"{"id":3}"#, -32600, "3"; "no method")]
    #[test_case(r#"{"id":[1],"method":"ping"}"#, -32600, "null"; "an id of another kind")]
    fn what_is_no_message_is_refused(text: &str, code: i64, id: &str) {
        let refusal: Value = serde_json::from_slice(&read(text).unwrap_err()).unwrap();
        assert_eq!(
            (refusal["error"]["code"].as_i64(), refusal["id"].to_string()),
            (Some(code), id.to_owned())
        );
    }

    #[test]
    fn an_answer_of_several_lines_becomes_one() {
        assert_eq!(
            one_line(b"{\n  \"a\": \"\\n\"\r\n}\n"),
            "{   \"a\": \"\\n\"  }"
        );
    }
}
