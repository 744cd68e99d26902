//! The one error type of verbs: what went wrong, which exit code it means, and what to type next.

use std::fmt;

use crate::exit;

/// Class of a failure; each has one exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The answer is no.
    No,
    /// Wrong command line or settings.
    Usage,
    /// A precondition does not hold; nothing was changed.
    Preflight,
    /// A step failed or timed out.
    Step,
    /// Another run holds the lock.
    Locked,
    /// The user declined, or could not be asked.
    Declined,
    /// The API server or the database cannot be reached.
    Unreachable,
    /// A defect in galeractl.
    Bug,
    /// Interrupted by the user.
    Interrupted,
}

impl Kind {
    /// The process exit code.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::No => exit::NO,
            Self::Usage => exit::USAGE,
            Self::Preflight => exit::PREFLIGHT,
            Self::Step => exit::STEP,
            Self::Locked => exit::LOCKED,
            Self::Declined => exit::DECLINED,
            Self::Unreachable => exit::UNREACHABLE,
            Self::Bug => exit::BUG,
            Self::Interrupted => exit::INTERRUPTED,
        }
    }
}

/// Why a verb ended without success.
#[derive(Debug)]
pub struct Failure {
    /// Class, which decides the exit code.
    pub kind: Kind,
    /// What went wrong, with its causes.
    pub error: anyhow::Error,
    /// What to type or look at next, one line each.
    pub hints: Vec<String>,
}

/// Result of a verb and of everything that can end one.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    /// A failure of the given kind.
    pub fn new(kind: Kind, error: impl Into<anyhow::Error>) -> Self {
        Self { kind, error: error.into(), hints: Vec::new() }
    }

    /// A failure whose message is written here.
    pub fn message(kind: Kind, message: impl fmt::Display) -> Self {
        Self { kind, error: anyhow::anyhow!("{message}"), hints: Vec::new() }
    }

    /// Adds a line that says what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Puts a sentence in front of the causes.
    #[must_use]
    pub fn context(mut self, context: impl fmt::Display + Send + Sync + 'static) -> Self {
        self.error = self.error.context(context);
        self
    }

    /// The error and its causes, one line each, outermost first.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for cause in self.error.chain() {
            let text = cause.to_string();
            // Many libraries repeat their source in their own message.
            if lines.last().is_none_or(|last| !last.contains(&text)) {
                lines.push(text);
            }
        }
        lines
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines().join(": "))
    }
}

/// Turns any error into a [`Failure`] of a kind.
pub trait OrFail<T> {
    /// `Err` becomes a failure of this kind.
    ///
    /// # Errors
    /// The original error, classified.
    fn or_fail(self, kind: Kind) -> Result<T>;
}

impl<T, E: Into<anyhow::Error>> OrFail<T> for std::result::Result<T, E> {
    fn or_fail(self, kind: Kind) -> Result<T> {
        self.map_err(|error| Failure::new(kind, error))
    }
}
