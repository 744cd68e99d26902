//! Profile, file, environment and flags, laid over each other.

use std::collections::BTreeMap;

use super::inventory::{self, Assigned, Doubt, Inventory, Literal, Stray};
use super::keys;
use super::kind::{Kind, visible};
use super::mysqld;
use super::origin::{Origin, Problems, Value};
use super::table::{self, Setting};
use super::topic::Topic;
use super::variant::{self, Variant};

/// A key, the text given for it, and by whom.
pub(super) struct Given {
    pub(super) key: String,
    pub(super) text: String,
    pub(super) origin: Origin,
}

impl Given {
    pub(super) fn new(key: impl Into<String>, text: impl Into<String>, origin: Origin) -> Self {
        Self { key: key.into(), text: text.into(), origin }
    }
}

/// Prefix of all keys.
const PREFIX: &str = "galera_";
/// Publisher of the images that old files name.
const OLD_PUBLISHER: &str = "idstudios/";

/// Everything that is collected on the way.
#[derive(Default)]
pub(super) struct Merge {
    pub(super) values: BTreeMap<String, Value>,
    pub(super) problems: Problems,
    pub(super) notices: Vec<String>,
}

impl Merge {
    /// What a file gives.
    pub(super) fn file(&mut self, name: &str, inventory: &Inventory) -> Vec<Given> {
        let at = |line| Origin::File { name: name.to_owned(), line };
        for Stray { key, line, section } in &inventory.strays {
            let problem = match section {
                _ if key.starts_with(PREFIX) => {
                    "stands among hosts, where Ansible takes it for a host's name; move it to `[all:vars]`".to_owned()
                }
                Some(section) => {
                    format!("stands in `[{section}]`, a group of hosts; server options stand under `[mysqld]`")
                }
                None => continue,
            };
            self.problems.add(&at(*line), format!("{key} {problem}"));
        }
        for (key, line) in inventory.unseen.iter().filter(|(key, _)| key.starts_with(PREFIX)) {
            let what = "is set for hosts or groups to which `localhost` does not belong, so it has no effect";
            self.notices.push(format!("{}: {key} {what}", at(*line)));
        }
        let mut given = Vec::new();
        let mut vars: Vec<_> = inventory.vars.iter().collect();
        vars.sort_by_key(|(_, assigned)| assigned.line);
        for (key, assigned) in vars {
            let origin = at(assigned.line);
            if key.starts_with(PREFIX) {
                given.extend(self.assignment(key, assigned, origin));
            } else if let Some(near) = almost_known(key) {
                self.notices.push(format!("{origin}: {key} is ignored; did you mean {near}?"));
            } else if mysqld::is_surely_one(key) {
                self.notices.push(format!("{origin}: {key} is ignored here; server options stand under `[mysqld]`"));
            }
        }
        if given.is_empty() && self.problems.none() && self.notices.is_empty() && inventory.options.is_empty() {
            self.notices.push(format!("{name} sets nothing: it has no key that starts with `{PREFIX}`"));
        }
        given
    }

    fn assignment(&mut self, key: &str, assigned: &Assigned, origin: Origin) -> Option<Given> {
        let Some(setting) = table::find(key) else {
            self.unknown(key, &origin);
            return None;
        };
        let Some(text) = assigned.value.text() else {
            let problem = match assigned.value {
                Literal::Nothing => "is `None`, Python's word for nothing; leave the line out, or put quotes around it",
                Literal::List => "is a Python list; expected text, and for several items `a,b`",
                _ => "is a Python dictionary; expected text",
            };
            self.problems.add(&origin, format!("{key}: {problem}"));
            return None;
        };
        if text.contains("{{") || text.contains("{%") {
            self.problems.add(&origin, format!("{key}: is a Jinja template, which is not evaluated; write the value"));
            return None;
        }
        if text.starts_with("!vault") || text.starts_with("$ANSIBLE_VAULT") {
            let problem = "is encrypted by ansible-vault, which is not read; write the value, or leave the line out and give it in the environment";
            self.problems.add(&origin, format!("{key}: {problem}"));
            return None;
        }
        match assigned.doubt {
            Some(Doubt::Comment) if setting.kind.check(text).is_err() => {
                let problem = "ends in a comment, which Ansible takes for part of the value; give it a line of its own";
                self.problems.add(&origin, format!("{key}: {problem}"));
                return None;
            }
            Some(Doubt::Comment) => {
                self.notices.push(format!("{origin}: {key} includes what follows ` #`, as it does for Ansible"));
            }
            Some(Doubt::Number) if !matches!(setting.kind, Kind::Int { .. }) => {
                let what = "is read as a number, as Ansible does; put quotes around it to keep it as written";
                self.notices.push(format!("{origin}: {key} {what}"));
            }
            _ => {}
        }
        Some(Given::new(key, text, origin))
    }

    /// What the environment gives. Unknown names are left alone: Kubernetes itself makes variables for Services.
    pub(super) fn environment(&mut self, pairs: &[(String, String)]) -> Vec<Given> {
        let mut given = Vec::new();
        for (name, text) in pairs {
            let key = name.to_ascii_lowercase();
            if name.to_ascii_uppercase() != *name || !key.starts_with(PREFIX) || text.is_empty() {
                continue;
            }
            if table::find(&key).is_some() {
                given.push(Given::new(key, text, Origin::Environment(name.clone())));
            } else if let Some(near) = almost_known(&key) {
                self.notices.push(format!("environment {name} is ignored; did you mean {}?", near.to_uppercase()));
            }
        }
        given
    }

    /// What `--set key=value` gives.
    pub(super) fn sets(&mut self, sets: &[String]) -> Vec<Given> {
        let origin = Origin::Flag("--set".to_owned());
        let mut given = Vec::new();
        for set in sets {
            match set.split_once('=').map(|(key, text)| (key.trim(), text)) {
                Some((key, text)) if table::find(key).is_some() => {
                    given.push(Given::new(key, text, origin.clone()));
                }
                Some((key, _)) => self.unknown(key, &origin),
                // Without `=` the whole may be a password.
                None => self.problems.add(&origin, "expected `key=value`"),
            }
        }
        given
    }

    fn unknown(&mut self, key: &str, origin: &Origin) {
        // What stands behind may be a password.
        if let Some((key, _)) = key.split_once(':') {
            self.problems.add(origin, format!("{}: expected `key=value`, with `=` in place of `:`", visible(key)));
            return;
        }
        let near = table::nearest(key).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
        self.problems.add(origin, format!("{} is not a known key{near}", visible(key)));
    }

    /// Lays everything over each other: defaults, the variant's profile, then what is given, the last one on top.
    pub(super) fn lay(&mut self, variant: Variant, given: Vec<Given>) {
        let profile = inventory::parse(variant.profile.as_bytes()).unwrap_or_else(|broken| broken.rest);
        let origin = variant::origin(variant);
        let profile = profile
            .vars
            .iter()
            .filter_map(|(key, assigned)| Some(Given::new(key, assigned.value.text()?, origin.clone())));
        let mut old_images = Vec::new();
        for item in profile.chain(given) {
            let Some(setting) = table::find(&item.key) else { continue };
            if item.text.is_empty() {
                self.values.remove(&item.key);
            } else if is_old_image(setting, &item.text) {
                self.values.remove(&item.key);
                old_images.push(item);
            } else if let Err(problem) = setting.kind.check(&item.text) {
                self.problems.add(&item.origin, format!("{}: {problem}", item.key));
            } else if setting.topic != Topic::Unused {
                let value = Value::new(&item.text, setting.secret(), item.origin);
                self.values.insert(item.key, value);
            }
        }
        for setting in table::SETTINGS {
            if let Some(default) = setting.default {
                let value = || Value::new(default, setting.secret(), Origin::Default);
                self.values.entry(setting.key.to_owned()).or_insert_with(value);
            }
        }
        self.old_images(&old_images);
    }

    fn old_images(&mut self, images: &[Given]) {
        if images.is_empty() {
            return;
        }
        let keys: Vec<String> = images.iter().map(|item| format!("{} ({})", item.key, item.origin)).collect();
        let nodes = self.values.get(keys::IMAGE).map_or("", Value::shown);
        let proxy = self.values.get(keys::HAPROXY_IMAGE).map_or("", Value::shown);
        self.notices.push(format!(
            "the images `{OLD_PUBLISHER}…` are no longer published and work in another way; the stock images `{nodes}` \
             and `{proxy}` take their place for {}",
            keys.join(", ")
        ));
    }
}

fn is_old_image(setting: &Setting, text: &str) -> bool {
    let name = text.strip_prefix("docker.io/").unwrap_or(text);
    setting.topic == Topic::Images && name.starts_with(OLD_PUBLISHER)
}

/// A known key that differs by a slip of the finger.
fn almost_known(key: &str) -> Option<String> {
    let key = key.to_ascii_lowercase();
    table::nearest(&key).filter(|near| strsim::osa_distance(&key, near) <= 2)
}

/// Of each key, what is on top, unless that is empty and so takes the value away.
pub(super) fn on_top(given: &[Given]) -> Vec<Given> {
    let mut top: Vec<Given> = Vec::new();
    for item in given {
        top.retain(|other| other.key != item.key);
        top.push(Given::new(item.key.clone(), item.text.clone(), item.origin.clone()));
    }
    top.retain(|item| !item.text.is_empty());
    top
}
