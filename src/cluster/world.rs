//! One cluster, and what everything that is done to it shares.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, Secret};
use tokio_util::sync::CancellationToken;

use crate::desired::{Desired, Passwords};
use crate::engine::event::Change;
use crate::engine::{Patience, StepCx};
use crate::error::{Failure, Kind, Result};
use crate::kube::apply::{Applier, Strategy};
use crate::kube::client::Connection;
use crate::kube::lease::{Claim, Lock};
use crate::kube::objects::Objects;
use crate::manifests::Object;
use crate::observe::Observer;

/// A pod, a volume or a server that shows no sign of life for this long is given up.
pub const PATIENCE: Duration = Duration::from_secs(300);
/// How often a question is asked again when nothing tells of a change.
pub const BEAT: Duration = Duration::from_secs(1);

/// What the user chose for this run.
#[derive(Debug, Clone)]
pub struct Choices {
    /// How long to wait for another run's lock.
    pub lock_wait: Duration,
    /// Overwrite objects that belong to others.
    pub take_ownership: bool,
    /// The number of nodes may become another.
    pub resizes: bool,
    /// The nodes may get another image, since somebody judges the way there.
    pub upgrades: bool,
    /// Text of the lock's holder: who, where, which verb, which run.
    pub holder: String,
    /// Cancelled when the run has to stop, by the user or by the loss of the lock.
    pub cancel: CancellationToken,
}

/// One cluster and the ways to look at it and to act on it.
pub struct World {
    /// The API server.
    pub connection: Connection,
    /// What the cluster should be.
    pub desired: Desired,
    /// Passwords from the settings.
    pub passwords: Passwords,
    /// What the user chose.
    pub choices: Choices,
    /// The live look.
    pub observer: Observer,
    /// Writes objects.
    pub applier: Applier,
    changes: AtomicUsize,
    lock: tokio::sync::Mutex<Option<Lock>>,
}

impl World {
    /// Puts a world together. Nothing is asked or changed yet.
    #[must_use]
    pub fn new(
        connection: Connection,
        desired: Desired,
        passwords: Passwords,
        choices: Choices,
        observer: Observer,
    ) -> Self {
        let applier = Applier::new(connection.client.clone(), desired.cluster.clone(), Strategy::Apply)
            .take_ownership(choices.take_ownership);
        Self {
            connection,
            desired,
            passwords,
            choices,
            observer,
            applier,
            changes: AtomicUsize::default(),
            lock: tokio::sync::Mutex::default(),
        }
    }

    /// How many objects this run has created, changed or deleted, and how many orders it has given.
    #[must_use]
    pub fn changes(&self) -> usize {
        self.changes.load(Ordering::Relaxed)
    }

    /// Counts a change that is no object's, such as an order.
    pub fn count_change(&self) {
        self.changes.fetch_add(1, Ordering::Relaxed);
    }

    /// How long a wait goes on without progress.
    #[must_use]
    pub fn patience(&self) -> Patience {
        Patience::new(PATIENCE)
    }

    /// A pod as the watch shows it, or as the API server answers where it shows none yet. One that is on its way out there
    /// is that of an earlier run.
    ///
    /// # Errors
    /// The API server refuses.
    pub async fn pod(&self, name: &str) -> Result<Option<Arc<Pod>>> {
        let seen = self.observer.live().snapshot().pods.get(name).cloned();
        if seen.as_ref().is_some_and(|pod| pod.metadata.deletion_timestamp.is_none()) {
            return Ok(seen);
        }
        let pods: Objects<Pod> = Objects::within(&self.connection.client, &self.desired.namespace);
        Ok(pods.get(name, Kind::Step).await?.map(Arc::new))
    }

    /// Applies a Secret, unless the one that is there is this cluster's own: what that holds is never written over.
    ///
    /// # Errors
    /// As [`Applier::apply_all`].
    pub async fn keep_or_make(&self, cx: &StepCx<'_, Self>, is_own: bool, secret: &Secret) -> Result<()> {
        let object = Object::of(secret);
        if is_own {
            self.tell(cx, &object.display(), Change::Kept);
            return Ok(());
        }
        self.apply(cx, &[object]).await
    }

    /// Applies objects and tells of each.
    ///
    /// # Errors
    /// As [`Applier::apply_all`].
    pub async fn apply(&self, cx: &StepCx<'_, Self>, objects: &[Object]) -> Result<()> {
        for (object, applied) in objects.iter().zip(self.applier.apply_all(objects).await?) {
            self.tell(cx, &object.display(), applied.change);
        }
        Ok(())
    }

    /// Tells of a change and counts it.
    pub fn tell(&self, cx: &StepCx<'_, Self>, object: &str, change: Change) {
        if change != Change::Kept {
            self.count_change();
        }
        cx.object(object, change);
    }

    /// Takes the cluster's lock, unless this run has it. The namespace must exist.
    ///
    /// # Errors
    /// Another run holds it.
    pub async fn take_lock(&self, cx: &StepCx<'_, Self>) -> Result<()> {
        let mut lock = self.lock.lock().await;
        if lock.is_some() {
            return Ok(());
        }
        let claim = Claim::new(
            self.connection.client.clone(),
            self.desired.namespace.clone(),
            self.desired.cluster.clone(),
            self.choices.holder.clone(),
        );
        let mut slot = None;
        let mut on_wait = |reason: &str| slot = Some(cx.waiting(&format!("lock: {reason}")));
        let taken = tokio::select! {
            taken = claim.acquire(self.choices.lock_wait, &mut on_wait) => taken?,
            () = cx.cancel.cancelled() => return cx.check_cancelled(),
        };
        let (lost, cancel) = (taken.lost(), self.choices.cancel.clone());
        tokio::spawn(async move {
            lost.cancelled().await;
            cancel.cancel();
        });
        *lock = Some(taken);
        Ok(())
    }

    /// Makes sure that the lock is still held, before something that must not happen twice.
    ///
    /// # Errors
    /// The lock was lost.
    pub async fn confirm_lock(&self) -> Result<()> {
        match self.lock.lock().await.as_ref() {
            Some(lock) => lock.confirm().await,
            None => Ok(()),
        }
    }

    /// Why the lock was lost, if it was.
    pub async fn why_lost(&self) -> Option<Failure> {
        self.lock.lock().await.as_ref().and_then(Lock::why_lost)
    }

    /// Gives the lock back; `delete` removes its Lease as well.
    ///
    /// # Errors
    /// The API server refuses.
    pub async fn release_lock(&self, delete: bool) -> Result<()> {
        match self.lock.lock().await.take() {
            Some(lock) if delete => lock.release_and_delete().await,
            Some(lock) => lock.release().await,
            None => Ok(()),
        }
    }
}
