//! What no amount of waiting can mend.

use crate::desired::Desired;
use crate::error::{Failure, Kind};
use crate::manifests::scripts::NOT_TAKEN;
use crate::names::Member;
use crate::observed::{MemberView, Observed, SqlSilence, Trouble};

use super::group::divergence;

/// Restarts of a joiner's container after which its transfer is not tried again silently.
const RESTARTS: u32 = 3;

/// The reason to stop waiting for these members, if there is one.
#[must_use]
pub fn hopeless(observed: &Observed, desired: &Desired, members: &[Member]) -> Option<Failure> {
    if let Some(trouble) = observed.trouble.as_ref().filter(|trouble| trouble.fatal) {
        return Some(failure("the cluster's objects", trouble));
    }
    for member in members {
        let claim = observed.claims.get(&desired.cluster.claim(*member));
        if let Some(trouble) = claim.and_then(|claim| claim.trouble.as_ref()).filter(|trouble| trouble.fatal) {
            return Some(failure(&format!("the volume of {member}"), trouble));
        }
        if let Some(failure) =
            observed.members.get(member).and_then(|view| member_is_hopeless(observed, desired, *member, view))
        {
            return Some(failure);
        }
    }
    divergence(observed).map(|message| {
        Failure::message(Kind::Step, message)
            .hint("stop writing to the cluster, then compare the nodes: galeractl verify")
    })
}

fn failure(who: &str, trouble: &Trouble) -> Failure {
    Failure::message(Kind::Step, format!("{who}: {}", trouble.message)).hint(trouble.hint.clone())
}

fn member_is_hopeless(observed: &Observed, desired: &Desired, member: Member, view: &MemberView) -> Option<Failure> {
    let logs = format!("kubectl logs -n {} {}", desired.namespace, desired.cluster.pod(member));
    if let Some(held) = view.held() {
        let release = format!("let its server come back: galeractl release --node {}", member.number());
        return Some(Failure::message(Kind::Step, format!("{member} {held}")).hint(release));
    }
    if let Some(reason) = &view.log.refused {
        let way = if reason.starts_with(NOT_TAKEN) {
            "correct [mysqld] in the settings, and run `up` again"
        } else {
            "what there is, and a way out: galeractl recover --plan"
        };
        let refusal = Failure::message(Kind::Step, format!("{member} refuses to start: {reason}"));
        return Some(refusal.hint(way).hint(logs));
    }
    // Before a server has come up for the first time its users may not exist.
    let up = view.log.phase.as_deref().is_none_or(|phase| phase == "up");
    if let Some(Err(SqlSilence::Denied(message))) = view.sql.as_ref().filter(|_| up) {
        let secret = desired.cluster.credentials();
        return Some(
            Failure::message(Kind::Step, format!("{member} denies access: {message}"))
                .hint(format!("the password of user galeractl in secret/{secret} is not the one in the database")),
        );
    }
    if let Some(Err(SqlSilence::Untrusted(message))) = &view.sql {
        return Some(
            Failure::message(Kind::Step, format!("{member}: {message}"))
                .hint("somebody else answers in its place, or its certificate has expired or was changed")
                .hint(format!(
                    "its certificate is in secret/{}, which the authority in secret/{} has signed",
                    desired.cluster.certificate(member),
                    desired.cluster.authority()
                )),
        );
    }
    // The pod of a node is replaced by its StatefulSet; a seed comes only once. Why it has ended stands in its log.
    if member == Member::Seed && view.pod.ended && !view.log.at_end {
        return None;
    }
    if let Some(trouble) = view.pod.trouble.as_ref().filter(|trouble| trouble.fatal) {
        let message = format!("{member}: {}{}", trouble.message, last_error(view));
        return Some(Failure::message(Kind::Step, message).hint(trouble.hint.clone()));
    }
    if member == Member::Seed && view.pod.ended {
        let message = format!("the pod of {member} has ended{}", last_error(view));
        return Some(Failure::message(Kind::Step, message).hint(logs));
    }
    let restarts = view.pod.restarts.saturating_sub(view.restarts_before);
    (restarts >= RESTARTS && !view.is_synced()).then(|| {
        let donor = view.log.donor.as_deref().unwrap_or_default();
        let donor = observed.members.iter().find(|(donor_member, _)| desired.cluster.member(**donor_member) == donor);
        // The reason of a failed transfer stands in the donor's log only.
        let blame =
            donor.map(|(member, view)| format!("; its donor {member} says{}", last_error(view))).unwrap_or_default();
        let message = format!("{member} was restarted {restarts} times{}{blame}", last_error(view));
        Failure::message(Kind::Step, message).hint(logs)
    })
}

fn last_error(view: &MemberView) -> String {
    telling_error(view).map(|line| format!(": {line}")).unwrap_or_default()
}

/// The newest error in a member's log that says why; servers go on to say that they give up.
#[must_use]
pub fn telling_error(view: &MemberView) -> Option<&str> {
    let idle = |line: &&String| !line.ends_with("Aborting") && !line.contains("Some pointers may be invalid");
    let errors = &view.log.errors;
    let telling = errors.iter().rev().find(|line| line.contains("unknown variable") || line.contains("unknown option"));
    telling.or_else(|| errors.iter().rev().find(idle)).or_else(|| errors.back()).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gates::group::tests::{desired, healthy};
    use crate::wsrep::volume::Held;

    const NODES: [Member; 2] = [Member::Node(1), Member::Node(2)];

    fn why(change: impl FnOnce(&mut Observed)) -> Option<String> {
        let mut observed = healthy(&NODES);
        change(&mut observed);
        hopeless(&observed, &desired(2), &NODES).map(|failure| failure.to_string())
    }

    fn node2(observed: &mut Observed) -> &mut MemberView {
        observed.members.get_mut(&Member::Node(2)).unwrap()
    }

    #[test]
    fn a_healthy_or_slow_group_has_hope() {
        assert_eq!(why(|_| ()), None);
        assert_eq!(why(|observed| node2(observed).sql = Some(Err(SqlSilence::Closed("port closed".to_owned())))), None);
    }

    #[test]
    fn a_refusal_a_denial_and_an_end_have_none() {
        let refused = why(|observed| node2(observed).log.refused = Some("no libgalera".to_owned()));
        assert_eq!(refused.unwrap(), "node2 refuses to start: no libgalera");
        let options = Some(format!("{NOT_TAKEN}unknown variable 'a=1'"));
        let mut observed = healthy(&NODES);
        node2(&mut observed).log.refused = options;
        let refusal = hopeless(&observed, &desired(2), &NODES).unwrap();
        assert!(refusal.hints[0].contains("[mysqld]"), "{:?}", refusal.hints);
        let stranger =
            why(|observed| node2(observed).sql = Some(Err(SqlSilence::Untrusted("another name".to_owned()))));
        assert_eq!(stranger.unwrap(), "node2: another name");
        let denied = why(|observed| node2(observed).sql = Some(Err(SqlSilence::Denied("1045".to_owned()))));
        assert!(denied.unwrap().contains("denies access"));
        assert_eq!(why(|observed| node2(observed).pod.ended = true), None, "it is replaced");
        let mut observed = healthy(&[Member::Seed]);
        let seed = observed.members.get_mut(&Member::Seed).unwrap();
        seed.pod.ended = true;
        let trouble = |message: &str| Trouble { fatal: true, message: message.to_owned(), hint: String::new() };
        seed.pod.trouble = Some(trouble("pod/seed failed"));
        assert!(hopeless(&observed, &desired(2), &[Member::Seed]).is_none(), "its log is not read to the end");
        let seed = observed.members.get_mut(&Member::Seed).unwrap();
        seed.log.at_end = true;
        for line in ["[ERROR] mariadbd: unknown variable 'inodb_x=1'", "[ERROR] Aborting"] {
            seed.log.errors.push_back(line.to_owned());
        }
        let ended = hopeless(&observed, &desired(2), &[Member::Seed]).unwrap().to_string();
        assert_eq!(ended, "seed: pod/seed failed: [ERROR] mariadbd: unknown variable 'inodb_x=1'");
        observed.members.get_mut(&Member::Seed).unwrap().pod.trouble = None;
        let ended = hopeless(&observed, &desired(2), &[Member::Seed]).unwrap().to_string();
        assert_eq!(ended, "the pod of seed has ended: [ERROR] mariadbd: unknown variable 'inodb_x=1'");
    }

    #[test]
    fn nobody_waits_for_a_server_that_is_held() {
        let mut observed = healthy(&NODES);
        let view = node2(&mut observed);
        view.sql = None;
        view.log.held = Some(Held { by: Some("me@host".to_owned()), since: Some(1_795_888_424) });
        let failure = hopeless(&observed, &desired(2), &NODES).unwrap();
        let wanted = "node2 is held by me@host since 2026-11-28T17:53:44Z: container up, server down";
        assert_eq!(failure.to_string(), wanted);
        assert!(failure.hints[0].ends_with("galeractl release --node 2"), "{:?}", failure.hints);
        assert!(hopeless(&observed, &desired(2), &NODES[..1]).is_none());
    }

    #[test]
    fn restarts_of_another_day_do_not_count() {
        let restarted = |before| {
            why(|observed| {
                let view = node2(observed);
                (view.sql, view.pod.restarts, view.restarts_before) = (None, 7, before);
            })
        };
        assert_eq!(restarted(5), None);
        assert_eq!(restarted(4).unwrap(), "node2 was restarted 3 times");
    }

    #[test]
    fn repeated_restarts_quote_the_donor() {
        let blamed = why(|observed| {
            let view = node2(observed);
            view.sql = None;
            view.pod.restarts = 3;
            view.log.donor = Some("c-galera-node1".to_owned());
            let donor = observed.members.get_mut(&Member::Node(1)).unwrap();
            donor.log.errors.push_back("Access denied for mysql@localhost".to_owned());
        });
        assert!(blamed.unwrap().ends_with("its donor node1 says: Access denied for mysql@localhost"));
    }

    #[test]
    fn only_fatal_trouble_ends_a_wait() {
        let trouble =
            |fatal| Trouble { fatal, message: "image cannot be pulled".to_owned(), hint: "check it".to_owned() };
        assert_eq!(why(|observed| node2(observed).pod.trouble = Some(trouble(false))), None);
        assert!(
            why(|observed| node2(observed).pod.trouble = Some(trouble(true))).unwrap().contains("cannot be pulled")
        );
    }
}
