//! Server options that running servers take, so that nobody is restarted for them.

use std::cell::RefCell;
use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::DynamicObject;

use crate::cluster::live::{look, mark, take};
use crate::cluster::record::{self, Kept};
use crate::cluster::trust::nudge;
use crate::cluster::world::{BEAT, World};
use crate::engine::event::Level;
use crate::engine::{Finished, Named, StepCx, Verdict};
use crate::error::{Kind, OrFail, Result};
use crate::gates::group::list;
use crate::kube::apply::{Applied, Applier, Strategy};
use crate::manifests::labels::CONFIG_ANNOTATION;
use crate::manifests::{self, Object};
use crate::names::Member;
use crate::observe::objects::{RunsAs, is_outdated, runs_as, template_sum};
use crate::observed::MemberView;
use crate::plans::live::{Setting, Way, only_config_differs, only_options_differ};
use crate::plans::rolling::{order, serving};

/// The step.
pub const OPTIONS: Named = Named::new("options", "set what servers take while they run");

/// What of the changes goes which way.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// Nodes whose servers take everything that is new.
    pub live: BTreeMap<Member, Taker>,
    /// What every node would have otherwise, as far as it was asked.
    pub settings: BTreeMap<Member, Vec<Setting>>,
}

/// A pod whose server takes what is new.
#[derive(Debug, Clone)]
pub struct Taker {
    /// Sum of the new template.
    sum: String,
    /// Identity of the pod.
    uid: Option<String>,
}

/// Asks the API server what would be written, and the servers what they can take of it. If one of them has to be restarted,
/// none of them takes anything: a restart brings it all.
///
/// # Errors
/// The API server refuses what would be written, or cannot be reached.
pub async fn plan(cx: &StepCx<'_, World>) -> Result<Plan> {
    let world = cx.world;
    let mut plan = Plan::default();
    let Some(candidates) = candidates(world).await? else { return Ok(plan) };
    let kept = record::keys(&world.connection.client, &world.desired).await?;
    let mut all_live = true;
    for (node, taker) in candidates {
        match look(world, &kept, node).await {
            Ok((_, settings)) => {
                all_live &= settings.iter().all(|setting| !matches!(setting.way, Way::Restart(_)));
                plan.settings.insert(node, settings);
            }
            Err(failure) if failure.kind == Kind::Unreachable && world.connection.version().await.is_err() => {
                return Err(failure);
            }
            Err(failure) => {
                cx.notice(
                    Level::Warning,
                    format!("what it can take while it runs is not known, so a restart it is: {failure}"),
                );
                all_live = false;
            }
        }
        plan.live.insert(node, taker);
    }
    if !all_live {
        plan.live.clear();
    }
    Ok(plan)
}

/// The nodes that would have to be restarted, if all of them only for what a server reads at its start.
async fn candidates(world: &World) -> Result<Option<BTreeMap<Member, Taker>>> {
    let desired = &world.desired;
    let applier = Applier::new(world.connection.client.clone(), desired.cluster.clone(), Strategy::ServerDryRun)
        .take_ownership(world.choices.take_ownership);
    if !only_options_change(&applier.apply(&Object::of(&manifests::config::config_map(desired))).await?)? {
        return Ok(None);
    }
    let observed = world.observer.now();
    let snapshot = world.observer.live().snapshot();
    let mut nodes = BTreeMap::new();
    for node in desired.members() {
        let Applied { before, after, .. } = applier.apply(&Object::of(&manifests::member::node(desired, node))).await?;
        let (Some(before), after) = (before, typed::<StatefulSet>(&after)?) else { return Ok(None) };
        let before: StatefulSet = typed(&before)?;
        let pod = snapshot.pods.get(&desired.cluster.pod(node)).filter(|pod| pod.metadata.deletion_timestamp.is_none());
        let (Some(pod), Some(sum)) = (pod, template_sum(&after)) else { return Ok(None) };
        let stays = template_sum(&before).as_ref() == Some(&sum);
        if stays && is_outdated(pod, &before) == Some(false) {
            continue;
        }
        // An earlier run has judged that nothing else is new in this template, and was killed.
        let was_judged = runs_as(pod) == Some(RunsAs::ToTake(sum.clone()));
        let is_of_present = is_outdated(pod, &before) == Some(false);
        let template = |set: &StatefulSet| serde_json::to_value(set.spec.as_ref().map(|spec| &spec.template));
        let (old, new) = (template(&before).or_fail(Kind::Bug)?, template(&after).or_fail(Kind::Bug)?);
        let serves = observed.members.get(&node).is_some_and(MemberView::is_synced);
        if !serves || !(was_judged || is_of_present && only_config_differs(&old, &new, CONFIG_ANNOTATION)) {
            return Ok(None);
        }
        nodes.insert(node, Taker { sum, uid: pod.metadata.uid.clone() });
    }
    Ok(Some(nodes))
}

fn typed<K: serde::de::DeserializeOwned + k8s_openapi::Resource>(object: &DynamicObject) -> Result<K> {
    serde_json::to_value(object).and_then(serde_json::from_value).or_fail(Kind::Bug)
}

/// Whether nothing else of what members run with would change.
fn only_options_change(applied: &Applied) -> Result<bool> {
    const OPTIONS: &str = "server.cnf";
    let Some(before) = &applied.before else { return Ok(false) };
    let parts = |object: &DynamicObject| -> Result<(String, BTreeMap<String, String>)> {
        let mut data = typed::<ConfigMap>(object)?.data.unwrap_or_default();
        Ok((data.remove(OPTIONS).unwrap_or_default(), data))
    };
    let ((before, scripts), (after, wanted)) = (parts(before)?, parts(&applied.after)?);
    Ok(scripts == wanted && only_options_differ(&before, &after))
}

/// Writes at the pods that their servers are to take what is new, before anything else is written: if this run is killed,
/// the next one knows that nothing else has changed.
///
/// # Errors
/// The lock was lost, or the API server refuses.
pub async fn announce(cx: &StepCx<'_, World>, plan: &Plan) -> Result<()> {
    if !plan.live.is_empty() {
        cx.world.confirm_lock().await?;
    }
    for (node, taker) in &plan.live {
        mark(cx.world, *node, &RunsAs::ToTake(taker.sum.clone())).await?;
    }
    Ok(())
}

/// Has the servers take what is new, one after the other. One that does not take it is left to be restarted.
///
/// # Errors
/// The lock was lost, the API server refuses, or a node is not there.
pub async fn set(cx: &StepCx<'_, World>, plan: &Plan, kept: &Kept) -> Result<Finished> {
    let world = cx.world;
    let mut taken = Vec::new();
    for node in order(plan.live.keys().copied(), &serving(&world.observer.now())) {
        cx.check_cancelled()?;
        let taker = &plan.live[&node];
        let Some(settings) = until_ready(cx, kept, node, taker).await? else { continue };
        world.confirm_lock().await?;
        let live: Vec<Setting> =
            settings.iter().filter(|setting| matches!(setting.way, Way::Live | Way::NewConnections)).cloned().collect();
        let other = settings.iter().find(|setting| matches!(setting.way, Way::Restart(_)));
        let outcome = match other {
            Some(other) => Err(format!("{node}: {}: {}", other.name, other.way)),
            None if live.is_empty() => Ok(()),
            None => take(cx, kept, node, &live).await.map_err(|failure| failure.to_string()),
        };
        if let Err(why) = outcome {
            cx.notice(
                Level::Warning,
                format!("{node} is restarted, since it does not take the options while it runs: {why}"),
            );
            continue;
        }
        mark(world, node, &RunsAs::Taken(taker.sum.clone())).await?;
        world.count_change();
        let words: Vec<String> = live.iter().map(|setting| format!("{}={}", setting.name, setting.to)).collect();
        cx.notice(Level::Info, format!("{node} has taken {}", words.join(", ")));
        taken.push(node);
    }
    until_seen(cx, &taken).await?;
    Ok(match taken.len() {
        0 => Finished::unchanged("there is nothing that they could take"),
        _ => Finished::changed(format!("{} have taken what is new; nobody was restarted for it", list(&taken))),
    })
}

/// Waits until the options are in a node's container, where a server that starts anew would read them, and answers with what
/// its server lacks; `None` if it has another pod, which began with them.
async fn until_ready(cx: &StepCx<'_, World>, kept: &Kept, node: Member, taker: &Taker) -> Result<Option<Vec<Setting>>> {
    let world = cx.world;
    let found = RefCell::new(None);
    cx.wait(world.observer.changes(), BEAT, world.patience(), async || {
        let observed = world.observer.now();
        let view = observed.members.get(&node).filter(|view| view.pod.exists && !view.pod.leaving);
        if view.is_some_and(|view| view.pod.uid != taker.uid) {
            return Verdict::pass("");
        }
        if !view.is_some_and(MemberView::is_synced) {
            return Verdict::wait(format!(
                "{node} to be Synced: {}",
                view.map_or("no pod".to_owned(), MemberView::phrase)
            ));
        }
        match look(world, kept, node).await {
            Ok((true, settings)) => {
                *found.borrow_mut() = Some(settings);
                Verdict::pass("")
            }
            // Kubelet looks at once after a pod that has changed, and otherwise once in a minute or two.
            Ok((false, _)) => match nudge(&world.connection, &world.desired, node).await {
                Ok(()) => Verdict::wait(format!("the options to arrive in the container of {node}: not yet")),
                Err(failure) => Verdict::Fail(failure),
            },
            Err(failure) => Verdict::wait(format!("{node} to say what it lacks: {failure}")),
        }
    })
    .await?;
    Ok(found.into_inner())
}

/// Waits until the look at the cluster has what was written at the pods.
async fn until_seen(cx: &StepCx<'_, World>, taken: &[Member]) -> Result<()> {
    let world = cx.world;
    cx.wait(world.observer.changes(), BEAT, world.patience(), || {
        let observed = world.observer.now();
        let late = |node: &&Member| observed.members.get(node).is_none_or(|view| view.pod.outdated != Some(false));
        let verdict = match taken.iter().find(late) {
            None => Verdict::pass(""),
            Some(node) => Verdict::wait(format!("{node} to be seen as it runs: not yet")),
        };
        async { verdict }
    })
    .await
    .map(drop)
}
