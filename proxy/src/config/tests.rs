use super::*;

fn options(maps: &[&str]) -> Options {
    Options {
        maps: maps.iter().map(|map| (*map).to_owned()).collect(),
        workload: "shop".to_owned(),
        ..Options::default()
    }
}

fn message(options: Options) -> String {
    Config::from_options(options).unwrap_err().to_string()
}

#[test]
fn a_map_names_leg_listener_and_upstream() {
    let config = Config::from_options(options(&[
        "inbound:127.0.0.1:8080=127.0.0.1:3000",
        "outbound:[::1]:9000=db.internal:5432",
    ]))
    .unwrap();
    assert_eq!(
        config.maps,
        [
            Map {
                leg: Leg::Inbound,
                listen: "127.0.0.1:8080".parse().unwrap(),
                upstream: Upstream::Address("127.0.0.1:3000".parse().unwrap()),
            },
            Map {
                leg: Leg::Outbound,
                listen: "[::1]:9000".parse().unwrap(),
                upstream: Upstream::Name("db.internal:5432".to_owned()),
            },
        ]
    );
    assert_eq!(config.origin.serves, ["127.0.0.1:8080".parse().unwrap()]);
    assert_eq!(config.admin, Some("127.0.0.1:15120".parse().unwrap()));
}

#[test]
fn every_problem_is_reported_at_once() {
    let wrong = Options {
        maps: vec!["in:8080=3000".to_owned()],
        body_limit: "64kb".to_owned(),
        engine: "diesel-electric".to_owned(),
        record: "yes".to_owned(),
        ingest: "hub:8898".to_owned(),
        admin: Some("15120".to_owned()),
        ..Options::default()
    };
    let fields: Vec<_> = Config::from_options(wrong)
        .unwrap_err()
        .problems
        .iter()
        .map(|problem| problem.field)
        .collect();
    assert_eq!(
        fields,
        [
            "--map",
            "--workload",
            "--admin",
            "--ingest",
            "--body-limit",
            "--engine",
            "--record"
        ]
    );
}

#[test_case::test_case("in:127.0.0.1:1=127.0.0.1:2", "did you mean inbound?")]
#[test_case::test_case("both:127.0.0.1:1=127.0.0.1:2", "it is inbound or outbound")]
#[test_case::test_case("inbound:8080=127.0.0.1:2", "did you mean 127.0.0.1:8080?")]
#[test_case::test_case("inbound:localhost:8080=127.0.0.1:2", "did you mean 127.0.0.1:8080?")]
#[test_case::test_case("inbound:127.0.0.1:8080=3000", "did you mean 127.0.0.1:3000?")]
#[test_case::test_case("inbound:127.0.0.1:8080=127.0.0.1:8080", "connect to itself")]
#[test_case::test_case("inbound:127.0.0.1:8080=127.0.0.1:0", "no port")]
#[test_case::test_case("inbound:127.0.0.1:8080", "it has the form")]
fn a_wrong_map_is_told_the_right_form(map: &str, expected: &str) {
    let message = message(options(&[map]));
    assert!(message.contains(expected), "{message}");
}

#[test]
fn listening_twice_on_one_address_is_refused() {
    let twice = options(&[
        "inbound:127.0.0.1:8080=127.0.0.1:1",
        "outbound:127.0.0.1:8080=127.0.0.1:2",
    ]);
    assert!(message(twice).contains("listened on twice"));
}

#[test_case::test_case("terminated", "did you mean terminate?")]
#[test_case::test_case("hyper", "it is auto, splice or terminate")]
fn a_wrong_engine_is_told_the_right_ones(engine: &str, expected: &str) {
    let message = message(Options {
        engine: engine.to_owned(),
        ..options(&["inbound:127.0.0.1:8080=127.0.0.1:3000"])
    });
    assert!(message.contains(expected), "{message}");
}

#[test_case::test_case("64KiB", Ok(65536))]
#[test_case::test_case("0", Ok(0))]
#[test_case::test_case("100 B", Ok(100))]
#[test_case::test_case("64kb", Err("did you mean 64KiB?"))]
#[test_case::test_case("2MiB", Err("too large"))]
#[test_case::test_case("-1", Err("not a size"))]
#[test_case::test_case("99999999999999999999", Err("not a size"))]
#[test_case::test_case("18446744073709551615GiB", Err("not a size"))]
fn a_size_is_read_or_explained(text: &str, expected: Result<usize, &str>) {
    let result = parse::size(text, 0, 1 << 20);
    match (result, expected) {
        (Ok(bytes), Ok(expected)) => assert_eq!(bytes, expected),
        (Err(message), Err(expected)) => assert!(message.contains(expected), "{message}"),
        (result, _) => panic!("{text:?} gave {result:?}"),
    }
}

#[test_case::test_case(
    "https://hub:8898",
    None,
    "--ingest: https://hub:8898 needs --ingest-ca FILE"
)]
#[test_case::test_case("http://hub:8898", Some("ca.crt"), "did you mean https://hub:8898?")]
fn https_and_its_authorities_go_together(ingest: &str, ca: Option<&str>, expected: &str) {
    let message = message(Options {
        ingest: ingest.to_owned(),
        ingest_ca: ca.map(Into::into),
        ..options(&["inbound:127.0.0.1:8080=127.0.0.1:3000"])
    });
    assert!(message.contains(expected), "{message}");
}

#[test_case::test_case("15102", "127.0.0.1:15102"; "a port is one of loopback")]
#[test_case::test_case("10.0.0.1:15102", "10.0.0.1:15102"; "an address")]
fn a_forward_proxy_alone_is_enough_to_listen_on(text: &str, address: &str) {
    let options = Options {
        forward: Some(text.to_owned()),
        ..options(&[])
    };
    let config = Config::from_options(options).unwrap();
    assert_eq!(config.forward, Some(address.parse().unwrap()));
}

#[test]
fn a_forward_proxy_has_an_address_of_its_own() {
    let options = |forward: &str| Options {
        forward: Some(forward.to_owned()),
        ..options(&["outbound:127.0.0.1:80=127.0.0.1:81"])
    };
    assert_eq!(
        message(options("80")),
        "--forward: 127.0.0.1:80 is listened on by --map"
    );
    assert!(message(options("localhost:80")).contains("did you mean 127.0.0.1:80?"));
}

#[test]
fn a_pod_serves_its_addresses_on_every_port() {
    let config = Config::from_options(Options {
        redirect: true,
        pod_ips: vec!["10.1.2.3".to_owned(), "fd00::3".to_owned()],
        ..options(&[])
    })
    .unwrap();
    let expected = [
        "10.1.2.3:0".parse().unwrap(),
        "[fd00::3]:0".parse().unwrap(),
    ];
    assert_eq!(config.origin.serves, expected);
    assert_eq!(config.redirect, Some(RedirectPorts::default()));
    assert_eq!(config.admin, Some("[::]:15120".parse().unwrap()));
}
