//! How a group stands that is not together: on its way, waiting for a decision, or apart for good.

use std::time::{Duration, Instant};

use crate::names::Member;
use crate::observed::{MemberView, Observed};

/// Members that remember one view find each other within 2 to 6 seconds, once all of them run. After this time without
/// any movement they will not.
const STILL_FOR: Duration = Duration::from_secs(15);

/// A remembered view is taken up when all of its members are there, and who waits with its position has forgotten it.
/// Then nobody comes by itself; what the members have said last may be this old.
const STILL_FOR_NOTHING: Duration = Duration::from_secs(3);

/// How the members stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Something may still happen by itself.
    Moving,
    /// They agree.
    Together,
    /// All of them wait with their positions; somebody has to say who starts first.
    Waiting,
    /// None is part of a component, and nothing moves: these do not wait with their positions yet.
    Apart(Vec<Member>),
}

/// Watches whether anything moves.
#[derive(Debug, Default)]
pub struct Stillness {
    last: Vec<String>,
    since: Option<Instant>,
}

impl Stillness {
    /// Judges one look. Only where every expected member runs and has said that it is part of no component can anything
    /// but [`Standing::Moving`] come out: a member that is silent may be part of a majority.
    pub fn judge(&mut self, observed: &Observed, expected: &[Member], now: Instant) -> Standing {
        let views: Vec<Option<&MemberView>> = expected.iter().map(|member| observed.members.get(member)).collect();
        let stands: Vec<String> = views.iter().map(|view| view.map_or_else(String::new, stand)).collect();
        if stands != self.last {
            (self.last, self.since) = (stands, Some(now));
        }
        if !views.iter().all(|view| view.is_some_and(is_outside)) {
            return Standing::Moving;
        }
        let waits = |member: &&Member| observed.members.get(member).is_some_and(MemberView::waits);
        let others: Vec<Member> = expected.iter().filter(|member| !waits(member)).copied().collect();
        if others.is_empty() {
            return Standing::Waiting;
        }
        let limit = if others.iter().all(|member| misses_one_that(waits, *member, observed)) {
            STILL_FOR_NOTHING
        } else {
            STILL_FOR
        };
        let still = self.since.is_some_and(|since| now.duration_since(since) >= limit);
        if still { Standing::Apart(others) } else { Standing::Moving }
    }
}

/// Where a member stands, without what changes all the time.
fn stand(view: &MemberView) -> String {
    let sql = view.status().map(|status| format!("{} {}", status.cluster_status, status.size));
    format!("{:?} {} {:?} {:?} {}", view.pod.uid, view.pod.running, view.log.phase, sql, view.log.crashes)
}

/// Whether the view that this member had last names another one that waits.
fn misses_one_that(waits: impl Fn(&&Member) -> bool, member: Member, observed: &Observed) -> bool {
    let view = observed.members.get(&member).and_then(|view| view.log.volume.as_ref());
    view.is_some_and(|volume| {
        observed.members.keys().filter(|other| **other != member && waits(other)).any(|other| {
            let ending = format!("-galera-{other}");
            volume.view.iter().any(|name| name.ends_with(&ending))
        })
    })
}

/// Whether it runs, and is part of no component by its own word: it waits, or its server starts and does not open its
/// port, or its server says so.
fn is_outside(view: &MemberView) -> bool {
    if !view.pod.running || view.pod.leaving || view.is_primary() {
        return false;
    }
    let starts = view.log.phase.as_deref() == Some("starting") && !view.log.incremental;
    view.waits() || view.status().is_some() || starts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gates::group::tests::healthy;
    use crate::observed::{LogView, PodView};
    use crate::wsrep::volume::Evidence;

    const TWO: [Member; 2] = [Member::Node(1), Member::Node(2)];

    fn group(views: [MemberView; 2]) -> Observed {
        Observed { members: TWO.into_iter().zip(views).collect(), ..Observed::default() }
    }

    fn in_phase(phase: &str) -> MemberView {
        let pod = PodView { exists: true, running: true, ..PodView::default() };
        MemberView {
            pod,
            log: LogView { phase: Some(phase.to_owned()), ..LogView::default() },
            ..MemberView::default()
        }
    }

    fn outside() -> MemberView {
        let mut view = healthy(&TWO).members.remove(&TWO[0]).unwrap();
        view.sql.as_mut().unwrap().as_mut().unwrap().cluster_status = "non-Primary".to_owned();
        view
    }

    fn after(observed: &Observed, seconds: u64) -> Standing {
        let (mut stillness, begun) = (Stillness::default(), Instant::now());
        stillness.judge(observed, &TWO, begun);
        stillness.judge(observed, &TWO, begun + Duration::from_secs(seconds))
    }

    #[test]
    fn only_who_has_stood_still_is_apart() {
        let observed = group([in_phase("starting"), in_phase("waiting")]);
        assert_eq!(after(&observed, 14), Standing::Moving);
        assert_eq!(after(&observed, 15), Standing::Apart(vec![TWO[0]]));
        let observed = group([outside(), in_phase("waiting")]);
        assert_eq!(after(&observed, 15), Standing::Apart(vec![TWO[0]]));
    }

    #[test]
    fn a_view_that_cannot_become_whole_is_not_waited_for() {
        let remembers = |names: &[&str]| {
            let mut view = in_phase("starting");
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            view.log.volume = Some(Evidence { view: names, ..Evidence::MISSING });
            view
        };
        let whole = remembers(&["c-galera-node1", "c-galera-node2"]);
        assert_eq!(after(&group([whole.clone(), in_phase("waiting")]), 2), Standing::Moving);
        assert_eq!(after(&group([whole.clone(), in_phase("waiting")]), 3), Standing::Apart(vec![TWO[0]]));
        assert_eq!(after(&group([whole.clone(), whole.clone()]), 14), Standing::Moving);
        for other in [remembers(&["c-galera-node1"]), remembers(&["c-galera-node1", "c-galera-node12"])] {
            assert_eq!(after(&group([other, in_phase("waiting")]), 14), Standing::Moving);
        }
    }

    #[test]
    fn all_that_wait_are_ready_for_a_decision_at_once() {
        assert_eq!(after(&group([in_phase("waiting"), in_phase("waiting")]), 0), Standing::Waiting);
    }

    #[test]
    fn a_majority_or_a_silent_member_leaves_everything_as_it_is() {
        let mut gone = in_phase("starting");
        gone.pod.running = false;
        for other in [gone, in_phase("refused"), in_phase("up"), healthy(&TWO).members.remove(&TWO[1]).unwrap()] {
            assert_eq!(after(&group([in_phase("waiting"), other]), 3600), Standing::Moving);
        }
    }
}
