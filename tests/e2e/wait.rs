//! Waiting for facts.

use std::time::{Duration, Instant};

const BEAT: Duration = Duration::from_millis(150);

/// Asks until the answer is `Ok`.
///
/// # Panics
/// After `limit`, with the last answer.
pub(crate) async fn until<T>(what: &str, limit: Duration, mut ask: impl AsyncFnMut() -> Result<T, String>) -> T {
    let begun = Instant::now();
    loop {
        match ask().await {
            Ok(found) => return found,
            Err(answer) => assert!(begun.elapsed() < limit, "{what}: not within {limit:?}; the last answer: {answer}"),
        }
        tokio::time::sleep(BEAT).await;
    }
}

/// As an answer to [`until`].
pub(crate) fn holds(condition: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if condition { Ok(()) } else { Err(otherwise()) }
}
