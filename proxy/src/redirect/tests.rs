use super::*;

fn text(options: &RedirectOptions) -> String {
    RuleSet::new(options).unwrap().to_string()
}

#[test]
fn the_rules_read_as_an_nft_script() {
    let options = RedirectOptions {
        proxy_uid: 2102,
        skip_inbound_ports: vec!["22,8000-8099".to_owned()],
        skip_outbound_ports: vec!["3306".to_owned()],
        skip_outbound_cidrs: vec!["10.0.0.0/8, fd00::/8".to_owned(), "1.2.3.4".to_owned()],
        ..RedirectOptions::default()
    };
    let expected = "\
add table inet remora
delete table inet remora
table inet remora {
\tchain prerouting {
\t\ttype nat hook prerouting priority -100; policy accept;
\t\tiifname \"lo\" counter return
\t\ttcp dport 15106 counter return
\t\ttcp dport 15101 counter return
\t\ttcp dport 15120 counter return
\t\ttcp dport 22 counter return
\t\ttcp dport 8000-8099 counter return
\t\tmeta l4proto tcp counter redirect to :15106
\t}
\tchain output {
\t\ttype nat hook output priority -100; policy accept;
\t\tmeta skuid 2102 counter return
\t\toifname \"lo\" counter return
\t\ttcp dport 3306 counter return
\t\tip daddr 10.0.0.0/8 counter return
\t\tip6 daddr fd00::/8 counter return
\t\tip daddr 1.2.3.4 counter return
\t\tmeta l4proto tcp counter redirect to :15101
\t}
}
";
    assert_eq!(text(&options), expected);
}

#[test_case::test_case("0", "from 1 to 65535")]
#[test_case::test_case("65536", "from 1 to 65535")]
#[test_case::test_case("90-80", "a range such as")]
#[test_case::test_case("http", "is not a port")]
fn a_wrong_port_is_explained(port: &str, expected: &str) {
    let options = RedirectOptions {
        skip_inbound_ports: vec![port.to_owned()],
        ..RedirectOptions::default()
    };
    let message = RuleSet::new(&options).unwrap_err().to_string();
    assert!(message.contains(expected), "{message}");
}

#[test_case::test_case("10.0.0.1/8", "did you mean 10.0.0.0/8?")]
#[test_case::test_case("fd00::1/64", "did you mean fd00::/64?")]
#[test_case::test_case("10.0.0.0/33", "longer than the 32 bits")]
#[test_case::test_case("ten/8", "is not a network")]
#[test_case::test_case("10.0.0.0/", "is not a network")]
fn a_wrong_network_is_explained(network: &str, expected: &str) {
    let options = RedirectOptions {
        skip_outbound_cidrs: vec![network.to_owned()],
        ..RedirectOptions::default()
    };
    let message = RuleSet::new(&options).unwrap_err().to_string();
    assert!(message.contains(expected), "{message}");
}

#[test]
fn every_problem_is_reported_at_once() {
    let options = RedirectOptions {
        proxy_uid: 0,
        skip_inbound_ports: vec!["x,y".to_owned()],
        skip_outbound_cidrs: vec!["z".to_owned()],
        ..RedirectOptions::default()
    };
    assert_eq!(RuleSet::new(&options).unwrap_err().problems.len(), 4);
}
