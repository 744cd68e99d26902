//! What is to be restored, onto what.

use k8s_openapi::api::core::v1::PersistentVolumeClaim;

use crate::backups::{Catalog, Stop, Wanted, choose, sequence, series, utc};
use crate::cluster::backup_keys::{self, Opening, Word};
use crate::cluster::inspect::Volumes;
use crate::cluster::reader::{self, Reader};
use crate::cluster::record::{self, Secrets};
use crate::cluster::volumes::{claim_targets, nobody_uses_them};
use crate::cluster::world::World;
use crate::cluster::{adopt, certificates, inspect};
use crate::engine::StepCx;
use crate::error::{Failure, Kind, Result};
use crate::kube::objects::Objects;
use crate::manifests::{self, scripts};
use crate::names::{ClusterName, Member};
use crate::wsrep::Uuid;
use crate::wsrep::volume::Aside;

use super::Prepared;

/// Where the backup is, and which it is.
#[derive(Debug, Clone)]
pub enum Origin {
    /// One that an agent has made.
    Backup(Wanted),
    /// A folder of mariadb-backup on the backup volume, as seen from its root.
    Directory(String),
}

/// What is to be restored, and how.
#[derive(Debug)]
pub struct Wish {
    /// What is to be restored.
    pub origin: Origin,
    /// Whose backups, as `namespace/cluster`; `None` for the cluster's own.
    pub folder: Option<String>,
    /// Claim of the backup volume; `None` finds it.
    pub claim: Option<String>,
    /// Whose backups are believed.
    pub word: Word,
    /// Fill one volume only.
    pub alone: bool,
    /// Only look: make nothing that lasts.
    pub dry: bool,
}

/// What is restored, and onto what.
#[derive(Debug)]
pub struct Found {
    /// What is restored.
    pub prepared: Prepared,
    /// What the volumes hold before.
    pub volumes: Volumes,
    /// The passwords, where there is a Secret.
    pub secrets: Option<Secrets>,
}

/// Finds the backup, and looks what is on the volumes. The pod that reads the backup stays.
///
/// # Errors
/// The cluster is not down, an earlier restore was broken off, or there is no such backup.
pub async fn look(cx: &StepCx<'_, World>, wish: &Wish) -> Result<Found> {
    let world = cx.world;
    let (client, desired) = (&world.connection.client, &world.desired);
    world.take_lock(cx).await?;
    nobody_uses_them(world).await?;
    reader::remove_jobs(cx).await?;
    let secrets = record::stored_passwords(client, &desired.namespace, &desired.cluster).await?;
    if let Some(secrets) = &secrets {
        record::same_passwords(world, secrets)?;
        record::whose_secret(&world.applier, desired).await?;
    }
    certificates::judge(&world.applier, desired).await?;
    backup_keys::judge(&world.applier, desired).await?;
    if desired.iscsi.is_empty() {
        adopt::missing(world, false).await?;
    } else {
        claim_targets(cx).await?;
    }
    // Each has its own pod, for which it waits. Whatever is on record, it is another history that comes.
    let known = existing_claim(world, wish).await?;
    let opened = async {
        match &known {
            Some(claim) => reader::open(cx, claim).await.map(Some),
            None => Ok(None),
        }
    };
    let (volumes, reader) = tokio::join!(inspect::volumes(cx, None), opened);
    let volumes = volumes?;
    if let Some((member, _)) = volumes.iter().find(|(_, evidence)| evidence.aside == Aside::Kept) {
        return Err(Failure::message(
            Kind::Preflight,
            format!("an earlier restore was broken off: the volume of {member} still keeps what was there before"),
        )
        .hint("finish it: galeractl restore --continue")
        .hint("or take it back: galeractl restore --undo"));
    }
    let reader = match reader? {
        Some(reader) => reader,
        // Made only now: a restore that is refused leaves nothing.
        None => reader::open(cx, &make_claim(cx, wish).await?).await?,
    };
    let prepared = match &wish.origin {
        Origin::Backup(wanted) => from_backup(world, wish, wanted, reader).await?,
        Origin::Directory(path) => from_directory(world, wish, path, reader).await?,
    };
    Ok(Found { prepared, volumes, secrets })
}

/// The claim of the backup volume: the one that is named, the cluster's own, or that of the cluster whose backups are
/// meant; `None` where none of these exists.
async fn existing_claim(world: &World, wish: &Wish) -> Result<Option<String>> {
    let desired = &world.desired;
    let claims: Objects<PersistentVolumeClaim> = Objects::within(&world.connection.client, &desired.namespace);
    let exists = async |name: &str| Ok::<_, Failure>(claims.get(name, Kind::Preflight).await?.is_some());
    if let Some(name) = &wish.claim {
        return if exists(name).await? {
            Ok(Some(name.clone()))
        } else {
            Err(Failure::message(Kind::Preflight, format!("persistentvolumeclaim/{name} does not exist")))
        };
    }
    let own = desired.cluster.backup_claim();
    if exists(&own).await? {
        return Ok(Some(own));
    }
    let theirs = wish.folder.as_ref().and_then(|folder| folder.rsplit('/').next()?.parse::<ClusterName>().ok());
    if let Some(name) = theirs.map(|cluster| cluster.backup_claim())
        && exists(&name).await?
    {
        return Ok(Some(name));
    }
    Ok(None)
}

/// Makes the claim of the backup volume where the settings name one, and the volume of a share.
async fn make_claim(cx: &StepCx<'_, World>, wish: &Wish) -> Result<String> {
    let world = cx.world;
    let desired = &world.desired;
    let own = desired.cluster.backup_claim();
    if desired.backup.is_some() && wish.dry {
        return Err(Failure::message(
            Kind::Preflight,
            format!(
                "persistentvolumeclaim/{own} does not exist yet, so the backups cannot be looked at; without --dry-run it is made"
            ),
        ));
    }
    if desired.backup.is_some() {
        let volumes = adopt::missing(world, false).await?;
        world.apply(cx, &volumes).await?;
        let claim: Vec<manifests::Object> =
            manifests::backup_volumes(desired).into_iter().filter(|object| object.namespace.is_some()).collect();
        world.apply(cx, &claim).await?;
        return Ok(own);
    }
    Err(Failure::message(
        Kind::Preflight,
        format!("there is no backup volume: persistentvolumeclaim/{own} does not exist"),
    )
    .hint("name the claim that has the backups: --claim NAME")
    .hint("or name the share in galera.conf: galera_cluster_backup_nfs_server and galera_cluster_backup_path"))
}

async fn from_backup(world: &World, wish: &Wish, wanted: &Wanted, reader: Reader) -> Result<Prepared> {
    let desired = &world.desired;
    let folder = wish.folder.clone().unwrap_or_else(|| format!("{}/{}", desired.namespace, desired.cluster));
    let catalog = reader::catalog(&world.connection, desired, &reader, &folder, &wish.word).await?;
    let source = choose(&catalog, wanted).map_err(|why| refused(&catalog, &folder, why))?;
    let opening = backup_keys::opening(&world.connection.client, desired, &wish.word, &source).await?;
    let last = source.last();
    let signed = if catalog.is_signed(&last.id) { "" } else { ", which NOBODY HAS SIGNED" };
    let mut what = format!("backup {} of {folder}, {}{signed}", last.id, last.position());
    match source.logs.last() {
        None => {}
        Some(replay) => {
            let end = match replay.stop {
                Some(Stop::Time(time)) => format!("everything before {}", utc(time)),
                Some(Stop::Gtid(number)) => format!("transaction 1-1-{number}"),
                None => format!("transaction 1-1-{}", sequence(&replay.log.to)),
            };
            what.push_str(&format!(", and binary logs up to {end}"));
            for gap in &source.crossed {
                what.push_str(&format!("\nWITHOUT {gap}, in no binary log since {}", utc(gap.after)));
            }
        }
    }
    Ok(Prepared {
        reader,
        plan: source.plan(),
        opening,
        needed: source.needed(),
        uuid: new_uuid(),
        filled: filled(world, wish.alone),
        what,
        source: Some(source),
    })
}

fn refused(catalog: &Catalog, folder: &str, why: String) -> Failure {
    let failure = Failure::message(Kind::Preflight, why);
    let others: Vec<&str> = catalog.clusters.iter().map(String::as_str).filter(|other| *other != folder).collect();
    match others.as_slice() {
        [] => failure.hint("galeractl backup list shows what there is"),
        [one] => failure.hint(format!("there are backups of another cluster: --source {one}")),
        several => failure.hint(format!("there are backups of these: {}; name one with --source", several.join(", "))),
    }
}

async fn from_directory(world: &World, wish: &Wish, path: &str, reader: Reader) -> Result<Prepared> {
    let output = reader::run(
        &world.connection,
        &world.desired.namespace,
        &reader,
        &["/bin/bash", "-s", "--", path],
        Some(scripts::DIRECTORY),
    )
    .await?;
    let mut lines = output.stdout.lines();
    let first = lines.next().unwrap_or_default();
    let refuse = |why: String| Err(Failure::message(Kind::Preflight, why));
    let Ok(bytes) = first.parse::<u64>() else {
        return refuse(match first {
            "none" => format!("folder {path} of the backup volume holds no backup of mariadb-backup"),
            _ => format!("there is no folder {path} on the backup volume"),
        });
    };
    let (taken, image) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let image = image.split(' ').find(|word| word.contains("MariaDB")).unwrap_or(image);
    if series(taken) != series(image) {
        return refuse(format!(
            "the backup was taken by MariaDB {taken}, and the image has {image}: a backup is restored by the version that took it"
        ));
    }
    Ok(Prepared {
        reader,
        source: None,
        plan: format!("directory {path}\n"),
        opening: Opening::default(),
        needed: bytes / 10 * 11 + (256 << 20),
        uuid: new_uuid(),
        filled: filled(world, wish.alone),
        what: format!("folder {path} of the backup volume, taken by MariaDB {taken}, which NOBODY HAS SIGNED"),
    })
}

fn filled(world: &World, alone: bool) -> Vec<Member> {
    world.desired.members().take(if alone { 1 } else { usize::MAX }).collect()
}

/// Galera makes them from time and host; any that nobody else has is right.
fn new_uuid() -> Uuid {
    Uuid::from_number(rand::random())
}
