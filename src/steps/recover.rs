//! The way out of an outage: looking at everything, making all servers wait, and starting from the newest copy.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;
use kube::core::ApiResource;

use crate::cluster::course::settle;
use crate::cluster::inspect::Volumes;
use crate::cluster::nodes::{common_view, make, order, stand_by};
use crate::cluster::record::{Kept, Secrets, remark_claims, replace_record};
use crate::cluster::world::{BEAT, World};
use crate::cluster::{inspect, record, remove};
use crate::engine::{Finished, Named, StepCx, Verdict};
use crate::error::{Failure, Kind, Result};
use crate::gates::group::list;
use crate::gates::hopeless::telling_error;
use crate::gates::standing::{Standing, Stillness};
use crate::manifests::config::Record;
use crate::names::Member;
use crate::observed::MemberView;
use crate::plans::recovery::{Life, Row};
use crate::wsrep::Position;

/// What is known of a cluster in an outage.
#[derive(Debug, Clone)]
pub struct Found {
    /// What is on record.
    pub record: Record,
    /// The passwords, where there is a Secret.
    pub secrets: Option<Secrets>,
    /// What the volumes hold on which no server runs.
    pub volumes: Volumes,
}

/// Looks at every member and every volume, and changes nothing.
///
/// # Errors
/// Another run holds the lock, or a volume cannot be looked into.
pub async fn gather(cx: &StepCx<'_, World>) -> Result<Found> {
    let world = cx.world;
    let (client, desired) = (&world.connection.client, &world.desired);
    world.take_lock(cx).await?;
    let recorded = record::recorded(client, &desired.namespace, &desired.cluster).await?;
    let secrets = record::stored_passwords(client, &desired.namespace, &desired.cluster).await?;
    let record = recorded.unwrap_or_default();
    settle(cx, secrets.is_some()).await?;
    let volumes = inspect::volumes(cx, Some(&record)).await?;
    Ok(Found { record, secrets, volumes })
}

/// What is known about each node now.
#[must_use]
pub fn rows(world: &World, volumes: &Volumes) -> BTreeMap<Member, Row> {
    let observed = world.observer.now();
    let row = |member: Member| {
        let view = observed.members.get(&member).filter(|view| view.pod.exists);
        let recorded = observed.claims.get(&world.desired.cluster.claim(member)).and_then(|claim| claim.recorded);
        let told = view.and_then(MemberView::stopped_volume).map(|mut evidence| {
            evidence.recorded = recorded;
            evidence
        });
        let status = view.and_then(MemberView::status);
        let volume = told.or_else(|| volumes.get(&member).filter(|_| view.is_none()).cloned());
        Row {
            life: view.map_or(Life::Stopped, life),
            host: view.and_then(|view| view.pod.host.clone()),
            // A server that runs knows more of its data than its volume showed when it started.
            volume,
            reports: status.and_then(|status| Some(Position { uuid: status.uuid, seqno: status.last_committed? })),
            error: view.and_then(telling_error).map(str::to_owned),
        }
    };
    world.desired.members().map(|member| (member, row(member))).collect()
}

fn life(view: &MemberView) -> Life {
    let host = view.pod.host.as_deref().unwrap_or("none");
    if view.is_primary() {
        return Life::Primary;
    }
    if view.pod.leaving {
        return Life::Unknown(format!(
            "its pod is being removed from host {host}, which has not confirmed that it ended"
        ));
    }
    if !view.pod.running {
        let why = view.pod.trouble.as_ref().map_or_else(|| view.pod.phrase.clone(), |trouble| trouble.message.clone());
        return Life::Hidden(format!("its pod does not run: {why}"));
    }
    if view.status().is_some() {
        return Life::Outside;
    }
    match view.log.phase.as_deref() {
        Some("waiting" | "refused") => Life::Waiting(view.log.refused.clone()),
        Some("held") => Life::Hidden("it is held; let its server come back: galeractl release".to_owned()),
        Some("starting" | "joining" | "up") => Life::Outside,
        Some(phase) => Life::Hidden(format!("its start script is busy: {phase}")),
        None => {
            Life::Unknown(format!("its pod is said to run on host {host}, and neither its server nor its log answers"))
        }
    }
}

/// Starts what has no pod, and makes all servers that are part of no component wait with their positions. Nothing joins
/// anything, and nothing is begun; where the members come together by themselves, that is the end of the outage. Nobody
/// waits for those that are `gone`.
///
/// # Errors
/// Somebody neither waits nor refuses for good.
pub async fn wait(cx: &StepCx<'_, World>, secrets: Option<&Secrets>, gone: &[Member]) -> Result<Kept> {
    let world = cx.world;
    let kept = make(cx, secrets, true).await?;
    let scope: Vec<Member> = world.desired.members().filter(|member| !gone.contains(member)).collect();
    let mut stillness = Stillness::default();
    loop {
        let mut standing = Standing::Moving;
        cx.wait(world.observer.changes(), BEAT, world.patience(), || {
            let observed = world.observer.now();
            let refuses = |member: &Member| {
                observed
                    .members
                    .get(member)
                    .is_some_and(|view| view.log.refused.is_some() && view.stopped_volume().is_some())
            };
            let others: Vec<Member> = scope.iter().copied().filter(|member| !refuses(member)).collect();
            standing = if observed.members.values().any(MemberView::is_primary) {
                Standing::Together
            } else {
                stillness.judge(&observed, &others, std::time::Instant::now())
            };
            let phrase = |member: &Member| {
                let view = observed.members.get(member);
                format!("{member} {}", view.map_or_else(|| "has no pod".to_owned(), MemberView::phrase))
            };
            let verdict = if standing == Standing::Moving {
                let phrases: Vec<String> = others.iter().map(phrase).collect();
                Verdict::wait(format!("all members to wait with their positions: {}", phrases.join(", ")))
            } else {
                Verdict::pass("")
            };
            async { verdict }
        })
        .await?;
        match standing {
            Standing::Apart(members) => stand_by(cx, &members).await?,
            Standing::Together | Standing::Moving | Standing::Waiting => return Ok(kept),
        }
    }
}

/// The start of the member with the newest copy, which the others follow.
#[derive(Debug, Clone)]
pub struct Together {
    /// Who starts first, and where it stands.
    pub from: (Member, Position),
    /// Members whose data is put aside before they get a copy.
    pub aside: Vec<Member>,
    /// Members that nobody waits for.
    pub gone: Vec<Member>,
}

impl Together {
    /// The step.
    #[must_use]
    pub fn step(&self) -> Named {
        Named::titled("nodes", format!("start {} first, and let the others follow", self.from.0))
    }
}

/// Starts the one that was chosen, when all that is to be put aside has its order. `record` is what is on record.
///
/// # Errors
/// It no longer stands where it was seen, somebody leads a component by now, or the members do not come together.
pub async fn together(cx: &StepCx<'_, World>, chosen: &Together, record: &Record) -> Result<Finished> {
    let world = cx.world;
    let (from, position) = chosen.from;
    let scope: Vec<Member> = world.desired.members().filter(|member| !chosen.gone.contains(member)).collect();
    if record.uuid != Some(position.uuid) {
        adopt_history(cx, from, position).await?;
    }
    make_room(cx, &chosen.aside).await?;
    let uid = stands(cx, from, position).await?;
    world.confirm_lock().await?;
    let text = position.to_string();
    order(cx, from, &["order.sh", "bootstrap", &uid, &text], "it cannot be told to start first").await?;
    let view = common_view(cx, &scope, None).await?;
    replace_record(cx, Record { formed: true, uuid: Some(view.uuid) }).await?;
    remark_claims(cx, &scope, view.uuid).await?;
    Ok(Finished::changed(format!("{} members Synced in view {}, uuid {}", view.size, view.conf_id, view.uuid)))
}

/// The user has chosen another history than the one on record: pods that refuse to start because of that start anew.
async fn adopt_history(cx: &StepCx<'_, World>, from: Member, position: Position) -> Result<()> {
    let world = cx.world;
    replace_record(cx, Record { formed: true, uuid: Some(position.uuid) }).await?;
    remark_claims(cx, &[from], position.uuid).await?;
    let names: Vec<String> = world.desired.members().map(|member| world.desired.cluster.pod(member)).collect();
    let before: Vec<Option<String>> = world.observer.now().members.values().map(|view| view.pod.uid.clone()).collect();
    remove::objects(cx, &[ApiResource::erase::<Pod>(&())], |name| names.iter().any(|pod| pod == name)).await?;
    cx.wait(world.observer.changes(), BEAT, world.patience(), || async {
        let observed = world.observer.now();
        let anew = |member: &Member| {
            let view = observed.members.get(member);
            view.is_some_and(|view| view.stopped_volume().is_some() && !before.contains(&view.pod.uid))
        };
        let late: Vec<Member> = world.desired.members().filter(|member| !anew(member)).collect();
        if late.is_empty() {
            Verdict::pass("")
        } else {
            Verdict::wait(format!("new pods to say what they hold: {}", list(&late)))
        }
    })
    .await
    .map(drop)
}

/// Members that are to make room get their order first: they act on it when there is somebody to copy from.
async fn make_room(cx: &StepCx<'_, World>, members: &[Member]) -> Result<()> {
    let world = cx.world;
    let observed = world.observer.now();
    for member in members {
        let view = observed.members.get(member);
        let told = view.and_then(|view| Some((view.pod.uid.clone()?, view.stopped_volume()?.found)));
        let Some((uid, found)) = told else {
            return Err(Failure::message(Kind::Step, format!("{member} does not wait with its data any more")));
        };
        order(cx, *member, &["order.sh", "rebuild", &uid, &found], "it cannot be told to make room").await?;
    }
    Ok(())
}

/// Waits until the first one waits where it was seen, with nobody who leads a component; answers with its pod's uid.
async fn stands(cx: &StepCx<'_, World>, from: Member, position: Position) -> Result<String> {
    let world = cx.world;
    cx.wait(world.observer.changes(), BEAT, world.patience(), || async {
        let observed = world.observer.now();
        if let Some((member, _)) = observed.members.iter().find(|(_, view)| view.is_primary()) {
            return Verdict::fail(format!("{member} is part of a running component now; nothing is started beside it"));
        }
        let Some(view) = observed.members.get(&from).filter(|view| view.waits()) else {
            let phrase = observed.members.get(&from).map_or_else(|| "has no pod".to_owned(), MemberView::phrase);
            return Verdict::wait(format!("{from} to wait with its position: {phrase}"));
        };
        match (view.log.position, &view.pod.uid) {
            (Some(found), Some(uid)) if found == position => Verdict::pass(uid.clone()),
            (Some(found), _) => Verdict::fail(format!("{from} stands at {found}, and {position} was seen before")),
            _ => Verdict::wait(format!("{from} to say where it stands: not yet")),
        }
    })
    .await
}

/// The step in which members of another history make room for a copy of the running component's.
#[must_use]
pub fn rebuilding(members: &[Member]) -> Named {
    Named::titled("rebuild", format!("let {} put its data aside and take a copy", list(members)))
}

/// Has these members put their data aside, and waits until they are Synced.
///
/// # Errors
/// One of them does not wait with its data any more, or does not become Synced.
pub async fn rebuild(cx: &StepCx<'_, World>, members: &[Member]) -> Result<Finished> {
    let world = cx.world;
    world.confirm_lock().await?;
    make_room(cx, members).await?;
    let observed = world.observer.now();
    let primary = |member: &Member| observed.members.get(member).is_some_and(MemberView::is_primary);
    let all: Vec<Member> =
        world.desired.members().filter(|member| primary(member) || members.contains(member)).collect();
    // They still refuse for a moment.
    cx.wait(world.observer.changes(), BEAT, world.patience(), || async {
        let observed = world.observer.now();
        let refuses = |member: &&Member| observed.members.get(member).is_some_and(|view| view.log.refused.is_some());
        let late: Vec<Member> = members.iter().filter(refuses).copied().collect();
        if late.is_empty() {
            Verdict::pass("")
        } else {
            Verdict::wait(format!("{} to put the data aside", list(&late)))
        }
    })
    .await?;
    let view = common_view(cx, &all, None).await?;
    remark_claims(cx, members, view.uuid).await?;
    Ok(Finished::changed(format!("{} members Synced in view {}", view.size, view.conf_id)))
}
