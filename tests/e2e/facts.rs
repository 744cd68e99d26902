//! What Kubernetes says.

use std::collections::BTreeMap;
use std::time::Duration;

use galeractl::kube::exec::{Output, Place as At, exec};
use galeractl::names::{INSTANCE_LABEL, Member, UUID_ANNOTATION};
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret, Service};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::ResourceExt;
use kube::api::{Api, ListParams};
use kube::core::{ApiResource, DynamicObject};

use crate::place::Place;

const EXEC_LIMIT: Duration = Duration::from_secs(30);

impl Place {
    /// Every object of the cluster with what changes when somebody changes it.
    pub(crate) async fn objects(&self) -> BTreeMap<String, String> {
        let kinds = [
            ApiResource::erase::<ConfigMap>(&()),
            ApiResource::erase::<Secret>(&()),
            ApiResource::erase::<Service>(&()),
            ApiResource::erase::<PersistentVolumeClaim>(&()),
            ApiResource::erase::<Pod>(&()),
            ApiResource::erase::<StatefulSet>(&()),
            ApiResource::erase::<Deployment>(&()),
            ApiResource::erase::<Job>(&()),
            ApiResource::erase::<PodDisruptionBudget>(&()),
        ];
        let mut found = BTreeMap::new();
        for kind in kinds {
            for object in self.labelled(&kind).await {
                let (uid, generation) = (object.uid().unwrap_or_default(), object.metadata.generation);
                // The rest change by themselves as well.
                let still = ["ConfigMap", "Secret", "Service", "PersistentVolumeClaim"].contains(&kind.kind.as_str());
                let version = object.resource_version().filter(|_| still);
                let name = format!("{}/{}", kind.kind.to_lowercase(), object.name_any());
                found.insert(name, format!("{uid} {generation:?} {version:?}"));
            }
        }
        found
    }

    /// Names of everything that carries the cluster's label, the lock included.
    pub(crate) async fn leftovers(&self) -> Vec<String> {
        let leases = self.labelled(&ApiResource::erase::<Lease>(&())).await;
        let leases = leases.iter().map(|lease| format!("lease/{}", lease.name_any()));
        self.objects().await.into_keys().chain(leases).collect()
    }

    /// Passwords and certificates of a formed cluster, as they stand among its objects.
    pub(crate) fn secrets(&self, nodes: u32) -> Vec<String> {
        let cluster = &self.cluster;
        let leaves = (1..=nodes).map(|node| cluster.certificate(Member::Node(node)));
        let all = [cluster.authority(), cluster.credentials()].into_iter().chain(leaves);
        all.map(|name| format!("secret/{name}")).collect()
    }

    async fn labelled(&self, kind: &ApiResource) -> Vec<DynamicObject> {
        let client = self.connection.client.clone();
        let api: Api<DynamicObject> = Api::namespaced_with(client, self.namespace.as_str(), kind);
        let params = ListParams::default().labels(&format!("{INSTANCE_LABEL}={}", self.cluster));
        api.list(&params).await.unwrap().items
    }

    /// The uuid that is recorded at each claim of a member. Backups may be of several histories.
    pub(crate) async fn recorded(&self) -> BTreeMap<String, Option<String>> {
        let claims = self.api::<PersistentVolumeClaim>().list(&ListParams::default()).await.unwrap();
        let recorded = |claim: &PersistentVolumeClaim| claim.annotations().get(UUID_ANNOTATION).cloned();
        let of_members = claims.iter().filter(|claim| claim.name_any() != self.cluster.backup_claim());
        of_members.map(|claim| (claim.name_any(), recorded(claim))).collect()
    }

    /// The uuid of the cluster, which all of its volumes must carry.
    pub(crate) async fn uuid(&self) -> String {
        let status = self.run(&["status", "-o", "json"]).await.ended(0).json();
        let uuid = status["uuid"].as_str().unwrap_or_else(|| panic!("no uuid is recorded: {status}")).to_owned();
        for (claim, recorded) in self.recorded().await {
            assert_eq!(recorded.as_deref(), Some(uuid.as_str()), "{claim}");
        }
        uuid
    }

    /// Whether the seed's pod, service or claim is there.
    pub(crate) async fn seed_is_gone(&self) -> bool {
        let seed = self.cluster.member(Member::Seed);
        !self.objects().await.keys().any(|name| name.contains(&seed))
    }

    /// A shell script in a container.
    pub(crate) async fn shell(&self, pod: &str, container: &str, script: &str) -> Output {
        self.try_shell(pod, container, script).await.unwrap_or_else(|failure| panic!("{script}: {failure}"))
    }

    /// The same, for a container that may be restarted at this moment.
    pub(crate) async fn try_shell(&self, pod: &str, container: &str, script: &str) -> Result<Output, String> {
        let at = At { namespace: &self.namespace, pod, container };
        let output = exec(&self.connection.streams, at, &["/bin/sh", "-c", script], None, EXEC_LIMIT).await;
        output.map_err(|failure| failure.to_string())
    }
}
