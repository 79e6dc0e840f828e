//! The tools, resources and prompts by which the conformance suite scores a server, as its own
//! descriptions of them ask for.

use rmcp::model::*;
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// One red pixel.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==";
/// A WAV file of no length.
const WAV: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=";

const TOOLS: &[&str] = &[
    "test_audio_content",
    "test_embedded_resource",
    "test_error_handling",
    "test_image_content",
    "test_input_required_result_capabilities",
    "test_input_required_result_elicitation",
    "test_input_required_result_list_roots",
    "test_input_required_result_multi_round",
    "test_input_required_result_multiple_inputs",
    "test_input_required_result_request_state",
    "test_input_required_result_sampling",
    "test_input_required_result_tampered_state",
    "test_logging_tool",
    "test_missing_capability",
    "test_multiple_content_types",
    "test_simple_text",
    "test_streaming_elicitation",
    "test_tool_with_logging",
    "test_tool_with_progress",
];

/// A server with nothing but what the suite looks at.
#[derive(Debug, Clone)]
pub(super) struct Fixture;

/// Something of MCP as its JSON says.
fn of<T: DeserializeOwned>(json: Value) -> T {
    serde_json::from_value(json).unwrap()
}

fn text(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

fn image() -> Value {
    json!({"type": "image", "data": PNG, "mimeType": "image/png"})
}

fn resource(uri: &str, mime_type: &str, text: &str) -> Value {
    json!({"type": "resource", "resource": {"uri": uri, "mimeType": mime_type, "text": text}})
}

fn content(blocks: Value) -> CallToolResponse {
    of::<CallToolResult>(json!({"resultType": "complete", "content": blocks, "isError": false}))
        .into()
}

fn elicit(message: &str, field: &str, kind: &str) -> Value {
    json!({"method": "elicitation/create", "params": {"mode": "form", "message": message, "requestedSchema": {
        "type": "object", "properties": {field: {"type": kind}}, "required": [field]}}})
}

fn sample(question: &str) -> Value {
    json!({"method": "sampling/createMessage", "params": {
        "messages": [{"role": "user", "content": text(question)}], "maxTokens": 100}})
}

fn roots() -> Value {
    json!({"method": "roots/list", "params": {}})
}

/// What is asked of the client before there can be a result.
fn ask(requests: Value, state: Option<&str>) -> InputRequiredResult {
    let requests: InputRequests = of(requests);
    InputRequiredResult::new(Some(requests), state.map(str::to_owned))
}

/// What a request brings of answers, and of what it was told to bring back.
struct Round<'a> {
    answers: &'a InputResponses,
    state: Option<&'a str>,
}

impl Round<'_> {
    fn has(&self, key: &str) -> bool {
        self.answers.contains_key(key)
    }

    /// Only a state that was given out is taken.
    fn check(&self, given_out: &[&str]) -> Result<(), ErrorData> {
        match self.state {
            Some(state) if !given_out.contains(&state) => Err(ErrorData::invalid_params(
                "the request state was tampered with",
                None,
            )),
            _ => Ok(()),
        }
    }
}

fn ask_in_rounds(
    name: &str,
    round: &Round<'_>,
    context: &RequestContext<RoleServer>,
) -> Result<CallToolResponse, ErrorData> {
    let confirm = || json!({"confirm": elicit("Please confirm", "ok", "boolean")});
    let response = match name {
        "test_input_required_result_elicitation" | "test_streaming_elicitation" => {
            let name = round
                .answers
                .get("user_name")
                .and_then(|answer| answer.pointer("/content/name"));
            match name.and_then(Value::as_str) {
                Some(name) => content(json!([text(&format!("Hello, {name}!"))])),
                None => ask(
                    json!({"user_name": elicit("What is your name?", "name", "string")}),
                    None,
                )
                .into(),
            }
        }
        "test_input_required_result_sampling" if !round.has("capital_question") => ask(
            json!({"capital_question": sample("What is the capital of France?")}),
            None,
        )
        .into(),
        "test_input_required_result_list_roots" if !round.has("client_roots") => {
            ask(json!({"client_roots": roots()}), None).into()
        }
        "test_input_required_result_capabilities" if !round.has("question") => {
            let elicits = context
                .client_capabilities()
                .is_some_and(|can| can.elicitation.is_some());
            let question = if elicits {
                elicit("Which?", "which", "string")
            } else {
                sample("Which?")
            };
            ask(json!({"question": question}), None).into()
        }
        "test_input_required_result_multiple_inputs" if round.answers.len() < 3 => {
            let requests = json!({
                "user_name": elicit("What is your name?", "name", "string"),
                "greeting": sample("Generate a greeting"),
                "client_roots": roots(),
            });
            ask(requests, Some("three-questions")).into()
        }
        "test_input_required_result_multi_round" => {
            round.check(&["round-1", "round-2"])?;
            match round.state {
                None => ask(json!({"step1": elicit("Step 1: What is your name?", "name", "string")}), Some("round-1")).into(),
                Some("round-1") => {
                    ask(json!({"step2": elicit("Step 2: What is your favorite color?", "color", "string")}), Some("round-2")).into()
                }
                Some(_) => content(json!([text("all rounds are done")])),
            }
        }
        "test_input_required_result_request_state"
        | "test_input_required_result_tampered_state" => {
            round.check(&["confirming"])?;
            if round.state.is_some() && round.has("confirm") {
                content(json!([text("state-ok")]))
            } else {
                ask(confirm(), Some("confirming")).into()
            }
        }
        _ => content(json!([text(&format!("answers: {}", round.answers.len()))])),
    };
    Ok(response)
}

async fn report_progress(context: &RequestContext<RoleServer>) {
    let Some(token) = context.meta.get_progress_token() else {
        return;
    };
    for progress in [0.0, 50.0, 100.0] {
        let progress = ProgressNotificationParam::new(token.clone(), progress).with_total(100.0);
        context.peer.notify_progress(progress).await.unwrap();
    }
}

#[expect(
    deprecated,
    reason = "older clients are still told of logs, and the suite looks for it"
)]
async fn log(context: &RequestContext<RoleServer>) {
    for message in [
        "Tool execution started",
        "Tool processing data",
        "Tool execution completed",
    ] {
        let message = LoggingMessageNotificationParam::new(LoggingLevel::Info, json!(message));
        context.peer.notify_logging_message(message).await.unwrap();
    }
}

#[allow(
    deprecated,
    reason = "subscriptions and levels of logs are of older protocols, which the suite scores too"
)]
impl ServerHandler for Fixture {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_resources()
            .enable_resources_subscribe()
            .enable_prompts()
            .enable_completions()
            .enable_logging()
            .build();
        ServerConfig::new(capabilities).with_server_info(Implementation::new("fixture", "1"))
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let tool = |name: &&'static str| {
            let schema: Map<String, Value> = of(json!({"type": "object"}));
            Tool::new(*name, "A tool of the conformance suite", schema)
        };
        Ok(ListToolsResult::with_all_items(
            TOOLS.iter().map(tool).collect(),
        ))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let answers = request.input_responses.unwrap_or_default();
        let round = Round {
            answers: &answers,
            state: request.request_state.as_deref(),
        };
        Ok(match request.name.as_ref() {
            "test_simple_text" => {
                content(json!([text("This is a simple text response for testing.")]))
            }
            "test_image_content" => content(json!([image()])),
            "test_audio_content" => {
                content(json!([{"type": "audio", "data": WAV, "mimeType": "audio/wav"}]))
            }
            "test_embedded_resource" => content(json!([resource(
                "test://embedded-resource",
                "text/plain",
                "This is an embedded resource content."
            )])),
            "test_multiple_content_types" => content(json!([
                text("Multiple content types test:"),
                image(),
                resource(
                    "test://mixed-content-resource",
                    "application/json",
                    r#"{"test":"data","value":123}"#
                ),
            ])),
            "test_error_handling" => {
                let error = text("This tool intentionally returns an error for testing");
                of::<CallToolResult>(
                    json!({"resultType": "complete", "content": [error], "isError": true}),
                )
                .into()
            }
            "test_logging_tool" => {
                content(json!([text("nothing is logged that was not asked for")]))
            }
            "test_tool_with_logging" => {
                log(&context).await;
                content(json!([text("Logging test completed")]))
            }
            "test_tool_with_progress" => {
                report_progress(&context).await;
                content(json!([text("Progress test completed")]))
            }
            "test_missing_capability" => {
                if context
                    .client_capabilities()
                    .is_none_or(|can| can.sampling.is_none())
                {
                    let required = of(json!({"sampling": {}}));
                    return Err(ErrorData::missing_required_client_capability(required));
                }
                content(json!([text("the client can be asked for samples")]))
            }
            name if TOOLS.contains(&name) => ask_in_rounds(name, &round, &context)?,
            _ => return Err(ErrorData::invalid_params("there is no such tool", None)),
        })
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let listed = [
            "test://static-binary",
            "test://static-text",
            "test://watched-resource",
        ];
        let listed = listed.map(|uri| {
            Resource::new(uri, uri).with_description("A resource of the conformance suite")
        });
        Ok(ListResourcesResult::with_all_items(listed.to_vec()))
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let template = ResourceTemplate::new("test://template/{id}/data", "template");
        Ok(ListResourceTemplatesResult::with_all_items(vec![
            template.with_description("Data of an id"),
        ]))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let uri = request.uri.as_str();
        let id = uri
            .strip_prefix("test://template/")
            .and_then(|rest| rest.strip_suffix("/data"));
        let contents = match (uri, id) {
            ("test://static-binary", _) => {
                json!({"uri": uri, "mimeType": "image/png", "blob": PNG})
            }
            ("test://static-text", _) => {
                json!({"uri": uri, "mimeType": "text/plain", "text": "This is the content of the static text resource."})
            }
            (_, Some(id)) => {
                let data =
                    json!({"id": id, "templateTest": true, "data": format!("Data for ID: {id}")})
                        .to_string();
                json!({"uri": uri, "mimeType": "application/json", "text": data})
            }
            _ => {
                let data = Some(json!({"uri": uri}));
                return Err(ErrorData::resource_not_found(
                    "there is no such resource",
                    data,
                ));
            }
        };
        Ok(ReadResourceResult::new(vec![of(contents)]).into())
    }

    async fn subscribe(
        &self,
        _: SubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn unsubscribe(
        &self,
        _: UnsubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Ok(())
    }

    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        Some(requested.clone())
    }

    async fn set_level(
        &self,
        _: SetLevelRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        let prompt = |name: &str, arguments: &[&str]| -> Prompt {
            let arguments: Vec<Value> = arguments
                .iter()
                .map(|name| json!({"name": name, "required": true}))
                .collect();
            of(
                json!({"name": name, "description": "A prompt of the conformance suite", "arguments": arguments}),
            )
        };
        Ok(ListPromptsResult::with_all_items(vec![
            prompt("test_input_required_result_prompt", &[]),
            prompt("test_prompt_with_arguments", &["arg1", "arg2"]),
            prompt("test_prompt_with_embedded_resource", &["resourceUri"]),
            prompt("test_prompt_with_image", &[]),
            prompt("test_simple_prompt", &[]),
        ]))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let arguments = request.arguments.unwrap_or_default();
        let argument = |name: &str| {
            arguments
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let answers = request.input_responses.unwrap_or_default();
        let blocks = match request.name.as_str() {
            "test_simple_prompt" => vec![text("This is a simple prompt for testing.")],
            "test_prompt_with_arguments" => {
                let (one, two) = (argument("arg1"), argument("arg2"));
                vec![text(&format!(
                    "Prompt with arguments: arg1='{one}', arg2='{two}'"
                ))]
            }
            "test_prompt_with_embedded_resource" => vec![
                resource(
                    argument("resourceUri"),
                    "text/plain",
                    "Embedded resource content for testing.",
                ),
                text("Please process the embedded resource above."),
            ],
            "test_prompt_with_image" => vec![image(), text("Please analyze the image above.")],
            "test_input_required_result_prompt" if answers.contains_key("user_context") => {
                vec![text("Use that context.")]
            }
            "test_input_required_result_prompt" => {
                let context = elicit("What context should the prompt use?", "context", "string");
                return Ok(ask(json!({"user_context": context}), None).into());
            }
            _ => return Err(ErrorData::invalid_params("there is no such prompt", None)),
        };
        let messages = blocks
            .into_iter()
            .map(|content| json!({"role": "user", "content": content}));
        Ok(GetPromptResult::new(messages.map(of).collect()).into())
    }
}
