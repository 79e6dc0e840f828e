//! Authorities and the leaves of webhook and hub, and what to do next with them. Pure but for the keys, which are random.

use std::fmt;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// How far the clocks of nodes may be apart; certificates are good from so long before they were made.
const CLOCK_SKEW: Duration = Duration::from_secs(3600);
/// Most authorities at a time: one that signs, one that is being published, one that fades away.
const MOST_AUTHORITIES: usize = 3;

/// What the webhook's certificate calls its owner.
const WEBHOOK: &str = "remora injector";
/// What the hub's certificate calls its owner.
const HUB: &str = "remora hub";

/// How long things last.
#[derive(Debug, Clone, Copy)]
pub struct Lifetimes {
    /// How long an authority is good for. Default 10 years.
    pub authority: Duration,
    /// When it is replaced. Default at two thirds.
    pub renew_authority: Duration,
    /// How long a leaf is good for. Default 90 days.
    pub leaf: Duration,
    /// When it is replaced. Default at two thirds.
    pub renew_leaf: Duration,
    /// How long everybody may take to see what was published or made. Default 5 minutes.
    pub settle: Duration,
}

impl Default for Lifetimes {
    fn default() -> Self {
        let days = |days: u64| Duration::from_secs(days * 24 * 3600);
        Self {
            authority: days(3650),
            renew_authority: days(3650 * 2 / 3),
            leaf: days(90),
            renew_leaf: days(60),
            settle: Duration::from_secs(300),
        }
    }
}

/// What the replicas share. Times are in seconds since 1970.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    /// Oldest first; never empty.
    authorities: Vec<Authority>,
    leaf: Leaf,
    /// The hub's. A chain that an older injector kept has none.
    #[serde(default)]
    hub: Option<Leaf>,
}

/// By which names servers are reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// The webhook, by API servers.
    pub webhook: Vec<String>,
    /// The hub, by sidecars.
    pub hub: Vec<String>,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Authority {
    generation: u64,
    made_s: u64,
    certificate: String,
    key: String,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Leaf {
    /// The authority that signed it.
    by: u64,
    made_s: u64,
    good_until_s: u64,
    names: Vec<String>,
    certificate: String,
    key: String,
}

/// A certificate that could not be made.
#[derive(Debug, thiserror::Error)]
#[error("failed to make a certificate")]
pub struct CertificateError(#[from] rcgen::Error);

impl Chain {
    /// What should be kept instead of `chain`, for servers reached by `names`; `None` if it is good as it is.
    pub fn next(
        chain: Option<&Self>,
        names: &Names,
        lifetimes: &Lifetimes,
        now_s: u64,
    ) -> Result<Option<Self>, CertificateError> {
        let Some(chain) = chain.filter(|chain| chain.is_whole()) else {
            return Self::first(names, lifetimes, now_s).map(Some);
        };
        let mut next = chain.clone();
        next.forget_old(lifetimes, now_s);
        next.renew_authority(lifetimes, now_s)?;
        next.renew_leaves(names, lifetimes, now_s)?;
        Ok((next != *chain).then_some(next))
    }

    fn first(names: &Names, lifetimes: &Lifetimes, now_s: u64) -> Result<Self, CertificateError> {
        let authority = Authority::new(1, lifetimes, now_s)?;
        let leaf = authority.sign(WEBHOOK, &names.webhook, lifetimes, now_s)?;
        let hub = authority.sign(HUB, &names.hub, lifetimes, now_s)?;
        Ok(Self {
            authorities: vec![authority],
            leaf,
            hub: Some(hub),
        })
    }

    /// The certificates that API servers and sidecars have to trust, in PEM.
    pub fn bundle(&self) -> String {
        let certificates = self
            .authorities
            .iter()
            .map(|authority| authority.certificate.as_str());
        certificates.collect()
    }

    /// The certificate that the webhook serves, in PEM.
    pub fn certificate(&self) -> &str {
        &self.leaf.certificate
    }

    /// The key of the certificate to serve, in PEM.
    pub fn key(&self) -> &str {
        &self.leaf.key
    }

    /// The hub's certificate and its key, in PEM.
    pub fn of_hub(&self) -> Option<(&str, &str)> {
        let leaf = self.hub.as_ref()?;
        Some((&leaf.certificate, &leaf.key))
    }

    /// When the certificate that the webhook serves runs out, in seconds since 1970.
    pub fn good_until_s(&self) -> u64 {
        self.leaf.good_until_s
    }

    /// Whether there is an authority, and every certificate and key can be read.
    fn is_whole(&self) -> bool {
        let leaves = self.leaves().map(|leaf| (&leaf.certificate, &leaf.key));
        let authorities = self
            .authorities
            .iter()
            .map(|authority| (&authority.certificate, &authority.key));
        !self.authorities.is_empty()
            && authorities.chain(leaves).all(|(certificate, key)| {
                CertificateDer::from_pem_slice(certificate.as_bytes()).is_ok()
                    && KeyPair::from_pem(key).is_ok()
            })
    }

    fn leaves(&self) -> impl Iterator<Item = &Leaf> {
        std::iter::once(&self.leaf).chain(&self.hub)
    }

    fn newest(&self) -> Option<&Authority> {
        self.authorities.last()
    }

    /// Drops authorities of which no leaf is left anywhere.
    fn forget_old(&mut self, lifetimes: &Lifetimes, now_s: u64) {
        let newest = self.newest().map(|authority| authority.generation);
        let signers: Vec<u64> = self.leaves().map(|leaf| leaf.by).collect();
        let settled = |leaf: &Leaf| has_passed(leaf.made_s, lifetimes.settle, now_s);
        if self.leaves().all(settled) {
            self.authorities.retain(|authority| {
                Some(authority.generation) == newest || signers.contains(&authority.generation)
            });
        }
    }

    fn renew_authority(
        &mut self,
        lifetimes: &Lifetimes,
        now_s: u64,
    ) -> Result<(), CertificateError> {
        let due = self
            .newest()
            .filter(|newest| has_passed(newest.made_s, lifetimes.renew_authority, now_s));
        if let Some(newest) = due
            && self.authorities.len() < MOST_AUTHORITIES
        {
            let next = Authority::new(newest.generation + 1, lifetimes, now_s)?;
            self.authorities.push(next);
        }
        Ok(())
    }

    fn renew_leaves(
        &mut self,
        names: &Names,
        lifetimes: &Lifetimes,
        now_s: u64,
    ) -> Result<(), CertificateError> {
        let settled =
            |authority: &&Authority| has_passed(authority.made_s, lifetimes.settle, now_s);
        // The newest that everybody trusts by now; one that fades away is better than none.
        let trusted = self.authorities.iter().rev().find(settled);
        let Some(signer) = trusted.or(self.authorities.first()) else {
            return Ok(());
        };
        let is_due = |leaf: &Leaf, names: &[String]| {
            has_passed(leaf.made_s, lifetimes.renew_leaf, now_s)
                || leaf.by < signer.generation
                || leaf.names != names
        };
        if is_due(&self.leaf, &names.webhook) {
            self.leaf = signer.sign(WEBHOOK, &names.webhook, lifetimes, now_s)?;
        }
        let hub = self.hub.as_ref();
        if hub.is_none_or(|leaf| is_due(leaf, &names.hub)) {
            self.hub = Some(signer.sign(HUB, &names.hub, lifetimes, now_s)?);
        }
        Ok(())
    }
}

impl Authority {
    fn new(generation: u64, lifetimes: &Lifetimes, now_s: u64) -> Result<Self, CertificateError> {
        let key = KeyPair::generate()?;
        let certificate = Self::params(generation, now_s, lifetimes).self_signed(&key)?;
        Ok(Self {
            generation,
            made_s: now_s,
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }

    fn params(generation: u64, made_s: u64, lifetimes: &Lifetimes) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.distinguished_name = named(&format!("remora injector authority {generation}"));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        (params.not_before, params.not_after) = validity(made_s, lifetimes.authority);
        params
    }

    fn sign(
        &self,
        whose: &str,
        names: &[String],
        lifetimes: &Lifetimes,
        now_s: u64,
    ) -> Result<Leaf, CertificateError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name = named(whose);
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        (params.not_before, params.not_after) = validity(now_s, lifetimes.leaf);
        let issuer = Issuer::new(
            Self::params(self.generation, self.made_s, lifetimes),
            KeyPair::from_pem(&self.key)?,
        );
        Ok(Leaf {
            by: self.generation,
            made_s: now_s,
            good_until_s: now_s.saturating_add(lifetimes.leaf.as_secs()),
            names: names.to_vec(),
            certificate: params.signed_by(&key, &issuer)?.pem(),
            key: key.serialize_pem(),
        })
    }
}

fn named(name: &str) -> rcgen::DistinguishedName {
    let mut distinguished = rcgen::DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn validity(from_s: u64, lifetime: Duration) -> (OffsetDateTime, OffsetDateTime) {
    let at = |seconds: u64| {
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
        OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    };
    let before = from_s.saturating_sub(CLOCK_SKEW.as_secs());
    (at(before), at(from_s.saturating_add(lifetime.as_secs())))
}

fn has_passed(since_s: u64, duration: Duration, now_s: u64) -> bool {
    now_s.saturating_sub(since_s) >= duration.as_secs()
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let generations = self
            .authorities
            .iter()
            .map(|authority| authority.generation);
        f.debug_struct("Chain")
            .field("authorities", &generations.collect::<Vec<_>>())
            .field("leaf_by", &self.leaf.by)
            .field("leaf_made_s", &self.leaf.made_s)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
