//! What waits, what leaves, and what is counted, without a hub.

use remora_store::block::{self, BlockMeta, Codec, Origin};

use super::*;

const OWN: u128 = 7;

fn sealed(incarnation: u128, sequence: u64, drops: Vec<Drop>) -> Sealed {
    let meta = BlockMeta {
        origin: Origin {
            incarnation,
            ..Origin::default()
        },
        sequence,
        drops: drops.clone(),
        ..BlockMeta::default()
    };
    Sealed {
        sequence,
        calls: 2,
        drops,
        bytes: block::seal(&meta, &[], None, Codec::Raw),
    }
}

fn own(sequence: u64) -> Sealed {
    sealed(OWN, sequence, Vec::new())
}

/// A queue with room for `blocks` blocks in memory.
fn queue(blocks: usize, spool: Option<Spool>) -> Queue {
    let limit = own(1).bytes.len() * blocks;
    Queue::new(
        OWN,
        limit,
        spool,
        Budget::new(1 << 20),
        ShipMetrics::default(),
    )
}

fn dropped(queue: &Queue, reason: Reason) -> u64 {
    queue.metrics.calls_dropped(reason.word())
}

#[test]
fn what_is_under_way_is_not_dropped_for_what_comes() {
    let mut queue = queue(3, None);
    (1..=3).for_each(|sequence| queue.push(own(sequence)));
    let shipment = queue.shipment(own(1).bytes.len() * 2, usize::MAX).unwrap();
    let under_way = shipment.blocks.len() as u64;
    (4..=9).for_each(|sequence| queue.push(own(sequence)));
    queue.acknowledge(&shipment);
    assert_eq!(queue.metrics.blocks_shipped.get(), under_way);
    let left = queue.shipment(usize::MAX, usize::MAX).unwrap();
    assert_eq!(
        dropped(&queue, Reason::Queue),
        2 * (9 - under_way - left.blocks.len() as u64)
    );
    queue.acknowledge(&left);
    assert_eq!(queue.settled(), 9);
    assert_eq!(queue.budget.used_bytes(), 0);
}

#[test]
fn drops_that_a_lost_block_was_to_tell_are_told_by_the_next() {
    let mut queue = queue(1, None);
    let told = Drop {
        reason: "budget".to_owned(),
        calls: 5,
        since_ns: 1,
        until_ns: 2,
    };
    queue.push(sealed(OWN, 1, vec![told.clone()]));
    queue.push(own(2));
    let drops = queue.take_drops();
    assert!(drops.contains(&told));
    assert!(
        drops
            .iter()
            .any(|drop| drop.reason == "queue" && drop.calls == 2)
    );
}

#[test]
fn a_flush_waits_for_everything_before_it() {
    let mut queue = queue(9, None);
    assert_eq!(queue.settled(), 0);
    (1..=2).for_each(|sequence| queue.push(own(sequence)));
    assert_eq!(queue.settled(), 0);
    let shipment = queue.shipment(usize::MAX, 1).unwrap();
    queue.acknowledge(&shipment);
    assert_eq!((queue.settled(), queue.last_sealed()), (1, 2));
    let shipment = queue.shipment(usize::MAX, 1).unwrap();
    queue.reject(&shipment, 0);
    assert_eq!(queue.settled(), 2);
    assert_eq!(dropped(&queue, Reason::Rejected), 2);
    assert!(queue.only_drops_are_left());
}

#[test]
fn the_blocks_of_an_earlier_run_go_alone_and_first() {
    let dir = tempfile::tempdir().unwrap();
    let (mut spool, _) = Spool::open(dir.path(), 1 << 20).unwrap();
    for sequence in 1..=2 {
        spool.append(sequence, &sealed(99, sequence, Vec::new()).bytes);
    }
    let mut queue = queue(1, Some(spool));
    (1..=3).for_each(|sequence| queue.push(own(sequence)));
    let mut order = Vec::new();
    while let Some(shipment) = queue.shipment(usize::MAX, usize::MAX) {
        order.push((shipment.incarnation, shipment.blocks.len()));
        queue.acknowledge(&shipment);
        // The earlier run's numbers settle nothing of this one.
        assert_eq!(queue.settled() == 3, order.len() == 3);
    }
    assert_eq!(order, [(99, 2), (OWN, 2), (OWN, 1)]);
    assert!(queue.is_empty());
}

#[test]
fn retiring_moves_everything_to_the_spool() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, _) = Spool::open(dir.path(), 1 << 20).unwrap();
    let mut queue = queue(9, Some(spool));
    (1..=4).for_each(|sequence| queue.push(own(sequence)));
    let _under_way = queue.shipment(usize::MAX, 2).unwrap();
    let finished = queue.retire();
    assert_eq!((finished.spooled_blocks, finished.lost_calls), (4, 0));
    assert_eq!(queue.budget.used_bytes(), 0);
}

#[test]
fn a_lost_block_settles_even_while_those_of_an_earlier_run_are_under_way() {
    let dir = tempfile::tempdir().unwrap();
    let earlier = sealed(99, 1, Vec::new()).bytes;
    let (mut spool, _) = Spool::open(dir.path(), 1 << 20).unwrap();
    spool.append(1, &earlier);
    let room = 2 * spool.bytes();
    drop(spool);
    let (spool, _) = Spool::open(dir.path(), room).unwrap();
    let mut queue = queue(1, Some(spool));
    let under_way = queue.shipment(usize::MAX, usize::MAX).unwrap();
    (1..=4).for_each(|sequence| queue.push(own(sequence)));
    queue.acknowledge(&under_way);
    while let Some(shipment) = queue.shipment(usize::MAX, usize::MAX) {
        queue.acknowledge(&shipment);
    }
    assert_eq!(queue.settled(), 4);
}
