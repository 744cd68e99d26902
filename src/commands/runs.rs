//! `galeractl runs`.

use std::path::Path;

use clap::Subcommand;
use serde_json::json;

use crate::engine::event::Outcome;
use crate::engine::journal::{self, RunOutcome, RunSummary};
use crate::engine::{account, units};
use crate::error::{Failure, Kind, Result};
use crate::ui::Ui;
use crate::ui::color::Tone;
use crate::ui::table::{Cell, Table};

use super::{Format, complete};

/// List past runs, or show where the time of one went
///
/// Every run that changes something keeps a journal on this machine, under $XDG_STATE_HOME/galeractl/runs.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  galeractl runs
  galeractl runs show")]
pub struct Args {
    /// What to show; the list by default
    #[command(subcommand)]
    verb: Option<Verb>,
    /// table or json
    #[arg(short, long, global = true, value_name = "FORMAT", default_value = "table", value_parser = ["table", "json"])]
    output: String,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List past runs, newest first
    List,
    /// Show the steps and waits of one run
    Show {
        /// Identifier of the run, or the beginning or end of it; the newest run by default
        #[arg(add = complete::runs())]
        run: Option<String>,
    },
}

pub(crate) fn run(args: &Args, ui: &Ui) -> Result<()> {
    let directory = journal::directory(|name| std::env::var_os(name)).ok_or_else(|| {
        Failure::message(Kind::Usage, "neither XDG_STATE_HOME nor HOME names a directory, so there are no journals")
    })?;
    match &args.verb {
        Some(Verb::Show { run }) => show(ui, &directory, run.as_deref(), Format::of(&args.output)),
        Some(Verb::List) | None => list(ui, &directory, Format::of(&args.output)),
    }
}

fn list(ui: &Ui, directory: &Path, format: Format) -> Result<()> {
    let runs = journal::list(directory)?;
    if format == Format::Json {
        return ui.json(&runs);
    }
    let mut table = Table::new(["RUN", "VERB", "CLUSTER", "NAMESPACE", "STARTED", ">TOOK", "RESULT"]);
    for run in &runs {
        let (tone, result) = result(run);
        table.row([
            Cell::from(&run.id),
            Cell::from(&run.verb),
            Cell::from(&run.cluster),
            Cell::from(&run.namespace),
            Cell::from(run.started.strftime("%F %T UTC").to_string()),
            Cell::from(units::millis(run.elapsed_ms)),
            Cell::new(tone, result),
        ]);
    }
    ui.table(&table)
}

fn result(run: &RunSummary) -> (Tone, String) {
    match run.outcome {
        RunOutcome::Ok => (Tone::Ok, "ok".to_owned()),
        RunOutcome::Failed(code) => (Tone::Fail, format!("failed, exit code {code}")),
        RunOutcome::Unfinished => (Tone::Warn, "unfinished: runs, or was killed".to_owned()),
    }
}

fn show(ui: &Ui, directory: &Path, run: Option<&str>, format: Format) -> Result<()> {
    let newest;
    let run = if let Some(run) = run {
        run
    } else {
        let runs = journal::list(directory)?;
        let first = runs.into_iter().next();
        newest = first.ok_or_else(|| Failure::message(Kind::Usage, "there are no runs yet"))?.id;
        &newest
    };
    let (id, events) = journal::read(directory, run)?;
    let steps = account::steps(&events);
    if format == Format::Json {
        return ui.json(&json!({"run": id, "steps": steps, "events": events}));
    }
    ui.out(&format!("Run {id}: {}\n\n", account::where_time_went(&events)))?;
    let mut table = Table::new(["STEP", "RESULT", ">TOOK", "WHAT"]);
    for step in &steps {
        let (tone, outcome) = match step.outcome {
            Some(Outcome::Changed) => (Tone::Ok, "changed"),
            Some(Outcome::Unchanged) => (Tone::Ok, "unchanged"),
            Some(Outcome::Skipped) => (Tone::Dim, "skipped"),
            Some(Outcome::Failed) => (Tone::Fail, "failed"),
            None => (Tone::Warn, "cut off"),
        };
        let cells = [step.step.clone(), units::millis(step.elapsed_ms), step.detail.clone()];
        let [name, took, detail] = cells.map(Cell::from);
        table.row([name, Cell::new(tone, outcome), took, detail]);
        for wait in &step.waits {
            let took = Cell::new(Tone::Dim, units::millis(wait.elapsed_ms));
            table.row([Cell::from(" "), Cell::new(Tone::Dim, "waited"), took, Cell::new(Tone::Dim, &wait.last)]);
        }
    }
    ui.table(&table)
}
