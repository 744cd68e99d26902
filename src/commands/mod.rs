//! Verbs: each reads its arguments, gathers what it needs and says what came out.

#![expect(clippy::doc_markdown, reason = "doc comments of arguments are help texts, and no terminal shows backticks")]

pub mod backup;
mod bounds;
pub mod config;
pub mod credentials;
pub mod diff;
pub mod expose;
mod frame;
mod gather;
pub mod purge;
pub mod recover;
mod rehearsal;
pub mod render;
pub mod restore;
pub mod runs;
pub mod status;
mod surroundings;
mod target;
pub mod teardown;
pub mod up;
pub mod verify;
mod wish;

use crate::cli::{Cli, Verb};
use crate::error::{Failure, Kind, Result};
use crate::exit;
use crate::ui::Ui;

/// Runs a verb to its end and answers with the exit code.
#[must_use]
pub fn run(cli: &Cli) -> u8 {
    let ui = Ui::new(cli.globals.ui());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let result = runtime
        .map_err(|error| Failure::new(Kind::Bug, error).context("cannot start the runtime"))
        .and_then(|runtime| runtime.block_on(dispatch(cli, &ui)));
    match result {
        Ok(()) => exit::OK,
        Err(failure) => {
            ui.fail(&failure);
            failure.kind.exit_code()
        }
    }
}

async fn dispatch(cli: &Cli, ui: &Ui) -> Result<()> {
    let globals = &cli.globals;
    match &cli.verb {
        Verb::Up(args) => up::run(args, globals, ui).await,
        Verb::Verify(args) => verify::run(args, globals, ui).await,
        Verb::Status(args) => status::run(args, globals, ui).await,
        Verb::Teardown(args) => teardown::run(args, globals, ui).await,
        Verb::Credentials(args) => credentials::run(args, globals, ui).await,
        Verb::Config(args) => config::run(args, globals, ui),
        Verb::Diff(args) => diff::run(args, globals, ui).await,
        Verb::Expose(args) => expose::run(args, globals, ui).await,
        Verb::Unexpose(args) => expose::close(args, globals, ui).await,
        Verb::Backup(args) => backup::run(args, globals, ui).await,
        Verb::Restore(args) => restore::run(args, globals, ui).await,
        Verb::Recover(args) => recover::run(args, globals, ui).await,
        Verb::Purge(args) => purge::run(args, globals, ui).await,
        Verb::Render(args) => render::run(args, globals, ui),
        Verb::Runs(args) => runs::run(args, ui),
    }
}

/// How a reading verb writes its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Table,
    Short,
    Json,
}

impl Format {
    /// The format of this name; the command line lets nothing else through.
    fn of(name: &str) -> Self {
        match name {
            "json" => Self::Json,
            "short" => Self::Short,
            _ => Self::Table,
        }
    }
}
