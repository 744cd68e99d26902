//! The frame of a run: its identity, its events, its journal, its end.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::cluster::world::{Choices, World};
use crate::desired::Desired;
use crate::engine::event::{Event, Level, Outcome, millis};
use crate::engine::{Cx, Deadline, Due, Events, Finished, Named, StepCx, account, cancel, journal};
use crate::error::{Failure, Kind, OrFail, Result};
use crate::kube::client::Connection;
use crate::kube::lease::holder::user_at_host;
use crate::ui::Ui;

use super::bounds::Bounds;

/// Silence that lasts longer than this is explained.
const SILENCE: Duration = Duration::from_secs(2);

/// A wait of a verb that only looks: told about when it is not over at once.
pub(super) async fn patiently<T>(ui: &Ui, what: &str, act: impl Future<Output = T>) -> T {
    let mut act = Box::pin(act);
    tokio::select! {
        done = &mut act => return done,
        () = tokio::time::sleep(SILENCE) => ui.notice(Level::Info, &format!("waiting for {what}")),
    }
    act.await
}

/// Runs what is done unseen. What it is called is told where it fails.
pub(super) async fn silently<T>(
    cancel: CancellationToken,
    id: &'static str,
    world: &World,
    act: impl AsyncFnOnce(&StepCx<'_, World>) -> Result<T>,
) -> Result<T> {
    let silent = Cx { events: Events::start(Vec::new()), cancel, deadline: None };
    let [step] = Due::in_order([Named::new(id, "")]);
    silent.run(step, world, async |cx| Ok(Finished::unchanged("").with(act(cx).await?))).await
}

/// Steps on one cluster, under one time limit.
pub(super) struct Run<'a> {
    cx: Cx,
    world: &'a World,
}

impl Run<'_> {
    /// Runs one step, and answers with what it has for the steps after it.
    pub(super) async fn step<T>(
        &self,
        step: Due,
        act: impl AsyncFnOnce(&StepCx<'_, World>) -> Result<Finished<T>>,
    ) -> Result<T> {
        or_lost(self.world, self.cx.run(step, self.world, act).await).await
    }
}

/// The loss of the lock is the reason of whatever failed because of it.
async fn or_lost<T>(world: &World, result: Result<T>) -> Result<T> {
    match world.why_lost().await {
        Some(lost) if result.is_err() => Err(lost),
        _ => result,
    }
}

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

    /// A whole run, from its beginning to its end, whatever ends it. What it comes to is told when it is over.
    pub(super) async fn whole(
        ui: &Ui,
        verb: &'static str,
        run: impl AsyncFnOnce(&Self) -> Result<String>,
    ) -> Result<()> {
        let frame = Self::begin(ui, verb)?;
        let result = run(&frame).await;
        frame.end(result).await
    }

    /// Stops the run at the next safe point.
    pub(super) fn cancel(&self) -> CancellationToken {
        self.cancel.clone()
    }

    /// Tells the user something.
    pub(super) fn notice(&self, level: Level, message: impl Into<String>) {
        self.events.notice(level, message);
    }

    /// What every run brings along; nothing that belongs to others is taken over.
    pub(super) fn choices(&self, bounds: &Bounds) -> Choices {
        Choices {
            lock_wait: bounds.lock_wait,
            take_ownership: false,
            resizes: false,
            upgrades: false,
            holder: format!("{} {} {}", user_at_host(), self.verb, self.id),
            cancel: self.cancel(),
        }
    }

    /// Runs a look before a question: nothing may move on the screen while that is asked.
    pub(super) async fn silently<T>(
        &self,
        id: &'static str,
        world: &World,
        look: impl AsyncFnOnce(&StepCx<'_, World>) -> Result<T>,
    ) -> Result<T> {
        silently(self.cancel(), id, world, look).await
    }

    /// Announces the run and its steps.
    pub(super) fn announce<const N: usize>(
        &self,
        connection: &Connection,
        desired: &Desired,
        steps: [Named; N],
    ) -> [Due; N] {
        self.started(connection, desired, &steps);
        Due::in_order(steps)
    }

    fn started(&self, connection: &Connection, desired: &Desired, steps: &[Named]) {
        self.events.send(Event::RunStarted {
            run: self.id.clone(),
            verb: self.verb.to_owned(),
            cluster: desired.cluster.to_string(),
            namespace: desired.namespace.to_string(),
            context: connection.context.clone(),
            steps: steps.iter().map(|step| (step.id.to_owned(), step.title.clone().into_owned())).collect(),
        });
    }

    /// What runs steps from now on. They have to be over within the limit.
    pub(super) fn within<'a>(&self, limit: Option<Duration>, world: &'a World) -> Run<'a> {
        let cx = Cx { events: self.events.clone(), cancel: self.cancel(), deadline: limit.map(Deadline::after) };
        Run { cx, world }
    }

    /// A whole run of steps, after which the lock is given back.
    pub(super) async fn run<const N: usize, T>(
        &self,
        steps: [Named; N],
        limit: Option<Duration>,
        world: &World,
        act: impl AsyncFnOnce(&Run<'_>, [Due; N]) -> Result<T>,
    ) -> Result<T> {
        let steps = self.announce(&world.connection, &world.desired, steps);
        let result = act(&self.within(limit, world), steps).await;
        let released = world.release_lock(false).await;
        result.and_then(|value| released.map(|()| value))
    }

    /// One act as a run of its own. Whatever ends it, also an interruption in its middle, `tidy` follows, and the lock
    /// is given back.
    pub(super) async fn act<T>(
        &self,
        step: Named,
        limit: Option<Duration>,
        world: &World,
        act: impl AsyncFnOnce(&StepCx<'_, World>) -> Result<T>,
        tidy: impl AsyncFnOnce(&StepCx<'_, World>) -> Result<()>,
    ) -> Result<T> {
        self.started(&world.connection, &world.desired, std::slice::from_ref(&step));
        let Named { id, title } = step;
        let cx = self.within(limit, world).cx;
        let step = StepCx::new(id, &cx, world);
        self.events.send(Event::StepStarted { step: id.to_owned(), title: title.into_owned() });
        let begun = Instant::now();
        let acted = tokio::select! {
            acted = act(&step) => acted,
            () = self.cancel.cancelled() => Err(Failure::message(Kind::Interrupted, format!("interrupted in step {id}"))),
        };
        let acted = or_lost(world, acted).await;
        let never = CancellationToken::new();
        let tidied = tidy(&step.tidying(&never)).await;
        let released = world.release_lock(false).await;
        let result = match (acted, tidied.and(released)) {
            (Err(failure), Err(other)) => Err(failure.hint(format!("what was started could not be removed: {other}"))),
            (acted, tidied) => acted.and_then(|found| tidied.map(|()| found)),
        };
        let (outcome, detail) = match &result {
            Ok(_) => (Outcome::Unchanged, "done, and tidied up".to_owned()),
            Err(failure) => (Outcome::Failed, failure.to_string().lines().next().unwrap_or_default().to_owned()),
        };
        let elapsed_ms = millis(begun.elapsed());
        self.events.send(Event::StepFinished { step: id.to_owned(), outcome, detail, elapsed_ms });
        result
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
