//! Which of the right names somebody meant who wrote a wrong one (pure).

/// Longest wrong name that is compared; a longer one is nobody's slip of the pen.
const COMPARED_CHARS: usize = 64;

/// The name that is closest to `wrong`, if one is close enough to be worth saying.
pub fn nearest<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wrong: Vec<char> = wrong
        .chars()
        .take(COMPARED_CHARS)
        .flat_map(char::to_lowercase)
        .collect();
    let allowed = wrong.len().div_ceil(3).max(1);
    names
        .into_iter()
        .map(|name| (distance(&wrong, name), name))
        .min_by_key(|&(edits, _)| edits)
        .filter(|&(edits, _)| edits <= allowed)
        .map(|(_, name)| name)
}

/// How many insertions, deletions, replacements and swaps of neighbours lead from one to the other.
fn distance(wrong: &[char], name: &str) -> usize {
    let name: Vec<char> = name.chars().flat_map(char::to_lowercase).collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=name.len()).collect();
    for (row, &typed) in wrong.iter().enumerate() {
        let mut current = Vec::with_capacity(name.len() + 1);
        current.push(row + 1);
        for (column, &meant) in name.iter().enumerate() {
            let at =
                |costs: &[usize], column: usize| costs.get(column).copied().unwrap_or(usize::MAX);
            let replaced = at(&last, column) + usize::from(typed != meant);
            let inserted = at(&current, column) + 1;
            let deleted = at(&last, column + 1) + 1;
            let is_swap = row > 0
                && column > 0
                && wrong.get(row - 1) == Some(&meant)
                && name.get(column - 1) == Some(&typed);
            let swapped = if is_swap {
                at(&before_last, column - 1) + 1
            } else {
                usize::MAX
            };
            current.push(replaced.min(inserted).min(deleted).min(swapped));
        }
        before_last = std::mem::replace(&mut last, current);
    }
    last.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("limt", Some("limit"); "a letter left out")]
    #[test_case("fliter", Some("filter"); "two letters swapped")]
    #[test_case("Since", Some("since"); "the case is no obstacle")]
    #[test_case("sort", None; "nothing is near")]
    #[test_case("", None; "nothing was written")]
    fn suggestion(wrong: &str, expected: Option<&str>) {
        assert_eq!(
            nearest(wrong, ["filter", "limit", "since", "until"]),
            expected
        );
    }

    #[test]
    fn a_huge_name_is_compared_in_bounded_work() {
        assert_eq!(nearest(&"x".repeat(10_000_000), ["filter"]), None);
    }
}
