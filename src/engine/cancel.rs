//! Ctrl-C: the first asks the run to stop, the second leaves.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::Events;
use super::event::Level;
use crate::exit;

/// A terminal that does not take output must not keep a user from leaving.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// From now on the first SIGINT or SIGTERM cancels `token`, and the second ends the process with exit code 130.
///
/// # Errors
/// The process cannot register for the signals.
pub fn listen(token: CancellationToken, events: Events) -> io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        let mut any = async || tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} };
        any().await;
        // In this order: a run that stops at once would close its views before the notice.
        events.notice(Level::Warning, "stopping at the next safe point; press Ctrl-C again to leave at once");
        token.cancel();
        any().await;
        leave(&events).await;
    });
    Ok(())
}

#[expect(clippy::exit, reason = "a second Ctrl-C must end the process whatever it is doing")]
async fn leave(events: &Events) {
    events.notice(Level::Warning, "left at once; the same command continues from there");
    // Only the screen and the journal are at stake, so a timeout changes nothing.
    let _ = tokio::time::timeout(LAST_WORDS, events.finish()).await;
    std::process::exit(i32::from(exit::INTERRUPTED));
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::process::{Command, Stdio};

    use super::super::event::Stamped;
    use super::super::{Sink, journal};
    use super::*;

    const CHILD: &str = "GALERACTL_TEST_SIGNALS";

    struct Lines;

    impl Sink for Lines {
        fn name(&self) -> String {
            "stderr".into()
        }

        fn event(&mut self, event: &Stamped) -> io::Result<()> {
            writeln!(io::stderr(), "{event:?}")
        }
    }

    /// Run by the test below in a process of its own, since a second signal ends it.
    #[tokio::test]
    async fn child() {
        if std::env::var_os(CHILD).is_none() {
            return;
        }
        let events = journal::start(Box::new(Lines), "run", |name| std::env::var_os(name));
        let token = CancellationToken::new();
        listen(token.clone(), events.clone()).unwrap();
        events.notice(Level::Info, "ready");
        token.cancelled().await;
        // A step that does not come to its safe point.
        std::future::pending::<()>().await;
    }

    #[test]
    fn the_first_signal_asks_and_the_second_leaves() {
        let home = tempfile::tempdir().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "engine::cancel::tests::child", "--nocapture"])
            .env(CHILD, "1")
            .env("XDG_STATE_HOME", home.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let pid = child.id().to_string();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
        let mut said = |text: &str| lines.by_ref().find(|line| line.contains(text)).unwrap();
        let kill = |signal| assert!(Command::new("kill").args([signal, pid.as_str()]).status().unwrap().success());
        said("ready");
        kill("-TERM");
        said("stopping at the next safe point");
        kill("-INT");
        said("left at once");
        assert_eq!(child.wait().unwrap().code(), Some(130));
        let (_, journal): (_, Vec<Stamped>) = journal::read(&home.path().join("galeractl/runs"), "run").unwrap();
        assert_eq!(journal.len(), 3);
    }
}
