//! The way out of an outage, decided from what every member and every volume says.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::gates::group::list;
use crate::manifests::config::Record;
use crate::names::Member;
use crate::wsrep::decision::{Decision, Known, decide};
use crate::wsrep::volume::{Contents, Evidence};
use crate::wsrep::{Position, Uuid};

/// Whether a member's server may be running.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", content = "why", rename_all = "kebab-case")]
pub enum Life {
    /// It is part of a component with a majority, by its own word.
    Primary,
    /// It runs, and is part of no such component, by its own word.
    Outside,
    /// Its container is there, and waits with its data, by its own word; the reason where it refuses to start.
    Waiting(Option<String>),
    /// There is no pod of it.
    Stopped,
    /// It runs nowhere, and what its volume holds cannot be seen.
    Hidden(String),
    /// Nobody can tell: its pod is said to be somewhere, and does not answer.
    Unknown(String),
}

/// What is known about one member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Whether it runs.
    pub life: Life,
    /// Host of its pod.
    pub host: Option<String>,
    /// What its volume holds; `None` where that cannot be seen, because its server runs or its pod does not answer.
    pub volume: Option<Evidence>,
    /// The position that a running server reports.
    pub reports: Option<Position>,
    /// The newest error that its server or its donor has logged.
    pub error: Option<String>,
}

/// What the user says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wishes {
    /// These members are lost for good, and run nowhere.
    pub lost: BTreeSet<Member>,
    /// This one's data is the one to go on with.
    pub from: Option<Member>,
    /// These are to put their data aside, and to take a copy of the running component's.
    pub rebuild: BTreeSet<Member>,
}

/// What there is to recover.
#[derive(Debug, Clone)]
pub struct Case<'a> {
    /// Every member that should exist.
    pub rows: &'a BTreeMap<Member, Row>,
    /// What is recorded.
    pub record: &'a Record,
    /// Name of the Galera group.
    pub group: &'a str,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "way", rename_all = "kebab-case")]
pub enum Way {
    /// Nothing that this verb could do.
    Nothing,
    /// All that can be seen waits with its position, and the newest starts first.
    Together {
        /// Who starts first; `None` as long as some positions are known to their servers only.
        from: Option<(Member, Position)>,
        /// Members that get a copy of everything.
        without: Vec<Member>,
        /// Members whose data is put aside before they get one.
        aside: Vec<Member>,
        /// Members that nobody waits for.
        gone: Vec<Member>,
    },
    /// These put their data aside and take a copy of the running component's.
    Rebuild {
        /// Who.
        members: Vec<Member>,
    },
}

/// A way out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// What is to be done.
    #[serde(flatten)]
    pub way: Way,
    /// What is done, and what happens by itself, in sentences.
    pub steps: Vec<String>,
    /// What could be missing afterwards, and how that is known. Where there is anything, the user has to agree.
    pub losses: Vec<String>,
}

/// Finds the way out, or says why there is none yet and what would help.
///
/// # Errors
/// Sentences.
pub fn plan(case: &Case<'_>, wishes: &Wishes) -> Result<Plan, Vec<String>> {
    let primary: Vec<Member> = with(case, |row| row.life == Life::Primary);
    if primary.is_empty() { outage(case, wishes) } else { beside_a_majority(case, wishes, &primary) }
}

fn with(case: &Case<'_>, which: impl Fn(&Row) -> bool) -> Vec<Member> {
    case.rows.iter().filter(|(_, row)| which(row)).map(|(member, _)| *member).collect()
}

/// A component with a majority runs: nothing is started beside it, and others can take a copy of it.
fn beside_a_majority(case: &Case<'_>, wishes: &Wishes, primary: &[Member]) -> Result<Plan, Vec<String>> {
    let runs = format!("{} have the majority and serve", list(primary));
    if wishes.from.is_some() || !wishes.lost.is_empty() {
        return Err(vec![format!("{runs}: nothing is started beside them, so --from and --lost mean nothing now")]);
    }
    if wishes.rebuild.is_empty() {
        let mut steps = vec![runs];
        for (member, row) in case.rows.iter().filter(|(_, row)| row.life != Life::Primary) {
            steps.push(alone(*member, row));
        }
        return Ok(Plan { way: Way::Nothing, steps, losses: Vec::new() });
    }
    let (mut steps, mut losses, mut wrong) = (Vec::new(), Vec::new(), Vec::new());
    for member in &wishes.rebuild {
        match case.rows.get(member).map(|row| (&row.life, row.volume.as_ref())) {
            Some((Life::Waiting(_), Some(volume))) if !volume.is_blank() => {
                steps.push(format!(
                    "{member} puts its data aside, on its own volume, and takes a copy of {}",
                    list(primary)
                ));
                losses.push(format!(
                    "what only {member} has ({}) is no longer part of the cluster; it stays on its volume under aside.*, \
                     until somebody removes it there",
                    volume.describe()
                ));
                let room = volume.free.zip(volume.bytes).filter(|(free, bytes)| free < bytes);
                if let Some((free, bytes)) = room {
                    wrong.push(format!(
                        "{member} has {} MiB free beside {} MiB of data: there is no room for a copy beside it",
                        free >> 20,
                        bytes >> 20
                    ));
                }
            }
            Some((Life::Waiting(_), Some(_))) => wrong.push(format!("{member} holds nothing that could be put aside")),
            Some((Life::Primary, _)) => wrong.push(format!("{member} is part of the running component")),
            Some(_) => wrong.push(format!("{member} does not wait with its data: galeractl status")),
            None => wrong.push(format!("there is no {member} in this cluster")),
        }
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let members = wishes.rebuild.iter().copied().collect();
    Ok(Plan { way: Way::Rebuild { members }, steps, losses })
}

/// What becomes of one member beside a running component, and what helps it.
fn alone(member: Member, row: &Row) -> String {
    let because = row.error.as_ref().map(|error| format!(" ({error})")).unwrap_or_default();
    let full = row.error.as_ref().is_some_and(|error| error.contains("is full") || error.contains("No space left"));
    match &row.life {
        _ if full => format!("{member}: its disk is full{because}; make its volume larger, then delete its pod"),
        Life::Waiting(Some(why)) => format!(
            "{member} refuses to start: {why}. To keep its data aside and give it a copy of the others': galeractl recover \
             --rebuild {member}"
        ),
        Life::Waiting(None) => format!("{member} waits for its turn, and joins by itself{because}"),
        Life::Outside => {
            format!("{member} runs outside of the majority, and comes back by itself once it reaches it{because}")
        }
        Life::Stopped => format!("{member} has no pod; galeractl up puts back what is missing"),
        Life::Hidden(why) | Life::Unknown(why) => format!("{member}: {why}{because}"),
        Life::Primary => String::new(),
    }
}

/// Nobody has a majority.
fn outage(case: &Case<'_>, wishes: &Wishes) -> Result<Plan, Vec<String>> {
    let mut wrong: Vec<String> = Vec::new();
    for member in wishes.lost.iter().chain(&wishes.from).chain(&wishes.rebuild) {
        if !case.rows.contains_key(member) {
            wrong.push(format!("there is no {member} in this cluster"));
        }
    }
    if !wishes.rebuild.is_empty() {
        wrong.push("--rebuild takes a copy of a running component, and none runs".to_owned());
    }
    for (member, row) in case.rows.iter().filter(|(member, _)| !wishes.lost.contains(member)) {
        match &row.life {
            Life::Unknown(why) => wrong.push(format!(
                "{member} may still be running: {why}. An unreachable host is not a dead one: wait for it, or switch it off, \
                 and then say that it is lost: --lost {member}"
            )),
            Life::Hidden(why) => wrong.push(format!(
                "what {member} holds cannot be seen: {why}. Mend that, or give its data up: --lost {member}"
            )),
            _ => {}
        }
    }
    if let Some(from) = wishes.from.filter(|from| wishes.lost.contains(from)) {
        wrong.push(format!("{from} cannot be lost and be the one to go on with"));
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let known: BTreeMap<Member, &Row> = case
        .rows
        .iter()
        .filter(|(member, _)| !wishes.lost.contains(member))
        .map(|(member, row)| (*member, row))
        .collect();
    let is_blank = |row: &Row| row.volume.as_ref().is_some_and(Evidence::is_blank);
    let holders: Vec<Member> = known.iter().filter(|(_, row)| !is_blank(row)).map(|(member, _)| *member).collect();
    if holders.is_empty() {
        return Err(vec![
            "no volume that can be seen holds anything of this cluster: find the volumes, or bring a backup back: galeractl \
             restore --from latest"
                .to_owned(),
        ]);
    }
    together(case, wishes, &known, &holders)
}

fn together(
    case: &Case<'_>,
    wishes: &Wishes,
    known: &BTreeMap<Member, &Row>,
    holders: &[Member],
) -> Result<Plan, Vec<String>> {
    let blank: Vec<Member> = known.keys().filter(|member| !holders.contains(member)).copied().collect();
    let aside = others(case, wishes, known, holders)?;
    let rest: BTreeMap<Member, Evidence> = holders
        .iter()
        .filter(|member| !aside.contains(member))
        .map(|member| (*member, evidence(known[member])))
        .collect();
    let recorded = if wishes.from.is_some() { None } else { case.record.uuid };
    // What a member has seen is judged here, where the user can agree; there it would only refuse.
    let judged = rest.iter().map(|(member, evidence)| (*member, Evidence { seen: None, ..evidence.clone() })).collect();
    let (from, without) = match decide(&judged, Known { group: case.group, formed: true, recorded }) {
        Decision::BringBack { from, position, without } => (Some((from, position)), without),
        Decision::Compare => (None, Vec::new()),
        Decision::Fresh => return Err(vec!["no volume holds anything".to_owned()]),
        Decision::Refuse(reasons) => return Err(reasons),
    };
    let gone: Vec<Member> = wishes.lost.iter().copied().collect();
    let mut steps = vec![match from {
        Some((from, position)) => format!("{from} has the newest copy, {position}, and starts first"),
        None => format!(
            "the servers of {} look where their data stands, and wait; the newest starts first",
            list(&holders_of(&rest))
        ),
    }];
    let empty: Vec<Member> = without.iter().chain(&blank).copied().collect();
    if !empty.is_empty() {
        steps.push(format!("{} get a copy of everything", list(&empty)));
    }
    if !aside.is_empty() {
        steps.push(format!("{} put their data aside, on their own volumes, and get a copy", list(&aside)));
    }
    let losses = losses(case, wishes, from.map(|(_, position)| position), (&blank, &aside), &rest);
    let without = [without, blank].concat();
    Ok(Plan { way: Way::Together { from, without, aside, gone }, steps, losses })
}

fn holders_of(rest: &BTreeMap<Member, Evidence>) -> Vec<Member> {
    rest.keys().copied().collect()
}

/// What a member holds. A server that runs outside of every component answers for its volume.
fn evidence(row: &Row) -> Evidence {
    row.volume.clone().unwrap_or_else(|| {
        let uuid = row.reports.map(|position| position.uuid);
        Evidence { contents: Contents::Database { uuid, seqno: None, safe: false }, ..Evidence::MISSING }
    })
}

/// Members whose data is of another history, or further, than that of the one to go on with.
fn others(
    case: &Case<'_>,
    wishes: &Wishes,
    known: &BTreeMap<Member, &Row>,
    holders: &[Member],
) -> Result<Vec<Member>, Vec<String>> {
    let history = |member: &Member| {
        let evidence = evidence(known[member]);
        match evidence.contents {
            Contents::Database { uuid, .. } => uuid.or(evidence.history),
            _ => evidence.history,
        }
    };
    let histories: BTreeSet<Uuid> = holders.iter().filter_map(history).collect();
    let Some(from) = wishes.from else {
        let foreign = |uuid: &Uuid| case.record.uuid.is_some_and(|recorded| recorded != *uuid);
        if histories.len() > 1 || histories.iter().any(foreign) {
            let each: Vec<String> = holders
                .iter()
                .map(|member| {
                    format!("{member} {}", history(member).map_or("none".to_owned(), |uuid| uuid.to_string()))
                })
                .collect();
            let record = case.record.uuid.map(|uuid| format!("; on record is {uuid}")).unwrap_or_default();
            return Err(vec![format!(
                "the members follow different histories: {}{record}. Say whose data is the one to go on with; that of the \
                 others is put aside: --from {}",
                each.join(", "),
                holders[0]
            )]);
        }
        return Ok(Vec::new());
    };
    if !holders.contains(&from) {
        return Err(vec![format!("{from} holds nothing to go on with")]);
    }
    let of = history(&from);
    let reach = known[&from].volume.as_ref().and_then(Evidence::position);
    let further = |member: &Member| {
        let at = known[member].volume.as_ref().and_then(Evidence::position);
        at.zip(reach).is_some_and(|(at, reach)| at.seqno > reach.seqno)
    };
    Ok(holders.iter().filter(|member| history(member) != of || further(member)).copied().collect())
}

/// What could be missing afterwards, and how that is known.
fn losses(
    case: &Case<'_>,
    wishes: &Wishes,
    newest: Option<Position>,
    (blank, aside): (&[Member], &[Member]),
    rest: &BTreeMap<Member, Evidence>,
) -> Vec<String> {
    let mut losses = Vec::new();
    for (member, why) in wishes.lost.iter().map(|m| (m, "is given up")).chain(blank.iter().map(|m| (m, "has no data")))
    {
        let seen = case.rows[member].volume.as_ref().and_then(|volume| volume.seen);
        let known = seen.map_or_else(
            || "where it stood is not known".to_owned(),
            |(position, at)| format!("it had committed {position} at least{}", at.map(when).unwrap_or_default()),
        );
        losses.push(format!("{member} {why}: writes that only it had acknowledged are missing; {known}"));
    }
    for member in aside {
        losses.push(format!(
            "what only {member} has ({}) is no longer part of the cluster; it stays on its volume under aside.*",
            evidence(&case.rows[member]).describe()
        ));
    }
    let all = case.rows.iter().filter_map(|(member, row)| Some((*member, row.volume.as_ref()?.seen?.0)));
    let furthest =
        all.filter(|(_, seen)| newest.is_none_or(|newest| seen.uuid == newest.uuid)).max_by_key(|(_, seen)| seen.seqno);
    if let (Some(newest), Some((member, seen))) = (newest, furthest)
        && seen.seqno > newest.seqno
    {
        losses.push(format!(
            "{member} has committed {}, and the newest copy stands at {}: {} transactions are missing for certain",
            seen.seqno,
            newest.seqno,
            seen.seqno - newest.seqno
        ));
    }
    let outside = rest.values().any(|evidence| evidence.contents == Contents::Unseen);
    if outside {
        losses.push("a volume that was kept has not been seen yet".to_owned());
    }
    losses
}

fn when(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map(|time| format!(", on {}", time.strftime("%F %T UTC"))).unwrap_or_default()
}

#[cfg(test)]
#[path = "recovery_tests.rs"]
mod tests;
