//! `galeractl status`.

use std::io::IsTerminal;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use crate::backups::Catalog;
use crate::cluster::record::own_access;
use crate::commands::Globals;
use crate::desired::Desired;
use crate::error::{Kind, Result};
use crate::kube::client::Connection;
use crate::kube::lease;
use crate::manifests::config::Record;
use crate::names::Member;
use crate::observe::exposures;
use crate::observe::objects::claim_owner;
use crate::observed::{Exposed, MemberView, Observed};
use crate::ui::Ui;
use crate::ui::color::Tone;
use crate::ui::table::{Cell, Table};

use super::frame::patiently;
use super::target::{Stored, connect, find, is_running, must_exist, stored};
use super::{Format, gather};

/// How often `--watch` looks again.
const BEAT: Duration = Duration::from_secs(2);

/// Show a cluster as it is; never fails because it is ill
///
/// Nodes, what each of them sees of the group, the proxy and the volumes. The nodes are asked at slightly different
/// moments, so while the group changes they may seem to disagree. To judge, use `galeractl verify`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  galeractl status --name shop -n web
  galeractl status --watch")]
pub struct Args {
    /// table or json
    #[arg(short, long, value_name = "FORMAT", default_value = "table", value_parser = ["table", "json"])]
    output: String,
    /// Show it again every two seconds
    #[arg(short, long)]
    watch: bool,
}

/// What else there is beside members and volumes.
struct Around {
    holder: Option<String>,
    exposures: Result<Vec<Exposed>, String>,
    backups: Option<Result<Catalog, String>>,
}

pub(crate) async fn run(args: &Args, globals: &Globals, ui: &Ui) -> Result<()> {
    let connection = connect(globals).await?;
    let target = find(globals, &connection).await?;
    must_exist(&connection, &target, Kind::No).await?;
    let stored = match stored(&connection, &target).await? {
        Some(stored) => stored,
        // What is left of it is shown all the same.
        None => Stored { desired: target.with_defaults()?, record: Record::default() },
    };
    if !is_running(&connection, &target).await? {
        return stopped(ui, &connection, &stored, Format::of(&args.output)).await;
    }
    let access = own_access(&connection.client, &stored.desired).await;
    let observer =
        patiently(ui, "the servers to answer", gather::look(&connection, &stored.desired, access.ok())).await?;
    let clear = args.watch && std::io::stdout().is_terminal();
    loop {
        let observed = gather::with_crashes(&connection, &stored.desired, &observer).await;
        let holder = lease::holder(&connection.client, &target.namespace, &target.cluster).await?;
        let around = Around {
            holder: holder.map(|held| held.holder),
            exposures: exposures::list(&connection, &stored.desired).await.map_err(|failure| failure.to_string()),
            backups: gather::backups(&connection, &stored.desired, &observer).await,
        };
        if clear {
            ui.out("\u{1b}[H\u{1b}[2J")?;
        }
        show(ui, Format::of(&args.output), &stored, &observed, &around)?;
        if !args.watch {
            return Ok(());
        }
        tokio::time::sleep(BEAT).await;
    }
}

fn show(ui: &Ui, format: Format, stored: &Stored, observed: &Observed, around: &Around) -> Result<()> {
    let Stored { desired, record } = stored;
    if format == Format::Json {
        return ui.json(&as_json(stored, observed, around));
    }
    let uuid = record.uuid.map_or("not known yet".to_owned(), |uuid| uuid.to_string());
    let state = if record.formed { "formed" } else { "being formed" };
    ui.out(&format!(
        "Cluster {} in namespace {}: {state}, {} nodes, uuid {uuid}\n",
        desired.cluster, desired.namespace, desired.nodes
    ))?;
    if let Some(holder) = &around.holder {
        ui.out(&format!("Lock held by {holder}\n"))?;
    }
    ui.out("\n")?;
    ui.table(&members(desired, observed))?;
    let proxy = &observed.proxy;
    let phrase = match (&proxy.trouble, proxy.exists) {
        (_, false) => "none".to_owned(),
        (Some(trouble), _) => format!("{} of {} available: {}", proxy.available, proxy.wanted, trouble.message),
        (None, _) => format!("{} of {} available", proxy.available, proxy.wanted),
    };
    ui.out(&format!("\nProxy {}: {phrase}\n", desired.cluster.proxy()))?;
    let now = Timestamp::now();
    match &around.exposures {
        Ok(ways) => ways.iter().try_for_each(|way| ui.out(&format!("Access from outside: {}\n", way.describe(now))))?,
        Err(why) => ui.out(&format!("Access from outside: not known ({why})\n"))?,
    }
    match &around.backups {
        None => {}
        Some(Ok(catalog)) => ui.out(&format!("Backups: {}\n", catalog.summary()))?,
        Some(Err(why)) => ui.out(&format!("Backups: not known ({why})\n"))?,
    }
    ui.out("\n")?;
    ui.table(&claims(desired, observed))
}

fn members(desired: &Desired, observed: &Observed) -> Table {
    let mut table = Table::new([
        "MEMBER",
        "STATE",
        "COMPONENT",
        ">SIZE",
        ">VIEW",
        ">COMMITTED",
        ">QUEUE",
        ">PAUSED",
        ">CRASHES",
        "HOST",
    ]);
    let mut all: Vec<Member> = observed.members.keys().copied().chain(desired.members()).collect();
    all.sort_unstable();
    all.dedup();
    let none = MemberView::default();
    for member in all {
        table.row(member_row(member, observed.members.get(&member).unwrap_or(&none)));
    }
    table
}

fn member_row(member: Member, view: &MemberView) -> Vec<Cell> {
    let host = view.pod.host.clone().unwrap_or_default();
    let crashes = (view.log.crashes + view.pod.restarts).to_string();
    let Some(status) = view.status() else {
        let phrase = if view.pod.exists { view.phrase() } else { "no pod".to_owned() };
        let mut cells = vec![Cell::from(member.to_string()), Cell::new(Tone::Fail, phrase)];
        cells.extend([""; 6].map(Cell::from));
        cells.extend([Cell::from(crashes), Cell::from(host)]);
        return cells;
    };
    let tone = if status.is_synced() { Tone::Ok } else { Tone::Warn };
    let component = if status.is_primary() { Tone::Ok } else { Tone::Fail };
    let label = if status.uuid.is_zero() { "zero uuid".to_owned() } else { status.cluster_status.clone() };
    vec![
        Cell::from(member.to_string()),
        Cell::new(tone, &status.state_comment),
        Cell::new(component, label),
        Cell::from(status.size.to_string()),
        Cell::from(status.conf_id.map(|id| id.to_string()).unwrap_or_default()),
        Cell::from(status.last_committed.map(|seqno| seqno.to_string()).unwrap_or_default()),
        Cell::from(status.receive_queue.to_string()),
        Cell::from(format!("{:.1}%", status.flow_control_paused.percent())),
        Cell::from(crashes),
        Cell::from(host),
    ]
}

fn claims(desired: &Desired, observed: &Observed) -> Table {
    let mut table = Table::new(["VOLUME OF", "CLAIM", "PHASE", "SIZE", "CLASS"]);
    for (name, claim) in &observed.claims {
        let owner = claim_owner(desired, name).map(|member| member.to_string()).unwrap_or_default();
        let tone = if claim.phase == "Bound" && !claim.leaving { Tone::Ok } else { Tone::Warn };
        let phase = if claim.leaving { "being deleted" } else { &claim.phase };
        table.row([
            Cell::from(owner),
            Cell::from(name),
            Cell::new(tone, phase),
            Cell::from(claim.capacity.clone().unwrap_or_default()),
            Cell::from(claim.class.clone().unwrap_or_default()),
        ]);
    }
    table
}

fn as_json(stored: &Stored, observed: &Observed, around: &Around) -> serde_json::Value {
    let Stored { desired, record } = stored;
    let member = |(member, view): (&Member, &MemberView)| {
        json!({
            "member": member, "pod": desired.cluster.pod(*member), "host": view.pod.host, "address": view.pod.address,
            "running": view.pod.running, "ready": view.pod.ready, "restarts": view.pod.restarts,
            "crashes": view.log.crashes, "phrase": view.phrase(), "status": view.status(),
        })
    };
    json!({
        "cluster": desired.cluster, "namespace": desired.namespace, "nodes": desired.nodes,
        "formed": record.formed, "uuid": record.uuid, "lock": around.holder,
        "members": observed.members.iter().map(member).collect::<Vec<_>>(),
        "proxy": {"wanted": observed.proxy.wanted, "available": observed.proxy.available, "pods": observed.proxy.pods},
        "volumes": observed.claims, "exposures": around.exposures.as_ref().ok(),
        "backups": around.backups.as_ref().map(|found| match found {
            Ok(catalog) => json!({"newest": catalog.newest(), "verified": catalog.last_verified(), "agent": catalog.agent}),
            Err(why) => json!({"unknown": why}),
        }),
    })
}

/// A cluster of which volumes, passwords or its record are left.
async fn stopped(ui: &Ui, connection: &Connection, stored: &Stored, format: Format) -> Result<()> {
    let Stored { desired, record } = stored;
    let observed = gather::look(connection, desired, None).await?.now();
    if format == Format::Json {
        return ui.json(&json!({
            "cluster": desired.cluster, "namespace": desired.namespace, "formed": record.formed, "uuid": record.uuid,
            "members": [], "volumes": observed.claims,
        }));
    }
    ui.out(&format!("Cluster {} in namespace {}: stopped\n\n", desired.cluster, desired.namespace))?;
    ui.table(&claims(desired, &observed))
}
