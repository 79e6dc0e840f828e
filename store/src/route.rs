//! From a path to its route: the path with its variable segments written `{id}`.
//!
//! A pure function of one path. Refining routes by the traffic that was seen is left to those who
//! see more than one call.

mod words;

/// Longest route in bytes; what lies beyond is written [`CUT`].
pub const MAX_ROUTE_BYTES: usize = 512;

/// Last segment of a route whose path was too long.
pub const CUT: &str = "…";

/// A segment of this many hexadecimal digits or more is an identifier, even without `0` to `9`.
const LONG_HEX_DIGITS: usize = 8;

const PLACEHOLDER: &str = "{id}";

/// The route of a path: every segment that holds a digit, is a UUID or is long hex becomes `{id}`.
///
/// Names with a digit stay: versions such as `v1` and `v2beta1`, packages such as `shop.v1.Orders`, and
/// words such as `Oauth2Service`, `base64` and `k8s`. The query is no part of a path. Digits that only
/// spell an escape (`%20`) do not count; escaped digits do.
pub fn route(path: &str) -> String {
    let mut route = String::with_capacity(path.len().min(MAX_ROUTE_BYTES));
    write_route(path, &mut route);
    route
}

/// Appends the route of a path to `route`, which is empty; for callers that keep the buffer.
pub(crate) fn write_route(path: &str, route: &mut String) {
    // Enough room is kept that the mark of a cut always fits.
    let room = MAX_ROUTE_BYTES - CUT.len() - 1;
    for (index, segment) in path.split('/').enumerate() {
        let segment = if is_variable(segment) {
            PLACEHOLDER
        } else {
            segment
        };
        let separator = usize::from(index > 0);
        let is_mark = segment == CUT && separator + segment.len() + route.len() <= MAX_ROUTE_BYTES;
        if route.len() + separator + segment.len() > room && !is_mark {
            if index > 0 {
                route.push('/');
            }
            route.push_str(CUT);
            return;
        }
        if index > 0 {
            route.push('/');
        }
        route.push_str(segment);
    }
}

/// The route of a key: the same, with `:`, `.` and `/` between its segments.
pub fn key_route(key: &str) -> String {
    let mut route = String::with_capacity(key.len().min(MAX_ROUTE_BYTES));
    let room = MAX_ROUTE_BYTES - CUT.len();
    for part in key.split_inclusive([':', '.', '/']) {
        let separator = part.trim_start_matches(|c| !matches!(c, ':' | '.' | '/'));
        let segment = part.strip_suffix(separator).unwrap_or(part);
        let shown = match is_variable(segment) {
            true => PLACEHOLDER,
            false => segment,
        };
        if route.len() + shown.len() + separator.len() > room && part != CUT {
            route.push_str(CUT);
            break;
        }
        route.push_str(shown);
        route.push_str(separator);
    }
    route
}

fn is_variable(segment: &str) -> bool {
    let is_id = holds_digit(segment.as_bytes()) && !words::is_name(segment);
    is_id || is_uuid(segment) || is_long_hex(segment)
}

fn holds_digit(mut segment: &[u8]) -> bool {
    loop {
        segment = match segment {
            [] => return false,
            // %30 to %39 are the digits themselves.
            [b'%', b'3', b'0'..=b'9', ..] => return true,
            [b'%', high, low, rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                rest
            }
            [b'0'..=b'9', ..] => return true,
            [_, rest @ ..] => rest,
        };
    }
}

/// A UUID in its usual form, 8-4-4-4-12; one without any digit is rare, but is one.
fn is_uuid(segment: &str) -> bool {
    let mut groups = segment.split('-');
    [8, 4, 4, 4, 12].iter().all(|&length| {
        groups
            .next()
            .is_some_and(|group| group.len() == length && is_hex(group))
    }) && groups.next().is_none()
}

fn is_long_hex(segment: &str) -> bool {
    segment.len() >= LONG_HEX_DIGITS && is_hex(segment)
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use test_case::test_case;

    use super::*;

    #[test_case("", ""; "no path has no route")]
    #[test_case("/", "/"; "the root")]
    #[test_case("*", "*"; "the asterisk of OPTIONS")]
    #[test_case("/api/orders", "/api/orders"; "words stay")]
    #[test_case("/api/orders/17", "/api/orders/{id}"; "a number")]
    #[test_case("/api/orders/17/", "/api/orders/{id}/"; "the last slash stays")]
    #[test_case("/a//b", "/a//b"; "empty segments stay")]
    #[test_case("/users/ada2/items/3", "/users/{id}/items/{id}"; "every segment is judged")]
    #[test_case("/v1/orders/7", "/v1/orders/{id}"; "a version stays")]
    #[test_case("/apis/apps/v1beta2/x", "/apis/apps/v1beta2/x"; "a version of Kubernetes stays")]
    #[test_case("/shop.v1.Orders/Get", "/shop.v1.Orders/Get"; "the version of a package stays")]
    #[test_case("/auth.Oauth2Service/GetS3Object", "/auth.Oauth2Service/GetS3Object"; "names with a digit stay")]
    #[test_case("/10.0.0.1/v1.2", "/{id}/{id}"; "numbers between dots are none")]
    #[test_case("/v", "/v"; "v alone is a word")]
    #[test_case("/v1x", "/{id}"; "only whole versions stay")]
    #[test_case("/v1gamma1", "/{id}"; "gamma is no stage")]
    #[test_case("/f/deadbeef", "/f/{id}"; "long hex without digits")]
    #[test_case("/f/facade", "/f/facade"; "a short word of hex letters stays")]
    #[test_case("/u/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", "/u/{id}"; "a UUID without digits")]
    #[test_case("/u/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee-x", "/u/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee-x"; "more than a UUID")]
    #[test_case("/hello%20world", "/hello%20world"; "an escape is not a digit")]
    #[test_case("/a%31", "/{id}"; "an escaped digit is one")]
    #[test_case("/a%2", "/{id}"; "half an escape is text")]
    #[test_case("/straße/größe", "/straße/größe"; "words beyond ASCII stay")]
    fn a_path_has_a_route(path: &str, expected: &str) {
        assert_eq!(route(path), expected);
    }

    #[test_case("", ""; "no key")]
    #[test_case("orders", "orders"; "a word")]
    #[test_case("order:17", "order:{id}"; "a number")]
    #[test_case("cart:{42}:items", "cart:{id}:items"; "a hash tag")]
    #[test_case("v1:user/7.name:", "v1:user/{id}.name:"; "every separator")]
    #[test_case("::", "::"; "empty segments stay")]
    #[test_case("s:deadbeef", "s:{id}"; "long hex")]
    fn a_key_has_a_route(key: &str, expected: &str) {
        assert_eq!(key_route(key), expected);
    }

    #[test]
    fn a_long_path_is_cut_at_a_segment() {
        let path = "/word".repeat(200);
        let cut = route(&path);
        assert!(cut.len() <= MAX_ROUTE_BYTES);
        assert!(cut.ends_with("/word/…"), "{cut}");
    }

    proptest! {
        #[test]
        fn the_route_of_a_route_is_itself(path in "(/([a-z0-9%{}.…-]{0,40}|[a-z]{100,200}|.{0,20})){0,40}") {
            let once = route(&path);
            prop_assert!(once.len() <= MAX_ROUTE_BYTES);
            prop_assert_eq!(route(&once), once);
        }

        #[test]
        fn the_route_of_the_route_of_a_key_is_itself(key in "([:./]?([a-z0-9{}…]{0,40}|[a-z]{100,200}|.{0,20})){0,40}") {
            let once = key_route(&key);
            prop_assert!(once.len() <= MAX_ROUTE_BYTES);
            prop_assert_eq!(key_route(&once), once);
        }
    }
}
