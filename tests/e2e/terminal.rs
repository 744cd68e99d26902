//! Answering at a terminal.

use std::time::Duration;

use expectrl::process::unix::WaitStatus;
use expectrl::{Eof, Expect, Session};

use crate::place::Place;
use crate::process::to_kubernetes;

/// A question comes at once, and so does the end after an answer; removing a cluster takes longest.
const LIMIT: Duration = Duration::from_secs(120);

impl Place {
    /// Runs a verb at a terminal, and types a line when it shows `question`. Answers with the exit code and all that it
    /// has shown.
    pub(crate) fn at_terminal(&self, args: &[&str], question: &str, answer: &str) -> (i32, String) {
        let mut command = self.command(&to_kubernetes(args));
        command.env("TERM", "xterm");
        tokio::task::block_in_place(|| {
            let mut session = Session::spawn(command).unwrap();
            session.get_process_mut().set_window_size(120, 40).unwrap();
            session.set_expect_timeout(Some(LIMIT));
            let asked = session.expect(question).unwrap();
            let mut shown = String::from_utf8_lossy(asked.as_bytes()).into_owned();
            session.send_line(answer).unwrap();
            let rest = session.expect(Eof).unwrap();
            shown.push_str(&String::from_utf8_lossy(rest.as_bytes()));
            let WaitStatus::Exited(_, code) = session.get_process().wait().unwrap() else {
                panic!("it did not end by itself:\n{shown}")
            };
            (code, shown)
        })
    }
}
