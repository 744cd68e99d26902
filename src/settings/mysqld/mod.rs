//! Server options from `[mysqld]`: their names in one spelling, and those that are not the user's to set.

mod owned;
mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use super::inventory::MysqldOption;
use crate::desired::unquoted;
use owned::{OF_FORMING, SAME};
use values::{leads_elsewhere, unfit};

pub(super) use owned::OWNED;

/// All options of the servers of 10.11 and 11.8, in the spelling of this table: what `--help --verbose` prints. Others may
/// have more, and plugins bring their own.
static KNOWN: LazyLock<BTreeSet<&str>> = LazyLock::new(|| include_str!("../server_options.txt").lines().collect());

/// The lines by their options' names, spelt with `_`; the last of several wins.
///
/// # Errors
/// Each owned option, as line and message.
pub(super) fn options(lines: Vec<MysqldOption>) -> Result<BTreeMap<String, MysqldOption>, Vec<(usize, String)>> {
    let mut options: BTreeMap<String, MysqldOption> = BTreeMap::new();
    let mut problems = Vec::new();
    for line in lines {
        let name = spelt(&line.name);
        let value = unquoted(&line.value);
        let again = REPEATABLE.contains(&name.as_str()) && options.contains_key(&name);
        let why = misplaced(&line.name).or_else(|| again.then(|| ONCE.to_owned()));
        let why = why.or_else(|| refusal(&name).filter(|_| !is_same(&name, value))).or_else(|| unfit(&name, value));
        if let Some(why) = why {
            problems.push((line.line, format!("[mysqld] {} {why}", line.name)));
        } else {
            // The server is given them in another order.
            options.retain(|earlier, _| meant(earlier) != meant(&name));
            options.insert(name, line);
        }
    }
    if problems.is_empty() { Ok(options) } else { Err(problems) }
}

/// Options that a server takes several times, each for something of its own.
const REPEATABLE: [&str; 1] = ["performance_schema_instrument"];
const ONCE: &str = "stands here a second time, and only one such line would be taken";

/// Why a line does not belong among server options.
fn misplaced(name: &str) -> Option<String> {
    if spelt(name).starts_with("galera_") {
        return Some("is no server option; settings stand under `[all:vars]`".to_owned());
    }
    name.starts_with("--").then(|| "is written without dashes in front in a file".to_owned())
}

/// The option that a name switches or sets, whatever its prefixes.
fn meant(name: &str) -> &str {
    let mut rest = name;
    while let Some(shorter) =
        ["loose_", "skip_", "disable_", "enable_"].iter().find_map(|prefix| rest.strip_prefix(prefix))
    {
        rest = shorter;
    }
    rest
}

/// Whether two names are of one option, whatever their spelling and prefixes.
pub(super) fn is_same_option(one: &str, other: &str) -> bool {
    meant(&spelt(one)) == meant(&spelt(other))
}

/// Whether a name is that of a server option, and can hardly be anything else.
pub(super) fn is_surely_one(name: &str) -> bool {
    let name = spelt(name);
    name.contains('_') && KNOWN.contains(name.as_str())
}

/// The name of an option in the spelling of the table.
fn spelt(name: &str) -> String {
    name.to_lowercase().replace('-', "_")
}

/// Why an option of a server elsewhere cannot be taken over, though nothing is wrong with it there.
pub(super) fn taken(line: &MysqldOption) -> Option<&'static str> {
    let (name, value) = (spelt(&line.name), unquoted(&line.value));
    let foreign = leads_elsewhere(&name, value).then_some("it names a place where the server cannot write here");
    owned(&readings(&name)).filter(|_| !is_same(&name, value)).or(foreign)
}

/// Whether this value of an owned option is what the servers have anyway.
fn is_same(name: &str, value: &str) -> bool {
    let value = value.to_lowercase();
    SAME.iter().any(|(known, values)| *known == name && values.contains(&value.as_str()))
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
    let skipping = |owned: &str| {
        "skip_".starts_with(name) || name.strip_prefix("skip_").is_some_and(|rest| owned.starts_with(rest))
    };
    let wsrep = KNOWN.iter().filter(|known| known.starts_with("wsrep")).map(|known| (*known, OF_FORMING));
    OWNED.iter().copied().chain(wsrep).find_map(|(owned, why)| {
        let full = if owned.starts_with(name) {
            owned.to_owned()
        } else {
            format!("skip_{}", Some(owned).filter(|owned| skipping(owned))?)
        };
        Some((full, why))
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
        // All have `ssl`; and `old` begins several, which no server accepts.
        let doubtful = KNOWN.iter().filter(|name| refusal(name).is_none() && abbreviated(name).is_some());
        assert_eq!(doubtful.collect::<Vec<_>>(), [&"old", &"ssl"]);
    }

    #[test]
    fn the_later_of_two_lines_holds() {
        let kept = |lines: &[&str]| {
            let lines = lines.iter().enumerate().map(|(index, line)| {
                let (name, value) = line.split_once('=').unwrap_or((line, ""));
                MysqldOption { name: name.to_owned(), value: value.to_owned(), line: index + 1 }
            });
            options(lines.collect()).map(|options| options.into_keys().collect::<Vec<_>>())
        };
        for (lines, expected) in [
            (["slow_query_log=1", "skip-slow-query-log"], "skip_slow_query_log"),
            (["event_scheduler=ON", "disable-event-scheduler"], "disable_event_scheduler"),
            (["loose_max_connections=1", "max-connections=2"], "max_connections"),
            (["max-connections=2", "loose_max_connections=1"], "loose_max_connections"),
        ] {
            assert_eq!(kept(&lines).unwrap(), [expected], "{lines:?}");
        }
        let instrument = "performance-schema-instrument='stage/%=ON'";
        assert!(kept(&[instrument, instrument]).unwrap_err()[0].1.contains("a second time"));
    }

    #[test]
    fn what_is_no_server_option_is_told() {
        for (line, why) in [
            ("galera_cluster_nodes=5", "settings stand under `[all:vars]`"),
            ("galera-mysql-password=x", "is no server option"),
            ("--max-connections=500", "without dashes"),
        ] {
            let told = judged(line).unwrap_err();
            assert!(told.contains(why), "{line}: {told}");
        }
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

    /// Whatever a server could take for an owned option is refused.
    #[test]
    fn every_beginning_of_an_owned_option_is_refused() {
        let pairs = ["loose_skip_", "skip_loose_", "loose_x.", "_enable_"];
        for prefixes in ["", "_", "x."].into_iter().chain(PREFIXES).chain(pairs) {
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
