//! The view for logs: one line per transition, nothing that moves, no meaning that needs colour.

use std::collections::HashMap;
use std::io::{self, Write};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::color::{Paint, Tone};
use super::shown::{one_line, shown};
use super::words;
use crate::engine::Sink;
use crate::engine::event::{Event, Level, Outcome, Stamped, topics};
use crate::engine::units;

/// A moving answer is repeated after this time, then after twice that, and so on.
const FIRST_BEAT: Duration = Duration::from_secs(2);
/// Silence never lasts longer than this while a step waits.
const SLOWEST_BEAT: Duration = Duration::from_secs(30);
const WAITING: &str = "waiting";
const STILL: &str = "still waiting";
/// Width of the longest word.
const WORD: usize = "unchanged".len();

/// Writes lines with a time, a step and a word in fixed columns.
pub(super) struct Plain {
    out: Box<dyn Write + Send>,
    paint: Paint,
    zone: TimeZone,
    verbose: bool,
    /// Width of the column of steps.
    column: usize,
    /// Steps of the plan that have not begun.
    left: Vec<String>,
    current: Option<Current>,
}

/// The step that runs.
struct Current {
    step: String,
    begun: Timestamp,
    /// What it waits for now; empty if it acts.
    reason: String,
    /// What was written last, and when.
    written: String,
    written_at: Timestamp,
    /// Per thing waited for: when it was written last, and how long to keep silent about its answers.
    beats: HashMap<String, (Timestamp, Duration)>,
}

impl Current {
    /// The word of a line that is due about the wait, if any.
    fn due(&mut self, now: Timestamp) -> Option<&'static str> {
        if self.reason.is_empty() {
            return None;
        }
        let topic = topics(&self.reason).join(", ");
        let beat = self.beats.get(&topic).copied();
        let passed = |since: Timestamp| now.duration_since(since).try_into().unwrap_or(Duration::ZERO);
        let word = match beat {
            None => WAITING,
            Some((at, gap)) if self.reason != self.written && passed(at) >= gap => WAITING,
            _ if passed(self.written_at) >= SLOWEST_BEAT => STILL,
            _ => return None,
        };
        let gap = beat.map_or(FIRST_BEAT, |(_, gap)| (gap * 2).min(SLOWEST_BEAT));
        self.beats.insert(topic, (now, gap));
        self.written.clone_from(&self.reason);
        self.written_at = now;
        Some(word)
    }
}

impl Plain {
    pub(super) fn new(out: Box<dyn Write + Send>, paint: Paint, zone: TimeZone, verbose: bool) -> Self {
        Self { out, paint, zone, verbose, column: 0, left: Vec::new(), current: None }
    }

    fn line(&mut self, at: Timestamp, text: &str) -> io::Result<()> {
        let time = at.to_zoned(self.zone.clone()).strftime("%H:%M:%S").to_string();
        self.out.write_all(format!("{time} {}\n", shown(text.trim_end())).as_bytes())?;
        self.out.flush()
    }

    fn step_line(&mut self, at: Timestamp, step: &str, tone: Tone, word: &str, text: &str) -> io::Result<()> {
        let word = self.paint.tone(tone, word) + &" ".repeat(WORD.saturating_sub(word.len()));
        let line = format!("{step:width$}  {word}  {}", one_line(text), width = self.column);
        self.line(at, &line)
    }

    fn waiting(&mut self, now: Timestamp) -> io::Result<()> {
        let Some(current) = &mut self.current else { return Ok(()) };
        let Some(word) = current.due(now) else { return Ok(()) };
        let elapsed = units::millis(words::elapsed_ms(current.begun, now));
        let (step, text) = (current.step.clone(), current.reason.clone());
        let text = match word {
            STILL => format!("{text} ({STILL}, {elapsed})"),
            _ => format!("{text} ({elapsed})"),
        };
        self.step_line(now, &step, Tone::Dim, WAITING, &text)
    }

    fn begin(&mut self, at: Timestamp, step: &str) {
        self.left.retain(|id| id != step);
        self.column = self.column.max(step.len());
        self.current = Some(Current {
            step: step.to_owned(),
            begun: at,
            reason: String::new(),
            written: String::new(),
            written_at: at,
            beats: HashMap::new(),
        });
    }

    fn finish_step(&mut self, at: Timestamp, event: &Event) -> io::Result<()> {
        let Event::StepFinished { step, outcome, detail, elapsed_ms } = event else { return Ok(()) };
        self.current = None;
        let (tone, word) = match outcome {
            Outcome::Changed => (Tone::Ok, "ok"),
            Outcome::Unchanged => (Tone::Ok, "unchanged"),
            Outcome::Skipped => (Tone::Dim, "skipped"),
            Outcome::Failed => (Tone::Fail, "FAILED"),
        };
        self.step_line(at, step, tone, word, &format!("{detail} ({})", units::millis(*elapsed_ms)))
    }
}

impl Sink for Plain {
    fn name(&self) -> String {
        "the progress on stderr".into()
    }

    fn event(&mut self, Stamped { at, event }: &Stamped) -> io::Result<()> {
        match event {
            Event::RunStarted { run, verb, steps, .. } => {
                self.column = steps.iter().map(|(id, _)| id.len()).max().unwrap_or(0);
                self.left = steps.iter().map(|(id, _)| id.clone()).collect();
                self.line(*at, &format!("{verb} {}, run {run}", words::place(event)))
            }
            Event::StepStarted { step, title } => {
                self.begin(*at, step);
                self.step_line(*at, step, Tone::Plain, "start", title)
            }
            Event::Object { step, object, change } if self.verbose => {
                self.step_line(*at, step, Tone::Dim, words::change(*change), object)
            }
            Event::Object { .. } => Ok(()),
            Event::StepWaiting { reason, .. } => {
                if let Some(current) = &mut self.current {
                    current.reason.clone_from(reason);
                }
                self.waiting(*at)
            }
            Event::StepFinished { .. } => self.finish_step(*at, event),
            Event::Notice { level, message } => {
                let line = words::notice(*level, message, self.paint);
                self.line(*at, &line)
            }
            Event::RunFinished { ok, exit_code, message, elapsed_ms, .. } => {
                let elapsed = units::millis(*elapsed_ms);
                let line = if *ok {
                    format!("{} {} ({elapsed})", self.paint.tone(Tone::Ok, "done:"), one_line(message))
                } else {
                    let left = words::not_run(&self.left);
                    format!("stopped after {elapsed}, exit code {exit_code}{left}")
                };
                self.line(*at, &line)
            }
        }
    }

    fn tick(&mut self, now: Timestamp) -> io::Result<()> {
        self.waiting(now)
    }
}

/// Warnings only: what is left when progress is off.
pub(super) struct Off {
    pub(super) out: Box<dyn Write + Send>,
    pub(super) paint: Paint,
}

impl Sink for Off {
    fn name(&self) -> String {
        "the warnings on stderr".into()
    }

    fn event(&mut self, event: &Stamped) -> io::Result<()> {
        let Event::Notice { level: Level::Warning, message } = &event.event else { return Ok(()) };
        let line = words::notice(Level::Warning, message, self.paint);
        self.out.write_all(format!("{}\n", shown(&line)).as_bytes())?;
        self.out.flush()
    }
}
