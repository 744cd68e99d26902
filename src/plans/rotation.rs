//! How the authority of a cluster is replaced while its servers run: what is to be done next, from what is there.
//!
//! Each server trusts both authorities before any shows a certificate of the new one, and shows one of the new before any
//! stops trusting the old. So whoever is restarted, or interrupted, at whatever moment, is trusted by all others.

use std::collections::{BTreeMap, BTreeSet};

use crate::names::Member;

/// What an authority is told from others by.
pub type Id = String;

/// The authorities of a cluster, as their Secret has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorities {
    /// All whose certificates are to be believed.
    pub trusted: BTreeSet<Id>,
    /// The one that signs.
    pub signs: Id,
    /// One that is to sign, once all servers trust it.
    pub next: Option<Id>,
}

/// What one server has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Who has signed the certificate in its Secret, if any of the authorities has.
    pub signed_by: Option<Id>,
    /// Whom its Secret tells it to trust.
    pub trusts: BTreeSet<Id>,
    /// It shows what its Secret has, and trusts all whom that names. That it trusts nobody else cannot be told.
    pub loaded: bool,
}

/// Everything that the next act follows from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The authorities.
    pub authorities: Authorities,
    /// The servers.
    pub servers: BTreeMap<Member, Server>,
}

/// One act. It can be done again after an interruption.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// The Secret of a server gets these authorities, and `anew` a certificate as well; then the server loads it.
    Give {
        /// Which server.
        member: Member,
        /// It gets another certificate, from the authority that signs.
        anew: bool,
        /// Whom it is to trust.
        trusts: BTreeSet<Id>,
    },
    /// The next authority signs from now on.
    Promote,
    /// The one that signs is the only one that is left.
    Retire,
}

/// Whether a rotation has begun and is not over.
#[must_use]
pub fn is_under_way(state: &State) -> bool {
    state.authorities.next.is_some() || state.authorities.trusted.len() > 1
}

/// What is to be done next; `None` when one authority has signed everything and is trusted alone.
#[must_use]
pub fn next(state: &State) -> Option<Act> {
    let Authorities { trusted, signs, next } = &state.authorities;
    let give = |anew: bool, trusts: &BTreeSet<Id>, lacks: &dyn Fn(&Server) -> bool| {
        let (member, _) = state.servers.iter().find(|(_, server)| lacks(server))?;
        Some(Act::Give { member: *member, anew, trusts: trusts.clone() })
    };
    let by_another = |server: &Server| server.signed_by.as_ref() != Some(signs);
    let alone = BTreeSet::from([signs.clone()]);
    if next.is_some() {
        return give(false, trusted, &|server| server.trusts != *trusted || !server.loaded).or(Some(Act::Promote));
    }
    give(true, trusted, &by_another)
        .or_else(|| {
            let (member, server) = state.servers.iter().find(|(_, server)| !server.loaded)?;
            Some(Act::Give { member: *member, anew: false, trusts: server.trusts.clone() })
        })
        .or_else(|| give(false, &alone, &|server| server.trusts != alone))
        .or_else(|| (*trusted != alone).then_some(Act::Retire))
}

/// The part of a rotation that an act belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// All servers come to trust the new authority beside the old one.
    Trust,
    /// All get certificates of the new one.
    Sign,
    /// None trusts the old one any more.
    Retire,
}

/// The part that an act belongs to which is the next one in this state.
#[must_use]
pub fn phase(state: &State, act: &Act) -> Phase {
    match act {
        Act::Give { .. } if state.authorities.next.is_some() => Phase::Trust,
        Act::Give { anew: false, trusts, .. } if trusts.len() == 1 => Phase::Retire,
        Act::Retire => Phase::Retire,
        Act::Give { .. } | Act::Promote => Phase::Sign,
    }
}

/// All acts that are left where nothing happens in between, each with its part. A rotation that has not begun is one with a
/// new authority.
#[must_use]
pub fn rest(mut state: State) -> Vec<(Phase, Act)> {
    if !is_under_way(&state) {
        let new = "new".to_owned();
        state.authorities.trusted.insert(new.clone());
        state.authorities.next = Some(new);
    }
    let mut acts = Vec::new();
    while let Some(act) = next(&state) {
        acts.push((phase(&state, &act), act.clone()));
        let Authorities { trusted, signs, next } = &mut state.authorities;
        match act {
            Act::Give { member, anew, trusts } => {
                let Some(server) = state.servers.get_mut(&member) else { break };
                server.signed_by = if anew { Some(signs.clone()) } else { server.signed_by.take() };
                (server.trusts, server.loaded) = (trusts, true);
            }
            Act::Promote => *signs = next.take().unwrap_or_default(),
            Act::Retire => trusted.retain(|id| id == signs),
        }
    }
    acts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a Secret has, or a server has read: who has signed, and whom it trusts.
    #[derive(Debug, Clone, PartialEq, Eq)]
    struct Files {
        by: Id,
        trusts: BTreeSet<Id>,
    }

    /// Servers as they are: what was read last from the Secret, and trust that grows until a restart.
    struct World {
        authorities: Authorities,
        secrets: BTreeMap<Member, Files>,
        running: BTreeMap<Member, Files>,
    }

    impl World {
        fn begun() -> Self {
            let old = BTreeSet::from(["old".to_owned()]);
            let files = Files { by: "old".to_owned(), trusts: old.clone() };
            let servers: BTreeMap<Member, Files> = (1..=3).map(|node| (Member::Node(node), files.clone())).collect();
            let mut trusted = old;
            trusted.insert("new".to_owned());
            let authorities = Authorities { trusted, signs: "old".to_owned(), next: Some("new".to_owned()) };
            Self { authorities, secrets: servers.clone(), running: servers }
        }

        fn state(&self) -> State {
            let server = |(member, secret): (&Member, &Files)| {
                let running = &self.running[member];
                let loaded = running.by == secret.by && running.trusts.is_superset(&secret.trusts);
                (*member, Server { signed_by: Some(secret.by.clone()), trusts: secret.trusts.clone(), loaded })
            };
            State { authorities: self.authorities.clone(), servers: self.secrets.iter().map(server).collect() }
        }

        /// The first half of an act; what is left of it is to load.
        fn write(&mut self, act: &Act) -> Option<Member> {
            match act {
                Act::Give { member, anew, trusts } => {
                    let secret = self.secrets.get_mut(member).unwrap();
                    secret.trusts.clone_from(trusts);
                    if *anew {
                        secret.by.clone_from(&self.authorities.signs);
                    }
                    return Some(*member);
                }
                Act::Promote => self.authorities.signs = self.authorities.next.take().unwrap(),
                Act::Retire => self.authorities.trusted = BTreeSet::from([self.authorities.signs.clone()]),
            }
            None
        }

        fn load(&mut self, member: Member) {
            let secret = self.secrets[&member].clone();
            let running = self.running.get_mut(&member).unwrap();
            running.by = secret.by;
            running.trusts.extend(secret.trusts);
        }

        fn restart(&mut self, member: Member) {
            self.running.insert(member, self.secrets[&member].clone());
        }

        /// Somebody has deleted a Secret, and `up` has made another.
        fn remake(&mut self, member: Member) {
            let Authorities { signs, trusted, .. } = &self.authorities;
            self.secrets.insert(member, Files { by: signs.clone(), trusts: trusted.clone() });
        }

        /// Every server trusts every other as it is now, and as it is when it or the other is started again.
        fn all_trust_each_other(&self) -> bool {
            let faces = |member: &Member| [&self.running[member], &self.secrets[member]];
            self.running.keys().all(|one| {
                self.running.keys().filter(|other| *other != one).all(|other| {
                    let shown = faces(other).map(|files| &files.by);
                    faces(one).iter().all(|files| shown.iter().all(|by| files.trusts.contains(*by)))
                })
            })
        }
    }

    #[test]
    fn it_comes_to_an_end_with_the_new_authority_alone() {
        let mut world = World::begun();
        let planned: Vec<Act> = rest(world.state()).into_iter().map(|(_, act)| act).collect();
        let (mut acts, mut done) = (Vec::new(), Vec::new());
        while let Some(act) = next(&world.state()) {
            if let Some(member) = world.write(&act) {
                world.load(member);
            }
            done.push(act.clone());
            acts.push(match act {
                Act::Give { anew, trusts, .. } => format!("give {anew} {}", trusts.len()),
                other => format!("{other:?}"),
            });
        }
        let phase = |act: &str| vec![act.to_owned(); 3];
        let expected = [
            phase("give false 2"),
            vec!["Promote".to_owned()],
            phase("give true 2"),
            phase("give false 1"),
            vec!["Retire".to_owned()],
        ];
        assert_eq!(acts, expected.concat());
        assert_eq!(done, planned);
        assert!(!is_under_way(&world.state()));
        assert!(world.secrets.values().all(|files| files.by == "new" && files.trusts.len() == 1));
    }

    #[test]
    fn a_renewal_that_was_interrupted_is_loaded() {
        let mut world = World::begun();
        world.authorities =
            Authorities { trusted: BTreeSet::from(["old".to_owned()]), signs: "old".to_owned(), next: None };
        assert_eq!(next(&world.state()), None);
        let mut state = world.state();
        state.servers.get_mut(&Member::Node(2)).unwrap().loaded = false;
        let trusts = BTreeSet::from(["old".to_owned()]);
        assert_eq!(next(&state), Some(Act::Give { member: Member::Node(2), anew: false, trusts }));
    }

    /// What happens between two acts, and in the middle of one.
    #[derive(Debug, Clone)]
    enum Event {
        Goes,
        KilledHalfway,
        Restart(u32),
        Remake(u32),
    }

    fn events() -> impl Strategy<Value = Vec<Event>> {
        let event = prop_oneof![
            4 => Just(Event::Goes),
            2 => Just(Event::KilledHalfway),
            2 => (1..=3u32).prop_map(Event::Restart),
            1 => (1..=3u32).prop_map(Event::Remake),
        ];
        prop::collection::vec(event, 0..60)
    }

    proptest! {
        /// At no moment is there a server whose certificate another does not trust, whatever happens in between.
        #[test]
        fn everybody_is_trusted_all_the_time(events in events()) {
            let mut world = World::begun();
            for event in events.into_iter().chain(std::iter::repeat_n(Event::Goes, 30)) {
                match event {
                    Event::Restart(node) => world.restart(Member::Node(node)),
                    Event::Remake(node) => world.remake(Member::Node(node)),
                    Event::Goes | Event::KilledHalfway => {
                        let half = next(&world.state()).and_then(|act| world.write(&act));
                        prop_assert!(world.all_trust_each_other());
                        if let (Some(member), Event::Goes) = (half, event) {
                            world.load(member);
                        }
                    }
                }
                prop_assert!(world.all_trust_each_other());
            }
            prop_assert_eq!(next(&world.state()), None);
            prop_assert!(!is_under_way(&world.state()));
        }
    }
}
