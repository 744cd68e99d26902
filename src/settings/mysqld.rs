//! Server options from `[mysqld]`: their names in one spelling, and those that are not the user's to set.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

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
    ("extra_port", "galeractl comes in by it when clients have taken all connections"),
    ("extra_max_connections", "galeractl comes in by them when clients have taken all connections"),
    ("networking", "the peers and the proxy have to reach the server"),
    ("log_bin", "it belongs to point-in-time recovery"),
    ("log_bin_index", "it belongs to point-in-time recovery"),
    ("log_basename", "it would move files that galeractl reads"),
    ("log_error", "the log has to go to the container's output"),
    ("log_slave_updates", "it belongs to point-in-time recovery"),
    ("server_id", "galeractl numbers the servers"),
    ("gtid_domain_id", "galeractl numbers the domains"),
    ("name_resolve", "connections would wait for name servers"),
    ("host_cache", "it goes with skip_name_resolve"),
    ("host_cache_size", "it goes with skip_name_resolve"),
    ("grant_tables", "it would let everybody in"),
    ("user", "the container's user runs the server"),
    ("tmpdir", "the root file system is read-only"),
    ("plugin_dir", "it belongs to the image"),
    ("init_file", "the start script decides what runs at the start"),
    ("innodb_force_recovery", "a node in this state must not take part in a cluster"),
    ("read_only", "a node has to apply writes"),
    ("innodb", "Galera replicates InnoDB only"),
    ("enforce_storage_engine", "Galera replicates InnoDB only"),
    ("innodb_read_only", "a node has to apply writes"),
    ("innodb_data_home_dir", "it lies on the data volume"),
    ("innodb_log_group_home_dir", "it lies on the data volume"),
    ("innodb_undo_directory", "it lies on the data volume"),
    ("aria_log_dir_path", "it lies on the data volume"),
    ("tc_heuristic_recover", "a recovery by guess loses acknowledged writes"),
    ("replicate_do_db", "a node would drop writes that the others keep"),
    ("replicate_do_table", "a node would drop writes that the others keep"),
    ("replicate_ignore_db", "a node would drop writes that the others keep"),
    ("replicate_ignore_table", "a node would drop writes that the others keep"),
    ("replicate_wild_do_table", "a node would drop writes that the others keep"),
    ("replicate_wild_ignore_table", "a node would drop writes that the others keep"),
    ("replicate_rewrite_db", "a node would drop writes that the others keep"),
    ("binlog_do_db", "a restore to a moment needs all writes"),
    ("binlog_ignore_db", "a restore to a moment needs all writes"),
    ("encrypt_binlog", "a restore has to read the binary logs"),
    ("unix_socket", "probes and the agent log in by it"),
    ("plugin_load", "it would run code before the server is asked anything; INSTALL SONAME does it afterwards"),
    ("plugin_load_add", "it would run code before the server is asked anything; INSTALL SONAME does it afterwards"),
    ("chroot", "the container is its root"),
    ("bootstrap", "the server would not serve"),
    ("help", "the server would not serve"),
    ("version", "the server would not serve"),
    ("flashback", "the server would not serve"),
    ("getopt_prefix_matching", "options are named in full"),
    ("require_secure_transport", "galeractl, the proxy's checks and the agent have no certificates in this version"),
    ("autocommit", "the accounts and the rows that galeractl writes would not be committed"),
    ("transaction_read_only", "a node has to take writes"),
    ("tx_read_only", "a node has to take writes"),
    ("default_password_lifetime", "the accounts of galeractl would lock themselves out"),
    ("max_password_errors", "a stranger could lock the accounts of galeractl out"),
    ("expire_logs_days", "binary logs would go before they are in a backup"),
    ("binlog_expire_logs_seconds", "binary logs would go before they are in a backup"),
    ("max_binlog_total_size", "binary logs would go before they are in a backup"),
    ("ignore_db_dirs", "a backup would not have what the server has"),
];

/// Why all options of `wsrep` are galeractl's.
const OF_FORMING: &str = "it is part of forming the cluster";

/// Values of such options that are what galeractl sets, or the server does by itself: files that were written for other
/// tools have them.
const SAME: &[(&str, &[&str])] = &[
    ("binlog_format", &["row"]),
    ("innodb_autoinc_lock_mode", &["2"]),
    ("innodb_flush_log_at_trx_commit", &["1"]),
    ("innodb_doublewrite", &["1", "on", "true"]),
    ("default_storage_engine", &["innodb"]),
    ("bind_address", &["*", "0.0.0.0"]),
    ("port", &["3306"]),
    ("autocommit", &["1", "on", "true"]),
    ("require_secure_transport", &["0", "off", "false"]),
    ("transaction_read_only", &["0", "off", "false"]),
    ("read_only", &["0", "off", "false"]),
    ("wsrep_on", &["1", "on", "true"]),
];

/// All options of the servers of 10.11 and 11.8, in the spelling of this table: what `--help --verbose` prints. Others may
/// have more, and plugins bring their own.
static KNOWN: LazyLock<BTreeSet<&str>> = LazyLock::new(|| include_str!("server_options.txt").lines().collect());

/// The lines by their options' names, spelt with `_`; the last of several wins.
///
/// # Errors
/// Each owned option, as line and message.
pub(super) fn options(lines: Vec<MysqldOption>) -> Result<BTreeMap<String, MysqldOption>, Vec<(usize, String)>> {
    let mut options = BTreeMap::new();
    let mut problems = Vec::new();
    for line in lines {
        let name = spelt(&line.name);
        let value = line.value.trim_matches(['"', '\'']);
        let why = refusal(&name).filter(|_| !is_same(&name, value)).or_else(|| unfit(&name, value));
        match why {
            Some(why) => problems.push((line.line, format!("[mysqld] {} {why}", line.name))),
            None => {
                options.insert(name, line);
            }
        }
    }
    if problems.is_empty() { Ok(options) } else { Err(problems) }
}

/// The name of an option in the spelling of the table.
pub(super) fn spelt(name: &str) -> String {
    name.to_lowercase().replace('-', "_")
}

/// Why an option is galeractl's to set to something else, if it is.
pub(super) fn taken(line: &MysqldOption) -> Option<&'static str> {
    let name = spelt(&line.name);
    owned(&readings(&name)).filter(|_| !is_same(&name, line.value.trim_matches(['"', '\''])))
}

/// Whether this value of an owned option is what the servers have anyway.
fn is_same(name: &str, value: &str) -> bool {
    let value = value.to_lowercase();
    SAME.iter().any(|(known, values)| *known == name && values.contains(&value.as_str()))
}

/// Why a value of an option that is the user's cannot work here.
fn unfit(name: &str, value: &str) -> Option<String> {
    let is_offset = |text: &str| {
        let (sign, rest) = text.split_at_checked(1)?;
        let (hours, minutes) = rest.split_once(':')?;
        let number = |text: &str| text.parse::<u8>().ok().filter(|_| text.len() == 2);
        (["+", "-"].contains(&sign) && number(hours)? <= 14 && number(minutes)? < 60).then_some(())
    };
    let is_zone = name == "default_time_zone" && !value.eq_ignore_ascii_case("system") && is_offset(value).is_none();
    is_zone.then(|| {
        format!("takes no names such as `{value}`, since the servers have no tables of zones; write an offset such as +01:00, or SYSTEM")
    })
}

/// Why an option with one of these names is galeractl's, if it is.
fn owned(names: &[&str]) -> Option<&'static str> {
    if names.iter().any(|name| name.starts_with("wsrep")) {
        return Some(OF_FORMING);
    }
    names.iter().find_map(|name| OWNED.iter().find(|(owned, _)| owned == name)).map(|(_, why)| *why)
}

/// Why an option is not the user's, if it is not.
fn refusal(name: &str) -> Option<String> {
    let names = readings(name);
    if let Some(why) = owned(&names) {
        return Some(format!("is set by galeractl: {why}"));
    }
    // The whole name of an option is never taken for the beginning of another.
    if names.iter().any(|name| KNOWN.contains(name)) {
        return None;
    }
    // The server takes the beginning of a name for the whole, where only one option of its version begins so.
    if let Some((full, why)) = names.iter().find_map(|name| abbreviated(name)) {
        return Some(format!("abbreviates {full}, which is set by galeractl: {why}; options are named in full"));
    }
    let of_the_user = names.iter().find_map(|name| KNOWN.range(*name..).next().filter(|full| full.starts_with(name)));
    of_the_user.map(|full| format!("abbreviates {full}, and options are named in full"))
}

/// What a server understands before the name of an option.
const PREFIXES: [&str; 6] = ["loose_", "maximum_", "skip_", "disable_", "enable_", "autoset_"];

/// The names that the server may read: as it stands, and without each of the prefixes that it understands.
fn readings(name: &str) -> Vec<&str> {
    let mut names = vec![name];
    let mut rest = name;
    // What stands before a dot names a key cache.
    while let Some(shorter) = PREFIXES
        .iter()
        .find_map(|prefix| rest.strip_prefix(prefix))
        .or_else(|| rest.strip_prefix('_'))
        .or_else(|| rest.split_once('.').map(|(_, rest)| rest))
    {
        rest = shorter;
        names.push(rest);
    }
    names
}

/// The owned option that begins with this, in one of its forms, with the reason why it is owned.
fn abbreviated(name: &str) -> Option<(String, &'static str)> {
    let begins = |full: &String| full.starts_with(name);
    let wsrep = KNOWN.iter().filter(|known| known.starts_with("wsrep")).map(|known| (*known, OF_FORMING));
    OWNED.iter().copied().chain(wsrep).find_map(|(owned, why)| {
        [owned.to_owned(), format!("skip_{owned}")].into_iter().find(begins).map(|full| (full, why))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spellings_of_owned_options_are_refused() {
        for name in ["wsrep_on", "log_bin", "skip_log_bin", "loose_skip_networking", "innodb_doublew", "wsrepfoo"] {
            assert!(refusal(name).is_some(), "{name}");
        }
        for name in [
            "skip_grant",
            "s",
            "skip",
            "loose_skip_g",
            "autoset_dat",
            "x.datadir",
            "_datadir",
            "ws",
            "plugin_loa",
            "initf",
        ] {
            assert_eq!(refusal(name).is_some(), name != "initf", "{name}");
        }
        for name in ["max_connections", "log_bin_trust_function_creators", "report_port", "skip_slave_start", "port2"] {
            assert!(refusal(name).is_none(), "{name}");
        }
        let why = refusal("skip_grant").unwrap();
        assert!(
            why.starts_with("abbreviates skip_grant_tables, which is set by galeractl: it would let everybody in"),
            "{why}"
        );
    }

    #[test]
    fn whole_names_are_taken_as_they_are() {
        let refused = KNOWN.iter().filter(|name| refusal(name).is_some());
        let owned = |name: &str| {
            name.starts_with("wsrep")
                || OWNED.iter().any(|(owned, _)| name == *owned || name.strip_prefix("skip_") == Some(owned))
        };
        assert_eq!(refused.filter(|name| !owned(name)).collect::<Vec<_>>(), Vec::<&&str>::new());
        assert!(KNOWN.len() > 700 && KNOWN.contains("max_connections"));
        // A name of this list that another version lacks could be the beginning of an owned one there.
        let doubtful = KNOWN.iter().filter(|name| refusal(name).is_none() && abbreviated(name).is_some());
        assert_eq!(doubtful.collect::<Vec<_>>(), Vec::<&&str>::new());
    }

    #[test]
    fn what_is_the_users_is_named_in_full_as_well() {
        for (name, full) in [("max_connection", "max_connections"), ("innodb_buffer_pool_s", "innodb_buffer_pool_size")]
        {
            assert_eq!(refusal(name).unwrap(), format!("abbreviates {full}, and options are named in full"));
        }
        assert!(refusal("simple_password_check_digits").is_none() && refusal("inodb_buffer_pool_size").is_none());
    }

    fn judged(line: &str) -> Result<(), String> {
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        let option = MysqldOption { name: name.to_owned(), value: value.to_owned(), line: 1 };
        options(vec![option]).map(drop).map_err(|problems| problems[0].1.clone())
    }

    #[test]
    fn a_value_that_changes_nothing_is_no_reason_to_refuse() {
        for line in [
            "binlog-format=ROW",
            "innodb_autoinc_lock_mode=2",
            "autocommit=\"ON\"",
            "bind-address=0.0.0.0",
            "wsrep_on=1",
        ] {
            assert_eq!(judged(line), Ok(()), "{line}");
        }
        for line in [
            "binlog_format=MIXED",
            "autocommit=0",
            "autocommit",
            "loose_binlog_format=ROW",
            "bind_address=127.0.0.1",
            "wsrep_on=OFF",
        ] {
            assert!(judged(line).is_err(), "{line}");
        }
    }

    #[test]
    fn zones_are_offsets() {
        for zone in ["SYSTEM", "+00:00", "-03:30", "'+14:00'"] {
            assert_eq!(judged(&format!("default-time-zone={zone}")), Ok(()), "{zone}");
        }
        for zone in ["Europe/Berlin", "UTC", "+1:00", "+15:00", "+01:60", "", "+0100", "é"] {
            assert!(judged(&format!("default_time_zone={zone}")).unwrap_err().contains("write an offset"), "{zone}");
        }
    }

    /// Whatever a server could take for an owned option is refused.
    #[test]
    fn every_beginning_of_an_owned_option_is_refused() {
        let before = ["", "_", "x."].into_iter().chain(PREFIXES);
        let pairs = before.clone().flat_map(|first| before.clone().map(move |second| format!("{first}{second}")));
        for prefixes in pairs {
            for (owned, _) in OWNED {
                for begun in (1..=owned.len()).map(|length| &owned[..length]) {
                    let name = format!("{prefixes}{begun}");
                    let is_of_the_user = *owned != begun && readings(&name).iter().any(|name| KNOWN.contains(name));
                    assert!(is_of_the_user || refusal(&name).is_some(), "{name}");
                }
            }
        }
    }

    proptest! {
        /// However a name is written, it is judged alike.
        #[test]
        fn case_and_dashes_change_nothing(option in 0..OWNED.len(), length in 1_usize..40, odd in any::<u64>()) {
            let (owned, _) = OWNED[option];
            let begun = &owned[..length.min(owned.len())];
            let mixed = begun.chars().enumerate().map(|(index, c)| match c {
                '_' if odd >> (index % 64) & 1 == 1 => '-',
                c if odd >> (index % 64) & 1 == 1 => c.to_ascii_uppercase(),
                c => c,
            });
            prop_assert_eq!(spelt(&mixed.collect::<String>()), begun);
        }
    }
}
