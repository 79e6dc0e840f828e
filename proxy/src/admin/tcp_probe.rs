//! Probes that connect to the application on behalf of the kubelet.
//!
//! The sidecar accepts every connection that is redirected to it, so that a `tcpSocket` probe beside it
//! tells nothing. The injector makes such a probe ask here: the sidecar's own connections are not
//! redirected, and succeed where the application listens.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::connect_info::{ConnectInfo, Connected};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::serve::IncomingStream;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// Most connections that are made at a time. A pod has a few probes, each every second at the most.
const PROBES: usize = 32;

/// How long a connection may take. The kubelet's own timeout is one second by default; when it gives up
/// before, the connection is given up too.
const CONNECT_WAIT: Duration = Duration::from_secs(10);

/// Our address on a connection to the admin port: the pod's, which is where a kubelet connects to.
#[derive(Debug, Clone, Copy)]
pub(super) struct PodAddress(Option<IpAddr>);

impl Connected<IncomingStream<'_, TcpListener>> for PodAddress {
    fn connect_info(stream: IncomingStream<'_, TcpListener>) -> Self {
        let local = stream.io().local_addr().ok();
        Self(local.map(|address| address.ip().to_canonical()))
    }
}

/// How many more connections may be made. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Probes(Arc<Semaphore>);

impl Default for Probes {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(PROBES)))
    }
}

/// `GET /probe/tcp/PORT`: 200 if the application takes connections there, 503 with the reason if not.
pub(super) async fn probe(
    ConnectInfo(PodAddress(pod)): ConnectInfo<PodAddress>,
    Path(port): Path<String>,
    State(probes): State<Probes>,
) -> (StatusCode, String) {
    let refuse = |reason: String| (StatusCode::SERVICE_UNAVAILABLE, reason + "\n");
    let Ok(port) = port.parse::<NonZeroU16>() else {
        let problem = format!("{port:?} is no port, which is 1 to 65535: /probe/tcp/8080\n");
        return (StatusCode::BAD_REQUEST, problem);
    };
    let Some(pod) = pod else {
        return refuse("the address of the pod is not known".to_owned());
    };
    let Ok(_permit) = probes.0.try_acquire() else {
        return refuse(format!("{PROBES} probes are under way already"));
    };
    let address = SocketAddr::new(pod, port.get());
    match tokio::time::timeout(CONNECT_WAIT, TcpStream::connect(address)).await {
        Ok(Ok(_)) => (StatusCode::OK, format!("connected to {address}\n")),
        Ok(Err(error)) => refuse(format!("connect to {address}: {error}")),
        Err(_) => refuse(format!(
            "connect to {address}: no answer in {} s",
            CONNECT_WAIT.as_secs()
        )),
    }
}
