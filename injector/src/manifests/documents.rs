//! Where one YAML document ends and the next begins, without reading them.

/// One document, its `---` line included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Document<'a> {
    pub(super) text: &'a str,
    /// The line on which it begins, from 1.
    pub(super) line: usize,
}

/// The documents of `text`; put together they are `text` again. A line that begins with `---` ends a document
/// wherever it stands, also within a block scalar.
pub(super) fn split(text: &str) -> Vec<Document<'_>> {
    let mut documents = Vec::new();
    let (mut begin, mut begin_line) = (0, 1);
    let mut at = 0;
    for (line, content) in (1..).zip(text.split_inclusive('\n')) {
        if is_marker(content) && at > begin {
            documents.extend(document(text, begin, at, begin_line));
            (begin, begin_line) = (at, line);
        }
        at += content.len();
    }
    documents.extend(document(text, begin, at, begin_line));
    documents
}

fn document(text: &str, begin: usize, end: usize, line: usize) -> Option<Document<'_>> {
    let text = text.get(begin..end).filter(|text| !text.is_empty())?;
    Some(Document { text, line })
}

fn is_marker(line: &str) -> bool {
    let rest = line.strip_prefix("---");
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
}
