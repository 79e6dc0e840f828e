//! What a word says of the values around it.

/// The part of a word in a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// What stands before it tells what the value behind it is.
    Operator,
    Between,
    And,
    /// It stands between conditions or results, and so ends what was said.
    Condition,
    /// A part of the statement begins.
    Clause,
    /// A part of which the values are places and counts.
    Counts,
    From,
    Set,
    /// A table follows, and perhaps the list of its columns.
    Into,
    Values,
    Select,
    Case,
    End,
    As,
    /// The name of a collation follows.
    Collate,
    /// A type that may have numbers in brackets.
    Type,
    Distinct,
    /// It changes nothing of what its neighbours say.
    Transparent,
    /// The name of anything.
    Name,
}

/// The part that this word has.
pub(super) fn part_of(word: &[u8]) -> Word {
    let known = WORDS
        .iter()
        .find(|(known, _)| word.eq_ignore_ascii_case(known.as_bytes()));
    known.map_or(Word::Name, |(_, part)| *part)
}

/// Whether a text begins as a statement or a block of code does.
pub(super) fn begins_statement(text: &[u8]) -> bool {
    let text = text.trim_ascii_start();
    let end = text.iter().position(|byte| !byte.is_ascii_alphabetic());
    let (word, rest) = text
        .split_at_checked(end.unwrap_or(text.len()))
        .unwrap_or_default();
    let goes_on =
        rest.first().is_some_and(u8::is_ascii_whitespace) && !rest.trim_ascii().is_empty();
    goes_on
        && COMMANDS
            .iter()
            .any(|command| word.eq_ignore_ascii_case(command.as_bytes()))
}

#[rustfmt::skip]
const WORDS: &[(&str, Word)] = &[
    ("LIKE", Word::Operator), ("ILIKE", Word::Operator), ("IN", Word::Operator), ("IS", Word::Operator),
    ("SIMILAR", Word::Operator), ("TO", Word::Operator), ("BETWEEN", Word::Between), ("AND", Word::And),
    ("OR", Word::Condition), ("WHEN", Word::Condition), ("THEN", Word::Condition), ("ELSE", Word::Condition),
    ("WHERE", Word::Clause), ("HAVING", Word::Clause), ("RETURNING", Word::Clause), ("ON", Word::Clause),
    ("USING", Word::Clause), ("JOIN", Word::Clause), ("UNION", Word::Clause), ("EXCEPT", Word::Clause),
    ("INTERSECT", Word::Clause), ("WINDOW", Word::Clause), ("FOR", Word::Clause), ("GROUP", Word::Counts),
    ("ORDER", Word::Counts), ("LIMIT", Word::Counts), ("OFFSET", Word::Counts), ("FETCH", Word::Counts),
    ("FROM", Word::From), ("SET", Word::Set), ("INTO", Word::Into), ("INSERT", Word::Into),
    ("VALUES", Word::Values), ("SELECT", Word::Select), ("CASE", Word::Case), ("END", Word::End),
    ("AS", Word::As), ("COLLATE", Word::Collate), ("DISTINCT", Word::Distinct), ("VARCHAR", Word::Type),
    ("CHAR", Word::Type), ("CHARACTER", Word::Type), ("VARYING", Word::Type), ("NUMERIC", Word::Type),
    ("DECIMAL", Word::Type), ("BIT", Word::Type), ("FLOAT", Word::Type), ("TIMESTAMP", Word::Type),
    ("TIMESTAMPTZ", Word::Type), ("NOT", Word::Transparent), ("ALL", Word::Transparent),
    ("ANY", Word::Transparent), ("SOME", Word::Transparent), ("ARRAY", Word::Transparent),
    ("ROW", Word::Transparent), ("BOTH", Word::Transparent), ("LEADING", Word::Transparent),
    ("TRAILING", Word::Transparent), ("ONLY", Word::Transparent), ("SYMMETRIC", Word::Transparent),
    ("ASYMMETRIC", Word::Transparent), ("DEFAULT", Word::Transparent), ("NULL", Word::Transparent),
    ("TRUE", Word::Transparent), ("FALSE", Word::Transparent), ("EXISTS", Word::Transparent),
    ("PRECISION", Word::Transparent), ("LATERAL", Word::Transparent),
];

const COMMANDS: &[&str] = &[
    "ALTER", "BEGIN", "CALL", "COPY", "CREATE", "DECLARE", "DELETE", "DO", "EXECUTE", "GRANT",
    "IF", "INSERT", "MERGE", "PERFORM", "PREPARE", "SELECT", "SET", "UPDATE", "VALUES", "WITH",
];
