//! Settings: what `galera.conf`, the profiles, the environment and flags say, merged and judged.
//!
//! One vocabulary of `galera_*` keys serves all of them. [`load`] reads, [`SETTINGS`] is the table from which
//! validation, example files and the reference page come, and [`Settings::rows`] says where each value is from.

mod guide;
pub mod inventory;
mod iscsi;
mod keys;
mod kind;
mod list;
mod list_backup;
mod list_network;
mod list_resources;
mod merge;
mod mysqld;
mod origin;
pub mod ranges;
mod resolve;
mod said;
mod show;
mod suggest;
mod table;
mod topic;
mod units;
mod variant;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::desired::{Desired, Passwords};
use crate::error::{Failure, Kind as FailureKind, Result};

pub use guide::{example, reference};
use inventory::MysqldOption;
pub use kind::{Kind, image_named as image};
use merge::{Given, Merge};
pub use origin::{Origin, Value};
use resolve::Resolver;
pub use show::Row;
pub use suggest::suggest;
pub use table::{SETTINGS, Setting, find, nearest};
pub use topic::Topic;
pub use units::{bytes, span};
pub use variant::Variant;

/// The file that is used when none is named.
pub const DEFAULT_FILE: &str = "galera.conf";

/// What precedes a server option among [`Settings::values`].
const OPTION_PREFIX: &str = "mysqld.";

/// Everything that settings can come from; `Debug` keeps back what may be passwords.
#[derive(Clone, Default)]
pub struct Input {
    /// File that the user named.
    pub file: Option<PathBuf>,
    /// Option file of a server whose options are taken over.
    pub my_cnf: Option<PathBuf>,
    /// Whether [`DEFAULT_FILE`] in the working directory counts when no file is named.
    pub use_default_file: bool,
    /// Profile that the user named.
    pub profile: Option<String>,
    /// The environment, as names and values.
    pub environment: Vec<(String, String)>,
    /// Arguments of `--set`, each `key=value`.
    pub sets: Vec<String>,
    /// Flags that stand for one key; they go before `--set`.
    pub flags: Vec<Flag>,
    /// Namespace of the kubeconfig context, for want of any other.
    pub fallback_namespace: Option<String>,
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Input");
        shown
            .field("file", &self.file)
            .field("my_cnf", &self.my_cnf)
            .field("profile", &self.profile)
            .field("flags", &self.flags);
        shown.finish_non_exhaustive()
    }
}

/// A flag that stands for one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// The flag as the user knows it, for messages: `--nodes`.
    pub flag: String,
    /// The key that it sets.
    pub key: &'static str,
    /// Its argument.
    pub text: String,
}

impl Flag {
    /// A flag that sets the cluster's name.
    pub fn name(flag: impl Into<String>, text: impl Into<String>) -> Self {
        Self { flag: flag.into(), key: keys::NAME, text: text.into() }
    }

    /// A flag that sets the namespace.
    pub fn namespace(flag: impl Into<String>, text: impl Into<String>) -> Self {
        Self { flag: flag.into(), key: keys::NAMESPACE, text: text.into() }
    }

    /// A flag that turns backups on.
    pub fn backup(flag: impl Into<String>) -> Self {
        Self { flag: flag.into(), key: keys::BACKUP, text: "yes".to_owned() }
    }

    /// A flag that sets the number of nodes.
    pub fn nodes(flag: impl Into<String>, text: impl Into<String>) -> Self {
        Self { flag: flag.into(), key: keys::NODES, text: text.into() }
    }
}

/// A file's name and bytes.
#[derive(Clone)]
pub struct Source {
    /// The name for messages.
    pub name: String,
    /// The content, which may hold passwords.
    pub bytes: Vec<u8>,
}

/// Merged settings that hold together.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The cluster.
    pub desired: Desired,
    /// The passwords that were given.
    pub passwords: Passwords,
    /// Where the volumes come from.
    pub variant: Variant,
    /// Every value that holds, with what set it; server options are `mysqld.<option>`, a bare flag is empty.
    pub values: BTreeMap<String, Value>,
    /// What the user should know, one sentence each.
    pub notices: Vec<String>,
}

/// Reads, merges and judges the settings.
///
/// # Errors
/// A file that cannot be read, and all problems of its content, one per line of the message.
pub fn load(input: &Input) -> Result<Settings> {
    let path = match &input.file {
        Some(path) => Some(path.as_path()),
        None => Some(Path::new(DEFAULT_FILE)).filter(|path| input.use_default_file && path.exists()),
    };
    let source = path.map(read_file).transpose()?;
    let mut settings = load_from(input, source.as_ref())?;
    settings.notices.extend(path.and_then(beside));
    Ok(settings)
}

/// Folders that Ansible reads together with an inventory, and nobody reads here.
fn beside(file: &Path) -> Option<String> {
    let folder = file.parent()?;
    let found: Vec<&str> = ["group_vars", "host_vars"].into_iter().filter(|name| folder.join(name).is_dir()).collect();
    (!found.is_empty()).then(|| {
        format!(
            "{} beside {} is not read; what the cluster needs of it belongs under `[all:vars]`",
            found.join(" and "),
            file.display()
        )
    })
}

/// Like [`load`], with the content of the settings file at hand; `input.file` does not count.
///
/// # Errors
/// As [`load`].
pub fn load_from(input: &Input, source: Option<&Source>) -> Result<Settings> {
    let mut merge = Merge::default();
    let at_source = match source {
        Some(source) => Origin::File { name: source.name.clone(), line: 0 },
        None => Origin::Flag("--profile".to_owned()),
    };
    let mut given = Vec::new();
    let mut options = BTreeMap::new();
    if let Some(source) = source {
        let inventory = parse(source, &mut merge);
        given = merge.file(&source.name, &inventory);
        options = server_options(&source.name, inventory.options, &mut merge);
    }
    if let Some(path) = &input.my_cnf {
        let mut brought = brought_options(&read_file(path)?, &options, &mut merge);
        brought.append(&mut options);
        options = brought;
    }
    given.extend(merge.environment(&input.environment));
    given.extend(merge.sets(&input.sets));
    for flag in &input.flags {
        given.push(Given::new(flag.key, flag.text.as_str(), Origin::Flag(flag.flag.clone())));
    }
    let asked = match input.profile.as_deref().map(str::parse::<Variant>) {
        Some(Err(problem)) => {
            merge.problems.add(&Origin::Flag("--profile".to_owned()), problem);
            None
        }
        Some(Ok(variant)) => Some(variant),
        None => None,
    };
    let variant = variant::choose(asked, &merge::on_top(&given), &mut merge.problems);
    merge.lay(variant, given);
    fall_back(&mut merge, input);
    // Rules over several keys would only repeat what is already known to be wrong.
    if !merge.problems.none() {
        return Err(merge.problems.into_failure());
    }
    let Merge { mut values, mut problems, mut notices } = merge;
    let mut resolver =
        Resolver { variant, values: &mut values, source: at_source, problems: &mut problems, notices: &mut notices };
    let desired = resolver.desired(options);
    let passwords = resolver.passwords();
    match desired {
        Some(desired) if problems.none() => Ok(Settings { desired, passwords, variant, values, notices }),
        _ => Err(problems.into_failure()),
    }
}

/// The options for the server; they are shown among the other values.
fn server_options(name: &str, lines: Vec<MysqldOption>, merge: &mut Merge) -> BTreeMap<String, String> {
    let at = |line| Origin::File { name: name.to_owned(), line };
    let options = mysqld::options(lines).unwrap_or_else(|problems| {
        for (line, problem) in problems {
            merge.problems.add(&at(line), problem);
        }
        BTreeMap::new()
    });
    for (option, line) in &options {
        merge.values.insert(format!("{OPTION_PREFIX}{option}"), Value::new(&line.value, false, at(line.line)));
    }
    options.into_iter().map(|(option, line)| (option, line.value)).collect()
}

/// Options of a server elsewhere. What is galeractl's to set is left out with a notice, for a server's own file is full of
/// it; what the settings file says as well holds as it stands there.
fn brought_options(source: &Source, settled: &BTreeMap<String, String>, merge: &mut Merge) -> BTreeMap<String, String> {
    let at = |line| Origin::File { name: source.name.clone(), line };
    let file = match inventory::option_file::read(&source.bytes) {
        Ok(file) => file,
        Err(faults) => {
            for fault in faults {
                merge.problems.add(&at(fault.line), fault.problem);
            }
            return BTreeMap::new();
        }
    };
    if !file.others.is_empty() {
        let others: Vec<String> = file.others.iter().map(|name| format!("[{name}]")).collect();
        merge.notices.push(format!(
            "{}: sections that servers do not read are left out: {}",
            source.name,
            others.join(", ")
        ));
    }
    if file.options.is_empty() {
        merge.notices.push(format!("{} has no options of a server", source.name));
    }
    let mut theirs = Vec::new();
    for line in file.options {
        if let Some(why) = mysqld::taken(&line) {
            merge.notices.push(format!("{}: {} is left out: {why}", at(line.line), line.name));
        } else if !settled.keys().any(|known| mysqld::is_same_option(known, &line.name)) {
            theirs.push(line);
        }
    }
    server_options(&source.name, theirs, merge)
}

fn parse(source: &Source, merge: &mut Merge) -> inventory::Inventory {
    inventory::parse(&source.bytes).unwrap_or_else(|broken| {
        for fault in broken.faults {
            let origin = Origin::File { name: source.name.clone(), line: fault.line };
            merge.problems.add(&origin, fault.problem);
        }
        broken.rest
    })
}

fn fall_back(merge: &mut Merge, input: &Input) {
    let key = keys::NAMESPACE;
    if merge.values.contains_key(key) {
        return;
    }
    let (text, origin) = match input.fallback_namespace.as_deref().filter(|text| !text.is_empty()) {
        Some(text) => (text, Origin::Context),
        None => ("default", Origin::Default),
    };
    match Kind::Namespace.check(text) {
        Ok(()) => {
            merge.values.insert(key.to_owned(), Value::new(text, false, origin));
        }
        Err(problem) => merge.problems.add(&origin, problem),
    }
}

fn read_file(path: &Path) -> Result<Source> {
    let name = path.display().to_string();
    let cannot =
        |error: std::io::Error| Failure::message(FailureKind::Usage, format!("{name}: cannot be read: {error}"));
    let mut bytes = Vec::new();
    let limit = inventory::MAX_SIZE as u64 + 1;
    std::fs::File::open(path).map_err(cannot)?.take(limit).read_to_end(&mut bytes).map_err(cannot)?;
    Ok(Source { name, bytes })
}
