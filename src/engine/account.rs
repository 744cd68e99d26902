//! Where the time of a run went, from its events.

use std::time::Duration;

use serde::Serialize;

use super::event::{Event, Outcome, Stamped, topics};
use super::units;

/// What one step did and how long it took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StepAccount {
    /// The step's id.
    pub step: String,
    /// What it does.
    pub title: String,
    /// How it ended; nothing, if the run was killed in it.
    pub outcome: Option<Outcome>,
    /// What was found or done.
    pub detail: String,
    /// Time between its first and its last event.
    pub elapsed_ms: u64,
    /// What it waited for, in the order of the first wait.
    pub waits: Vec<WaitAccount>,
}

/// Time that a step spent waiting for one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WaitAccount {
    /// What was waited for, without the answers.
    pub reason: String,
    /// The last answer, as it was shown.
    pub last: String,
    /// Sum over all waits for it. Simultaneous waits count fully for each.
    pub elapsed_ms: u64,
}

impl StepAccount {
    fn new(step: &str, title: &str) -> Self {
        Self {
            step: step.to_owned(),
            title: title.to_owned(),
            outcome: None,
            detail: String::new(),
            elapsed_ms: 0,
            waits: Vec::new(),
        }
    }

    /// Adds the time since the previous wait to what was waited for, and ends the wait.
    fn settle(&mut self, open: &mut Option<(String, u64)>, now: u64) {
        let Some((reason, since)) = open.take() else { return };
        for topic in topics(&reason) {
            let elapsed = now.saturating_sub(since);
            match self.waits.iter_mut().find(|wait| wait.reason == topic) {
                Some(wait) => {
                    wait.elapsed_ms += elapsed;
                    wait.last.clone_from(&reason);
                }
                None => {
                    self.waits.push(WaitAccount {
                        reason: topic.to_owned(),
                        last: reason.clone(),
                        elapsed_ms: elapsed,
                    });
                }
            }
        }
    }
}

/// Accounts of the steps that were begun, in order.
#[must_use]
pub fn steps(events: &[Stamped]) -> Vec<StepAccount> {
    let mut steps: Vec<StepAccount> = Vec::new();
    let mut open: Option<(String, u64)> = None;
    let mut begun = jiff::Timestamp::UNIX_EPOCH;
    for Stamped { at, event } in events {
        match event {
            Event::StepStarted { step, title } => {
                begun = *at;
                steps.push(StepAccount::new(step, title));
            }
            Event::StepWaiting { reason, elapsed_ms, .. } => {
                if let Some(account) = steps.last_mut() {
                    account.settle(&mut open, *elapsed_ms);
                    open = Some((reason.clone(), *elapsed_ms));
                }
            }
            Event::StepFinished { outcome, detail, elapsed_ms, .. } => {
                if let Some(account) = steps.last_mut() {
                    account.settle(&mut open, *elapsed_ms);
                    account.outcome = Some(*outcome);
                    account.detail.clone_from(detail);
                    account.elapsed_ms = *elapsed_ms;
                }
            }
            _ => {}
        }
    }
    // A killed run: the last event is the last sign of life.
    if let (Some(account), Some(last)) = (steps.last_mut().filter(|step| step.outcome.is_none()), events.last()) {
        account.elapsed_ms = between(begun, last.at);
        let now = account.elapsed_ms;
        account.settle(&mut open, now);
    }
    steps
}

/// Milliseconds from one moment to a later one; zero if the clock was set back.
pub(super) fn between(from: jiff::Timestamp, to: jiff::Timestamp) -> u64 {
    u64::try_from(to.duration_since(from).as_millis()).unwrap_or(0)
}

/// Duration of the run so far.
#[must_use]
pub fn total(events: &[Stamped]) -> Duration {
    let (Some(first), Some(last)) = (events.first(), events.last()) else { return Duration::ZERO };
    match last.event {
        Event::RunFinished { elapsed_ms, .. } => Duration::from_millis(elapsed_ms),
        _ => Duration::from_millis(between(first.at, last.at)),
    }
}

/// One line, such as `22.1s: seed 4.1s, nodes 12.9s (state transfer to node2 5.1s), haproxy 3.0s, rest 2.1s`: the
/// longest steps in order, and what each of them waited for longest.
#[must_use]
pub fn where_time_went(events: &[Stamped]) -> String {
    const NAMED: usize = 4;
    let total = u64::try_from(total(events).as_millis()).unwrap_or(u64::MAX);
    let steps = steps(events);
    let mut longest: Vec<&StepAccount> = steps.iter().collect();
    longest.sort_by_key(|step| std::cmp::Reverse(step.elapsed_ms));
    // Below one part in fifty, a step explains nothing.
    let floor = longest.get(NAMED).map_or(0, |step| step.elapsed_ms + 1).max(total / 50).max(1);
    let named: Vec<&StepAccount> = steps.iter().filter(|step| step.elapsed_ms >= floor).collect();
    let mut parts: Vec<String> = named.iter().map(|step| part(step)).collect();
    let rest = total.saturating_sub(named.iter().map(|step| step.elapsed_ms).sum());
    if !named.is_empty() && rest >= (total / 50).max(50) {
        parts.push(format!("rest {}", units::millis(rest)));
    }
    if parts.is_empty() { units::millis(total) } else { format!("{}: {}", units::millis(total), parts.join(", ")) }
}

fn part(step: &StepAccount) -> String {
    let text = format!("{} {}", step.step, units::millis(step.elapsed_ms));
    // A wait that is a small part of the step would mislead.
    match step.waits.iter().max_by_key(|wait| wait.elapsed_ms).filter(|wait| wait.elapsed_ms * 4 >= step.elapsed_ms) {
        Some(wait) if wait.elapsed_ms > 0 => format!("{text} ({} {})", wait.reason, units::millis(wait.elapsed_ms)),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::super::journal::tests::sample_run;
    use super::*;

    #[test]
    fn the_longest_steps_and_waits_are_named() {
        assert_eq!(
            where_time_went(&sample_run()),
            "22.1s: seed 4.1s (seed pod 3.0s), nodes 12.9s (state transfer to node2 5.1s), haproxy 3.0s, rest 2.1s"
        );
        assert_eq!(where_time_went(&[]), "0.0s");
    }

    #[test]
    fn simultaneous_waits_count_for_each_and_moving_answers_are_one_wait() {
        let nodes = steps(&sample_run()).remove(1);
        let waits: Vec<_> = nodes.waits.iter().map(|wait| (wait.reason.as_str(), wait.elapsed_ms)).collect();
        assert_eq!(waits, [("pods of node1, node2", 4_000), ("state transfer to node2", 5_100), ("node1", 2_000)]);
    }

    #[test]
    fn a_killed_run_is_accounted_up_to_its_last_sign_of_life() {
        let killed = &sample_run()[..5];
        let account = steps(killed).remove(0);
        assert_eq!((account.outcome, account.elapsed_ms, account.waits[0].elapsed_ms), (None, 3_000, 2_900));
        assert_eq!(total(killed), Duration::from_secs(4));
    }
}
