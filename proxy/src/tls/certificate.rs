//! What is taken from a server's certificate: what it is called, until when it is good, and for which names.

use std::net::IpAddr;

use remora_store::call::Certificate;
use rustls::pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;

/// Most names that are taken from one certificate.
pub(super) const MOST_NAMES: usize = 256;

/// A certificate that was checked.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// What records say of it.
    pub(super) certificate: Certificate,
    /// Names of hosts that it is for, patterns among them.
    pub(super) names: Vec<String>,
    /// Addresses that it is for.
    pub(super) addresses: Vec<IpAddr>,
}

/// Reads a certificate; `None` if it cannot be read.
pub(super) fn read(der: &CertificateDer<'_>) -> Option<Facts> {
    let (_, parsed) = parse_x509_certificate(der).ok()?;
    let subject: String = parsed.subject().to_string();
    let mut facts = Facts {
        certificate: Certificate {
            subject: cut(subject),
            expires_s: parsed.validity().not_after.timestamp(),
        },
        ..Facts::default()
    };
    let alternatives = parsed.subject_alternative_name().ok().flatten();
    let named = alternatives
        .iter()
        .flat_map(|names| &names.value.general_names);
    for name in named.take(MOST_NAMES) {
        match name {
            GeneralName::DNSName(name) => facts.names.push((*name).to_owned()),
            GeneralName::IPAddress(bytes) => facts.addresses.extend(address(bytes)),
            _ => {}
        }
    }
    Some(facts)
}

fn cut(mut subject: String) -> String {
    subject.truncate(subject.floor_char_boundary(Certificate::SUBJECT_BYTES));
    subject
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        _ => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};

    use super::*;

    #[test]
    fn a_certificate_says_whose_it_is_and_how_long() {
        let names = [
            "api.shop".to_owned(),
            "*.api.shop".to_owned(),
            "10.0.0.1".to_owned(),
        ];
        let mut params = CertificateParams::new(names).unwrap();
        params
            .distinguished_name
            .push(DnType::CommonName, "api.shop");
        params.not_after = date_time_ymd(2031, 2, 3);
        let made = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let facts = read(made.der()).unwrap();
        assert!(
            facts.certificate.subject.contains("CN=api.shop"),
            "{facts:?}"
        );
        assert_eq!(facts.certificate.expires_s, 1_927_843_200);
        assert_eq!(facts.names, ["api.shop", "*.api.shop"]);
        assert_eq!(facts.addresses, ["10.0.0.1".parse::<IpAddr>().unwrap()]);
    }

    #[test]
    fn a_long_subject_is_cut_and_noise_is_none() {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::OrganizationName, "\u{fc}".repeat(400));
        let made = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let subject = read(made.der()).unwrap().certificate.subject;
        assert!(subject.len() <= Certificate::SUBJECT_BYTES && subject.len() > 250);
        assert!(read(&CertificateDer::from_slice(b"\x30\x82noise")).is_none());
    }
}
