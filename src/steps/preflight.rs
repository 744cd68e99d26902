//! Everything that must hold before anything is changed.

use futures::future::{FutureExt, LocalBoxFuture};
use k8s_openapi::api::core::v1::Namespace;

use crate::desired::Desired;
use crate::engine::event::Level;
use crate::engine::{Finished, Step, StepCx, Verdict};
use crate::error::{Failure, Kind, Result};
use crate::kube::access::{Right, denied};
use crate::kube::classes;
use crate::kube::objects::{Objects, Seen};
use crate::manifests;
use crate::manifests::config::{ROOT_PASSWORD, Record, USER_PASSWORD};
use crate::names::Member;
use crate::observed::MemberView;
use crate::plans::course::{Course, Found, Refusal, course};
use crate::wsrep::Position;
use crate::wsrep::volume::Evidence;

use super::world::{BEAT, World};
use super::{admission, adopt, inspect, options, record};

/// The step.
pub struct Preflight;

impl Step<World> for Preflight {
    fn id(&self) -> &'static str {
        "preflight"
    }

    fn title(&self) -> String {
        "look before anything is changed".to_owned()
    }

    fn run<'a>(&'a self, cx: &'a StepCx<'a, World>) -> LocalBoxFuture<'a, Result<Finished>> {
        run(cx).boxed_local()
    }
}

async fn run(cx: &StepCx<'_, World>) -> Result<Finished> {
    let exists = namespace(cx.world).await?;
    cx.world.memory().namespace_exists = exists;
    if exists {
        cx.world.take_lock(cx).await?;
    }
    look(cx).await
}

/// Everything that the run asks before it changes anything, without the lock unless volumes have to be looked into.
///
/// # Errors
/// What stands in the way.
pub async fn look(cx: &StepCx<'_, World>) -> Result<Finished> {
    let world = cx.world;
    let server = world.connection.version().await?;
    let exists = namespace(world).await?;
    world.memory().namespace_exists = exists;
    storage_class(world).await?;
    if exists {
        existing(cx).await?;
    } else {
        world.memory().course = Some(Course::Form);
    }
    adopt::missing(world, world.course() == Course::Form).await?;
    if exists {
        admission::admitted(world).await?;
    }
    let way = match world.course() {
        Course::Form => "nothing stands in the way".to_owned(),
        Course::BringBack { from, position, .. } => {
            format!("stopped volumes; {from} has the newest, {position}")
        }
        Course::Compare => "stopped volumes; their servers will say where they stand".to_owned(),
        Course::Keep => "the cluster runs".to_owned(),
    };
    Ok(Finished::unchanged(format!("Kubernetes {server}; {way}")))
}

/// Whether the namespace is there, or may be made.
///
/// # Errors
/// It is being deleted, or does not exist and may not be made.
pub async fn namespace(world: &World) -> Result<bool> {
    let name = world.desired.namespace.as_str();
    let all: Objects<Namespace> = Objects::everywhere(&world.connection.client);
    let found = all.look(name, Kind::Preflight).await?;
    if found == Seen::Hidden {
        // Someone who may work in a namespace need not be allowed to look at it.
        return Ok(true);
    }
    let Some(namespace) = found.there() else {
        let right = Right { verb: "create", group: "", resource: "namespaces", subresource: "", namespace: None };
        if denied(&world.connection.client, &[right]).await?.is_empty() {
            return Ok(false);
        }
        return Err(Failure::message(
            Kind::Preflight,
            format!("namespace {name} does not exist, and you may not create it"),
        )
        .hint("name another one with -n, or ask for it to be created"));
    };
    if namespace.metadata.deletion_timestamp.is_some() {
        return Err(Failure::message(Kind::Preflight, format!("namespace {name} is being deleted"))
            .hint("wait until it is gone, or name another one with -n"));
    }
    Ok(true)
}

async fn storage_class(world: &World) -> Result<()> {
    if !world.desired.iscsi.is_empty() {
        return Ok(());
    }
    let observed = world.observer.now();
    let bound = |member: Member| {
        observed.claims.get(&world.desired.cluster.claim(member)).is_some_and(|claim| claim.phase == "Bound")
    };
    if world.desired.members().all(bound) {
        return Ok(());
    }
    let Some(classes) = classes::list(&world.connection.client, Kind::Preflight).await? else { return Ok(()) };
    let names: Vec<&str> = classes.iter().filter_map(|class| class.metadata.name.as_deref()).collect();
    let known = if names.is_empty() { "there is none".to_owned() } else { format!("there are: {}", names.join(", ")) };
    let named = world.desired.storage_class.iter().chain(&world.desired.seed_storage_class);
    if let Some(wanted) = named.into_iter().find(|wanted| !names.contains(&wanted.as_str())) {
        return Err(Failure::message(Kind::Preflight, format!("storage class `{wanted}` does not exist; {known}"))
            .hint("name another one: --set galera_cluster_storage_class=NAME"));
    }
    match &world.desired.storage_class {
        None if !classes.iter().any(classes::is_default) => {
            Err(Failure::message(Kind::Preflight, format!("no storage class is the default one; {known}"))
                .hint("name one: --set galera_cluster_storage_class=NAME"))
        }
        _ => Ok(()),
    }
}

/// What exists of the cluster, whose it is, and which way follows from it.
async fn existing(cx: &StepCx<'_, World>) -> Result<()> {
    let world = cx.world;
    let (client, desired) = (&world.connection.client, &world.desired);
    let (stored, recorded) = tokio::try_join!(
        record::stored(client, &desired.namespace, &desired.cluster),
        record::recorded(client, &desired.namespace, &desired.cluster),
    )?;
    let objects: Vec<manifests::Object> = [
        manifests::shared(desired),
        manifests::nodes(desired),
        manifests::proxy(desired),
        manifests::claims(desired, false),
    ]
    .concat();
    world.applier.read_all(&objects).await?;
    let secrets = record::stored_passwords(client, &desired.namespace, &desired.cluster).await?;
    if let Some(secrets) = &secrets {
        record::whose_secret(&world.applier, desired).await?;
        same_passwords(world, secrets)?;
        if let Some(own) = secrets.get(manifests::config::OWN_PASSWORD) {
            world.observer.set_password(crate::desired::Hidden::new(own));
        }
    }
    if let Some((before, record)) = &stored {
        differences(cx, before, record)?;
    }
    {
        let mut memory = world.memory();
        memory.secrets = secrets;
        memory.record = recorded.clone().unwrap_or_default();
    }
    settle(cx).await?;
    let (way, volumes) = decide(cx, recorded.as_ref()).await?;
    if way == Course::Form {
        usable_passwords(world)?;
    }
    if let Some((before, _)) = stored.as_ref().filter(|_| way == Course::Keep) {
        options::taken(world, before).await?;
    }
    let observed = world.observer.now();
    if way != Course::Form || !observed.members.is_empty() {
        secret_is_there(world)?;
    }
    let mut memory = world.memory();
    memory.course = Some(way);
    memory.volumes = volumes;
    Ok(())
}

/// Looks at everything that holds evidence, and decides the course by it.
async fn decide(
    cx: &StepCx<'_, World>,
    record: Option<&Record>,
) -> Result<(Course, std::collections::BTreeMap<Member, Evidence>)> {
    let world = cx.world;
    let volumes = inspect::volumes(cx).await?;
    let observed = world.observer.now();
    let found = Found { desired: &world.desired, record, observed: &observed, volumes: &volumes };
    let way = course(&found).map_err(|refusal| refused(world, &refusal, &volumes))?;
    Ok((way, volumes))
}

/// Decides once more, when volumes that have just been bound turn out to be old ones: what lies on a target outlives its
/// volume and its claim.
///
/// # Errors
/// The volumes hold something that does not fit together.
pub(super) async fn reconsider(cx: &StepCx<'_, World>) -> Result<()> {
    let world = cx.world;
    let record = world.memory().record.clone();
    let (way, volumes) = decide(cx, Some(&record)).await.map_err(|failure| Failure { kind: Kind::Step, ..failure })?;
    if way != Course::Form {
        secret_is_there(world)?;
    }
    let mut memory = world.memory();
    memory.course = Some(way);
    memory.volumes = volumes;
    Ok(())
}

/// A new Secret would hold passwords that the database does not have.
fn secret_is_there(world: &World) -> Result<()> {
    if world.memory().secrets.is_some() {
        return Ok(());
    }
    let name = world.desired.cluster.credentials();
    Err(Failure::message(Kind::Preflight, format!("there is a database, but secret/{name} is missing"))
        .hint("restore the Secret: without its passwords nobody could use or check the database"))
}

/// The node with the newest position, when all nodes of a formed cluster have been found to wait.
///
/// # Errors
/// The evidence is not complete or not consistent.
pub(super) async fn newest(cx: &StepCx<'_, World>) -> Result<(Member, Position, Vec<Member>)> {
    let record = cx.world.memory().record.clone();
    match decide(cx, Some(&record)).await?.0 {
        Course::BringBack { from, position, without } => Ok((from, position, without)),
        Course::Form | Course::Keep | Course::Compare => {
            Err(Failure::message(Kind::Step, "the nodes have begun to move; run again"))
        }
    }
}

/// How long a pod that starts or is being replaced may take to say where it stands.
const SETTLES_WITHIN: std::time::Duration = std::time::Duration::from_secs(60);

/// Some time for pods that run, start or are being replaced to say where they stand: an unanswered question is not an
/// answer.
pub(super) async fn settle(cx: &StepCx<'_, World>) -> Result<()> {
    let world = cx.world;
    let patience = crate::engine::Patience::new(SETTLES_WITHIN);
    let is_asked = world.memory().secrets.is_some();
    let settled = cx.wait(world.observer.changes(), BEAT, patience, || async {
        let observed = world.observer.now();
        let of_nodes =
            observed.members.iter().filter(|(_, view)| !has_spoken(view, is_asked)).map(|(member, _)| *member);
        let awaited = world.desired.members().filter(|member| inspect::is_awaited(world, *member));
        let silent: Vec<String> = of_nodes.chain(awaited).map(|member| member.to_string()).collect();
        if silent.is_empty() {
            Verdict::pass("")
        } else {
            Verdict::wait(format!("a sign of life: {}", silent.join(", ")))
        }
    });
    match settled.await {
        Err(failure) if failure.kind == Kind::Interrupted => Err(failure),
        // Nobody spoke: the decision is made from what is known, and refuses where that is too little.
        _ => Ok(()),
    }
}

/// A log alone does not count where the server has not been asked yet: while it is read, it tells of the past. A node
/// that still looks for its position is about to say more.
fn has_spoken(view: &MemberView, is_asked: bool) -> bool {
    if view.pod.ended || view.pod.trouble.is_some() {
        return true;
    }
    if view.pod.leaving || !view.pod.running {
        return false;
    }
    match &view.sql {
        // Without its password nobody asks a server.
        None => !is_asked && matches!(view.log.phase.as_deref(), Some("waiting" | "refused" | "held")),
        Some(Ok(_)) => true,
        Some(Err(_)) => view.log.phase.as_deref().is_some_and(|phase| phase != "recovering"),
    }
}

fn refused(world: &World, refusal: &Refusal, volumes: &std::collections::BTreeMap<Member, Evidence>) -> Failure {
    let mut text = refusal.reasons.join("; ");
    if refusal.about_volumes && !volumes.is_empty() {
        text.push_str("\n\n");
        text.push_str(&table(world, volumes));
    }
    refusal.hints.iter().fold(Failure::message(Kind::Preflight, text), Failure::hint)
}

/// What each volume holds, a line each.
#[must_use]
pub fn table(world: &World, volumes: &std::collections::BTreeMap<Member, Evidence>) -> String {
    let observed = world.observer.now();
    let mut rows = vec![["MEMBER", "CLAIM", "SIZE", "LAST WRITTEN", "HOLDS"].map(str::to_owned)];
    for (member, evidence) in volumes {
        let claim = world.desired.cluster.claim(*member);
        let written = evidence.written.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
        rows.push([
            member.to_string(),
            claim.clone(),
            evidence.bytes.map_or("-".to_owned(), |bytes| format!("{} MiB", bytes >> 20)),
            written.map_or("-".to_owned(), |time| time.strftime("%F %T UTC").to_string()),
            match observed.claims.get(&claim) {
                Some(claim) if claim.leaving => format!("{} (being deleted)", evidence.describe()),
                _ => evidence.describe(),
            },
        ]);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..5).map(width).collect();
    let line = |row: &[String; 5]| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        format!("  {}", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Passwords in the settings that the database does not have would lock everybody out of what they think they set.
pub(super) fn same_passwords(world: &World, stored: &std::collections::BTreeMap<String, String>) -> Result<()> {
    for (key, given) in [(ROOT_PASSWORD, &world.passwords.root), (USER_PASSWORD, &world.passwords.user)] {
        let (Some(given), Some(stored)) = (given, stored.get(key)) else { continue };
        if given.reveal() != stored {
            let name = world.desired.cluster.credentials();
            return Err(Failure::message(
                Kind::Preflight,
                format!("the settings give another `{key}` than secret/{name}"),
            )
            .hint(
                "the database has the one in the Secret; change it in the database and the Secret, or leave it out",
            ));
        }
    }
    Ok(())
}

/// The accounts are made with what is in a Secret that somebody has made before. A line break at the end of a password, as
/// files have one, is part of it for the database and for nobody else.
fn usable_passwords(world: &World) -> Result<()> {
    let memory = world.memory();
    let Some(secrets) = &memory.secrets else { return Ok(()) };
    let name = world.desired.cluster.credentials();
    let user = world.desired.user.as_ref().map(|_| USER_PASSWORD);
    for key in [ROOT_PASSWORD, manifests::config::OWN_PASSWORD].into_iter().chain(user) {
        let wrong = match secrets.get(key).map(String::as_str) {
            None => "is missing, or is no text",
            Some("") => "is empty",
            Some(text) if text.contains(char::is_control) => "holds a line break or another control character",
            Some(_) => continue,
        };
        return Err(Failure::message(Kind::Preflight, format!("secret/{name}: `{key}` {wrong}")).hint(format!(
            "correct it, or delete the Secret and let galeractl make one; without line break: kubectl create secret generic -n {} {name} \
             --from-literal={key}=…",
            world.desired.namespace
        )));
    }
    Ok(())
}

fn differences(cx: &StepCx<'_, World>, before: &Desired, record: &Record) -> Result<()> {
    let wanted = &cx.world.desired;
    if before.nodes != wanted.nodes && record.formed {
        return Err(Failure::message(
            Kind::Preflight,
            format!(
                "cluster {} has {} nodes; `up` does not change it to {}",
                wanted.cluster, before.nodes, wanted.nodes
            ),
        )
        .hint(format!("keep the size: galeractl up --nodes {}", before.nodes))
        .hint("a cluster is resized by `galeractl scale`, which this version does not have yet"));
    }
    if before.mariadb_image != wanted.mariadb_image
        || before.resources != wanted.resources
        || before.mysqld != wanted.mysqld
        || before.backup != wanted.backup
    {
        cx.notice(
            Level::Warning,
            "the nodes' settings have changed; running nodes take them on when their pods are restarted",
        );
    }
    Ok(())
}
