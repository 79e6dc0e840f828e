//! A first look at the text of a filter, before any parser sees it.
//!
//! Bounds what the parser has to recurse into, and names the mistakes that a parser would only call
//! a syntax error. It decides nothing else: what passes here may still not be a filter.

use std::borrow::Cow;

use super::FilterError;

/// Longest filter, in bytes.
pub(crate) const MAX_SOURCE_BYTES: usize = 4 * 1024;
/// Most words, literals and signs.
const MAX_TOKENS: usize = 1024;
/// Deepest nesting of brackets.
const MAX_DEPTH: usize = 20;
/// Most operators and selections in a row without `&&`, `||` or a comma between them; each nests the
/// syntax tree by one.
const MAX_CHAIN: usize = 40;
/// Most conditional expressions.
const MAX_CHOICES: usize = 10;

/// A word, literal or sign of a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Token<'a> {
    text: &'a str,
    kind: Kind,
    /// Place of its first byte, from 0.
    start: usize,
    /// Place of its first character, from 1.
    column: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Word,
    Number,
    Text,
    Sign,
}

/// One of our names that CEL reserves, and what the parser is given in its place: as long, so that
/// places stay what they are.
pub(crate) const RESERVED: (&str, &str) = ("namespace", "Namespace");

/// Checks that `source` is small and flat enough to be parsed, and has none of the well-known mistakes.
/// Gives the text for the parser.
pub(crate) fn scan(source: &str) -> Result<Cow<'_, str>, FilterError> {
    if source.len() > MAX_SOURCE_BYTES {
        return Err(FilterError::new(format!(
            "the filter is {} bytes long; at most {MAX_SOURCE_BYTES} are read",
            source.len()
        )));
    }
    if source.trim().is_empty() {
        return Err(FilterError::new("the filter is empty".to_owned())
            .hint("leave it out to ask for everything"));
    }
    let tokens = tokens(source)?;
    check_shape(&tokens)?;
    check_mistakes(&tokens)?;
    Ok(without_reserved(source, &tokens))
}

/// The words of `source` that stand for themselves: neither in a text nor a part of something.
pub(crate) fn words(source: &str) -> impl Iterator<Item = &str> {
    let mut part = false;
    let tokens = tokens(source).unwrap_or_default();
    tokens.into_iter().filter_map(move |token| {
        let own = !std::mem::replace(&mut part, token.text == ".");
        (own && token.kind == Kind::Word).then_some(token.text)
    })
}

fn without_reserved<'a>(source: &'a str, tokens: &[Token<'_>]) -> Cow<'a, str> {
    let (reserved, instead) = RESERVED;
    let mut text = Cow::Borrowed(source);
    let mut part = false;
    for token in tokens {
        if token.text == reserved && !part {
            let place = token.start..token.start + reserved.len();
            text.to_mut().replace_range(place, instead);
        }
        part = token.text == ".";
    }
    text
}

fn tokens(source: &str) -> Result<Vec<Token<'_>>, FilterError> {
    let mut tokens = Vec::new();
    let mut rest = source;
    let mut column = 1;
    let mut start = 0;
    while let Some(first) = rest.chars().next() {
        let (length, kind) = measure(rest, first, column)?;
        let (text, after) = rest.split_at(length);
        if let Some(kind) = kind {
            tokens.push(Token {
                text,
                kind,
                start,
                column,
            });
            if tokens.len() > MAX_TOKENS {
                return Err(FilterError::new(format!(
                    "the filter has more than {MAX_TOKENS} words and signs"
                )));
            }
        }
        column += text.chars().count();
        start += length;
        rest = after;
    }
    Ok(tokens)
}

/// Length in bytes of what `rest` begins with, and what it is; `None` for blanks and comments.
fn measure(rest: &str, first: char, column: usize) -> Result<(usize, Option<Kind>), FilterError> {
    let run = |belongs: fn(char) -> bool| rest.find(|c| !belongs(c)).unwrap_or(rest.len());
    if first.is_ascii_whitespace() {
        return Ok((run(|c| c.is_ascii_whitespace()), None));
    }
    if rest.starts_with("//") {
        return Ok((rest.find('\n').unwrap_or(rest.len()), None));
    }
    if let Some(length) = text_length(rest, column)? {
        return Ok((length, Some(Kind::Text)));
    }
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if first.is_ascii_alphabetic() || first == '_' {
        return Ok((run(word), Some(Kind::Word)));
    }
    if first.is_ascii_digit() {
        return Ok((run(word), Some(Kind::Number)));
    }
    const PAIRS: [&str; 6] = ["==", "!=", "<=", ">=", "&&", "||"];
    if PAIRS.iter().any(|pair| rest.starts_with(pair)) {
        return Ok((2, Some(Kind::Sign)));
    }
    if "()[]{}<>.,:?!+-*/%".contains(first) {
        return Ok((1, Some(Kind::Sign)));
    }
    Err(stray(first, column))
}

fn stray(sign: char, column: usize) -> FilterError {
    let error = FilterError::at(column, format!("{sign:?} does not belong here"));
    match sign {
        '=' => error.hint("`==` compares; for a pattern write `path.matches(\"…\")`"),
        '&' => error.hint("write `&&`"),
        '|' => error.hint("write `||`"),
        '~' => error.hint("for a pattern write `path.matches(\"…\")`"),
        '“' | '”' | '‘' | '’' | '„' => error.hint("texts are quoted with \" or '"),
        _ => error,
    }
}

/// Length of the text literal that `rest` begins with, prefix and quotes included.
fn text_length(rest: &str, column: usize) -> Result<Option<usize>, FilterError> {
    let prefix = rest
        .find(|c| !matches!(c, 'r' | 'R' | 'b' | 'B'))
        .filter(|length| *length <= 2)
        .unwrap_or(0);
    let (prefix_text, quoted) = rest.split_at(prefix);
    let Some(quote) = quoted.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
        return Ok(None);
    };
    let raw = prefix_text.contains(['r', 'R']);
    let triple: String = std::iter::repeat_n(quote, 3).collect();
    let (open, close) = match quoted.starts_with(&triple) {
        true => (3, triple),
        false => (1, quote.to_string()),
    };
    let mut at = open;
    while let Some(left) = quoted.get(at..).filter(|left| !left.is_empty()) {
        if left.starts_with(&close) {
            return Ok(Some(prefix + at + close.len()));
        }
        let escaped = left.starts_with('\\') && !raw;
        at += left
            .chars()
            .take(if escaped { 2 } else { 1 })
            .map(char::len_utf8)
            .sum::<usize>();
    }
    Err(
        FilterError::at(column, "the text that begins here does not end".to_owned())
            .hint(format!("close it with {close}")),
    )
}

fn check_shape(tokens: &[Token<'_>]) -> Result<(), FilterError> {
    let mut chains = vec![0];
    let mut choices = 0;
    for token in tokens {
        match token.text {
            "(" | "[" | "{" => {
                grow(&mut chains, token)?;
                chains.push(0);
                if chains.len() > MAX_DEPTH + 1 {
                    return Err(FilterError::at(
                        token.column,
                        format!("brackets are nested deeper than {MAX_DEPTH}"),
                    ));
                }
            }
            ")" | "]" | "}" => {
                chains.pop();
                if chains.is_empty() {
                    return Err(FilterError::at(
                        token.column,
                        format!("`{}` closes nothing", token.text),
                    ));
                }
            }
            "&&" | "||" | "," | ":" => {
                if let Some(chain) = chains.last_mut() {
                    *chain = 0;
                }
            }
            "?" => choices += 1,
            _ if token.kind == Kind::Sign || token.text == "in" => grow(&mut chains, token)?,
            _ => {}
        }
    }
    if choices > MAX_CHOICES {
        return Err(FilterError::new(format!(
            "the filter has more than {MAX_CHOICES} `? :`"
        )));
    }
    if chains.len() > 1 {
        return Err(FilterError::new("a bracket is not closed".to_owned())
            .hint("each of ( [ { needs its counterpart"));
    }
    Ok(())
}

fn grow(chains: &mut [usize], token: &Token<'_>) -> Result<(), FilterError> {
    let Some(chain) = chains.last_mut() else {
        return Ok(());
    };
    *chain += 1;
    if *chain > MAX_CHAIN {
        return Err(FilterError::at(
            token.column,
            format!("more than {MAX_CHAIN} operators in a row"),
        ));
    }
    Ok(())
}

fn check_mistakes(tokens: &[Token<'_>]) -> Result<(), FilterError> {
    for (index, token) in tokens.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|index| tokens.get(index));
        let after = tokens.get(index + 1);
        if token.kind != Kind::Word || before.is_some_and(|token| token.text == ".") {
            continue;
        }
        let called = after.is_some_and(|token| token.text == "(");
        let instead = match token.text.to_ascii_lowercase().as_str() {
            "and" => "&&",
            "or" => "||",
            "not" => "!",
            "is" | "eq" => "==",
            "like" | "contains" if !called => ".contains(\"…\")",
            "startswith" if !called => ".startsWith(\"…\")",
            "endswith" if !called => ".endsWith(\"…\")",
            "matches" if !called => ".matches(\"…\")",
            _ => continue,
        };
        let error = FilterError::at(token.column, format!("`{}` is not an operator", token.text));
        return Err(
            error.hint(match before.filter(|_| instead.starts_with('.')) {
                Some(subject) if subject.kind == Kind::Word => {
                    format!("write `{}{instead}`", spelled(tokens, index))
                }
                _ => format!("write `{instead}`"),
            }),
        );
    }
    Ok(())
}

/// The dotted name that ends just before `index`.
fn spelled(tokens: &[Token<'_>], index: usize) -> String {
    let mut parts: Vec<&str> = tokens
        .get(..index)
        .unwrap_or_default()
        .iter()
        .rev()
        .scan(None, |last: &mut Option<Kind>, token| {
            let dot = token.text == ".";
            let joins = match last {
                None => !dot,
                Some(Kind::Sign) => token.kind == Kind::Word,
                Some(_) => dot,
            };
            *last = Some(token.kind);
            joins.then_some(token.text)
        })
        .collect();
    parts.reverse();
    parts.concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test_case("http && path == \"/a b\" // why"; "comment")]
    #[test_case("path.matches(r'\\d+') || path == '''it's'''"; "raw and triple quotes")]
    #[test_case("path == \"\\\"and\\\"\""; "escaped quotes hide a word")]
    #[test_case("src.name in ['ä', 'ö']"; "letters beyond ascii in texts")]
    fn passes(source: &str) {
        assert_eq!(scan(source).as_deref(), Ok(source));
    }

    #[test_case("http and method == 'GET'", "`and`", "&&")]
    #[test_case(
        "request.path contains \"/api\"",
        "`contains`",
        "request.path.contains"
    )]
    #[test_case("status = 500", "'='", "==")]
    #[test_case("path == “x”", "'“'", "quoted")]
    #[test_case("path == \"x", "does not end", "close it")]
    fn names_the_mistake(source: &str, message: &str, hint: &str) {
        let error = scan(source).unwrap_err();
        assert!(error.message.contains(message), "{error:?}");
        assert!(
            error.hint.as_deref().unwrap_or("").contains(hint),
            "{error:?}"
        );
    }

    #[test_case("(".repeat(21) + &")".repeat(21); "deep")]
    #[test_case("a".repeat(5000); "long")]
    #[test_case("!".repeat(50) + "http"; "chain of signs")]
    #[test_case("a".to_owned() + &".a".repeat(50); "chain of selections")]
    #[test_case("a?".repeat(20); "choices")]
    #[test_case("1,".repeat(600); "many words")]
    #[test_case(")".to_owned(); "closes nothing")]
    #[test_case("(".to_owned(); "not closed")]
    #[test_case("   ".to_owned(); "empty")]
    #[test_case("http\0".to_owned(); "nul")]
    fn refuses(source: String) {
        assert!(scan(&source).is_err(), "{source:.40}");
    }
}
