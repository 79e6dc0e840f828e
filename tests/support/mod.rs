//! Running the program and speaking to it.

pub mod api;
pub mod hosts;
pub mod kubernetes;
pub mod mcp;
pub mod namespaces;
pub mod origin;
pub mod postgres;
pub mod process;
pub mod programs;
pub mod relay;
pub mod spoken;

use std::time::{Duration, Instant};

/// Asks until the answer is there; fails with `what` after half a minute.
pub async fn eventually<T, F>(what: &str, mut ask: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(
            Instant::now() < deadline,
            "{what} did not happen within 30 s"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Says in one line that a test cannot run here; a failure where every test is required.
pub fn left_out(why: &str) {
    assert_ne!(
        std::env::var("REMORA_REQUIRE").as_deref(),
        Ok("all"),
        "left out: {why}"
    );
    eprintln!("left out: {why}");
}
