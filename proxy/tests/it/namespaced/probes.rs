//! A kubelet's probes that only connect, by way of the admin port.

use test_case::test_case;

use super::*;

/// Status and text of what the admin port of the right pod answers.
fn probe(pods: &Pods, address: &str, port: &str) -> (String, String) {
    let target = url(address, 15120, &format!("/probe/tcp/{port}"));
    let said = pods.curl(&["--write-out", "%{stderr}%{http_code}", &target]);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(said.stderr), text(said.stdout))
}

#[test_case(RIGHT.0; "over IPv4")]
#[test_case(RIGHT.1; "over IPv6")]
fn a_probe_succeeds_only_while_the_application_listens(pod: &str) {
    if !netns::available(PROGRAMS) {
        return;
    }
    let mut pods = Pods::start();
    let server = echo_server(&pods.right, pod, 8080);
    let (status, text) = probe(&pods, pod, "8080");
    assert_eq!(status, "200", "{text}");
    drop(server);
    eventually("the server ends", || !listens(&pods.right, 8080));
    let (status, text) = probe(&pods, pod, "8080");
    assert_eq!(status, "503", "{text}");
    assert!(text.contains("refused"), "{text}");
    assert!(pods.callee.stop().is_empty(), "a probe left a record");
}

#[test]
fn a_probe_of_what_is_no_port_says_what_is_one() {
    if !netns::available(PROGRAMS) {
        return;
    }
    let pods = Pods::start();
    for port in ["0", "65536", "http", "-1"] {
        let (status, text) = probe(&pods, RIGHT.0, port);
        assert_eq!(status, "400", "{text}");
        assert!(text.contains("1 to 65535"), "{text}");
    }
}
