//! The frame of a run: its identity, its events, its journal, its end.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::desired::Desired;
use crate::engine::event::{Event, Level};
use crate::engine::{Cx, Deadline, Events, Step, account, cancel, journal, outline, run};
use crate::error::{Kind, OrFail, Result};
use crate::kube::client::Connection;
use crate::kube::lease::holder::user_at_host;
use crate::steps::world::World;
use crate::ui::Ui;

/// One run of a verb that changes things.
pub(super) struct Frame {
    id: String,
    verb: &'static str,
    events: Events,
    cancel: CancellationToken,
    begun: Instant,
}

impl Frame {
    /// Starts screen, journal and Ctrl-C.
    pub(super) fn begin(ui: &Ui, verb: &'static str) -> Result<Self> {
        let id = journal::run_id(Timestamp::now());
        let events = journal::start(ui.sink(), &id, |name| std::env::var_os(name));
        let cancel = CancellationToken::new();
        cancel::listen(cancel.clone(), events.clone()).or_fail(Kind::Bug)?;
        Ok(Self { id, verb, events, cancel, begun: Instant::now() })
    }

    /// Stops the run at the next safe point.
    pub(super) fn cancel(&self) -> CancellationToken {
        self.cancel.clone()
    }

    /// Tells the user something.
    pub(super) fn notice(&self, level: Level, message: impl Into<String>) {
        self.events.notice(level, message);
    }

    /// What the holder of the lock is called.
    pub(super) fn holder(&self) -> String {
        format!("{} {} {}", user_at_host(), self.verb, self.id)
    }

    /// Announces the run and its steps.
    pub(super) fn announce(&self, connection: &Connection, desired: &Desired, plan: &[Box<dyn Step<World>>]) {
        self.events.send(Event::RunStarted {
            run: self.id.clone(),
            verb: self.verb.to_owned(),
            cluster: desired.cluster.to_string(),
            namespace: desired.namespace.to_string(),
            context: connection.context.clone(),
            steps: outline(plan),
        });
    }

    /// Runs the plan.
    pub(super) async fn run(
        &self,
        plan: &[Box<dyn Step<World>>],
        limit: Option<Duration>,
        world: &World,
    ) -> Result<()> {
        let cx = Cx { events: self.events.clone(), cancel: self.cancel(), deadline: limit.map(Deadline::after) };
        let result = run(plan, &cx, world).await;
        match world.why_lost().await {
            Some(why) if result.is_err() => Err(crate::error::Failure::message(Kind::Locked, why)),
            _ => result,
        }
    }

    /// Says where the time went and how it ended.
    pub(super) async fn end(self, result: Result<String>) -> Result<()> {
        if result.is_ok() {
            self.events.flush().await;
            if let Some(line) = self.where_time_went() {
                self.events.notice(Level::Info, line);
            }
        }
        self.events.send(Event::run_finished(result.as_ref(), self.begun.elapsed()));
        self.events.finish().await;
        result.map(drop)
    }

    fn where_time_went(&self) -> Option<String> {
        let directory = journal::directory(|name| std::env::var_os(name))?;
        let (_, events) = journal::read(&directory, &self.id).ok()?;
        Some(account::where_time_went(&events))
    }
}
