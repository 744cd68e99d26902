//! A lock that is held: renewed in the background until it is given back.

use std::sync::{Arc, Mutex as Cell, PoisonError};
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::ResourceExt;
use kube::api::{DeleteParams, PostParams, Preconditions};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::error::{Failure, Kind, Result};
use crate::names::MANAGER;

use super::super::errors::{explain, is_conflict, is_not_found};
use super::{Claim, record};

/// The rhythm of renewals.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Promise to others: unchanged for so long, the holder is dead. Whole seconds.
    pub duration: Duration,
    /// Between two renewals.
    pub renew: Duration,
    /// Between a renewal that failed and the next try; also the most that one try may take.
    pub retry: Duration,
    /// Without a renewal for so long the lock counts as lost: before `duration`, so that this run has stopped when
    /// another one may begin.
    pub give_up: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        let s = Duration::from_secs;
        Self { duration: s(30), renew: s(10), retry: s(3), give_up: s(24) }
    }
}

/// The lock of a cluster, held by this run. Dropping it stops the renewals but does not give it back: that takes
/// [`Lock::release`].
pub struct Lock {
    keeper: Arc<Keeper>,
    _task: AbortOnDropHandle<()>,
}

struct Keeper {
    claim: Claim,
    pace: Pace,
    state: Mutex<State>,
    lost: CancellationToken,
    why: Cell<Option<Loss>>,
}

/// How a lock was lost.
#[derive(Debug, Clone)]
enum Loss {
    /// Somebody else has it, or has removed it.
    Taken(String),
    /// It could not be renewed in time.
    Unreachable(String),
}

struct State {
    lease: Lease,
    /// When the last successful renewal was asked for.
    renewed: Instant,
    /// Nothing is to be renewed any more.
    released: bool,
}

impl Lock {
    pub(super) fn keep(claim: Claim, lease: Lease, renewed: Instant, pace: Pace) -> Self {
        let keeper = Arc::new(Keeper {
            claim,
            pace,
            state: Mutex::new(State { lease, renewed, released: false }),
            lost: CancellationToken::new(),
            why: Cell::default(),
        });
        let task = AbortOnDropHandle::new(tokio::spawn(Arc::clone(&keeper).run()));
        Self { keeper, _task: task }
    }

    /// Cancelled when the lock is lost: the run has to stop.
    #[must_use]
    pub fn lost(&self) -> CancellationToken {
        self.keeper.lost.clone()
    }

    /// Why the lock was lost, as a failure of the run: [`Kind::Locked`] if somebody else has it,
    /// [`Kind::Unreachable`] if it could not be renewed. `None` while it is held.
    #[must_use]
    pub fn why_lost(&self) -> Option<Failure> {
        let why = self.keeper.why.lock().unwrap_or_else(PoisonError::into_inner).clone();
        why.map(|loss| self.keeper.failure(&loss))
    }

    /// Renews now. To be called before a step that must not happen twice: a machine that slept does not know that
    /// its time ran out.
    ///
    /// # Errors
    /// [`Kind::Locked`] if the lock is lost; [`Kind::Unreachable`].
    pub async fn confirm(&self) -> Result<()> {
        match self.keeper.renew().await {
            Ok(()) => Ok(()),
            Err(Trouble::Lost(why)) => Err(self.keeper.lose(Loss::Taken(why))),
            Err(Trouble::Passing(failure)) => Err(failure.context("cannot confirm that the lock is still held")),
        }
    }

    /// Gives the lock back. The Lease object stays, without a holder.
    ///
    /// # Errors
    /// [`Kind::Step`] if the API server refuses; [`Kind::Unreachable`]. In either case the next run on this machine
    /// finds the holder dead and takes over at once.
    pub async fn release(self) -> Result<()> {
        let mut state = self.keeper.state.lock().await;
        state.released = true;
        let mut lease = state.lease.clone();
        record::clear(&mut lease);
        let claim = &self.keeper.claim;
        match self.last_try(claim.api().replace(&claim.cluster.lock(), &params(), &lease)).await? {
            Ok(_) => Ok(()),
            // It is somebody else's by now, or nobody's.
            Err(error) if is_conflict(&error) || is_not_found(&error) => Ok(()),
            Err(error) => Err(explain(Kind::Step, "give the lock back", error)),
        }
    }

    /// Gives the lock back and deletes its Lease, for when nothing of the cluster is to remain.
    ///
    /// # Errors
    /// As [`Lock::release`].
    pub async fn release_and_delete(self) -> Result<()> {
        let mut state = self.keeper.state.lock().await;
        state.released = true;
        let ours = Preconditions { uid: state.lease.uid(), resource_version: state.lease.resource_version() };
        let claim = &self.keeper.claim;
        let params = DeleteParams::background().preconditions(ours);
        match self.last_try(claim.api().delete(&claim.cluster.lock(), &params)).await? {
            Ok(_) => Ok(()),
            Err(error) if is_conflict(&error) || is_not_found(&error) => Ok(()),
            Err(error) => Err(explain(Kind::Step, "delete the lock", error)),
        }
    }
}

impl Lock {
    /// What was lost because nobody answers must not hold up the end of the run for long.
    async fn last_try<T>(&self, act: impl Future<Output = T>) -> Result<T> {
        let limit = if self.keeper.lost.is_cancelled() { self.keeper.pace.retry } else { Duration::MAX };
        timeout(limit, act).await.map_err(|_| {
            Failure::message(Kind::Unreachable, "the lock cannot be given back: the API server does not answer")
        })
    }
}

/// Why a renewal failed.
enum Trouble {
    /// Somebody else has the lock, or it does not exist any more.
    Lost(String),
    /// The next try may succeed.
    Passing(Failure),
}

impl Keeper {
    async fn run(self: Arc<Self>) {
        let mut pause = self.pace.renew;
        while !self.lost.is_cancelled() {
            sleep(pause).await;
            pause = match self.renew().await {
                Ok(()) => self.pace.renew,
                Err(Trouble::Lost(why)) => {
                    self.lose(Loss::Taken(why));
                    return;
                }
                Err(Trouble::Passing(failure)) => {
                    if self.state.lock().await.renewed.elapsed() + self.pace.retry >= self.pace.give_up {
                        self.lose(Loss::Unreachable(failure.to_string()));
                        return;
                    }
                    self.pace.retry
                }
            };
        }
    }

    fn lose(&self, loss: Loss) -> Failure {
        let failure = self.failure(&loss);
        *self.why.lock().unwrap_or_else(PoisonError::into_inner) = Some(loss);
        self.lost.cancel();
        failure
    }

    fn failure(&self, loss: &Loss) -> Failure {
        let cluster = &self.claim.cluster;
        match loss {
            Loss::Taken(why) => Failure::message(Kind::Locked, format!("the lock of `{cluster}` was lost: {why}")),
            Loss::Unreachable(why) => {
                let silent = self.pace.give_up.as_secs();
                let what = format!(
                    "the connection to the API server was lost for {silent} s, and with it the lock of `{cluster}`: {why}"
                );
                Failure::message(Kind::Unreachable, what)
                    .hint("the cluster itself is not affected: its servers need neither galeractl nor the API server")
                    .hint("when the API server answers again, run the same command again")
            }
        }
    }

    async fn renew(&self) -> Result<(), Trouble> {
        // One renewal at a time, or the second would take the first for somebody else's.
        let mut state = self.state.lock().await;
        if state.released {
            return Ok(());
        }
        let asked = Instant::now();
        match timeout(self.pace.retry, self.replace(&state.lease)).await {
            Ok(Ok(lease)) => {
                *state = State { lease, renewed: asked, released: false };
                Ok(())
            }
            Ok(Err(trouble)) => Err(trouble),
            Err(_) => Err(Trouble::Passing(Failure::message(Kind::Unreachable, "the API server does not answer"))),
        }
    }

    async fn replace(&self, lease: &Lease) -> Result<Lease, Trouble> {
        let mut lease = lease.clone();
        record::renew(&mut lease);
        let api = self.claim.api();
        let error = match api.replace(&self.claim.cluster.lock(), &params(), &lease).await {
            Ok(lease) => return Ok(lease),
            Err(error) => error,
        };
        if is_not_found(&error) {
            return Err(Trouble::Lost("its Lease was deleted".to_owned()));
        }
        if !is_conflict(&error) {
            return Err(Trouble::Passing(explain(Kind::Step, "renew the lock", error)));
        }
        // The conflict may be with an own renewal whose answer never came.
        match self.claim.get().await.map_err(Trouble::Passing)? {
            Some(lease) if self.claim.owner.signed(&lease) => Ok(lease),
            Some(lease) => Err(Trouble::Lost(match record::Held::of(&lease) {
                Some(held) => format!("it was taken over by {held}"),
                None => "somebody gave it free".to_owned(),
            })),
            None => Err(Trouble::Lost("its Lease was deleted".to_owned())),
        }
    }
}

fn params() -> PostParams {
    PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() }
}
