//! Probes that only connect. The sidecar accepts every connection before it knows whether the application
//! does, so they would always succeed; they ask the sidecar's admin port instead, which connects to it.

use serde_json::{Value, json};

use super::ADMIN_PORT;
use super::edits::Edits;
use crate::pod::{Pod, name_of};

/// The probes that a container can have.
const PROBES: [&str; 3] = ["startupProbe", "livenessProbe", "readinessProbe"];

/// A `tcpSocket` probe of the pod's own port.
struct TcpProbe<'a> {
    list: &'static str,
    index: usize,
    container: &'a str,
    probe: &'static str,
    socket: &'a Value,
    port: u64,
}

/// Makes the probes ask the sidecar, which connects to the application; gives what they were, or `None` if
/// there was nothing to rewrite. Ports, names and thresholds stay.
pub(super) fn rewrite(pod: Pod<'_>, edits: &mut Edits<'_>) -> Option<Value> {
    let mut original = Vec::new();
    for found in find(pod) {
        let index = found.index.to_string();
        let path = |field| ["spec", found.list, &index, found.probe, field];
        edits.remove(path("tcpSocket"));
        let target = format!("/probe/tcp/{}", found.port);
        edits.add(
            path("httpGet"),
            json!({"path": target, "port": ADMIN_PORT, "scheme": "HTTP"}),
        );
        original.push(json!({
            "container": found.container, "probe": found.probe, "tcpSocket": found.socket,
        }));
    }
    (!original.is_empty()).then_some(Value::Array(original))
}

fn find(pod: Pod<'_>) -> impl Iterator<Item = TcpProbe<'_>> {
    let lists = [
        ("initContainers", pod.init_containers()),
        ("containers", pod.containers()),
    ];
    let containers = lists.into_iter().flat_map(|(list, containers)| {
        let numbered = containers.iter().enumerate();
        numbered.map(move |(index, container)| (list, index, container))
    });
    containers.flat_map(|(list, index, container)| {
        PROBES.into_iter().filter_map(move |probe| {
            let socket = container.get(probe)?.get("tcpSocket")?;
            Some(TcpProbe {
                list,
                index,
                container: name_of(container),
                probe,
                socket,
                port: own_port(container, socket)?,
            })
        })
    })
}

/// The number of the probed port; `None` if it is another host's, or a name that the container has not.
fn own_port(container: &Value, socket: &Value) -> Option<u64> {
    let elsewhere = socket
        .get("host")
        .and_then(Value::as_str)
        .is_some_and(|host| !host.is_empty());
    let port = socket.get("port").filter(|_| !elsewhere)?;
    let number = match port.as_str() {
        None => port.as_u64(),
        Some(name) => {
            let ports = container.get("ports")?.as_array()?;
            let named = ports.iter().find(|port| name_of(port) == name)?;
            named.get("containerPort")?.as_u64()
        }
    };
    number.filter(|port| (1..=65535).contains(port))
}
