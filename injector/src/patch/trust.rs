//! What has the application's clients trust a sidecar that looks into their TLS: certificates that it writes into
//! a volume, and the variables that lead there. Nothing that a container sets itself is touched.

use serde_json::{Value, json};

use super::edits::Edits;
use super::{CA_VOLUME, PROXY_CONTAINER};
use crate::annotations::INTERCEPT_TLS;
use crate::config::Sidecars;
use crate::pod::{Pod, name_of};

/// Where the certificates are mounted, in the sidecar and beside it.
pub(super) const CA_DIR: &str = "/var/run/remora/ca";
/// Most that they may take up.
const CA_SIZE: &str = "8Mi";

/// The variables by which clients find the certificates, as the sidecar's own list has them: a test compares.
pub const VARIABLES: &[(&str, &str)] = &[
    ("SSL_CERT_DIR", "/var/run/remora/ca/certs:/etc/ssl/certs"),
    ("GIT_SSL_CAPATH", "/var/run/remora/ca/certs"),
    ("NODE_EXTRA_CA_CERTS", "/var/run/remora/ca/ca.pem"),
    ("DENO_CERT", "/var/run/remora/ca/ca.pem"),
    ("REQUESTS_CA_BUNDLE", "/var/run/remora/ca/bundle.pem"),
    ("PIP_CERT", "/var/run/remora/ca/bundle.pem"),
    ("AWS_CA_BUNDLE", "/var/run/remora/ca/bundle.pem"),
    (
        "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE",
        "/var/run/remora/ca/bundle.pem",
    ),
    ("HTTPLIB2_CA_CERTS", "/var/run/remora/ca/bundle.pem"),
    (
        "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
        "/var/run/remora/ca/bundle.pem",
    ),
];

/// Variables of ours, each with those that its clients would not look at any more for it, of which the container may say
/// more.
const YIELDING: &[(&str, &[&str])] = &[
    // curl and httpx.
    ("SSL_CERT_DIR", &["SSL_CERT_FILE"]),
    // requests.
    ("REQUESTS_CA_BUNDLE", &["CURL_CA_BUNDLE"]),
    // pip, by requests and, since it asks the system, by OpenSSL.
    (
        "PIP_CERT",
        &[
            "REQUESTS_CA_BUNDLE",
            "CURL_CA_BUNDLE",
            "SSL_CERT_FILE",
            "SSL_CERT_DIR",
        ],
    ),
    // botocore asks requests' variable second; the SDKs for Go and Ruby ask their system.
    (
        "AWS_CA_BUNDLE",
        &["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"],
    ),
    // gcloud goes by requests, and by httplib2.
    (
        "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE",
        &["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "HTTPLIB2_CA_CERTS"],
    ),
    (
        "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
        &["GRPC_SYSTEM_SSL_ROOTS_DIR"],
    ),
];

/// The volume that the sidecar writes to.
pub(super) fn volume() -> Value {
    json!({"name": CA_VOLUME, "emptyDir": {"sizeLimit": CA_SIZE}})
}

/// Gives volume and variables to the containers that start after the sidecar; to be called before any is
/// inserted, since containers are named by their place.
pub(super) fn give(
    pod: Pod<'_>,
    sidecars: Sidecars,
    edits: &mut Edits<'_>,
    warnings: &mut Vec<String>,
) {
    let lists = match sidecars {
        Sidecars::Native => vec![
            ("initContainers", pod.init_containers()),
            ("containers", pod.containers()),
        ],
        // Init containers end before the sidecar writes anything.
        Sidecars::Classic => vec![("containers", pod.containers())],
    };
    for (list, containers) in lists {
        for (index, container) in containers.iter().enumerate() {
            match obstacle(container) {
                None => add(list, index, container, edits),
                Some(obstacle) => warnings.push(format!(
                    "{INTERCEPT_TLS}: container {:?} {obstacle}; its clients are not told to trust {PROXY_CONTAINER}",
                    name_of(container)
                )),
            }
        }
    }
}

/// Why a container is left as it is.
fn obstacle(container: &Value) -> Option<&'static str> {
    let list = |name| container.get(name).and_then(Value::as_array);
    // What they set is not known here, and a variable of ours would win.
    if list("envFrom").is_some_and(|sources| !sources.is_empty()) {
        return Some("takes variables from elsewhere (envFrom)");
    }
    let path = |mount: &Value| mount.get("mountPath").and_then(Value::as_str) == Some(CA_DIR);
    if list("volumeMounts").is_some_and(|mounts| mounts.iter().any(path)) {
        return Some("mounts a volume of its own at that place");
    }
    None
}

fn add(list: &str, index: usize, container: &Value, edits: &mut Edits<'_>) {
    let set = container.get("env").and_then(Value::as_array);
    let is_set = |name: &str| set.is_some_and(|set| set.iter().any(|one| name_of(one) == name));
    let yields = |name: &str| {
        YIELDING
            .iter()
            .any(|(ours, theirs)| *ours == name && theirs.iter().any(|theirs| is_set(theirs)))
    };
    let variables = VARIABLES
        .iter()
        .filter(|(name, _)| !is_set(name) && !yields(name))
        .map(|(name, value)| json!({"name": name, "value": value}));
    let mount = json!({"name": CA_VOLUME, "mountPath": CA_DIR, "readOnly": true});
    append(list, index, container, "env", variables.collect(), edits);
    append(list, index, container, "volumeMounts", vec![mount], edits);
}

/// Adds to a list of a container, which is made if it is not there.
fn append(
    list: &str,
    index: usize,
    container: &Value,
    field: &str,
    items: Vec<Value>,
    edits: &mut Edits<'_>,
) {
    let index = index.to_string();
    let there = container.get(field).and_then(Value::as_array);
    if there.is_none_or(Vec::is_empty) {
        return edits.add(["spec", list, &index, field], Value::Array(items));
    }
    for item in items {
        edits.add(["spec", list, &index, field, "-"], item);
    }
}
