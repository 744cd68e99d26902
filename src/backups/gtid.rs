//! GTIDs, as far as the group's own transactions go. They are all in one domain; other domains are a node's own affairs.

/// The domain of the group's transactions (`wsrep_gtid_domain_id`).
const DOMAIN: &str = "0";

/// The group's transaction of this number, as people and servers name it.
pub(super) fn named(number: u64) -> String {
    format!("{DOMAIN}-1-{number}")
}

/// Number of the group's newest transaction in a list such as `0-1-4711,101-1-5`; 0 where there is none yet.
#[must_use]
pub fn sequence(list: &str) -> u64 {
    list.split(',').find_map(own).unwrap_or(0)
}

fn own(gtid: &str) -> Option<u64> {
    let mut parts = gtid.trim().split('-');
    (parts.next() == Some(DOMAIN)).then(|| parts.nth(1)?.parse().ok())?
}

/// The list from which a binary log is to be read, so that nothing up to `covered` comes again. It has to name every
/// domain that the log knows.
pub(super) fn start(list: &str, covered: u64) -> String {
    let mut parts: Vec<String> = list
        .split(',')
        .map(str::trim)
        .filter(|gtid| !gtid.is_empty() && own(gtid).is_none())
        .map(str::to_owned)
        .collect();
    if covered > 0 {
        parts.insert(0, named(covered));
    }
    if parts.is_empty() { "-".to_owned() } else { parts.join(",") }
}

/// Reads `0-1-4711`, or its last number alone.
pub(super) fn parse(text: &str) -> Option<u64> {
    text.parse().ok().or_else(|| own(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_domain_of_the_group_counts() {
        assert_eq!(sequence("101-1-5,0-1-4711"), 4711);
        assert_eq!((sequence(""), sequence("101-1-5")), (0, 0));
        assert_eq!((parse("0-1-7"), parse("7"), parse("101-1-7"), parse("x")), (Some(7), Some(7), None, None));
    }

    #[test]
    fn a_start_names_every_domain() {
        assert_eq!(start("0-1-4,101-1-5", 9), "0-1-9,101-1-5");
        assert_eq!(start("", 0), "-");
        assert_eq!(start("101-1-5", 0), "101-1-5");
    }
}
