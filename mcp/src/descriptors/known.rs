//! What is known of services while the hub runs: from files that were read at start, and from servers
//! that are asked again and again. Each source stands for itself, so that two servers may have a
//! different file of the same name.

use std::sync::{Mutex, MutexGuard, PoisonError};

use prost_reflect::DescriptorPool;
use serde::Serialize;
use utoipa::ToSchema;

use super::Descriptors;
use crate::clock::{now_ns, rfc3339};
use crate::reflection::{Reflected, Server};

/// Most names of services without a description that are told of a server.
const NAMES: usize = 20;

/// Everything that is known.
#[derive(Debug, Default)]
pub struct Known {
    given: Descriptors,
    servers: Mutex<Vec<Asked>>,
}

/// A server that is asked.
#[derive(Debug)]
struct Asked {
    server: Server,
    /// What it said last; it stays while the server is away.
    described: Option<Described>,
    answered_ns: Option<i64>,
    /// Why the last try failed.
    error: Option<String>,
}

/// What a server said, linked.
#[derive(Debug, Clone)]
pub(crate) struct Described {
    pool: DescriptorPool,
    /// How many services it described.
    pub(crate) services: usize,
    /// Those that it has and did not describe.
    pub(crate) undescribed: Vec<String>,
}

/// A server of `--reflection`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReflectedServer)]
pub struct ReflectedServer {
    /// Its address.
    pub server: String,
    /// How many services it described.
    pub services: usize,
    /// Services that it has and did not describe, 20 of them at most.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub undescribed: Vec<String>,
    /// When it answered last.
    pub answered: Option<String>,
    /// Why the last try failed; it is asked again.
    pub error: Option<String>,
}

impl Described {
    /// Links the files that a server gave.
    ///
    /// # Errors
    ///
    /// They do not fit together.
    pub(crate) fn new(reflected: Reflected) -> Result<Self, String> {
        let pool = DescriptorPool::decode(reflected.set.as_slice());
        let undescribed = reflected.undescribed.into_iter();
        Ok(Self {
            pool: pool.map_err(|error| format!("link what it serves: {error}"))?,
            services: reflected.services.len(),
            undescribed: undescribed
                .map(|(service, _)| service)
                .take(NAMES)
                .collect(),
        })
    }
}

impl Known {
    /// What files said, and servers that have not been asked yet.
    pub fn new(given: Descriptors, servers: &[Server]) -> Self {
        let unasked = |server: &Server| Asked {
            server: server.clone(),
            described: None,
            answered_ns: None,
            error: None,
        };
        Self {
            given,
            servers: Mutex::new(servers.iter().map(unasked).collect()),
        }
    }

    /// What is known now. Files come first, then servers in the order of their flags.
    pub fn now(&self) -> Descriptors {
        let mut known = self.given.clone();
        let servers = self.servers();
        let described = servers.iter().filter_map(|asked| asked.described.as_ref());
        known
            .0
            .extend(described.map(|described| described.pool.clone()));
        known
    }

    /// Notes what a server answered; says whether that is news.
    pub(crate) fn note(&self, server: &Server, answer: Result<Described, String>) -> bool {
        let mut servers = self.servers();
        let Some(asked) = servers.iter_mut().find(|asked| asked.server == *server) else {
            return false;
        };
        match answer {
            Ok(described) => {
                let before = asked.described.as_ref();
                let is_same = before.is_some_and(|before| {
                    before.services == described.services
                        && before.undescribed == described.undescribed
                });
                asked.answered_ns = Some(now_ns());
                asked.described = Some(described);
                asked.error.take().is_some() || !is_same
            }
            Err(error) => {
                let before = asked.error.replace(error);
                before != asked.error
            }
        }
    }

    /// How asking goes, a server each.
    pub fn asked(&self) -> Vec<ReflectedServer> {
        let servers = self.servers();
        let told = servers.iter().map(|asked| {
            let described = asked.described.as_ref();
            ReflectedServer {
                server: asked.server.to_string(),
                services: described.map_or(0, |described| described.services),
                undescribed: described.map_or(Vec::new(), |it| it.undescribed.clone()),
                answered: asked.answered_ns.map(rfc3339),
                error: asked.error.clone(),
            }
        });
        told.collect()
    }

    fn servers(&self) -> MutexGuard<'_, Vec<Asked>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(services: usize) -> Result<Described, String> {
        Ok(Described {
            pool: DescriptorPool::new(),
            services,
            undescribed: Vec::new(),
        })
    }

    #[test]
    fn what_a_server_said_stays_while_it_is_away_and_only_changes_are_news() {
        let server: Server = "orders:50051".parse().unwrap();
        let known = Known::new(Descriptors::default(), std::slice::from_ref(&server));
        let away = || Err("connect to orders:50051: refused".to_owned());
        let answers = [
            (away(), true),
            (away(), false),
            (described(2), true),
            (described(2), false),
            (away(), true),
            (described(2), true),
            (described(3), true),
        ];
        for (answer, is_news) in answers {
            let failed = answer.is_err();
            assert_eq!(known.note(&server, answer), is_news);
            assert_eq!(known.asked()[0].error.is_some(), failed);
        }
        known.note(&server, away());
        assert_eq!(known.asked()[0].services, 3);
        assert_eq!(known.now().0.len(), 1);
    }
}
