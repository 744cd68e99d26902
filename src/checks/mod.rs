//! Checks: what `verify` judges, each a record with evidence and a hint. Pure; gathering is somebody else's work.

mod backup;
pub mod certificates;
pub mod content;
mod group;
pub mod haproxy;
pub mod network;
mod surroundings;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::backups::Catalog;
use crate::desired::Desired;
use crate::manifests::config::Record;
use crate::names::Member;
use crate::observed::{Exposed, Observed};

pub use backup::KeyState;
pub use content::Content;
pub use haproxy::Backend;

/// Everything that the checks look at.
#[derive(Debug, Clone)]
pub struct Case<'a> {
    /// What the cluster should be.
    pub desired: &'a Desired,
    /// What was recorded when it was formed.
    pub record: &'a Record,
    /// What it is.
    pub observed: &'a Observed,
    /// A row that was written and looked for on every node.
    pub proof: &'a Proof,
    /// Logins of the accounts in the Secret, by their names; empty where nobody could be asked.
    pub accounts: &'a BTreeMap<String, Result<(), NoLogin>>,
    /// What the databases hold.
    pub content: &'a Content,
    /// Each proxy pod's own list of backends, or why it could not be had.
    pub proxies: &'a BTreeMap<String, Result<Vec<Backend>, String>>,
    /// Objects of the cluster that should be gone.
    pub leftovers: &'a [String],
    /// Ways into the cluster from outside.
    pub exposures: &'a [Exposed],
    /// Until when the certificates hold; empty without TLS, or where nobody could be asked.
    pub certificates: &'a certificates::Ends,
    /// What nodes found that tried ways which no policy opens; empty without policies.
    pub walls: &'a network::Walls,
    /// What lies on the backup volume, or why it cannot be known; `None` for a cluster without backups.
    pub backups: Option<&'a Result<Catalog, String>>,
    /// Where the key of the backups is kept; `None` where they are not encrypted.
    pub backup_key: Option<KeyState>,
    /// The time of the look.
    pub now: Timestamp,
}

/// A row written through one door and read on every node with causal reads.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Proof {
    /// Writing through the proxy: time it took, or why it failed.
    pub through_proxy: Option<Result<Duration, String>>,
    /// Writing at nodes directly, one after the other until one takes it, where the proxy could not be used.
    pub at_nodes: BTreeMap<Member, Result<Duration, String>>,
    /// Reading on each node; empty if nothing could be written.
    pub read: BTreeMap<Member, Result<Duration, Unread>>,
    /// Why the row could not be removed again.
    pub left: Option<String>,
}

/// Why a row was not read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unread {
    /// The node gave no answer: nothing is known about the row.
    Silent(String),
    /// The node answered, and does not have what was acknowledged.
    Missing(String),
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Silent(why) | Self::Missing(why)) = self;
        f.write_str(why)
    }
}

/// Why an account did not log in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoLogin {
    /// The server knows the account otherwise, or not at all.
    #[error("{0}")]
    Denied(String),
    /// No server answered: nothing is known about the account.
    #[error("{0}")]
    Silent(String),
}

/// The verdict on one question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mark {
    /// As it should be.
    Pass,
    /// Worth a look; does not fail the whole.
    Warning,
    /// Cannot be told, because of something that another check calls wrong.
    Skipped,
    /// Wrong.
    Fail,
}

/// One question and its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Stable name, such as `one-component`.
    pub id: &'static str,
    /// Group it is shown in.
    pub group: &'static str,
    /// What is asked, as a statement that should be true.
    pub title: &'static str,
    /// The verdict.
    pub mark: Mark,
    /// What was seen.
    pub evidence: String,
    /// What to do, where something is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// A check under construction: collects what is wrong.
struct Question {
    id: &'static str,
    group: &'static str,
    title: &'static str,
    hint: String,
}

impl Question {
    fn new(group: &'static str, id: &'static str, title: &'static str, hint: impl Into<String>) -> Self {
        Self { id, group, title, hint: hint.into() }
    }

    fn answer(self, wrong: &[String], fine: impl Into<String>, otherwise: Mark) -> Check {
        let mark = if wrong.is_empty() { Mark::Pass } else { otherwise };
        Check {
            id: self.id,
            group: self.group,
            title: self.title,
            mark,
            evidence: if wrong.is_empty() { fine.into() } else { wrong.join("; ") },
            hint: (mark != Mark::Pass).then_some(self.hint),
        }
    }

    /// The answer of those who could be asked. `open` says who could not, and why; where it does and nothing is wrong,
    /// the question has no answer.
    fn of_those(self, wrong: &[String], fine: impl Into<String>, open: &str) -> Check {
        let mut check = self.must(wrong, fine);
        if open.is_empty() {
            return check;
        }
        if check.mark == Mark::Pass {
            check.mark = Mark::Skipped;
        }
        check.evidence = format!("{}; {open}", check.evidence);
        check
    }

    /// Nobody could be asked.
    fn skipped(self, why: &str) -> Check {
        let Self { id, group, title, .. } = self;
        Check { id, group, title, mark: Mark::Skipped, evidence: why.to_owned(), hint: None }
    }

    fn must(self, wrong: &[String], fine: impl Into<String>) -> Check {
        self.answer(wrong, fine, Mark::Fail)
    }

    fn should(self, wrong: &[String], fine: impl Into<String>) -> Check {
        self.answer(wrong, fine, Mark::Warning)
    }
}

/// All checks, in the order in which people read them.
#[must_use]
pub fn run(case: &Case<'_>) -> Vec<Check> {
    let mut checks = group::checks(case);
    checks.extend(surroundings::checks(case));
    checks.extend(content::checks(case));
    checks.extend(certificates::checks(case));
    checks.extend(network::checks(case));
    checks.extend(backup::checks(case));
    checks
}

/// Whether nothing failed. Warnings do not count; a check that was skipped stands beside one that failed.
#[must_use]
pub fn passed(checks: &[Check]) -> bool {
    checks.iter().all(|check| check.mark != Mark::Fail)
}

#[cfg(test)]
mod tests;
