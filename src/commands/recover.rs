//! `galeractl recover`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::cluster::record::own_access;
use crate::cluster::rights;
use crate::cluster::world::World;
use crate::commands::Globals;
use crate::desired::{Desired, Passwords};
use crate::engine::event::Level;
use crate::engine::{Due, Named};
use crate::error::{Failure, Kind, Result};
use crate::names::Member;
use crate::observe::{Observer, Wants};
use crate::plans::recovery::{Case, Life, Plan, Row, Way, Wishes, plan};
use crate::steps::recover::{self, Found, Together, rows};
use crate::steps::up::proxy::{self, Accounts, PROXY};
use crate::ui::Ui;
use crate::ui::table::{Cell, Table};
use crate::wsrep::volume::{Contents, Evidence};

use super::bounds::Bounds;
use super::frame::{Frame, Run};
use super::target::{connect, find, must_exist, stored};
use super::{complete, gather};

/// Find the way out of an outage, and go it after asking
///
/// Looks at every member and every volume, shows what each of them holds and how that is known, and says what would be
/// done and what could be missing afterwards. Where nothing can be lost it goes on; anything else needs the cluster's
/// name. It starts nothing beside a component that runs, and takes no member for dead because it does not answer.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  galeractl recover --plan
  galeractl recover
  galeractl recover --rebuild node2")]
pub struct Args {
    /// Only show what there is and what would be done
    #[arg(long)]
    plan: bool,
    /// Let this node put its data aside, on its own volume, and take a copy of the running cluster; can be repeated
    #[arg(long, value_name = "NODE", add = complete::members())]
    rebuild: Vec<Member>,
    /// This node is lost for good and runs nowhere: go on without what only it has; can be repeated
    #[arg(long, value_name = "NODE", conflicts_with = "rebuild", add = complete::members())]
    lost: Vec<Member>,
    /// Go on with the data of this node, where the nodes follow different histories; that of the others is put aside
    #[arg(long, value_name = "NODE", conflicts_with = "rebuild", add = complete::members())]
    from: Option<Member>,
    /// table for people, json for machines
    #[arg(short, long, value_name = "FORMAT", default_value = "table", value_parser = ["table", "json"])]
    output: String,
    /// The cluster's name, to confirm in scripts that what is named as a loss may be lost
    #[arg(long, value_name = "CLUSTER")]
    confirm: Option<String>,
    #[command(flatten)]
    bounds: Bounds,
}

pub(crate) async fn run(args: &Args, globals: &Globals, ui: &Ui) -> Result<()> {
    let connection = connect(globals).await?;
    let target = find(globals, &connection).await?;
    must_exist(&connection, &target, Kind::Preflight).await?;
    let Some(stored) = stored(&connection, &target).await? else {
        let name = &target.cluster;
        return Err(Failure::message(
            Kind::Preflight,
            format!("it is not recorded what cluster {name} in namespace {} should be", target.namespace),
        )
        .hint("say it with its settings, and it is brought back if it can be: galeractl up -f galera.conf"));
    };
    let desired = stored.desired;
    rights::check(&connection, &desired, rights::UP).await?;
    let access = match own_access(&connection.client, &desired).await {
        Ok(access) => Some(access),
        Err(failure) if failure.kind == Kind::Preflight => None,
        Err(failure) => return Err(failure),
    };
    let classes = gather::storage_classes(&connection).await?;
    let observer = Observer::start(&connection, &desired, Wants { logs: true, classes }).await?;
    if let Some(access) = access {
        observer.set_access(access);
    }
    let frame = Frame::begin(ui, "recover")?;
    let choices = frame.choices(&args.bounds);
    let world = World::new(connection, desired, Passwords::default(), choices, observer);
    let result = recover(args, ui, &frame, &world).await;
    let released = world.release_lock(false).await;
    frame.end(result.and_then(|message| released.map(|()| message))).await
}

async fn recover(args: &Args, ui: &Ui, frame: &Frame, world: &World) -> Result<String> {
    let wishes = Wishes {
        lost: args.lost.iter().copied().collect::<BTreeSet<Member>>(),
        from: args.from,
        rebuild: args.rebuild.iter().copied().collect(),
    };
    ui.notice(Level::Info, "looking at every member and every volume");
    let known = frame.silently("preflight", world, recover::gather).await?;
    let (rows, found) = judge(world, &known, &wishes);
    let only_look = args.plan || args.bounds.dry_run.is_some();
    if only_look || found.is_err() {
        show(args, ui, world, (&known, &rows), &found)?;
    }
    let found = found.map_err(|reasons| refused(&reasons))?;
    if only_look {
        return Ok("nothing was changed".to_owned());
    }
    match &found.way {
        Way::Nothing => {
            show(args, ui, world, (&known, &rows), &Ok(found))?;
            Ok("there is nothing to recover".to_owned())
        }
        Way::Rebuild { members } => {
            agree(args, ui, frame, world, (&known, &rows, &found)).await?;
            go(args, frame, world, [recover::rebuilding(members)], async |run, [step]| {
                run.step(step, async |cx| recover::rebuild(cx, members).await).await
            })
            .await
        }
        Way::Together { gone, .. } => together(args, ui, frame, world, (&known, &wishes, gone)).await,
    }
}

/// All members wait with their positions before anybody is asked: only then is it known what would be lost.
async fn together(
    args: &Args,
    ui: &Ui,
    frame: &Frame,
    world: &World,
    (known, wishes, gone): (&Found, &Wishes, &[Member]),
) -> Result<String> {
    ui.notice(
        Level::Info,
        "no member is part of a majority; each is made to wait with its position, and nothing is started",
    );
    let secrets = known.secrets.as_ref();
    let kept = frame.silently("positions", world, async |cx| recover::wait(cx, secrets, gone).await).await?;
    let (rows, found) = judge(world, known, wishes);
    let found = match found {
        Ok(found) => found,
        Err(reasons) => {
            show(args, ui, world, (known, &rows), &Err(reasons.clone()))?;
            return Err(refused(&reasons));
        }
    };
    let Way::Together { from: Some(from), aside, gone, .. } = found.way.clone() else {
        show(args, ui, world, (known, &rows), &Ok(found))?;
        return Ok("the members have found each other".to_owned());
    };
    agree(args, ui, frame, world, (known, &rows, &found)).await?;
    let chosen = Together { from, aside, gone };
    go(args, frame, world, [chosen.step(), PROXY], async |run, [nodes, proxy]| {
        run.step(nodes, async |cx| recover::together(cx, &chosen, &known.record).await).await?;
        run.step(proxy, async |cx| proxy::run(cx, &kept, Accounts::AsInSettings).await).await
    })
    .await
}

async fn go<const N: usize>(
    args: &Args,
    frame: &Frame,
    world: &World,
    steps: [Named; N],
    act: impl AsyncFnOnce(&Run<'_>, [Due; N]) -> Result<()>,
) -> Result<String> {
    let steps = frame.announce(&world.connection, &world.desired, steps);
    let Desired { cluster, namespace, .. } = &world.desired;
    act(&frame.within(args.bounds.timeout, world), steps).await.map_err(|failure| {
        failure.hint("no data was removed; look again, and go on from there: galeractl recover --plan")
    })?;
    Ok(format!(
        "cluster {cluster} is back; what is still missing around it: galeractl up --name {cluster} -n {namespace}"
    ))
}

fn judge(world: &World, known: &Found, wishes: &Wishes) -> (BTreeMap<Member, Row>, Result<Plan, Vec<String>>) {
    let rows = rows(world, &known.volumes);
    let group = world.desired.cluster.group(&world.desired.namespace);
    let found = plan(&Case { rows: &rows, record: &known.record, group: &group }, wishes);
    (rows, found)
}

fn refused(reasons: &[String]) -> Failure {
    Failure::message(Kind::Preflight, reasons.join("\n"))
}

/// Shows everything, and asks where anything could be missing afterwards.
async fn agree(
    args: &Args,
    ui: &Ui,
    frame: &Frame,
    world: &World,
    (known, rows, found): (&Found, &BTreeMap<Member, Row>, &Plan),
) -> Result<()> {
    if found.losses.is_empty() {
        return show(args, ui, world, (known, rows), &Ok(found.clone()));
    }
    let question = format!("{}\n{}", table(ui, world, rows), sentences(found));
    ui.confirm_name(world.desired.cluster.as_str(), &question, args.confirm.as_deref(), &frame.cancel()).await
}

fn show(
    args: &Args,
    ui: &Ui,
    world: &World,
    (known, rows): (&Found, &BTreeMap<Member, Row>),
    found: &Result<Plan, Vec<String>>,
) -> Result<()> {
    let Desired { cluster, namespace, .. } = &world.desired;
    if args.output == "json" {
        return ui.json(&json!({
            "cluster": cluster,
            "namespace": namespace,
            "recorded": known.record.uuid,
            "members": rows,
            "plan": found.as_ref().ok(),
            "refused": found.as_ref().err(),
        }));
    }
    let after = found.as_ref().map(sentences).unwrap_or_default();
    ui.out(&format!("{}\n{after}", table(ui, world, rows)))
}

fn sentences(found: &Plan) -> String {
    let lines = |head: &str, lines: &[String]| {
        let list: Vec<String> = lines.iter().map(|line| format!("  - {line}\n")).collect();
        if list.is_empty() { String::new() } else { format!("{head}\n{}", list.concat()) }
    };
    let losses = if found.losses.is_empty() && found.way != Way::Nothing {
        "Nothing is lost: every volume has answered, and all of them hold one history.\n".to_owned()
    } else {
        lines("What could be missing afterwards:", &found.losses)
    };
    lines(if found.way == Way::Nothing { "What there is:" } else { "What would be done:" }, &found.steps) + &losses
}

/// The evidence, a line for each member.
fn table(ui: &Ui, world: &World, rows: &BTreeMap<Member, Row>) -> String {
    let mut table =
        Table::new(["MEMBER", "STATE", "HOST", "DATA", "KNOWN BY", "COMMITTED AT LEAST", "LAST VIEW", "LAST WRITTEN"]);
    for (member, row) in rows {
        let volume = row.volume.as_ref();
        let (data, known) = data(row);
        let seen = volume.and_then(|volume| volume.seen).map(|(position, _)| position.seqno.to_string());
        let written = volume.and_then(|volume| jiff::Timestamp::from_second(volume.written?).ok());
        let prefix = format!("{}-galera-", world.desired.cluster);
        let view: Vec<&str> = volume
            .iter()
            .flat_map(|volume| &volume.view)
            .map(|name| name.strip_prefix(&prefix).unwrap_or(name))
            .collect();
        table.row([
            Cell::from(member.to_string()),
            Cell::from(state(&row.life)),
            Cell::from(row.host.clone().unwrap_or_default()),
            Cell::from(data),
            Cell::from(known),
            Cell::from(seen.unwrap_or_default()),
            Cell::from(view.join(",")),
            Cell::from(written.map(|time| time.strftime("%F %T UTC").to_string()).unwrap_or_default()),
        ]);
    }
    table.render(ui.paint())
}

fn state(life: &Life) -> String {
    match life {
        Life::Primary => "in the majority".to_owned(),
        Life::Outside => "outside".to_owned(),
        Life::Waiting(None) => "waits".to_owned(),
        Life::Waiting(Some(_)) => "refuses".to_owned(),
        Life::Stopped => "stopped".to_owned(),
        Life::Hidden(_) => "not seen".to_owned(),
        Life::Unknown(_) => "MAY BE RUNNING".to_owned(),
    }
}

/// What a member has, and how that is known.
fn data(row: &Row) -> (String, &'static str) {
    if let Some(position) = row.reports {
        return (position.to_string(), "its server");
    }
    let Some(volume) = &row.volume else { return (String::new(), "") };
    let known = match (&volume.contents, &row.life) {
        (Contents::Database { seqno: Some(_), .. }, Life::Waiting(_)) => "recovered",
        (Contents::Database { seqno: Some(_), .. }, _) => "stopped cleanly",
        (Contents::Missing, _) => "no claim",
        _ => "its volume",
    };
    (Evidence::describe(volume), known)
}
