//! What two legs have to have in common.

use test_case::test_case;

use super::*;

#[test]
fn legs_of_one_address_and_place_with_the_same_bytes_are_one_call() {
    let wire = Wire::new(1, SECOND);
    let calls: Vec<FoundCall> = (0..3).flat_map(|n| wire.call(n, 0, n as u8)).collect();
    let bonds = bonds(&calls);
    assert_eq!(bonds.len(), 3);
    for (one, other, how, confidence) in bonds {
        assert_eq!(one.block, other.block);
        assert_eq!((how, confidence.as_str()), (How::AddressAndDigest, "1"));
    }
}

#[test]
fn other_bytes_in_the_same_place_are_another_call() {
    let wire = Wire::new(1, SECOND);
    let [outbound, _] = wire.call(0, 0, 1);
    let [_, inbound] = wire.call(0, 0, 2);
    let joined = Joined::of(&[outbound, inbound]);
    assert_eq!(joined.exchanges().len(), 2);
    assert!(
        joined
            .exchanges()
            .iter()
            .all(|one| one.bond.is_none() && one.alternatives.is_empty())
    );
}

#[test_case(["k-1", "k-1"], Some("1"); "one key")]
#[test_case(["k-1", "k-2"], Some("0.95"); "two keys")]
#[test_case(["local-1", "local-1"], Some("0.95"); "local keys of the same name")]
#[test_case(["", ""], Some("0.95"); "keys that are not known")]
fn digests_count_only_under_one_shared_key(keys: [&'static str; 2], expected: Option<&str>) {
    let wire = Wire {
        keys,
        ..Wire::new(1, SECOND)
    };
    let bonds = bonds(&wire.call(0, 0, 1));
    assert_eq!(
        bonds.first().map(|(.., confidence)| confidence.as_str()),
        expected
    );
    // Digests that cannot be compared part nobody either.
    let [outbound, _] = wire.call(0, 0, 1);
    let [_, inbound] = wire.call(0, 0, 2);
    let parted = Joined::of(&[outbound, inbound]).exchanges().len() == 2;
    assert_eq!(parted, expected == Some("1"));
}

#[test]
fn a_call_without_a_digest_is_joined_by_its_address_and_says_so() {
    let wire = Wire::new(1, SECOND);
    let mut calls: Vec<FoundCall> = (0..2).flat_map(|n| wire.call(n, 0, n as u8)).collect();
    calls[3].call.join_digest = None;
    let found: Vec<_> = bonds(&calls)
        .into_iter()
        .map(|(.., how, sure)| (how, sure))
        .collect();
    let expected = [
        (How::AddressAndDigest, "1".to_owned()),
        (How::Address, "0.99".to_owned()),
    ];
    assert_eq!(found, expected);
    for call in &mut calls {
        call.call.join_digest = None;
    }
    assert!(
        bonds(&calls)
            .iter()
            .all(|(.., how, sure)| (*how, sure.as_str()) == (How::Address, "0.95"))
    );
}

#[test]
fn an_engine_that_acts_may_change_bytes() {
    let wire = Wire::new(1, SECOND);
    let [mut outbound, _] = wire.call(0, 0, 1);
    let [_, inbound] = wire.call(0, 0, 2);
    outbound.call.engine = Engine::Terminate;
    let bonds = bonds(&[outbound, inbound]);
    assert_eq!(bonds.first().map(|(.., how, _)| *how), Some(How::Address));
}

#[test]
fn what_was_answered_otherwise_is_not_joined_where_nothing_else_tells() {
    let wire = Wire::new(1, SECOND);
    let change: [fn(&mut Call); 4] = [
        |call| call.response.head = "HTTP/1.1 500 \r\n\r\n".into(),
        |call| call.phases.response_last = call.phases.response_last.map(|at| at + 20 * MS),
        |call| call.request.body_size = 7,
        |call| call.protocol = Protocol::Opaque,
    ];
    for change in change {
        let mut legs = wire.call(0, 0, 1);
        legs[0].call.join_digest = None;
        change(&mut legs[1].call);
        assert_eq!(bonds(&legs).len(), 0);
    }
}

#[test_case(None; "of one address")]
#[test_case(Some(SocketAddr::from(([10, 9, 9, 9], 1))); "of a translated one")]
fn tls_that_was_passed_through_is_joined_by_its_hello(translated: Option<SocketAddr>) {
    let wire = Wire {
        translated,
        ..Wire::new(1, SECOND)
    };
    let mut calls = wire.call(0, 0, 0);
    for (number, found) in calls.iter_mut().enumerate() {
        found.call.protocol = Protocol::Tls;
        found.call.join_digest = None;
        found.call.request = Message::default();
        found.call.response = Message::default();
        found.redaction_key = format!("local-{number}").into();
        found.call.detail = Detail::Tls(TlsHello {
            random: [9; 32],
            ..TlsHello::default()
        });
    }
    assert_eq!(bonds(&calls)[0].2, How::Handshake);
    let Detail::Tls(hello) = &mut calls[1].call.detail else {
        unreachable!("it was set above");
    };
    hello.random = [8; 32];
    assert_eq!(bonds(&calls).len(), 0);
}
