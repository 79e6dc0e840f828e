//! Whether a connection is looked into, by its ClientHello (pure).

use remora_store::call::TlsReason;

use super::hello::Hello;
use super::names::Names;

/// Application protocols that can be mirrored: what is inside is read whatever it is, and both ends of these
/// agree on nothing else by their name.
const PROTOCOLS: &[&str] = &["h2", "http/1.1", "http/1.0"];

const TLS_1_2: u16 = 0x0303;
const TLS_1_3: u16 = 0x0304;

/// Whose server the client asks for, where that may be looked into; else why not.
pub(super) fn wanted<'a>(names: &Names, hello: &'a Hello) -> Result<&'a str, TlsReason> {
    let said = &hello.said;
    let Some(name) = said.sni.as_deref() else {
        return Err(TlsReason::NoName);
    };
    if !names.cover(name) {
        return Err(TlsReason::NotAsked);
    }
    if hello.is_encrypted {
        return Err(TlsReason::EncryptedHello);
    }
    if !said
        .versions
        .iter()
        .any(|version| [TLS_1_2, TLS_1_3].contains(version))
    {
        return Err(TlsReason::Version);
    }
    if !said.alpn.is_empty() && !said.alpn.iter().any(|offered| is_known(offered)) {
        return Err(TlsReason::Alpn);
    }
    Ok(name)
}

/// Whether an application protocol can be mirrored.
pub(super) fn is_known(protocol: &str) -> bool {
    PROTOCOLS.contains(&protocol)
}

#[cfg(test)]
mod tests {
    use remora_store::call::TlsHello;
    use test_case::test_case;

    use super::*;

    fn hello(sni: Option<&str>, alpn: &[&str], versions: &[u16], is_encrypted: bool) -> Hello {
        Hello {
            said: TlsHello {
                sni: sni.map(str::to_owned),
                alpn: alpn.iter().map(|&protocol| protocol.to_owned()).collect(),
                versions: versions.to_vec(),
                random: [1; 32],
            },
            is_encrypted,
        }
    }

    #[test_case(hello(Some("api.shop"), &["h2"], &[0x0304], false), Ok("api.shop"))]
    #[test_case(hello(Some("api.shop"), &[], &[0x0303], false), Ok("api.shop"); "no protocol is one")]
    #[test_case(hello(Some("api.shop"), &["acme-tls/1", "http/1.1"], &[0x0304], false), Ok("api.shop"); "one that is known is enough")]
    #[test_case(hello(None, &[], &[0x0304], false), Err(TlsReason::NoName))]
    #[test_case(hello(Some("other"), &[], &[0x0304], true), Err(TlsReason::NotAsked))]
    #[test_case(hello(Some("api.shop"), &[], &[0x0304], true), Err(TlsReason::EncryptedHello))]
    #[test_case(hello(Some("api.shop"), &[], &[0x0302, 0x0a0a], false), Err(TlsReason::Version))]
    #[test_case(hello(Some("api.shop"), &["acme-tls/1"], &[0x0304], false), Err(TlsReason::Alpn))]
    fn a_hello_is_wanted_or_not(hello: Hello, expected: Result<&str, TlsReason>) {
        let names = Names::parse("*.shop").unwrap();
        assert_eq!(wanted(&names, &hello), expected);
    }
}
