//! Card numbers: 13 to 19 digits, perhaps in groups, of an issuer's range and with the right check
//! digit (ISO/IEC 7812-1).
//!
//! The check digit alone would take one in ten order numbers and timestamps for a card, so the
//! issuer's range and length count too, and the number must stand alone.

use std::ops::Range;

use super::Rules;
use super::edit::Edits;

const DIGITS: Range<usize> = 13..20;

/// Digits of a card's beginning at the end of a cut text from which on it is masked.
const CUT_DIGITS: usize = 5;

/// Finds the card numbers in `text`.
pub(super) fn scan(rules: &Rules, text: &[u8], cut: bool, edits: &mut Edits) {
    for run in runs(text) {
        card(rules, text, run, edits);
    }
    if cut {
        beginning(rules, text, edits);
    }
}

/// Where a card number may be.
pub(super) fn places(text: &[u8]) -> impl Iterator<Item = usize> {
    runs(text).map(|run| run.start)
}

/// Runs of digits and gaps that are long enough and stand alone.
fn runs(text: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        while let Some(place) = probe(text, at) {
            let run = run_around(text, place);
            at = run.end + DIGITS.start;
            if run.len() >= DIGITS.start && stands_alone(text, &run) {
                return Some(run);
            }
        }
        None
    })
}

fn card(rules: &Rules, text: &[u8], run: Range<usize>, edits: &mut Edits) {
    let written = text.get(run.clone()).unwrap_or_default();
    let digits: Vec<u8> = written.iter().copied().filter(u8::is_ascii_digit).collect();
    if !DIGITS.contains(&digits.len()) || !is_card(&digits) {
        return;
    }
    let mask = match is_json_number(text, &run) {
        true => rules.tagger.number(&digits, written, 4),
        false => rules.tagger.card(&digits, written).into_bytes(),
    };
    edits.replace(run, mask);
}

/// A cut text may end in the midst of a card number.
fn beginning(rules: &Rules, text: &[u8], edits: &mut Edits) {
    let Some(last) = text.len().checked_sub(1) else {
        return;
    };
    let run = run_around(text, last);
    let written = text.get(run.clone()).unwrap_or_default();
    let digits: Vec<u8> = written.iter().copied().filter(u8::is_ascii_digit).collect();
    if (CUT_DIGITS..DIGITS.end).contains(&digits.len()) {
        let mask = rules.tagger.number(&digits, written, 0);
        edits.replace(run, mask);
    }
}

/// A place inside a run of digits and gaps that may be long enough: every run of 13 covers one of
/// the places that are looked at, and six more to one of its sides.
fn probe(text: &[u8], from: usize) -> Option<usize> {
    let fits = |at: Option<usize>| {
        let byte = at.and_then(|at| text.get(at));
        byte.is_some_and(|byte| byte.is_ascii_digit() || is_gap(*byte))
    };
    let mut at = from;
    while let Some(&byte) = text.get(at) {
        if (byte.is_ascii_digit() || is_gap(byte))
            && ((fits(Some(at + 6)) && fits(Some(at + 3)))
                || (fits(at.checked_sub(6)) && fits(at.checked_sub(3))))
        {
            return Some(at);
        }
        at += DIGITS.start;
    }
    None
}

fn is_gap(byte: u8) -> bool {
    byte == b' ' || byte == b'-'
}

fn between_digits(text: &[u8], at: usize) -> bool {
    let digit = |at: Option<usize>| {
        at.and_then(|at| text.get(at))
            .is_some_and(u8::is_ascii_digit)
    };
    digit(at.checked_sub(1)) && digit(Some(at + 1))
}

/// The digits around `at` with single gaps between them. Not much longer than a card's, whatever
/// the text: a longer run is none, and is only gone through.
fn run_around(text: &[u8], at: usize) -> Range<usize> {
    let inside = |at: usize| match text.get(at) {
        Some(byte) => byte.is_ascii_digit() || (is_gap(*byte) && between_digits(text, at)),
        None => false,
    };
    let mut start = at;
    while start > 0 && inside(start - 1) {
        start -= 1;
    }
    let mut end = at;
    while inside(end) {
        end += 1;
    }
    start..end
}

/// Part of a longer word, of a number with a point, or of a UUID it is no card.
fn stands_alone(text: &[u8], run: &Range<usize>) -> bool {
    let part = |byte: Option<&u8>| {
        byte.is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
    };
    let before = run.start.checked_sub(1).and_then(|at| text.get(at));
    let after = text.get(run.end);
    let fraction = after == Some(&b'.') && text.get(run.end + 1).is_some_and(u8::is_ascii_digit);
    !part(before) && before != Some(&b'.') && !part(after) && !fraction
}

fn is_card(digits: &[u8]) -> bool {
    issued(digits) && luhn(digits)
}

/// Whether an issuer has numbers that begin and are as long as these.
fn issued(digits: &[u8]) -> bool {
    let first = |count: usize| {
        let digits = digits.get(..count).unwrap_or_default();
        digits
            .iter()
            .fold(0u32, |sum, b| sum * 10 + u32::from(b - b'0'))
    };
    let length = digits.len();
    match first(4) {
        4000..=4999 => matches!(length, 13 | 16 | 19),
        5100..=5599 | 2221..=2720 => length == 16,
        3400..=3499 | 3700..=3799 => length == 15,
        3000..=3059 | 3095 | 3600..=3699 | 3800..=3999 => (14..=19).contains(&length),
        3528..=3589 | 6011 | 6440..=6599 | 6200..=6299 | 8100..=8171 => length >= 16,
        2200..=2204 | 9792 | 6060 | 5067 => length >= 16,
        5018 | 5020 | 5038 | 5893 | 6304 | 6759 | 6761..=6763 => true,
        _ => false,
    }
}

fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let value = u32::from(digit - b'0');
            match (place % 2, value * 2) {
                (0, _) => value,
                (_, twice) => twice / 10 + twice % 10,
            }
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Whether the run is a number of a JSON text, which must stay one.
fn is_json_number(text: &[u8], run: &Range<usize>) -> bool {
    let json = matches!(text.trim_ascii_start().first(), Some(b'{' | b'['));
    let before = text.get(..run.start).unwrap_or_default().trim_ascii_end();
    let after = text.get(run.end..).unwrap_or_default().trim_ascii_start();
    json && matches!(before.last(), Some(b':' | b',' | b'['))
        && matches!(after.first(), None | Some(b',' | b'}' | b']'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test_case("4111111111111111"; "visa")]
    #[test_case("4222222222222"; "visa of thirteen")]
    #[test_case("5555555555554444"; "mastercard")]
    #[test_case("2223003122003222"; "mastercard of the new range")]
    #[test_case("378282246310005"; "amex")]
    #[test_case("30569309025904"; "diners")]
    #[test_case("6011111111111117"; "discover")]
    #[test_case("3530111333300000"; "jcb")]
    #[test_case("6304000000000000"; "maestro")]
    fn a_card_number_is_known(number: &str) {
        assert!(is_card(number.as_bytes()));
    }

    #[test_case("4111111111111112"; "wrong check digit")]
    #[test_case("1700000000003"; "a timestamp")]
    #[test_case("0000000000000000"; "zeros")]
    fn other_digits_are_none(number: &str) {
        assert!(!is_card(number.as_bytes()));
    }
}
