//! Resources, prompts and completions in the words of rmcp.

use rmcp::ErrorData;
use rmcp::model::{
    CacheScope, CompletionInfo, GetPromptResult, ListPromptsResult, ListResourceTemplatesResult,
    ListResourcesResult, PromptArgument, PromptMessage, ReadResourceResult, Reference, Resource,
    ResourceContents, ResourceTemplate, Role,
};
use serde_json::{Map, Value, json};

use super::{LIST_TTL_MS, untrusted};
use crate::completion::{Of, Values};
use crate::prompts::{self, PROMPTS};
use crate::resources::{Contents, Payload, RESOURCES, ReadError, TEMPLATES};

pub(super) fn resources() -> ListResourcesResult {
    let resources = RESOURCES.iter().map(|listed| {
        let resource = Resource::new(listed.uri, listed.name)
            .with_title(listed.title)
            .with_description(listed.description);
        match listed.mime_type {
            Some(mime_type) => resource.with_mime_type(mime_type),
            None => resource,
        }
    });
    ListResourcesResult::with_all_items(resources.collect())
        .with_ttl_ms(LIST_TTL_MS)
        .with_cache_scope(CacheScope::Public)
}

pub(super) fn templates() -> ListResourceTemplatesResult {
    let templates = TEMPLATES.iter().map(|listed| {
        let template = ResourceTemplate::new(listed.uri, listed.name)
            .with_title(listed.title)
            .with_description(listed.description);
        match listed.mime_type {
            Some(mime_type) => template.with_mime_type(mime_type),
            None => template,
        }
    });
    ListResourceTemplatesResult::with_all_items(templates.collect())
        .with_ttl_ms(LIST_TTL_MS)
        .with_cache_scope(CacheScope::Public)
}

/// What was read. Only what never changes may be kept, and what not all may see by nobody but its
/// reader.
pub(super) fn contents(uri: String, contents: Contents) -> ReadResourceResult {
    let resource = match contents.payload {
        Payload::Text(text) => ResourceContents::text(text, uri),
        Payload::Base64(blob) => ResourceContents::blob(blob, uri),
    };
    let resource = resource.with_mime_type(contents.mime_type);
    let resource = match contents.untrusted {
        true => resource.with_meta(untrusted()),
        false => resource,
    };
    let cache_scope = match contents.public {
        true => CacheScope::Public,
        false => CacheScope::Private,
    };
    ReadResourceResult::new(vec![resource])
        .with_ttl_ms(if contents.lasting { LIST_TTL_MS } else { 0 })
        .with_cache_scope(cache_scope)
}

/// The code of "not found" is another one for older clients; rmcp sees to that.
pub(super) fn read_error(uri: &str, error: ReadError) -> ErrorData {
    match error {
        ReadError::NotFound(error) => {
            ErrorData::resource_not_found(error.0, Some(json!({"uri": uri})))
        }
        ReadError::Failed(error) => ErrorData::internal_error(error.0, None),
    }
}

pub(super) fn prompts() -> ListPromptsResult {
    let prompts = PROMPTS.iter().map(|prompt| {
        let arguments = prompt.arguments.iter().map(|argument| {
            PromptArgument::new(argument.name)
                .with_description(argument.description)
                .with_required(true)
        });
        rmcp::model::Prompt::new(
            prompt.name,
            Some(prompt.description),
            Some(arguments.collect()),
        )
        .with_title(prompt.title)
    });
    ListPromptsResult::with_all_items(prompts.collect())
        .with_ttl_ms(LIST_TTL_MS)
        .with_cache_scope(CacheScope::Public)
}

pub(super) fn prompt(
    name: &str,
    arguments: &Map<String, Value>,
) -> Result<GetPromptResult, ErrorData> {
    let not_text = arguments.iter().find(|(_, value)| !value.is_string());
    if let Some((name, _)) = not_text {
        return Err(ErrorData::invalid_params(
            format!("{name} is not text; the arguments of prompts are"),
            None,
        ));
    }
    let given = arguments
        .iter()
        .filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)));
    let (prompt, text) =
        prompts::write(name, given).map_err(|wrong| ErrorData::invalid_params(wrong, None))?;
    Ok(
        GetPromptResult::new(vec![PromptMessage::new_text(Role::User, text)])
            .with_description(prompt.description),
    )
}

/// Whose argument is to be completed; `None` for what this hub has not.
pub(super) fn completed(reference: &Reference) -> Option<Of<'_>> {
    match reference {
        Reference::Prompt(prompt) => Some(Of::Prompt(&prompt.name)),
        Reference::Resource(template) => Some(Of::Template(&template.uri)),
        _ => None,
    }
}

pub(super) fn completion(values: Values) -> Result<CompletionInfo, ErrorData> {
    let has_more = values.total > values.values.len();
    let total = u32::try_from(values.total).ok();
    CompletionInfo::with_pagination(values.values, total, has_more)
        .map_err(|error| ErrorData::internal_error(error, None))
}
