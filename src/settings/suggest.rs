//! What can be typed for `--set`, for shells that complete it.

use super::kind::Kind;
use super::table::{NODE, SETTINGS, Setting};

/// What begins as `typed` does, with what it is about: `KEY=` for each setting, and `KEY=VALUE` where there are only a few
/// values.
#[must_use]
pub fn suggest(typed: &str) -> Vec<(String, &'static str)> {
    let of_key = |setting: &Setting, key: String| -> Vec<String> {
        match setting.kind {
            Kind::Choice(words) if typed.contains('=') => words.iter().map(|word| format!("{key}={word}")).collect(),
            _ => vec![format!("{key}=")],
        }
    };
    let of = |setting: &Setting| -> Vec<(String, &'static str)> {
        let nodes = if setting.key.contains(NODE) { 1..=3 } else { 1..=1 };
        let keys = nodes.map(|index| setting.key.replace(NODE, &format!("node{index}")));
        keys.flat_map(|key| of_key(setting, key)).map(|text| (text, setting.doc)).collect()
    };
    SETTINGS.iter().flat_map(of).filter(|(text, _)| text.starts_with(typed)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_suggested_where_there_are_few() {
        let of = |typed: &str| -> Vec<String> { suggest(typed).into_iter().map(|(text, _)| text).collect() };
        assert_eq!(of("galera_cluster_tls"), ["galera_cluster_tls=", "galera_cluster_tls_names="]);
        assert_eq!(of("galera_cluster_tls="), ["galera_cluster_tls=own", "galera_cluster_tls=off"]);
        assert!(of("galera_cluster_node2_iscsi").len() > 1);
        assert!(of("").len() >= SETTINGS.len());
        assert!(of("max_connections").is_empty());
    }
}
