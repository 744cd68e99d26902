//! What is written into a Lease and read from it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::ResourceExt;

use crate::names::{
    APP, COMPONENT_LABEL, ClusterName, INSTANCE_LABEL, MANAGED_BY_LABEL, MANAGER, NAME_LABEL, Namespace, Role,
};

use super::decide::{Holder, Observed};
use super::holder::{Liveness, Process};

/// Annotation that identifies the holder's process.
const PROCESS: &str = "galeractl.dev/holder-process";
/// What other clients of the Lease API use when a Lease does not say.
const USUAL_DURATION: Duration = Duration::from_secs(30);

/// A run that wants or has the lock.
#[derive(Debug, Clone)]
pub(super) struct Owner {
    pub(super) text: String,
    pub(super) process: Option<Process>,
}

/// Who has the lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The run, such as `alice@laptop up 20261122-101500-7f3k`.
    pub holder: String,
    /// When it took the lock, by its own clock.
    pub since: Option<Timestamp>,
    /// When it renewed the lock last, by its own clock.
    pub renewed: Option<Timestamp>,
    /// How soon it promised to renew.
    pub duration: Duration,
}

impl Held {
    pub(super) fn of(lease: &Lease) -> Option<Self> {
        let spec = lease.spec.as_ref()?;
        let holder = spec.holder_identity.clone().filter(|holder| !holder.is_empty())?;
        let time = |time: &Option<MicroTime>| time.as_ref().map(|time| time.0);
        Some(Self {
            holder,
            since: time(&spec.acquire_time),
            renewed: time(&spec.renew_time),
            duration: duration(spec),
        })
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.holder)?;
        if let Some(since) = self.since {
            write!(f, " since {since:.0}")?;
        }
        match self.renewed {
            Some(renewed) => write!(f, ", last renewed {renewed:.0}"),
            None => Ok(()),
        }
    }
}

fn duration(spec: &LeaseSpec) -> Duration {
    let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok()).filter(|n| *n > 0);
    seconds.map_or(USUAL_DURATION, Duration::from_secs)
}

fn now() -> MicroTime {
    MicroTime(Timestamp::now())
}

impl Owner {
    pub(super) fn observe(&self, lease: &Lease) -> Observed {
        let holder = Held::of(lease).map(|held| Holder {
            is_me: self.signed(lease),
            liveness: self.liveness(lease),
            duration: held.duration,
        });
        Observed { version: lease.resource_version().unwrap_or_default(), holder }
    }

    /// Whether it is our name that stands in the Lease.
    pub(super) fn signed(&self, lease: &Lease) -> bool {
        let process = self.process.as_ref().map(Process::to_string);
        lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_ref()) == Some(&self.text)
            && lease.annotations().get(PROCESS) == process.as_ref()
    }

    fn liveness(&self, lease: &Lease) -> Liveness {
        let process = lease.annotations().get(PROCESS).and_then(|text| Process::parse(text));
        process.map_or(Liveness::Unknown, |process| process.liveness(self.process.as_ref()))
    }

    pub(super) fn new_lease(&self, namespace: &Namespace, cluster: &ClusterName, duration: Duration) -> Lease {
        let label = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let labels = BTreeMap::from([
            label(NAME_LABEL, APP),
            label(INSTANCE_LABEL, cluster.as_str()),
            label(COMPONENT_LABEL, Role::Cluster.label()),
            label(MANAGED_BY_LABEL, MANAGER),
        ]);
        let mut lease = Lease {
            metadata: ObjectMeta {
                name: Some(cluster.lock()),
                namespace: Some(namespace.to_string()),
                labels: Some(labels),
                ..ObjectMeta::default()
            },
            spec: None,
        };
        self.sign(&mut lease, duration);
        lease
    }

    /// Writes our name into a Lease.
    pub(super) fn sign(&self, lease: &mut Lease, duration: Duration) {
        match &self.process {
            Some(process) => lease.annotations_mut().insert(PROCESS.to_owned(), process.to_string()),
            None => lease.annotations_mut().remove(PROCESS),
        };
        let spec = lease.spec.get_or_insert_default();
        spec.lease_transitions = Some(spec.lease_transitions.map_or(0, |count| count.saturating_add(1)));
        spec.holder_identity = Some(self.text.clone());
        spec.lease_duration_seconds = Some(i32::try_from(duration.as_secs()).unwrap_or(i32::MAX));
        spec.acquire_time = Some(now());
        spec.renew_time = Some(now());
    }
}

/// Moves the time of the last renewal to now, which also makes a new version.
pub(super) fn renew(lease: &mut Lease) {
    lease.spec.get_or_insert_default().renew_time = Some(now());
}

/// Takes the holder's name out.
pub(super) fn clear(lease: &mut Lease) {
    lease.annotations_mut().remove(PROCESS);
    let spec = lease.spec.get_or_insert_default();
    spec.holder_identity = None;
    spec.acquire_time = None;
    spec.renew_time = None;
}
