//! Values with the place that set them, and problems with the place to mend.

use std::fmt;

use crate::desired::Hidden;
use crate::error::{Failure, Kind};

/// What set a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nothing: the table of settings has a default.
    Default,
    /// A built-in profile.
    Profile(&'static str),
    /// The namespace of the kubeconfig context.
    Context,
    /// A line of a file; line 0 is the file as a whole.
    File {
        /// The file as the user named it.
        name: String,
        /// Line number, from 1.
        line: usize,
    },
    /// An environment variable.
    Environment(String),
    /// A flag, such as `--nodes`.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Profile(name) => write!(f, "profile {name}"),
            Self::Context => f.write_str("kubeconfig context"),
            Self::File { name, line: 0 } => f.write_str(name),
            Self::File { name, line } => write!(f, "{name}:{line}"),
            Self::Environment(variable) => write!(f, "environment {variable}"),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

/// A value and its origin; `Debug` shows no secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct Value {
    text: Hidden,
    secret: bool,
    /// What set it.
    pub origin: Origin,
}

/// What stands in place of a secret.
const STARS: &str = "***";

impl Value {
    pub(super) fn new(text: &str, secret: bool, origin: Origin) -> Self {
        Self { text: Hidden::new(text), secret, origin }
    }

    /// Whether anything but the table or a profile has set it.
    pub(super) fn is_given(&self) -> bool {
        !matches!(self.origin, Origin::Default | Origin::Profile(_))
    }

    /// Whether the value must not be shown unasked.
    #[must_use]
    pub fn secret(&self) -> bool {
        self.secret
    }

    /// The value, or stars in place of a secret.
    #[must_use]
    pub fn shown(&self) -> &str {
        if self.secret { STARS } else { self.text.reveal() }
    }

    /// The value itself, secret or not.
    #[must_use]
    pub fn reveal(&self) -> &str {
        self.text.reveal()
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} ({})", self.shown(), self.origin)
    }
}

/// Problems, collected so that all of them are told at once.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<(usize, String)>);

impl Problems {
    /// A problem of a place, in words that follow it.
    pub(super) fn add(&mut self, origin: &Origin, problem: impl fmt::Display) {
        // Problems of whole files and of flags come after those of lines.
        let line = match origin {
            Origin::File { line, .. } if *line > 0 => *line,
            _ => usize::MAX,
        };
        self.0.push((line, format!("{origin}: {problem}")));
    }

    pub(super) fn none(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn into_failure(mut self) -> Failure {
        self.0.sort_by_key(|(line, _)| *line);
        let lines: Vec<String> = self.0.into_iter().map(|(_, text)| text).collect();
        Failure::message(Kind::Usage, lines.join("\n"))
    }
}
