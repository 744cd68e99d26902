//! The view for a terminal: finished steps stay, the running step moves, pending steps wait below.

use std::io;

use console::{measure_text_width, truncate_str};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};
use jiff::Timestamp;

use super::color::{Glyphs, Paint, Tone};
use super::shown::{one_line, shown};
use super::words;
use crate::engine::Sink;
use crate::engine::event::{Event, Outcome, Stamped};
use crate::engine::units;

/// On a wide screen, times further away than this are hard to assign to their line.
const WIDEST: usize = 100;
/// A step's name longer than this would push everything else aside.
const LONGEST_ID: usize = 24;

/// Draws a run.
pub(super) struct Tty {
    /// Holds the part of the screen that moves, as one message of several lines.
    bar: ProgressBar,
    /// The same terminal, for its size and its cursor.
    term: Box<dyn TermLike>,
    glyphs: Glyphs,
    paint: Paint,
    verbose: bool,
    steps: Vec<Entry>,
    running: Option<Running>,
}

struct Entry {
    id: String,
    title: String,
    begun: bool,
}

struct Running {
    index: usize,
    begun: Timestamp,
    reason: String,
}

/// One line about a step.
struct Row<'a> {
    glyph: &'a str,
    tone: Tone,
    index: usize,
    text: &'a str,
    elapsed: Option<u64>,
}

impl Tty {
    pub(super) fn new(
        target: ProgressDrawTarget,
        term: Box<dyn TermLike>,
        glyphs: Glyphs,
        paint: Paint,
        verbose: bool,
    ) -> Self {
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{msg}") {
            bar.set_style(style);
        }
        Self { bar, term, glyphs, paint, verbose, steps: Vec::new(), running: None }
    }

    fn row(&self, row: &Row<'_>) -> String {
        let total = usize::from(self.term.width()).saturating_sub(1).min(WIDEST);
        let number = self.steps.len().to_string().len();
        let width = self.steps.iter().map(|step| measure_text_width(&step.id)).max().unwrap_or(0).min(LONGEST_ID);
        let id = truncate_str(&self.steps[row.index].id, width, self.glyphs.cut);
        let id = format!("{id}{}", " ".repeat(width - measure_text_width(&id)));
        let right = row.elapsed.map(|elapsed| format!(" {:>7}", units::millis(elapsed))).unwrap_or_default();
        let left = format!("{} {:>number$} {id}  ", row.glyph, row.index + 1);
        let room = total.saturating_sub(measure_text_width(&left) + right.len());
        let text = one_line(row.text);
        let text = truncate_str(&text, room, self.glyphs.cut);
        let pad = if right.is_empty() { 0 } else { room.saturating_sub(measure_text_width(&text)) };
        if row.tone == Tone::Dim {
            let line = format!("{left}{text}{}{right}", " ".repeat(pad));
            return self.paint.tone(Tone::Dim, &truncate_str(&line, total, ""));
        }
        let glyph = self.paint.tone(row.tone, row.glyph);
        let right = self.paint.tone(Tone::Dim, &right);
        let line = format!("{glyph}{}{text}{}{right}", &left[row.glyph.len()..], " ".repeat(pad));
        truncate_str(&line, total, "").into_owned()
    }

    /// The moving part: the running step and, below it, what is to come.
    fn live(&self, now: Timestamp) -> String {
        let mut lines = Vec::new();
        if let Some(Running { index, begun, reason }) = &self.running {
            let elapsed = words::elapsed_ms(*begun, now);
            let frame = usize::try_from(elapsed / 125 % 4).unwrap_or(0);
            let glyph = self.glyphs.spinner[frame];
            let text = if reason.is_empty() { &self.steps[*index].title } else { reason };
            let row = Row { glyph, tone: Tone::Typed, index: *index, text, elapsed: Some(elapsed) };
            lines.push(self.row(&row));
        }
        let pending: Vec<usize> = (0..self.steps.len()).filter(|index| !self.steps[*index].begun).collect();
        // What does not fit on the screen could not be cleared from it either.
        let room = usize::from(self.term.height()).saturating_sub(lines.len() + 2);
        let shown = if pending.len() > room { room.saturating_sub(1) } else { pending.len() };
        for &index in &pending[..shown] {
            let (glyph, text) = (self.glyphs.pending, self.steps[index].title.as_str());
            lines.push(self.row(&Row { glyph, tone: Tone::Dim, index, text, elapsed: None }));
        }
        if shown < pending.len() {
            let indent = " ".repeat(self.steps.len().to_string().len() + 2);
            let more = format!("{}{indent}{} more to come", self.glyphs.pending, pending.len() - shown);
            lines.push(self.paint.tone(Tone::Dim, &more));
        }
        lines.join("\n")
    }

    /// Writes a line that stays. Where nothing moves below it any more, the library would take it for its own empty line
    /// and overwrite it with the next one.
    fn say(&self, line: &str) -> io::Result<()> {
        let moves = self.running.is_some() || self.steps.iter().any(|step| !step.begun);
        if moves {
            self.bar.println(shown(line));
            return Ok(());
        }
        self.bar.finish_and_clear();
        self.term.write_line(&shown(line))?;
        self.term.flush()
    }

    fn begin(&mut self, at: Timestamp, step: &str, title: &str) {
        let index = self.steps.iter().position(|entry| entry.id == step).unwrap_or(self.steps.len());
        if index == self.steps.len() {
            self.steps.push(Entry { id: step.to_owned(), title: title.to_owned(), begun: true });
        }
        self.steps[index].begun = true;
        self.bar.reset();
        self.running = Some(Running { index, begun: at, reason: String::new() });
    }

    fn finish_step(&mut self, outcome: Outcome, detail: &str, elapsed_ms: u64) -> io::Result<()> {
        let Some(Running { index, .. }) = self.running.take() else { return Ok(()) };
        let (glyph, tone) = match outcome {
            Outcome::Changed | Outcome::Unchanged => (self.glyphs.ok, Tone::Ok),
            Outcome::Skipped => (self.glyphs.skipped, Tone::Dim),
            Outcome::Failed => (self.glyphs.fail, Tone::Fail),
        };
        let line = self.row(&Row { glyph, tone, index, text: detail, elapsed: Some(elapsed_ms) });
        self.say(&line)
    }

    fn finish_run(&mut self, ok: bool, message: &str, elapsed_ms: u64) -> io::Result<()> {
        let elapsed = units::millis(elapsed_ms);
        let message = one_line(message);
        if ok {
            self.say(&self.paint.tone(Tone::Ok, &format!("{message} ({elapsed})")))?;
        } else {
            let left: Vec<String> = self.steps.iter().filter(|step| !step.begun).map(|step| step.id.clone()).collect();
            self.say(&format!("stopped after {elapsed}{}", words::not_run(&left)))?;
        }
        self.running = None;
        self.steps.clear();
        self.bar.finish_and_clear();
        Ok(())
    }
}

impl Sink for Tty {
    fn name(&self) -> String {
        "the progress on the terminal".into()
    }

    fn event(&mut self, Stamped { at, event }: &Stamped) -> io::Result<()> {
        match event {
            Event::RunStarted { steps, .. } => {
                let entry =
                    |(id, title): &(String, String)| Entry { id: id.clone(), title: title.clone(), begun: false };
                self.steps = steps.iter().map(entry).collect();
                self.bar.reset();
                self.say(&self.paint.tone(Tone::Head, &words::place(event)))?;
            }
            Event::StepStarted { step, title } => self.begin(*at, step, title),
            Event::Object { object, change, .. } => {
                if self.verbose {
                    let line = format!("    {:<8}{}", words::change(*change), one_line(object));
                    self.bar.println(shown(&self.paint.tone(Tone::Dim, &line)));
                }
            }
            Event::StepWaiting { reason, .. } => {
                if let Some(running) = &mut self.running {
                    running.reason.clone_from(reason);
                }
            }
            Event::StepFinished { outcome, detail, elapsed_ms, .. } => {
                self.finish_step(*outcome, detail, *elapsed_ms)?;
            }
            Event::Notice { level, message } => self.say(&words::notice(*level, message, self.paint))?,
            Event::RunFinished { ok, message, elapsed_ms, .. } => {
                self.finish_run(*ok, message, *elapsed_ms)?;
            }
        }
        self.tick(*at)
    }

    fn tick(&mut self, now: Timestamp) -> io::Result<()> {
        if !self.steps.is_empty() && !self.bar.is_finished() {
            self.bar.set_message(shown(&self.live(now)));
            // At the right margin, the `^C` that the terminal echoes would begin a line of its own and shift all others.
            self.term.write_str("\r")?;
            self.term.flush()?;
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        self.bar.finish_and_clear();
        Ok(())
    }
}
