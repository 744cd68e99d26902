//! Asking the agent to do something now, and following it while it does.

use std::time::Duration;

use futures::future::{FutureExt, LocalBoxFuture};

use crate::engine::{Finished, Step, StepCx};
use crate::error::{Failure, Kind, Result};
use crate::kube::logs::Follow;
use crate::manifests::scripts;
use crate::wsrep::Report;

use super::reader::{self, Reader};
use super::record::random_password;
use super::world::{PATIENCE, World};

/// A request that the agent has not taken up by then has met something else.
const BEGIN_LIMIT: Duration = Duration::from_secs(120);

/// Lets the agent do something.
pub struct Ask {
    /// Name of the step.
    pub id: &'static str,
    /// What it is for.
    pub title: &'static str,
    /// What the agent is told, such as `backup full`.
    pub request: String,
}

impl Step<World> for Ask {
    fn id(&self) -> &'static str {
        self.id
    }

    fn title(&self) -> String {
        self.title.to_owned()
    }

    fn run<'a>(&'a self, cx: &'a StepCx<'a, World>) -> LocalBoxFuture<'a, Result<Finished>> {
        ask(cx, &self.request).boxed_local()
    }
}

/// The agent, or why it cannot be asked.
///
/// # Errors
/// There are no backups, or the agent does not run.
pub fn present(world: &World) -> Result<Reader> {
    let desired = &world.desired;
    let Some(backup) = &desired.backup else {
        return Err(Failure::message(Kind::Preflight, format!("cluster {} takes no backups", desired.cluster))
            .hint("turn them on: galeractl up --backup, with the settings that the cluster was formed with"));
    };
    reader::agent(desired, &world.observer.live().snapshot()).ok_or_else(|| {
        let why = format!("the backup agent does not run: it belongs into the pod of node{}", backup.node);
        Failure::message(Kind::Preflight, why)
            .hint(format!("is that node up? galeractl status --name {} -n {}", desired.cluster, desired.namespace))
            .hint("a node that ran before backups were turned on gets the agent when its pod is restarted, or: galeractl backup move --to NODE")
    })
}

async fn ask(cx: &StepCx<'_, World>, request: &str) -> Result<Finished> {
    let world = cx.world;
    let agent = present(world)?;
    let token = random_password();
    let mut lines = Follow::start(&world.connection.streams, &world.desired.namespace, &agent.pod, &agent.container);
    let output = reader::run(
        &world.connection,
        &world.desired.namespace,
        &agent,
        &["/bin/bash", "-c", scripts::ASK],
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
