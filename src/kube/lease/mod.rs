//! One mutating run per cluster at a time: a Lease that is taken, renewed and given back.

pub mod decide;
pub mod holder;
mod lock;
mod record;

pub use lock::{Lock, Pace};
pub use record::Held;

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::Client;
use kube::api::{Api, PostParams};
use tokio::time::{Instant, sleep};

use crate::error::{Failure, Kind, Result};
use crate::names::{ClusterName, Namespace};

use self::decide::{Action, Watch};
use self::record::Owner;
use super::errors::{explain, is_conflict};

/// How often a foreign Lease is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// The lock of one cluster, as seen by one run.
#[derive(Clone)]
pub struct Claim {
    client: Client,
    namespace: Namespace,
    cluster: ClusterName,
    owner: Owner,
}

impl Claim {
    /// A claim by a run that calls itself `holder`, such as `alice@laptop up 20261122-101500-7f3k`: for people, and
    /// different for every run.
    #[must_use]
    pub fn new(client: Client, namespace: Namespace, cluster: ClusterName, holder: String) -> Self {
        let owner = Owner { text: holder, process: holder::Process::current() };
        Self { client, namespace, cluster, owner }
    }

    /// Takes the lock, and renews it until it is given back. The namespace must exist.
    ///
    /// A living holder is waited for as long as `patience` says. A holder whose process ended on this machine is
    /// replaced at once; any other after its Lease was seen unchanged for the time it promised to renew it in, which
    /// is waited for even without patience. Before each wait `on_wait` is told the reason.
    ///
    /// # Errors
    /// [`Kind::Locked`] if a living holder keeps it; [`Kind::Preflight`] if the API server refuses;
    /// [`Kind::Unreachable`].
    pub async fn acquire(self, patience: Duration, on_wait: &mut (dyn FnMut(&str) + Send)) -> Result<Lock> {
        self.acquire_at(Pace::default(), patience, on_wait).await
    }

    /// [`Claim::acquire`] with another rhythm of renewals.
    ///
    /// # Errors
    /// As [`Claim::acquire`].
    pub async fn acquire_at(
        self,
        pace: Pace,
        patience: Duration,
        on_wait: &mut (dyn FnMut(&str) + Send),
    ) -> Result<Lock> {
        let (begun, mut watch, mut told) = (Instant::now(), Watch::default(), String::new());
        loop {
            let lease = self.get().await?;
            let observed = lease.as_ref().map(|lease| self.owner.observe(lease));
            let action = watch.decide(observed.as_ref(), begun.elapsed(), patience);
            let held = lease.as_ref().and_then(Held::of);
            let pause = match action {
                Action::Create | Action::Take => {
                    let asked = Instant::now();
                    if let Some(taken) = self.take(lease, pace.duration).await? {
                        return Ok(Lock::keep(self, taken, asked, pace));
                    }
                    continue;
                }
                Action::Refuse => return Err(self.locked(held.as_ref())),
                Action::Suspect(left) => left.min(LOOK),
                Action::Wait => LOOK,
            };
            let reason = waiting(held.as_ref(), action);
            if reason != told {
                on_wait(&reason);
                told = reason;
            }
            sleep(pause).await;
        }
    }

    fn api(&self) -> Api<Lease> {
        Api::namespaced(self.client.clone(), self.namespace.as_str())
    }

    async fn get(&self) -> Result<Option<Lease>> {
        self.api().get_opt(&self.cluster.lock()).await.map_err(|error| explain(Kind::Preflight, "read the lock", error))
    }

    /// The Lease with our name in it; `None` if somebody else was faster.
    async fn take(&self, lease: Option<Lease>, duration: Duration) -> Result<Option<Lease>> {
        let params = PostParams { field_manager: Some(crate::names::MANAGER.to_owned()), ..PostParams::default() };
        let answer = match lease {
            None => self.api().create(&params, &self.owner.new_lease(&self.namespace, &self.cluster, duration)).await,
            Some(mut lease) => {
                self.owner.sign(&mut lease, duration);
                self.api().replace(&self.cluster.lock(), &params, &lease).await
            }
        };
        match answer {
            Ok(lease) => Ok(Some(lease)),
            Err(error) if is_conflict(&error) => Ok(None),
            Err(error) => Err(explain(Kind::Preflight, "take the lock", error)),
        }
    }

    fn locked(&self, held: Option<&Held>) -> Failure {
        let by = held.map_or_else(|| "another run".to_owned(), Held::to_string);
        Failure::message(Kind::Locked, format!("cluster `{}` is locked by {by}", self.cluster))
            .hint("wait for that run with --lock-wait 10m; a holder that died is replaced without it")
    }
}

fn waiting(held: Option<&Held>, action: Action) -> String {
    let by = held.map_or("another run", |held| held.holder.as_str());
    match action {
        Action::Suspect(_) => {
            let duration = held.map_or(Duration::ZERO, |held| held.duration);
            format!("the lock is held by {by}; if it does not renew it within {} s, it is dead", duration.as_secs())
        }
        _ => format!("the lock is held by {by}, which is still at work"),
    }
}

/// Who holds the lock of a cluster; `None` if nobody does.
///
/// # Errors
/// [`Kind::Step`] if the API server refuses; [`Kind::Unreachable`].
pub async fn holder(client: &Client, namespace: &Namespace, cluster: &ClusterName) -> Result<Option<Held>> {
    let api: Api<Lease> = Api::namespaced(client.clone(), namespace.as_str());
    let lease = api.get_opt(&cluster.lock()).await.map_err(|error| explain(Kind::Step, "read the lock", error))?;
    Ok(lease.as_ref().and_then(Held::of))
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
