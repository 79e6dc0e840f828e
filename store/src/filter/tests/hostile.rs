//! Filters that want to be too much.

use super::*;

#[test]
fn deep_work_on_one_call_is_cut_short() {
    let list = format!("[{}]", vec!["1"; 90].join(","));
    let filter =
        format!("{list}.all(a, {list}.all(b, {list}.all(c, {list}.all(d, a + b + c + d > 0))))");
    let filter = Filter::parse(&filter).unwrap();
    let error = filter.matches(&shop()[0]).unwrap_err();
    assert!(error.message.contains("too many steps"), "{error:?}");
}

/// Filters made to cost as much as they can. Each has to be refused, or read and asked, on a stack as
/// small as a thread's usually is.
fn hostile() -> Vec<String> {
    let nested =
        |open: &str, close: &str, times| open.repeat(times) + "http" + &close.repeat(times);
    let mut filters: Vec<String> = (1..60)
        .flat_map(|times| {
            [
                nested("(", ")", times),
                nested("!(", ")", times),
                nested("[", "]", times),
                nested("{1:", "}", times),
                nested("size(", ")", times),
                nested("request.headers[", "]", times),
                nested("[1].exists(x, ", ")", times),
                nested("http ? ", " : tls", times),
                nested("http ? tls : ", "", times),
                nested("!", "", times),
                nested("-", "", times),
                nested("", ".a", times),
                nested("", ".a()", times),
                nested("", "[0]", times),
                nested("", " + 1", times),
                nested("", " < 1", times),
                nested("", " in [http", times),
                nested("", " && http", times),
                nested("", " || (http && tls)", times),
            ]
        })
        .collect();
    // Chains within brackets within chains: the deepest that the first look lets through.
    for (link, links, levels) in [
        ("+1", 39, 12),
        (".a", 39, 12),
        ("[0]", 39, 8),
        ("<1", 39, 12),
    ] {
        let deepen = |inner: String, _| format!("({inner}{})", link.repeat(links));
        filters.push((0..levels).fold("http".to_owned(), deepen));
    }
    filters.extend([
        "http &&".repeat(500) + "http",
        "(http || tls) && ".repeat(240) + "http",
        format!("path in [{}]", "'a',".repeat(500) + "'a'"),
        format!("path.matches('{}')", "(a*)*".repeat(700)),
        format!("path.matches('{}')", "(".repeat(1000)),
        format!("path.matches('{}')", "a{100}".repeat(600)),
        "path.matches('(((((((a{10}){10}){10}){10}){10}){10}){10})')".to_owned(),
        "path.matches('\\\\p{L}{500}')".to_owned(),
        format!("path == '{}'", "é".repeat(2000)),
        format!("path == '{}'", "\u{1F600}".repeat(1000)),
        "é".repeat(2000),
        "\u{1F600}".repeat(1000),
        "http \0".to_owned(),
        "path == '\0'".to_owned(),
        "\u{feff}http".to_owned(),
        "\u{202e}http".to_owned(),
        "'".repeat(4096),
        "\"".repeat(4095),
        "\\".repeat(4096),
        "`".repeat(4096),
        "`a".to_owned(),
        "r'".repeat(2000),
        "b'".repeat(2000),
        "'\\".to_owned(),
        "//".repeat(2000),
        "9".repeat(4000),
        "0x".to_owned() + &"f".repeat(4000),
        "1e".to_owned() + &"9".repeat(4000),
        "1.".repeat(1000),
        "-9223372036854775808 == 1".to_owned(),
        "a".repeat(4096),
        ".".repeat(4096),
        "?".repeat(4096),
        ": ".repeat(2000),
        ",".repeat(1000),
        "[,]".to_owned(),
        "f(".to_owned(),
        "http)".to_owned(),
        "x(1,)".to_owned(),
        "@foo".to_owned(),
        "duration('9223372036854775807s') > duration('1s')".to_owned(),
        "timestamp(9223372036854775807) > now()".to_owned(),
        "now() + duration('292y') > now()".to_owned(),
    ]);
    filters
}

#[test]
fn hostile_filters_are_refused_or_asked() {
    const STACK_BYTES: usize = 2 * 1024 * 1024;
    let work = || {
        let calls = shop();
        for filter in hostile() {
            match Filter::parse(&filter) {
                Ok(filter) => calls.iter().for_each(|call| drop(filter.matches(call))),
                Err(error) => {
                    let told = error.message.len() + error.hint.map_or(0, |hint| hint.len());
                    assert!(told < 1_000, "{filter:.80}: {}", error.message);
                }
            }
        }
    };
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
    thread.spawn(work).unwrap().join().unwrap();
}

proptest::proptest! {
    #[test]
    fn any_text_is_refused_or_asked(text in "\\PC{0,60}") {
        if let Ok(filter) = Filter::parse(&text) {
            shop().iter().for_each(|call| drop(filter.matches(call)));
        }
    }

    #[test]
    fn any_words_and_signs_are_refused_or_asked(
        words in proptest::collection::vec(proptest::sample::select(&[
            "http", "path", "status", "request.headers", "namespace", "'a'", "5", "1.5", "true", "null",
            "(", ")", "[", "]", "{", "}", ".", ",", "?", ":", "!", "-", "+", "/", "%", "==", "<", "&&",
            "||", "in", "size", "has", "exists", "x", "map_get", "now()", "duration", "timestamp",
            "matches", "contains", "é", "//", "\n",
        ][..]), 0..40),
    ) {
        if let Ok(filter) = Filter::parse(&words.join(" ")) {
            shop().iter().for_each(|call| drop(filter.matches(call)));
        }
    }
}
