//! What the table of settings is made of, and how a setting is found in it.

use super::kind::Kind;
pub use super::list::SETTINGS;
use super::topic::Topic;

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its key; `node{i}` in it stands for `node1`, `node2`, ….
    pub key: &'static str,
    /// What values are right.
    pub kind: Kind,
    /// The value that holds when nothing sets it.
    pub default: Option<&'static str>,
    /// Where it is listed.
    pub topic: Topic,
    /// What it does.
    pub doc: &'static str,
    /// A value for example files.
    pub example: &'static str,
}

impl Setting {
    /// Whether values must not be shown.
    #[must_use]
    pub fn secret(&self) -> bool {
        self.kind == Kind::Secret
    }

    /// Name of the environment variable that sets it.
    #[must_use]
    pub fn variable(&self) -> String {
        self.key.to_uppercase().replace("NODE{I}", "NODE{i}")
    }
}

/// What stands for a node's number in a key.
pub(super) const NODE: &str = "node{i}";
/// Most nodes: their names have two digits at most.
pub(super) const MAX_NODES: u32 = 99;

/// The setting that a key belongs to, with the node's number where the key has one.
#[must_use]
pub fn find(key: &str) -> Option<&'static Setting> {
    let pattern = pattern_of(key);
    let wanted = pattern.as_deref().unwrap_or(key);
    SETTINGS.iter().find(|setting| setting.key == wanted && setting.key.contains(NODE) == pattern.is_some())
}

/// `galera_cluster_node7_iscsi_lun` → `galera_cluster_node{i}_iscsi_lun`, for nodes that can exist.
fn pattern_of(key: &str) -> Option<String> {
    let (head, rest) = key.split_once("_node").filter(|(_, rest)| rest.starts_with(|c: char| c.is_ascii_digit()))?;
    let (number, tail) = rest.split_once('_')?;
    let index: u32 = number.parse().ok().filter(|index| (1..=MAX_NODES).contains(index))?;
    (index.to_string() == number).then(|| format!("{head}_{NODE}_{tail}"))
}

/// The known key that a misspelt one resembles most.
#[must_use]
pub fn nearest(key: &str) -> Option<String> {
    let candidates = SETTINGS.iter().flat_map(|setting| {
        let nodes = if setting.key.contains(NODE) { 1..=9 } else { 1..=1 };
        nodes.map(|index| setting.key.replace(NODE, &format!("node{index}")))
    });
    candidates
        .map(|candidate| (strsim::osa_distance(key, &candidate), candidate))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, _)| *distance <= 3)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_found_once() {
        for setting in SETTINGS {
            let key = setting.key.replace(NODE, "node12");
            assert!(find(&key).is_some_and(|found| found.key == setting.key), "{key}");
            assert_eq!(nearest(&key.replace("node12", "node2")), Some(key.replace("node12", "node2")));
            assert_eq!(SETTINGS.iter().filter(|other| other.key == setting.key).count(), 1);
        }
        assert!(find("galera_cluster_node{i}_iscsi_lun").is_none());
    }
}
