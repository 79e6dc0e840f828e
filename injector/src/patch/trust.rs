//! What has the application's clients trust a sidecar that looks into their TLS: certificates that it writes into
//! a volume, and the variables that lead there. Nothing that a container sets itself is touched.

use std::path::Path;

use serde_json::{Value, json};

use super::edits::Edits;
use super::{CA_VOLUME, PROXY_CONTAINER};
use crate::annotations::{INTERCEPT_TLS, shown};
use crate::config::Sidecars;
use crate::pod::{Pod, name_of};

/// Where the certificates are mounted, in the sidecar and beside it.
pub(super) const CA_DIR: &str = "/var/run/remora/ca";
/// The same place in images whose `/var/run` leads to `/run`, as most do.
const CA_DIR_BY_LINK: &str = "/run/remora/ca";
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
            match obstacle(pod, container) {
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
fn obstacle(pod: Pod<'_>, container: &Value) -> Option<String> {
    let list = |name| container.get(name).and_then(Value::as_array);
    // What they set is not known here, and a variable of ours would win.
    if list("envFrom").is_some_and(|sources| !sources.is_empty()) {
        return Some("takes variables from elsewhere (envFrom)".to_owned());
    }
    let mut mounts = list("volumeMounts").into_iter().flatten();
    let in_the_way = mounts.find(|mount| is_in_the_way(pod, mount))?;
    let path = shown(in_the_way.get("mountPath")?.as_str()?);
    Some(format!(
        "mounts a volume of its own at {path}, so that {CA_DIR} cannot be mounted"
    ))
}

/// Whether a mount is at the place of ours or below, or above it and no folder can be made in it for ours: the container
/// would not start, or something of somebody else's would be changed.
fn is_in_the_way(pod: Pod<'_>, mount: &Value) -> bool {
    let path = mount.get("mountPath").and_then(Value::as_str);
    let path = Path::new(path.unwrap_or_default());
    let ours = [Path::new(CA_DIR), Path::new(CA_DIR_BY_LINK)];
    let is_above = ours.iter().any(|ours| ours.starts_with(path));
    ours.iter().any(|ours| path.starts_with(ours)) || is_above && !is_scratch(pod, mount)
}

/// Whether it is of a volume that is made for the pod alone, and may be written to.
fn is_scratch(pod: Pod<'_>, mount: &Value) -> bool {
    let mut volumes = pod.list("/spec/volumes").iter();
    let volume = volumes.find(|volume| name_of(volume) == name_of(mount));
    let is_read_only = mount.get("readOnly").and_then(Value::as_bool) == Some(true);
    volume.is_some_and(|volume| volume.get("emptyDir").is_some()) && !is_read_only
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
