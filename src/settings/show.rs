//! Settings as data to show: rows, JSON, and a file that says the same.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use super::table::{self, NODE, SETTINGS};
use super::{OPTION_PREFIX, Settings, Value, inventory};

/// One value for `galeractl config`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The key.
    pub key: String,
    /// The value, or stars in place of a secret.
    pub value: String,
    /// What set it: `default`, `profile pks`, `galera.conf:12`, `--nodes`.
    pub origin: String,
}

impl Settings {
    /// All values in the order of the table; secrets as stars unless asked for.
    #[must_use]
    pub fn rows(&self, show_secrets: bool) -> Vec<Row> {
        let mut rows: Vec<(usize, &String, &Value)> = Vec::new();
        for (key, value) in &self.values {
            rows.push((position(key), key, value));
        }
        rows.sort_by_key(|(position, ..)| *position);
        let row = |(_, key, value): (usize, &String, &Value)| Row {
            key: key.clone(),
            value: if show_secrets { value.reveal() } else { value.shown() }.to_owned(),
            origin: value.origin.to_string(),
        };
        rows.into_iter().map(row).collect()
    }

    /// The same as an object: key → `{"value": …, "origin": …}`.
    #[must_use]
    pub fn json(&self, show_secrets: bool) -> Json {
        let entry = |row: Row| (row.key, json!({"value": row.value, "origin": row.origin}));
        Json::Object(self.rows(show_secrets).into_iter().map(entry).collect::<Map<_, _>>())
    }

    /// A `galera.conf` that by itself gives these settings; without secrets unless asked for.
    #[must_use]
    pub fn file(&self, show_secrets: bool) -> String {
        let wanted = |key: &str, value: &Value| !key.starts_with(OPTION_PREFIX) && (show_secrets || !value.secret());
        let vars: BTreeMap<String, String> = self
            .values
            .iter()
            .filter(|(key, value)| wanted(key, value))
            .map(|(key, value)| (key.clone(), value.reveal().to_owned()))
            .collect();
        inventory::render(&vars, &self.desired.mysqld)
    }
}

/// Place of a key in the table; the three keys of one node stay together.
fn position(key: &str) -> usize {
    let Some(found) = table::find(key) else { return usize::MAX };
    let index = SETTINGS.iter().position(|setting| setting.key == found.key).unwrap_or(usize::MAX);
    let Some(first) = SETTINGS.iter().position(|setting| setting.key.contains(NODE)) else { return index * 1000 };
    if !found.key.contains(NODE) {
        return index * 1000;
    }
    let node: usize = key.chars().filter(char::is_ascii_digit).collect::<String>().parse().unwrap_or_default();
    first * 1000 + node * 3 + (index - first)
}
