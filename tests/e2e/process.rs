//! Running the binary.

use std::borrow::Borrow;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::process::Stdio;
use std::time::{Duration, Instant};

use galeractl::engine::event::{Change, Event, Stamped};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};
use tokio::task::JoinHandle;

use crate::place::{Place, options};

/// A process that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(240);
/// As many of its last lines are told then.
const NEWEST: usize = 60;

/// Step, object, and what is done to it.
pub(crate) type Act = [String; 3];

/// What a process left.
#[derive(Debug, Clone)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A process that runs.
pub(crate) struct Running<'a> {
    place: &'a Place,
    command: String,
    child: Child,
    lines: Lines<BufReader<ChildStderr>>,
    stdout: JoinHandle<String>,
    stderr: String,
    begun: Instant,
}

impl Place {
    /// The binary with nothing of the surroundings but a home of the test's own.
    pub(crate) fn command(&self, args: &[impl AsRef<OsStr>]) -> std::process::Command {
        let home = self.home.path();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_galeractl"));
        command
            .args(args)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("HOME", home)
            .env("XDG_STATE_HOME", home.join("state"))
            .env("NO_COLOR", "1")
            .env("USER", "tester")
            .current_dir(home);
        command
    }

    /// A process without any arguments but the given ones.
    pub(crate) fn bare<S: AsRef<OsStr> + Borrow<str>>(&self, args: &[S]) -> Running<'_> {
        let mut command = Command::from(self.command(args));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("the binary can be run");
        let mut out = child.stdout.take().unwrap();
        let stdout = tokio::spawn(async move {
            let mut text = String::new();
            out.read_to_string(&mut text).await.unwrap();
            text
        });
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let command = format!("galeractl {}", args.join(" "));
        Running { place: self, command, child, lines, stdout, stderr: String::new(), begun: Instant::now() }
    }

    /// A process that talks to the test's Kubernetes, and is told nothing else.
    pub(crate) fn reaching(&self, args: &[&str]) -> Running<'_> {
        self.bare(&to_kubernetes(args))
    }

    /// A process that works on the test's cluster.
    pub(crate) fn start(&self, args: &[&str]) -> Running<'_> {
        self.reaching(&self.of_cluster(args))
    }

    /// These arguments, and which cluster is meant.
    pub(crate) fn of_cluster<'a>(&'a self, args: &[&'a str]) -> Vec<&'a str> {
        [args, &["--namespace", self.namespace.as_str(), "--name", self.cluster.as_str()]].concat()
    }

    /// Runs a verb to its end.
    pub(crate) async fn run(&self, args: &[&str]) -> Ran {
        self.start(args).end().await
    }

    /// `up` with events as JSON lines, to its end.
    pub(crate) async fn up(&self, args: &[&str]) -> Ran {
        self.start(&[&["up", "--progress", "json"], args].concat()).end().await
    }

    /// `verify`: exit code, and the ids of the checks that failed.
    pub(crate) async fn verify(&self) -> (Option<i32>, Vec<String>) {
        let ran = self.run(&["verify", "-o", "json"]).await;
        assert!(!ran.stdout.is_empty(), "verify has no answer: {ran:?}");
        let report = ran.json();
        let checks = report["checks"].as_array().unwrap();
        let failed = checks.iter().filter(|check| check["mark"] == "fail");
        (ran.code, failed.map(|check| check["id"].as_str().unwrap().to_owned()).collect())
    }

    /// Waits until the cluster is healthy by its own verdict.
    pub(crate) async fn healthy(&self) {
        let report = self.run(&["verify", "-o", "json", "--wait", "150s"]).await.ended(0).json();
        assert_eq!(report["healthy"], true, "{report}");
    }
}

impl Running<'_> {
    /// Reads until an event passes the test; `false` if the process ends before that.
    pub(crate) async fn reaches(&mut self, mut pass: impl FnMut(&Event) -> bool) -> bool {
        let reading = async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                self.stderr.push_str(&line);
                self.stderr.push('\n');
                if event(&line).is_some_and(|event| pass(&event)) {
                    return true;
                }
            }
            false
        };
        let reached = tokio::time::timeout(LIMIT, reading).await;
        reached.unwrap_or_else(|_| {
            let newest: Vec<&str> = self.stderr.lines().rev().take(NEWEST).collect();
            panic!("{} still runs after {LIMIT:?}; newest first:\n{}", self.command, newest.join("\n"))
        })
    }

    /// What Ctrl-C sends.
    pub(crate) fn interrupt(&self) {
        let id = self.child.id().expect("it still runs").to_string();
        assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    }

    /// Kills it without warning.
    pub(crate) async fn kill(mut self) -> Ran {
        self.child.kill().await.unwrap();
        self.end().await
    }

    /// Waits for its end.
    pub(crate) async fn end(mut self) -> Ran {
        self.reaches(|_| false).await;
        let status = self.child.wait().await.unwrap();
        let stdout = self.stdout.await.unwrap();
        let Self { place, command, stderr, begun, .. } = self;
        eprintln!("{:.1} s: {command}", begun.elapsed().as_secs_f32());
        place.said.lock().unwrap().push_str(&format!("$ {command}\n{stdout}{stderr}"));
        Ran { code: status.code(), stdout, stderr }
    }
}

/// These arguments, and where the test's Kubernetes is.
pub(crate) fn to_kubernetes(args: &[&str]) -> Vec<String> {
    let options = options();
    let kubeconfig = options.kubeconfig.map(|path| path.display().to_string());
    let place = [("--kubeconfig", kubeconfig), ("--context", options.context)];
    let given = place.into_iter().filter_map(|(flag, value)| Some([flag.to_owned(), value?]));
    args.iter().map(ToString::to_string).chain(given.flatten()).collect()
}

fn event(line: &str) -> Option<Event> {
    serde_json::from_str::<Stamped>(line).ok().map(|stamped| stamped.event)
}

/// The first that happens to each object, and whether it goes.
fn remarkable(all: impl Iterator<Item = Act>) -> BTreeSet<Act> {
    let mut acts: BTreeSet<Act> = BTreeSet::new();
    for [step, object, word] in all {
        if word == "delete" || !acts.iter().any(|[_, known, _]| *known == object) {
            acts.insert([step, object, word]);
        }
    }
    acts
}

impl Ran {
    /// # Panics
    /// With everything it said, if it ended otherwise.
    pub(crate) fn ended(self, code: i32) -> Self {
        let last = self.stderr.lines().last().unwrap_or_default();
        assert_eq!(self.code, Some(code), "{last}\nstdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Its result as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Events that it told.
    pub(crate) fn events(&self) -> Vec<Event> {
        self.stderr.lines().filter_map(event).collect()
    }

    /// Identifier of the run.
    pub(crate) fn id(&self) -> String {
        let id = self.events().into_iter().find_map(|event| match event {
            Event::RunStarted { run, .. } => Some(run),
            _ => None,
        });
        id.unwrap_or_else(|| panic!("no run began: {self:?}"))
    }

    /// Its last word: message and hints.
    pub(crate) fn last_word(&self) -> (String, Vec<String>) {
        match self.events().pop() {
            Some(Event::RunFinished { message, hints, .. }) => (message, hints),
            _ => panic!("the run did not end by itself: {self:?}"),
        }
    }

    /// What the table of a dry run says that would be done.
    pub(crate) fn rehearsed(&self) -> BTreeSet<Act> {
        // The question that a run would ask stands before it.
        let mut rows = self.stdout.lines().skip_while(|line| !line.starts_with("STEP "));
        assert!(rows.next().is_some(), "there is no table: {self:?}");
        let acts = rows.map(|line| {
            let row: Vec<&str> = line.split_whitespace().collect();
            let [step, object, change] = row[..] else { panic!("{row:?} in {self:?}") };
            [step, object, change].map(str::to_owned)
        });
        remarkable(acts.filter(|[_, _, change]| change != "keep"))
    }

    /// What was done, in the words of a dry run.
    pub(crate) fn acts(&self) -> BTreeSet<Act> {
        let acts = self.events().into_iter().filter_map(|event| {
            let Event::Object { step, object, change } = event else { return None };
            let word = match change {
                Change::Kept => return None,
                Change::Created => "create",
                Change::Changed => "change",
                Change::Deleted => "delete",
            };
            Some([step, object, word.to_owned()])
        });
        remarkable(acts)
    }

    /// Objects that it made, changed or removed.
    pub(crate) fn changes(&self) -> Vec<String> {
        let changes = self.events().into_iter().filter_map(|event| match event {
            Event::Object { change: Change::Kept, .. } => None,
            Event::Object { object, change, .. } => Some(format!("{change:?} {object}")),
            _ => None,
        });
        changes.collect()
    }
}
