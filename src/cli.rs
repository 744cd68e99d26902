//! The command line: its list of verbs, and the way from what was typed to an exit code.

use std::path::Path;

use clap::error::{ContextKind, ContextValue};
use clap::{Command, CommandFactory, FromArgMatches, Parser, Subcommand};
use clap_complete::CompleteEnv;

use crate::commands::{self, Globals};
use crate::error::{Failure, Kind, Result};
use crate::exit;
use crate::ui::{self, Ui};

/// Form, prove and remove MariaDB Galera clusters on Kubernetes
///
/// A Galera cluster is a group of MariaDB servers that all hold the same data: what one of them acknowledges is on
/// all of them. galeractl needs a kubeconfig and nothing else; it leaves nothing running but MariaDB and HAProxy.
#[derive(Debug, Parser)]
#[command(name = "galeractl", version, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Cli {
    /// Options that all verbs share.
    #[command(flatten)]
    pub globals: Globals,
    /// The verb.
    #[command(subcommand)]
    pub verb: Verb,
}

const EXIT_CODES: &str = "\
Exit codes:
  0    everything went as asked
  1    the answer is no: verify failed, or diff found a difference
  2    wrong command line or settings; nothing was changed
  3    a precondition does not hold; nothing was changed
  4    a step failed or timed out; the same command continues from there
  5    another run holds the cluster's lock
  6    declined, or no terminal to ask on
  7    the API server or the database cannot be reached
  70   a defect in galeractl
  130  interrupted

First cluster, on the cluster of your kubeconfig:
  galeractl up
  galeractl verify";

/// What is to be done; the help of each verb is the doc comment of its arguments.
#[derive(Debug, Subcommand)]
#[expect(missing_docs, reason = "a doc comment here would hide the longer help of the verb")]
pub enum Verb {
    Up(commands::up::Args),
    Verify(commands::verify::Args),
    Status(commands::status::Args),
    Apply(commands::apply::Args),
    Restart(commands::restart::Args),
    Hold(commands::hold::Args),
    Release(commands::hold::ReleaseArgs),
    Rebuild(commands::hold::RebuildArgs),
    Upgrade(commands::upgrade::Args),
    Scale(commands::scale::Args),
    Teardown(commands::teardown::Args),
    Expose(commands::expose::Args),
    Unexpose(commands::expose::CloseArgs),
    Backup(commands::backup::Args),
    Restore(commands::restore::Args),
    Recover(commands::recover::Args),
    Purge(commands::purge::Args),
    Certificates(commands::certificates::Args),
    Sql(commands::sql::Args),
    Logs(commands::logs::Args),
    PortForward(commands::port_forward::Args),
    Credentials(commands::credentials::Args),
    List(commands::list::Args),
    Config(commands::config::Args),
    Render(commands::render::Args),
    Diff(commands::diff::Args),
    Permissions(commands::permissions::Args),
    Runs(commands::runs::Args),
    Version(commands::version::Args),
    Completion(commands::completion::Args),
    Man(commands::man::Args),
}

/// Name of the program.
const PROGRAM: &str = "galeractl";
/// Its name where kubectl has found it as a plugin.
const PLUGIN: &str = "kubectl galera";

/// What people type who know other programs, and the verb that they mean.
const SYNONYMS: [(&str, &[&str]); 13] = [
    ("up", &["create", "deploy", "install", "start", "run", "form", "bootstrap"]),
    ("teardown", &["stop", "down", "delete", "destroy", "rm", "remove", "uninstall"]),
    ("status", &["ps", "show", "display", "info", "describe"]),
    ("list", &["ls", "get", "clusters"]),
    ("sql", &["exec", "shell", "mysql", "mariadb", "connect", "client", "query", "psql", "console"]),
    ("logs", &["log", "tail", "follow"]),
    ("port-forward", &["forward", "tunnel", "proxy", "portforward"]),
    ("verify", &["health", "test", "doctor", "ping"]),
    ("recover", &["repair", "heal", "fix"]),
    ("upgrade", &["update", "rollout", "set-image", "image"]),
    ("purge", &["wipe", "empty"]),
    ("credentials", &["password", "passwords", "secrets"]),
    ("render", &["template", "manifests", "export"]),
];

/// Does what the command line says, or completes it for a shell, and answers with the exit code.
#[must_use]
pub fn start() -> u8 {
    CompleteEnv::with_factory(Cli::command).var(commands::completion::VARIABLE).complete();
    let called = std::env::args_os().next().unwrap_or_default();
    let plugin = Path::new(&called).file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"kubectl-"));
    let program = if plugin { PLUGIN } else { PROGRAM };
    let mut command = named(Cli::command(), program).bin_name(program);
    let matches = command.try_get_matches_from_mut(std::env::args_os());
    let cli = matches.and_then(|matches| Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command)));
    run(&cli.unwrap_or_else(|error| advised(error).exit()), program)
}

/// The command line, with examples that can be typed as they stand.
fn named(command: Command, program: &str) -> Command {
    let renamed = |text: &clap::builder::StyledStr| text.to_string().replace("galeractl ", &format!("{program} "));
    let examples = command.get_after_help().map(renamed);
    let command = command.mut_subcommands(|verb| named(verb, program));
    match examples {
        Some(examples) => command.after_help(examples),
        None => command,
    }
}

/// An error that names the verb which is meant by a word of other programs.
fn advised(mut error: clap::Error) -> clap::Error {
    let word = match error.get(ContextKind::InvalidSubcommand) {
        Some(ContextValue::String(word)) => word.clone(),
        _ => return error,
    };
    if let Some((verb, _)) = SYNONYMS.iter().find(|(_, words)| words.contains(&word.as_str())) {
        error.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(vec![(*verb).to_owned()]));
    }
    error
}

fn run(cli: &Cli, program: &'static str) -> u8 {
    let meant = cli.globals.meant.in_terms_of(Cli::command, program);
    let ui = Ui::new(ui::Options { meant, ..cli.globals.ui() });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let result = runtime.map_err(|error| Failure::new(Kind::Bug, error).context("cannot start the runtime")).and_then(
        |runtime| {
            let result = runtime.block_on(dispatch(cli, &ui));
            runtime.block_on(commands::settle());
            result
        },
    );
    match result {
        Ok(code) => code,
        Err(failure) => {
            ui.fail(&failure);
            failure.kind.exit_code()
        }
    }
}

async fn dispatch(cli: &Cli, ui: &Ui) -> Result<u8> {
    let globals = &cli.globals;
    let done = match &cli.verb {
        // It ends as the client does.
        Verb::Sql(args) => return commands::sql::run(args, globals, ui).await,
        Verb::Up(args) => commands::up::run(args, globals, ui).await,
        Verb::Verify(args) => commands::verify::run(args, globals, ui).await,
        Verb::Status(args) => commands::status::run(args, globals, ui).await,
        Verb::Apply(args) => commands::apply::run(args, globals, ui).await,
        Verb::Restart(args) => commands::restart::run(args, globals, ui).await,
        Verb::Hold(args) => commands::hold::run(args, globals, ui).await,
        Verb::Release(args) => commands::hold::release(args, globals, ui).await,
        Verb::Rebuild(args) => commands::hold::rebuild(args, globals, ui).await,
        Verb::Upgrade(args) => commands::upgrade::run(args, globals, ui).await,
        Verb::Scale(args) => commands::scale::run(args, globals, ui).await,
        Verb::Teardown(args) => commands::teardown::run(args, globals, ui).await,
        Verb::Certificates(args) => commands::certificates::run(args, globals, ui).await,
        Verb::Logs(args) => commands::logs::run(args, globals, ui).await,
        Verb::PortForward(args) => commands::port_forward::run(args, globals, ui).await,
        Verb::List(args) => commands::list::run(args, globals, ui).await,
        Verb::Credentials(args) => commands::credentials::run(args, globals, ui).await,
        Verb::Config(args) => commands::config::run(args, globals, ui),
        Verb::Diff(args) => commands::diff::run(args, globals, ui).await,
        Verb::Expose(args) => commands::expose::run(args, globals, ui).await,
        Verb::Unexpose(args) => commands::expose::close(args, globals, ui).await,
        Verb::Backup(args) => commands::backup::run(args, globals, ui).await,
        Verb::Restore(args) => Box::pin(commands::restore::run(args, globals, ui)).await,
        Verb::Recover(args) => commands::recover::run(args, globals, ui).await,
        Verb::Purge(args) => commands::purge::run(args, globals, ui).await,
        Verb::Render(args) => commands::render::run(args, globals, ui),
        Verb::Permissions(args) => commands::permissions::run(args, globals, ui),
        Verb::Runs(args) => commands::runs::run(args, ui),
        Verb::Version(args) => commands::version::run(args, globals, ui).await,
        Verb::Completion(args) => commands::completion::run(args, ui),
        Verb::Man(args) => commands::man::run(args, Cli::command()),
    };
    done.map(|()| exit::OK)
}
