//! The one door to the terminal: narration goes to stderr, results go to stdout.

pub mod color;
pub mod hints;
mod json;
mod plain;
pub mod plural;
mod prompt;
mod shown;
pub mod stream;
pub mod table;
pub mod terminal;
mod tty;
mod words;

use std::io::{self, IsTerminal, Write};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use console::Term;
use indicatif::ProgressDrawTarget;
use jiff::tz::TimeZone;
use serde::Serialize;

use self::color::{Color, Glyphs, Paint, Surroundings};
use self::hints::Meant;
use self::stream::{Hand, Out};
use self::table::Table;
use crate::engine::Sink;
use crate::engine::event::{Event, Level, Stamped};
use crate::error::{Failure, Kind, OrFail, Result};

/// The choice `--progress`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Progress {
    /// `tty` where stderr is a terminal, otherwise `plain`.
    #[default]
    Auto,
    /// Steps that move.
    Tty,
    /// One line per transition.
    Plain,
    /// One JSON object per event.
    Json,
    /// Warnings and errors only.
    Off,
}

impl Progress {
    /// What can be typed.
    pub const NAMES: [&'static str; 5] = ["auto", "tty", "plain", "json", "off"];
}

impl FromStr for Progress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "tty" => Ok(Self::Tty),
            "plain" => Ok(Self::Plain),
            "json" => Ok(Self::Json),
            "off" => Ok(Self::Off),
            _ => Err(format!("expected one of {}", Self::NAMES.join(", "))),
        }
    }
}

/// What the user asked for.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// How progress is shown.
    pub progress: Progress,
    /// Whether there are colours.
    pub color: Color,
    /// Shows warnings and errors only.
    pub quiet: bool,
    /// Shows objects as well.
    pub verbose: bool,
    /// The cluster that commands in hints are about.
    pub meant: Meant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum View {
    Tty,
    Plain,
    Json,
    Off,
}

/// Speaks to the user. Decides once how.
#[derive(Debug, Clone)]
pub struct Ui {
    view: View,
    verbose: bool,
    can_ask: bool,
    glyphs: Glyphs,
    out: Paint,
    err: Paint,
    started: Instant,
    meant: Meant,
    /// Whether the end of the run has been written as JSON.
    ended: Arc<AtomicBool>,
}

impl Ui {
    /// Looks at the options, the streams and the environment.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self::within(options, Surroundings::look())
    }

    fn within(options: Options, around: Surroundings) -> Self {
        let moving = around.stderr_terminal && !around.dumb;
        let view = match options.progress {
            Progress::Json => View::Json,
            _ if options.quiet => View::Off,
            Progress::Off => View::Off,
            // Nothing can move where there is no terminal, even on demand.
            Progress::Auto | Progress::Tty if moving => View::Tty,
            Progress::Auto | Progress::Tty | Progress::Plain => View::Plain,
        };
        let out = around.colors(options.color, around.stdout_terminal);
        let err = around.colors(options.color, around.stderr_terminal);
        // Whatever else prints through this library agrees.
        console::set_colors_enabled(out);
        console::set_colors_enabled_stderr(err);
        Self {
            view,
            verbose: options.verbose,
            can_ask: around.stdin_terminal && around.stderr_terminal && view != View::Json,
            glyphs: Glyphs::new(around.utf8),
            out: Paint::new(out),
            err: Paint::new(err),
            started: Instant::now(),
            meant: options.meant,
            ended: Arc::default(),
        }
    }

    /// The view of a run.
    #[must_use]
    pub fn sink(&self) -> Box<dyn Sink> {
        let out = Box::new(io::stderr());
        let view: Box<dyn Sink> = match self.view {
            View::Tty => {
                let target = ProgressDrawTarget::stderr();
                Box::new(tty::Tty::new(target, Box::new(Term::stderr()), self.glyphs, self.err, self.verbose))
            }
            View::Plain => Box::new(plain::Plain::new(out, self.err, TimeZone::system(), self.verbose)),
            View::Json => Box::new(json::Json::new(out, Arc::clone(&self.ended))),
            View::Off => Box::new(plain::Off { out, paint: self.err }),
        };
        Box::new(Completing { view, meant: self.meant.clone() })
    }

    /// A text whose commands can be pasted: they name the cluster that is meant.
    #[must_use]
    pub fn complete(&self, text: &str) -> String {
        self.meant.complete(text)
    }

    /// Tells something outside of any run.
    pub fn notice(&self, level: Level, message: &str) {
        let message = self.complete(message);
        match self.view {
            View::Json => tell(Event::Notice { level, message }),
            View::Off if level == Level::Info => {}
            _ => write_err(&(words::notice(level, &message, self.err) + "\n")),
        }
    }

    /// Ends a verb without success: the error, its causes, and what to type next. To be called when the events are
    /// finished.
    pub fn fail(&self, failure: &Failure) {
        match self.view {
            View::Json if self.ended.load(Ordering::Relaxed) => {}
            View::Json => {
                let ended = Event::run_finished(Err::<&str, _>(failure), self.started.elapsed());
                tell(completed(ended, &self.meant));
            }
            _ => write_err(&self.complete(&words::failure(failure, self.err))),
        }
    }

    /// Colours for text that goes to [`Ui::out`].
    #[must_use]
    pub fn paint(&self) -> Paint {
        self.out
    }

    /// Writes a result to stdout and ends the line. A reader that has gone away, as `head` does, is no failure.
    ///
    /// # Errors
    /// The result cannot be written.
    pub fn out(&self, text: &str) -> Result<()> {
        self.line(text).map(drop)
    }

    /// As [`Ui::out`], for results that do not end by themselves: `false` when the reader has gone away.
    ///
    /// # Errors
    /// As for [`Ui::out`].
    pub fn line(&self, text: &str) -> Result<bool> {
        write_out(&mut io::stdout().lock(), text)
    }

    /// Standard output and standard error for a program that runs elsewhere. Where it has a terminal, that one is its own.
    #[must_use]
    pub fn lend(&self, terminal: bool) -> (Out<io::Stdout>, Out<io::Stderr>) {
        let hand = |is_terminal: bool| if is_terminal && !terminal { Hand::Shown } else { Hand::Raw };
        let (out, err) = (hand(io::stdout().is_terminal()), hand(io::stderr().is_terminal()));
        (Out::new(io::stdout(), out), Out::new(io::stderr(), err))
    }

    /// Writes a value to stdout as one JSON document.
    ///
    /// # Errors
    /// As for [`Ui::out`].
    pub fn json(&self, value: &impl Serialize) -> Result<()> {
        self.out(&shown::json(&serde_json::to_string_pretty(value).or_fail(Kind::Bug)?))
    }

    /// Writes a table to stdout.
    ///
    /// # Errors
    /// As for [`Ui::out`].
    pub fn table(&self, table: &Table) -> Result<()> {
        self.out(&table.render(self.out))
    }

    /// Whether somebody is there to answer questions.
    #[must_use]
    pub fn can_ask(&self) -> bool {
        self.can_ask
    }

    /// Lines before a question.
    fn say(&self, lines: &str) {
        write_err(&format!("{}\n", self.err.tone(color::Tone::Warn, self.complete(lines).trim_end())));
    }

    /// Lines about something that was confirmed in advance; programs learn it from the events.
    fn tell_what(&self, lines: &str) {
        if matches!(self.view, View::Tty | View::Plain) {
            self.say(lines);
        }
    }

    /// The question itself; the answer is typed on the same line.
    fn ask(&self, question: &str) {
        write_err(&self.err.tone(color::Tone::Typed, question));
    }
}

/// A view that is given complete commands only.
struct Completing {
    view: Box<dyn Sink>,
    meant: Meant,
}

impl Sink for Completing {
    fn name(&self) -> String {
        self.view.name()
    }

    fn event(&mut self, Stamped { at, event }: &Stamped) -> io::Result<()> {
        self.view.event(&Stamped { at: *at, event: completed(event.clone(), &self.meant) })
    }

    fn tick(&mut self, now: jiff::Timestamp) -> io::Result<()> {
        self.view.tick(now)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.view.finish()
    }
}

/// An event whose commands can be pasted.
fn completed(mut event: Event, meant: &Meant) -> Event {
    let texts: Vec<&mut String> = match &mut event {
        Event::Notice { message, .. } => vec![message],
        Event::StepWaiting { reason: text, .. } | Event::StepFinished { detail: text, .. } => vec![text],
        Event::RunFinished { message, hints, .. } => hints.iter_mut().chain([message]).collect(),
        Event::RunStarted { .. } | Event::StepStarted { .. } | Event::Object { .. } => Vec::new(),
    };
    for text in texts {
        *text = meant.complete(text);
    }
    event
}

fn tell(event: Event) {
    // Without stderr there is nobody left to tell.
    let _ = json::write_line(&mut io::stderr(), &event.now());
}

fn write_err(text: &str) {
    // As above.
    let _ = io::stderr().write_all(shown::shown(text).as_bytes());
}

/// `false` when nobody reads any more.
fn write_out(out: &mut impl Write, text: &str) -> Result<bool> {
    let end = if text.ends_with('\n') { "" } else { "\n" };
    // By itself it is nothing that came from elsewhere.
    let text = if text == shown::CLEAR { text.to_owned() } else { shown::shown(text) };
    stream::still_read(out.write_all(format!("{text}{end}").as_bytes()).and_then(|()| out.flush()))
}

#[cfg(test)]
mod outsider_tests;
#[cfg(test)]
mod tests;
