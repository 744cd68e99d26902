//! A cluster's objects as they are now, kept up to date by watches.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::{Stream, StreamExt, pin_mut};
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{Event, PersistentVolumeClaim, Pod};
use kube::api::Api;
use kube::core::NamespaceResourceScope;
use kube::runtime::WatchStreamExt;
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::{self, Config, watcher};
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::error::{Failure, Kind, Result};
use crate::names::{ClusterName, INSTANCE_LABEL, Namespace};

use super::client::Streams;
use super::errors::explain;
use super::trouble::event_time;

/// Events that are kept; the oldest go first.
const MAX_EVENTS: usize = 500;

/// Objects of one kind by name.
pub type ByName<K> = BTreeMap<String, Arc<K>>;

/// What exists of a cluster.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// All pods: seed, nodes, proxy, inspectors.
    pub pods: ByName<Pod>,
    /// Claims that have the names of this cluster's, with or without its labels.
    pub claims: ByName<PersistentVolumeClaim>,
    /// The proxy.
    pub deployments: ByName<Deployment>,
    /// One per node.
    pub statefulsets: ByName<StatefulSet>,
    /// Recent events about objects of this cluster, by the events' own names.
    pub events: ByName<Event>,
}

/// What is watched; the index of its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Watched {
    Pods,
    Claims,
    Deployments,
    StatefulSets,
    Events,
}

impl Watched {
    const ALL: [Self; 5] = [Self::Pods, Self::Claims, Self::Deployments, Self::StatefulSets, Self::Events];

    fn plural(self) -> &'static str {
        match self {
            Self::Pods => "pods",
            Self::Claims => "persistentvolumeclaims",
            Self::Deployments => "deployments",
            Self::StatefulSets => "statefulsets",
            Self::Events => "events",
        }
    }
}

#[derive(Default)]
struct State {
    snapshot: Arc<Snapshot>,
    listed: [bool; Watched::ALL.len()],
    errors: [Option<String>; Watched::ALL.len()],
    /// An answer that no retry will change.
    refusal: Option<(Kind, String, Vec<String>)>,
}

struct Shared {
    state: Mutex<State>,
    version: watch::Sender<u64>,
}

/// A live view of one cluster. The watches end on drop.
///
/// An object that is missing from the [`Snapshot`] was seen to be gone, or was never there: a watch that breaks leaves
/// the last view in place and says so in [`Live::last_error`] until it is up again.
pub struct Live {
    shared: Arc<Shared>,
    _watches: JoinSet<()>,
}

impl Live {
    /// Starts to watch. The first view is complete after [`Live::ready`].
    #[must_use]
    pub fn start(streams: &Streams, namespace: &Namespace, cluster: &ClusterName) -> Self {
        let shared = Arc::new(Shared { state: Mutex::default(), version: watch::Sender::new(0) });
        let mut starter = Starter { streams, namespace, shared: &shared, watches: JoinSet::new() };
        let ours = Config::default().labels(&format!("{INSTANCE_LABEL}={cluster}"));
        starter.follow::<Pod>(Watched::Pods, ours.clone(), |view| &mut view.pods, |_| true);
        // A claim that has lost its labels still has the data: it is known by its name.
        let prefix = format!("{cluster}-galera-");
        let named = move |claim: &PersistentVolumeClaim| claim.name_any().starts_with(&prefix);
        starter.follow::<PersistentVolumeClaim>(Watched::Claims, Config::default(), |view| &mut view.claims, named);
        starter.follow::<Deployment>(Watched::Deployments, ours.clone(), |view| &mut view.deployments, |_| true);
        starter.follow::<StatefulSet>(Watched::StatefulSets, ours, |view| &mut view.statefulsets, |_| true);
        let prefix = format!("{cluster}-galera-");
        let concerns =
            move |event: &Event| event.involved_object.name.as_ref().is_some_and(|name| name.starts_with(&prefix));
        starter.follow::<Event>(Watched::Events, Config::default(), |view| &mut view.events, concerns);
        let watches = starter.watches;
        Self { shared, _watches: watches }
    }

    /// The current view.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.shared.state().snapshot)
    }

    /// Counts up with every change of the view, and when it becomes ready or a watch breaks.
    #[must_use]
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.shared.version.subscribe()
    }

    /// Whether every kind of object has been listed once; before, what is missing may exist. Events do not count.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.shared.state().is_ready()
    }

    /// Waits until the view [is complete](Live::is_ready); for ever if the API server does not come back.
    ///
    /// # Errors
    /// [`Kind::Preflight`] if the API server refuses to list or watch; [`Kind::Unreachable`] if it does not accept
    /// the credentials.
    pub async fn ready(&self) -> Result<()> {
        let mut changed = self.changed();
        loop {
            changed.mark_unchanged();
            {
                let state = self.shared.state();
                if let Some((kind, message, hints)) = &state.refusal {
                    let failure = Failure::message(*kind, message);
                    return Err(hints.iter().fold(failure, Failure::hint));
                }
                if state.is_ready() {
                    return Ok(());
                }
            }
            // The sender lives as long as `self`.
            if changed.changed().await.is_err() {
                return Err(Failure::message(Kind::Bug, "the watches ended"));
            }
        }
    }

    /// Why the view may be out of date; `None` if all watches are up.
    #[must_use]
    pub fn last_error(&self) -> Option<String> {
        self.shared.state().errors.iter().flatten().next().cloned()
    }
}

impl State {
    fn is_ready(&self) -> bool {
        Watched::ALL.iter().all(|watched| *watched == Watched::Events || self.listed[*watched as usize])
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn update(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.version.send_modify(|version| *version += 1);
    }
}

struct Starter<'a> {
    streams: &'a Streams,
    namespace: &'a Namespace,
    shared: &'a Arc<Shared>,
    watches: JoinSet<()>,
}

impl Starter<'_> {
    fn follow<K>(
        &mut self,
        watched: Watched,
        config: Config,
        field: fn(&mut Snapshot) -> &mut ByName<K>,
        keep: impl Fn(&K) -> bool + Send + Sync + 'static,
    ) where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned
            + Send
            + Sync
            + 'static,
    {
        let api: Api<K> = Api::namespaced(self.streams.0.clone(), self.namespace.as_str());
        let stream = watcher(api, config).modify(|object: &mut K| object.managed_fields_mut().clear());
        let follower = Follower { shared: Arc::clone(self.shared), watched, field, keep };
        self.watches.spawn(follower.run(stream));
    }
}

struct Follower<K, F> {
    shared: Arc<Shared>,
    watched: Watched,
    field: fn(&mut Snapshot) -> &mut ByName<K>,
    keep: F,
}

impl<K, F> Follower<K, F>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    F: Fn(&K) -> bool,
{
    async fn run(self, stream: impl Stream<Item = watcher::Result<watcher::Event<K>>> + Send) {
        let stream = stream.backoff(Steps::default());
        pin_mut!(stream);
        let mut listing = ByName::new();
        while let Some(event) = stream.next().await {
            match event {
                Ok(event) => self.take(event, &mut listing),
                Err(error) => self.note(error),
            }
        }
    }

    fn take(&self, event: watcher::Event<K>, listing: &mut ByName<K>) {
        match event {
            watcher::Event::Init => listing.clear(),
            watcher::Event::InitApply(object) if (self.keep)(&object) => {
                listing.insert(object.name_any(), Arc::new(object));
            }
            watcher::Event::InitDone => {
                let complete = std::mem::take(listing);
                self.change(|objects| *objects = complete);
            }
            watcher::Event::Apply(object) if (self.keep)(&object) => {
                self.change(|objects| drop(objects.insert(object.name_any(), Arc::new(object))));
            }
            watcher::Event::Delete(object) if (self.keep)(&object) => {
                self.change(|objects| drop(objects.remove(&object.name_any())));
            }
            _ => {}
        }
    }

    fn change(&self, change: impl FnOnce(&mut ByName<K>)) {
        let (field, index) = (self.field, self.watched as usize);
        self.shared.update(|state| {
            let snapshot = Arc::make_mut(&mut state.snapshot);
            change(field(snapshot));
            trim(&mut snapshot.events);
            state.listed[index] = true;
            state.errors[index] = None;
        });
    }

    fn note(&self, error: watcher::Error) {
        let doing = format!("watch {}", self.watched.plural());
        let failure = match error {
            watcher::Error::InitialListFailed(error)
            | watcher::Error::WatchStartFailed(error)
            | watcher::Error::WatchFailed(error) => {
                let refused = matches!(&error, kube::Error::Api(status) if matches!(status.code, 401 | 403));
                (explain(Kind::Preflight, doing, error), refused)
            }
            // Such as "too old resource version": the next try lists again.
            other => (Failure::new(Kind::Unreachable, other).context(doing), false),
        };
        self.shared.update(|state| {
            let (failure, refused) = failure;
            state.errors[self.watched as usize] = Some(failure.to_string());
            if refused && self.watched != Watched::Events {
                state.refusal = Some((failure.kind, failure.to_string(), failure.hints));
            }
        });
    }
}

fn trim(events: &mut ByName<Event>) {
    while events.len() > MAX_EVENTS {
        let oldest = events.iter().min_by_key(|(_, event)| event_time(event)).map(|(name, _)| name.clone());
        let Some(oldest) = oldest else { return };
        events.remove(&oldest);
    }
}

/// Pauses between tries to open a watch: 0.25 s, doubling to 4 s, so that a short outage costs little time.
#[derive(Default)]
struct Steps(u32);

impl Iterator for Steps {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let pause = Duration::from_millis(250 << self.0);
        self.0 = (self.0 + 1).min(4);
        Some(pause)
    }
}

impl Backoff for Steps {
    fn reset(&mut self) {
        self.0 = 0;
    }
}

#[cfg(test)]
#[path = "live_tests.rs"]
mod tests;
