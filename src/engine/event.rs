//! What a run tells the world. Terminal, plain lines, JSON lines and journal are sinks of this one stream.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::Failure;
use crate::exit;

/// One thing that happened in a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// First event of every run.
    RunStarted {
        /// Identifier of the run: sortable by time, safe in a file name.
        run: String,
        /// The verb, such as `up`.
        verb: String,
        /// Name of the cluster.
        cluster: String,
        /// Namespace of the cluster.
        namespace: String,
        /// Name of the kubeconfig context, where there is one.
        context: Option<String>,
        /// Ids and titles of the steps to come, in order.
        steps: Vec<(String, String)>,
    },
    /// A step begins to act.
    StepStarted {
        /// The step's id.
        step: String,
        /// What the step does, a short phrase.
        title: String,
    },
    /// An object was created, changed, kept or deleted.
    Object {
        /// The step that did it.
        step: String,
        /// Such as `statefulset/shop-galera-node1`.
        object: String,
        /// What was done.
        change: Change,
    },
    /// A step waits; sent whenever the reason changes.
    StepWaiting {
        /// The step's id.
        step: String,
        /// What it waits for and the last answer, as `what: answer`; simultaneous waits are separated by `; `.
        /// Empty as soon as the step no longer waits.
        reason: String,
        /// Since the step began.
        elapsed_ms: u64,
    },
    /// A step is over.
    StepFinished {
        /// The step's id.
        step: String,
        /// How it ended.
        outcome: Outcome,
        /// What was found or done, a short phrase.
        detail: String,
        /// Since the step began.
        elapsed_ms: u64,
    },
    /// Something the user should know, outside of any wait.
    Notice {
        /// How urgent it is.
        level: Level,
        /// One line.
        message: String,
    },
    /// Last event of every run that ended by itself.
    RunFinished {
        /// Whether everything passed.
        ok: bool,
        /// Process exit code.
        exit_code: u8,
        /// What came out: the sentence of success, or the error and its causes.
        message: String,
        /// What to type or look at next.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        hints: Vec<String>,
        /// Since the run began.
        elapsed_ms: u64,
    },
}

impl Event {
    /// The last event of a run: `result` holds the sentence of success or the failure.
    #[must_use]
    pub fn run_finished<T: fmt::Display>(result: Result<T, &Failure>, elapsed: Duration) -> Self {
        let (ok, exit_code, message, hints) = match result {
            Ok(sentence) => (true, exit::OK, sentence.to_string(), Vec::new()),
            Err(failure) => (false, failure.kind.exit_code(), failure.to_string(), failure.hints.clone()),
        };
        Self::RunFinished { ok, exit_code, message, hints, elapsed_ms: millis(elapsed) }
    }

    /// The event with the present time.
    #[must_use]
    pub fn now(self) -> Stamped {
        Stamped { at: jiff::Timestamp::now(), event: self }
    }
}

/// Whole milliseconds, as events carry them.
#[must_use]
pub fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// Separates the reasons of simultaneous waits.
pub(crate) const BETWEEN_WAITS: &str = "; ";

/// What is waited for, without the last answer: the part of each wait that stays the same while the answer moves.
#[must_use]
pub fn topics(reason: &str) -> Vec<&str> {
    reason
        .split(BETWEEN_WAITS)
        .map(|wait| wait.split_once(": ").map_or(wait, |(what, _)| what))
        .filter(|topic| !topic.is_empty())
        .collect()
}

/// What was done to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// It did not exist.
    Created,
    /// It existed and is different now.
    Changed,
    /// It existed and was right.
    Kept,
    /// It is gone.
    Deleted,
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It did something.
    Changed,
    /// Everything was as it should be.
    Unchanged,
    /// It does not apply to this run.
    Skipped,
    /// It did not reach its end; the run stops.
    Failed,
}

/// How urgent a notice is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Good to know.
    Info,
    /// Worth a decision.
    Warning,
}

/// An event with the moment it happened, as sinks receive it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamped {
    /// Wall-clock time.
    pub at: jiff::Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}
