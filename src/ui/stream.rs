//! Results that come bit by bit, from a program elsewhere.

use std::io::{self, Write};

use super::shown::shown;
use crate::error::{Kind, OrFail, Result};

/// How bytes are handed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hand {
    /// As they are: to a file or a pipe, or to a terminal that the program elsewhere draws on.
    Raw,
    /// As text, in which what a terminal would obey is visible.
    Shown,
}

/// One of the process's own streams.
pub struct Out<W> {
    to: W,
    hand: Hand,
    /// The beginning of a character of which the rest has not come yet.
    held: Vec<u8>,
}

impl<W: Write> Out<W> {
    /// A stream, and how bytes are handed on to it.
    pub fn new(to: W, hand: Hand) -> Self {
        Self { to, hand, held: Vec::new() }
    }

    /// Hands on what has come; `false` when the reader has gone away, as `head` does.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&mut self, bytes: &[u8]) -> Result<bool> {
        let written = match self.hand {
            Hand::Raw => self.to.write_all(bytes),
            Hand::Shown => {
                let text = self.whole(bytes);
                self.to.write_all(shown(&text).as_bytes())
            }
        };
        still_read(written.and_then(|()| self.to.flush()))
    }

    /// The characters that are complete.
    fn whole(&mut self, bytes: &[u8]) -> String {
        self.held.extend(bytes);
        let end = match std::str::from_utf8(&self.held) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            // What is no character at all is replaced below.
            _ => self.held.len(),
        };
        let rest = self.held.split_off(end);
        let text = String::from_utf8_lossy(&self.held).into_owned();
        self.held = rest;
        text
    }
}

/// Whether somebody still reads what was written.
pub(super) fn still_read(written: io::Result<()>) -> Result<bool> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        written => {
            written.map(|()| true).or_fail(Kind::Step).map_err(|failure| failure.context("cannot write to stdout"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(hand: Hand, parts: &[&[u8]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut out = Out::new(&mut bytes, hand);
        assert!(parts.iter().all(|part| out.write(part).unwrap()));
        bytes
    }

    #[test]
    fn a_file_gets_every_byte() {
        assert_eq!(written(Hand::Raw, &[b"\xff\x1b[2J", b"\0"]), b"\xff\x1b[2J\0");
    }

    #[test]
    fn a_terminal_gets_whole_characters_and_nothing_that_it_obeys() {
        let parts: [&[u8]; 3] = [b"Gr\xc3", b"\xb6\xc3\x9fe\x1b[2J", b"\xff.\n"];
        assert_eq!(String::from_utf8(written(Hand::Shown, &parts)).unwrap(), "Größe\\u{1b}[2J\u{fffd}.\n");
    }

    #[test]
    fn a_reader_that_has_gone_away_is_no_failure() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        assert!(!Out::new(Gone, Hand::Raw).write(b"x").unwrap());
    }
}
