//! Lines of bounded length (pure but for the reading).

use std::io::{self, BufRead};

use bytes::Bytes;

/// Longest message that is taken, in bytes. The hub takes less, and says so to the request it was.
pub(super) const LONGEST: usize = 4 * 1024 * 1024; // 4 MiB

/// A line without its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// All of it.
    Whole(Bytes),
    /// It was longer than [`LONGEST`] and is gone.
    TooLong,
}

/// The next line that is not empty; `None` at the end of the input.
pub(super) fn next(input: &mut impl BufRead) -> io::Result<Option<Line>> {
    let mut line = Vec::new();
    let mut too_long = false;
    loop {
        let buffer = match input.fill_buf() {
            Ok(buffer) => buffer,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let at_end = buffer.is_empty();
        let (piece, is_last, used) = match buffer.split(|&byte| byte == b'\n').next() {
            Some(piece) if piece.len() < buffer.len() => (piece, true, piece.len() + 1),
            _ => (buffer, at_end, buffer.len()),
        };
        if line.len() + piece.len() > LONGEST {
            too_long = true;
            line = Vec::new();
        } else if !too_long {
            line.extend_from_slice(piece);
        }
        input.consume(used);
        if !is_last {
            continue;
        }
        if too_long {
            return Ok(Some(Line::TooLong));
        }
        if !line.trim_ascii().is_empty() {
            return Ok(Some(Line::Whole(line.into())));
        }
        if at_end {
            return Ok(None);
        }
        line.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn all(input: &[u8], buffer: usize) -> Vec<Line> {
        let mut input = BufReader::with_capacity(buffer, input);
        std::iter::from_fn(|| next(&mut input).unwrap()).collect()
    }

    fn whole(text: &str) -> Line {
        Line::Whole(Bytes::from(text.to_owned()))
    }

    #[test]
    fn lines_are_the_same_however_they_arrive() {
        for buffer in 1..12 {
            let found = all(b"{\"a\":1}\r\n\n  \n{}\nlast", buffer);
            assert_eq!(found, [whole("{\"a\":1}\r"), whole("{}"), whole("last")]);
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_dropped_and_the_next_is_read() {
        let mut input = vec![b'x'; LONGEST + 1];
        input.extend_from_slice(b"\nnext\n");
        assert_eq!(all(&input, 8_192), [Line::TooLong, whole("next")]);
        let mut input = vec![b'x'; LONGEST];
        input.push(b'\n');
        assert!(matches!(all(&input, 8_192).as_slice(), [Line::Whole(_)]));
    }
}
