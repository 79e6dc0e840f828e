//! Rows of tab-separated text: the cheapest form in which a model reads many calls (pure).

/// Rows of text, up to a number of bytes.
#[derive(Debug)]
pub struct Table {
    text: String,
    limit_bytes: usize,
    rows: usize,
}

impl Table {
    /// A table with its heading.
    pub fn new(columns: &[&str], limit_bytes: usize) -> Self {
        Self {
            text: format!("{}\n", columns.join("\t")),
            limit_bytes,
            rows: 0,
        }
    }

    /// Adds a row if there is room for it. A first row always has room.
    pub fn try_row(&mut self, cells: &[String]) -> bool {
        let size: usize = cells.iter().map(|cell| cell.len() + 1).sum();
        if self.rows > 0 && self.text.len() + size > self.limit_bytes {
            return false;
        }
        self.text.push_str(&cells.join("\t"));
        self.text.push('\n');
        self.rows += 1;
        true
    }

    /// How many rows it has.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Its text.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// A number of milliseconds, short: `0.42`, `12.3`, `1520`.
pub fn ms(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(value) if value >= 100.0 => format!("{value:.0}"),
        Some(value) if value >= 1.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_end_where_there_is_no_room() {
        let mut table = Table::new(&["a"], 12);
        let row = ["12345".to_owned()];
        assert!(table.try_row(&row));
        assert!(!table.try_row(&row));
        assert_eq!((table.text(), table.rows()), ("a\n12345\n", 1));
    }

    #[test]
    fn milliseconds_are_as_long_as_they_need_be() {
        let shown = [None, Some(0.4249), Some(12.34), Some(1520.4)].map(ms);
        assert_eq!(shown, ["-", "0.42", "12.3", "1520"]);
    }
}
