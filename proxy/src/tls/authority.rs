//! The authority of one sidecar, and the certificates that its clients are shown.
//!
//! Its key is made at the start, is in the memory of this process only, and is gone with it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use rustls::crypto::ring::sign::any_ecdsa_type;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SigningKey};
use time::OffsetDateTime;

use super::certificate::Facts;

/// What every authority of a sidecar is called, before its number.
const CALLED: &str = "remora sidecar ";

/// How long the authority is good: a pod that lives longer has its TLS passed through from then on.
const AUTHORITY_LIFETIME: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// How long a certificate is good that a client is shown.
const LEAF_LIFETIME: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// How long one is shown before another is made.
const LEAF_SHOWN_FOR: Duration = Duration::from_secs(24 * 60 * 60);
/// Certificates are good from so long before they were made: clocks may be set back.
const CLOCK_SKEW: Duration = Duration::from_secs(60 * 60);
/// Most certificates that are kept; beyond, the oldest is made anew when it is needed.
const MOST_LEAVES: usize = 256;

/// No key or certificate could be made.
#[derive(Debug, thiserror::Error)]
#[error("make the certificates that clients are shown")]
pub struct AuthorityError(#[from] rcgen::Error);

/// Signs what clients are shown.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    good_until: SystemTime,
    /// One key for all servers: whoever has it is this process.
    leaf_key: KeyPair,
    signer: Arc<dyn SigningKey>,
    leaves: RefCell<HashMap<LeafKey, Leaf>>,
}

/// A server as it was asked for, and as it was found to be: a digest of its certificate.
type LeafKey = (String, [u8; 32]);

struct Leaf {
    made: SystemTime,
    shown: Arc<CertifiedKey>,
}

impl Authority {
    /// Makes a key and a certificate for it.
    pub(super) fn new() -> Result<Self, AuthorityError> {
        let now = SystemTime::now();
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        // No two are called alike, so that whoever trusts several takes none for another.
        let number: u64 = rand::random();
        let name = format!("{CALLED}{number:016x}");
        params.distinguished_name = named(&name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        (params.not_before, params.not_after) = validity(now, AUTHORITY_LIFETIME);
        let certificate = params.self_signed(&key)?.der().clone();
        let leaf_key = KeyPair::generate()?;
        let private = PrivateKeyDer::try_from(leaf_key.serialize_der());
        let signer = private.ok().and_then(|key| any_ecdsa_type(&key).ok());
        Ok(Self {
            issuer: Issuer::new(params, key),
            certificate,
            good_until: now + AUTHORITY_LIFETIME,
            signer: signer.ok_or(rcgen::Error::CouldNotParseKeyPair)?,
            leaf_key,
            leaves: RefCell::default(),
        })
    }

    /// The certificate that clients have to trust.
    pub(super) fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The key, for tests that look for it.
    #[cfg(test)]
    pub(super) fn secret(&self) -> Vec<u8> {
        self.issuer.key().serialize_der()
    }

    /// Whether it can still sign.
    pub(super) fn is_good(&self, now: SystemTime) -> bool {
        now + LEAF_LIFETIME < self.good_until
    }

    /// What a client is shown that asked for `name` and would have been shown `original`: another certificate
    /// for the same names.
    pub(super) fn leaf(
        &self,
        name: &str,
        original: &CertificateDer<'_>,
        facts: &Facts,
        now: SystemTime,
    ) -> Result<Arc<CertifiedKey>, AuthorityError> {
        let key = (name.to_owned(), *blake3::hash(original).as_bytes());
        let mut leaves = self.leaves.borrow_mut();
        let is_fresh = |leaf: &&Leaf| now < leaf.made + LEAF_SHOWN_FOR;
        if let Some(leaf) = leaves.get(&key).filter(is_fresh) {
            return Ok(Arc::clone(&leaf.shown));
        }
        let shown = Arc::new(self.sign(name, facts, now)?);
        if leaves.len() >= MOST_LEAVES {
            let oldest = leaves.iter().min_by_key(|(_, leaf)| leaf.made);
            if let Some(key) = oldest.map(|(key, _)| key.clone()) {
                leaves.remove(&key);
            }
        }
        let made = now;
        let leaf = Leaf {
            made,
            shown: Arc::clone(&shown),
        };
        leaves.insert(key, leaf);
        Ok(shown)
    }

    fn sign(
        &self,
        name: &str,
        facts: &Facts,
        now: SystemTime,
    ) -> Result<CertifiedKey, AuthorityError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = named(name);
        params.subject_alt_names = alternatives(name, facts)?;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        (params.not_before, params.not_after) = validity(now, LEAF_LIFETIME);
        let leaf = params.signed_by(&self.leaf_key, &self.issuer)?;
        let chain = vec![leaf.der().clone(), self.certificate.clone()];
        Ok(CertifiedKey::new(chain, Arc::clone(&self.signer)))
    }
}

/// Whether this certificate is an authority that some sidecar made.
pub(super) fn is_one(certificate: &CertificateDer<'_>) -> bool {
    let facts = super::certificate::read(certificate);
    let number = facts.as_ref().and_then(|facts| {
        let name = facts.certificate.subject.strip_prefix("CN=")?;
        name.strip_prefix(CALLED)
    });
    number.is_some_and(|number| u64::from_str_radix(number, 16).is_ok())
}

/// The names of the server's own certificate: a client may go on to use the connection for any of them.
fn alternatives(name: &str, facts: &Facts) -> Result<Vec<SanType>, rcgen::Error> {
    let dns = |name: &str| name.try_into().map(SanType::DnsName);
    let mut names = vec![dns(name)?];
    for other in facts.names.iter().filter(|other| *other != name) {
        // One that cannot be written was none that a client could have asked for.
        names.extend(dns(other).ok());
    }
    let address = |address: &IpAddr| SanType::IpAddress(*address);
    names.extend(facts.addresses.iter().map(address));
    Ok(names)
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn validity(from: SystemTime, lifetime: Duration) -> (OffsetDateTime, OffsetDateTime) {
    let at = |time: SystemTime| {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
        OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    };
    (at(from - CLOCK_SKEW), at(from + lifetime))
}

#[cfg(test)]
mod tests {
    use super::super::certificate::read;
    use super::*;

    fn facts(names: &[&str]) -> Facts {
        Facts {
            names: names.iter().map(|&name| name.to_owned()).collect(),
            addresses: vec!["10.0.0.1".parse().unwrap()],
            ..Facts::default()
        }
    }

    fn original(seed: &[u8]) -> CertificateDer<'static> {
        CertificateDer::from(seed.to_vec())
    }

    #[test]
    fn a_leaf_is_for_the_names_of_the_certificate_in_whose_place_it_is_shown() {
        let authority = Authority::new().unwrap();
        let now = SystemTime::now();
        let facts = facts(&["*.shop", "api.shop"]);
        let leaf = authority
            .leaf("api.shop", &original(b"1"), &facts, now)
            .unwrap();
        let shown = read(&leaf.cert[0]).unwrap();
        assert_eq!(shown.names, ["api.shop", "*.shop"]);
        assert_eq!(shown.addresses, facts.addresses);
        assert_eq!(leaf.cert[1], *authority.certificate());
    }

    #[test]
    fn a_leaf_is_made_once_until_it_is_old_or_the_server_has_another() {
        let authority = Authority::new().unwrap();
        let now = SystemTime::now();
        let leaf = |seed: &[u8], at| {
            let facts = facts(&["api.shop"]);
            authority
                .leaf("api.shop", &original(seed), &facts, at)
                .unwrap()
        };
        let first = leaf(b"1", now);
        assert!(Arc::ptr_eq(&first, &leaf(b"1", now)));
        assert!(!Arc::ptr_eq(&first, &leaf(b"2", now)));
        assert!(!Arc::ptr_eq(&first, &leaf(b"1", now + LEAF_SHOWN_FOR)));
    }

    #[test]
    fn leaves_are_bounded() {
        let authority = Authority::new().unwrap();
        for number in 0..MOST_LEAVES + 20 {
            let name = format!("n{number}.shop");
            let now = SystemTime::now();
            authority
                .leaf(&name, &original(b"1"), &facts(&[]), now)
                .unwrap();
        }
        assert_eq!(authority.leaves.borrow().len(), MOST_LEAVES);
    }

    #[test]
    fn an_old_authority_signs_nothing_that_outlives_it() {
        let authority = Authority::new().unwrap();
        let now = SystemTime::now();
        assert!(authority.is_good(now));
        assert!(!authority.is_good(now + AUTHORITY_LIFETIME - Duration::from_secs(3600)));
    }
}
