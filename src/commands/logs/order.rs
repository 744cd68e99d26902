//! Lines of several logs in one order, and what becomes of each on its way to the reader.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::kube::logs::Line;
use crate::wsrep::{Report, words};

/// Lines that come together are put in order before they are shown.
const HOLD: Duration = Duration::from_millis(500);

/// One line of one log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// When it was printed.
    pub(super) at: Timestamp,
    /// Which log it is from.
    pub(super) from: usize,
    /// The line as it was printed.
    pub(super) text: String,
}

/// Gives every line of a log a time that is not before that of the line before it: a log is in order as it is.
pub(super) fn timed(from: usize, lines: impl IntoIterator<Item = Line>, begin: Timestamp) -> Vec<Entry> {
    let mut latest = begin;
    let entry = |Line { at, text }: Line| {
        latest = at.map_or(latest, |at| at.max(latest));
        Entry { at: latest, from, text }
    };
    lines.into_iter().map(entry).collect()
}

/// Whole logs as one.
pub(super) fn merged(logs: Vec<Vec<Entry>>) -> Vec<Entry> {
    let mut all: Vec<Entry> = logs.into_iter().flatten().collect();
    // It leaves lines of the same time as they are.
    all.sort_by_key(|entry| entry.at);
    all
}

/// Lines that have come, and wait a moment for earlier ones that are still under way.
#[derive(Default)]
pub(super) struct Window(Vec<(Instant, Entry)>);

impl Window {
    pub(super) fn push(&mut self, now: Instant, entry: Entry) {
        self.0.push((now, entry));
    }

    /// When the next line is due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.0.iter().map(|(came, _)| *came + HOLD).min()
    }

    /// Lines that are due, with all that were printed before them.
    pub(super) fn ready(&mut self, now: Instant) -> Vec<Entry> {
        let due = self.0.iter().filter(|(came, _)| *came + HOLD <= now).map(|(_, entry)| entry.at);
        let Some(newest) = due.max() else { return Vec::new() };
        let (ready, held) = std::mem::take(&mut self.0).into_iter().partition(|(_, entry)| entry.at <= newest);
        self.0 = held;
        merged(vec![ready.into_iter().map(|(_, entry): (Instant, Entry)| entry).collect()])
    }
}

/// A line as it is read: reports of ours in words, everything else as it was printed.
pub(super) fn readable(text: &str) -> String {
    Report::parse(text).map_or_else(|| text.to_owned(), |report| format!("* {}", words::words(&report)))
}

/// Whether a line tells of an error or a warning, by the marks of servers and proxies, or of a refusal of ours.
pub(super) fn is_trouble(text: &str) -> bool {
    match Report::parse(text) {
        Some(report) => words::is_trouble(&report),
        None => {
            ["[ERROR]", "[Warning]", "[WARNING]", "[ALERT]", "event=refused"].iter().any(|mark| text.contains(mark))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn line(second: i64, text: &str) -> Line {
        Line { at: (second >= 0).then(|| at(second)), text: text.to_owned() }
    }

    #[test]
    fn lines_without_a_time_stay_behind_the_line_before_them() {
        let one = timed(0, [line(5, "a"), line(-1, "b"), line(3, "c"), line(9, "d")], at(0));
        let two = timed(1, [line(-1, "x"), line(6, "y")], at(1));
        let texts: Vec<String> = merged(vec![one, two]).into_iter().map(|entry| entry.text).collect();
        assert_eq!(texts.concat(), "xabcyd");
    }

    #[test]
    fn a_line_waits_a_moment_for_earlier_ones() {
        let (mut window, start) = (Window::default(), Instant::now());
        let entry = |second, from| Entry { at: at(second), from, text: String::new() };
        window.push(start, entry(5, 0));
        window.push(start + HOLD / 2, entry(4, 1));
        window.push(start + HOLD / 2, entry(6, 1));
        assert_eq!(window.due(), Some(start + HOLD));
        assert_eq!(window.ready(start + HOLD / 2), []);
        assert_eq!(window.ready(start + HOLD), [entry(4, 1), entry(5, 0)]);
        assert_eq!(window.ready(start + HOLD * 2), [entry(6, 1)]);
        assert_eq!(window.due(), None);
    }

    #[test]
    fn reports_are_read_in_words_and_names_of_strangers_are_no_reports() {
        let report = "GALERACTL at=1.5 member=node1 event=refused reason=\"no key\"";
        assert_eq!(readable(report), "* refuses: no key");
        assert!(is_trouble(report) && !is_trouble("GALERACTL at=1.5 member=node1 event=phase phase=starting"));
        let foreign = format!("2026-11-28 [Note] Access denied for user '{report}'");
        assert_eq!(readable(&foreign), foreign);
        for text in
            ["0 [ERROR] WSREP: x", "0 [Warning] Aborted connection", "[ALERT] (1) : backend 'write' has no server"]
        {
            assert!(is_trouble(text), "{text}");
        }
        assert!(!is_trouble("0 [Note] WSREP: Synced"));
    }

    proptest! {
        #[test]
        fn no_line_is_lost_and_every_log_keeps_its_order(logs in prop::collection::vec(prop::collection::vec(-1_i64..50, 0..20), 0..4)) {
            let logs: Vec<Vec<Line>> = logs.iter().map(|log| log.iter().enumerate().map(|(index, second)| line(*second, &index.to_string())).collect()).collect();
            let all = merged(logs.iter().enumerate().map(|(from, log)| timed(from, log.clone(), at(0))).collect());
            prop_assert!(all.is_sorted_by_key(|entry| entry.at));
            for (from, log) in logs.iter().enumerate() {
                let own: Vec<&String> = all.iter().filter(|entry| entry.from == from).map(|entry| &entry.text).collect();
                prop_assert_eq!(own, log.iter().map(|line| &line.text).collect::<Vec<_>>());
            }
        }
    }
}
