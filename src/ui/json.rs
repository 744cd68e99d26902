//! The machine's view: one event per line.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::engine::Sink;
use crate::engine::event::{Event, Stamped};

/// Writes events as JSON lines.
pub(super) struct Json {
    out: Box<dyn Write + Send>,
    /// Set when the end of the run was written, so that a failure is told once.
    ended: Arc<AtomicBool>,
}

impl Json {
    pub(super) fn new(out: Box<dyn Write + Send>, ended: Arc<AtomicBool>) -> Self {
        Self { out, ended }
    }
}

impl Sink for Json {
    fn name(&self) -> String {
        "the progress on stderr".into()
    }

    fn event(&mut self, event: &Stamped) -> io::Result<()> {
        write_line(&mut self.out, event)?;
        if matches!(event.event, Event::RunFinished { .. }) {
            self.ended.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// One event, whole or not at all.
pub(super) fn write_line(out: &mut dyn Write, event: &Stamped) -> io::Result<()> {
    let line = super::shown::json(&serde_json::to_string(event)?) + "\n";
    out.write_all(line.as_bytes())?;
    out.flush()
}
