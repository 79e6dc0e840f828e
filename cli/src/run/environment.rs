//! What a program finds in its environment so that its calls come by. Pure.

use std::ffi::OsString;
use std::net::SocketAddr;

/// By which programs know their proxy. curl and others read only the small `http_proxy`, others only the
/// capitals. `ALL_PROXY` is left alone: it would bring FTP and the like, which are none of this proxy's.
const PROXIES: [&str; 4] = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"];

/// What is asked without the proxy. Taken out: calls over loopback are worth recording, and the proxy
/// reaches whatever the program does.
const EXCEPTIONS: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// Has Node 22.21, 24 and newer honour the variables above.
const NODE: &str = "NODE_USE_ENV_PROXY";

/// Options of every Java machine, which knows nothing of the variables above.
const JAVA: &str = "JAVA_TOOL_OPTIONS";

/// The option of Java that says whom to trust. One that is there already is somebody else's to decide.
const JAVA_TRUST: &str = "-Djavax.net.ssl.trustStore=";

/// A variable that a program is given, or that is kept from it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) name: &'static str,
    /// `None` takes it out.
    pub(super) value: Option<OsString>,
}

/// What is different for a program whose calls go through `proxy`, from what it would inherit. `trust` is how
/// it learns of the certificates that it is shown there.
pub(super) fn changes(
    proxy: SocketAddr,
    trust: &[(&'static str, String)],
    inherited: impl Fn(&str) -> Option<OsString>,
) -> Vec<Change> {
    let set = |name, value: OsString| Change {
        name,
        value: Some(value),
    };
    let url = format!("http://{proxy}");
    let proxies = PROXIES.map(|name| set(name, url.clone().into()));
    let exceptions = EXCEPTIONS.map(|name| Change { name, value: None });
    let mut java = inherited(JAVA).unwrap_or_default();
    if !java.is_empty() {
        java.push(" ");
    }
    let has_trust = java.to_string_lossy().contains(JAVA_TRUST);
    java.push(java_options(proxy));
    let mut changes: Vec<Change> = proxies.into_iter().chain(exceptions).collect();
    for (name, value) in trust {
        match *name {
            JAVA if has_trust => {}
            JAVA => {
                java.push(" ");
                java.push(value);
            }
            name => changes.push(set(name, value.into())),
        }
    }
    changes.extend([set(NODE, "1".into()), set(JAVA, java)]);
    changes
}

/// The last of two equal options counts; an empty list of exceptions takes out the usual ones, which are
/// those of loopback.
fn java_options(proxy: SocketAddr) -> String {
    let (host, port) = (proxy.ip(), proxy.port());
    format!(
        "-Dhttp.proxyHost={host} -Dhttp.proxyPort={port} -Dhttps.proxyHost={host} -Dhttps.proxyPort={port} \
         -Dhttp.nonProxyHosts="
    )
}

/// The proxy that the program would have used, if it is told of one.
pub(super) fn proxy_passed_by(
    inherited: impl Fn(&str) -> Option<OsString>,
) -> Option<&'static str> {
    PROXIES
        .into_iter()
        .find(|name| inherited(name).is_some_and(|value| !value.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy() -> SocketAddr {
        "127.0.0.1:4000".parse().unwrap()
    }

    fn value(changes: &[Change], name: &str) -> Option<String> {
        let change = changes.iter().find(|change| change.name == name).unwrap();
        change
            .value
            .clone()
            .map(|value| value.into_string().unwrap())
    }

    #[test]
    fn both_spellings_name_the_proxy_and_nothing_is_excepted() {
        let changes = changes(proxy(), &[], |_| Some("inherited".into()));
        for name in PROXIES {
            assert_eq!(value(&changes, name).unwrap(), "http://127.0.0.1:4000");
        }
        for name in EXCEPTIONS {
            assert_eq!(value(&changes, name), None);
        }
    }

    #[test]
    fn options_of_java_that_are_there_stay() {
        let changes = changes(proxy(), &[], |name| (name == JAVA).then(|| "-Xmx1g".into()));
        let options = value(&changes, JAVA).unwrap();
        assert!(
            options.starts_with("-Xmx1g -Dhttp.proxyHost=127.0.0.1 "),
            "{options}"
        );
        assert!(options.ends_with(" -Dhttp.nonProxyHosts="), "{options}");
    }

    #[test]
    fn certificates_are_found_by_all_but_a_java_that_has_its_own() {
        let trust = [
            ("SSL_CERT_FILE", "/ca/bundle.pem".to_owned()),
            (JAVA, format!("{JAVA_TRUST}/ca/truststore.jks")),
        ];
        let given = changes(proxy(), &trust, |_| None);
        assert_eq!(value(&given, "SSL_CERT_FILE").unwrap(), "/ca/bundle.pem");
        let options = value(&given, JAVA).unwrap();
        assert!(
            options.ends_with(" -Djavax.net.ssl.trustStore=/ca/truststore.jks"),
            "{options}"
        );
        let own = |name: &str| (name == JAVA).then(|| format!("{JAVA_TRUST}/own.jks").into());
        let options = value(&changes(proxy(), &trust, own), JAVA).unwrap();
        assert_eq!(options.matches(JAVA_TRUST).count(), 1, "{options}");
    }

    #[test]
    fn a_proxy_that_is_passed_by_is_named() {
        assert_eq!(proxy_passed_by(|_| None), None);
        assert_eq!(proxy_passed_by(|_| Some("".into())), None);
        let inherited = |name: &str| (name == "https_proxy").then(|| "http://corp:3128".into());
        assert_eq!(proxy_passed_by(inherited), Some("https_proxy"));
    }
}
