//! Whether a connection of HTTP/1 goes on behind a message.

/// What a message of HTTP/1.1, or of 1.0, says with the values of its Connection fields (RFC 9112 section 9.3).
pub(crate) fn persists<'a>(is_1_1: bool, connection: impl Iterator<Item = &'a [u8]>) -> bool {
    let mut keeps_alive = is_1_1;
    for option in connection.flat_map(|value| value.split(|byte| *byte == b',')) {
        let option = option.trim_ascii();
        if option.eq_ignore_ascii_case(b"close") {
            return false;
        }
        keeps_alive |= option.eq_ignore_ascii_case(b"keep-alive");
    }
    keeps_alive
}
