//! Which server names are looked into.

use std::fmt;

/// Most names that a list may have.
const MOST_NAMES: usize = 256;
/// Longest name of a host (RFC 1035 section 2.3.4).
const NAME_BYTES: usize = 253;

/// Words that mean all servers to whoever writes them.
const SWITCHES: [&str; 5] = ["enabled", "on", "true", "yes", "all"];

/// Words that mean none.
const SWITCHES_OFF: [&str; 7] = ["disabled", "off", "false", "no", "none", "never", "null"];

/// A list of server names and patterns. Cheap to ask.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// `*`: every name.
    all: bool,
    exact: Vec<String>,
    /// What names end with, from the dot on: `*.example.com` is `.example.com`.
    endings: Vec<String>,
}

/// A list that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NamesError(String);

impl Names {
    /// Reads a comma list of names, of patterns such as `*.example.com` (everything beneath, at any depth), and
    /// of `*`.
    ///
    /// # Errors
    /// An item is neither, or there are more than 256, or none.
    pub fn parse(list: &str) -> Result<Self, NamesError> {
        let mut names = Self::default();
        let items = list
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty());
        for (place, item) in items.enumerate() {
            if place == MOST_NAMES {
                return Err(NamesError(format!(
                    "there are more than {MOST_NAMES} names"
                )));
            }
            names.add(item)?;
        }
        match names.is_empty() {
            true => Err(NamesError(format!(
                "{list:?} names nothing; it is a comma list such as api.example.com,*.example.org, or *"
            ))),
            false => Ok(names),
        }
    }

    fn add(&mut self, item: &str) -> Result<(), NamesError> {
        let name = item.trim_end_matches('.').to_ascii_lowercase();
        if SWITCHES.contains(&name.as_str()) {
            return Err(NamesError(format!(
                "{item:?} names no server, did you mean *?"
            )));
        }
        if SWITCHES_OFF.contains(&name.as_str()) {
            return Err(NamesError(format!(
                "{item:?} names no server, and switches nothing off; leave the names out"
            )));
        }
        match name.strip_prefix('*') {
            Some("") => self.all = true,
            Some(ending) if ending.strip_prefix('.').is_some_and(is_host) => {
                self.endings.push(ending.to_owned());
            }
            _ if name.parse::<std::net::IpAddr>().is_ok() => {
                return Err(NamesError(format!(
                    "{item:?} is an address, and clients of an address name no server; only * covers names that are not known before"
                )));
            }
            None if is_host(&name) => self.exact.push(name),
            _ => return Err(NamesError(wrong(item))),
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        !self.all && self.exact.is_empty() && self.endings.is_empty()
    }

    /// Whether a server name is in the list. Case does not matter.
    pub fn cover(&self, name: &str) -> bool {
        let name = name.trim_end_matches('.');
        let is = |known: &String| known.eq_ignore_ascii_case(name);
        let ends = |ending: &String| {
            let start = name
                .len()
                .checked_sub(ending.len())
                .filter(|start| *start > 0);
            start
                .and_then(|start| name.get(start..))
                .is_some_and(|end| end.eq_ignore_ascii_case(ending))
        };
        self.all || self.exact.iter().any(is) || self.endings.iter().any(ends)
    }
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.all.then(|| "*".to_owned());
        let endings = self.endings.iter().map(|ending| format!("*{ending}"));
        let items: Vec<String> = all
            .into_iter()
            .chain(self.exact.iter().cloned())
            .chain(endings)
            .collect();
        f.write_str(&items.join(","))
    }
}

/// What is wrong with an item, and what would be right.
fn wrong(item: &str) -> String {
    let shown: String = item.chars().take(80).collect();
    let host = item
        .split_once("://")
        .map_or(item, |(_, rest)| rest)
        .split(['/', ':'])
        .next()
        .unwrap_or_default();
    let inner = host.trim_start_matches(['*', '.']);
    match is_host(inner) {
        true if host.starts_with(['*', '.']) => {
            format!("{shown:?} is not a pattern, did you mean *.{inner}?")
        }
        true => format!("{shown:?} is not a server name, did you mean {inner}?"),
        false => format!(
            "{shown:?} is not a server name; names look like api.example.com, patterns like *.example.com"
        ),
    }
}

/// Whether it can be the name of a host: labels of letters, digits, `-` and `_`.
fn is_host(name: &str) -> bool {
    let is_label = |label: &str| {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (1..=63).contains(&label.len()) && label.bytes().all(known)
    };
    name.len() <= NAME_BYTES && name.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("api.example.com", "api.example.com", true)]
    #[test_case("api.example.com", "API.Example.com.", true; "case and the last dot do not matter")]
    #[test_case("api.example.com", "x.api.example.com", false)]
    #[test_case("*.example.com", "api.example.com", true)]
    #[test_case("*.example.com", "a.b.example.com", true; "at any depth")]
    #[test_case("*.example.com", "example.com", false; "beneath, not itself")]
    #[test_case("*.example.com", "badexample.com", false)]
    #[test_case("a.org, *.example.com", "a.org", true)]
    #[test_case("*", "anything", true)]
    fn a_name_is_covered(list: &str, name: &str, expected: bool) {
        assert_eq!(Names::parse(list).unwrap().cover(name), expected);
    }

    #[test_case("", "names nothing")]
    #[test_case(" , ", "names nothing")]
    #[test_case("https://api.example.com/v1", "did you mean api.example.com?")]
    #[test_case("api.example.com:443", "did you mean api.example.com?")]
    #[test_case("*example.com", "did you mean *.example.com?")]
    #[test_case(".example.com", "did you mean *.example.com?")]
    #[test_case("enabled", "did you mean *?")]
    #[test_case("OFF", "switches nothing off")]
    #[test_case("10.0.0.1", "is an address")]
    #[test_case("api..com", "is not a server name; names look like")]
    #[test_case("b\u{fc}cher.example", "is not a server name; names look like")]
    fn a_wrong_list_is_told_the_right_form(list: &str, expected: &str) {
        let message = Names::parse(list).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }

    #[test]
    fn a_list_has_a_longest_length() {
        let list = vec!["a.example"; MOST_NAMES + 1].join(",");
        assert!(
            Names::parse(&list)
                .unwrap_err()
                .to_string()
                .contains("more than 256")
        );
    }

    #[test]
    fn a_list_reads_as_it_was_written() {
        let list = "*,a.example,*.b.example";
        assert_eq!(Names::parse(list).unwrap().to_string(), list);
    }
}
