//! Questions to what the databases hold. Nothing in it makes a cluster unhealthy; some of it does not do what people
//! expect of it.

use std::collections::BTreeMap;

use super::{Case, Check, Question};
use crate::names::Member;

const CONTENT: &str = "content";
/// How many are named; the rest is counted.
const NAMED: usize = 5;
/// Engines whose rows are in no backup: in memory, elsewhere, or nowhere.
const NOT_IN_BACKUPS: [&str; 7] = ["MEMORY", "BLACKHOLE", "FEDERATED", "CONNECT", "SPIDER", "OQGRAPH", "S3"];

/// What the catalogs of the nodes say, or why they do not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Content {
    /// Tables, as one node has them; `None` where nobody could be asked.
    pub tables: Option<Result<Tables, String>>,
    /// Scheduled events, as each node has them.
    pub events: BTreeMap<Member, Result<Vec<Event>, String>>,
}

/// Tables that people may not expect to be as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tables {
    /// Tables of engines that Galera does not replicate.
    pub not_replicated: Vec<Odd>,
    /// `database.table` of `InnoDB` tables without a primary key.
    pub without_key: Vec<String>,
}

/// A table of an engine that Galera does not replicate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Odd {
    /// `database.table`.
    pub name: String,
    /// Its engine.
    pub engine: String,
}

/// A scheduled event as one node has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// `database.event`.
    pub name: String,
    /// Whether it runs there.
    pub status: Runs,
}

/// Whether an event runs at a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runs {
    /// It does.
    Here,
    /// It was made, or enabled, at another node, which is to run it.
    Elsewhere,
    /// Somebody has disabled it.
    Nowhere,
}

impl From<&str> for Runs {
    fn from(status: &str) -> Self {
        match status {
            "ENABLED" => Self::Here,
            "SLAVESIDE_DISABLED" => Self::Elsewhere,
            _ => Self::Nowhere,
        }
    }
}

pub(super) fn checks(case: &Case<'_>) -> Vec<Check> {
    vec![tables(case), events(case)]
}

fn tables(case: &Case<'_>) -> Check {
    let hint = "give the tables a primary key, and others than InnoDB: ALTER TABLE … ENGINE=InnoDB";
    let question = Question::new(CONTENT, "tables", "every table is replicated and has a primary key", hint);
    let tables = match &case.content.tables {
        Some(Ok(tables)) => tables,
        silent => return question.skipped(&silence(silent.as_ref().and_then(|answer| answer.as_ref().err()))),
    };
    let mut wrong = Vec::new();
    let odd = tables.not_replicated.iter().map(|odd| {
        let lost = case.backups.is_some() && NOT_IN_BACKUPS.contains(&odd.engine.to_uppercase().as_str());
        format!("{} ({}{})", odd.name, odd.engine, if lost { ", in no backup" } else { "" })
    });
    wrong.extend(named("not replicated", odd.collect()));
    wrong.extend(named("without a primary key", tables.without_key.clone()));
    question.should(&wrong, "all are InnoDB")
}

fn events(case: &Case<'_>) -> Check {
    let hint = "at one node: ALTER EVENT … ENABLE where it is to run, or DISABLE where it is not";
    let question = Question::new(CONTENT, "events", "every scheduled event runs at one node", hint);
    let answers: Vec<(Member, &Vec<Event>)> =
        case.content.events.iter().filter_map(|(node, answer)| Some((*node, answer.as_ref().ok()?))).collect();
    if answers.is_empty() {
        return question.skipped(&silence(case.content.events.values().find_map(|answer| answer.as_ref().err())));
    }
    let mut all: BTreeMap<&str, Vec<(Member, Runs)>> = BTreeMap::new();
    for (node, events) in &answers {
        for event in *events {
            all.entry(&event.name).or_default().push((*node, event.status));
        }
    }
    let (mut idle, mut twice) = (Vec::new(), Vec::new());
    for (name, at) in &all {
        let here: Vec<String> =
            at.iter().filter(|(_, runs)| *runs == Runs::Here).map(|(node, _)| node.to_string()).collect();
        let is_meant_to_run = at.iter().any(|(_, runs)| *runs == Runs::Elsewhere);
        if here.len() > 1 {
            twice.push(format!("{name} ({})", here.join(", ")));
        }
        // A node that is silent may be the one that runs it.
        if here.is_empty() && is_meant_to_run && answers.len() == case.desired.members().count() {
            idle.push((*name).to_owned());
        }
    }
    let wrong: Vec<String> =
        named("run nowhere, as after a restore", idle).into_iter().chain(named("run more than once", twice)).collect();
    question.should(&wrong, if all.is_empty() { "there are none".to_owned() } else { format!("{} of them", all.len()) })
}

/// Why nobody has said what there is.
fn silence(why: Option<&String>) -> String {
    why.map_or_else(|| "no node could be asked as root".to_owned(), |why| format!("root gets no answer: {why}"))
}

fn named(what: &str, all: Vec<String>) -> Option<String> {
    let (count, first) = (all.len(), all.into_iter().take(NAMED).collect::<Vec<_>>().join(", "));
    match count {
        0 => None,
        1..=NAMED => Some(format!("{what}: {first}")),
        _ => Some(format!("{what}: {first} and {} more", count - NAMED)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::World;
    use super::super::{Check, Mark};
    use super::*;
    use crate::names::Member::Node;

    fn judged(id: &str, change: impl Fn(Member, &mut Vec<Event>)) -> Check {
        let mut world = World::new();
        for (node, events) in &mut world.content.events {
            change(*node, events.as_mut().unwrap());
        }
        world.check(id)
    }

    fn event(name: &str, status: &str) -> Event {
        Event { name: name.to_owned(), status: status.into() }
    }

    #[test]
    fn tables_that_do_not_follow_are_named_and_counted() {
        let mut world = World::new();
        world.content.tables = Some(Ok(Tables {
            not_replicated: vec![Odd { name: "shop.log".to_owned(), engine: "MyISAM".to_owned() }],
            without_key: (1..=7).map(|n| format!("shop.t{n}")).collect(),
        }));
        let check = world.check("tables");
        assert_eq!(check.mark, Mark::Warning);
        let wanted = "not replicated: shop.log (MyISAM); \
            without a primary key: shop.t1, shop.t2, shop.t3, shop.t4, shop.t5 and 2 more";
        assert_eq!(check.evidence, wanted);
    }

    #[test]
    fn an_event_runs_at_one_node() {
        let fine = judged("events", |node, events| {
            let status = if node == Node(2) { "ENABLED" } else { "SLAVESIDE_DISABLED" };
            *events = vec![event("shop.clean", status), event("shop.off", "DISABLED")];
        });
        assert_eq!((fine.mark, fine.evidence.as_str()), (Mark::Pass, "2 of them"));
        let idle = judged("events", |_, events| *events = vec![event("shop.clean", "SLAVESIDE_DISABLED")]);
        assert_eq!((idle.mark, idle.evidence.as_str()), (Mark::Warning, "run nowhere, as after a restore: shop.clean"));
        let twice = judged("events", |node, events| {
            *events = vec![event("shop.clean", if node == Node(3) { "SLAVESIDE_DISABLED" } else { "ENABLED" })];
        });
        assert_eq!(twice.evidence, "run more than once: shop.clean (node1, node2)");
    }

    #[test]
    fn a_silent_node_may_be_the_one_that_runs_it() {
        let mut world = World::new();
        for events in world.content.events.values_mut() {
            *events = Ok(vec![event("shop.clean", "SLAVESIDE_DISABLED")]);
        }
        world.content.events.insert(Node(3), Err("closed".to_owned()));
        assert_eq!(world.check("events").mark, Mark::Pass);
        for node in 1..=3 {
            world.content.events.insert(Node(node), Err("access denied".to_owned()));
        }
        world.content.tables = Some(Err("access denied".to_owned()));
        for id in ["tables", "events"] {
            let check = world.check(id);
            assert_eq!((check.mark, check.evidence.as_str()), (Mark::Skipped, "root gets no answer: access denied"));
        }
    }
}
