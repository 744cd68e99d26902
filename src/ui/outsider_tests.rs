//! Nothing that an outsider writes is obeyed by a terminal, whichever way it takes to it.

use std::sync::Mutex;
use std::time::Duration;

use indicatif::TermLike;

use super::tests::{after, play};
use super::*;
use crate::engine::event::{Outcome, Stamped};

/// What an outsider may write into a name, a message or a file.
const HOSTILE: &str = "x\u{1b}]0;title\u{7}\u{1b}[2J\u{9b}31m\u{202e}y\rz\u{7f}\u{1b}[31;1m";

fn is_harmless(text: &str) -> bool {
    !text.contains(['\u{1b}', '\u{7}', '\u{9b}', '\u{202e}', '\r', '\u{7f}'])
}

#[test]
fn no_view_of_a_run_obeys_an_outsider() {
    let all = |step: &str| {
        let step = step.to_owned();
        let steps = vec![(step.clone(), HOSTILE.to_owned()), ("next".to_owned(), HOSTILE.to_owned())];
        let start = Event::RunStarted {
            run: HOSTILE.into(),
            verb: HOSTILE.into(),
            cluster: HOSTILE.into(),
            namespace: HOSTILE.into(),
            context: Some(HOSTILE.into()),
            steps,
        };
        let failure = Failure::message(Kind::Step, HOSTILE).hint(HOSTILE);
        let events = [
            start,
            Event::StepStarted { step: step.clone(), title: HOSTILE.into() },
            Event::Object { step: step.clone(), object: HOSTILE.into(), change: crate::engine::event::Change::Created },
            Event::StepWaiting { step: step.clone(), reason: HOSTILE.into(), elapsed_ms: 1 },
            Event::Notice { level: Level::Warning, message: HOSTILE.into() },
            Event::StepFinished { step, outcome: Outcome::Failed, detail: HOSTILE.into(), elapsed_ms: 2 },
            Event::run_finished(Err::<&str, _>(&failure), Duration::from_millis(3)),
            Event::run_finished(Ok::<_, &Failure>(HOSTILE), Duration::from_millis(3)),
        ];
        let stamped = |(index, event)| Stamped { at: after(1000 * index), event };
        (0_u64..).zip(events).map(stamped).collect::<Vec<_>>()
    };
    for paint in [Paint::new(false), Paint::new(true)] {
        for step in ["seed", HOSTILE] {
            let seen = Recorder::default();
            let target = ProgressDrawTarget::term_like(Box::new(seen.clone()));
            play(&mut tty::Tty::new(target, Box::new(seen.clone()), Glyphs::new(true), paint, true), &all(step));
            play(&mut plain::Plain::new(Box::new(seen.clone()), paint, TimeZone::UTC, true), &all(step));
            play(&mut plain::Off { out: Box::new(seen.clone()), paint }, &all(step));
            play(&mut json::Json::new(Box::new(seen.clone()), Arc::default()), &all(step));
            let text = seen.text();
            assert!(text.contains("\\u{1b}]0;title\\u{7}") && text.contains("\\u001b]0;title\\u0007"), "{text:?}");
            assert!(is_harmless(&without_our_own(&text)), "{text:?}");
        }
    }
}

#[test]
fn no_result_obeys_an_outsider() {
    let mut table = Table::new(["A", "B"]);
    table.row([table::Cell::new(color::Tone::Fail, HOSTILE), format!("{HOSTILE}\nforged").into()]);
    let failure = Failure::new(Kind::Step, anyhow::anyhow!(HOSTILE).context(format!("{HOSTILE}\nb"))).hint(HOSTILE);
    for paint in [Paint::new(false), Paint::new(true)] {
        for text in [
            table.render(paint),
            words::failure(&failure, paint),
            words::notice(Level::Warning, HOSTILE, paint),
            paint.tone(color::Tone::Typed, HOSTILE),
            shown::json(&serde_json::to_string_pretty(&[HOSTILE]).unwrap()),
        ] {
            let mut out = Vec::new();
            write_out(&mut out, &text).unwrap();
            let text = String::from_utf8(out).unwrap();
            assert!(is_harmless(&without_our_own(&text)), "{text:?}");
        }
        assert_eq!(table.render(paint).lines().count(), 2);
    }
    // Only the whole of it is ours.
    let mut out = Vec::new();
    write_out(&mut out, &format!("{}x", shown::CLEAR)).unwrap();
    assert!(is_harmless(&String::from_utf8(out).unwrap()));
}

/// Takes away what this process writes on purpose: its colours, and the cursor's movements.
fn without_our_own(text: &str) -> String {
    let ours = ["\u{1b}[0m", "\u{1b}[1m", "\u{1b}[2m", "\u{1b}[31m", "\u{1b}[32m", "\u{1b}[33m", "\u{1b}[36m"];
    ours.iter().fold(text.to_owned(), |text, code| text.replace(code, ""))
}

/// Remembers every byte that is written.
#[derive(Clone, Debug, Default)]
struct Recorder(Arc<Mutex<String>>);

impl Recorder {
    fn text(&self) -> String {
        self.0.lock().unwrap().clone()
    }
}

impl TermLike for Recorder {
    fn width(&self) -> u16 {
        500
    }

    fn height(&self) -> u16 {
        50
    }

    fn move_cursor_up(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_down(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(text)
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        // The view moves to the left margin by itself.
        self.0.lock().unwrap().push_str(if text == "\r" { "" } else { text });
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}

impl Write for Recorder {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_str(std::str::from_utf8(bytes).unwrap())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
