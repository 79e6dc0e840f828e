//! Real clients: what they say and are told is recorded, as they said it.

use remora_store::call::{Protocol, TlsHandling, TlsReason};
use test_case::test_case;

use super::*;

#[test_case("--http1.1", "auto", Protocol::Http1)]
#[test_case("--http2", "auto", Protocol::Http2)]
#[test_case("--http1.1", "terminate", Protocol::Http1; "by the engine that acts")]
#[test_case("--http2", "terminate", Protocol::Http2; "by the engine that acts, in streams")]
#[tokio::test]
async fn what_curl_says_is_recorded(version: &str, engine: &str, protocol: Protocol) {
    let street = Street::with_nginx(Flaw::None, engine, "").await;
    let url = format!("https://{NAME}/pay?n=1");
    let mut curl = curl(street.rig.address, &[version, "--data", "amount=7", &url]);
    let (went_well, said) = street.run(&mut curl).await;
    assert!(went_well, "{said}");
    assert!(said.contains("/pay?n=1"), "{said}");
    let calls = street.calls().await;
    assert_eq!(
        handled(&calls),
        [(TlsHandling::Intercepted, TlsReason::Asked)]
    );
    let call = &calls[0];
    assert_eq!(call.protocol, protocol);
    assert_eq!(&call.request.body[..], b"amount=7");
    assert_eq!(String::from_utf8_lossy(&call.response.body), said);
    let secure = call.secure.as_deref().unwrap();
    assert_eq!(secure.hello.sni.as_deref(), Some(NAME));
    assert_eq!(secure.version, Some(0x0304));
    let certificate = secure.certificate.as_ref().unwrap();
    assert!(
        certificate.subject.contains(&format!("CN={NAME}")),
        "{certificate:?}"
    );
}
