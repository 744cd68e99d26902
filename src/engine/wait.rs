//! Waiting: the decisions, free of clocks and channels, and the loop that asks.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::run::{Deadline, StepCx};
use super::units;
use crate::error::{Failure, Kind, Result};

/// A storm of notifications must not become a storm of questions.
const GAP: Duration = Duration::from_millis(10);

/// The answer of a gate.
#[derive(Debug)]
pub enum Verdict {
    /// What was waited for has come true; the text says what was found.
    Pass(String),
    /// Not yet.
    Wait {
        /// What it waits for and the last answer, as `what: answer`. What precedes the colon stays the same while
        /// the answer moves; the time spent is accounted to it.
        reason: String,
        /// Anything that only grows while things move, such as bytes transferred; zero if there is no such thing.
        progress: u64,
    },
    /// It will not come true by waiting.
    Fail(Failure),
}

impl Verdict {
    /// Passed, and what was found.
    pub fn pass(detail: impl Into<String>) -> Self {
        Self::Pass(detail.into())
    }

    /// Not yet, without a measure of progress.
    pub fn wait(reason: impl Into<String>) -> Self {
        Self::Wait { reason: reason.into(), progress: 0 }
    }

    /// Not yet, but moving: patience starts anew whenever `progress` has grown.
    pub fn moving(reason: impl Into<String>, progress: u64) -> Self {
        Self::Wait { reason: reason.into(), progress }
    }

    /// Hopeless, as a failed step.
    pub fn fail(message: impl fmt::Display) -> Self {
        Self::Fail(Failure::message(Kind::Step, message))
    }
}

/// A question that could not be asked is asked again; the error is the last answer.
impl From<anyhow::Result<Verdict>> for Verdict {
    fn from(answer: anyhow::Result<Verdict>) -> Self {
        answer.unwrap_or_else(|error| Self::wait(format!("{error:#}")))
    }
}

/// How long to wait without progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience(Duration);

impl Patience {
    /// Gives up after this time; progress starts it anew.
    #[must_use]
    pub fn new(limit: Duration) -> Self {
        Self(limit)
    }
}

/// Something that tells when the observed world has changed.
pub trait Changes {
    /// Returns after a change that has not been told yet; never, if there will be none.
    fn changed(&mut self) -> impl Future<Output = ()>;
}

/// Nobody tells; only the interval counts.
#[derive(Debug, Clone, Copy)]
pub struct Never;

impl Changes for Never {
    async fn changed(&mut self) {
        std::future::pending::<()>().await;
    }
}

impl<T> Changes for watch::Receiver<T> {
    async fn changed(&mut self) {
        if watch::Receiver::changed(self).await.is_err() {
            // The sender is gone: the interval has to do.
            std::future::pending::<()>().await;
        }
    }
}

/// One wait so far. Times are counted from its beginning.
#[derive(Debug)]
struct Vigil {
    patience: Patience,
    /// When the present patience began.
    since: Duration,
    progress: u64,
    last: Option<String>,
}

impl Vigil {
    fn new(patience: Patience) -> Self {
        Self { patience, since: Duration::ZERO, progress: 0, last: None }
    }

    /// What follows from waking up: the end of the wait, or another round.
    fn judge(&mut self, woken: Woken, now: Duration) -> Option<Result<String>> {
        match woken {
            Woken::Answer(Verdict::Pass(detail)) => Some(Ok(detail)),
            Woken::Answer(Verdict::Fail(failure)) => Some(Err(failure)),
            Woken::Answer(Verdict::Wait { reason, progress }) => {
                if progress > self.progress {
                    self.progress = progress;
                    self.since = now;
                }
                self.last = Some(reason);
                None
            }
            Woken::Rested => None,
            Woken::GaveUp => Some(Err(self.gave_up())),
            Woken::OutOfTime(deadline) => {
                let limit = units::duration(deadline.limit);
                Some(Err(self.failure(Kind::Step, &format!("the time limit of {limit} for the whole run is over"))))
            }
            Woken::Cancelled => Some(Err(self.failure(Kind::Interrupted, "interrupted"))),
        }
    }

    /// When patience ends, unless there is progress.
    fn end(&self) -> Duration {
        self.since.saturating_add(self.patience.0)
    }

    fn gave_up(&self) -> Failure {
        let limit = units::duration(self.patience.0);
        let without = if self.progress > 0 { " without progress" } else { "" };
        self.failure(Kind::Step, &format!("gave up after {limit}{without}"))
    }

    fn failure(&self, kind: Kind, what: &str) -> Failure {
        let last = self.last.as_deref().unwrap_or("none yet");
        Failure::message(kind, format!("{what}; last answer: {last}"))
    }
}

/// Why a wait came back to life.
enum Woken {
    Answer(Verdict),
    Rested,
    GaveUp,
    OutOfTime(Deadline),
    Cancelled,
}

impl<W> StepCx<'_, W> {
    /// Asks until the answer is no longer [`Verdict::Wait`]: at once, whenever `changed` tells, and at every
    /// `interval`. Waits of one step may run side by side; their reasons are shown together.
    ///
    /// The question is dropped in the middle when time is up or the run is cancelled, so it must only look.
    ///
    /// # Errors
    /// The failure of [`Verdict::Fail`]; a failed step with the last answer when `patience` or the time of the whole
    /// run is over; an interruption when the run is cancelled.
    pub async fn wait<A, F, V>(
        &self,
        mut changed: impl Changes,
        interval: Duration,
        patience: Patience,
        mut ask: A,
    ) -> Result<String>
    where
        A: FnMut() -> F,
        F: Future<Output = V>,
        V: Into<Verdict>,
    {
        let begun = Instant::now();
        let mut vigil = Vigil::new(patience);
        let slot = self.slot();
        loop {
            let answer = async { Woken::Answer(ask().await.into()) };
            let woken = self.first(answer, begun + vigil.end()).await;
            if let Some(end) = vigil.judge(woken, begun.elapsed()) {
                return end;
            }
            slot.say(vigil.last.as_deref().unwrap_or_default());
            let rest = async {
                sleep(GAP).await;
                tokio::select! { () = changed.changed() => {}, () = sleep(interval.saturating_sub(GAP)) => {} }
                Woken::Rested
            };
            let woken = self.first(rest, begun + vigil.end()).await;
            if let Some(end) = vigil.judge(woken, begun.elapsed()) {
                return end;
            }
        }
    }

    /// Whatever comes first. An answer that is there counts even when time is up.
    async fn first(&self, own: impl Future<Output = Woken>, patience: Instant) -> Woken {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Woken::Cancelled,
            woken = own => woken,
            () = sleep_until(patience) => Woken::GaveUp,
            deadline = self.deadline_over() => Woken::OutOfTime(deadline),
        }
    }

    async fn deadline_over(&self) -> Deadline {
        match self.deadline {
            Some(deadline) => {
                sleep_until(deadline.at).await;
                deadline
            }
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
#[path = "wait_tests.rs"]
mod tests;
