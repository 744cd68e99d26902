//! `galeractl render`.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::cluster::record::choose_passwords;
use crate::cluster::{backup_keys, certificates};
use crate::commands::Globals;
use crate::engine::event::Level;
use crate::error::{Failure, Kind, OrFail, Result};
use crate::manifests::Object;
use crate::manifests::config::credentials;
use crate::manifests::files::{File, Include, files};
use crate::settings::Settings;
use crate::ui::Ui;
use crate::ui::plural::plural;

use super::wish::Wish;

/// Write the manifests of a cluster as files for `kubectl apply`
///
/// The files have the names and the order of the old Ansible templates. Applied by hand, step by step, they form the
/// same cluster that `up` forms; the nodes wait for each other by themselves. Applied to a cluster that runs or has been
/// stopped, they form no other one and forget nothing. Needs no cluster.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  galeractl render --out manifests
  galeractl render -f shop.conf --show-secrets")]
pub struct Args {
    #[command(flatten)]
    wish: Wish,
    /// Folder for the files; without it everything is printed
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Overwrite files that exist and differ
    #[arg(long, requires = "out")]
    force: bool,
    /// Include the Secrets: passwords, those of the settings and generated ones for the rest, and new certificates
    #[arg(long)]
    show_secrets: bool,
    /// Also what opens doors or empties volumes: access, purge
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    include: Vec<Extra>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Extra {
    /// Access from outside
    Access,
    /// Jobs that empty volumes, once each of them says what it expects to find
    Purge,
}

impl From<Extra> for Include {
    fn from(extra: Extra) -> Self {
        match extra {
            Extra::Access => Self::Access,
            Extra::Purge => Self::Purge,
        }
    }
}

pub(crate) fn run(args: &Args, globals: &Globals, ui: &Ui) -> Result<()> {
    let settings = args.wish.settings(globals, None)?;
    for notice in &settings.notices {
        ui.notice(Level::Warning, notice);
    }
    let secrets = args.show_secrets.then(|| secrets(&settings)).transpose()?;
    let include: Vec<Include> = args.include.iter().copied().map(Include::from).collect();
    let files = files(&settings.desired, settings.variant.volumes_file, secrets.as_deref(), &include);
    let Some(folder) = &args.out else {
        let texts: Result<Vec<String>> =
            files.iter().map(|file| Ok(format!("# {}\n{}", file.name, text(file)?))).collect();
        return ui.out(&texts?.join("---\n"));
    };
    let texts: Vec<(PathBuf, String)> =
        files.iter().map(|file| Ok((folder.join(&file.name), text(file)?))).collect::<Result<_>>()?;
    if !args.force {
        for (path, text) in &texts {
            unless_different(path, text)?;
        }
    }
    std::fs::create_dir_all(folder).or_fail(Kind::Usage).map_err(|failure| at(failure, folder))?;
    for (path, text) in &texts {
        write(path, text, args.show_secrets).map_err(|failure| at(failure, path))?;
        ui.out(&path.display().to_string())?;
    }
    ui.notice(Level::Info, &format!("{} in the order of their use", plural(texts.len(), "file")));
    Ok(())
}

fn secrets(settings: &Settings) -> Result<Vec<Object>> {
    let desired = &settings.desired;
    let passwords = credentials(desired, &choose_passwords(desired, &settings.passwords));
    Ok([
        vec![Object::of(&passwords)],
        certificates::fresh(desired, Timestamp::now())?,
        backup_keys::fresh_secrets(desired)?,
    ]
    .concat())
}

fn at(failure: Failure, path: &Path) -> Failure {
    failure.context(format!("cannot write {}", path.display()))
}

fn unless_different(path: &Path, text: &str) -> Result<()> {
    match std::fs::read_to_string(path) {
        Ok(there) if there != text => {
            Err(Failure::message(Kind::Usage, format!("{} exists and is different", path.display()))
                .hint("name another folder, or overwrite with --force; nothing was written"))
        }
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(at(Failure::new(Kind::Usage, error), path)),
        _ => Ok(()),
    }
}

/// Only the owner may read a file with passwords.
fn write(path: &Path, text: &str, secret: bool) -> Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt as _;
    let write = || {
        let mut file = std::fs::File::create(path)?;
        if secret {
            file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
        }
        file.write_all(text.as_bytes())
    };
    write().or_fail(Kind::Step)
}

/// A file's content: a comment, and each object as a document of its own.
fn text(file: &File) -> Result<String> {
    let documents: Result<Vec<String>> = file.objects.iter().map(yaml).collect();
    Ok(format!("# {}\n{}", file.about, documents?.join("---\n")))
}

pub(super) fn yaml(object: &Object) -> Result<String> {
    serde_saphyr::to_string(&object.value).or_fail(Kind::Bug)
}
