//! The journal: the events of each run as one file of JSON lines, written as they happen.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;

use super::account;
use super::event::{Event, Level, Stamped};
use super::{Events, Sink};
use crate::error::{Failure, Kind, OrFail, Result};

/// Older files are removed when a run begins.
const KEPT: usize = 200;
const EXTENSION: &str = "jsonl";

/// Where journals live: `$XDG_STATE_HOME/galeractl/runs`, by default below `~/.local/state`. `variable` reads the
/// environment. Nothing, if there is no home.
#[must_use]
pub fn directory(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    // The XDG specification has relative paths ignored.
    let absolute = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")))?;
    Some(state.join("galeractl/runs"))
}

/// Identifier of a run that begins at this moment: sortable by time, unique, safe in a file name.
#[must_use]
pub fn run_id(now: Timestamp) -> String {
    // Without letters and digits that look alike.
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let tail: String = (0..4).map(|_| char::from(ALPHABET[rand::random_range(0..ALPHABET.len())])).collect();
    format!("{}-{tail}", now.strftime("%Y%m%d-%H%M%S"))
}

/// Writes the events of one run.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
}

impl Journal {
    /// Creates the file of a run, readable by its owner only, and removes the oldest files.
    ///
    /// # Errors
    /// The directory or the file cannot be made; a run can go on without its journal.
    pub fn create(directory: &Path, run: &str) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let path = directory.join(run).with_extension(EXTENSION);
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&path)?;
        // Old files that cannot be removed do no harm.
        let _ = prune(directory);
        Ok(Self { path, file })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Sink for Journal {
    fn name(&self) -> String {
        format!("the run journal {}", self.path.display())
    }

    fn event(&mut self, event: &Stamped) -> io::Result<()> {
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        // One write per line: a process that is killed leaves whole lines.
        self.file.write_all(&line)
    }
}

/// Starts the events of a run with its screen and its journal. A journal that cannot be written is a notice: nothing
/// depends on it. Needs a tokio runtime.
pub fn start(screen: Box<dyn Sink>, run: &str, variable: impl Fn(&str) -> Option<OsString>) -> Events {
    let missing = || io::Error::other("neither XDG_STATE_HOME nor HOME names a directory");
    let journal = directory(variable).ok_or_else(missing).and_then(|directory| Journal::create(&directory, run));
    match journal {
        Ok(journal) => Events::start(vec![screen, Box::new(journal)]),
        Err(error) => {
            let events = Events::start(vec![screen]);
            events.notice(Level::Warning, format!("this run has no journal: {error}"));
            events
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "result", content = "exit_code")]
pub enum RunOutcome {
    /// Everything passed.
    Ok,
    /// It ended with this exit code.
    Failed(u8),
    /// It goes on, or it was killed.
    Unfinished,
}

/// One run in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunSummary {
    /// Identifier of the run.
    pub id: String,
    /// The verb.
    pub verb: String,
    /// Name of the cluster.
    pub cluster: String,
    /// Namespace of the cluster.
    pub namespace: String,
    /// Name of the kubeconfig context, where there is one.
    pub context: Option<String>,
    /// When it began.
    pub started: Timestamp,
    /// How long it took, or until its last sign of life.
    pub elapsed_ms: u64,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: RunOutcome,
}

/// All runs, newest first. Files that are no journals are left out.
///
/// # Errors
/// The directory exists but cannot be read.
pub fn list(directory: &Path) -> Result<Vec<RunSummary>> {
    let mut ids = ids(directory).or_fail(Kind::Usage)?;
    ids.reverse();
    Ok(ids.into_iter().filter_map(|id| summary(&file(directory, &id), id)).collect())
}

/// The events of the run with this id, or with the only id that begins or ends like this.
///
/// # Errors
/// There is no such run, more than one, or its file cannot be read.
pub fn read(directory: &Path, id: &str) -> Result<(String, Vec<Stamped>)> {
    let ids = ids(directory).or_fail(Kind::Usage)?;
    let fits = |run: &&String| !id.is_empty() && (run.starts_with(id) || run.ends_with(id));
    let matching: Vec<&String> = ids.iter().filter(fits).collect();
    let run = match matching[..] {
        [run] => run,
        [] => {
            let failure = Failure::message(Kind::Usage, format!("there is no run `{id}`"));
            return Err(failure.hint("galeractl runs list"));
        }
        [first, second, ..] => {
            let message = format!("`{id}` fits {} runs, among them `{first}` and `{second}`", matching.len());
            return Err(Failure::message(Kind::Usage, message));
        }
    };
    let path = file(directory, run);
    let events =
        events(&path).or_fail(Kind::Usage).map_err(|f| f.context(format!("cannot read {}", path.display())))?;
    Ok((run.clone(), events))
}

fn file(directory: &Path, id: &str) -> PathBuf {
    directory.join(id).with_extension(EXTENSION)
}

/// Ids of all runs, oldest first; none if nothing was ever written.
fn ids(directory: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let id = |entry: io::Result<fs::DirEntry>| {
        let path = entry.ok()?.path();
        let journal = path.extension().is_some_and(|extension| extension == EXTENSION);
        path.file_stem().filter(|_| journal)?.to_str().map(str::to_owned)
    };
    let mut ids: Vec<String> = entries.filter_map(id).collect();
    ids.sort_unstable();
    Ok(ids)
}

fn prune(directory: &Path) -> io::Result<()> {
    let ids = ids(directory)?;
    for id in &ids[..ids.len().saturating_sub(KEPT)] {
        fs::remove_file(file(directory, id))?;
    }
    Ok(())
}

/// All events of a file. Lines that cannot be understood are left out: the last one is torn when the machine died, and
/// a newer version may know more events.
fn events(path: &Path) -> io::Result<Vec<Stamped>> {
    let lines = BufReader::new(File::open(path)?).split(b'\n');
    let lines: Vec<Vec<u8>> = lines.collect::<io::Result<_>>()?;
    Ok(lines.iter().filter_map(|line| serde_json::from_slice(line).ok()).collect())
}

fn summary(path: &Path, id: String) -> Option<RunSummary> {
    let events = events(path).ok()?;
    let Event::RunStarted { verb, cluster, namespace, context, .. } = &events.first()?.event else { return None };
    let outcome = match events.last()?.event {
        Event::RunFinished { ok: true, .. } => RunOutcome::Ok,
        Event::RunFinished { exit_code, .. } => RunOutcome::Failed(exit_code),
        _ => RunOutcome::Unfinished,
    };
    Some(RunSummary {
        id,
        verb: verb.clone(),
        cluster: cluster.clone(),
        namespace: namespace.clone(),
        context: context.clone(),
        started: events.first()?.at,
        elapsed_ms: super::event::millis(account::total(&events)),
        outcome,
    })
}

#[cfg(test)]
#[path = "journal_tests.rs"]
pub(crate) mod tests;
