//! The parameters of a question, from the query of its URL (pure).
//!
//! A name that is not known, or comes twice, is an error and never passed over: a question that was
//! misspelt must not get the answer to another one.

use remora_store::filter::nearest;

use crate::clock;
use crate::error::ApiError;

/// Longest query of a URL, in bytes.
const QUERY_BYTES: usize = 32 * 1024;

/// The parameters that were given, each of them once, all of them known.
#[derive(Debug)]
pub struct Params {
    given: Vec<(String, String)>,
    now_ns: i64,
}

impl Params {
    /// Reads the query of a URL, of which only `known` names may be part.
    pub fn parse(query: Option<&str>, known: &[&'static str]) -> Result<Self, ApiError> {
        let query = query.unwrap_or_default();
        if query.len() > QUERY_BYTES {
            return Err(ApiError::bad_request(
                "query_too_long",
                format!(
                    "the query of the URL has {} bytes; {QUERY_BYTES} are allowed",
                    query.len()
                ),
            ));
        }
        let mut given: Vec<(String, String)> = Vec::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if !known.contains(&name.as_ref()) {
                return Err(unknown_parameter(&name, known));
            }
            if given.iter().any(|(seen, _)| *seen == name) {
                return Err(ApiError::bad_request(
                    "repeated_parameter",
                    format!("parameter {name} is given more than once"),
                )
                .field(name.into_owned()));
            }
            given.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self {
            given,
            now_ns: clock::now_ns(),
        })
    }

    /// The value of a parameter; an empty one counts as not given.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.given
            .iter()
            .find(|(given, value)| given == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }

    /// A whole number within bounds.
    pub fn number(
        &self,
        name: &'static str,
        bounds: std::ops::RangeInclusive<usize>,
        default: usize,
    ) -> Result<usize, ApiError> {
        let Some(text) = self.text(name) else {
            return Ok(default);
        };
        text.parse()
            .ok()
            .filter(|number| bounds.contains(number))
            .ok_or_else(|| {
                ApiError::bad_request(
                    "bad_parameter",
                    format!(
                        "{name} is {}; it takes a number from {} to {}",
                        quoted(text),
                        bounds.start(),
                        bounds.end()
                    ),
                )
                .field(name)
            })
    }

    /// A time, as nanoseconds since the Unix epoch.
    pub fn time(&self, name: &'static str) -> Result<Option<i64>, ApiError> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        clock::parse_time(text, self.now_ns)
            .map(Some)
            .ok_or_else(|| {
                ApiError::bad_request(
                    "bad_parameter",
                    format!(
                        "{name} is {}; it takes a time or a duration before now",
                        quoted(text)
                    ),
                )
                .field(name)
                .hint("write a time like 2026-11-22T18:26:00Z, or a duration like 15m or 1h30m")
            })
    }

    /// One word out of a few.
    pub fn word<T: Copy>(
        &self,
        name: &'static str,
        words: &[(&'static str, T)],
        default: T,
    ) -> Result<T, ApiError> {
        match self.text(name) {
            None => Ok(default),
            Some(text) => one_of(name, text, words),
        }
    }

    /// Words out of a few, separated by commas; each of them once.
    pub fn words<T: Copy + PartialEq>(
        &self,
        name: &'static str,
        words: &[(&'static str, T)],
    ) -> Result<Option<Vec<T>>, ApiError> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        let mut chosen = Vec::new();
        for word in text.split(',').take(words.len() + 1) {
            let value = one_of(name, word.trim(), words)?;
            if chosen.contains(&value) {
                return Err(ApiError::bad_request(
                    "bad_parameter",
                    format!("{name} names {word} more than once"),
                )
                .field(name));
            }
            chosen.push(value);
        }
        Ok(Some(chosen))
    }
}

fn one_of<T: Copy>(
    name: &'static str,
    text: &str,
    words: &[(&'static str, T)],
) -> Result<T, ApiError> {
    words
        .iter()
        .find(|(word, _)| *word == text)
        .map(|&(_, value)| value)
        .ok_or_else(|| {
            let known: Vec<&str> = words.iter().map(|&(word, _)| word).collect();
            let error = ApiError::bad_request(
                "bad_parameter",
                format!("{name} is {}; it takes {}", quoted(text), known.join(", ")),
            )
            .field(name);
            match nearest(text, known.iter().copied()) {
                Some(near) => error.hint(format!("did you mean {near}?")),
                None => error,
            }
        })
}

fn unknown_parameter(name: &str, known: &[&'static str]) -> ApiError {
    let error = ApiError::bad_request(
        "unknown_parameter",
        format!("there is no parameter {}", quoted(name)),
    )
    .field(quoted(name).trim_matches('"').to_owned());
    if known.is_empty() {
        return error.hint("this path takes no parameters");
    }
    match nearest(name, known.iter().copied()) {
        Some(near) => error.hint(format!(
            "did you mean {near}? The parameters are {}",
            known.join(", ")
        )),
        None => error.hint(format!("the parameters are {}", known.join(", "))),
    }
}

/// What somebody wrote, short and printable, to be shown back to them.
pub fn quoted(text: &str) -> String {
    const SHOWN_CHARS: usize = 60;
    let shown: String = text.chars().take(SHOWN_CHARS).collect();
    let more = if shown.len() < text.len() { "…" } else { "" };
    format!("{shown:?}{more}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[&str] = &["filter", "limit", "since", "order"];

    fn refused(query: &str) -> ApiError {
        let Err(error) = Params::parse(Some(query), KNOWN) else {
            panic!("{query} was taken");
        };
        error
    }

    #[test]
    fn values_are_decoded() {
        let params = Params::parse(Some("filter=method+%3D%3D+%22GET%22"), KNOWN).unwrap();
        assert_eq!(params.text("filter"), Some("method == \"GET\""));
    }

    #[test]
    fn a_misspelt_parameter_is_refused_with_the_nearest_name() {
        let error = refused("fliter=x");
        assert_eq!(error.code(), "unknown_parameter");
        assert!(
            error
                .hint_text()
                .unwrap()
                .starts_with("did you mean filter?")
        );
    }

    #[test]
    fn a_parameter_given_twice_is_refused() {
        assert_eq!(refused("limit=1&limit=2").code(), "repeated_parameter");
    }

    #[test]
    fn a_number_out_of_bounds_is_refused_with_the_bounds() {
        let params = Params::parse(Some("limit=1001"), KNOWN).unwrap();
        let error = params.number("limit", 1..=1000, 100).unwrap_err();
        assert_eq!(
            error.message(),
            "limit is \"1001\"; it takes a number from 1 to 1000"
        );
    }

    #[test]
    fn an_endless_query_is_refused_before_it_is_read() {
        assert_eq!(refused(&"filter=".repeat(100_000)).code(), "query_too_long");
    }
}
