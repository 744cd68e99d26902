//! Whether a node starts, waits or refuses: every state of its volume × what is on record × what its peers say.

use std::fs;
use std::path::Path;

use super::stage::{A, B, GROUP, Stage, Tree, ZERO, everything, put, reports, wait_for};
use super::states::{clean, crashed, database, identity, own, tables, unfinished};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Nothing,
    Unfinished,
    Database,
    /// It can take no part whatever others say.
    Stranger,
}

#[derive(Clone, Copy)]
struct Volume {
    name: &'static str,
    make: fn(&Path),
    kind: Kind,
    /// The history that it names itself.
    history: Option<&'static str>,
    /// What the server recovers.
    position: Option<&'static str>,
    view: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Outcome {
    Starts,
    Waits,
    Refuses,
}
use Outcome::{Refuses, Starts, Waits};

/// What peers say: the histories that they follow, and whether they still have this member in their view.
#[derive(Debug, Clone, Copy)]
struct Peers {
    follow: &'static [&'static str],
    listed: bool,
}

const PEERS: [Peers; 5] = [
    Peers { follow: &[], listed: false },
    Peers { follow: &[A], listed: false },
    Peers { follow: &[B], listed: false },
    Peers { follow: &[A, B], listed: false },
    Peers { follow: &[A], listed: true },
];

/// `uuid` and `formed` as they are recorded.
type Record = (Option<&'static str>, bool);
const RECORDS: [Record; 4] = [(None, false), (Some(A), true), (Some(B), true), (None, true)];

const AT_42: &str = "aaaaaaaa-1111-4222-8333-444444444444:42";
const AT_50: &str = "aaaaaaaa-1111-4222-8333-444444444444:50,0-101-7";
const OTHER: &str = "bbbbbbbb-1111-4222-8333-444444444444:7";
const NOWHERE: &str = "00000000-0000-0000-0000-000000000000:-1";

fn volumes() -> Vec<Volume> {
    let volume = |name, make, kind, history, position| Volume { name, make, kind, history, position, view: false };
    let mut all = vec![
        volume("empty", |_: &Path| (), Kind::Nothing, None, None),
        volume("emptied", |v| own(v, A), Kind::Nothing, Some(A), None),
        volume("half a copy", unfinished, Kind::Unfinished, None, None),
        volume("half a copy of A", half_of_a, Kind::Unfinished, Some(A), None),
        volume("files", |v| put(v, "data/notes.txt", "mine"), Kind::Stranger, None, None),
        volume("database at the root", |v| database(v, ".", A, "42"), Kind::Stranger, None, None),
        volume("foreign", foreign, Kind::Stranger, Some(A), Some(AT_42)),
        volume("of another member", of_another, Kind::Stranger, Some(A), Some(AT_42)),
        volume("identity and data differ", differing, Kind::Stranger, Some(A), Some(AT_42)),
        volume("identity is broken", broken, Kind::Stranger, Some(A), Some(AT_42)),
    ];
    let databases = [
        volume("clean", clean, Kind::Database, Some(A), Some(AT_42)),
        volume("clean, no identity", |v: &Path| database(v, "data", A, "42"), Kind::Database, Some(A), Some(AT_42)),
        volume("crashed", crashed, Kind::Database, Some(A), Some(AT_50)),
        volume("no state file", |v| tables(v, "data"), Kind::Database, None, Some(AT_42)),
        volume("no position", |v| tables(v, "data"), Kind::Database, None, Some(NOWHERE)),
        volume("state file and log differ", clean, Kind::Database, Some(A), Some(OTHER)),
        volume("cannot be recovered", clean, Kind::Database, Some(A), None),
    ];
    for volume in databases {
        all.push(volume);
        all.push(Volume { view: true, ..volume });
    }
    all
}

fn half_of_a(volume: &Path) {
    unfinished(volume);
    own(volume, A);
}

fn foreign(volume: &Path) {
    clean(volume);
    identity(volume, "other.demo", "node1", A);
}

fn of_another(volume: &Path) {
    clean(volume);
    identity(volume, GROUP, "node2", A);
}

fn differing(volume: &Path) {
    clean(volume);
    own(volume, B);
}

fn broken(volume: &Path) {
    clean(volume);
    put(volume, "identity", "group=$(touch $CANARY)\n");
}

/// The rules, told a second time.
fn expected(volume: &Volume, record: Option<&str>, peers: Peers) -> Outcome {
    if volume.kind == Kind::Stranger || differ(record, volume.history) {
        return Refuses;
    }
    let mut history = volume.history;
    let mut view = volume.view;
    if volume.kind == Kind::Database {
        let Some(position) = volume.position else { return Refuses };
        if position == NOWHERE {
            view = false;
        } else {
            let of = &position[..A.len()];
            if differ(history, Some(of)) || differ(record, Some(of)) {
                return Refuses;
            }
            history = Some(of);
        }
    }
    if !view && (peers.follow.is_empty() || peers.listed) {
        return Waits;
    }
    let [group] = peers.follow else { return if peers.follow.is_empty() { Starts } else { Refuses } };
    let welcome = !differ(record, Some(group))
        && match volume.kind {
            Kind::Nothing => history.is_none_or(|history| history == *group),
            Kind::Unfinished => history.or(record) == Some(*group),
            _ => history == Some(*group),
        };
    if welcome { Starts } else { Refuses }
}

fn differ(one: Option<&str>, other: Option<&str>) -> bool {
    matches!((one, other), (Some(one), Some(other)) if one != other)
}

fn answers(stage: &Stage, peers: Peers) {
    for (node, uuid) in ["node2", "node3"].iter().zip(peers.follow.iter().cycle()) {
        let own = if peers.listed { "demo-galera-node1," } else { "" };
        stage.peer(
            node,
            &format!(
                "HTTP/1.0 200 OK\r\n\r\nphase=up serves=yes primary=yes held=database:{uuid}:1 crashes=0 \
                 status=synced primary=yes uuid={uuid} members={own}demo-galera-node2,demo-galera-node3\n"
            ),
        );
    }
}

/// How a start ends, and what the server was called with.
pub(crate) fn watch(stage: &Stage) -> (String, String, String) {
    stage.program("sleep", r#"case $1 in 0.*) exec /bin/sleep 0.02;; esac; exec /bin/sleep "$@""#);
    let script = stage.path("scripts/start.sh");
    let mut running = stage.start(&[script.to_str().unwrap()], &[]);
    let word = wait_for("the start script to come to something", || {
        let asked = stage.read("stub/asked").lines().count();
        match stage.read("run/phase").trim() {
            _ if running.ended() => Some("ended"),
            "refused" if running.out().contains(" event=refused ") => Some("refuses"),
            // Two rounds through all peers, and still no answer that lets it go.
            "waiting" if asked >= 9 => Some("waits"),
            "starting" if !stage.read("stub/started").is_empty() => Some("starts"),
            _ => None,
        }
    });
    (word.to_owned(), stage.read("stub/started"), running.out() + &running.err())
}

fn check(volume: &Volume, record: Record, peers: Peers) {
    let name = format!("{}, view {}, record {record:?}, peers {peers:?}", volume.name, volume.view);
    let stage = Stage::new();
    (volume.make)(&stage.volume());
    if volume.view {
        stage.write("volume/data/gvwstate.dat", "my_uuid: x\n");
    }
    if let Some(uuid) = record.0 {
        stage.write("state/uuid", format!("{uuid}\n"));
    }
    if record.1 {
        stage.write("state/formed", "true");
    }
    if let Some(position) = volume.position {
        stage.write("stub/position", position);
    }
    answers(&stage, peers);
    let before = stage.tree();
    let outcome = expected(volume, record.0, peers);
    let (word, started, log) = watch(&stage);
    let outcome_seen = match word.as_str() {
        "ended" | "starts" if !started.is_empty() => Starts,
        "waits" => Waits,
        "refuses" => Refuses,
        other => panic!("{name}: {other}\n{log}"),
    };
    assert_eq!(outcome_seen, outcome, "{name}\n{log}");
    assert!(!started.contains("--wsrep-new-cluster"), "{name}: {started}");
    if outcome == Starts {
        let position = volume.position.filter(|position| !position.starts_with(ZERO));
        match position {
            Some(position) => assert!(started.contains(&format!("--wsrep_start_position={position}")), "{name}"),
            None => assert!(!started.contains("start_position"), "{name}: {started}"),
        }
    }
    assert_eq!(outcome == Refuses, !reports(&log, "refused").is_empty(), "{name}\n{log}");
    stage.assert_unharmed();
    let mut after = stage.tree();
    let mut allowed = allowed(volume, outcome, peers, before);
    // The folder itself may be made.
    after.remove("data");
    allowed.remove("data");
    assert!(allowed == after, "{name}: {:?}", after.keys());
}

/// What the volume may look like afterwards: nothing else may go, and nothing else may come.
fn allowed(volume: &Volume, outcome: Outcome, peers: Peers, mut tree: Tree) -> Tree {
    if volume.kind == Kind::Unfinished || volume.position == Some(NOWHERE) {
        tree.remove("data/gvwstate.dat");
    }
    if outcome == Starts && matches!(volume.kind, Kind::Nothing | Kind::Unfinished) {
        let own = format!("group={GROUP}\nmember=node1\nuuid={}\n", peers.follow[0]);
        tree.entry("identity".to_owned()).or_insert(own.into_bytes());
        if volume.kind == Kind::Unfinished {
            tree.insert("data/grastate.dat".to_owned(), Vec::new());
            tree.remove("data/sst_in_progress");
        }
    }
    tree
}

/// Every volume with every record, with every word of its peers, and every record with every such word. `make proof` asks
/// all of them together.
fn judged(turn: usize) {
    for (number, volume) in volumes().iter().enumerate().filter(|(number, _)| number % 2 == turn) {
        for (word, peers) in PEERS.into_iter().enumerate() {
            for (place, record) in RECORDS.into_iter().enumerate() {
                if everything() || (number / 2 + word) % RECORDS.len() == place {
                    check(volume, record, peers);
                }
            }
        }
    }
}

#[test]
fn one_half_of_all_volumes() {
    judged(0);
}

#[test]
fn the_other_half_of_all_volumes() {
    judged(1);
}

/// A component that has lost track of its origin has no history that a copy could follow.
#[test]
fn a_component_without_a_history_gives_no_copy() {
    let stage = Stage::new();
    stage.write("run/wsrep", format!("status=synced primary=yes uuid={ZERO} members=demo-galera-node2\n"));
    stage.write("request", "GET /state HTTP/1.0\r\n\r\n");
    let said = stage.run(&["-c", r#"perl "$SCRIPTS/health.pl" <request"#], &[]).out;
    assert!(!said.contains("primary=yes"), "{said}");
    stage.peer("node2", &format!("serves=yes primary=yes uuid={ZERO} members=demo-galera-node2\n"));
    let (word, started, log) = watch(&stage);
    assert_eq!((word.as_str(), started.as_str()), ("refuses", ""), "{log}");
    assert!(!stage.has("volume/identity"));
}

/// Also when it is asked from outside, a held volume has no server.
#[test]
fn hold_keeps_the_server_away() {
    let stage = Stage::new();
    clean(&stage.volume());
    stage.write("volume/HOLD", "");
    let before = stage.tree();
    let script = stage.path("scripts/start.sh");
    let _running = stage.start(&[script.to_str().unwrap()], &[]);
    wait_for("the container to be held", || (stage.read("run/phase").trim() == "held").then_some(()));
    assert!(before == stage.tree() && !stage.has("stub/started"));
}

/// Who finds the volume taken waits, and looks at nothing before.
#[test]
fn a_taken_volume_is_waited_for() {
    let stage = Stage::new();
    clean(&stage.volume());
    fs::write(stage.path("volume/lock"), "").unwrap();
    let _holder = stage.start(&["-c", r#"exec 9>>"$VOLUME/lock"; flock 9; touch "$STUB/taken"; sleep 600"#], &[]);
    wait_for("the lock", || stage.has("stub/taken").then_some(()));
    let script = stage.path("scripts/start.sh");
    let running = stage.start(&[script.to_str().unwrap()], &[]);
    wait_for("it to see the lock", || (stage.read("run/phase").trim() == "locked").then_some(()));
    assert!(reports(&running.out(), "volume").is_empty() && !stage.has("stub/started"));
}
