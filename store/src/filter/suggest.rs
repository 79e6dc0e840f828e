//! The nearest right word for a wrong one.

/// The word of `known` that `given` most likely stands for: few letters apart, or equal but for case.
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let given: Vec<char> = given
        .chars()
        .take(64)
        .flat_map(char::to_lowercase)
        .collect();
    let allowed = (given.len() / 3).clamp(1, 4);
    known
        .into_iter()
        .map(|word| (distance(&given, word), word))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, word)| (*distance, word.len()))
        .map(|(_, word)| word)
}

/// Edits between two words, where swapping two neighbours is one edit.
fn distance(given: &[char], word: &str) -> usize {
    let word: Vec<char> = word.chars().flat_map(char::to_lowercase).collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=word.len()).collect();
    for (row, letter) in given.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, other) in word.iter().enumerate() {
            let at = |line: &[usize], index: usize| line.get(index).copied().unwrap_or(usize::MAX);
            let replaced = at(&above, column).saturating_add(usize::from(letter != other));
            let dropped = at(&above, column + 1).saturating_add(1);
            let added = at(&current, column).saturating_add(1);
            let mut best = replaced.min(dropped).min(added);
            let swapped = row > 0
                && column > 0
                && given.get(row - 1) == Some(other)
                && word.get(column - 1) == Some(letter);
            if swapped {
                best = best.min(at(&before, column - 1).saturating_add(1));
            }
            current.push(best);
        }
        before = std::mem::replace(&mut above, current);
    }
    above.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test_case("staus_code", Some("status_code"); "a letter is missing")]
    #[test_case("mehtod", Some("method"); "two letters are swapped")]
    #[test_case("Method", Some("method"); "case is wrong")]
    #[test_case("statuscode", Some("status_code"); "the underscore is missing")]
    #[test_case("zebra", None; "nothing is near")]
    #[test_case("", None; "nothing was given")]
    fn nearest_word(given: &str, expected: Option<&str>) {
        let known = ["method", "path", "status", "status_code"];
        assert_eq!(nearest(given, known), expected);
    }
}
