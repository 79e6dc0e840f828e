//! Options that are checked one by one, while everything that is wrong is gathered.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use hyper::Uri;

use super::parse;
use super::{ADMIN_PORT, Config, ConfigError, Map, Problem};
use crate::tls::{Names, Settings};

/// Gathers what is wrong, so that it can be said all at once.
#[derive(Default)]
pub(super) struct Check {
    problems: Vec<Problem>,
}

impl Check {
    pub(super) fn fail(&mut self, field: &'static str, message: impl Into<String>) {
        self.problems.push(Problem {
            field,
            message: message.into(),
        });
    }

    pub(super) fn take<T>(&mut self, field: &'static str, result: Result<T, String>) -> Option<T> {
        result.map_err(|message| self.fail(field, message)).ok()
    }

    pub(super) fn maps(&mut self, texts: &[String]) -> Vec<Map> {
        let mut maps: Vec<Map> = Vec::new();
        for text in texts {
            let Some(parsed) = self.take("--map", parse::map(text)) else {
                continue;
            };
            let taken = |map: &&Map| map.listen == parsed.listen && parsed.listen.port() != 0;
            if maps.iter().any(|map| taken(&map)) {
                self.fail("--map", format!("{} is listened on twice", parsed.listen));
            }
            maps.push(parsed);
        }
        maps
    }

    pub(super) fn forward(&mut self, text: Option<&str>, maps: &[Map]) -> Option<SocketAddr> {
        let listen = self.take("--forward", parse::listen(text?))?;
        if listen.port() != 0 && maps.iter().any(|map| map.listen == listen) {
            self.fail("--forward", format!("{listen} is listened on by --map"));
        }
        Some(listen)
    }

    pub(super) fn pod_ips(&mut self, texts: &[String]) -> Vec<IpAddr> {
        let parse = |text: &String| {
            let wrong = |_| format!("{text:?} is not an IP address");
            text.parse::<IpAddr>().map_err(wrong)
        };
        texts
            .iter()
            .filter_map(|text| self.take("--pod-ip", parse(text)))
            .collect()
    }

    pub(super) fn admin(&mut self, text: Option<&str>, in_pod: bool) -> Option<SocketAddr> {
        match text {
            Some("off") => None,
            Some(text) => self.take(
                "--admin",
                parse::address(text).map_err(|message| format!("{message}, or `off`")),
            ),
            // The kubelet and Prometheus come from outside the pod.
            None if in_pod => Some((Ipv6Addr::UNSPECIFIED, ADMIN_PORT).into()),
            None => Some((Ipv4Addr::LOCALHOST, ADMIN_PORT).into()),
        }
    }

    pub(super) fn ingest(&mut self, text: &str, has_authorities: bool) -> Uri {
        let uri = self.take("--ingest", parse::url(text)).unwrap_or_default();
        match (uri.scheme_str(), has_authorities) {
            (Some("https"), false) => self.fail(
                "--ingest",
                format!("{text} needs --ingest-ca FILE, the authorities that the hub's certificate is checked against"),
            ),
            // Whoever gives authorities takes the way to the hub for encrypted.
            (Some("http"), true) => self.fail(
                "--ingest-ca",
                format!("it is of no use with {text}; did you mean {}?", text.replacen("http", "https", 1)),
            ),
            _ => {}
        }
        uri
    }

    pub(super) fn interception(
        &mut self,
        names: Option<&str>,
        (upstream_ca, upstream_ca_optional): (Option<PathBuf>, bool),
        clients_ca: Vec<PathBuf>,
        ca_dir: Option<PathBuf>,
    ) -> Option<Settings> {
        if upstream_ca_optional && upstream_ca.is_none() {
            self.fail(
                "--upstream-ca-optional",
                "it is of no use without --upstream-ca FILE",
            );
        }
        let Some(names) = names else {
            let alone = [("--upstream-ca", &upstream_ca), ("--ca-dir", &ca_dir)];
            for (field, _) in alone.into_iter().filter(|(_, given)| given.is_some()) {
                self.fail(field, "it is of no use without --intercept-tls NAMES");
            }
            return None;
        };
        let names = Names::parse(names).map_err(|err| err.to_string());
        Some(Settings {
            names: self.take("--intercept-tls", names)?,
            upstream_ca,
            upstream_ca_optional,
            clients_ca,
            ca_dir,
        })
    }

    pub(super) fn size(
        &mut self,
        field: &'static str,
        text: &str,
        least: usize,
        most: usize,
    ) -> usize {
        self.take(field, parse::size(text, least, most))
            .unwrap_or_default()
    }

    pub(super) fn finish(self, config: Config) -> Result<Config, ConfigError> {
        if self.problems.is_empty() {
            return Ok(config);
        }
        Err(ConfigError {
            problems: self.problems,
        })
    }
}
