//! When a lock may be taken: a pure decision.
//!
//! The holder's clock is never compared with ours. A holder counts as dead when its process has ended on this machine,
//! or when its Lease did not change for the whole time it promised to renew it in, by our own monotonic clock.

use std::time::Duration;

use super::holder::Liveness;

/// A Lease as just read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// `metadata.resourceVersion`.
    pub version: String,
    /// Who holds it; `None` after a release.
    pub holder: Option<Holder>,
}

/// The holder in a Lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Whether it is this very run.
    pub is_me: bool,
    /// What is known of its process.
    pub liveness: Liveness,
    /// How soon it promised to renew.
    pub duration: Duration,
}

/// What was learnt by looking before; times are since the first look.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Watch {
    /// The version seen last, and when it was seen first.
    seen: Option<(String, Duration)>,
    /// Whether the Lease was seen to change while somebody else held it.
    renewed: bool,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Create the Lease.
    Create,
    /// Write our name into the Lease, if its version is still the same.
    Take,
    /// Look again, at the latest after this time; the holder may be dead.
    Suspect(Duration),
    /// Look again later; the holder lives.
    Wait,
    /// Give up: the holder lives and we may not wait any longer.
    Refuse,
}

impl Watch {
    /// Decides by what was read `now`, the time since the first look. `patience` is how long a living holder is
    /// waited for; a silent one is watched for its whole duration even without patience.
    pub fn decide(&mut self, lease: Option<&Observed>, now: Duration, patience: Duration) -> Action {
        let Some(Observed { version, holder }) = lease else { return Action::Create };
        let Some(holder) = holder else { return Action::Take };
        if holder.is_me || holder.liveness == Liveness::Dead {
            return Action::Take;
        }
        let since = match self.seen.take() {
            Some((seen, since)) if seen == *version => since,
            seen => {
                self.renewed |= seen.is_some();
                now
            }
        };
        self.seen = Some((version.clone(), since));
        let or_refuse = |action| if now >= patience { Action::Refuse } else { action };
        if holder.liveness == Liveness::Alive {
            // A process that lives but hangs still holds its connections: it is never robbed.
            return or_refuse(Action::Wait);
        }
        match holder.duration.checked_sub(now.saturating_sub(since)).filter(|left| !left.is_zero()) {
            None => Action::Take,
            Some(_) if self.renewed => or_refuse(Action::Wait),
            Some(left) => Action::Suspect(left),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DURATION: Duration = Duration::from_secs(30);
    const NO_PATIENCE: Duration = Duration::ZERO;

    fn held(version: u64, liveness: Liveness) -> Observed {
        let holder = Holder { is_me: false, liveness, duration: DURATION };
        Observed { version: version.to_string(), holder: Some(holder) }
    }

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn free_and_own_locks_are_taken() {
        let mut watch = Watch::default();
        assert_eq!(watch.decide(None, s(0), NO_PATIENCE), Action::Create);
        let free = Observed { version: "1".into(), holder: None };
        assert_eq!(watch.decide(Some(&free), s(0), NO_PATIENCE), Action::Take);
        let mut mine = held(1, Liveness::Alive);
        mine.holder.as_mut().unwrap().is_me = true;
        assert_eq!(watch.decide(Some(&mine), s(0), NO_PATIENCE), Action::Take);
    }

    #[test]
    fn a_process_that_ended_here_is_replaced_at_once() {
        assert_eq!(Watch::default().decide(Some(&held(1, Liveness::Dead)), s(0), NO_PATIENCE), Action::Take);
    }

    #[test]
    fn a_process_that_lives_here_is_refused_at_once_and_never_robbed() {
        let alive = held(1, Liveness::Alive);
        assert_eq!(Watch::default().decide(Some(&alive), s(0), NO_PATIENCE), Action::Refuse);
        let mut watch = Watch::default();
        assert_eq!(watch.decide(Some(&alive), s(0), s(100)), Action::Wait);
        assert_eq!(watch.decide(Some(&alive), s(99), s(100)), Action::Wait);
        assert_eq!(watch.decide(Some(&alive), s(100), s(100)), Action::Refuse);
    }

    #[test]
    fn a_silent_holder_is_watched_for_its_whole_duration() {
        let mut watch = Watch::default();
        let silent = held(1, Liveness::Unknown);
        assert_eq!(watch.decide(Some(&silent), s(0), NO_PATIENCE), Action::Suspect(s(30)));
        assert_eq!(watch.decide(Some(&silent), s(29), NO_PATIENCE), Action::Suspect(s(1)));
        assert_eq!(watch.decide(Some(&silent), s(30), NO_PATIENCE), Action::Take);
    }

    #[test]
    fn the_first_renewal_refuses_without_patience() {
        let mut watch = Watch::default();
        assert_eq!(watch.decide(Some(&held(1, Liveness::Unknown)), s(0), NO_PATIENCE), Action::Suspect(s(30)));
        assert_eq!(watch.decide(Some(&held(2, Liveness::Unknown)), s(10), NO_PATIENCE), Action::Refuse);
    }

    #[test]
    fn with_patience_a_holder_that_falls_silent_is_replaced() {
        let mut watch = Watch::default();
        assert_eq!(watch.decide(Some(&held(1, Liveness::Unknown)), s(0), s(300)), Action::Suspect(s(30)));
        assert_eq!(watch.decide(Some(&held(2, Liveness::Unknown)), s(10), s(300)), Action::Wait);
        assert_eq!(watch.decide(Some(&held(2, Liveness::Unknown)), s(39), s(300)), Action::Wait);
        assert_eq!(watch.decide(Some(&held(2, Liveness::Unknown)), s(40), s(300)), Action::Take);
    }

    proptest! {
        /// However looks and renewals fall in time: who renews in time is never robbed.
        #[test]
        fn who_renews_is_never_robbed(
            renew in 1_u64..30, phase in 0_u64..30, patience in 0_u64..200,
            looks in proptest::collection::vec(1_u64..25, 1..60),
        ) {
            let mut watch = Watch::default();
            let mut now = 0;
            for step in looks {
                let lease = held((now + phase) / renew, Liveness::Unknown);
                let action = watch.decide(Some(&lease), s(now), s(patience));
                prop_assert_ne!(action, Action::Take);
                if action == Action::Refuse {
                    prop_assert!(now >= patience);
                    break;
                }
                now += step;
            }
        }

        /// Who died is replaced, after one duration from the last change that was seen, whatever the patience,
        /// unless it was seen to live and patience ran out before.
        #[test]
        fn who_died_is_replaced(died in 0_u64..60, patience in 0_u64..200, every in 1_u64..10) {
            let mut watch = Watch::default();
            let mut now = 0;
            loop {
                let lease = held(now.min(died) / 10, Liveness::Unknown);
                match watch.decide(Some(&lease), s(now), s(patience)) {
                    Action::Take => break,
                    Action::Refuse => {
                        prop_assert!(died >= 10 && now >= patience);
                        break;
                    }
                    _ => prop_assert!(now < died + 30 + every),
                }
                now += every;
            }
        }
    }
}
