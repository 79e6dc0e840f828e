//! One column as it is written: its least value and, per call, the distance from it in 0, 1, 2, 4
//! or 8 bytes. Whatever all calls share costs nothing, and reading is a widening copy.

use bytes::Bytes;

use super::BlockError;
use super::columns::damaged;

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ColumnRecord {
    #[prost(fixed64, tag = "1")]
    base: u64,
    #[prost(uint32, tag = "2")]
    width: u32,
    #[prost(bytes = "bytes", tag = "3")]
    values: Bytes,
}

/// A value that a column can hold: one that maps to a `u64`, order kept.
pub(super) trait Cell: Copy {
    const MAX: u64;
    fn to_u64(self) -> u64;
    /// The value for a number up to [`Self::MAX`].
    fn from_u64(number: u64) -> Self;
}

macro_rules! unsigned_cell {
    ($($type:ty)*) => {$(
        impl Cell for $type {
            const MAX: u64 = <$type>::MAX as u64;
            fn to_u64(self) -> u64 { self.into() }
            fn from_u64(number: u64) -> Self { number as $type }
        }
    )*};
}
unsigned_cell!(u8 u16 u32 u64);

impl Cell for i64 {
    const MAX: u64 = u64::MAX;
    fn to_u64(self) -> u64 {
        self.cast_unsigned() ^ (1 << 63)
    }
    fn from_u64(number: u64) -> Self {
        (number ^ (1 << 63)).cast_signed()
    }
}

impl Cell for bool {
    const MAX: u64 = 1;
    fn to_u64(self) -> u64 {
        self.into()
    }
    fn from_u64(number: u64) -> Self {
        number != 0
    }
}

/// Writes a column.
pub(super) fn pack<T: Cell>(cells: &[T]) -> ColumnRecord {
    let least = cells.iter().map(|cell| cell.to_u64()).min().unwrap_or(0);
    let most = cells.iter().map(|cell| cell.to_u64()).max().unwrap_or(0);
    let width: usize = match most - least {
        0 => 0,
        1..=0xff => 1,
        0x100..=0xffff => 2,
        0x1_0000..=0xffff_ffff => 4,
        _ => 8,
    };
    let mut values = Vec::with_capacity(width * cells.len());
    let distances = cells.iter().map(|cell| cell.to_u64() - least);
    match width {
        0 => {}
        1 => values.extend(distances.map(|distance| distance as u8)),
        2 => distances.for_each(|d| values.extend_from_slice(&(d as u16).to_le_bytes())),
        4 => distances.for_each(|d| values.extend_from_slice(&(d as u32).to_le_bytes())),
        _ => distances.for_each(|d| values.extend_from_slice(&d.to_le_bytes())),
    }
    ColumnRecord {
        base: least,
        width: width as u32,
        values: values.into(),
    }
}

/// Reads a column of `count` values; one that is missing is all zeros.
pub(super) fn unpack<T: Cell>(
    column: Option<ColumnRecord>,
    count: usize,
) -> Result<Vec<T>, BlockError> {
    let Some(column) = column else {
        return Ok(vec![T::from_u64(0); count]);
    };
    let values = &column.values;
    if values.len() as u64 != u64::from(column.width) * count as u64 {
        return Err(damaged(format!(
            "a column of {count} values of {} bytes has {} bytes",
            column.width,
            values.len()
        )));
    }
    match column.width {
        0 => widen(column.base, std::iter::repeat_n(0, count)),
        1 => widen(column.base, values.iter().map(|&value| value.into())),
        2 => widen(
            column.base,
            chunks(values).map(|v| u16::from_le_bytes(v).into()),
        ),
        4 => widen(
            column.base,
            chunks(values).map(|v| u32::from_le_bytes(v).into()),
        ),
        8 => widen(column.base, chunks(values).map(u64::from_le_bytes)),
        width => Err(damaged(format!("a column {width} bytes wide"))),
    }
}

fn chunks<const N: usize>(values: &[u8]) -> impl ExactSizeIterator<Item = [u8; N]> + Clone {
    values.as_chunks().0.iter().copied()
}

/// Adds the base to every distance, having checked that all fit: two simple loops, which the
/// compiler makes wide, rather than one with a way out.
fn widen<T: Cell>(
    base: u64,
    distances: impl ExactSizeIterator<Item = u64> + Clone,
) -> Result<Vec<T>, BlockError> {
    let most = distances.clone().max().unwrap_or(0);
    if base.checked_add(most).is_none_or(|most| most > T::MAX) {
        return Err(damaged("a value is too large for its column".to_owned()));
    }
    Ok(distances
        .map(|distance| T::from_u64(base + distance))
        .collect())
}
