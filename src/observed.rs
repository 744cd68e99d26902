//! One look at a cluster: every member's pod, log and SQL answer, the proxy, the volumes. Data only.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use serde::Serialize;

use crate::desired::ExternalAccess;
use crate::names::Member;
use crate::wsrep::volume::{Contents, Evidence, Held};
use crate::wsrep::{Position, Report, Uuid, WsrepStatus, words};

/// What is known about a cluster at one moment. Members are sampled at slightly different times.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// Members that have a pod, or should have one.
    pub members: BTreeMap<Member, MemberView>,
    /// The proxy's pods.
    pub proxy: ProxyView,
    /// Claims by name.
    pub claims: BTreeMap<String, ClaimView>,
    /// Something in the namespace that stops the cluster's objects from becoming pods or volumes.
    pub trouble: Option<Trouble>,
}

/// One member's pod, its log and its server's answer.
#[derive(Debug, Clone, Default)]
pub struct MemberView {
    /// The pod.
    pub pod: PodView,
    /// The newest answer of its server: `None` while nobody has asked.
    pub sql: Option<Result<WsrepStatus, SqlSilence>>,
    /// What its log has said.
    pub log: LogView,
    /// What its own health endpoint says of its volume: `prepared` or `kept` by a restore, put `aside` for a copy, `emptied`
    /// under its server.
    pub left: Vec<String>,
    /// Restarts of its container before anybody looked: they say nothing about what goes on now.
    pub restarts_before: u32,
}

/// A pod, as far as a member's life depends on it.
#[expect(clippy::struct_excessive_bools, reason = "each is an independent fact that Kubernetes tells")]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodView {
    /// Whether the pod exists.
    pub exists: bool,
    /// Deletion has begun.
    pub leaving: bool,
    /// Its container runs.
    pub running: bool,
    /// It has ended and will not be restarted.
    pub ended: bool,
    /// Kubernetes calls it ready.
    pub ready: bool,
    /// Times its container was restarted by kubelet in the pod's whole life.
    pub restarts: u32,
    /// Host it runs on.
    pub host: Option<String>,
    /// Its address.
    pub address: Option<String>,
    /// Identity of this incarnation.
    pub uid: Option<String>,
    /// Image that its server was made with.
    pub image: Option<String>,
    /// Sum of the scripts and options that it was made with.
    pub config: Option<String>,
    /// Whether it was made from an earlier version of its template; `None` where that is not known, or there is none.
    pub outdated: Option<bool>,
    /// One phrase: `running`, `pulling image`, `no pod`, ….
    pub phrase: String,
    /// What keeps it from running.
    pub trouble: Option<Trouble>,
}

/// Why something does not get on, in words for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Trouble {
    /// Waiting does not help.
    pub fatal: bool,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

/// Why a server gave no status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "silence", content = "message", rename_all = "kebab-case")]
pub enum SqlSilence {
    /// Nobody listens: the server starts, receives a transfer, or is gone.
    Closed(String),
    /// The password is wrong.
    Denied(String),
    /// It does not prove to be the server that is meant.
    Untrusted(String),
    /// It listens, but does not answer as it should.
    Broken(String),
}

impl SqlSilence {
    /// The reason as text.
    #[must_use]
    pub fn message(&self) -> &str {
        let (Self::Closed(message) | Self::Denied(message) | Self::Untrusted(message) | Self::Broken(message)) = self;
        message
    }
}

/// The proxy's pods together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProxyView {
    /// Whether its Deployment exists.
    pub exists: bool,
    /// Replicas that it should have.
    pub wanted: u32,
    /// Replicas that are available.
    pub available: u32,
    /// Names of pods that run.
    pub pods: Vec<String>,
    /// Those of them that were made with another image or another configuration than the present one.
    pub outdated: Vec<String>,
    /// What keeps it from running.
    pub trouble: Option<Trouble>,
}

/// One claim.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ClaimView {
    /// `Pending`, `Bound` or `Lost`.
    pub phase: String,
    /// Capacity, as Kubernetes writes it.
    pub capacity: Option<String>,
    /// Its storage class.
    pub class: Option<String>,
    /// Its volume.
    pub volume: Option<String>,
    /// The uuid recorded at it.
    pub recorded: Option<Uuid>,
    /// Deletion has begun; it is gone as soon as no pod uses it.
    pub leaving: bool,
    /// Its node has left the cluster in good order.
    pub left: bool,
    /// What keeps it from being bound.
    #[serde(skip)]
    pub trouble: Option<Trouble>,
}

/// One way into the cluster from outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exposed {
    /// The Service.
    pub name: String,
    /// Its kind.
    pub way: ExternalAccess,
    /// Where a client connects to; empty while no address is assigned.
    pub hosts: Vec<String>,
    /// The port there.
    pub port: u16,
    /// Address ranges that may come in; empty for everybody.
    pub allow: Vec<String>,
    /// When it is over, RFC 3339.
    pub until: Option<String>,
}

impl Exposed {
    /// Whether its time is over.
    #[must_use]
    pub fn expired(&self, now: Timestamp) -> bool {
        self.until.as_deref().and_then(|until| until.parse::<Timestamp>().ok()).is_some_and(|until| until <= now)
    }

    /// One line for people.
    #[must_use]
    pub fn describe(&self, now: Timestamp) -> String {
        let hosts = if self.hosts.is_empty() { "no address yet".to_owned() } else { self.hosts.join(", ") };
        let from = if self.allow.is_empty() { "everybody".to_owned() } else { self.allow.join(", ") };
        let until = match &self.until {
            Some(until) if self.expired(now) => format!(", over since {until}"),
            Some(until) => format!(", until {until}"),
            None => String::new(),
        };
        format!("service/{} at {hosts} port {}, open to {from}{until}", self.name, self.port)
    }
}

/// What a member's log has said so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LogView {
    /// Whose log it is, as it says itself.
    pub own: Option<Member>,
    /// Phase that its start script is in.
    pub phase: Option<String>,
    /// Position found on its volume at the last start.
    pub position: Option<Position>,
    /// A database was found at the last start, but it has no position.
    pub undefined: bool,
    /// What its volume held at the last start.
    pub volume: Option<Evidence>,
    /// Bytes on its volume, while a transfer is received.
    pub received: Option<u64>,
    /// Only the write sets that it lacks are transferred.
    pub incremental: bool,
    /// Who gives the transfer.
    pub donor: Option<String>,
    /// Why its start script refused to go on.
    pub refused: Option<String>,
    /// Times its server died and was started again within the container.
    pub crashes: u32,
    /// Who keeps its server down.
    pub held: Option<Held>,
    /// Where its data was put aside, or why it was not.
    pub rebuilt: Option<Result<String, String>>,
    /// How often it was asked to put its data aside.
    pub rebuilds: u32,
    /// Newest error lines of the server, newest last.
    pub errors: VecDeque<String>,
    /// No more of its log can be read: where the container has ended, all that it has said was.
    pub at_end: bool,
    /// Lines read, so that waiting can see whether anything happens.
    pub lines: u64,
}

/// How many error lines are kept for the message of a failure.
const KEPT_ERRORS: usize = 8;

impl LogView {
    /// Takes in one line of the container's log.
    pub fn read(&mut self, line: &str) {
        self.lines += 1;
        self.at_end = false;
        if let Some(report) = Report::parse(line) {
            self.take(&report);
        } else if let Some((joiner, donor)) = transfer_parties(line) {
            // Every member logs every transfer of the group.
            if self.own.is_some_and(|own| joiner.ends_with(&format!("-galera-{own}"))) {
                self.donor = Some(donor.to_owned());
            }
        } else if line.contains("Running IST") || line.contains("Receiving IST:") {
            self.incremental = true;
        } else if is_error(line) {
            self.errors.push_back(line.trim().to_owned());
            if self.errors.len() > KEPT_ERRORS {
                self.errors.pop_front();
            }
        }
    }

    fn take(&mut self, report: &Report) {
        self.own = report.member.or(self.own);
        match report.event.as_str() {
            "phase" => {
                self.phase = report.get("phase").map(str::to_owned);
                self.received = None;
                self.incremental = false;
                self.refused = None;
                self.held = None;
            }
            "volume" => {
                self.volume = Evidence::from_report(report, None).ok();
                self.position = None;
                self.undefined = false;
            }
            "position" => {
                self.position = report.parsed("position");
                self.undefined =
                    self.position.is_none() && self.volume.as_ref().is_none_or(|volume| !volume.is_blank());
            }
            "transfer" => self.received = report.parsed("bytes"),
            "refused" => self.refused = report.get("reason").map(str::to_owned),
            "hold" => self.held = Some(Held::from_report(report)),
            "rebuild" => {
                self.rebuilds += 1;
                let text = |key: &str| report.get(key).unwrap_or_default().to_owned();
                self.rebuilt =
                    Some(if report.get("done") == Some("yes") { Ok(text("aside")) } else { Err(text("reason")) });
            }
            "stopped" => self.phase = Some("stopped".to_owned()),
            "crash" => self.crashes = report.parsed("count").unwrap_or(self.crashes + 1),
            "wsrep" if report.get("status").is_some_and(|status| status.eq_ignore_ascii_case("synced")) => {
                self.phase = Some("up".to_owned());
                self.received = None;
            }
            _ => {}
        }
    }
}

fn is_error(line: &str) -> bool {
    line.contains("[ERROR]") || line.contains("WSREP_SST: [ERROR]") || line.starts_with("mariadbd: ")
}

/// `Member 1.0 (a) requested state transfer from '*any*'. Selected 0.0 (b)(SYNCED) as donor.` gives `a` and `b`.
fn transfer_parties(line: &str) -> Option<(&str, &str)> {
    let (request, choice) = line.split_once(". Selected ")?;
    let name = |text: &'_ str| -> Option<(usize, usize)> {
        let from = text.find('(')? + 1;
        Some((from, from + text[from..].find(')')?))
    };
    let request = &request[request.find("Member ")?..];
    let (joiner, donor) = (name(request)?, name(choice)?);
    choice.contains("as donor").then_some((&request[joiner.0..joiner.1], &choice[donor.0..donor.1]))
}

impl MemberView {
    /// The status, where its server gave one.
    #[must_use]
    pub fn status(&self) -> Option<&WsrepStatus> {
        self.sql.as_ref()?.as_ref().ok()
    }

    /// Whether it is part of a Primary component and up to date.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.status().is_some_and(WsrepStatus::is_synced)
    }

    /// Whether its container runs and waits for leave to start its server.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.pod.running && self.log.phase.as_deref() == Some("waiting")
    }

    /// Who keeps its server down, where its container runs without one.
    #[must_use]
    pub fn held(&self) -> Option<&Held> {
        self.log.held.as_ref().filter(|_| self.pod.running && !self.pod.leaving)
    }

    /// Whether its server has ended with its pod, by the word of its start script or of kubelet.
    #[must_use]
    pub fn has_stopped(&self) -> bool {
        self.pod.leaving && (!self.pod.running || self.log.phase.as_deref() == Some("stopped"))
    }

    /// Whether its server is part of a component with a majority.
    #[must_use]
    pub fn is_primary(&self) -> bool {
        self.status().is_some_and(|status| status.cluster_status == "Primary")
    }

    /// What its volume holds, where its start script has looked and its server does not run.
    #[must_use]
    pub fn stopped_volume(&self) -> Option<Evidence> {
        let phase = self.log.phase.as_deref();
        if !self.pod.running || !matches!(phase, Some("waiting" | "refused")) {
            return None;
        }
        let mut evidence = self.log.volume.clone()?;
        if let (Contents::Database { uuid, seqno, .. }, Some(position)) = (&mut evidence.contents, self.log.position) {
            (*uuid, *seqno) = (Some(position.uuid), Some(position.seqno));
        }
        Some(evidence)
    }

    /// One phrase for a wait or a table.
    #[must_use]
    pub fn phrase(&self) -> String {
        if let Some(trouble) = &self.pod.trouble {
            return trouble.message.clone();
        }
        if let Some(status) = self.status() {
            return status.summary();
        }
        if !self.pod.running {
            return self.pod.phrase.clone();
        }
        if self.log.incremental {
            return "receives the write sets that it missed (IST)".to_owned();
        }
        if let Some(bytes) = self.log.received {
            // Bytes of its data, also of data that it had before and keeps when only write sets are missing.
            let donor = self.log.donor.as_deref();
            let does = donor.map_or("joins".to_owned(), |donor| format!("receives a state transfer from {donor}"));
            return format!("{does}, its volume has {} MiB", bytes >> 20);
        }
        let phase = self.log.phase.as_deref();
        if let Some(words) = phase.and_then(words::phase) {
            return words.to_owned();
        }
        match (phase, &self.sql) {
            (Some("refused"), _) => {
                format!("refuses to start: {}", self.log.refused.as_deref().unwrap_or("see its log"))
            }
            (Some("held"), _) => self.log.held.clone().unwrap_or_default().to_string(),
            (Some("starting"), None | Some(Err(SqlSilence::Closed(_)))) => "server starts".to_owned(),
            (_, Some(Err(silence))) => silence.message().to_owned(),
            (phase, _) => phase.unwrap_or("container starts").to_owned(),
        }
    }
}

#[cfg(test)]
#[path = "observed_tests.rs"]
mod tests;
