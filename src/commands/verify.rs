//! `galeractl verify`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use crate::checks::{Case, Check, Mark, passed, run as judge};
use crate::cluster::proof::prove;
use crate::cluster::record::{keys, own_access};
use crate::cluster::{accounts, backup_keys, content, proxies, validity, walls};
use crate::commands::Globals;
use crate::desired::Desired;
use crate::engine::event::Level;
use crate::error::{Failure, Kind, Result};
use crate::kube::client::Connection;
use crate::manifests::config::Record;
use crate::names::Member;
use crate::observe::{Observer, exposures};
use crate::settings::span;
use crate::ui::Ui;
use crate::ui::color::Tone;
use crate::ui::plural::plural;

use super::frame::patiently;
use super::target::{Stored, connect, find, running};
use super::{Format, gather};

/// Judge whether a cluster is healthy; exit code 1 if it is not
///
/// Asks every node, compares their answers, writes a row and reads it on every node, and compares what the proxy
/// believes with what the nodes say. A failing check comes with its evidence and a hint.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  galeractl verify --name shop -n web
  galeractl verify --wait 2m -o short
  galeractl verify -o json")]
pub struct Args {
    /// table for people, json for machines, short for only what is not right
    #[arg(short, long, value_name = "FORMAT", default_value = "table", value_parser = ["table", "short", "json"])]
    output: String,
    /// Judge again until all is well, for at most this long, such as 2m
    #[arg(long, value_name = "TIME", value_parser = span)]
    wait: Option<Duration>,
}

pub(crate) async fn run(args: &Args, globals: &Globals, ui: &Ui) -> Result<()> {
    let connection = connect(globals).await?;
    let target = find(globals, &connection).await?;
    let stored = running(&connection, &target, Kind::No).await?;
    let access = own_access(&connection.client, &stored.desired).await?;
    let observer =
        patiently(ui, "the servers to answer", gather::look(&connection, &stored.desired, Some(access))).await?;
    let deadline = args.wait.map(|wait| tokio::time::Instant::now() + wait);
    let mut told = Vec::new();
    let mut checks = loop {
        let judged = Box::pin(judge_once(&connection, &stored.desired, &stored.record, &observer));
        let checks = patiently(ui, "the answers of servers, proxies and agent", judged).await?;
        let over = deadline.is_none_or(|deadline| tokio::time::Instant::now() >= deadline);
        if passed(&checks) || over {
            break checks;
        }
        let failed = failed(&checks);
        if failed != told {
            ui.notice(Level::Info, &format!("waiting until every check passes: {} failed", failed.join(", ")));
            told = failed;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    for hint in checks.iter_mut().filter_map(|check| check.hint.as_mut()) {
        *hint = ui.complete(hint);
    }
    show(ui, Format::of(&args.output), &stored, &checks)?;
    verdict(&stored, &checks)
}

/// Asks everything once, and judges the answers.
pub(super) async fn judge_once(
    connection: &Connection,
    desired: &Desired,
    record: &Record,
    observer: &Observer,
) -> Result<Vec<Check>> {
    let kept = keys(&connection.client, desired).await?;
    let nodes: Vec<Member> = desired.members().collect();
    let observed = gather::with_crashes(connection, desired, observer).await;
    let one = observed.members.iter().find(|(_, view)| view.is_primary());
    let door = observed.proxy.pods.first().cloned().or(one.map(|(member, _)| desired.cluster.pod(*member)));
    let logins = async {
        let Some(pod) = &door else { return BTreeMap::new() };
        let grants = accounts::grants(connection, desired, &kept, pod).await;
        grants.into_iter().map(|(user, grants)| (user, grants.map(drop))).collect()
    };
    let serving = || -> Vec<Member> {
        let served = observed.members.iter().filter(|(node, view)| **node != Member::Seed && view.is_primary());
        served.map(|(node, _)| *node).collect()
    };
    let (proxies, leftovers, exposures, backups, accounts, content, certificates, walls, proof) = tokio::join!(
        proxies::backends(connection, desired, &observed),
        gather::leftovers(connection, desired),
        exposures::list(connection, desired),
        gather::backups(connection, desired, observer),
        logins,
        content::look(connection, desired, &kept, serving()),
        validity::look(connection, desired, &kept.own, serving()),
        walls::look(connection, desired, serving()),
        prove(connection, desired, &kept.own, observed.proxy.pods.first().map(String::as_str), &nodes),
    );
    let (leftovers, exposures) = (leftovers?, exposures?);
    Ok(judge(&Case {
        desired,
        record,
        observed: &observed,
        proof: &proof,
        accounts: &accounts,
        content: &content,
        proxies: &proxies,
        leftovers: &leftovers,
        exposures: &exposures,
        certificates: &certificates,
        walls: &walls,
        backups: backups.as_ref(),
        backup_key: backup_keys::state(&connection.client, desired).await?,
        now: jiff::Timestamp::now(),
    }))
}

fn show(ui: &Ui, format: Format, stored: &Stored, checks: &[Check]) -> Result<()> {
    let desired = &stored.desired;
    if format == Format::Json {
        return ui.json(&json!({
            "cluster": desired.cluster, "namespace": desired.namespace, "healthy": passed(checks), "checks": checks,
        }));
    }
    ui.out(&render(ui, checks, format == Format::Short))?;
    let count = |mark: Mark| checks.iter().filter(|check| check.mark == mark).count();
    if passed(checks) {
        let warnings = match count(Mark::Warning) {
            0 => String::new(),
            some => format!(", {}", plural(some, "warning")),
        };
        let name = &desired.cluster;
        return ui
            .out(&format!("\ncluster {name} is healthy: {} passed{warnings}\n", plural(count(Mark::Pass), "check")));
    }
    Ok(())
}

/// Groups of checks with their marks; in short form only what is not right.
fn render(ui: &Ui, checks: &[Check], short: bool) -> String {
    let paint = ui.paint();
    let mut text = String::new();
    let mut group = "";
    let width = checks.iter().map(|check| check.title.len()).max().unwrap_or(0);
    for check in checks.iter().filter(|check| !short || check.mark != Mark::Pass) {
        if check.group != group {
            group = check.group;
            text.push_str(&format!("{}{}\n", if text.is_empty() { "" } else { "\n" }, paint.tone(Tone::Head, group)));
        }
        let (tone, word) = match check.mark {
            Mark::Pass => (Tone::Ok, "ok  "),
            Mark::Warning => (Tone::Warn, "warn"),
            Mark::Skipped => (Tone::Dim, "skip"),
            Mark::Fail => (Tone::Fail, "FAIL"),
        };
        text.push_str(&format!("  {}  {:width$}  {}\n", paint.tone(tone, word), check.title, check.evidence));
        if let Some(hint) = &check.hint {
            text.push_str(&format!("        {} {}\n", paint.tone(Tone::Dim, "hint:"), paint.tone(Tone::Typed, hint)));
        }
    }
    text
}

fn failed(checks: &[Check]) -> Vec<&'static str> {
    checks.iter().filter(|check| check.mark == Mark::Fail).map(|check| check.id).collect()
}

fn verdict(stored: &Stored, checks: &[Check]) -> Result<()> {
    let failed = failed(checks);
    if failed.is_empty() {
        return Ok(());
    }
    let name = &stored.desired.cluster;
    let count = plural(failed.len(), "check");
    Err(Failure::message(Kind::No, format!("cluster {name} is not healthy: {count} failed ({})", failed.join(", "))))
}
