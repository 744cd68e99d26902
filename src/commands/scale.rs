//! `galeractl scale`.

use crate::cluster::quota;
use crate::cluster::world::{Choices, World};
use crate::commands::Globals;
use crate::desired::{Desired, Passwords};
use crate::engine::event::{Change, Level};
use crate::engine::{Due, StepCx};
use crate::error::{Failure, Kind, Result};
use crate::manifests::Object;
use crate::manifests::config::{Record, record_map, spec_map};
use crate::names::Member;
use crate::plans::rolling::may_die;
use crate::plans::stage::Stage;
use crate::steps::apply;
use crate::steps::scale::{self, LEAVE, LOOK, RECORD, REST};
use crate::steps::up::nodes::{self, NODES};
use crate::steps::up::preflight::{self, PREFLIGHT};
use crate::steps::up::proxy::{self, Accounts, PROXY};
use crate::steps::up::volumes::{self, VOLUMES};
use crate::ui::Ui;

use super::bounds::Bounds;
use super::frame::{Frame, Run};
use super::rehearsal::{self, Planned, Rehearsal};
use super::rolling::{Pause, world_of};
use super::target::{connect, find, running};

/// Give a running cluster more nodes, or fewer
///
/// New nodes get a volume each and a copy of all data from those that are there; nobody is restarted. It is refused
/// beforehand where a quota of the namespace has no room for all of them. When nodes are to
/// go, the proxy forgets them first; then the highest leave one after the other, each only while all others are in
/// order and have confirmed the one before. Their volumes stay: a node that is added again later starts from what it
/// had, if that is still of this cluster.
///
/// 3 or 5 nodes are best: an even number survives no more failures than one less. Ctrl-C stops between two nodes; the
/// same command goes on from there.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Number of nodes that the cluster is to have
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=99))]
    nodes: u32,
    /// Also delete the volumes of the nodes that go; asks for the cluster's name
    #[arg(long)]
    delete_volumes: bool,
    /// The cluster's name, to confirm in scripts that these volumes may go
    #[arg(long, value_name = "CLUSTER", requires = "delete_volumes")]
    confirm: Option<String>,
    #[command(flatten)]
    pause: Pause,
    #[command(flatten)]
    bounds: Bounds,
}

/// The size at which a run ends: the wished one, or that which the cluster has when the node after which it is to pause
/// has come or gone.
fn this_far(before: u32, wished: u32, pause: Option<u32>) -> u32 {
    match pause {
        Some(node) if before < node && node < wished => node,
        Some(node) if wished < node && node <= before => node - 1,
        _ => wished,
    }
}

pub(crate) async fn run(args: &Args, globals: &Globals, ui: &Ui) -> Result<()> {
    let connection = connect(globals).await?;
    let target = find(globals, &connection).await?;
    let stored = running(&connection, &target, Kind::Preflight).await?;
    let before = stored.desired.nodes;
    let nodes = this_far(before, args.nodes, args.pause.after);
    let desired = Desired { nodes, ..stored.desired };
    let targetless = |node: &Member| !desired.iscsi.is_empty() && !desired.iscsi.contains_key(node);
    if let Some(node) = desired.members().find(targetless) {
        return Err(Failure::message(Kind::Preflight, format!("no iSCSI target is known for {node}")).hint(
            "targets are listed when a cluster is formed; only one whose volumes a storage class makes can grow",
        ));
    }
    Frame::whole(ui, "scale", async |frame| {
        let choices = Choices { resizes: true, ..frame.choices(&args.bounds) };
        let world = world_of(connection, desired, Passwords::default(), choices).await?;
        frame.notice(Level::Info, survives(nodes));
        let shrinks = nodes < before || !scale::surplus(&world).is_empty();
        match (shrinks, args.bounds.dry_run.is_some()) {
            (false, false) => grow(args, frame, &world).await,
            (true, false) => shrink(args, frame, &world, ui).await,
            (false, true) => rehearse_growth(args, frame, &world, ui).await,
            (true, true) => rehearse_shrinking(args, frame, &world, ui).await,
        }
    })
    .await
    .map_err(|failure| match failure.kind {
        Kind::Step | Kind::Interrupted => failure.hint("what was done stays; the same command goes on from there"),
        _ => failure,
    })
}

/// What a number of nodes means.
fn survives(nodes: u32) -> String {
    let count = |nodes: u32| may_die(usize::try_from(nodes).unwrap_or(usize::MAX));
    match (nodes, count(nodes)) {
        (1, _) => {
            "a cluster of one node has no second copy of the data, and stands still while it is restarted".to_owned()
        }
        (2, _) => "of two nodes none may fail without the other losing its majority".to_owned(),
        (nodes, some) if nodes % 2 == 0 => {
            format!("of {nodes} nodes {some} may fail at once, no more than of {}", nodes - 1)
        }
        (nodes, some) => format!("of {nodes} nodes {some} may fail at once"),
    }
}

async fn grow(args: &Args, frame: &Frame, world: &World) -> Result<String> {
    let act = async |run: &Run<'_>, [look, claims, record, nodes, proxy]: [Due; 5]| {
        let looked = async |cx: &StepCx<'_, World>| {
            let found = preflight::run(cx).await?;
            apply::runs(&found.value.0.course)?;
            quota::room(cx.world).await?;
            Ok(found)
        };
        let (found, _) = run.step(look, looked).await?;
        run.step(claims, async |cx| volumes::claims(cx, &found).await).await?;
        run.step(record, async |cx| scale::write_down(cx, &found.record).await).await?;
        let (_, kept) = run.step(nodes, async |cx| nodes::run(cx, &found, None).await).await?;
        run.step(proxy, async |cx| proxy::run(cx, &kept, Accounts::AsTheyAre).await).await
    };
    let steps = [PREFLIGHT, VOLUMES, RECORD, NODES, PROXY];
    frame.run(steps, args.bounds.timeout, world, act).await?;
    Ok(outcome(args, world))
}

async fn shrink(args: &Args, frame: &Frame, world: &World, ui: &Ui) -> Result<String> {
    if args.delete_volumes {
        let what = losses(world);
        ui.confirm_name(world.desired.cluster.as_str(), &what, args.confirm.as_deref(), &frame.cancel()).await?;
    }
    let act = async |run: &Run<'_>, [look, proxy, leave, rest]: [Due; 4]| {
        let (record, kept) = run.step(look, scale::run_look).await?;
        run.step(proxy, async |cx| proxy::run(cx, &kept, Accounts::AsTheyAre).await).await?;
        run.step(leave, async |cx| scale::leave(cx, &record).await).await?;
        run.step(rest, async |cx| scale::remove_rest(cx, args.delete_volumes).await).await
    };
    frame.run([LOOK, PROXY, LEAVE, REST], args.bounds.timeout, world, act).await?;
    Ok(outcome(args, world))
}

fn outcome(args: &Args, world: &World) -> String {
    let Desired { cluster, nodes, .. } = &world.desired;
    if *nodes == args.nodes {
        return format!("cluster {cluster} has {nodes} nodes");
    }
    format!(
        "cluster {cluster} has {nodes} nodes, and the run pauses, as asked; the same command goes on to {}",
        args.nodes
    )
}

fn losses(world: &World) -> String {
    let gone = scale::surplus(world).into_iter().map(|node| world.desired.cluster.claim(node));
    let mut names: Vec<String> = gone.chain(scale::volumes_of_those_who_left(world)).collect();
    names.sort_unstable();
    names.dedup();
    format!(
        "This deletes the volumes of the nodes that leave; all data stays on the others:\n  persistentvolumeclaim/{}",
        names.join("\n  persistentvolumeclaim/")
    )
}

/// Asks what the run asks, and shows what would become of each object.
async fn rehearse_growth(args: &Args, frame: &Frame, world: &World, ui: &Ui) -> Result<String> {
    let look = async |cx: &StepCx<'_, World>| -> Result<Vec<Planned>> {
        let found = preflight::look(cx).await?.value.0;
        apply::runs(&found.course)?;
        quota::room(world).await?;
        let desired = &world.desired;
        let record: Record = found.record;
        let maps = vec![Object::of(&record_map(desired, &record)), Object::of(&spec_map(desired))];
        let stages = [
            volumes::stage(desired, false),
            Stage::makes(RECORD.id, maps),
            nodes::stage(desired, false),
            proxy::stage(desired),
        ];
        Rehearsal::on(world).of(&stages).await
    };
    let planned = rehearsal::show(frame, ui, args.bounds.timeout, world, look).await?;
    let Desired { cluster, nodes, .. } = &world.desired;
    Ok(rehearsal::outcome(format_args!("cluster {cluster} would have {nodes} nodes"), &planned))
}

/// As [`rehearse_growth`].
async fn rehearse_shrinking(args: &Args, frame: &Frame, world: &World, ui: &Ui) -> Result<String> {
    let look = async |cx: &StepCx<'_, World>| -> Result<Vec<Planned>> {
        let (record, _) = scale::look(cx).await?;
        let desired = &world.desired;
        let mut planned = Rehearsal::on(world).of(&[proxy::stage(desired)]).await?;
        let maps = Stage::makes(LEAVE.id, scale::maps(desired, desired.nodes, &record));
        let cluster = &desired.cluster;
        for node in scale::surplus(world) {
            for object in [format!("statefulset/{}", cluster.member(node)), format!("pod/{}", cluster.pod(node))] {
                planned.push(Planned::new(LEAVE.id, object, Change::Deleted));
            }
        }
        planned.extend(Rehearsal::on(world).of(&[maps]).await?);
        planned.extend(rehearsal::removals(REST.id, &scale::theirs(world, args.delete_volumes).await?));
        Ok(planned)
    };
    let planned = rehearsal::show(frame, ui, args.bounds.timeout, world, look).await?;
    let Desired { cluster, nodes, .. } = &world.desired;
    Ok(rehearsal::outcome(format_args!("cluster {cluster} would have {nodes} nodes"), &planned))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Run again and again with the same words, it pauses once at most and arrives.
        #[test]
        fn a_pause_is_on_the_way_and_passed_by_the_same_command(
            before in 1..9_u32, wished in 1..9_u32, pause in prop::option::of(1..12_u32),
        ) {
            let first = this_far(before, wished, pause);
            prop_assert!((before.min(wished)..=before.max(wished)).contains(&first));
            prop_assert!(first != before || wished == before);
            prop_assert_eq!(this_far(first, wished, pause), wished);
        }
    }
}
