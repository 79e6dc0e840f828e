//! What every pod gets: raw options in, a checked configuration out.
//!
//! All problems are reported together. Reading flags and environment is the command line's business.

use std::fmt;

use crate::quantity::Quantity;

/// Audience of the tokens that sidecars show to the hub.
pub const DEFAULT_AUDIENCE: &str = "remora-hub";
/// Key of the Secret under which the token lies, and name of the file that the sidecar reads.
pub const TOKEN_KEY: &str = "token";
/// ConfigMap, in each namespace with sidecars, with the authorities that the hub's certificate is checked
/// against under [`CA_KEY`].
pub const CA_CONFIG_MAP: &str = "remora-hub-ca";
/// Key of that ConfigMap, and name of the file that the sidecar reads.
pub const CA_KEY: &str = "ca.crt";
/// Namespace that Remora itself runs in.
pub const DEFAULT_OWN_NAMESPACE: &str = "remora";
/// Where the hub of the chart takes blocks.
pub const DEFAULT_INGEST: &str = "https://remora-hub.remora.svc:8898";

/// Least memory that a sidecar runs in: its capture budget of 32 MiB, its own pages, and connections.
pub(crate) const LEAST_MEMORY_LIMIT: &str = "64Mi";
/// Most memory of a sidecar where nothing is said.
const DEFAULT_MEMORY_LIMIT: &str = "128Mi";

/// What was asked for, as it was written. The defaults are those of the command line.
#[derive(Debug, Clone)]
pub struct Options {
    /// Image of sidecar and init container. There is no default: it has to be the injector's own.
    pub image: String,
    /// `Always`, `IfNotPresent` or `Never`. Default `IfNotPresent`.
    pub image_pull_policy: String,
    /// URL of the hub's ingest port.
    pub ingest: String,
    /// `secret:NAME` or `projected:AUDIENCE`.
    pub token: String,
    /// `native` or `classic`.
    pub sidecars: String,
    /// Namespace that is never injected, beside those of the system.
    pub own_namespace: String,
    /// CPU that a sidecar asks for. Default `10m`.
    pub cpu_request: String,
    /// Most CPU of a sidecar; empty for no limit, which is the default.
    pub cpu_limit: String,
    /// Memory that a sidecar asks for. Default `32Mi`.
    pub memory_request: String,
    /// Most memory of a sidecar, at least `64Mi`; empty for the default: `128Mi`, or as much as it asks for where that is
    /// more.
    pub memory_limit: String,
    /// Runtime classes whose pods are left alone, because their kernel has no nftables.
    pub refused_runtime_classes: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            image: String::new(),
            image_pull_policy: "IfNotPresent".to_owned(),
            ingest: DEFAULT_INGEST.to_owned(),
            token: format!("projected:{DEFAULT_AUDIENCE}"),
            sidecars: "native".to_owned(),
            own_namespace: DEFAULT_OWN_NAMESPACE.to_owned(),
            cpu_request: "10m".to_owned(),
            cpu_limit: String::new(),
            memory_request: "32Mi".to_owned(),
            memory_limit: String::new(),
            refused_runtime_classes: vec!["gvisor".to_owned()],
        }
    }
}

/// A checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Image of sidecar and init container.
    pub image: String,
    /// When the image is pulled.
    pub image_pull_policy: String,
    /// URL of the hub's ingest port.
    pub ingest: String,
    /// How a sidecar shows who it is.
    pub token: Token,
    /// Which kind of container the sidecar is.
    pub sidecars: Sidecars,
    /// Namespace that is never injected.
    pub own_namespace: String,
    /// What a sidecar asks for and may use, where annotations do not say otherwise.
    pub resources: Resources,
    /// Runtime classes whose pods are left alone.
    pub refused_runtime_classes: Vec<String>,
}

/// Where a sidecar has the token from that it shows to the hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// A Secret of this name in the pod's namespace. A pod starts without it too, and ships nothing.
    Secret(String),
    /// The service account's, made for this audience by the kubelet, and renewed.
    Projected(String),
}

impl Config {
    /// Whether sidecars check the hub's certificate.
    pub fn is_over_tls(&self) -> bool {
        self.ingest.starts_with("https://")
    }
}

/// Which kind of container the sidecar is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sidecars {
    /// An init container that goes on running: from Kubernetes 1.29 on every node.
    Native,
    /// A container beside the application's, for older nodes. Jobs would never end, so they are left alone.
    Classic,
}

/// What a sidecar asks for and may use.
#[derive(Debug, Clone)]
pub struct Resources {
    /// CPU that is asked for.
    pub cpu_request: Quantity,
    /// Most CPU; `None` for no limit.
    pub cpu_limit: Option<Quantity>,
    /// Memory that is asked for.
    pub memory_request: Quantity,
    /// Most memory.
    pub memory_limit: Quantity,
}

/// Everything that is wrong with the options, each with its flag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError(pub Vec<String>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

impl Config {
    /// Checks `options`, and reports everything that is wrong with them.
    pub fn check(options: Options) -> Result<Self, ConfigError> {
        let mut problems = Vec::new();
        if options.image.is_empty() || options.image.contains(char::is_whitespace) {
            problems.push(
                "--image: name the image of the sidecar, such as registry.example/remora:0.1.0"
                    .to_owned(),
            );
        }
        if !["Always", "IfNotPresent", "Never"].contains(&options.image_pull_policy.as_str()) {
            problems.push(format!(
                "--image-pull-policy: {:?} is not Always, IfNotPresent or Never",
                options.image_pull_policy
            ));
        }
        let token = token(&options.token, &mut problems);
        let sidecars = sidecars(&options.sidecars, &mut problems);
        if let Err(problem) = ingest(&options.ingest) {
            problems.push(problem);
        }
        let resources = resources(&options, &mut problems);
        match (token, sidecars, resources) {
            (Some(token), Some(sidecars), Some(resources)) if problems.is_empty() => Ok(Self {
                image: options.image,
                image_pull_policy: options.image_pull_policy,
                ingest: options.ingest,
                token,
                sidecars,
                own_namespace: options.own_namespace,
                resources,
                refused_runtime_classes: options.refused_runtime_classes,
            }),
            _ => Err(ConfigError(problems)),
        }
    }
}

fn token(text: &str, problems: &mut Vec<String>) -> Option<Token> {
    match text.split_once(':') {
        Some(("secret", name)) if is_name(name) => Some(Token::Secret(name.to_owned())),
        Some(("projected", audience)) if !audience.is_empty() => {
            Some(Token::Projected(audience.to_owned()))
        }
        _ => {
            problems.push(format!(
                "--hub-token: {text:?} is not a token; it has the form projected:{DEFAULT_AUDIENCE} or secret:NAME"
            ));
            None
        }
    }
}

fn sidecars(text: &str, problems: &mut Vec<String>) -> Option<Sidecars> {
    match text {
        "native" => Some(Sidecars::Native),
        "classic" => Some(Sidecars::Classic),
        _ => {
            problems.push(format!("--sidecars: {text:?} is not native or classic"));
            None
        }
    }
}

/// The sidecar refuses a URL it cannot use, and a pod would not start: so it is refused here.
fn ingest(text: &str) -> Result<(), String> {
    let host = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"))
        .unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._:[]/".contains(c);
    match host.chars().next() {
        Some(first) if first != '/' && first != ':' && host.chars().all(plain) => Ok(()),
        _ => Err(format!(
            "--ingest: {text:?} is not a URL of a hub; it has the form {DEFAULT_INGEST}"
        )),
    }
}

fn resources(options: &Options, problems: &mut Vec<String>) -> Option<Resources> {
    let before = problems.len();
    let mut read = |flag: &str, text: &str| {
        let quantity = Quantity::parse(text);
        if quantity.is_none() {
            problems.push(format!(
                "{flag}: {text:?} is not a quantity, such as 10m or 32Mi"
            ));
        }
        quantity
    };
    let cpu_request = read("--sidecar-cpu-request", &options.cpu_request);
    let memory_request = read("--sidecar-memory-request", &options.memory_request);
    let memory_limit = match options.memory_limit.as_str() {
        "" => Quantity::parse(DEFAULT_MEMORY_LIMIT).max(memory_request.clone()),
        text => read("--sidecar-memory-limit", text),
    };
    let cpu_limit = match options.cpu_limit.as_str() {
        "" => None,
        text => read("--sidecar-cpu-limit", text),
    };
    if cpu_limit.is_some() && cpu_request > cpu_limit {
        problems.push("--sidecar-cpu-request: it is more than --sidecar-cpu-limit".to_owned());
    }
    if let Some(limit) = &memory_limit
        && Some(limit) < Quantity::parse(LEAST_MEMORY_LIMIT).as_ref()
    {
        problems.push(format!(
            "--sidecar-memory-limit: {limit} is too little; the least is {LEAST_MEMORY_LIMIT}"
        ));
    }
    if memory_limit.is_some() && memory_request > memory_limit {
        problems
            .push("--sidecar-memory-request: it is more than --sidecar-memory-limit".to_owned());
    }
    if problems.len() > before {
        return None;
    }
    Some(Resources {
        cpu_request: cpu_request?,
        cpu_limit,
        memory_request: memory_request?,
        memory_limit: memory_limit?,
    })
}

/// Whether Kubernetes takes `text` as the name of a Secret.
fn is_name(text: &str) -> bool {
    let known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    !text.is_empty() && text.len() <= 253 && text.chars().all(known)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

    use test_case::test_case;

    use super::*;

    #[test]
    fn the_defaults_are_good_once_the_image_is_named() {
        let options = Options {
            image: "registry.example/remora:1".to_owned(),
            ..Options::default()
        };
        let config = Config::check(options).unwrap();
        assert_eq!(config.token, Token::Projected("remora-hub".to_owned()));
        assert_eq!(config.sidecars, Sidecars::Native);
    }

    #[test_case("32Mi", "" => Ok("128Mi".to_owned()); "the default")]
    #[test_case("256Mi", "" => Ok("256Mi".to_owned()); "a request beyond the default raises it")]
    #[test_case("32Mi", "64Mi" => Ok("64Mi".to_owned()); "the least")]
    #[test_case("32Mi", "33Mi" => Err("--sidecar-memory-limit: 33Mi is too little; the least is 64Mi".to_owned()); "too little to run in")]
    #[test_case("128Mi", "64Mi" => Err("--sidecar-memory-request: it is more than --sidecar-memory-limit".to_owned()); "less than is asked for")]
    fn the_memory_of_a_sidecar_is_at_most(request: &str, limit: &str) -> Result<String, String> {
        let checked = Config::check(Options {
            image: "registry.example/remora:1".to_owned(),
            memory_request: request.to_owned(),
            memory_limit: limit.to_owned(),
            ..Options::default()
        });
        checked
            .map(|config| config.resources.memory_limit.to_string())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once_with_its_flag() {
        let options = Options {
            image_pull_policy: "sometimes".to_owned(),
            ingest: "hub:8898".to_owned(),
            token: "remora".to_owned(),
            sidecars: "ambient".to_owned(),
            cpu_request: "1".to_owned(),
            cpu_limit: "100m".to_owned(),
            memory_request: "lots".to_owned(),
            ..Options::default()
        };
        let ConfigError(problems) = Config::check(options).unwrap_err();
        let flags = [
            "--image:",
            "--image-pull-policy:",
            "--hub-token:",
            "--sidecars:",
            "--ingest:",
            "--sidecar-memory-request:",
            "--sidecar-cpu-request:",
        ];
        assert_eq!(problems.len(), flags.len(), "{problems:?}");
        for (problem, flag) in problems.iter().zip(flags) {
            assert!(problem.starts_with(flag), "{problem}");
        }
    }
}
