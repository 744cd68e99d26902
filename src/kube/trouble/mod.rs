//! What is wrong with an object, read from its status and its events: a pure judgement.
//!
//! Each trouble says how long it may last before it ends a wait: nothing for what no waiting heals, a while for what
//! usually passes by itself.

mod claim;
mod pod;
mod workload;

pub use claim::claim_trouble;
pub use pod::pod_trouble;
pub use workload::{deployment_trouble, statefulset_trouble};

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;

/// Something that keeps an object from becoming what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// Which kind of trouble: stays the same while numbers in the message change.
    pub cause: &'static str,
    /// How long it may last before it ends a wait; zero: it ends it at once.
    pub patience: Duration,
    /// What is wrong, with the object's name and the words of Kubernetes.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

impl Trouble {
    /// Whether it ends a wait at once.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        self.patience.is_zero()
    }
}

/// Remembers how long a trouble has lasted.
#[derive(Debug, Default)]
pub struct Lasting {
    current: Option<(&'static str, Duration)>,
}

impl Lasting {
    /// Whether the wait is over because of the trouble seen `now`, the time since the wait began.
    pub fn ends_wait(&mut self, trouble: Option<&Trouble>, now: Duration) -> bool {
        let Some(trouble) = trouble else {
            self.current = None;
            return false;
        };
        let since = match self.current {
            Some((cause, since)) if cause == trouble.cause => since,
            _ => now,
        };
        self.current = Some((trouble.cause, since));
        now.saturating_sub(since) >= trouble.patience
    }
}

/// When an event happened last; `None` if it does not say.
#[must_use]
pub fn event_time(event: &Event) -> Option<Timestamp> {
    let series = event.series.as_ref().and_then(|series| series.last_observed_time.as_ref()).map(|time| time.0);
    let last = event.last_timestamp.as_ref().map(|time| time.0);
    let once = event.event_time.as_ref().map(|time| time.0);
    let first = event.first_timestamp.as_ref().map(|time| time.0);
    series.or(last).or(once).or(first)
}

/// The events about the object with this uid, oldest first. Those about an earlier object of the same name are left out.
#[must_use]
pub fn events_about<'a>(uid: Option<&str>, events: impl IntoIterator<Item = &'a Arc<Event>>) -> Vec<&'a Event> {
    let about = |event: &&Event| uid.is_some() && event.involved_object.uid.as_deref() == uid;
    let mut found: Vec<&Event> = events.into_iter().map(AsRef::as_ref).filter(about).collect();
    found.sort_by_key(|event| event_time(event));
    found
}

fn reason(event: &Event) -> &str {
    event.reason.as_deref().unwrap_or_default()
}

/// An event's or condition's text on one line.
fn text(message: Option<&str>) -> String {
    message.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[cfg(test)]
mod tests;
