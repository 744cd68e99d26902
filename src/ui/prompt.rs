//! Questions before something that cannot be taken back. They never hang where nobody can answer.

use std::io::{BufRead, BufReader};

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::Ui;
use crate::error::{Failure, Kind, Result};

fn declined(why: String) -> Failure {
    Failure::message(Kind::Declined, why)
}

/// The answer given on the command line, if there is one.
fn given_name(expected: &str, given: &str) -> Result<()> {
    if given == expected {
        return Ok(());
    }
    Err(declined(format!("`--confirm {given}` does not name `{expected}`; nothing was changed")))
}

fn typed_name(expected: &str, typed: Option<&str>) -> Result<()> {
    match typed.map(str::trim) {
        Some(name) if name == expected => Ok(()),
        None | Some("") => Err(declined("not confirmed; nothing was changed".into())),
        Some(name) => Err(declined(format!("`{name}` is not `{expected}`; nothing was changed"))),
    }
}

fn typed_yes(typed: Option<&str>) -> Result<()> {
    match typed.map(|text| text.trim().to_ascii_lowercase()).as_deref() {
        Some("y" | "yes") => Ok(()),
        _ => Err(declined("declined; nothing was changed".into())),
    }
}

/// Reads one line; nothing at the end of the input.
async fn line(input: impl BufRead + Send + 'static, cancel: &CancellationToken) -> Result<Option<String>> {
    let (sender, receiver) = oneshot::channel();
    // A thread of its own: the runtime would wait for a blocking task at the end, and Ctrl-C would not get through.
    std::thread::spawn(move || {
        let mut input = input;
        let mut text = String::new();
        let read = input.read_line(&mut text).is_ok_and(|bytes| bytes > 0);
        // Nobody listens any more after Ctrl-C.
        let _ = sender.send(read.then_some(text));
    });
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(Failure::message(Kind::Interrupted, "interrupted; nothing was changed")),
        text = receiver => Ok(text.unwrap_or_default()),
    }
}

impl Ui {
    /// Asks for a name to be typed before data is destroyed. `what` says what would be lost, in full lines. `given` is
    /// the value of `--confirm`, which answers in advance.
    ///
    /// # Errors
    /// Declined, also where there is no terminal to ask on; interrupted.
    pub async fn confirm_name(
        &self,
        expected: &str,
        what: &str,
        given: Option<&str>,
        cancel: &CancellationToken,
    ) -> Result<()> {
        if let Some(given) = given {
            given_name(expected, given)?;
            self.tell_what(what);
            return Ok(());
        }
        if !self.can_ask() {
            let failure =
                declined(format!("this needs the name `{expected}` as confirmation, and nobody can be asked"));
            return Err(failure.hint(format!("add --confirm {expected}, after reading what would be lost")));
        }
        self.say(what);
        self.ask(&format!("Type {expected} to go on: "));
        let typed = line(BufReader::new(std::io::stdin()), cancel).await?;
        typed_name(expected, typed.as_deref())
    }

    /// Asks a question whose answer is no unless it is yes. `assumed` is the flag `--yes`.
    ///
    /// # Errors
    /// Declined, also where there is no terminal to ask on; interrupted.
    pub async fn yes_no(&self, question: &str, assumed: bool, cancel: &CancellationToken) -> Result<()> {
        if assumed {
            return Ok(());
        }
        if !self.can_ask() {
            let failure = declined(format!("`{question}` needs an answer, and nobody can be asked"));
            return Err(failure.hint("add --yes to go on without being asked"));
        }
        self.ask(&format!("{question} [y/N]: "));
        typed_yes(line(BufReader::new(std::io::stdin()), cancel).await?.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Read};

    use super::*;
    use crate::ui::{Options, Progress};

    fn why(result: Result<()>) -> String {
        let failure = result.unwrap_err();
        assert_eq!(failure.kind, Kind::Declined);
        failure.to_string()
    }

    #[test]
    fn only_the_exact_name_is_a_yes() {
        assert!(typed_name("shop", Some("shop\n")).is_ok() && given_name("shop", "shop").is_ok());
        assert_eq!(why(typed_name("shop", Some("Shop\n"))), "`Shop` is not `shop`; nothing was changed");
        assert_eq!(why(typed_name("shop", Some("\n"))), "not confirmed; nothing was changed");
        assert_eq!(why(typed_name("shop", None)), "not confirmed; nothing was changed");
        assert_eq!(why(given_name("shop", "y")), "`--confirm y` does not name `shop`; nothing was changed");
        assert!(typed_yes(Some("Yes\n")).is_ok() && typed_yes(Some("y")).is_ok());
        assert_eq!(why(typed_yes(Some("sure\n"))), "declined; nothing was changed");
    }

    #[tokio::test]
    async fn without_a_terminal_nothing_is_asked() {
        // Machines are never asked, whatever the tests are run on.
        let ui = Ui::new(Options { progress: Progress::Json, ..Options::default() });
        let cancel = CancellationToken::new();
        let failure = ui.confirm_name("shop", "two volumes", None, &cancel).await.unwrap_err();
        assert_eq!((failure.kind, failure.hints.len()), (Kind::Declined, 1));
        assert!(ui.confirm_name("shop", "two volumes", Some("shop"), &cancel).await.is_ok());
        assert_eq!(ui.yes_no("Go on?", false, &cancel).await.unwrap_err().kind, Kind::Declined);
        assert!(ui.yes_no("Go on?", true, &cancel).await.is_ok());
    }

    #[tokio::test]
    async fn lines_end_with_the_input_and_with_ctrl_c() {
        /// A user who says nothing.
        struct Silent;
        impl Read for Silent {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                std::thread::park();
                Ok(0)
            }
        }
        let cancel = CancellationToken::new();
        assert_eq!(line(Cursor::new("shop\nmore"), &cancel).await.unwrap().as_deref(), Some("shop\n"));
        assert_eq!(line(Cursor::new(""), &cancel).await.unwrap(), None);
        let token = cancel.clone();
        tokio::spawn(async move { token.cancel() });
        let failure = line(BufReader::new(Silent), &cancel).await.unwrap_err();
        assert_eq!(failure.kind, Kind::Interrupted);
    }
}
