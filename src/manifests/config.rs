//! Configuration that pods mount: server options and scripts, what is recorded about the cluster, passwords.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};

use super::labels::meta;
use super::services::{RESERVED_PORT, SQL_PORT};
use super::tls;
use crate::desired::Desired;
use crate::names::{Role, fingerprint};
use crate::wsrep::Uuid;

/// Keys of the record that pods see as files.
pub const RECORD_KEYS: [&str; 3] = [FORMED_KEY, MEMBERS_KEY, UUID_KEY];
/// `true` once all nodes have been Synced: from then on a node joins by itself.
pub const FORMED_KEY: &str = "formed";
/// Service names of the permanent nodes, one a line.
pub const MEMBERS_KEY: &str = "members";
/// State uuid of the Galera cluster, empty until it is known.
pub const UUID_KEY: &str = "uuid";
/// The desired state as JSON.
pub const SPEC_KEY: &str = "spec.json";

/// Secret keys.
pub const ROOT_PASSWORD: &str = "root-password";
/// Password of the application's user.
pub const USER_PASSWORD: &str = "user-password";
/// Password of galeractl's own user, which can read status and write one table.
pub const OWN_PASSWORD: &str = "galeractl-password";

/// What galeractl has found out about a cluster and keeps in the cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// Whether all nodes have been Synced once.
    pub formed: bool,
    /// The group's state uuid.
    pub uuid: Option<Uuid>,
}

/// Server options. The provider plugin is off because with it 11.8 refuses `SET GLOBAL wsrep_provider_options`, the
/// way in which Galera is repaired at run time. What the user gives comes first, so that what correctness needs has the last word.
#[must_use]
pub fn server_options(desired: &Desired) -> String {
    let mut text = "[mysqld]\n".to_owned();
    for (key, value) in &desired.mysqld {
        let _ = if value.is_empty() { writeln!(text, "{key}") } else { writeln!(text, "{key}={value}") };
    }
    let gcache = &desired.gcache_size;
    let (ssl, provider) = (tls::server_lines(desired), tls::provider_options(desired));
    let _ = write!(
        text,
        "port={SQL_PORT}\nextra_port={RESERVED_PORT}\nextra_max_connections=8\nbind_address=*\nskip_name_resolve=ON\nhost_cache_size=0\ntmpdir=/tmp\n\
         binlog_format=ROW\ndefault_storage_engine=InnoDB\ninnodb_autoinc_lock_mode=2\ninnodb_doublewrite=1\n\
         innodb_flush_log_at_trx_commit=1\n\
         {ssl}loose_plugin_wsrep_provider=OFF\nwsrep_on=ON\nwsrep_retry_autocommit=3\nwsrep_ignore_apply_errors=0\n\
         wsrep_provider_options=\"gcache.size={gcache};gcache.recover=yes;pc.recovery=true;pc.wait_prim_timeout=PT5M;\
         evs.keepalive_period=PT0.5S;evs.inactive_check_period=PT0.1S;evs.join_retrans_period=PT0.2S;\
         gmcast.listen_addr=tcp://0.0.0.0:4567{provider}\"\n\n\
         {}[sst]\nsockopt=retry=100,interval=0.1\n{}",
        if desired.backup.is_some() { BINARY_LOG } else { "" },
        tls::transfer_lines(desired)
    );
    text
}

/// Binary logs for a restore to a moment. One domain and one server id for all nodes give a transaction the same GTID
/// everywhere: the domain 0, in which a server that comes back by a remembered view looks for the group's last number in
/// its binary log, since it knows no other yet. They stay for two days: the agent copies them long before.
const BINARY_LOG: &str = "[mysqld]\nlog_bin=/var/lib/mysql/binlog/bin\nlog_slave_updates=ON\nsync_binlog=1\n\
    max_binlog_size=256M\nbinlog_expire_logs_seconds=172800\nserver_id=1\nwsrep_gtid_mode=ON\n\
    wsrep_gtid_domain_id=0\n\n";

/// What members run with: start scripts and server options.
fn config_files(desired: &Desired) -> BTreeMap<String, String> {
    let mut data: BTreeMap<String, String> =
        super::scripts::MEMBER.map(|(key, text)| (key.to_owned(), text.to_owned())).into();
    data.insert("server.cnf".to_owned(), server_options(desired));
    if desired.backup.is_some() {
        data.extend(super::backup::SCRIPTS.map(|(key, text)| (key.to_owned(), text.to_owned())));
    }
    data
}

/// Differs where a member's scripts or server options differ.
#[must_use]
pub fn config_sum(desired: &Desired) -> String {
    let files: Vec<String> = config_files(desired).into_iter().map(|(name, text)| format!("{name}\n{text}")).collect();
    fingerprint(&files.join("\n"))
}

/// ConfigMap with the start scripts and the server options.
#[must_use]
pub fn config_map(desired: &Desired) -> ConfigMap {
    ConfigMap {
        metadata: meta(desired, desired.cluster.config(), Role::Cluster),
        data: Some(config_files(desired)),
        ..ConfigMap::default()
    }
}

fn members(desired: &Desired) -> String {
    desired.members().map(|member| desired.cluster.member(member) + "\n").collect()
}

fn map<const N: usize>(desired: &Desired, name: String, data: [(&str, String); N]) -> ConfigMap {
    ConfigMap {
        metadata: meta(desired, name, Role::Cluster),
        data: Some(data.map(|(key, text)| (key.to_owned(), text)).into()),
        ..ConfigMap::default()
    }
}

/// ConfigMap with what the cluster should be. Whoever applies manifests by hand writes it as well.
#[must_use]
pub fn spec_map(desired: &Desired) -> ConfigMap {
    let spec =
        serde_json::to_string_pretty(desired).unwrap_or_else(|error| unreachable!("desired state as JSON: {error}"));
    map(desired, desired.cluster.spec(), [(MEMBERS_KEY, members(desired)), (SPEC_KEY, spec)])
}

/// ConfigMap with what the cluster has been found to be. It is never part of manifests that are applied by hand, so
/// that applying them forgets nothing.
#[must_use]
pub fn record_map(desired: &Desired, record: &Record) -> ConfigMap {
    let uuid = record.uuid.map(|uuid| uuid.to_string()).unwrap_or_default();
    map(
        desired,
        desired.cluster.record(),
        [(FORMED_KEY, record.formed.to_string()), (MEMBERS_KEY, members(desired)), (UUID_KEY, uuid)],
    )
}

fn get<'a>(map: &'a ConfigMap, key: &str) -> Result<&'a String, String> {
    let value = map.data.as_ref().and_then(|data| data.get(key));
    value.ok_or_else(|| format!("{} has no key `{key}`", name_of(map)))
}

fn name_of(map: &ConfigMap) -> String {
    format!("configmap/{}", map.metadata.name.as_deref().unwrap_or_default())
}

/// Reads back what [`spec_map`] wrote.
///
/// # Errors
/// A sentence that names the key which is missing or cannot be understood.
pub fn read_spec_map(map: &ConfigMap) -> Result<Desired, String> {
    serde_json::from_str(get(map, SPEC_KEY)?).map_err(|error| format!("{}, key `{SPEC_KEY}`: {error}", name_of(map)))
}

/// Reads back what [`record_map`] wrote.
///
/// # Errors
/// As [`read_spec_map`].
pub fn read_record_map(map: &ConfigMap) -> Result<Record, String> {
    let uuid = match get(map, UUID_KEY)?.as_str() {
        "" => None,
        text => Some(text.parse().map_err(|_| format!("{}, key `{UUID_KEY}`: `{text}` is no uuid", name_of(map)))?),
    };
    Ok(Record { formed: get(map, FORMED_KEY)? == "true", uuid })
}

/// Secret with all passwords, by [`ROOT_PASSWORD`] and its siblings.
#[must_use]
pub fn credentials(desired: &Desired, passwords: &BTreeMap<&str, String>) -> Secret {
    let data = passwords.iter().map(|(key, text)| ((*key).to_owned(), ByteString(text.as_bytes().to_vec()))).collect();
    Secret {
        metadata: meta(desired, desired.cluster.credentials(), Role::Cluster),
        type_: Some("Opaque".to_owned()),
        data: Some(data),
        ..Secret::default()
    }
}
