//! Words that the views have in common.

use jiff::Timestamp;

use super::color::{Paint, Tone};
use super::shown::one_line;
use crate::engine::event::{Change, Event, Level};
use crate::error::Failure;

/// `shop in namespace data, context prod-eu`.
pub(super) fn place(event: &Event) -> String {
    let Event::RunStarted { cluster, namespace, context, .. } = event else { return String::new() };
    let context = context.as_ref().map(|name| format!(", context {name}")).unwrap_or_default();
    one_line(&format!("{cluster} in namespace {namespace}{context}"))
}

pub(super) fn change(change: Change) -> &'static str {
    match change {
        Change::Created => "created",
        Change::Changed => "changed",
        Change::Kept => "kept",
        Change::Deleted => "deleted",
    }
}

pub(super) fn notice(level: Level, message: &str, paint: Paint) -> String {
    let message = one_line(message);
    match level {
        Level::Info => format!("note: {message}"),
        Level::Warning => format!("{} {message}", paint.tone(Tone::Warn, "warning:")),
    }
}

/// `; not run: nodes, haproxy`, or nothing.
pub(super) fn not_run(left: &[String]) -> String {
    if left.is_empty() { String::new() } else { format!("; not run: {}", left.join(", ")) }
}

/// Milliseconds from the beginning of a step; zero if the clock was set back.
pub(super) fn elapsed_ms(begun: Timestamp, now: Timestamp) -> u64 {
    u64::try_from(now.duration_since(begun).as_millis()).unwrap_or(0)
}

/// The block that ends a verb without success: the error, its causes, and what to type next.
pub(super) fn failure(failure: &Failure, paint: Paint) -> String {
    let mut block = String::new();
    for (index, line) in failure.lines().iter().enumerate() {
        let (head, tone, indent) = if index == 0 { ("error:", Tone::Fail, "") } else { ("cause:", Tone::Plain, "  ") };
        // Causes may quote several lines of a log; they stay below each other.
        let mut rows = line.lines();
        let first = rows.next().unwrap_or_default();
        block.extend([indent, &paint.tone(tone, head), " ", first.trim_end(), "\n"]);
        rows.for_each(|row| block.extend([indent, "       ", row.trim_end(), "\n"]));
    }
    if !failure.hints.is_empty() {
        block.push('\n');
    }
    for hint in &failure.hints {
        block.extend([&paint.tone(Tone::Typed, &format!("hint: {}", one_line(hint))), "\n"]);
    }
    block
}
