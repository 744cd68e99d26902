use super::*;
use crate::wsrep::volume::Owner;
use proptest::prelude::*;

const KNOWN: Known<'static> = Known { group: "data.shop", formed: true, recorded: None };
const NEVER: Known<'static> = Known { group: "data.shop", formed: false, recorded: None };

fn uuid(n: u8) -> Uuid {
    format!("{n:08x}-0000-11f0-8000-0123456789ab").parse().unwrap()
}

fn database(cluster: u8, seqno: Option<u64>, safe: bool) -> Evidence {
    Evidence { contents: Contents::Database { uuid: Some(uuid(cluster)), seqno, safe }, ..Evidence::MISSING }
}

fn holding(contents: Contents) -> Evidence {
    Evidence { contents, ..Evidence::MISSING }
}

fn cluster(volumes: impl IntoIterator<Item = Evidence>) -> BTreeMap<Member, Evidence> {
    (1..).map(Member::Node).zip(volumes).collect()
}

fn refused(volumes: &BTreeMap<Member, Evidence>, known: Known<'_>) -> String {
    match decide(volumes, known) {
        Decision::Refuse(reasons) => reasons.join("; "),
        other => panic!("must refuse: {other:?}"),
    }
}

#[test]
fn the_newest_position_comes_first_and_the_last_to_leave_breaks_a_tie() {
    let volumes = cluster([database(1, Some(8), false), database(1, Some(10), false), database(1, Some(10), true)]);
    let position = Position { uuid: uuid(1), seqno: 10 };
    let back = Decision::BringBack { from: Member::Node(3), position, without: vec![] };
    assert_eq!(decide(&volumes, KNOWN), back);
}

#[test]
fn crashed_and_unseen_volumes_are_compared_by_their_servers() {
    let crashed = cluster([database(1, None, true), database(1, Some(9), false)]);
    assert_eq!(decide(&crashed, KNOWN), Decision::Compare);
    let kept = cluster([holding(Contents::Unseen), holding(Contents::Unseen)]);
    assert_eq!(decide(&kept, KNOWN), Decision::Compare);
}

#[test]
fn an_unseen_seed_needs_a_node_with_a_complete_copy() {
    let mut volumes = cluster([database(1, Some(8), false), holding(Contents::Unfinished)]);
    volumes.insert(Member::Seed, holding(Contents::Unseen));
    assert!(matches!(decide(&volumes, KNOWN), Decision::BringBack { from: Member::Node(1), .. }));
    let mut volumes = cluster([holding(Contents::Unfinished), holding(Contents::Unfinished)]);
    volumes.insert(Member::Seed, holding(Contents::Unseen));
    assert_eq!(refused(&volumes, KNOWN), "no volume of a node holds a complete copy");
}

#[test]
fn half_a_transfer_is_no_copy_and_does_not_stand_in_the_way() {
    let volumes = cluster([database(1, Some(8), false), holding(Contents::Unfinished)]);
    let position = Position { uuid: uuid(1), seqno: 8 };
    let back = Decision::BringBack { from: Member::Node(1), position, without: vec![Member::Node(2)] };
    assert_eq!(decide(&volumes, KNOWN), back);
    let alone = cluster([holding(Contents::Unfinished), holding(Contents::Unfinished)]);
    assert_eq!(refused(&alone, KNOWN), "no volume of a node holds a complete copy");
}

#[test]
fn a_recorded_uuid_must_match_wherever_it_is_recorded() {
    let mut volumes = cluster([database(1, Some(8), false)]);
    assert!(refused(&volumes, Known { recorded: Some(uuid(2)), ..KNOWN }).contains("is on record"));
    volumes.get_mut(&Member::Node(1)).unwrap().recorded = Some(uuid(2));
    assert!(refused(&volumes, KNOWN).contains("was recorded for cluster"));
}

#[test]
fn a_volume_of_somebody_else_is_refused() {
    for (group, member) in [("web.shop", 1), ("data.other", 1), ("data.shop", 2)] {
        let mut volumes = cluster([database(1, Some(8), false)]);
        let owner = Owner { group: group.to_owned(), member: Member::Node(member) };
        volumes.get_mut(&Member::Node(1)).unwrap().owner = Some(owner);
        assert!(refused(&volumes, KNOWN).contains("belongs to"), "{group} {member}");
    }
}

#[test]
fn what_was_committed_must_be_on_one_of_them() {
    let mut volumes = cluster([database(1, Some(8), false), database(1, Some(9), false)]);
    let seen = |seqno| Some((Position { uuid: uuid(1), seqno }, Some(1_790_000_000)));
    volumes.get_mut(&Member::Node(1)).unwrap().seen = seen(9);
    assert!(matches!(decide(&volumes, KNOWN), Decision::BringBack { from: Member::Node(2), .. }));
    volumes.get_mut(&Member::Node(1)).unwrap().seen = seen(12);
    assert!(refused(&volumes, KNOWN).contains("node1 has committed 12"));
}

#[test]
fn empty_is_new_only_where_nothing_was() {
    let empty = || cluster([holding(Contents::Empty), holding(Contents::Empty)]);
    assert_eq!(decide(&empty(), NEVER), Decision::Fresh);
    assert_eq!(refused(&empty(), KNOWN), "all volumes are empty, but a cluster is on record");
    let with = |change: &dyn Fn(&mut Evidence)| {
        let mut volumes = empty();
        change(volumes.get_mut(&Member::Node(2)).unwrap());
        refused(&volumes, NEVER)
    };
    assert!(with(&|evidence| evidence.recorded = Some(uuid(1))).contains("is on record"));
    assert!(with(&|evidence| evidence.history = Some(uuid(1))).contains("is on record"));
}

fn any_evidence() -> impl Strategy<Value = Evidence> {
    let contents = prop_oneof![
        Just(Contents::Missing),
        Just(Contents::Unseen),
        Just(Contents::Empty),
        Just(Contents::Other),
        Just(Contents::Unfinished),
        (prop::option::of(1_u8..3), prop::option::of(0_u64..5), any::<bool>())
            .prop_map(|(cluster, seqno, safe)| { Contents::Database { uuid: cluster.map(uuid), seqno, safe } }),
    ];
    let history = || prop::option::of((1_u8..3).prop_map(uuid));
    let seen = prop::option::of((1_u8..3, 0_u64..6).prop_map(|(n, seqno)| (Position { uuid: uuid(n), seqno }, None)));
    (contents, history(), history(), seen, prop::bool::weighted(0.1)).prop_map(
        |(contents, recorded, history, seen, open)| Evidence {
            contents,
            recorded,
            history,
            seen,
            open,
            ..Evidence::MISSING
        },
    )
}

proptest! {
    /// What the decision promises, stated without the way it is found.
    #[test]
    fn never_starts_without_complete_and_consistent_evidence(
        nodes in prop::collection::vec(any_evidence(), 1..6),
        seed in prop::option::of(any_evidence()),
        recorded in prop::option::of((1_u8..3).prop_map(uuid)),
        formed: bool,
    ) {
        let mut volumes = cluster(nodes.clone());
        volumes.extend(seed.clone().map(|evidence| (Member::Seed, evidence)));
        let any_history = |evidence: &Evidence| evidence.history.is_some() || evidence.recorded.is_some();
        match decide(&volumes, Known { formed, recorded, ..KNOWN }) {
            Decision::Fresh => {
                prop_assert!(volumes.values().all(Evidence::is_blank));
                prop_assert!(!formed && recorded.is_none() && !volumes.values().any(any_history));
            }
            Decision::BringBack { from, position, without } => {
                // One that cannot be seen has nothing that a complete copy of a node lacks: it has served alone only
                // until that node was Synced.
                if let Some(seed) = seed.as_ref().filter(|seed| !seed.is_blank() && seed.contents != Contents::Unseen) {
                    let left_at = seed.position();
                    prop_assert!(left_at.is_some_and(|left| left.uuid == position.uuid && left.seqno <= position.seqno));
                }
                prop_assert!(from != Member::Seed);
                prop_assert!(recorded.is_none_or(|recorded| recorded == position.uuid));
                for (member, evidence) in (1..).map(Member::Node).zip(&nodes) {
                    prop_assert!(!evidence.open);
                    prop_assert!(evidence.seen.is_none_or(|(seen, _)| seen.uuid != position.uuid || seen.seqno <= position.seqno));
                    if without.contains(&member) {
                        prop_assert_eq!(&evidence.contents, &Contents::Unfinished);
                        continue;
                    }
                    let found = evidence.position();
                    prop_assert!(found.is_some_and(|found| found.uuid == position.uuid && found.seqno <= position.seqno));
                    prop_assert!(evidence.recorded.is_none_or(|recorded| recorded == position.uuid));
                }
                prop_assert_eq!(volumes[&from].position(), Some(position));
            }
            Decision::Compare => {
                for evidence in &nodes {
                    prop_assert!(!evidence.is_blank() && evidence.contents != Contents::Other && !evidence.open);
                }
            }
            Decision::Refuse(reasons) => prop_assert!(!reasons.is_empty()),
        }
    }
}
