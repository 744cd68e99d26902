//! `galeractl backup list`.

use std::collections::BTreeSet;

use serde_json::json;

use crate::backups::{Backup, Catalog, Chain, Reach, Ways, chains, utc};
use crate::cluster::reader::{self, Reader};
use crate::cluster::world::World;
use crate::commands::Globals;
use crate::commands::bounds::Bounds;
use crate::commands::frame::{Frame, patiently};
use crate::commands::{Format, gather};
use crate::desired::Desired;
use crate::engine::event::Level;
use crate::engine::{StepCx, units};
use crate::error::{Failure, Kind, Result};
use crate::kube::client::Connection;
use crate::ui::Ui;
use crate::ui::color::Tone;
use crate::ui::table::{Cell, Table};

use super::{TURN_ON, Where, connect, desired, has_volume, with_reader, world};

/// List backups: chains with their members, and the moments that a restore can reach
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    place: Where,
    /// table or json
    #[arg(short, long, value_name = "FORMAT", default_value = "table", value_parser = ["table", "json"])]
    output: String,
    #[command(flatten)]
    bounds: Bounds,
}

pub(super) async fn run(args: &Args, globals: &Globals, ui: &Ui) -> Result<()> {
    let connection = connect(globals).await?;
    let desired = desired(&connection, globals, Some(&args.place), Kind::No).await?;
    let folder = args.place.folder(&desired)?;
    let catalog = if has_volume(&connection, &desired, &args.place).await? {
        catalog(args, &connection, desired, ui).await?
    } else {
        ui.notice(Level::Info, &format!("cluster {} has no backup volume; {TURN_ON}", desired.cluster));
        Catalog::default()
    };
    if Format::of(&args.output) == Format::Json {
        return ui.json(&as_json(&folder, &catalog));
    }
    let all = chains(&catalog);
    if all.is_empty() && catalog.unusable.is_empty() {
        ui.out(&format!("There is no backup of {folder}.\n"))?;
        return others(ui, &folder, &catalog);
    }
    let (ways, members) = (Ways::of(&catalog), all.iter().flat_map(|chain| &chain.members));
    let reaches: Vec<(&Backup, Reach)> = members.map(|backup| (*backup, ways.reach(backup))).collect();
    ui.table(&table(&catalog, &reaches))?;
    for why in all.iter().filter_map(|chain| chain.broken.as_deref()) {
        ui.out(&format!("\nNot usable: {why}\n"))?;
    }
    for gap in reaches.iter().filter_map(|(_, reach)| reach.gap).collect::<BTreeSet<_>>() {
        ui.out(&format!(
            "\nGap: {gap}, after {}, cannot be replayed, for no binary log has it. A statement that failed or had\n\
             nothing to do leaves such a gap, and what a session wrote with sql_log_bin=0. The next backup holds it.\n",
            utc(gap.after)
        ))?;
    }
    if let Some(agent) = &catalog.agent {
        let free = format!("{} of {} free", units::bytes(agent.free), units::bytes(agent.size));
        let trouble = if agent.error.is_empty() {
            String::new()
        } else {
            format!("; the latest attempt failed: {}", agent.error)
        };
        ui.out(&format!(
            "\nAgent beside {}: {}, last heard of at {}; {free}{trouble}\n",
            agent.member,
            agent.state,
            utc(agent.at)
        ))?;
    }
    Ok(())
}

/// What lies on the volume, as the agent sees it, or a pod of its own where no agent runs.
async fn catalog(args: &Args, connection: &Connection, desired: Desired, ui: &Ui) -> Result<Catalog> {
    let (folder, claim) = (args.place.folder(&desired)?, args.place.claim(&desired));
    let (word, looked_at) = (args.place.word(), desired.clone());
    let observer = gather::look(connection, &desired, None).await?;
    let agent = reader::agent(&desired, &observer.live().snapshot());
    if let Some(agent) = agent.filter(|agent| agent.claim == claim) {
        let asked = reader::catalog(connection, &looked_at, &agent, &folder, &word);
        return patiently(ui, "the agent to tell what lies on the backup volume", asked).await;
    }
    let mut found = None;
    Frame::whole(ui, "backup", async |frame| {
        let world = world(connection, desired, &args.bounds, frame).await?;
        let look = async |_: &StepCx<'_, World>, reader: &Reader| {
            reader::catalog(connection, &looked_at, reader, &folder, &word).await
        };
        found = Some(with_reader(&world, frame, &claim, args.bounds.timeout, look).await?);
        Ok(format!("looked at the backups of {folder}"))
    })
    .await?;
    found.ok_or_else(|| Failure::message(Kind::Bug, "the backup volume was looked at, and nothing is known"))
}

fn others(ui: &Ui, folder: &str, catalog: &Catalog) -> Result<()> {
    let others: Vec<&str> = catalog.clusters.iter().map(String::as_str).filter(|other| *other != folder).collect();
    if others.is_empty() {
        return Ok(());
    }
    ui.out(&format!("The volume has backups of {}; see them with --source.\n", others.join(", ")))
}

fn table(catalog: &Catalog, reaches: &[(&Backup, Reach)]) -> Table {
    let mut table =
        Table::new(["BACKUP", "KIND", "COMPLETE AT", ">SIZE", ">DATABASE", "POSITION", "VERIFIED", "RESTORES TO"]);
    for (backup, reach) in reaches {
        let until = match reach.gap {
            _ if reach.time <= backup.ended => "this moment".to_owned(),
            None => format!("any time until {}", utc(reach.time)),
            Some(_) => format!("any time until {}, then a gap", utc(reach.time)),
        };
        let (tone, verified) = verdict(catalog, backup);
        table.row([
            Cell::from(backup.id.clone()),
            Cell::from(backup.kind.word()),
            Cell::from(utc(backup.ended)),
            Cell::from(units::bytes(backup.bytes)),
            Cell::from(units::bytes(backup.data)),
            Cell::from(format!("{}:{}", backup.uuid.short(), backup.seqno)),
            Cell::new(tone, verified),
            Cell::from(until),
        ]);
    }
    for file in catalog.unusable_together() {
        let nothing = || Cell::from("");
        let (name, why) = (Cell::from(&file.name), Cell::new(Tone::Fail, format!("nothing: {}", file.why)));
        table.row([
            name,
            nothing(),
            nothing(),
            nothing(),
            nothing(),
            nothing(),
            Cell::new(Tone::Fail, "unusable"),
            why,
        ]);
    }
    table
}

fn verdict(catalog: &Catalog, backup: &Backup) -> (Tone, String) {
    match catalog.verified.get(&backup.id) {
        Some(verified) if verified.ok => (Tone::Ok, utc(verified.at)),
        Some(_) => (Tone::Fail, "damaged".to_owned()),
        None => (Tone::Dim, "never".to_owned()),
    }
}

fn as_json(folder: &str, catalog: &Catalog) -> serde_json::Value {
    let ways = Ways::of(catalog);
    let member = |backup: &&Backup| {
        let reach = ways.reach(backup);
        json!({
            "backup": backup, "verified": catalog.verified.get(&backup.id),
            "restores_to": {"time": utc(reach.time), "transaction": format!("1-1-{}", reach.sequence), "gap": reach.gap.map(|gap| gap.to_string())},
        })
    };
    let chain = |chain: &Chain<'_>| json!({"members": chain.members.iter().map(member).collect::<Vec<_>>(), "broken": chain.broken});
    json!({
        "source": folder, "chains": chains(catalog).iter().map(chain).collect::<Vec<_>>(), "agent": catalog.agent,
        "unusable": catalog.unusable,
        "logs": catalog.logs.len(), "sources": catalog.clusters,
    })
}
