//! Steps: their names, what they are given, and how one of them is run.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Events;
use super::event::{BETWEEN_WAITS, Change, Event, Level, Outcome, millis, topics};
use super::units;
use crate::error::{Failure, Kind, Result};

/// An answer that changes all the time, such as a count of bytes, is sent this often.
const ANSWER_BEAT: Duration = Duration::from_millis(500);

/// When the whole run has to be over.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    pub(super) at: Instant,
    pub(super) limit: Duration,
}

impl Deadline {
    /// After this time, counted from now.
    #[must_use]
    pub fn after(limit: Duration) -> Self {
        Self { at: Instant::now() + limit, limit }
    }
}

/// What a run is given, whatever its world.
#[derive(Debug, Clone)]
pub struct Cx {
    /// Where everything that happens is told.
    pub events: Events,
    /// Asks the run to stop at the next safe point.
    pub cancel: CancellationToken,
    /// Time limit of the whole run.
    pub deadline: Option<Deadline>,
}

/// What a step is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Short, and unique in the run, such as `seed`.
    pub id: &'static str,
    /// What it does, a short phrase.
    pub title: Cow<'static, str>,
}

impl Named {
    /// A step that is always called the same.
    #[must_use]
    pub const fn new(id: &'static str, title: &'static str) -> Self {
        Self { id, title: Cow::Borrowed(title) }
    }

    /// A step whose title names what it is about.
    #[must_use]
    pub const fn titled(id: &'static str, title: String) -> Self {
        Self { id, title: Cow::Owned(title) }
    }
}

/// A step that is to be run: only once, and only in its turn. No step runs without one.
#[derive(Debug)]
#[must_use = "a step that is announced and never run would mislead"]
pub struct Due {
    named: Named,
    place: usize,
    /// How many of the same list have been begun.
    begun: Arc<AtomicUsize>,
}

impl Due {
    /// Steps in the order in which they have to be run.
    pub fn in_order<const N: usize>(list: [Named; N]) -> [Self; N] {
        let (begun, mut place) = (Arc::default(), 0..);
        list.map(|named| Self { named, place: place.next().unwrap_or_default(), begun: Arc::clone(&begun) })
    }
}

/// How a step ended without failing, and what the steps after it are to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished<T = ()> {
    /// How.
    pub outcome: Outcome,
    /// What was found or done, a short phrase.
    pub detail: String,
    /// For the steps after it.
    pub value: T,
}

impl Finished {
    /// It did something.
    pub fn changed(detail: impl Into<String>) -> Self {
        Self { outcome: Outcome::Changed, detail: detail.into(), value: () }
    }

    /// Everything was as it should be.
    pub fn unchanged(detail: impl Into<String>) -> Self {
        Self { outcome: Outcome::Unchanged, detail: detail.into(), value: () }
    }

    /// Whether it did something is known only now.
    pub fn which(changed: bool, detail: impl Into<String>) -> Self {
        if changed { Self::changed(detail) } else { Self::unchanged(detail) }
    }

    /// It does not apply to this run.
    pub fn skipped(why: impl Into<String>) -> Self {
        Self { outcome: Outcome::Skipped, detail: why.into(), value: () }
    }

    /// The same end, with something for the steps after it.
    pub fn with<T>(self, value: T) -> Finished<T> {
        Finished { outcome: self.outcome, detail: self.detail, value }
    }
}

impl Cx {
    /// Runs one idempotent step: done again after any interruption, it has to arrive at the same end. The caller sends
    /// the first and the last event of the run, since it alone knows whose run it is and what the result means.
    ///
    /// # Errors
    /// The failure of the step, prefixed with its id; an interruption, or a time limit that was reached before it.
    pub async fn run<W, T>(
        &self,
        step: Due,
        world: &W,
        act: impl AsyncFnOnce(&StepCx<'_, W>) -> Result<Finished<T>>,
    ) -> Result<T> {
        let Due { named: Named { id, title }, place, begun } = step;
        let turn = begun.fetch_add(1, Ordering::Relaxed);
        debug_assert_eq!(place, turn, "step {id} is run out of its turn");
        let cx = StepCx::new(id, self, world);
        cx.check("before")?;
        self.events.send(Event::StepStarted { step: id.to_owned(), title: title.into_owned() });
        // Verbs await many steps in one function, whose own future need not have room for the largest of them.
        let result = Box::pin(act(&cx)).await;
        let (outcome, detail) = match &result {
            Ok(finished) => (finished.outcome, finished.detail.clone()),
            // A table below the first line is for the error block, which follows.
            Err(failure) => (Outcome::Failed, failure.to_string().lines().next().unwrap_or_default().to_owned()),
        };
        let elapsed_ms = millis(cx.started.elapsed());
        self.events.send(Event::StepFinished { step: id.to_owned(), outcome, detail, elapsed_ms });
        // Repeating the first line keeps it in front; `Failure::lines` drops the repetition.
        result.map(|finished| finished.value).map_err(|failure| {
            let line = format!("step {id}: {}", failure.error);
            failure.context(line)
        })
    }
}

/// What a step is given.
#[derive(Debug)]
pub struct StepCx<'a, W> {
    /// What the caller of [`Cx::run`] gave to all steps.
    pub world: &'a W,
    /// Asks the run to stop at the next safe point.
    pub cancel: &'a CancellationToken,
    pub(super) deadline: Option<Deadline>,
    events: &'a Events,
    step: &'a str,
    started: Instant,
    waits: Mutex<Waits>,
}

/// Reasons of the waits that go on in a step, and what was told of them.
#[derive(Debug, Default)]
struct Waits {
    reasons: BTreeMap<u64, String>,
    next: u64,
    told: String,
    told_at: Option<Instant>,
}

impl<'a, W> StepCx<'a, W> {
    /// What [`Cx::run`] gives to the step with this id; also for trying a step alone.
    #[must_use]
    pub fn new(step: &'a str, cx: &'a Cx, world: &'a W) -> Self {
        let (events, cancel, deadline) = (&cx.events, &cx.cancel, cx.deadline);
        Self { world, cancel, deadline, events, step, started: Instant::now(), waits: Mutex::default() }
    }

    /// Tells what was done to an object, such as `statefulset/shop-galera-node1`.
    pub fn object(&self, object: impl fmt::Display, change: Change) {
        self.events.send(Event::Object { step: self.step.to_owned(), object: object.to_string(), change });
    }

    /// Tells the user something outside of any wait.
    pub fn notice(&self, level: Level, message: impl Into<String>) {
        self.events.notice(level, message);
    }

    /// A wait that the step does by itself: shown until the returned value is dropped.
    #[must_use]
    pub fn waiting(&self, reason: &str) -> Slot<'_> {
        let slot = self.slot();
        slot.say(reason);
        slot
    }

    /// A safe point: stops here when the run is cancelled or its time is over.
    ///
    /// # Errors
    /// An interruption or a failed step.
    pub fn check_cancelled(&self) -> Result<()> {
        self.check("in")
    }

    /// The same step, for what has to be tidied up when it is over: neither an interruption nor the time limit ends
    /// that. `never` is a token that nobody cancels.
    #[must_use]
    pub fn tidying<'b>(&'b self, never: &'b CancellationToken) -> StepCx<'b, W> {
        let Self { world, events, step, started, .. } = *self;
        StepCx { world, cancel: never, deadline: None, events, step, started, waits: Mutex::default() }
    }

    fn check(&self, place: &str) -> Result<()> {
        let stopped = |kind, why| Err(Failure::message(kind, format!("{why} {place} step {}", self.step)));
        match self.deadline {
            _ if self.cancel.is_cancelled() => stopped(Kind::Interrupted, "interrupted".to_owned()),
            Some(Deadline { at, limit }) if Instant::now() >= at => {
                let limit = units::duration(limit);
                stopped(Kind::Step, format!("the time limit of {limit} for the whole run was reached"))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn slot(&self) -> Slot<'_> {
        let mut waits = lock(&self.waits);
        waits.next += 1;
        Slot { id: waits.next, events: self.events, step: self.step, started: self.started, waits: &self.waits }
    }
}

/// One wait among those that a step may do side by side.
#[derive(Debug)]
pub struct Slot<'a> {
    id: u64,
    events: &'a Events,
    step: &'a str,
    started: Instant,
    waits: &'a Mutex<Waits>,
}

impl Slot<'_> {
    /// Changes the reason of this wait.
    pub fn say(&self, reason: &str) {
        let mut waits = lock(self.waits);
        waits.reasons.insert(self.id, reason.replace(BETWEEN_WAITS, ", "));
        self.tell(&mut waits);
    }

    /// Sends the reasons of all waits, unless they were told already or only an answer has moved a moment ago.
    fn tell(&self, waits: &mut Waits) {
        let mut reasons: Vec<&str> = waits.reasons.values().map(String::as_str).collect();
        // Two waits for the same thing, such as one pod, are one to the reader.
        reasons.dedup();
        let reason = reasons.join(BETWEEN_WAITS);
        let recent = waits.told_at.is_some_and(|at| at.elapsed() < ANSWER_BEAT);
        if reason == waits.told || recent && topics(&reason) == topics(&waits.told) {
            return;
        }
        waits.told.clone_from(&reason);
        waits.told_at = Some(Instant::now());
        let elapsed_ms = millis(self.started.elapsed());
        self.events.send(Event::StepWaiting { step: self.step.to_owned(), reason, elapsed_ms });
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        let mut waits = lock(self.waits);
        if waits.reasons.remove(&self.id).is_some() {
            self.tell(&mut waits);
        }
    }
}

fn lock(waits: &Mutex<Waits>) -> MutexGuard<'_, Waits> {
    // A panic elsewhere leaves the reasons readable, and they are only shown.
    waits.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
