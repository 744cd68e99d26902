//! Names of the objects of a cluster.

use super::{ClusterName, MAX_GROUP_NAME, Member, Namespace, fingerprint};

impl ClusterName {
    fn part(&self, suffix: &str) -> String {
        format!("{}-galera-{suffix}", self.0)
    }

    /// Name shared by a member's Service and its StatefulSet (or, for the seed, Pod); also `wsrep_node_name`.
    #[must_use]
    pub fn member(&self, member: Member) -> String {
        self.part(&member.to_string())
    }

    /// Name of the pod in which a member's mariadbd runs.
    #[must_use]
    pub fn pod(&self, member: Member) -> String {
        match member {
            Member::Seed => self.member(member),
            Member::Node(_) => format!("{}-0", self.member(member)),
        }
    }

    /// Claim of a member's data volume.
    #[must_use]
    pub fn claim(&self, member: Member) -> String {
        format!("{}-volume-claim", self.member(member))
    }

    /// `PersistentVolume` of a member, where galeractl makes it.
    #[must_use]
    pub fn volume(&self, member: Member) -> String {
        format!("{}-volume", self.member(member))
    }

    /// `PersistentVolume` of the backups.
    #[must_use]
    pub fn backup_volume(&self) -> String {
        self.part("backup-volume")
    }

    /// Claim of the volume of the backups.
    #[must_use]
    pub fn backup_claim(&self) -> String {
        self.part("backup-volume-claim")
    }

    /// Container of the agent that takes backups.
    #[must_use]
    pub fn backup_agent(&self) -> String {
        self.part("backup-agent")
    }

    /// Secret with all keys of the backups, which no pod mounts.
    #[must_use]
    pub fn backup_key(&self) -> String {
        self.part("backup-key")
    }

    /// Secret with those keys of the backups that the agent needs.
    #[must_use]
    pub fn backup_signer(&self) -> String {
        self.part("backup-signer")
    }

    /// Pod that reads backups while no agent can.
    #[must_use]
    pub fn backup_reader(&self) -> String {
        self.part("backup-reader")
    }

    /// Job that restores a backup to scratch space, to see whether it can be restored.
    #[must_use]
    pub fn backup_verify_job(&self) -> String {
        self.part("backup-verify-job")
    }

    /// Job that does one part of a restore on a member's volume.
    #[must_use]
    pub fn restore_job(&self, member: Member) -> String {
        format!("{}{member}-job", self.restore_prefix())
    }

    /// What the names of all those Jobs begin with.
    #[must_use]
    pub fn restore_prefix(&self) -> String {
        self.part("restore-")
    }

    /// Service of type `LoadBalancer` that exposes the proxy.
    #[must_use]
    pub fn external_load_balancer(&self) -> String {
        self.part("external-lb")
    }

    /// Service of type `NodePort` that exposes the proxy.
    #[must_use]
    pub fn external_node_port(&self) -> String {
        self.part("external-access")
    }

    /// Job that empties a member's volume.
    #[must_use]
    pub fn purge_job(&self, member: Member) -> String {
        self.part(&format!("purge-{member}-volume-job"))
    }

    /// Pod that looks into a member's volume while the cluster is down.
    #[must_use]
    pub fn inspector(&self, member: Member) -> String {
        format!("{}{member}", self.inspector_prefix())
    }

    /// What the names of all inspectors of this cluster begin with.
    #[must_use]
    pub fn inspector_prefix(&self) -> String {
        self.part("inspect-")
    }

    /// Pod that tells what a server image is, on the host of this member.
    #[must_use]
    pub fn image_inspector(&self, member: Member) -> String {
        format!("{}image-{member}", self.inspector_prefix())
    }

    /// Pod that tells what an image of the proxy is.
    #[must_use]
    pub fn proxy_image_inspector(&self) -> String {
        format!("{}image-haproxy", self.inspector_prefix())
    }

    /// Deployment, Service, ConfigMap, disruption budget and network policy of the proxy.
    #[must_use]
    pub fn proxy(&self) -> String {
        self.part("haproxy")
    }

    /// Disruption budget of the permanent nodes.
    #[must_use]
    pub fn nodes_budget(&self) -> String {
        self.part("nodes")
    }

    /// Network policy of the seed and the nodes.
    #[must_use]
    pub fn members_policy(&self) -> String {
        self.part("nodes")
    }

    /// Network policy of pods that work on volumes.
    #[must_use]
    pub fn helpers_policy(&self) -> String {
        self.part("helpers")
    }

    /// Secret with all passwords.
    #[must_use]
    pub fn credentials(&self) -> String {
        self.part("credentials")
    }

    /// Secret with the key and the certificate of the authority.
    #[must_use]
    pub fn authority(&self) -> String {
        self.part("ca")
    }

    /// Secret with the key and the certificate of a member.
    #[must_use]
    pub fn certificate(&self, member: Member) -> String {
        format!("{}-tls", self.member(member))
    }

    /// The name that the server behind a pod proves by its certificate: its member's, or the proxy's for any pod of it.
    #[must_use]
    pub fn server(&self, pod: &str) -> String {
        let of = |member: &Member| self.pod(*member) == pod;
        let suffix = pod.strip_prefix(&self.part("")).unwrap_or_default();
        let member = suffix.strip_suffix("-0").unwrap_or(suffix).parse().ok().filter(of);
        member.map_or_else(|| self.proxy(), |member| self.member(member))
    }

    /// ConfigMap with the start scripts and the server configuration.
    #[must_use]
    pub fn config(&self) -> String {
        self.part("config")
    }

    /// ConfigMap with the merged desired state.
    #[must_use]
    pub fn spec(&self) -> String {
        self.part("spec")
    }

    /// ConfigMap with what the cluster has been found to be: formed, which history, which members.
    #[must_use]
    pub fn record(&self) -> String {
        self.part("record")
    }

    /// Lease that admits one mutating run at a time.
    #[must_use]
    pub fn lock(&self) -> String {
        self.part("lock")
    }

    /// `wsrep_cluster_name`: a group name that differs between namespaces, so that two clusters on one flat
    /// network refuse each other. Long names are cut and made unique by a hash.
    #[must_use]
    pub fn group(&self, namespace: &Namespace) -> String {
        let full = format!("{namespace}.{self}");
        if full.len() <= MAX_GROUP_NAME {
            return full;
        }
        format!("{}-{}", &full[..MAX_GROUP_NAME - 9], fingerprint(&full))
    }
}
