//! `galeractl completion`.

use std::path::PathBuf;

use clap_complete::env::Shells;

use crate::error::{Failure, Kind, OrFail, Result};
use crate::ui::Ui;

/// Variable by which the script asks the program what can follow.
pub const VARIABLE: &str = "COMPLETE";

const SETUP: &str = "\
Examples:
  echo 'source <(galeractl completion bash)' >> ~/.bashrc
  echo 'source <(galeractl completion zsh)' >> ~/.zshrc
  echo 'galeractl completion fish | source' >> ~/.config/fish/config.fish
  galeractl completion powershell | Out-String | Invoke-Expression";

/// Print the script that lets your shell complete verbs, options and names
///
/// With it, the Tab key completes also names of contexts, namespaces, clusters, nodes, backups and settings. The script
/// asks galeractl each time, which looks into the kubeconfig and, for a second or two at most, at the cluster. Load it when
/// the shell starts, so that it fits the version that is installed.
#[derive(Debug, clap::Args)]
#[command(after_help = SETUP)]
pub struct Args {
    /// Your shell
    #[arg(value_name = "SHELL", value_parser = ["bash", "zsh", "fish", "powershell", "elvish"])]
    shell: String,
}

pub(crate) fn run(args: &Args, ui: &Ui) -> Result<()> {
    let unknown = || Failure::message(Kind::Usage, format!("there is no completion for {}", args.shell));
    let mut script = Vec::new();
    Shells::builtins()
        .completer(&args.shell)
        .ok_or_else(unknown)?
        .write_registration(VARIABLE, "galeractl", "galeractl", &program(), &mut script)
        .or_fail(Kind::Bug)?;
    ui.out(&String::from_utf8(script).or_fail(Kind::Bug)?)
}

/// This program as it can be called from any folder: its name where it was found by that.
fn program() -> String {
    let typed = PathBuf::from(std::env::args_os().next().unwrap_or_else(|| "galeractl".into()));
    let path = if typed.components().count() > 1 { std::path::absolute(&typed).unwrap_or(typed) } else { typed };
    path.to_string_lossy().into_owned()
}
