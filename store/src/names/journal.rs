//! Facts about addresses on a disk: a file beside the segments that is only appended to.
//!
//! A record is its length, its checksum, and a fact; of several about one thing the last counts.
//! It is not synced, since what lasts is seen again: a crash of the machine costs the last moments
//! at most. Behind a damaged record nothing is read. Where it is damaged, and when most of it is
//! outdated, the file is written anew with what counts.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use prost::Message as _;

use super::facts::{Fact, Facts, Holder, HolderKind};

/// Name of the file in the data directory.
const FILE: &str = "names-1";
/// Name while it is written anew.
const NEW_FILE: &str = "names-1.new";
/// Largest fact, in bytes: names of Kubernetes are far shorter.
const RECORD_BYTES: usize = 8 * 1_024;
/// Largest file that is read, in bytes.
const FILE_BYTES: u64 = 256 * 1_024 * 1_024;
/// Records that may be outdated before the file is written anew, beside as many as there are facts.
const OUTDATED: usize = 4_096;

#[derive(Clone, PartialEq, prost::Message)]
struct FactRecord {
    #[prost(bytes = "vec", tag = "1")]
    address: Vec<u8>,
    #[prost(uint32, tag = "2")]
    port: u32,
    #[prost(sfixed64, tag = "3")]
    since_ns: i64,
    #[prost(sfixed64, optional, tag = "4")]
    until_ns: Option<i64>,
    #[prost(uint32, tag = "5")]
    kind: u32,
    #[prost(string, tag = "6")]
    namespace: String,
    #[prost(string, tag = "7")]
    workload: String,
    #[prost(string, tag = "8")]
    pod: String,
    #[prost(string, tag = "9")]
    service: String,
    #[prost(string, tag = "10")]
    revision: String,
}

/// The file, open at its end.
#[derive(Debug)]
pub(crate) struct Journal {
    dir: PathBuf,
    file: File,
    records: usize,
}

impl Journal {
    /// Opens the file in `dir` and reads what is in it. The text says what was damaged.
    pub(crate) fn open(dir: &Path) -> io::Result<(Self, Facts, Option<String>)> {
        let mut facts = Facts::default();
        let (mut records, note) = read(&dir.join(FILE), &mut facts)?;
        let file = if note.is_none() && records <= most_records(&facts) {
            // Nothing is written: a store opens on a full disk too.
            let path = dir.join(FILE);
            OpenOptions::new().create(true).append(true).open(path)?
        } else {
            records = facts.len();
            write(dir, &facts)?
        };
        let journal = Self {
            dir: dir.to_owned(),
            file,
            records,
        };
        Ok((journal, facts, note))
    }

    /// Appends what changed; `facts` is all there is, with the changes.
    pub(crate) fn append(&mut self, changed: &[Fact], facts: &Facts) -> io::Result<()> {
        if changed.is_empty() {
            return Ok(());
        }
        self.records += changed.len();
        if self.records > most_records(facts) {
            self.file = write(&self.dir, facts)?;
            self.records = facts.len();
            return Ok(());
        }
        let mut bytes = Vec::new();
        for fact in changed {
            put(fact, &mut bytes);
        }
        self.file.write_all(&bytes)
    }
}

/// How many records a file may have before it is written anew.
fn most_records(facts: &Facts) -> usize {
    facts.len() * 2 + OUTDATED
}

/// Reads what is in a file, up to the first damage: how many records, and what was damaged.
fn read(path: &Path, facts: &mut Facts) -> io::Result<(usize, Option<String>)> {
    let bytes = match fs::metadata(path) {
        Ok(metadata) if metadata.len() > FILE_BYTES => {
            let note = format!("{FILE}: it is too large and was not read");
            return Ok((0, Some(note)));
        }
        Ok(_) => fs::read(path)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((0, None)),
        Err(error) => return Err(error),
    };
    let mut records = 0;
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        let Some((fact, after)) = take(rest) else {
            let lost = rest.len();
            let note = format!(
                "{FILE}: the last {lost} bytes are damaged or torn; names of addresses may be missing"
            );
            return Ok((records, Some(note)));
        };
        if let Some(fact) = fact {
            facts.restore(fact);
        }
        records += 1;
        rest = after;
    }
    Ok((records, None))
}

/// The fact at the front, `None` inside for one that a later version wrote, and what follows.
fn take(bytes: &[u8]) -> Option<(Option<Fact>, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (crc, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let (record, rest) = (length <= RECORD_BYTES).then(|| rest.split_at_checked(length))??;
    if crc32fast::hash(record) != u32::from_le_bytes(*crc) {
        return None;
    }
    Some((FactRecord::decode(record).ok().and_then(fact_of), rest))
}

/// Writes a file anew, whole or not at all, and leaves it open at its end.
fn write(dir: &Path, facts: &Facts) -> io::Result<File> {
    let mut bytes = Vec::new();
    for fact in facts.iter() {
        put(fact, &mut bytes);
    }
    let new = dir.join(NEW_FILE);
    let mut file = File::create(&new)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    fs::rename(&new, dir.join(FILE))?;
    File::open(dir)?.sync_all()?;
    OpenOptions::new().append(true).open(dir.join(FILE))
}

fn put(fact: &Fact, out: &mut Vec<u8>) {
    let record = record_of(fact).encode_to_vec();
    // A name so long is none that Kubernetes allows.
    let Some(length) = u32::try_from(record.len())
        .ok()
        .filter(|_| record.len() <= RECORD_BYTES)
    else {
        return;
    };
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&crc32fast::hash(&record).to_le_bytes());
    out.extend_from_slice(&record);
}

fn record_of(fact: &Fact) -> FactRecord {
    let holder = &fact.holder;
    FactRecord {
        address: match fact.address {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        },
        port: fact.port.into(),
        since_ns: fact.since_ns,
        until_ns: fact.until_ns,
        kind: match holder.kind {
            HolderKind::Pod => 1,
            HolderKind::Service => 2,
            HolderKind::Endpoint => 3,
        },
        namespace: holder.namespace.clone(),
        workload: holder.workload.clone(),
        pod: holder.pod.clone(),
        service: holder.service.clone(),
        revision: holder.revision.clone(),
    }
}

fn fact_of(record: FactRecord) -> Option<Fact> {
    let address = match <[u8; 4]>::try_from(record.address.as_slice()) {
        Ok(octets) => IpAddr::from(octets),
        Err(_) => IpAddr::from(<[u8; 16]>::try_from(record.address.as_slice()).ok()?),
    };
    Some(Fact {
        address,
        port: u16::try_from(record.port).ok()?,
        since_ns: record.since_ns,
        until_ns: record.until_ns,
        holder: Arc::new(Holder {
            kind: match record.kind {
                1 => HolderKind::Pod,
                2 => HolderKind::Service,
                3 => HolderKind::Endpoint,
                _ => return None,
            },
            namespace: record.namespace,
            workload: record.workload,
            pod: record.pod,
            service: record.service,
            revision: record.revision,
        }),
    })
}

#[cfg(test)]
mod tests;
