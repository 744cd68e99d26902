//! The user's own terminal, lent to a program that runs elsewhere.

use std::io::{self, Read};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::sync::mpsc;

/// Bytes that are typed or piped at once.
const CHUNK: usize = 32 * 1024;

/// The terminal hands over every key as it is, Ctrl-C as well, until this is dropped.
pub struct Raw(Termios);

impl Raw {
    /// Takes the terminal.
    ///
    /// # Errors
    /// Standard input is none.
    pub fn enter() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
        Ok(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // Without a terminal there is nothing left to be put in order.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}

/// Columns and rows of the terminal.
#[must_use]
pub fn size() -> Option<(u16, u16)> {
    tcgetwinsize(io::stdout()).ok().map(|size| (size.ws_col, size.ws_row))
}

/// What is typed, piped, or read from a file, piece by piece as it comes. The thread that reads ends with the process:
/// nothing can wake one that waits for a key.
#[must_use]
pub fn pieces(mut from: impl Read + Send + 'static) -> mpsc::Receiver<Vec<u8>> {
    let (tell, told) = mpsc::channel(4);
    std::thread::spawn(move || {
        let mut buffer = vec![0; CHUNK];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            if tell.blocking_send(buffer[..read].to_vec()).is_err() {
                return;
            }
        }
    });
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_piped_comes_whole_and_ends() {
        let sent = "0123456789".repeat(20_000);
        let (mut told, mut got) = (pieces(io::Cursor::new(sent.clone())), Vec::new());
        while let Some(bytes) = told.recv().await {
            got.extend(bytes);
        }
        assert!(got == sent.as_bytes());
    }

    #[test]
    fn what_is_no_terminal_is_left_alone() {
        // Tests may be run at a terminal; then there is nothing to be seen here.
        if !std::io::IsTerminal::is_terminal(&io::stdin()) {
            assert!(Raw::enter().is_err());
        }
    }
}
