//! `galeractl backup copy`.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::backups::{Backup, From, Gaps, Original, Wanted, choose};
use crate::cluster::reader::{self, Reader};
use crate::cluster::world::World;
use crate::commands::Globals;
use crate::commands::bounds::Bounds;
use crate::commands::complete;
use crate::commands::frame::Frame;
use crate::engine::event::Level;
use crate::engine::{Slot, StepCx, units};
use crate::error::{Failure, Kind, OrFail, Result};
use crate::kube::tunnel;
use crate::manifests::restore::SERVE_PORT;
use crate::ui::Ui;
use crate::ui::plural::plural;

use super::{Where, connect, desired, has_volume, none, with_reader, world};

/// Copy a backup, with all that it builds on, to this machine
///
/// Each backup becomes a folder with its data and its description, as on the backup volume. What arrives is compared
/// with the checksum that was recorded when the backup was taken. The copies are for the user only who makes them.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The backup, or `latest`
    #[arg(value_name = "BACKUP", add = complete::backups())]
    id: String,
    /// Folder to write to; made where it is missing
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    #[command(flatten)]
    place: Where,
    #[command(flatten)]
    bounds: Bounds,
}

/// Bytes that are written at once.
const BLOCK: usize = 256 << 10;

pub(super) async fn run(args: &Args, globals: &Globals, ui: &Ui) -> Result<()> {
    let connection = connect(globals).await?;
    let desired = desired(&connection, globals, Some(&args.place), Kind::No).await?;
    if !has_volume(&connection, &desired, &args.place).await? {
        return Err(none(&desired));
    }
    let (folder, claim) = (args.place.folder(&desired)?, args.place.claim(&desired));
    let word = args.place.word();
    let from = if args.id == "latest" { From::Latest } else { From::Id(args.id.clone()) };
    let wanted = Wanted { from, increment: None, to: None, gaps: Gaps::Refused };
    let mut planned = Vec::new();
    Frame::whole(ui, "backup", async |frame| {
        let world = world(&connection, desired, &args.bounds, frame).await?;
        let look = async |cx: &StepCx<'_, World>, reader: &Reader| {
            let catalog = reader::catalog(&world.connection, &world.desired, reader, &folder, &word).await?;
            let source = choose(&catalog, &wanted).map_err(|why| Failure::message(Kind::Preflight, why))?;
            for backup in &source.backups {
                let size = units::bytes(backup.bytes);
                if args.bounds.dry_run.is_some() {
                    planned.push(format!("copy  {}  {size}", backup.id));
                    continue;
                }
                let slot = cx.waiting(&format!("{}: copied", backup.id));
                let Some(original) = catalog.originals.get(&backup.id) else {
                    return Err(Failure::message(Kind::Bug, format!("{} has no description", backup.id)));
                };
                let at = copy(&world, reader, (backup, original), &args.folder, &slot).await?;
                cx.notice(Level::Info, format!("{}: {size}, checksum as recorded", at.display()));
            }
            Ok(source.backups.len())
        };
        let count = with_reader(&world, frame, &claim, args.bounds.timeout, look).await?;
        Ok(match args.bounds.dry_run {
            Some(_) => "nothing was copied".to_owned(),
            None => format!("{} copied to {}", plural(count, "backup"), args.folder.display()),
        })
    })
    .await?;
    if planned.is_empty() { Ok(()) } else { ui.out(&planned.join("\n")) }
}

/// Copies one backup. It has its proper name only when it is complete.
async fn copy(
    world: &World,
    reader: &Reader,
    (backup, original): (&Backup, &Original),
    folder: &Path,
    slot: &Slot<'_>,
) -> Result<PathBuf> {
    let (target, part) = (folder.join(&backup.id), folder.join(format!(".partial-{}", backup.id)));
    let cannot =
        |error: std::io::Error| Failure::message(Kind::Step, format!("cannot write to {}: {error}", folder.display()));
    if target.symlink_metadata().is_ok() {
        return Err(Failure::message(Kind::Preflight, format!("{} exists already", target.display())));
    }
    fresh_folder(&part).map_err(cannot)?;
    let file = fresh_file(&part.join("data.mb.zst")).map_err(cannot)?;
    let file = tokio::fs::File::from_std(file);
    let sum = receive(world, reader, backup, file, slot).await?;
    if sum != backup.sha256 {
        std::fs::remove_dir_all(&part).map_err(cannot)?;
        return Err(Failure::message(
            Kind::Step,
            format!("{} arrived with another checksum than was recorded when it was taken", backup.id),
        )
        .hint("try again; if it stays so, the backup is damaged: galeractl backup verify"));
    }
    // To the letter, since that is what was signed.
    let Original { line, signature } = original;
    for (name, text) in [("backup.json", Some(line)), ("backup.json.sig", signature.as_ref())] {
        let Some(text) = text else { continue };
        fresh_file(&part.join(name)).and_then(|mut file| writeln!(file, "{text}")).map_err(cannot)?;
    }
    std::fs::rename(&part, &target).map_err(cannot)?;
    Ok(target)
}

/// A folder that was not there before, for this user only, in place of what an earlier run has left or somebody else has
/// put there. It holds no links.
fn fresh_folder(path: &Path) -> std::io::Result<()> {
    match path.symlink_metadata() {
        Ok(found) if found.is_dir() => std::fs::remove_dir_all(path)?,
        Ok(_) => std::fs::remove_file(path)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    if let Some(parent) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    }
    DirBuilder::new().mode(0o700).create(path)
}

/// A file that was not there before, for this user only from its first byte on.
fn fresh_file(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

async fn receive(
    world: &World,
    reader: &Reader,
    backup: &Backup,
    mut file: tokio::fs::File,
    slot: &Slot<'_>,
) -> Result<String> {
    let namespace = &world.desired.namespace;
    let mut stream = tunnel::stream(&world.connection.streams, namespace, &reader.pod, SERVE_PORT).await?;
    let request = format!("{} file {}/data.mb.zst\n", reader.token, backup.path());
    stream.write_all(request.as_bytes()).await.or_fail(Kind::Unreachable)?;
    let mut sum = Sha256::new();
    let mut block = vec![0; BLOCK];
    let mut received = 0;
    loop {
        let count = stream.read(&mut block).await.or_fail(Kind::Unreachable)?;
        if count == 0 {
            break;
        }
        sum.update(&block[..count]);
        file.write_all(&block[..count]).await.or_fail(Kind::Step)?;
        received += u64::try_from(count).unwrap_or(0);
        slot.say(&format!("{}: {} of {}", backup.id, units::bytes(received), units::bytes(backup.bytes)));
    }
    file.sync_all().await.or_fail(Kind::Step)?;
    let digits = |mut text: String, byte: &u8| {
        text.push_str(&format!("{byte:02x}"));
        text
    };
    Ok(sum.finalize().iter().fold(String::new(), digits))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn copies_are_for_their_user_only_and_follow_no_links() {
        let dir = tempfile::tempdir().unwrap();
        let outside = dir.path().join("outside");
        std::fs::create_dir(&outside).unwrap();
        std::fs::write(outside.join("kept"), "kept").unwrap();
        let part = dir.path().join("made/target/.partial-x");
        for planted in [true, false] {
            std::fs::create_dir_all(part.parent().unwrap()).unwrap();
            if planted {
                symlink(&outside, &part).unwrap();
            }
            fresh_folder(&part).unwrap();
            let file = part.join("data.mb.zst");
            fresh_file(&file).unwrap().write_all(b"x").unwrap();
            let mode = |path: &Path| path.symlink_metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(&part), mode(&file)), (0o700, 0o600));
            assert!(fresh_file(&file).is_err());
            symlink(outside.join("new"), part.join("backup.json")).unwrap();
            assert!(fresh_file(&part.join("backup.json")).is_err());
        }
        std::fs::remove_dir_all(dir.path().join("made")).unwrap();
        fresh_folder(&part).unwrap();
        assert_eq!(dir.path().join("made").symlink_metadata().unwrap().permissions().mode() & 0o777, 0o700);
        let names: Vec<_> = std::fs::read_dir(outside).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["kept"]);
    }
}
