//! What the stand-in understands of SQL: read once, and asked with values.

use super::Order;

/// A statement that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Query {
    Select {
        columns: Vec<Column>,
        condition: Option<(Column, Operand)>,
    },
    /// `SELECT 1`, by which pools ask whether a connection still works.
    One,
    /// `BEGIN`, `COMMIT` and `ROLLBACK`, by the tag that answers each.
    Transaction(&'static str),
    /// `DEALLOCATE ALL`: forgets what was prepared.
    Deallocate,
    /// Nothing but white space.
    Empty,
}

/// A column of the one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    Id,
    Customer,
    Total,
}

/// What a column is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operand {
    Number(i32),
    /// `$1`
    Parameter,
}

const COLUMNS: [(&str, Column); 3] = [
    ("id", Column::Id),
    ("customer", Column::Customer),
    ("total", Column::Total),
];

impl Column {
    fn named(name: &str) -> Result<Self, String> {
        let known = COLUMNS.iter().find(|(known, _)| *known == name);
        let known = known.map(|(_, column)| *column);
        known.ok_or_else(|| format!("orders has no column {name:?}, only id, customer and total"))
    }

    fn of(self, order: &Order) -> i32 {
        match self {
            Self::Id => order.id,
            Self::Customer => order.customer,
            Self::Total => order.total,
        }
    }
}

impl Query {
    /// Reads a statement.
    ///
    /// # Errors
    ///
    /// What is not understood, as the server is to say it.
    pub(super) fn read(statement: &str) -> Result<Self, String> {
        let spaced = statement
            .to_ascii_lowercase()
            .replace('=', " = ")
            .replace(',', " , ");
        let words: Vec<&str> = spaced.split_ascii_whitespace().collect();
        match words.as_slice() {
            [] => Ok(Self::Empty),
            ["begin", ..] => Ok(Self::Transaction("BEGIN")),
            ["commit"] => Ok(Self::Transaction("COMMIT")),
            ["rollback"] => Ok(Self::Transaction("ROLLBACK")),
            ["deallocate", "all"] => Ok(Self::Deallocate),
            ["select", "1"] => Ok(Self::One),
            ["select", columns @ .., "from", "orders"] => Ok(Self::Select {
                columns: listed(columns)?,
                condition: None,
            }),
            [
                "select",
                columns @ ..,
                "from",
                "orders",
                "where",
                column,
                "=",
                operand,
            ] => Ok(Self::Select {
                columns: listed(columns)?,
                condition: Some((Column::named(column)?, operand_of(operand)?)),
            }),
            _ => Err(
                "this database knows SELECT column, ... FROM orders WHERE column = value"
                    .to_owned(),
            ),
        }
    }

    /// Names of the columns of its rows; `None` where it has no rows.
    pub(super) fn columns(&self) -> Option<Vec<&'static str>> {
        match self {
            Self::Select { columns, .. } => {
                let name = |column: &Column| COLUMNS.iter().find(|(_, it)| it == column);
                Some(
                    columns
                        .iter()
                        .filter_map(name)
                        .map(|(name, _)| *name)
                        .collect(),
                )
            }
            Self::One => Some(vec!["?column?"]),
            Self::Transaction(_) | Self::Deallocate | Self::Empty => None,
        }
    }

    /// Whether it asks for a value.
    pub(super) fn has_parameter(&self) -> bool {
        matches!(
            self,
            Self::Select {
                condition: Some((_, Operand::Parameter)),
                ..
            }
        )
    }

    /// Its rows, with this value of its parameter.
    pub(super) fn rows(&self, orders: &[Order], parameter: Option<i32>) -> Vec<Vec<i32>> {
        let (columns, condition) = match self {
            Self::Select { columns, condition } => (columns, condition),
            Self::One => return vec![vec![1]],
            Self::Transaction(_) | Self::Deallocate | Self::Empty => return Vec::new(),
        };
        let fits = |order: &&Order| match condition {
            None => true,
            Some((column, Operand::Number(number))) => column.of(order) == *number,
            Some((column, Operand::Parameter)) => Some(column.of(order)) == parameter,
        };
        let found = orders.iter().filter(fits);
        found
            .map(|order| columns.iter().map(|column| column.of(order)).collect())
            .collect()
    }

    /// What says that it is done.
    pub(super) fn tag(&self, rows: usize) -> String {
        match self {
            Self::Transaction(tag) => (*tag).to_owned(),
            Self::Deallocate => "DEALLOCATE ALL".to_owned(),
            _ => format!("SELECT {rows}"),
        }
    }
}

/// Columns between commas.
fn listed(words: &[&str]) -> Result<Vec<Column>, String> {
    let listed = words.split(|word| *word == ",");
    listed
        .map(|column| match column {
            [name] => Column::named(name),
            _ => Err("columns are named one by one, with commas between".to_owned()),
        })
        .collect()
}

fn operand_of(word: &str) -> Result<Operand, String> {
    match word {
        "$1" => Ok(Operand::Parameter),
        number => {
            let number = number.trim_matches('\'').parse();
            number
                .map(Operand::Number)
                .map_err(|_| format!("{word:?} is no whole number"))
        }
    }
}
