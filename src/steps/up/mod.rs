//! What `up` does, and the one list of what it makes and removes on each course: a dry run shows it, `diff` compares it, and
//! the rights are held against it. The steps take their objects from the same functions.

pub mod handover;
pub mod leftovers;
pub mod nodes;
pub mod preflight;
pub mod proxy;
pub mod seed;
pub mod volumes;

use crate::cluster::certificates;
use crate::cluster::record::{self, Secrets};
use crate::desired::Desired;
use crate::engine::Named;
use crate::manifests::config::{Record, record_map};
use crate::manifests::{self, Object};
use crate::names::Member;
use crate::plans::course::Course;
use crate::plans::stage::Stage;

use handover::HANDOVER;
use leftovers::LEFTOVERS;
use nodes::NODES;
use preflight::PREFLIGHT;
use proxy::PROXY;
use seed::SEED;
use volumes::{NAMESPACE, VOLUMES};

/// What `up` does, in this order.
pub const STEPS: [Named; 8] = [PREFLIGHT, NAMESPACE, VOLUMES, SEED, NODES, PROXY, HANDOVER, LEFTOVERS];

/// What is known of a cluster that is to be formed, brought back or completed.
#[derive(Debug, Clone)]
pub struct Found {
    /// The way that the run goes.
    pub course: Course,
    /// What is on record.
    pub record: Record,
    /// The passwords, where there is a Secret.
    pub secrets: Option<Secrets>,
}

/// What `up` makes and removes on one course; `record` is what is recorded before it.
#[must_use]
pub fn stages(desired: &Desired, course: &Course, record: &Record) -> Vec<Stage> {
    let formed = vec![Object::of(&record_map(desired, &Record { formed: true, uuid: record.uuid }))];
    let mut stages = vec![
        Stage::makes(NAMESPACE.id, vec![Object::of(&manifests::volumes::namespace(desired))]),
        volumes::stage(desired, *course == Course::Form),
    ];
    stages.extend(match course {
        // Nodes begin beside the seed, since it asks them what their volumes hold.
        Course::Form => {
            let settings = [record::blank_secrets(desired, true), manifests::shared(desired)].concat();
            let (seed, nodes, proxy) = (manifests::seed(desired), manifests::nodes(desired), manifests::proxy(desired));
            vec![Stage::makes(SEED.id, [settings, seed, nodes, proxy, formed].concat())]
        }
        Course::BringBack { .. } | Course::Compare => {
            vec![nodes::stage(desired, true), Stage::makes(NODES.id, formed)]
        }
        Course::Keep => {
            vec![nodes::stage(desired, false), Stage::makes(NODES.id, formed), proxy::stage(desired)]
        }
    });
    stages.push(Stage::removes(HANDOVER.id, handed_over(desired)));
    stages
}

/// What is of no use once the nodes have everything.
fn handed_over(desired: &Desired) -> Vec<Object> {
    let claims = manifests::claims(desired, true).into_iter();
    let volumes = manifests::volumes(desired, true).into_iter();
    let (claim, volume) = (desired.cluster.claim(Member::Seed), desired.cluster.volume(Member::Seed));
    let mut gone = manifests::seed(desired);
    gone.extend(certificates::blank_of(desired, Member::Seed));
    gone.extend(claims.filter(|object| object.name == claim).chain(volumes.filter(|object| object.name == volume)));
    gone
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::rights;
    use crate::plans::stage::Fate;

    fn names(course: &Course) -> Vec<String> {
        let desired = crate::desired::tests::desired("c", 3);
        let stages = stages(&desired, course, &Record::default());
        let made = stages.iter().filter(|stage| stage.fate == Fate::Made);
        made.flat_map(|stage| stage.objects.iter().map(Object::display)).collect()
    }

    #[test]
    fn a_seed_comes_only_where_a_cluster_is_formed() {
        assert!(names(&Course::Form).contains(&"pod/c-galera-seed".to_owned()));
        for course in [Course::Keep, Course::Compare] {
            assert!(!names(&course).iter().any(|name| name.contains("seed")), "{course:?}");
        }
    }

    #[test]
    fn every_course_comes_to_the_same_cluster() {
        let lasting = |course: &Course| -> Vec<String> {
            let mut names = names(course);
            names.retain(|name| !name.contains("-seed"));
            names.sort();
            names
        };
        assert!(lasting(&Course::Form).contains(&"statefulset/c-galera-node3".to_owned()));
        assert_eq!(lasting(&Course::Form), lasting(&Course::Compare));
        assert_eq!(lasting(&Course::Form), lasting(&Course::Keep));
    }

    #[test]
    fn whatever_is_made_or_removed_is_among_the_rights_that_are_asked_for() {
        let desired = crate::desired::tests::desired("c", 3);
        let may = |object: &Object, verb: &str| {
            let plural = &object.resource.plural;
            rights::UP.iter().any(|(group, resource, verbs)| {
                *group == object.resource.group && resource == plural && verbs.contains(&verb)
            })
        };
        for stage in stages(&desired, &Course::Form, &Record::default()) {
            let verbs: &[&str] = if stage.fate == Fate::Removed { &["delete"] } else { &["get", "create", "patch"] };
            for object in stage.objects.iter().filter(|object| object.namespace.is_some()) {
                for verb in verbs {
                    assert!(may(object, verb), "{verb} {object}");
                }
            }
        }
    }
}
