use super::*;
use crate::metrics::registry;

/// With the observer, the sockets and what the runtime adds, a connection may take 24 KiB.
const SERVE_LIMIT_BYTES: usize = 2 * 1024;

#[tokio::test]
async fn a_connection_is_small() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let client = TcpStream::connect(address).await.unwrap();
    let metrics = Metrics::register(&mut registry());
    let traffic = metrics.traffic(Leg::Inbound);
    let plane = Plane::new(EngineChoice::Auto, None, None, Recording::Off, metrics);
    let accepted = Accepted {
        client,
        ends: Ends {
            leg: Leg::Inbound,
            src: address,
            dst: address,
        },
        upstream: Upstream::Address(address),
        traffic,
    };
    let size = size_of_val(&serve(plane, accepted));
    assert!(size <= SERVE_LIMIT_BYTES, "{size} bytes");
}
