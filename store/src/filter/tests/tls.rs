//! Filters over what TLS is and was made of.

use test_case::test_case;

use super::*;

/// The same, in TLS: passed through, intercepted, and once in spite of being asked for.
fn secured() -> Vec<FoundCall> {
    let hello = TlsHello {
        sni: Some("api.shop".to_owned()),
        ..TlsHello::default()
    };
    let secure = |handling, reason| {
        Some(Arc::new(Secure {
            handling,
            reason,
            hello: hello.clone(),
            alpn: None,
            version: None,
            certificate: None,
        }))
    };
    let mut found = shop();
    found[1].call.secure = secure(TlsHandling::Intercepted, TlsReason::Asked);
    for place in [2, 3] {
        found[place].call.protocol = Protocol::Tls;
        found[place].call.detail = Detail::Tls(hello.clone());
    }
    found[3].call.secure = secure(TlsHandling::Passthrough, TlsReason::ClientCertificate);
    found
}

#[test_case("https", &[1, 2, 3])]
#[test_case("https && http", &[1]; "what was looked into")]
#[test_case("tls", &[2, 3]; "what was not")]
#[test_case("tls_handling == \"plaintext\" && tls_reason == \"no_tls\"", &[0])]
#[test_case("tls_handling == \"intercepted\"", &[1])]
#[test_case("tls_reason == \"not_asked\"", &[2])]
#[test_case("tls_reason == \"client_certificate\"", &[3])]
#[test_case("tlsx_sni == \"api.shop\"", &[1, 2, 3])]
fn filters_over_tls(filter: &str, expected: &[usize]) {
    let filter = Filter::parse(filter).unwrap();
    assert_eq!(matching(&secured(), &filter), expected);
}
