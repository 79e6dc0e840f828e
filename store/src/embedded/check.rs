//! Reading through, in the background, the segments that were believed at open: damage is told
//! before somebody asks for what it hit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use tokio::sync::mpsc::WeakSender;

use super::shared::Shared;
use super::writer::Job;
use crate::answer::Holds;
use crate::segment::{Location, ReadError, SegmentName, read_record};

/// For each second of reading, this many are left to others.
const REST: u32 = 3;

/// The thread that reads segments through, once.
#[derive(Debug)]
pub(super) struct Checker {
    pub(super) shared: Arc<Shared>,
    pub(super) writer: WeakSender<Job>,
    pub(super) stop: Arc<AtomicBool>,
}

impl Checker {
    /// Reads the blocks of each segment, the youngest first.
    pub(super) fn run(self, segments: Vec<SegmentName>) {
        for segment in segments.into_iter().rev() {
            let begun = Instant::now();
            for (number, place) in self.blocks_of(segment) {
                if self.stop.load(Ordering::Relaxed) {
                    return;
                }
                self.check(number, &place);
            }
            // Cut short when the store is closed.
            thread::park_timeout(begun.elapsed() * REST);
        }
    }

    fn blocks_of(&self, segment: SegmentName) -> Vec<(u64, Location)> {
        let index = self.shared.index();
        let inside = index.blocks().filter(|it| it.place.segment == segment);
        inside.map(|block| (block.number, block.place)).collect()
    }

    fn check(&self, number: u64, place: &Location) {
        let Err(ReadError::Damaged(why)) = read_record(&self.shared.segments, place) else {
            return;
        };
        if let Some(writer) = self.writer.upgrade() {
            // Nobody takes it only if the store is being closed.
            let _ = writer.blocking_send(Job::Damaged(number, why.to_owned()));
        }
    }
}
