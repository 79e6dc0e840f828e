//! The numbers by which OpenSSL finds authorities in a directory: a digest of what each is called.

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use rustls::pki_types::CertificateDer;
use x509_parser::asn1_rs::{Any, Tag};
use x509_parser::parse_x509_certificate;
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

const OBJECT_IDENTIFIER: u8 = 0x06;
const UTF8_STRING: u8 = 0x0c;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;

/// The number of a certificate by its subject (`X509_NAME_hash`); `None` if OpenSSL could not read that either.
pub(super) fn of(certificate: &CertificateDer<'_>) -> Option<u32> {
    let (_, parsed) = parse_x509_certificate(certificate).ok()?;
    let digest = digest(&SHA1_FOR_LEGACY_USE_ONLY, &canonical(parsed.subject())?);
    let first = digest.as_ref().first_chunk::<4>()?;
    Some(u32::from_le_bytes(*first))
}

/// The name as OpenSSL compares it: the encoding without the frame around all of it, texts in one form.
fn canonical(name: &X509Name<'_>) -> Option<Vec<u8>> {
    let mut encoded = Vec::new();
    for part in name.iter_rdn() {
        let mut attributes: Vec<_> = part.iter().map(attribute).collect::<Option<_>>()?;
        // The order of a SET OF in DER (X.690 section 11.6).
        attributes.sort();
        encoded.extend(framed(SET, &attributes.concat()));
    }
    Some(encoded)
}

fn attribute(attribute: &AttributeTypeAndValue<'_>) -> Option<Vec<u8>> {
    let kind = framed(OBJECT_IDENTIFIER, attribute.attr_type().as_bytes());
    let value = value(attribute.attr_value())?;
    Some(framed(SEQUENCE, &[kind, value].concat()))
}

fn value(value: &Any<'_>) -> Option<Vec<u8>> {
    let text = match value.header.tag() {
        Tag::Utf8String => String::from_utf8(value.data.to_vec()).ok(),
        Tag::PrintableString | Tag::Ia5String | Tag::VisibleString | Tag::TeletexString => {
            of_units(value.data, 1)
        }
        Tag::BmpString => of_units(value.data, 2),
        Tag::UniversalString => of_units(value.data, 4),
        Tag(other) => return Some(framed(u8::try_from(other).ok()?, value.data)),
    };
    Some(framed(UTF8_STRING, plain(&text?).as_bytes()))
}

/// A text whose characters are numbers of so many bytes.
fn of_units(text: &[u8], size: usize) -> Option<String> {
    let units = text.chunks(size).map(|unit| {
        let number = unit.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte));
        char::from_u32(number).filter(|_| unit.len() == size)
    });
    units.collect()
}

/// In lower case, without space at the ends, and with one space for several.
fn plain(text: &str) -> String {
    // Of other characters than those of ASCII OpenSSL knows neither case nor space.
    let is_space = |c: char| matches!(c, ' ' | '\t' | '\n' | '\x0b' | '\x0c' | '\r');
    let words = text.split(is_space).filter(|word| !word.is_empty());
    let words: Vec<_> = words.map(str::to_ascii_lowercase).collect();
    words.join(" ")
}

/// An element in DER; its content is shorter than 64 KiB, as all of a certificate is.
fn framed(tag: u8, content: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(content.len())
        .unwrap_or(u16::MAX)
        .to_be_bytes();
    let length = match (high, low) {
        (0, 0..=0x7f) => vec![low],
        (0, _) => vec![0x81, low],
        _ => vec![0x82, high, low],
    };
    [&[tag], length.as_slice(), content].concat()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::process::Command;

    use rcgen::string::{BmpString, Ia5String, PrintableString, TeletexString, UniversalString};
    use rcgen::{CertificateParams, DistinguishedName, DnType, DnValue, KeyPair};

    use super::super::bundle::pem;
    use super::*;

    /// The numbers that OpenSSL finds these certificates by.
    fn by_openssl(certificates: &[CertificateDer<'_>]) -> BTreeSet<String> {
        let directory = tempfile::tempdir().unwrap();
        for (number, certificate) in certificates.iter().enumerate() {
            let path = directory.path().join(format!("{number}.pem"));
            fs::write(path, pem(certificate)).unwrap();
        }
        let output = Command::new("openssl")
            .arg("rehash")
            .arg(directory.path())
            .output()
            .expect("openssl is installed");
        assert!(output.status.success(), "{output:?}");
        let names = fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let hash = |name: String| Some(name.split_once('.')?.0.to_owned());
        let is_number = |name: &String| !name.ends_with(".pem");
        names.filter(is_number).filter_map(hash).collect()
    }

    fn by_us(certificates: &[CertificateDer<'_>]) -> BTreeSet<String> {
        let numbers = certificates.iter().map(|it| of(it).unwrap());
        numbers.map(|number| format!("{number:08x}")).collect()
    }

    #[test]
    fn openssl_gives_every_authority_of_mozillas_the_same_number() {
        let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS;
        assert_eq!(by_us(roots), by_openssl(roots));
    }

    #[test]
    fn openssl_gives_names_in_every_form_of_text_the_same_number() {
        let bmp = |text: &str| DnValue::BmpString(BmpString::try_from(text).unwrap());
        let ia5 = |text: &str| DnValue::Ia5String(Ia5String::try_from(text).unwrap());
        let plain = |text: &str| DnValue::PrintableString(PrintableString::try_from(text).unwrap());
        let old = |text: &str| DnValue::TeletexString(TeletexString::try_from(text).unwrap());
        let wide = |text: &str| DnValue::UniversalString(UniversalString::try_from(text).unwrap());
        let utf8 = |text: &str| DnValue::Utf8String(text.to_owned());
        let long = "A long name ".repeat(30);
        let values = [
            bmp("Größe 1"),
            ia5("ca@Example.COM"),
            plain(" Two  words "),
            old("An old text"),
            wide("Ünï 3"),
            utf8("\tÀ b\u{a0}C "),
            utf8(&long),
            utf8(""),
        ];
        for value in values {
            let mut name = DistinguishedName::new();
            name.push(DnType::CountryName, "DE");
            name.push(DnType::CommonName, value.clone());
            let mut params = CertificateParams::default();
            params.distinguished_name = name;
            let made = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
            let one = [made.der().clone()];
            assert_eq!(by_us(&one), by_openssl(&one), "{value:?}");
        }
    }

    #[test]
    fn what_is_no_certificate_has_no_number() {
        assert_eq!(of(&CertificateDer::from_slice(b"\x30\x82noise")), None);
    }
}
