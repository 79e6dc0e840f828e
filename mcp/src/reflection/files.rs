//! The files that a server gave, until all that they import are there too (pure).

use std::collections::{BTreeMap, BTreeSet, HashSet};

use bytes::Bytes;
use prost::Message as _;
use prost_reflect::prost_types::FileDescriptorProto;

use super::Reflected;
use super::channel::Ended;
use super::messages::FileList;

/// Most files of one server.
const FILES: usize = 4_000;
/// Most bytes of them together.
const BYTES: usize = 64 * 1024 * 1024; // 64 MiB

/// What was gathered of one server.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// By their name; a server may say the same of a file many times.
    files: BTreeMap<String, File>,
    bytes: usize,
    /// Full names of the services in the files.
    services: HashSet<String>,
    /// Imports that are still to be asked for.
    wanted: BTreeSet<String>,
    /// Imports that were asked for.
    asked: HashSet<String>,
    undescribed: Vec<(String, String)>,
}

#[derive(Debug)]
struct File {
    raw: Bytes,
    imports: Vec<String>,
    services: Vec<String>,
}

/// A `FileDescriptorSet` of files as they came.
#[derive(Clone, PartialEq, prost::Message)]
struct Set {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    files: Vec<Bytes>,
}

impl Files {
    /// Whether a service is described in one of the files.
    pub(super) fn describe(&self, service: &str) -> bool {
        self.services.contains(service)
    }

    /// Notes that a service is not described.
    pub(super) fn lack(&mut self, service: String, why: String) {
        self.undescribed.push((service, why));
    }

    /// Takes files in.
    ///
    /// # Errors
    ///
    /// One of them is no file, or they are more than is taken.
    pub(super) fn add_all(&mut self, list: FileList) -> Result<(), Ended> {
        list.files.into_iter().try_for_each(|raw| self.add(raw))
    }

    fn add(&mut self, raw: Bytes) -> Result<(), Ended> {
        let file = FileDescriptorProto::decode(raw.clone())
            .map_err(|_| Ended::Unreadable("a file that is no descriptor"))?;
        let name = file.name().to_owned();
        if self.files.contains_key(&name) {
            return Ok(());
        }
        self.bytes += raw.len();
        if self.files.len() == FILES || self.bytes > BYTES {
            return Err(Ended::Unreadable("more than 4000 files, or than 64 MiB"));
        }
        let package = file.package().to_owned();
        let full_name = |service: &str| match package.as_str() {
            "" => service.to_owned(),
            package => format!("{package}.{service}"),
        };
        let services: Vec<_> = file.service.iter().map(|it| full_name(it.name())).collect();
        self.services.extend(services.iter().cloned());
        self.wanted.extend(file.dependency.iter().cloned());
        let file = File {
            raw,
            imports: file.dependency,
            services,
        };
        self.files.insert(name, file);
        Ok(())
    }

    /// An import that is not there and was not asked for yet.
    pub(super) fn next_import(&mut self) -> Option<String> {
        while let Some(import) = self.wanted.pop_first() {
            if !self.files.contains_key(&import) && self.asked.insert(import.clone()) {
                return Some(import);
            }
        }
        None
    }

    /// The files in the order in which they can be read. Files that import what is not there are left
    /// out, and their services are not described.
    pub(super) fn into_reflected(mut self) -> Reflected {
        let mut placed: HashSet<String> = HashSet::new();
        let mut set = Set::default();
        let mut services = Vec::new();
        loop {
            let is_ready = |_: &String, file: &mut File| {
                file.imports.iter().all(|import| placed.contains(import))
            };
            let ready: Vec<(String, File)> = self.files.extract_if(.., is_ready).collect();
            if ready.is_empty() {
                break;
            }
            for (name, file) in ready {
                placed.insert(name);
                services.extend(file.services);
                set.files.push(file.raw);
            }
        }
        for (name, file) in self.files {
            let missing = file.imports.iter().find(|import| !placed.contains(*import));
            let missing = missing.map_or("", String::as_str);
            let why = format!("{name} imports {missing}, which the server does not have whole");
            let lacking = file.services.into_iter().map(|it| (it, why.clone()));
            self.undescribed.extend(lacking);
        }
        services.sort();
        self.undescribed.sort();
        Reflected {
            set: set.encode_to_vec(),
            services,
            undescribed: self.undescribed,
        }
    }
}

#[cfg(test)]
mod tests {
    use prost_reflect::DescriptorPool;
    use prost_reflect::prost_types::ServiceDescriptorProto;

    use super::*;

    fn file(name: &str, imports: &[&str]) -> Bytes {
        let service = ServiceDescriptorProto {
            name: Some(name.to_uppercase()),
            ..Default::default()
        };
        let file = FileDescriptorProto {
            name: Some(name.to_owned()),
            package: Some("shop".to_owned()),
            dependency: imports.iter().map(|&import| import.to_owned()).collect(),
            service: vec![service],
            ..Default::default()
        };
        file.encode_to_vec().into()
    }

    fn gathered(files: Vec<Bytes>) -> Files {
        let mut gathered = Files::default();
        gathered.add_all(FileList { files }).unwrap();
        gathered
    }

    #[test]
    fn files_stand_behind_what_they_import_whatever_the_order_in_which_they_came() {
        let files = gathered(vec![
            file("a", &["b", "c"]),
            file("b", &["c"]),
            file("c", &[]),
            file("a", &["never", "read"]),
        ]);
        let reflected = files.into_reflected();
        assert_eq!(reflected.services, ["shop.A", "shop.B", "shop.C"]);
        let set = Set::decode(reflected.set.as_slice()).unwrap();
        assert_eq!(
            set.files,
            [file("c", &[]), file("b", &["c"]), file("a", &["b", "c"])]
        );
        let pool = DescriptorPool::decode(reflected.set.as_slice()).unwrap();
        assert_eq!(pool.services().len(), 3);
    }

    #[test]
    fn each_import_is_asked_for_once_and_only_if_it_is_not_there() {
        let mut files = gathered(vec![file("a", &["b", "c"]), file("b", &["c", "d"])]);
        assert_eq!(files.next_import().as_deref(), Some("c"));
        files.add(file("c", &["d", "a"])).unwrap();
        assert_eq!(files.next_import().as_deref(), Some("d"));
        assert_eq!(files.next_import(), None);
    }

    #[test]
    fn services_that_import_what_is_not_there_are_named_and_the_others_stay() {
        let reflected = gathered(vec![
            file("a", &["gone"]),
            file("b", &["a"]),
            file("c", &[]),
        ])
        .into_reflected();
        assert_eq!(reflected.services, ["shop.C"]);
        let names: Vec<_> = reflected.undescribed.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["shop.A", "shop.B"]);
        assert!(reflected.undescribed[0].1.contains("imports gone"));
    }

    #[test]
    fn more_files_than_are_taken_are_an_error() {
        let mut files = Files::default();
        let added = (0..=FILES).try_for_each(|number| files.add(file(&format!("f{number}"), &[])));
        assert!(matches!(added, Err(Ended::Unreadable(_))));
    }
}
