//! Property: whatever happened, nothing is joined wrongly.

use super::*;

/// Connections as they happen: ports that are used again, addresses that are translated, clocks apart,
/// legs and digests that were lost. Each call sends bytes of its own, or the same poll as the others.
fn any_traffic() -> impl Strategy<Value = Vec<FoundCall>> {
    let clocks = prop::collection::vec(-5 * SECOND..5 * SECOND, 3);
    let wires = prop::collection::vec(
        (
            0..3_usize,
            0..6_u16,
            any::<bool>(),
            1..4_u32,
            any::<[u8; 4]>(),
            0..100_i64,
        ),
        1..24,
    );
    (clocks, wires).prop_map(|(clocks, wires)| {
        let mut calls = Vec::new();
        for (number, (callee, port, plain, legs, fate, pause)) in wires.into_iter().enumerate() {
            let mut wire = Wire::new(number as u64 + 1, number as i64 * 70 * SECOND + pause);
            wire.callee = 2 + callee as u128;
            wire.port = 40_000 + port;
            wire.ahead_ns = clocks[callee];
            if !plain {
                wire.translated = Some(SocketAddr::from(([10, 9, 9, 9], 20_000 + number as u16)));
            }
            for ordinal in 0..legs {
                let luck = fate[ordinal as usize];
                let sent = if luck % 3 == 0 {
                    255
                } else {
                    number as u8 * 4 + ordinal as u8
                };
                let mut pair = wire.call(ordinal, u64::from(ordinal) * 3 * MS, sent);
                if luck % 7 == 0 {
                    pair[usize::from(luck % 2)].call.join_digest = None;
                }
                match luck % 11 {
                    0 => calls.push(pair[0].clone()),
                    1 => calls.push(pair[1].clone()),
                    _ => calls.extend(pair),
                }
            }
        }
        calls
    })
}

proptest! {
    #[test]
    fn nothing_is_joined_wrongly_and_the_order_of_legs_does_not_matter(
        (calls, shuffled) in any_traffic().prop_flat_map(|calls| (Just(calls.clone()), Just(calls).prop_shuffle())),
    ) {
        prop_assert!(joined_rightly(&calls).1, "{:?}", bonds(&calls));
        prop_assert_eq!(bonds(&calls), bonds(&shuffled));
        let told = |calls: &[FoundCall]| {
            let joined = Joined::of(calls);
            let mut told: Vec<_> = joined
                .exchanges()
                .iter()
                .map(|one| {
                    let id = |leg: Option<usize>| leg.map(|leg| calls[leg].id);
                    let others: Vec<_> =
                        one.alternatives.iter().map(|other| (id(Some(other.leg)), other.confidence)).collect();
                    (id(one.outbound), id(one.inbound), others)
                })
                .collect();
            told.sort();
            told
        };
        prop_assert_eq!(told(&calls), told(&shuffled));
    }

    #[test]
    fn traffic_of_others_does_not_change_what_is_joined(calls in any_traffic(), others in any_traffic()) {
        let mut both = calls.clone();
        for mut other in others {
            // Other recorders, other addresses, other bytes.
            let origin = Origin { incarnation: other.origin.incarnation + 100, ..Origin::default() };
            other.origin = Arc::new(origin);
            other.id.block ^= 1 << 60;
            for address in [&mut other.call.src, &mut other.call.dst] {
                address.set_ip([10, 7, 7, 7].into());
            }
            if let Some(from) = &mut other.call.connection.forwarded_from {
                from.set_ip([10, 7, 7, 7].into());
            }
            other.call.join_digest = other.call.join_digest.map(|digest| Digest(digest.0.map(|byte| byte ^ 0xff)));
            other.redaction_key = "k-others".into();
            both.push(other);
        }
        let alone = bonds(&calls);
        let mut among = bonds(&both);
        among.retain(|(one, ..)| alone.iter().any(|(known, ..)| known == one) || one.block >> 60 & 1 == 0);
        prop_assert_eq!(alone, among);
    }
}
