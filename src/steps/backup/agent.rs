//! Asking the agent to do something now, and following it while it does.

use std::time::Duration;

use crate::cluster::reader;
use crate::cluster::record::random_password;
use crate::cluster::world::{PATIENCE, World};
use crate::engine::{Finished, StepCx};
use crate::error::{Failure, Kind, Result};
use crate::kube::logs::Follow;
use crate::manifests::scripts;
use crate::wsrep::Report;

/// A request that the agent has not taken up by then has met something else.
const BEGIN_LIMIT: Duration = Duration::from_secs(120);

/// Lets the agent do something, such as `backup full`, and follows it.
///
/// # Errors
/// The agent cannot be asked, does not answer, or says that it has failed.
pub async fn ask(cx: &StepCx<'_, World>, request: &str) -> Result<Finished> {
    let world = cx.world;
    let agent = reader::present(world)?;
    let token = random_password();
    let mut lines = Follow::start(&world.connection.streams, &world.desired.namespace, &agent.pod, &agent.container);
    let output = reader::run(
        &world.connection,
        &world.desired.namespace,
        &agent,
        &scripts::bash(scripts::ASK),
        Some(&format!("{token} {request}\n")),
    )
    .await?;
    match output.exit_code {
        0 => {}
        9 => {
            return Err(Failure::message(Kind::Preflight, "the agent has been asked for something else already")
                .hint("wait for it: galeractl backup list"));
        }
        _ => return Err(Failure::message(Kind::Step, format!("the agent cannot be asked: {}", output.stderr.trim()))),
    }
    let slot = cx.waiting("the agent: it takes up what it was asked for");
    let (mut begun, mut data) = (false, 0_u64);
    loop {
        let patience = if begun { PATIENCE } else { BEGIN_LIMIT };
        let line = tokio::select! {
            line = tokio::time::timeout(patience, lines.next()) => line,
            () = cx.cancel.cancelled() => { cx.check_cancelled()?; continue; }
        };
        let Ok(Some(line)) = line else {
            let why = lines.last_error().unwrap_or_else(|| format!("it said nothing for {} s", patience.as_secs()));
            return Err(Failure::message(Kind::Step, format!("the agent does not answer: {why}")).hint(format!(
                "see its log: kubectl logs -n {} {} -c {}",
                world.desired.namespace, agent.pod, agent.container
            )));
        };
        let Some(report) = Report::parse(&line.text) else { continue };
        if report.get("request") != Some(token.as_str()) {
            if !begun && report.event == "backup" && report.get("state") == Some("runs") {
                slot.say("the agent: it is at another backup");
            }
            continue;
        }
        begun = true;
        match report.get("state") {
            Some("begun") => data = report.parsed("data").unwrap_or(0),
            Some("runs") => {
                let bytes: u64 = report.parsed("bytes").unwrap_or(0);
                slot.say(&format!("the backup: {} MiB written of a database of {} MiB", bytes >> 20, data >> 20));
            }
            Some("done") => return Ok(Finished::changed(done(&report))),
            Some("failed") => {
                let why = report.get("reason").unwrap_or("no reason was given").to_owned();
                return Err(Failure::message(Kind::Step, why));
            }
            _ => {}
        }
    }
}

fn done(report: &Report) -> String {
    let Some(id) = report.get("id") else { return "done".to_owned() };
    let bytes: u64 = report.parsed("bytes").unwrap_or(0);
    let seconds: u64 = report.parsed("seconds").unwrap_or(0);
    format!("{id}: {} in {seconds} s", crate::engine::units::bytes(bytes))
}
