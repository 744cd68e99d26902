//! `galeractl man`.

use std::path::{Path, PathBuf};

use crate::error::{Kind, OrFail, Result};

/// Write the man pages of all verbs
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub struct Args {
    /// Folder for the pages, such as /usr/local/share/man/man1; made where it is missing
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

pub(crate) fn run(args: &Args, grammar: clap::Command) -> Result<()> {
    let write = |folder: &Path| {
        std::fs::create_dir_all(folder)?;
        clap_mangen::generate_to(grammar, folder)
    };
    let cannot = format!("cannot write man pages to {}", args.folder.display());
    write(&args.folder).or_fail(Kind::Usage).map_err(|failure| failure.context(cannot))
}
