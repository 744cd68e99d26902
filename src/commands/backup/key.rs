//! `galeractl backup key`.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::Subcommand;

use crate::backups::KeyFile;
use crate::cluster::backup_keys;
use crate::commands::Globals;
use crate::engine::event::Level;
use crate::error::{Failure, Kind, Result};
use crate::ui::Ui;

use super::{connect, desired};

/// Keep the key that opens the backups
///
/// Backups are encrypted for a key of their cluster, which is in a Secret that no pod mounts. When that Secret is lost, a
/// copy of the key is all that opens them: restore, backup verify, backup list and backup copy take it with --key.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Write the key to a file, for this user only
    ///
    /// Whoever has the file can read all backups that were made with the key. Keep it where neither the cluster nor the
    /// backups are. That it was written is recorded; until then, verify warns.
    Export {
        /// File to write to; it must not exist
        #[arg(value_name = "FILE")]
        path: PathBuf,
    },
}

pub(super) async fn run(args: &Args, globals: &Globals, ui: &Ui) -> Result<()> {
    let Verb::Export { path } = &args.verb;
    let connection = connect(globals).await?;
    let desired = desired(&connection, globals, None, Kind::Preflight).await?;
    let Some(key) = backup_keys::opener(&connection.client, &desired).await? else {
        let why = format!("there is no secret/{}: the key of the backups is not here", desired.cluster.backup_key());
        return Err(Failure::message(Kind::Preflight, why)
            .hint("backups are encrypted with galera_cluster_backup_encryption=own, and galeractl up makes the key"));
    };
    write(path, &key, &format!("{}/{}", desired.namespace, desired.cluster))?;
    ui.out(&format!("{}\n", path.display()))?;
    backup_keys::mark_exported(&connection.client, &desired).await.map_err(|failure| {
        failure.hint(format!("the key is in {}; only that it was exported could not be recorded", path.display()))
    })?;
    ui.notice(
        Level::Info,
        &format!(
            "key {} is in {}: keep it where neither the cluster nor its backups are",
            key.signer.id(),
            path.display()
        ),
    );
    Ok(())
}

/// Writes the file for this user only, from its first byte on. Nothing is overwritten: it might be another key.
fn write(file: &Path, key: &KeyFile, folder: &str) -> Result<()> {
    let write = || {
        let mut opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
        opened.write_all(key.text(folder).as_bytes())?;
        opened.sync_all()
    };
    write().map_err(|error| {
        Failure::message(Kind::Usage, format!("cannot write {}: {error}", file.display()))
            .hint("name a file that does not exist yet, in a folder that can be written to")
    })
}
