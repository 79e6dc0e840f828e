//! A hub that a bridge speaks to.

use std::time::{Duration, Instant};

use crate::support::process::{HubPlace, Running};

/// Starts a hub and waits until it listens.
pub fn ready(place: &HubPlace, more: &[&str]) -> Running {
    let hub = place.start_on("127.0.0.1", more);
    let deadline = Instant::now() + Duration::from_secs(30);
    while std::net::TcpStream::connect(("127.0.0.1", place.api_port)).is_err() {
        assert!(Instant::now() < deadline, "the hub does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
    hub
}
