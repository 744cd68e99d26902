//! `galeractl certificates`.

mod show;

use clap::Subcommand;

use crate::cluster::record::own_access;
use crate::cluster::rights;
use crate::cluster::world::{Choices, World};
use crate::commands::Globals;
use crate::desired::{Access, Desired, Passwords};
use crate::engine::event::{Change, Level};
use crate::engine::{Due, StepCx};
use crate::error::{Failure, Kind, Result};
use crate::kube::client::Connection;
use crate::names::Member;
use crate::plans::rotation::{Act, Phase, State, is_under_way, rest};
use crate::steps::certificates::{self as steps, RENEW, RETIRE, SIGN, TRUST};
use crate::ui::Ui;

use super::bounds::Bounds;
use super::frame::{Frame, Run, patiently};
use super::gather;
use super::rehearsal::{self, Planned};
use super::rolling::among;
use super::target::{connect, find, running};

/// Show, renew and replace the certificates of the servers
///
/// In a cluster with galera_cluster_tls=own, each server has a certificate with its names, signed by an authority of this
/// cluster alone. By it the servers let nobody else into their group, and clients see that they talk to the right one.
/// Certificates end: after a year, that of the authority after ten. These verbs renew them while the cluster runs: no
/// server is restarted, and no client loses its connection. Without a verb: show.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    show: show::ShowArgs,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Show(show::ShowArgs),
    Renew(RenewArgs),
    Rotate(RotateArgs),
}

/// Give nodes new certificates from the same authority, one node after the other
///
/// Makes a key and a certificate for a node, waits until its pod has the files, and has the server read them. Goes on with
/// the next node when the server shows the new certificate to clients and to the other servers, and all nodes are Synced.
/// Interrupted, it continues when it is run again.
#[derive(Debug, clap::Args)]
struct RenewArgs {
    /// Only this node, such as 2; can be repeated
    #[arg(long = "node", value_name = "NODE", value_parser = clap::value_parser!(u32).range(1..=99))]
    nodes: Vec<u32>,
    #[command(flatten)]
    bounds: Bounds,
    /// Also overwrite what somebody else has written into the Secrets of the certificates
    #[arg(long)]
    take_ownership: bool,
}

/// Replace the authority, and with it all certificates
///
/// In three parts, each for all nodes: every server comes to trust a new authority beside the old one; every server gets a
/// certificate of the new one; the old one is taken away. So at every moment all servers trust each other. Clients that
/// verify servers need the new ca.crt before the second part: --begin ends after the first. Interrupted, it continues when it
/// is run again.
#[derive(Debug, clap::Args)]
struct RotateArgs {
    /// Only the first part: ca.crt names both authorities then, and clients can get it before the old one goes
    #[arg(long)]
    begin: bool,
    #[command(flatten)]
    bounds: Bounds,
    /// Also overwrite what somebody else has written into the Secrets of the certificates
    #[arg(long)]
    take_ownership: bool,
}

pub(crate) async fn run(args: &Args, globals: &Globals, ui: &Ui) -> Result<()> {
    match &args.verb {
        None => show::run(&args.show, globals, ui).await,
        Some(Verb::Show(args)) => show::run(args, globals, ui).await,
        Some(Verb::Renew(args)) => renew(args, globals, ui).await,
        Some(Verb::Rotate(args)) => rotate(args, globals, ui).await,
    }
}

/// The cluster that is meant, which has certificates. `kind` is what it fails with where it has none.
async fn cluster(globals: &Globals, kind: Kind) -> Result<(Connection, Desired)> {
    let connection = connect(globals).await?;
    let target = find(globals, &connection).await?;
    let desired = running(&connection, &target, kind).await?.desired;
    if desired.tls.is_none() {
        return Err(Failure::message(kind, format!("cluster {} has no certificates", desired.cluster)).hint(
            "a stopped cluster comes up with them: galeractl teardown, then galeractl up --set=galera_cluster_tls=own",
        ));
    }
    Ok((connection, desired))
}

async fn renew(args: &RenewArgs, globals: &Globals, ui: &Ui) -> Result<()> {
    let (connection, desired) = cluster(globals, Kind::Preflight).await?;
    let named: Vec<Member> = args.nodes.iter().map(|node| among("--node", *node, &desired)).collect::<Result<_>>()?;
    let meant = |node: &Member| named.is_empty() || named.contains(node);
    let nodes: Vec<Member> = desired.members().filter(meant).collect();
    go(ui, (connection, desired), (&args.bounds, args.take_ownership), async |frame, world, access| {
        if args.bounds.dry_run.is_some() {
            let planned = rehearse(frame, ui, &args.bounds, world, access, |state| {
                steps::settled(state)?;
                Ok(nodes.iter().map(|node| changed(RENEW.id, &world.desired.cluster.certificate(*node))).collect())
            })
            .await?;
            return Ok(rehearsal::outcome("certificates would be renewed", &planned));
        }
        let act = async |run: &Run<'_>, [due]: [Due; 1]| {
            run.step(due, async |cx| steps::renew(cx, access, &nodes).await).await
        };
        frame.run([RENEW], args.bounds.timeout, world, act).await?;
        Ok("certificates are renewed".to_owned())
    })
    .await
}

async fn rotate(args: &RotateArgs, globals: &Globals, ui: &Ui) -> Result<()> {
    let (connection, desired) = cluster(globals, Kind::Preflight).await?;
    let cluster = desired.cluster.clone();
    go(ui, (connection, desired), (&args.bounds, args.take_ownership), async |frame, world, access| {
        if args.bounds.dry_run.is_some() {
            let planned = rehearse(frame, ui, &args.bounds, world, access, |state| Ok(planned(world, state, args.begin)));
            return Ok(rehearsal::outcome("the authority would be replaced", &planned.await?));
        }
        if args.begin {
            let act = async |run: &Run<'_>, [trust]: [Due; 1]| {
                run.step(trust, async |cx| steps::introduce(cx, access).await).await
            };
            frame.run([TRUST], args.bounds.timeout, world, act).await?;
            return Ok(format!(
                "every node trusts both authorities; give clients the new ca.crt of secret/{}, then: galeractl certificates rotate",
                cluster.authority()
            ));
        }
        let act = async |run: &Run<'_>, [trust, sign, retire]: [Due; 3]| {
            run.step(trust, async |cx| steps::introduce(cx, access).await).await?;
            run.step(sign, async |cx| steps::sign(cx, access).await).await?;
            run.step(retire, async |cx| steps::retire(cx, access).await).await
        };
        frame.run([TRUST, SIGN, RETIRE], args.bounds.timeout, world, act).await?;
        frame.notice(
            Level::Warning,
            "servers that run go on letting in members with a certificate of the old authority until each has been restarted; \
             clients that verify servers need the new ca.crt: galeractl credentials",
        );
        Ok("the authority and all certificates are replaced".to_owned())
    })
    .await
}

/// Looks at the cluster, and acts on it under the frame of a run. Answers with what it comes to.
async fn go(
    ui: &Ui,
    (connection, desired): (Connection, Desired),
    (bounds, take_ownership): (&Bounds, bool),
    act: impl AsyncFnOnce(&Frame, &World, &Access) -> Result<String>,
) -> Result<()> {
    rights::check(&connection, &desired, rights::CERTIFICATES).await?;
    let access = own_access(&connection.client, &desired).await?;
    let looking = gather::look(&connection, &desired, Some(access.clone()));
    let observer = patiently(ui, "the servers to answer", looking).await?;
    Frame::whole(ui, "certificates", async |frame| {
        let choices = Choices { take_ownership, ..frame.choices(bounds) };
        let world = World::new(connection, desired, Passwords::default(), choices, observer);
        act(frame, &world, &access).await
    })
    .await
}

/// Asks what the run asks, and shows which Secrets would change.
async fn rehearse(
    frame: &Frame,
    ui: &Ui,
    bounds: &Bounds,
    world: &World,
    access: &Access,
    plan: impl Fn(&State) -> Result<Vec<Planned>>,
) -> Result<Vec<Planned>> {
    let look = async |cx: &StepCx<'_, World>| {
        let trust = steps::look(cx).await?;
        plan(&steps::state(world, access, &trust).await?)
    };
    rehearsal::show(frame, ui, bounds.timeout, world, look).await
}

fn changed(step: &'static str, secret: &str) -> Planned {
    Planned::new(step, format!("secret/{secret}"), Change::Changed)
}

/// Secrets that change in each part, in their order.
fn planned(world: &World, state: &State, begin: bool) -> Vec<Planned> {
    let cluster = &world.desired.cluster;
    let mut planned = Vec::new();
    if !is_under_way(state) {
        planned.push(changed(TRUST.id, &cluster.authority()));
    }
    for (phase, act) in rest(state.clone()) {
        let step = match phase {
            Phase::Trust => TRUST.id,
            _ if begin => break,
            Phase::Sign => SIGN.id,
            Phase::Retire => RETIRE.id,
        };
        planned.push(match act {
            Act::Give { member, .. } => changed(step, &cluster.certificate(member)),
            Act::Promote | Act::Retire => changed(step, &cluster.authority()),
        });
    }
    planned
}
