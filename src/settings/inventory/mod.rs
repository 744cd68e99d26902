//! The Ansible INI inventory as the host `localhost` sees it, and our own section `[mysqld]` beside it.
//!
//! An existing `galera.conf` has to mean here what it meant to Ansible, so this follows Ansible's own reader
//! rule by rule. rust-ini was tried and is not used: it refuses the bare `localhost` at the end of a file, glues
//! a bare word to the line that follows, and knows neither groups nor Python literals.

mod bytes;
mod groups;
mod hosts;
mod literal;
mod number;
pub mod option_file;
mod options;
mod text;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bytes::{Form, decode, lines, strip};
use groups::Groups;
pub use literal::{Literal, read, write};
pub use options::MysqldOption;

/// Largest file that is read, in bytes.
pub const MAX_SIZE: usize = 1024 * 1024;
/// Most hosts in one file; a short range can stand for billions.
const MAX_HOSTS: usize = 10_000;
/// The section that is ours; Ansible would take it for a group of hosts.
const MYSQLD: &str = "mysqld";
/// Sections of a server's own option file that are hosts here.
const NOT_MYSQLD: [&str; 11] = [
    "mariadb",
    "mariadbd",
    "server",
    "mysql",
    "galera",
    "client",
    "client-server",
    "mysqld_safe",
    "mysqldump",
    "sst",
    "mariadb-backup",
];
const NO_HEADER: &str =
    "is no section header; expected `[group]`, `[group:vars]` or `[group:children]`, alone on its line";

/// A value and where it stands; `Debug` keeps the value back, as it may be a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Assigned {
    /// The value.
    pub value: Literal,
    /// Line number, from 1.
    pub line: usize,
    /// How the value may differ from what its author meant.
    pub doubt: Option<Doubt>,
}

impl std::fmt::Debug for Assigned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "*** (line {})", self.line)
    }
}

/// A difference between what a value says and what its author may have meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// It was read as a number that prints differently, as `1_000` or `5.10`.
    Number,
    /// It has no quotes and holds ` #`, which is no comment there.
    Comment,
}

/// What is wrong with one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Line number, from 1; 0 for the file as a whole.
    pub line: usize,
    /// The problem, worded to follow the line number; holds no values, as these may be passwords.
    pub problem: String,
}

/// An assignment among hosts, where Ansible takes it for a host of an odd name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stray {
    /// What stands before `=`.
    pub key: String,
    /// Line number, from 1.
    pub line: usize,
    /// The section it stands in, where that is one of an option file of servers or clients.
    pub section: Option<String>,
}

/// A file that was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    /// The variables of `localhost`, merged: `all`, parent groups, child groups, the host itself.
    pub vars: BTreeMap<String, Assigned>,
    /// Lines of `[mysqld]`, in order.
    pub options: Vec<MysqldOption>,
    /// Variables that other hosts and groups have and `localhost` has not, with their lines.
    pub unseen: Vec<(String, usize)>,
    /// Hosts whose name looks like `key=value`, with their lines: settings in a section of hosts.
    pub strays: Vec<Stray>,
}

/// A file of which some lines were refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The refused lines, at least one.
    pub faults: Vec<Fault>,
    /// What the other lines say, so that their problems can be told at the same time.
    pub rest: Inventory,
}

/// Reads a file.
///
/// # Errors
/// Every line that Ansible would refuse, and bytes that are no text.
pub fn parse(bytes: &[u8]) -> Result<Inventory, Broken> {
    let text =
        decode(bytes, Form::Inventory).map_err(|fault| Broken { faults: vec![fault], rest: Inventory::default() })?;
    let mut reader = Reader::new();
    for (index, line) in lines(text).enumerate() {
        reader.line = index + 1;
        if let Err(problem) = reader.read(strip(line)) {
            reader.faults.push(Fault { line: index + 1, problem });
        }
    }
    reader.finish()
}

/// Writes variables and server options as a file that [`parse`] reads back.
#[must_use]
pub fn render(vars: &BTreeMap<String, String>, options: &BTreeMap<String, String>) -> String {
    let mut text = String::from("[all:vars]\n");
    for (key, value) in vars {
        let _ = writeln!(text, "{key}={}", write(value));
    }
    text.push_str("\n[template_target]\nlocalhost\n");
    if !options.is_empty() {
        text.push_str("\n[mysqld]\n");
        for (name, value) in options {
            let _ = if value.is_empty() { writeln!(text, "{name}") } else { writeln!(text, "{name} = {value}") };
        }
    }
    text
}

/// What the lines of the current section are.
#[derive(Clone, Copy, PartialEq)]
enum Section {
    Hosts,
    Vars,
    Children,
    Options,
    /// The header was wrong: its lines would only repeat the complaint.
    Broken,
}

/// A group that is used but not declared yet.
struct Pending {
    line: usize,
    /// Groups that name it as a child; empty if it only has variables.
    parents: Vec<String>,
}

struct Reader {
    line: usize,
    section: Section,
    group: String,
    groups: Groups,
    pending: BTreeMap<String, Pending>,
    hosts: usize,
    inventory: Inventory,
    faults: Vec<Fault>,
}

impl Reader {
    fn new() -> Self {
        Self {
            line: 0,
            section: Section::Hosts,
            group: groups::UNGROUPED.to_owned(),
            groups: Groups::new(),
            pending: BTreeMap::new(),
            hosts: 0,
            inventory: Inventory::default(),
            faults: Vec::new(),
        }
    }

    fn read(&mut self, line: &str) -> Result<(), String> {
        if line.is_empty() || line.starts_with(['#', ';']) {
            return Ok(());
        }
        if let Some((group, kind)) = header(line) {
            self.section = Section::Broken;
            self.section = self.open(group, kind)?;
            return Ok(());
        }
        let read =
            if line.starts_with('[') && line.ends_with(']') { Err(NO_HEADER.to_owned()) } else { self.content(line) };
        if read.is_err() && line.starts_with('[') {
            self.section = Section::Broken;
            return Err(NO_HEADER.to_owned());
        }
        read
    }

    fn content(&mut self, line: &str) -> Result<(), String> {
        match self.section {
            Section::Hosts => self.host(line),
            Section::Vars => self.variable(line),
            Section::Children => self.child(line),
            Section::Options => {
                self.inventory.options.push(options::read(line, self.line)?);
                Ok(())
            }
            Section::Broken => Ok(()),
        }
    }

    fn open(&mut self, group: &str, kind: Option<&str>) -> Result<Section, String> {
        if group == MYSQLD {
            let problem = "`[mysqld]` takes server options; it has no `:vars` and no `:children`";
            return if kind.is_none() { Ok(Section::Options) } else { Err(problem.to_owned()) };
        }
        group.clone_into(&mut self.group);
        let section = match kind {
            None | Some("hosts") => Section::Hosts,
            Some("vars") => Section::Vars,
            Some("children") => Section::Children,
            Some(_) => return Err("has an unknown kind of section; expected `:vars` or `:children`".to_owned()),
        };
        if section == Section::Vars {
            if !self.groups.contains(&self.group) {
                let pending = Pending { line: self.line, parents: Vec::new() };
                self.pending.entry(self.group.clone()).or_insert(pending);
            }
            self.groups.declare(&self.group);
            return Ok(section);
        }
        self.groups.declare(&self.group);
        for parent in self.pending.remove(&self.group).into_iter().flat_map(|pending| pending.parents) {
            self.groups.add_child(&parent, &self.group)?;
        }
        Ok(section)
    }

    fn host(&mut self, line: &str) -> Result<(), String> {
        let words = hosts::words(line)?;
        let Some((pattern, assignments)) = words.split_first() else { return Err("names no host".to_owned()) };
        let names = hosts::expand(pattern, MAX_HOSTS)?;
        self.hosts += names.len();
        if self.hosts > MAX_HOSTS {
            return Err(format!("has too many hosts: at most {MAX_HOSTS} are read"));
        }
        if let Some((key, _)) = pattern.split_once('=') {
            let section = NOT_MYSQLD.contains(&self.group.as_str()).then(|| self.group.clone());
            self.inventory.strays.push(Stray { key: key.to_owned(), line: self.line, section });
        }
        let mut vars = Vec::new();
        for word in assignments {
            let (key, value) = word.split_once('=').ok_or_else(|| self.no_host())?;
            vars.push((key, self.assigned(value)?));
        }
        let mut noted = false;
        for name in names {
            self.groups.add_host(&name, &self.group);
            // Of a range of other hosts, one stands for all: their values are not used.
            if noted && !self.groups.owns(&name) {
                continue;
            }
            noted |= !self.groups.owns(&name);
            for (key, value) in &vars {
                self.groups.set(&name, key, value.clone())?;
            }
        }
        Ok(())
    }

    /// What to do about a line of hosts that holds something else.
    fn no_host(&self) -> String {
        if NOT_MYSQLD.contains(&self.group.as_str()) {
            return format!("`[{}]` is a group of hosts; server options stand under `[{MYSQLD}]`", self.group);
        }
        "expected a host, and `key=value` without blanks behind it; settings stand under `[all:vars]`".to_owned()
    }

    fn variable(&mut self, line: &str) -> Result<(), String> {
        let (key, value) = line.split_once('=').ok_or(match line.find(':') {
            Some(_) => "expected `key=value`, with `=` in place of `:`",
            None => "expected `key=value`",
        })?;
        let value = self.assigned(strip(value)).map_err(|problem| format!("{}: {problem}", strip(key)))?;
        self.groups.set(&self.group, strip(key), value)
    }

    fn assigned(&self, value: &str) -> Result<Assigned, String> {
        let literal = read(value)?;
        let doubt = match &literal {
            Literal::Number(number) if value.split('#').next().map(str::trim) != Some(number) => Some(Doubt::Number),
            Literal::Text(text) if text == value && text.contains(" #") => Some(Doubt::Comment),
            _ => None,
        };
        Ok(Assigned { value: literal, line: self.line, doubt })
    }

    fn child(&mut self, line: &str) -> Result<(), String> {
        let end = line.find(|c: char| c.is_whitespace() || matches!(c, ':' | ']')).unwrap_or(line.len());
        let (name, rest) = line.split_at(end);
        let rest = rest.trim_start();
        if name.is_empty() || !(rest.is_empty() || rest.starts_with('#')) {
            return Err("expected the name of a group".to_owned());
        }
        if self.groups.contains(name) {
            return self.groups.add_child(&self.group, name);
        }
        let pending = Pending { line: self.line, parents: Vec::new() };
        self.pending.entry(name.to_owned()).or_insert(pending).parents.push(self.group.clone());
        Ok(())
    }

    fn finish(mut self) -> Result<Inventory, Broken> {
        for (name, pending) in self.pending {
            let problem = match pending.parents.last() {
                Some(parent) => format!("the group `{parent}` includes `{name}`, which is declared nowhere"),
                None => format!("has variables of `{name}`, but there is no section `[{name}]`"),
            };
            self.faults.push(Fault { line: pending.line, problem });
        }
        let (vars, unseen) = self.groups.seen_here();
        let inventory = Inventory { vars, unseen, ..self.inventory };
        if self.faults.is_empty() {
            return Ok(inventory);
        }
        self.faults.sort_by_key(|fault| fault.line);
        Err(Broken { faults: self.faults, rest: inventory })
    }
}

/// Group and kind of a section header; a comment may follow it, but only one with `#`.
fn header(line: &str) -> Option<(&str, Option<&str>)> {
    let (inner, rest) = line.strip_prefix('[')?.split_once(']')?;
    let rest = rest.trim_start();
    let (group, kind) = inner.split_once(':').map_or((inner, None), |(group, kind)| (group, Some(kind)));
    let word = |kind: &str| !kind.is_empty() && kind.chars().all(|c| c.is_alphanumeric() || c == '_');
    let fine = !group.is_empty()
        && !group.contains(char::is_whitespace)
        && kind.is_none_or(word)
        && (rest.is_empty() || rest.starts_with('#'));
    fine.then_some((group, kind))
}
