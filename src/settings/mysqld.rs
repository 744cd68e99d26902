//! Server options from `[mysqld]`: their names in one spelling, and those that are not the user's to set.

use std::collections::BTreeMap;

use super::inventory::MysqldOption;

/// Options that galeractl sets itself, and why.
pub(super) const OWNED: &[(&str, &str)] = &[
    ("binlog_format", "Galera replicates rows only"),
    ("innodb_autoinc_lock_mode", "Galera applies writes in parallel, which needs 2"),
    ("innodb_flush_log_at_trx_commit", "anything but 1 loses acknowledged writes"),
    ("innodb_doublewrite", "a node that crashed could not recover its position"),
    ("default_storage_engine", "Galera replicates InnoDB only"),
    ("sync_binlog", "galeractl sets it together with log_bin"),
    ("datadir", "it lies on the data volume"),
    ("basedir", "it belongs to the image"),
    ("socket", "probes and tools expect it at its place"),
    ("pid_file", "probes and tools expect it at its place"),
    ("bind_address", "the peers and the proxy have to reach the server"),
    ("port", "Services and probes expect 3306"),
    ("extra_port", "Services and probes expect 3306 only"),
    ("networking", "the peers and the proxy have to reach the server"),
    ("log_bin", "it belongs to point-in-time recovery"),
    ("log_bin_index", "it belongs to point-in-time recovery"),
    ("log_basename", "it would move files that galeractl reads"),
    ("log_error", "the log has to go to the container's output"),
    ("log_slave_updates", "it belongs to point-in-time recovery"),
    ("server_id", "galeractl numbers the servers"),
    ("gtid_domain_id", "galeractl numbers the domains"),
    ("name_resolve", "connections would wait for name servers"),
    ("host_cache_size", "it goes with skip_name_resolve"),
    ("grant_tables", "it would let everybody in"),
    ("user", "the container's user runs the server"),
    ("tmpdir", "the root file system is read-only"),
    ("plugin_dir", "it belongs to the image"),
    ("init_file", "the start script decides what runs at the start"),
    ("innodb_force_recovery", "a node in this state must not take part in a cluster"),
    ("read_only", "a node has to apply writes"),
];

/// The lines by their options' names, spelt with `_`; the last of several wins.
///
/// # Errors
/// Each owned option, as line and message.
pub(super) fn options(lines: Vec<MysqldOption>) -> Result<BTreeMap<String, MysqldOption>, Vec<(usize, String)>> {
    let mut options = BTreeMap::new();
    let mut problems = Vec::new();
    for line in lines {
        let name = line.name.to_lowercase().replace('-', "_");
        match refusal(&name) {
            Some(why) => problems.push((line.line, format!("[mysqld] {} is set by galeractl: {why}", line.name))),
            None => {
                options.insert(name, line);
            }
        }
    }
    if problems.is_empty() { Ok(options) } else { Err(problems) }
}

/// Why an option is not the user's, if it is not.
fn refusal(name: &str) -> Option<&'static str> {
    let name = bare(name);
    if name.starts_with("wsrep") {
        return Some("it is part of forming the cluster");
    }
    OWNED.iter().find(|(owned, _)| abbreviates(name, owned)).map(|(_, why)| *why)
}

/// The option behind the prefixes that the server understands.
fn bare(name: &str) -> &str {
    let mut name = name;
    loop {
        let prefixes = ["loose_", "maximum_", "skip_", "disable_", "enable_"];
        let Some(rest) = prefixes.iter().find_map(|prefix| name.strip_prefix(prefix)) else { return name };
        name = rest;
    }
}

/// The server takes the beginning of a name for the whole where only one option begins so.
fn abbreviates(name: &str, owned: &str) -> bool {
    name == owned || (name.len() >= 8 && owned.starts_with(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_owned_options_are_refused() {
        for name in ["wsrep_on", "log_bin", "skip_log_bin", "loose_skip_networking", "innodb_doublew", "wsrepfoo"] {
            assert!(refusal(name).is_some(), "{name}");
        }
        for name in ["max_connections", "log_bin_trust_function_creators", "report_port", "skip_slave_start", "port2"] {
            assert!(refusal(name).is_none(), "{name}");
        }
    }
}
