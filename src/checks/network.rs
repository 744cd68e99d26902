//! Whether the network holds the policies of a cluster.

use std::collections::BTreeMap;

use super::{Case, Check, Question};
use crate::names::Member;

/// What a node found that tried a way which no policy opens, or why it could not try.
pub type Walls = BTreeMap<Member, Result<Wall, String>>;

/// What such a way came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wall {
    /// It is closed, while one that a policy opens is open.
    Holds,
    /// It is open: whose, and which port.
    Open(String),
}

const NETWORK: &str = "network";

pub(super) fn checks(case: &Case<'_>) -> Vec<Check> {
    if case.desired.network.is_none() {
        return Vec::new();
    }
    let (mut open, mut unknown, mut held) = (Vec::new(), Vec::new(), Vec::new());
    for (node, wall) in case.walls {
        match wall {
            Ok(Wall::Holds) => held.push(node.to_string()),
            Ok(Wall::Open(whose)) => open.push(format!("{node} reaches {whose}, which no policy opens")),
            Err(why) => unknown.push(format!("{node}: {why}")),
        }
    }
    let hint = "the network plugin ignores policies, or they were deleted (galeractl up makes them again): use a plugin that \
                enforces them, and certificates in any case (galera_cluster_tls=own)";
    let question = Question::new(NETWORK, "network-policies", "the network holds the policies", hint);
    vec![match (open.is_empty(), held.is_empty()) {
        (false, _) => question.should(&open, ""),
        (true, false) => {
            question.should(&[], format!("closed where no policy opens it: tried from {}", held.join(", ")))
        }
        (true, true) if unknown.is_empty() => question.skipped("there are no two nodes that could try it"),
        (true, true) => question.skipped(&unknown.join("; ")),
    }]
}
