//! Groups of hosts: who contains whom, and which of their variables a host sees.

use std::collections::{BTreeMap, BTreeSet};

use super::{Assigned, Literal};

/// The group of everything.
pub(super) const ALL: &str = "all";
/// The group of hosts that are in no other.
pub(super) const UNGROUPED: &str = "ungrouped";
/// The names by which Ansible knows its own machine, best first.
pub(super) const LOCAL: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

#[derive(Default)]
struct Group {
    parents: BTreeSet<String>,
    vars: BTreeMap<String, Assigned>,
    priority: i64,
}

#[derive(Default)]
struct Host {
    groups: BTreeSet<String>,
    vars: BTreeMap<String, Assigned>,
}

/// All groups, and of the hosts those that are this machine.
pub(super) struct Groups {
    all: BTreeMap<String, Group>,
    hosts: BTreeMap<String, Host>,
    /// Keys set on other hosts, with their lines.
    elsewhere: Vec<(String, usize)>,
}

impl Groups {
    pub(super) fn new() -> Self {
        let mut new = Self { all: BTreeMap::new(), hosts: BTreeMap::new(), elsewhere: Vec::new() };
        new.declare(ALL);
        new.declare(UNGROUPED);
        new
    }

    pub(super) fn contains(&self, group: &str) -> bool {
        self.all.contains_key(group)
    }

    /// Whether variables of this name are kept: it is a group, or this machine.
    pub(super) fn owns(&self, name: &str) -> bool {
        self.all.contains_key(name) || self.hosts.contains_key(name)
    }

    pub(super) fn declare(&mut self, group: &str) {
        self.all.entry(group.to_owned()).or_default();
    }

    pub(super) fn add_child(&mut self, parent: &str, child: &str) -> Result<(), String> {
        if parent == child || self.ancestors([parent]).contains(child) || child == ALL {
            return Err(format!("makes the group `{child}` part of itself"));
        }
        self.all.entry(child.to_owned()).or_default().parents.insert(parent.to_owned());
        Ok(())
    }

    pub(super) fn add_host(&mut self, host: &str, group: &str) {
        if LOCAL.contains(&host) {
            self.hosts.entry(host.to_owned()).or_default().groups.insert(group.to_owned());
        }
    }

    /// Sets a variable of a group, or else of a host: of two with one name, Ansible takes the group.
    pub(super) fn set(&mut self, owner: &str, key: &str, value: Assigned) -> Result<(), String> {
        if let Some(group) = self.all.get_mut(owner) {
            if key == "ansible_group_priority" {
                group.priority = priority(&value.value).ok_or("is no whole number; expected a priority such as `1`")?;
            } else {
                group.vars.insert(key.to_owned(), value);
            }
        } else if let Some(host) = self.hosts.get_mut(owner) {
            host.vars.insert(key.to_owned(), value);
        } else {
            self.elsewhere.push((key.to_owned(), value.line));
        }
        Ok(())
    }

    /// The variables that this machine sees, and the keys that it does not see.
    pub(super) fn seen_here(mut self) -> (BTreeMap<String, Assigned>, Vec<(String, usize)>) {
        let here = LOCAL.iter().find_map(|name| self.hosts.remove(*name)).unwrap_or_default();
        let mut groups = self.ancestors(here.groups.iter().map(String::as_str));
        if groups.iter().any(|group| group != ALL && group != UNGROUPED) {
            if here.groups.contains(UNGROUPED) {
                self.leave(&mut groups, UNGROUPED);
            }
        } else if !groups.is_empty() {
            groups.extend(self.ancestors([UNGROUPED]));
        }
        groups.insert(ALL.to_owned());
        let depths = self.depths();
        let mut ordered: Vec<(usize, i64, String, BTreeMap<String, Assigned>)> = Vec::new();
        let mut unseen = self.elsewhere;
        for (name, group) in self.all {
            if groups.contains(&name) {
                let depth = depths.get(&name).copied().unwrap_or_default();
                ordered.push((depth, group.priority, name, group.vars));
            } else {
                unseen.extend(group.vars.into_iter().map(|(key, value)| (key, value.line)));
            }
        }
        ordered.sort_by(|a, b| (a.0, a.1, &a.2).cmp(&(b.0, b.1, &b.2)));
        let mut vars = BTreeMap::new();
        for (.., group) in ordered {
            vars.extend(group);
        }
        vars.extend(here.vars);
        (vars, unseen)
    }

    /// The groups and everything above them.
    fn ancestors<'a>(&self, groups: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
        let mut open: Vec<String> = groups.into_iter().map(str::to_owned).collect();
        let mut found = BTreeSet::new();
        while let Some(name) = open.pop() {
            if let Some(group) = self.all.get(&name) {
                open.extend(group.parents.iter().filter(|parent| !found.contains(*parent)).cloned());
            }
            found.insert(name);
        }
        found
    }

    /// Takes a group from a host, and what is above it unless another group is below that too. As in Ansible, a
    /// group above goes even if the host is in it by itself.
    fn leave(&self, groups: &mut BTreeSet<String>, group: &str) {
        groups.remove(group);
        for above in self.ancestors([group]).iter().filter(|above| *above != group && *above != ALL) {
            let kept = groups.iter().any(|other| other != above && self.ancestors([other.as_str()]).contains(above));
            if !kept && groups.contains(above) {
                self.leave(groups, above);
            }
        }
    }

    /// Longest way from `all` down to each group: deeper groups win.
    fn depths(&self) -> BTreeMap<String, usize> {
        let mut depths: BTreeMap<String, usize> = BTreeMap::new();
        let mut open: Vec<&str> = self.all.keys().map(String::as_str).collect();
        while let Some(&name) = open.last() {
            let parents = self.all.get(name).map(|group| &group.parents);
            let missing = parents.into_iter().flatten().find(|parent| !depths.contains_key(*parent));
            if let Some(parent) = missing {
                open.push(parent);
                continue;
            }
            let above = parents.into_iter().flatten().filter_map(|parent| depths.get(parent)).max();
            let depth = if name == ALL { 0 } else { above.map_or(1, |above| above + 1) };
            depths.insert(name.to_owned(), depth);
            open.pop();
        }
        depths
    }
}

fn priority(value: &Literal) -> Option<i64> {
    let text = match value {
        Literal::Bool(value) => return Some(i64::from(*value)),
        Literal::Number(text) => text.split('.').next().unwrap_or(text),
        Literal::Text(text) => text.trim(),
        Literal::Nothing | Literal::List | Literal::Dict => return None,
    };
    text.parse().ok()
}
