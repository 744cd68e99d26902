//! Keys that the code reads by name.

pub(super) const NAME: &str = "galera_cluster_name";
pub(super) const NAMESPACE: &str = "galera_cluster_namespace";
pub(super) const NODES: &str = "galera_cluster_nodes";
pub(super) const IMAGE: &str = "galera_cluster_docker_image";
pub(super) const HAPROXY_IMAGE: &str = "galera_cluster_haproxy_docker_image";
pub(super) const BACKUP_IMAGE: &str = "galera_cluster_backup_agent_image";
pub(super) const PULL_POLICY: &str = "galera_cluster_image_pull_policy";
pub(super) const PULL_SECRETS: &str = "galera_cluster_image_pull_secrets";
pub(super) const STORAGE_CLASS: &str = "galera_cluster_storage_class";
pub(super) const SEED_CLASS: &str = "galera_cluster_seed_storage_class";
pub(super) const BACKUP_CLASS: &str = "galera_cluster_backup_storage_class";
pub(super) const VSPHERE_CLASS: &str = "galera_vsphere_storage_class";
pub(super) const ISCSI_CLASS: &str = "galera_iscsi_storage_class";
pub(super) const VOLUME_SIZE: &str = "galera_cluster_volume_size";
pub(super) const GCACHE: &str = "galera_cluster_gcache_size";
pub(super) const DATABASE: &str = "galera_mysql_database";
pub(super) const USER: &str = "galera_mysql_user";
pub(super) const PASSWORD: &str = "galera_mysql_password";
pub(super) const ROOT_PASSWORD: &str = "galera_mysql_root_password";
pub(super) const BACKUP_PASSWORD: &str = "galera_xtrabackup_password";
pub(super) const PROXY_MODE: &str = "galera_cluster_haproxy_mode";
pub(super) const PROXY_REPLICAS: &str = "galera_cluster_haproxy_replicas";
pub(super) const ACCESS: &str = "galera_cluster_external_access";
pub(super) const NODE_PORT: &str = "galera_cluster_nodeport";
pub(super) const NODE_SELECTOR: &str = "galera_cluster_node_selector";
pub(super) const TOLERATIONS: &str = "galera_cluster_tolerations";
pub(super) const PRIORITY_CLASS: &str = "galera_cluster_priority_class";
pub(super) const LABELS: &str = "galera_cluster_labels";
pub(super) const ANNOTATIONS: &str = "galera_cluster_annotations";
pub(super) const SERVICE_ANNOTATIONS: &str = "galera_cluster_service_annotations";
pub(super) const POLICIES: &str = "galera_cluster_network_policies";
pub(super) const ALLOW_FROM: &str = "galera_cluster_allow_from";
pub(super) const METRICS_FROM: &str = "galera_cluster_metrics_from";
pub(super) const TLS: &str = "galera_cluster_tls";
pub(super) const TLS_NAMES: &str = "galera_cluster_tls_names";
pub(super) const DOMAIN: &str = "galera_cluster_domain";
pub(super) const NFS_SERVER: &str = "galera_cluster_backup_nfs_server";
pub(super) const NFS_PATH: &str = "galera_cluster_backup_path";
pub(super) const BACKUP_SIZE: &str = "galera_cluster_backup_volume_size";
pub(super) const RETENTION: &str = "galera_cluster_backup_retention_days";
pub(super) const INTERVAL: &str = "galera_cluster_backup_incremental_interval";
pub(super) const BACKUP_USER: &str = "galera_cluster_backup_user";
pub(super) const BACKUP: &str = "galera_cluster_backup";
pub(super) const FULL_INTERVAL: &str = "galera_cluster_backup_full_interval";
pub(super) const LOG_INTERVAL: &str = "galera_cluster_backup_log_interval";
pub(super) const KEEP: &str = "galera_cluster_backup_keep";
pub(super) const BACKUP_ENCRYPTION: &str = "galera_cluster_backup_encryption";
pub(super) const BACKUP_NODE: &str = "galera_cluster_backup_node";

/// What one kind of containers is given of its host.
pub(super) struct ResourceKeys {
    pub(super) cpu_request: &'static str,
    pub(super) cpu_limit: &'static str,
    pub(super) memory_request: &'static str,
    pub(super) memory_limit: &'static str,
}

pub(super) const NODE: ResourceKeys = ResourceKeys {
    cpu_request: "galera_cluster_cpu_request",
    cpu_limit: "galera_cluster_cpu_limit",
    memory_request: "galera_cluster_memory_request",
    memory_limit: "galera_cluster_memory_limit",
};
pub(super) const PROXY: ResourceKeys = ResourceKeys {
    cpu_request: "galera_cluster_haproxy_cpu_request",
    cpu_limit: "galera_cluster_haproxy_cpu_limit",
    memory_request: "galera_cluster_haproxy_memory_request",
    memory_limit: "galera_cluster_haproxy_memory_limit",
};
pub(super) const AGENT: ResourceKeys = ResourceKeys {
    cpu_request: "galera_cluster_backup_cpu_request",
    cpu_limit: "galera_cluster_backup_cpu_limit",
    memory_request: "galera_cluster_backup_memory_request",
    memory_limit: "galera_cluster_backup_memory_limit",
};
pub(super) const HELPER: ResourceKeys = ResourceKeys {
    cpu_request: "galera_cluster_helper_cpu_request",
    cpu_limit: "galera_cluster_helper_cpu_limit",
    memory_request: "galera_cluster_helper_memory_request",
    memory_limit: "galera_cluster_helper_memory_limit",
};
