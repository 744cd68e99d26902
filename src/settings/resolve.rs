//! From merged values to the desired cluster, with the rules that span several settings.

use std::collections::BTreeMap;

use crate::desired::{
    Backup, BackupTarget, Desired, ExternalAccess, Hidden, Network, NfsShare, Passwords, ProxyMode, Resources, Tls,
    Toleration, unquoted,
};
use crate::names;

use super::keys;
use super::origin::{Origin, Problems, Value};
use super::variant::{Variant, Volumes};
use super::{OPTION_PREFIX, iscsi, kind, units};

/// The option by which a server takes most of its memory.
const POOL: &str = "innodb_buffer_pool_size";

/// Merged values under examination.
pub(super) struct Resolver<'a> {
    pub(super) variant: Variant,
    pub(super) values: &'a mut BTreeMap<String, Value>,
    /// Where something that is missing belongs.
    pub(super) source: Origin,
    pub(super) problems: &'a mut Problems,
    pub(super) notices: &'a mut Vec<String>,
}

impl Resolver<'_> {
    fn text(&self, key: &str) -> Option<String> {
        self.values.get(key).map(|value| value.reveal().to_owned())
    }

    /// A text that the table gives a default.
    fn required(&self, key: &str) -> String {
        self.text(key).unwrap_or_default()
    }

    fn number(&self, key: &str) -> Option<u32> {
        self.values.get(key)?.reveal().parse().ok()
    }

    /// Whether anything but the table or a profile set the key.
    fn given(&self, key: &str) -> bool {
        self.values.get(key).is_some_and(Value::is_given)
    }

    /// A problem at the line that set a key.
    fn problem(&mut self, key: &str, problem: &str) {
        let origin = self.values.get(key).map_or(&self.source, |value| &value.origin);
        self.problems.add(origin, format!("{key}: {problem}"));
    }

    fn set_default(&mut self, key: &str, text: &str) {
        self.values.insert(key.to_owned(), Value::new(text, false, Origin::Default));
    }

    /// The desired cluster, or nothing if a name is wrong; other problems are only noted.
    pub(super) fn desired(&mut self, mysqld: BTreeMap<String, String>) -> Option<Desired> {
        let nodes = self.nodes();
        let iscsi = match self.variant.volumes {
            Volumes::Targets => iscsi::targets(self.values, nodes, &self.source, self.problems),
            _ => BTreeMap::new(),
        };
        let storage_class = self.storage_class();
        self.sizes();
        self.server_fits(&mysqld);
        self.accounts();
        let (external_access, node_port) = self.access();
        Some(Desired {
            cluster: self.required(keys::NAME).parse().ok()?,
            namespace: self.required(keys::NAMESPACE).parse().ok()?,
            nodes,
            mariadb_image: self.required(keys::IMAGE),
            haproxy_image: self.required(keys::HAPROXY_IMAGE),
            image_pull_policy: self.required(keys::PULL_POLICY),
            image_pull_secrets: self.list(keys::PULL_SECRETS),
            storage_class,
            seed_storage_class: self.seed_class(),
            volume_size: self.required(keys::VOLUME_SIZE),
            database: self.text(keys::DATABASE),
            user: self.text(keys::USER),
            proxy_mode: match self.required(keys::PROXY_MODE).as_str() {
                "multi-writer" => ProxyMode::MultiWriter,
                _ => ProxyMode::SingleWriter,
            },
            proxy_replicas: self.number(keys::PROXY_REPLICAS).unwrap_or_default(),
            gcache_size: self.required(keys::GCACHE),
            resources: self.resources(&keys::NODE),
            proxy_resources: self.resources(&keys::PROXY),
            agent_resources: self.resources(&keys::AGENT),
            helper_resources: self.resources(&keys::HELPER),
            node_selector: self.labels(keys::NODE_SELECTOR),
            tolerations: self.list(keys::TOLERATIONS).iter().map(|item| toleration(item)).collect(),
            priority_class: self.text(keys::PRIORITY_CLASS),
            pod_labels: self.own_labels(),
            pod_annotations: self.labels(keys::ANNOTATIONS),
            service_annotations: self.labels(keys::SERVICE_ANNOTATIONS),
            cluster_domain: self.text(keys::DOMAIN),
            mysqld,
            iscsi,
            external_access,
            node_port,
            backup: self.backup(nodes),
            network: self.network(),
            tls: self.tls(),
        })
    }

    pub(super) fn passwords(&self) -> Passwords {
        let secret = |key: &str| self.values.get(key).map(|value| Hidden::new(value.reveal()));
        Passwords { root: secret(keys::ROOT_PASSWORD), user: secret(keys::PASSWORD) }
    }

    fn network(&mut self) -> Option<Network> {
        let peers = |key: &str| kind::peers(&self.list(key));
        let network = Network { clients: peers(keys::ALLOW_FROM), metrics: peers(keys::METRICS_FROM) };
        if self.required(keys::POLICIES) == "yes" {
            return Some(network);
        }
        for (key, peers) in [(keys::ALLOW_FROM, network.clients), (keys::METRICS_FROM, network.metrics)] {
            if !peers.is_empty() {
                self.notices.push(format!("{key} has no effect: {} is `no`", keys::POLICIES));
            }
        }
        None
    }

    fn tls(&mut self) -> Option<Tls> {
        let names = self.list(keys::TLS_NAMES);
        if self.required(keys::TLS) == "own" {
            return Some(Tls { names });
        }
        if !names.is_empty() {
            self.notices.push(format!("{} is without effect: {} is `off`", keys::TLS_NAMES, keys::TLS));
        }
        None
    }

    fn list(&self, key: &str) -> Vec<String> {
        self.text(key).map(|text| kind::items(&text)).unwrap_or_default()
    }

    fn labels(&self, key: &str) -> BTreeMap<String, String> {
        let pair = |item: String| {
            item.split_once('=').map(|(label, value)| (label.trim().to_owned(), value.trim().to_owned()))
        };
        self.list(key).into_iter().filter_map(pair).collect()
    }

    /// Labels by which galeractl finds what is its own are not for users.
    fn own_labels(&mut self) -> BTreeMap<String, String> {
        let labels = self.labels(keys::LABELS);
        let reserved = |key: &&String| {
            [
                names::NAME_LABEL,
                names::INSTANCE_LABEL,
                names::COMPONENT_LABEL,
                names::MANAGED_BY_LABEL,
                names::MEMBER_LABEL,
            ]
            .contains(&key.as_str())
        };
        if let Some(key) = labels.keys().find(reserved) {
            self.problem(keys::LABELS, &format!("`{key}` is a label of galeractl's own; choose another key"));
        }
        labels
    }

    fn nodes(&mut self) -> u32 {
        let listed = iscsi::nodes(self.values);
        if self.variant.volumes == Volumes::Targets && !self.given(keys::NODES) && listed > 3 {
            self.set_default(keys::NODES, &listed.to_string());
        }
        let nodes = self.number(keys::NODES).unwrap_or_default();
        match nodes {
            1 => self.notices.push("1 node has no redundancy: when it is down, the database is down".to_owned()),
            2 => self.notices.push(
                "2 nodes have no failure tolerance: the crash of either one stops writes on the other; 3 survive one"
                    .to_owned(),
            ),
            nodes if nodes % 2 == 0 => self.notices.push(format!(
                "{nodes} nodes tolerate the failure of {}, as {} do, and a network split into halves stops both halves",
                nodes / 2 - 1,
                nodes - 1
            )),
            _ => {}
        }
        nodes
    }

    fn storage_class(&mut self) -> Option<String> {
        let own = match self.variant.volumes {
            Volumes::AnyClass => None,
            Volumes::OwnClass(own) => Some(own),
            Volumes::Targets => return None,
        };
        let class = self.text(keys::STORAGE_CLASS).or_else(|| self.text(own?));
        if let (None, Some(own)) = (&class, own) {
            let variant = self.variant;
            self.problem(own, &format!("is missing; the variant `{variant}` needs it"));
        }
        class
    }

    fn seed_class(&mut self) -> Option<String> {
        let class = self.text(keys::SEED_CLASS)?;
        if self.variant.volumes == Volumes::Targets {
            let problem = format!("has no use in the variant `{}`, whose volumes lie on iSCSI targets", self.variant);
            self.problem(keys::SEED_CLASS, &problem);
        }
        Some(class)
    }

    fn sizes(&mut self) {
        let size = |text: Option<String>| text.and_then(|text| units::bytes(&text).ok());
        let gcache = self.text(keys::GCACHE).and_then(|text| units::server_bytes(&text).ok());
        let volume = size(self.text(keys::VOLUME_SIZE));
        if let (Some(gcache), Some(volume)) = (gcache, volume)
            && gcache.saturating_mul(2) > volume
        {
            let (key, other) = if self.given(keys::GCACHE) {
                (keys::GCACHE, keys::VOLUME_SIZE)
            } else {
                (keys::VOLUME_SIZE, keys::GCACHE)
            };
            let (own, others) = (self.required(key), self.required(other));
            let problem =
                format!("{own} does not go with {other} ({others}): the cache may take at most half of the volume");
            self.problem(key, &problem);
        }
        let cpu = |text: String| units::cpu(&text).ok();
        let memory = |text: String| units::bytes(&text).ok();
        for keys in [&keys::NODE, &keys::PROXY, &keys::AGENT, &keys::HELPER] {
            self.at_most(keys.cpu_request, keys.cpu_limit, cpu);
            self.at_most(keys.memory_request, keys.memory_limit, memory);
        }
    }

    /// A request above its limit: a default gives way, a given one is a mistake.
    fn at_most(&mut self, request: &str, limit: &str, amount: fn(String) -> Option<u128>) {
        let (Some(wanted), Some(most)) = (self.text(request), self.text(limit)) else { return };
        if amount(wanted.clone()) <= amount(most.clone()) {
            return;
        }
        if self.given(request) {
            self.problem(request, &format!("{wanted} is more than {limit} allows ({most})"));
        } else {
            self.set_default(request, &most);
        }
    }

    /// A server that may take more memory than its container has is killed once it does.
    fn server_fits(&mut self, mysqld: &BTreeMap<String, String>) {
        let pool = mysqld.get(POOL).and_then(|text| units::server_bytes(unquoted(text)).ok());
        let Some(limit) = self.text(keys::NODE.memory_limit) else { return };
        if pool.zip(units::bytes(&limit).ok()).is_some_and(|(pool, limit)| pool >= limit) {
            let why = format!("leaves no memory for anything else: {} is {limit}", keys::NODE.memory_limit);
            self.problem(&format!("{OPTION_PREFIX}{POOL}"), &why);
        }
    }

    fn resources(&self, keys: &keys::ResourceKeys) -> Resources {
        let pairs = |cpu: &str, memory: &str| {
            let pair = |name: &str, key: &str| self.text(key).map(|text| (name.to_owned(), text));
            [pair("cpu", cpu), pair("memory", memory)].into_iter().flatten().collect()
        };
        Resources {
            requests: pairs(keys.cpu_request, keys.memory_request),
            limits: pairs(keys.cpu_limit, keys.memory_limit),
        }
    }

    fn accounts(&mut self) {
        match self.text(keys::USER).as_deref() {
            Some("root") => self.problem(
                keys::USER,
                &format!("`root` exists already, with {} as its password; choose another name", keys::ROOT_PASSWORD),
            ),
            // A restore works with an account of its own.
            Some(name @ ("galeractl" | "galeractl_restore")) => {
                let problem = format!("`{name}` is an account of galeractl's own; choose another name");
                self.problem(keys::USER, &problem);
            }
            Some(name @ ("mysql" | "mariadb.sys" | "PUBLIC")) => {
                let problem = format!("`{name}` is an account of the server itself; choose another name");
                self.problem(keys::USER, &problem);
            }
            Some(_) if self.text(keys::DATABASE).is_none() => self.notices.push(format!(
                "{} is given without {}: the user will have no rights",
                keys::USER,
                keys::DATABASE
            )),
            None if self.given(keys::PASSWORD) => {
                self.notices.push(format!("{} has no effect without {}", keys::PASSWORD, keys::USER));
            }
            _ => {}
        }
        let database = self.text(keys::DATABASE).map(|name| name.to_ascii_lowercase());
        if let Some("mysql" | "sys" | "information_schema" | "performance_schema") = database.as_deref() {
            self.problem(keys::DATABASE, "is a database of the server itself; choose another name");
        }
        if database.as_deref() == Some("galeractl") {
            self.problem(keys::DATABASE, "is galeractl's own database; choose another name");
        }
    }

    fn access(&mut self) -> (ExternalAccess, Option<u16>) {
        let port = self.number(keys::NODE_PORT).and_then(|port| u16::try_from(port).ok());
        if port.is_some() && !self.given(keys::ACCESS) && self.variant == Variant::LOCAL {
            self.set_default(keys::ACCESS, "node-port");
        }
        if self.required(keys::ACCESS) == "node-port" {
            return (ExternalAccess::NodePort, port);
        }
        if port.is_some() {
            let way = self.required(keys::ACCESS);
            self.notices.push(format!("{} has no effect: {} is `{way}`", keys::NODE_PORT, keys::ACCESS));
        }
        (ExternalAccess::LoadBalancer, None)
    }

    fn backup(&mut self, nodes: u32) -> Option<Backup> {
        let wanted = self.text(keys::BACKUP);
        let target = match (self.text(keys::NFS_SERVER), self.text(keys::NFS_PATH), self.text(keys::BACKUP_CLASS)) {
            (Some(server), Some(path), None) => BackupTarget::Nfs(NfsShare { server, path }),
            (None, None, class) if class.is_some() || wanted.as_deref() == Some("yes") => BackupTarget::Class(class),
            (None, None, _) => return None,
            (_, _, Some(_)) => {
                let problem = format!("contradicts {}; keep one of them", keys::NFS_SERVER);
                self.problem(keys::BACKUP_CLASS, &problem);
                return None;
            }
            (server, _, None) => {
                let (has, lacks) = match server {
                    Some(_) => (keys::NFS_SERVER, keys::NFS_PATH),
                    None => (keys::NFS_PATH, keys::NFS_SERVER),
                };
                self.problem(has, &format!("needs {lacks} beside it; backups go to a path on an NFS server"));
                return None;
            }
        };
        if wanted.as_deref() == Some("no") {
            return None;
        }
        let seconds = |key: &str| units::seconds(&self.required(key)).unwrap_or_default();
        let (full, incremental) = (seconds(keys::FULL_INTERVAL), seconds(keys::INTERVAL));
        let log = seconds(keys::LOG_INTERVAL);
        let full = match (full < incremental, self.given(keys::FULL_INTERVAL)) {
            (false, _) => full,
            (true, true) => {
                let (own, other) = (self.required(keys::FULL_INTERVAL), self.required(keys::INTERVAL));
                let problem =
                    format!("{own} does not go with {} ({other}): full backups are the rarer ones", keys::INTERVAL);
                self.problem(keys::FULL_INTERVAL, &problem);
                full
            }
            // Files from before there was such a setting have no full backups in between.
            (true, false) => {
                let interval = self.required(keys::INTERVAL);
                self.set_default(keys::FULL_INTERVAL, &interval);
                incremental
            }
        };
        let node = self.number(keys::BACKUP_NODE);
        if let Some(node) = node.filter(|node| *node > nodes) {
            let problem = format!("there is no node{node} among {nodes}");
            self.problem(keys::BACKUP_NODE, &problem);
        }
        Some(Backup {
            image: self.text(keys::BACKUP_IMAGE).unwrap_or_else(|| self.required(keys::IMAGE)),
            target,
            volume_size: self.required(keys::BACKUP_SIZE),
            retention_days: self.number(keys::RETENTION).unwrap_or_default(),
            keep: self.number(keys::KEEP).unwrap_or_default(),
            full_interval_seconds: full,
            incremental_interval_seconds: incremental,
            log_interval_seconds: log,
            node: node.unwrap_or(nodes),
            encrypted: self.required(keys::BACKUP_ENCRYPTION) == "own",
        })
    }
}

/// `key=value:effect` in parts; the table has checked it.
fn toleration(item: &str) -> Toleration {
    let (taint, effect) =
        item.rsplit_once(':').map_or((item, None), |(taint, effect)| (taint, Some(effect.to_owned())));
    let (key, value) = taint.split_once('=').map_or((taint, None), |(key, value)| (key, Some(value.to_owned())));
    Toleration { key: key.to_owned(), value, effect }
}
