//! From calls to a block.

use bytes::Bytes;

use super::columns::ColumnsBuilder;
use super::directory::DirectoryRecord;
use super::part::Kind;
use super::record::{BodyRecord, HeadRecord, OpenRecord};
use super::writer::PartWriter;
use super::{BlockMeta, BlockSummary, Codec, MAX_OPEN_CALLS, MAX_SEALED_CALLS};
use crate::call::Call;

/// Calls whose heads are packed together.
pub(super) const HEADS_PER_FRAME: usize = 64;
/// Calls whose bodies are packed together: the fewer, the cheaper it is to read one.
pub(super) const BODIES_PER_FRAME: usize = 16;
/// A frame that has grown to this many bytes takes no more calls.
pub(super) const FRAME_BYTES: usize = 256 * 1024;
/// Once open calls have grown to this many bytes, no more are listed.
const OPEN_BYTES: usize = 2 * 1024 * 1024;

/// Seals calls into a block.
///
/// `calls` have ended; `open` are all that still run, where the caller lists them: whoever reads a
/// block with a list forgets the lists of the blocks before it. Heads beyond 256 KiB and bodies
/// beyond 4 MiB are cut, and say so; how much there is in all is for the caller to bound, well below
/// the 256 MiB that a reader unpacks.
///
/// # Panics
///
/// If there are more than [`MAX_SEALED_CALLS`] calls.
pub fn seal(meta: &BlockMeta, calls: &[Call], open: Option<&[Call]>, codec: Codec) -> Bytes {
    assert!(
        calls.len() <= MAX_SEALED_CALLS,
        "{} calls are too many for one block",
        calls.len()
    );
    let mut columns = ColumnsBuilder::default();
    let mut capacity = 4 * 1024;
    for call in calls {
        columns.push(call);
        capacity += 256 + call.request.head.len() + call.request.body.len();
        capacity += call.response.head.len() + call.response.body.len();
    }
    let mut writer = PartWriter::new(codec, capacity);
    writer.part(Kind::Columns, 0, |raw| {
        columns.write(raw);
        calls.len() as u32
    });
    write_heads(&mut writer, calls);
    write_bodies(&mut writer, calls);
    if let Some(open) = open {
        writer.part(Kind::Open, 0, |raw| {
            let open = open.iter().take(MAX_OPEN_CALLS);
            append(open, OPEN_BYTES, raw, OpenRecord::of)
        });
    }
    let open = open.map(|open| open.len() as u32);
    writer.finish(DirectoryRecord {
        meta: Some(meta.into()),
        summary: Some((&BlockSummary::of(&columns, open)).into()),
        ..DirectoryRecord::default()
    })
}

fn write_heads(writer: &mut PartWriter, calls: &[Call]) {
    let mut rest = calls.iter();
    while !rest.as_slice().is_empty() {
        let first = (calls.len() - rest.len()) as u32;
        writer.part(Kind::Heads, first, |raw| {
            append(
                rest.by_ref().take(HEADS_PER_FRAME),
                FRAME_BYTES,
                raw,
                HeadRecord::of,
            )
        });
    }
}

/// Frames without any body are left out.
fn write_bodies(writer: &mut PartWriter, calls: &[Call]) {
    let mut rest = calls;
    while !rest.is_empty() {
        let first = (calls.len() - rest.len()) as u32;
        let frame = rest.get(..BODIES_PER_FRAME).unwrap_or(rest);
        let mut taken = frame.len();
        if frame.iter().any(has_body) {
            writer.part(Kind::Bodies, first, |raw| {
                let calls = append(frame.iter(), FRAME_BYTES, raw, BodyRecord::of);
                taken = calls as usize;
                calls
            });
        }
        rest = rest.get(taken..).unwrap_or_default();
    }
}

fn has_body(call: &Call) -> bool {
    let messages = call
        .stream
        .as_ref()
        .is_some_and(|stream| !stream.messages.is_empty());
    messages || !call.request.body.is_empty() || !call.response.body.is_empty()
}

/// Appends records with their lengths until there are `enough` bytes, and says how many it took.
fn append<'a, M: prost::Message>(
    calls: impl Iterator<Item = &'a Call>,
    enough: usize,
    raw: &mut Vec<u8>,
    record: impl Fn(&Call) -> M,
) -> u32 {
    let start = raw.len();
    let mut taken = 0;
    for call in calls {
        let record = record(call);
        prost::encode_length_delimiter(record.encoded_len(), raw)
            .expect("a vector takes as much as there is");
        record.encode_raw(raw);
        taken += 1;
        if raw.len() - start >= enough {
            break;
        }
    }
    taken
}
