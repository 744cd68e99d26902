use super::*;
use proptest::prelude::*;

const NODES: [Member; 3] = [Member::Node(1), Member::Node(2), Member::Node(3)];

fn uuid(n: u8) -> Uuid {
    format!("{n:08x}-0000-11f0-8000-0123456789ab").parse().unwrap()
}

fn holding(contents: Contents) -> Row {
    let volume = Some(Evidence { contents, ..Evidence::MISSING });
    Row { life: Life::Waiting(None), host: None, volume, reports: None, error: None }
}

fn at(history: u8, seqno: u64) -> Row {
    holding(Contents::Database { uuid: Some(uuid(history)), seqno: Some(seqno), safe: false })
}

fn running(life: Life) -> Row {
    let reports = Some(Position { uuid: uuid(1), seqno: 7 });
    Row { life, host: None, volume: None, reports, error: None }
}

fn of(rows: [Row; 3], wishes: &Wishes) -> Result<Plan, Vec<String>> {
    let rows = NODES.into_iter().zip(rows).collect();
    plan(&Case { rows: &rows, record: &Record { formed: true, uuid: Some(uuid(1)) }, group: "data.shop" }, wishes)
}

#[test]
fn a_complete_group_loses_nothing_and_the_newest_starts_first() {
    let found = of([at(1, 5), at(1, 9), at(1, 7)], &Wishes::default()).unwrap();
    assert_eq!(found.losses, Vec::<String>::new());
    assert!(matches!(found.way, Way::Together { from: Some((Member::Node(2), _)), .. }), "{found:?}");
}

#[test]
fn members_outside_of_any_component_are_compared() {
    let found = of([running(Life::Outside), running(Life::Outside), at(1, 7)], &Wishes::default()).unwrap();
    assert!(matches!(found.way, Way::Together { from: None, .. }), "{found:?}");
    assert!(found.losses.is_empty());
}

#[test]
fn a_lost_volume_is_replaced_and_what_may_be_missing_is_said() {
    let mut lost = holding(Contents::Empty);
    lost.volume.as_mut().unwrap().seen = Some((Position { uuid: uuid(1), seqno: 12 }, Some(1_790_000_000)));
    let found = of([at(1, 5), at(1, 9), lost], &Wishes::default()).unwrap();
    let Way::Together { from: Some((Member::Node(2), _)), without, .. } = &found.way else { panic!("{found:?}") };
    assert_eq!(without, &[NODES[2]]);
    assert!(found.losses.iter().any(|loss| loss.contains("3 transactions are missing for certain")), "{found:?}");
}

#[test]
fn an_unreachable_member_is_not_a_dead_one() {
    let silent = || running(Life::Unknown("its pod is said to run on host b".to_owned()));
    let refused = of([at(1, 5), at(1, 9), silent()], &Wishes::default()).unwrap_err();
    assert!(refused[0].contains("may still be running") && refused[0].contains("--lost node3"), "{refused:?}");
    let given_up = Wishes { lost: [NODES[2]].into(), ..Wishes::default() };
    let found = of([at(1, 5), at(1, 9), silent()], &given_up).unwrap();
    assert!(matches!(&found.way, Way::Together { gone, .. } if gone == &[NODES[2]]), "{found:?}");
    assert!(found.losses[0].contains("is given up"));
}

#[test]
fn two_histories_need_a_word_and_keep_the_other_copy() {
    let refused = of([at(1, 5), at(2, 9), at(1, 7)], &Wishes::default()).unwrap_err();
    assert!(refused[0].contains("different histories") && refused[0].contains("--from"), "{refused:?}");
    let found = of([at(1, 5), at(2, 9), at(1, 7)], &Wishes { from: Some(NODES[0]), ..Wishes::default() }).unwrap();
    let Way::Together { from: Some((Member::Node(1), _)), aside, .. } = &found.way else { panic!("{found:?}") };
    assert_eq!(aside, &[NODES[1], NODES[2]], "another history, and a further position");
    assert_eq!(found.losses.len(), 2);
}

#[test]
fn beside_a_majority_only_copies_are_made() {
    let primary = || running(Life::Primary);
    let refusing = || Row { life: Life::Waiting(Some("another history".to_owned())), ..at(2, 9) };
    let advice = of([primary(), primary(), refusing()], &Wishes::default()).unwrap();
    assert_eq!(advice.way, Way::Nothing);
    assert!(advice.steps[1].contains("--rebuild node3"), "{advice:?}");
    let rebuild = |member| Wishes { rebuild: [member].into(), ..Wishes::default() };
    let found = of([primary(), primary(), refusing()], &rebuild(NODES[2])).unwrap();
    assert_eq!(found.way, Way::Rebuild { members: vec![NODES[2]] });
    assert_eq!(found.losses.len(), 1);
    assert!(of([primary(), primary(), refusing()], &rebuild(NODES[0])).is_err());
    let from = Wishes { from: Some(NODES[2]), ..Wishes::default() };
    assert!(of([primary(), primary(), refusing()], &from).is_err());
}

fn any_row() -> impl Strategy<Value = Row> {
    prop_oneof![
        (1_u8..3, 0_u64..9).prop_map(|(history, seqno)| at(history, seqno)),
        Just(holding(Contents::Empty)),
        Just(holding(Contents::Missing)),
        Just(holding(Contents::Unfinished)),
        Just(holding(Contents::Other)),
        Just(running(Life::Outside)),
        Just(running(Life::Primary)),
        Just(running(Life::Unknown("silent".to_owned()))),
    ]
}

proptest! {
    /// Without a word of the user, nothing that anybody may have is given up; and never is anything started beside a
    /// majority, or while a member may be running that nobody has called lost.
    #[test]
    fn nothing_is_given_up_in_silence(
        rows in prop::collection::vec(any_row(), 3),
        lost in prop::collection::btree_set(prop::sample::select(NODES.to_vec()), 0..2),
        from in prop::option::of(prop::sample::select(NODES.to_vec())),
    ) {
        let rows: [Row; 3] = rows.try_into().unwrap();
        let wishes = Wishes { lost: lost.clone(), from, ..Wishes::default() };
        let Ok(found) = of(rows.clone(), &wishes) else { return Ok(()) };
        if rows.iter().any(|row| row.life == Life::Primary) {
            prop_assert_eq!(found.way, Way::Nothing);
            return Ok(());
        }
        let Way::Together { from: first, without, aside, gone } = &found.way else { panic!("{found:?}") };
        for (member, row) in NODES.iter().zip(&rows) {
            prop_assert!(lost.contains(member) || !matches!(row.life, Life::Unknown(_)));
            let dropped = aside.contains(member) || gone.contains(member);
            let blank = row.volume.as_ref().is_some_and(Evidence::is_blank);
            prop_assert!(!(dropped || blank) || !found.losses.is_empty());
            let at = row.volume.as_ref().and_then(Evidence::position);
            if let (Some(at), Some((_, first)), false) = (at, first, dropped || without.contains(member)) {
                prop_assert!(at.uuid == first.uuid && at.seqno <= first.seqno);
            }
        }
        prop_assert!(from.is_none() || first.is_none_or(|(member, _)| Some(member) == from || !aside.contains(&member)));
    }
}
