//! What is left of a formation that was broken off or came to nothing.

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use kube::core::ApiResource;

use crate::engine::{StepCx, Verdict};
use crate::error::Result;
use crate::manifests::config::Record;
use crate::names::Member;
use crate::observed::MemberView;
use crate::plans::course::Course;

use super::remove;
use super::world::{BEAT, World};

/// A seed that is gone while nodes are there has done its work; it must not come again.
#[must_use]
pub fn has_done_its_work(world: &World, record: &Record) -> bool {
    let observed = world.observer.now();
    let seed_exists = observed.members.get(&Member::Seed).is_some_and(|view| view.pod.exists);
    let formed_nodes = observed.members.keys().any(|member| *member != Member::Seed);
    !seed_exists && formed_nodes && record.uuid.is_some()
}

/// Removes the pods of a formation that came to nothing, for what is wrong with them may have been mended in the settings
/// since: a seed that has never led a component, and nodes that nobody has let go. What they have on their volumes is
/// nobody's, or is found when they start again.
///
/// # Errors
/// The lock was lost, the API server refuses, or the pods do not go.
pub async fn remove_failed(cx: &StepCx<'_, World>, course: &Course, record: &Record) -> Result<()> {
    let world = cx.world;
    let (pods, sets) = failed(world, course, record);
    if pods.is_empty() {
        return Ok(());
    }
    world.confirm_lock().await?;
    let kinds = ([ApiResource::erase::<Pod>(&())], [ApiResource::erase::<StatefulSet>(&())]);
    // A pod of a set would come again from the old template.
    remove::objects(cx, &kinds.1, |name| sets.contains(name)).await?;
    remove::objects(cx, &kinds.0, |name| pods.contains(name)).await?;
    remove::gone(cx, &kinds.0, "the pods of the failed attempt to end", |name| pods.contains(name)).await?;
    // What is still seen of them would be taken for the trouble of the next attempt.
    cx.wait(world.observer.changes(), BEAT, world.patience(), || async {
        let seen = world.observer.now().members.values().any(|view| view.pod.exists);
        if seen { Verdict::wait("the pods of the failed attempt to be out of sight") } else { Verdict::pass("") }
    })
    .await
    .map(drop)
}

/// Names of the pods and of the StatefulSets of a formation that came to nothing.
#[must_use]
pub fn failed(world: &World, course: &Course, record: &Record) -> (BTreeSet<String>, BTreeSet<String>) {
    let nothing = (BTreeSet::new(), BTreeSet::new());
    if *course != Course::Form || record.uuid.is_some() {
        return nothing;
    }
    let observed = world.observer.now();
    let seed = observed.members.get(&Member::Seed).filter(|view| view.pod.exists);
    let failed = |view: &MemberView| view.pod.ended || view.pod.trouble.is_some() || view.log.refused.is_some();
    let nobody_leads = !observed.members.values().any(MemberView::is_primary);
    if !nobody_leads || !seed.is_some_and(failed) && !observed.members.values().any(|view| view.pod.trouble.is_some()) {
        return nothing;
    }
    let cluster = &world.desired.cluster;
    let pods = observed.members.keys().map(|member| cluster.pod(*member)).collect();
    (pods, world.desired.members().map(|member| cluster.member(member)).collect())
}
