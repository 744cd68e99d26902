//! Questions to the backups: whether somebody takes them, how old the newest is, and whether it can be restored.

use crate::backups::{Catalog, Chain, chains, utc};
use crate::desired::Backup;

use super::{Case, Check, Question};

const BACKUPS: &str = "backups";
/// An agent says something at least this often, in seconds, also while it has nothing to do.
const SILENT_AFTER: i64 = 180;

/// Where the key is kept that opens the backups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// In a Secret of the cluster, and nowhere else as far as is known.
    OnlyHere,
    /// In that Secret, and in a file that somebody has had written.
    Exported,
    /// Somebody has taken it out of the cluster.
    Elsewhere,
}

pub(super) fn checks(case: &Case<'_>) -> Vec<Check> {
    let (Some(wanted), Some(found)) = (&case.desired.backup, case.backups) else { return Vec::new() };
    let mut checks = match found {
        Err(why) => vec![agent(case, wanted, Err(why))],
        Ok(catalog) => vec![agent(case, wanted, Ok(catalog)), fresh(case, wanted, catalog), whole(case, catalog)],
    };
    checks.extend(case.backup_key.map(|state| key(case, state)));
    checks
}

fn key(case: &Case<'_>, state: KeyState) -> Check {
    let hint = "galeractl backup key export FILE";
    let question =
        Question::new(BACKUPS, "backup-key", "the key of the backups is kept outside of the cluster as well", hint);
    let name = case.desired.cluster.backup_key();
    match state {
        KeyState::OnlyHere => {
            let why = format!("it is in secret/{name} only: when that is lost, nobody can read a backup");
            question.should(&[why], "")
        }
        KeyState::Exported => question.should(&[], "it was exported"),
        KeyState::Elsewhere => {
            question.should(&[], format!("there is no secret/{name}: a restore needs the file of the key"))
        }
    }
}

fn agent(case: &Case<'_>, wanted: &Backup, found: Result<&Catalog, &String>) -> Check {
    let wrong = match found.map(|catalog| (catalog.now, catalog.agent.as_ref())) {
        Err(why) => vec![why.clone()],
        Ok((_, None)) => {
            let unreadable = found.ok().and_then(|catalog| catalog.unusable("agent.json"));
            vec![
                unreadable
                    .map_or("it has not said anything yet".to_owned(), |file| format!("{}: {}", file.name, file.why)),
            ]
        }
        Ok((now, Some(agent))) => {
            let silent = (now - agent.at > SILENT_AFTER + i64::try_from(wanted.log_interval_seconds).unwrap_or(0))
                .then(|| format!("it has said nothing since {}", utc(agent.at)));
            let failed =
                (agent.failures > 0).then(|| format!("{} attempts have failed: {}", agent.failures, agent.error));
            let logs = match agent.logs.as_str() {
                "on" | "" => None,
                "off" => {
                    Some("the node writes no binary log, so only backups themselves can be restored: restart its pod")
                }
                why => Some(why),
            };
            let logs = logs.map(str::to_owned);
            silent.into_iter().chain(failed).chain(logs).collect()
        }
    };
    let fine = match found.map(|catalog| catalog.agent.as_ref()) {
        Ok(Some(agent)) => format!("beside {}, {}", agent.member, agent.state),
        _ => String::new(),
    };
    let name = &case.desired.cluster;
    let hint = format!(
        "another node can take over: galeractl backup move --to NODE --name {name} -n {}",
        case.desired.namespace
    );
    Question::new(BACKUPS, "backup-agent", "the backup agent works", hint).must(&wrong, fine)
}

fn fresh(case: &Case<'_>, wanted: &Backup, catalog: &Catalog) -> Check {
    let hint = format!("galeractl backup now --name {} -n {}", case.desired.cluster, case.desired.namespace);
    let question = Question::new(BACKUPS, "backup-age", "the newest backup is not older than it should be", hint);
    // After a restore the cluster has another identity, and backups of the old one say nothing about its writes.
    let own = |backup: &&crate::backups::Backup| case.record.uuid.is_none_or(|uuid| backup.uuid == uuid);
    let Some(newest) = catalog.backups.iter().rev().find(own) else {
        // The first one is begun as soon as the node is Synced.
        return question.should(&["there is none yet".to_owned()], "");
    };
    let age = catalog.now - newest.ended;
    let limit = i64::try_from(wanted.incremental_interval_seconds).unwrap_or(i64::MAX / 4).saturating_mul(2).max(120);
    let age_text = format!("{}, {} s ago", newest.id, age.max(0));
    let wrong: Vec<String> = (age > limit)
        .then(|| format!("{age_text}, expected every {} s", wanted.incremental_interval_seconds))
        .into_iter()
        .collect();
    question.must(&wrong, age_text)
}

fn whole(case: &Case<'_>, catalog: &Catalog) -> Check {
    let all = chains(catalog);
    // An old chain that is broken is no danger as long as the newest one is whole.
    let wrong: Vec<String> = all
        .iter()
        .rev()
        .find(|chain| !chain.members.is_empty() || chain.broken.is_some())
        .and_then(|chain| chain.broken.clone())
        .into_iter()
        .collect();
    let verified = catalog.last_verified().map_or("none was ever verified".to_owned(), |verified| {
        format!("{} was verified at {}", verified.id, utc(verified.at))
    });
    let members = all.last().map_or(0, |chain: &Chain<'_>| chain.members.len());
    let hint = format!(
        "begin a new chain: galeractl backup now --full --name {} -n {}",
        case.desired.cluster, case.desired.namespace
    );
    let question = Question::new(BACKUPS, "backup-chain", "the newest chain of backups is whole", hint);
    if wrong.is_empty() {
        // Nothing builds on them, and they hide no other; still, somebody should know.
        let unusable: Vec<String> = catalog
            .unusable_together()
            .iter()
            .map(|file| format!("{} cannot be used: {}", file.name, file.why))
            .collect();
        return question.should(&unusable, format!("{members} in the newest of {}; {verified}", all.len()));
    }
    question.must(&wrong, "")
}
