//! Bringing a backup back: looking for it, filling volumes beside what is on them, and turning to the new data.

mod fill;
mod look;
mod turn;

pub use fill::{FILL, Filled, fill};
pub use look::{Found, Origin, Wish, look};
pub use turn::{FORGET, RESUME, SWITCH, UNDO, close, forget, resume, switch, trace, undo};

use crate::backups::Source;
use crate::cluster::backup_keys::Opening;
use crate::cluster::inspect::Volumes;
use crate::cluster::reader::Reader;
use crate::cluster::record::blank_secrets;
use crate::cluster::world::World;
use crate::desired::Desired;
use crate::manifests::config::{Record, record_map};
use crate::manifests::restore::{Near, Turn};
use crate::manifests::{self, Object};
use crate::names::Member;
use crate::plans::stage::Stage;
use crate::wsrep::Uuid;
use crate::wsrep::volume::{Aside, Evidence};

/// What a restore has found and decided, for its later steps.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The pod that gives the data.
    pub reader: Reader,
    /// What is restored; `None` for a folder that no agent has made.
    pub source: Option<Source>,
    /// Lines for `restore.sh`.
    pub plan: String,
    /// What opens it.
    pub opening: Opening,
    /// Bytes that every volume needs.
    pub needed: u64,
    /// Identity of the history that begins with it.
    pub uuid: Uuid,
    /// Nodes whose volumes are filled; the others get a state transfer.
    pub filled: Vec<Member>,
    /// What it is, in words.
    pub what: String,
}

/// What the volume of the node with the agent must be near, as long as it has no place; `reading` is the claim that the
/// reader uses.
fn near(world: &World, member: Member, reading: Option<&str>) -> Option<Near> {
    let desired = &world.desired;
    desired.backup_at(member)?;
    let observed = world.observer.now();
    let has_place = observed.claims.get(&desired.cluster.claim(member)).is_some_and(|claim| claim.phase == "Bound");
    let near = if reading == Some(desired.cluster.backup_claim().as_str()) { Near::Reader } else { Near::Backups };
    (!has_place).then_some(near)
}

/// What was shown to the user; a volume that was not there yet, or not bound, has nothing on it.
fn expected(evidence: Option<&Evidence>) -> String {
    match evidence.map(|evidence| evidence.found.as_str()) {
        None | Some("") => "nothing".to_owned(),
        Some(found) => found.to_owned(),
    }
}

/// What filling the volumes and turning to the new data makes, and removes again; `discard` as in [`fill`].
#[must_use]
pub fn stages(world: &World, found: &Found, discard: bool) -> Vec<Stage> {
    let near_reader = |member| near(world, member, Some(&found.prepared.reader.claim));
    let fills = filling(&world.desired, &found.prepared, &found.volumes, discard, near_reader);
    let turns = turn::all_turns(&world.desired, &found.prepared.filled);
    let record = Record { formed: true, uuid: Some(found.prepared.uuid) };
    let near_backups = |member| near(world, member, None);
    fills.into_iter().chain(turning(&world.desired, SWITCH.id, &found.volumes, &turns, &record, near_backups)).collect()
}

/// What [`resume`] makes, and removes again.
#[must_use]
pub fn stages_left(world: &World, volumes: &Volumes) -> Vec<Stage> {
    let turns = turn::turns_left(&world.desired, volumes);
    let record = Record { formed: true, uuid: new_history(volumes) };
    turning(&world.desired, RESUME.id, volumes, &turns, &record, |member| near(world, member, None)).into()
}

/// What [`undo`] makes, and removes again.
#[must_use]
pub fn stages_back(world: &World, volumes: &Volumes) -> Vec<Stage> {
    let turns = turn::turns_back(&world.desired, volumes);
    let record = turn::of_histories(volumes.values().filter_map(old_history));
    turning(&world.desired, UNDO.id, volumes, &turns, &record, |member| near(world, member, None)).into()
}

fn filling(
    desired: &Desired,
    prepared: &Prepared,
    volumes: &Volumes,
    discard: bool,
    near: impl Fn(Member) -> Option<Near>,
) -> [Stage; 2] {
    let settings = [blank_secrets(desired, false), manifests::shared(desired)].concat();
    let jobs = fill::jobs(desired, prepared, volumes, discard, near);
    [Stage::makes(FILL.id, settings), Stage::passes(FILL.id, jobs)]
}

fn turning(
    desired: &Desired,
    step: &'static str,
    volumes: &Volumes,
    turns: &[(Member, Turn)],
    record: &Record,
    near: impl Fn(Member) -> Option<Near>,
) -> [Stage; 2] {
    let jobs = turn::jobs(desired, volumes, turns, near);
    [Stage::passes(step, jobs), Stage::makes(step, vec![Object::of(&record_map(desired, record))])]
}

/// The history of the data that a restore has brought, as far as it can be seen before all volumes are turned to it.
fn new_history(volumes: &Volumes) -> Option<Uuid> {
    let of = |evidence: &Evidence| match evidence.aside {
        Aside::Kept => evidence.history,
        Aside::Filled => evidence.history_of("new"),
        Aside::Nothing | Aside::Filling => None,
    };
    volumes.values().find_map(of)
}

/// The history of the data that was there before a restore.
fn old_history(evidence: &Evidence) -> Option<Uuid> {
    if evidence.aside == Aside::Kept { evidence.history_of("kept") } else { evidence.history }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plans::stage::Fate;

    const OLD: &str = "11111111-1111-1111-1111-111111111111";
    const NEW: &str = "22222222-2222-2222-2222-222222222222";

    fn rows(stages: &[Stage]) -> Vec<String> {
        let row = |stage: &Stage| {
            let sign = if stage.fate == Fate::Passing { "+-" } else { "+" };
            stage.objects.iter().map(|object| format!("{} {sign}{object}", stage.step)).collect::<Vec<_>>()
        };
        stages.iter().flat_map(row).collect()
    }

    fn evidence(aside: Aside, found: &str, history: &str) -> Evidence {
        Evidence { aside, found: found.to_owned(), history: history.parse().ok(), ..Evidence::MISSING }
    }

    #[test]
    fn one_volume_is_filled_and_all_of_them_are_turned() {
        let desired = crate::desired::tests::desired("c", 2);
        let reader = Reader {
            claim: "b".to_owned(),
            pod: "r".to_owned(),
            container: "r".to_owned(),
            address: "a".to_owned(),
            token: "t".to_owned(),
        };
        let prepared = Prepared {
            reader,
            source: None,
            opening: Opening::default(),
            plan: String::new(),
            needed: 1,
            uuid: NEW.parse().unwrap(),
            filled: vec![Member::Node(1)],
            what: String::new(),
        };
        let volumes = Volumes::new();
        let filling = filling(&desired, &prepared, &volumes, false, |_| None);
        assert_eq!(
            rows(&filling),
            [
                "fill +secret/c-galera-credentials",
                "fill +configmap/c-galera-config",
                "fill +configmap/c-galera-spec",
                "fill +-job/c-galera-restore-node1-job",
            ]
        );
        let turns = turn::all_turns(&desired, &prepared.filled);
        assert_eq!(turns, [(Member::Node(1), Turn::Switch), (Member::Node(2), Turn::Clear)]);
        let turning = turning(&desired, SWITCH.id, &volumes, &turns, &Record::default(), |_| None);
        assert_eq!(
            rows(&turning),
            [
                "switch +-job/c-galera-restore-node1-job",
                "switch +-job/c-galera-restore-node2-job",
                "switch +configmap/c-galera-record",
            ]
        );
    }

    #[test]
    fn what_was_broken_off_is_gone_on_with_or_taken_back_where_it_stands() {
        let desired = crate::desired::tests::desired("c", 3);
        let switched = evidence(Aside::Kept, &format!("database:{NEW}:5;kept=database:{OLD}:9"), NEW);
        let filled = evidence(Aside::Filled, &format!("database:{OLD}:9;new=database:{NEW}:5"), OLD);
        let untouched = evidence(Aside::Nothing, &format!("database:{OLD}:9"), OLD);
        let volumes: Volumes = (1..).map(Member::Node).zip([switched, filled, untouched]).collect();
        let left = turn::turns_left(&desired, &volumes);
        assert_eq!(left, [(Member::Node(2), Turn::Switch), (Member::Node(3), Turn::Clear)]);
        let back = turn::turns_back(&desired, &volumes);
        assert_eq!(back, [(Member::Node(1), Turn::Undo), (Member::Node(2), Turn::Drop)]);
        assert_eq!(new_history(&volumes), NEW.parse().ok());
        let old = turn::of_histories(volumes.values().filter_map(old_history));
        assert_eq!(old, Record { formed: true, uuid: OLD.parse().ok() });
    }
}
