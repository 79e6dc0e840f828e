//! What is ours to say, on standard error.

use std::fmt;
use std::io::{self, Write};

/// Says a line, as `println!` would print it. Whoever has closed standard error does not want it, and the
/// program goes on.
macro_rules! say {
    ($($words:tt)*) => {
        $crate::run::say::line(format_args!($($words)*))
    };
}
pub(super) use say;

pub(super) fn line(words: fmt::Arguments<'_>) {
    // In one piece, since the program writes there too.
    let line = format!("remora: {words}\n");
    let _ = io::stderr().write_all(line.as_bytes());
}
