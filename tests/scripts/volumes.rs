//! What the scripts say of every state of a volume: `held`, `found`, `describe_volume`, `expected`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use galeractl::wsrep::Report;
use galeractl::wsrep::volume::{Aside, Contents, Evidence};

use super::stage::{A, B, Stage, ZERO, put, reports};
use super::states::{clean, crashed, database, filled, grastate, identity, own, switched, tables, unfinished};

struct State {
    name: &'static str,
    make: fn(&Path),
    /// What `held` says.
    held: String,
    /// What `found` says behind that.
    beside: String,
    /// Fields of the report that must be just so.
    fields: Vec<(&'static str, String)>,
}

fn state(name: &'static str, held: impl Into<String>, make: fn(&Path)) -> State {
    State { name, make, held: held.into(), beside: String::new(), fields: Vec::new() }
}

impl State {
    fn beside(mut self, text: impl Into<String>) -> Self {
        self.beside = text.into();
        self
    }

    fn says(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.fields.push((key, value.into()));
        self
    }
}

fn of(uuid: &str, seqno: &str) -> String {
    format!("database:{uuid}:{seqno}")
}

fn ordinary() -> Vec<State> {
    vec![
        state("never used", "nothing", |_| ()).says("history", ""),
        state("only folders", "nothing", |v| fs::create_dir_all(v.join("data/x/y")).unwrap()),
        state("lost+found", "nothing", |v| put(v, "lost+found/#12", "a piece")),
        state("HOLD and the lock", "nothing", |v| {
            put(v, "HOLD", "");
            put(v, "lock", "");
        }),
        state("emptied, but known", "nothing", |v| {
            own(v, A);
            put(v, "seen", format!("position={A}:77\nat=123\n"));
            put(v, "view", format!("uuid={A}\nat=1\nmembers=demo-galera-node1,demo-galera-node2\n"));
        })
        .says("history", A)
        .says("of", "ns.demo")
        .says("as", "node1")
        .says("seen", format!("{A}:77"))
        .says("seen_at", "123")
        .says("view", "demo-galera-node1,demo-galera-node2"),
        state("clean", of(A, "42"), clean).says("uuid", A).says("seqno", "42").says("safe", "0").says("history", A),
        state("last to leave", of(A, "42"), |v| {
            clean(v);
            put(v, "data/grastate.dat", grastate(A, "42", 1));
        })
        .says("safe", "1"),
        state("crashed", of(A, "crashed-1700000000"), crashed).says("seqno", "").says("history", A),
        state("crashed, log lost", of(A, "crashed-0"), |v| {
            crashed(v);
            fs::remove_file(v.join("data/ib_logfile0")).unwrap();
        }),
        state("no state file", of("unknown", "crashed-1700000000"), |v| tables(v, "data")).says("uuid", ""),
        state("no state file, known owner", of("unknown", "crashed-1700000000"), |v| {
            tables(v, "data");
            own(v, A);
        })
        .says("history", A),
        state("half a transfer", "unfinished", unfinished).says("history", ""),
        state("half a transfer, known", "unfinished", |v| {
            unfinished(v);
            own(v, A);
        })
        .says("history", A),
        state("marker, nothing else", "unfinished", |v| put(v, "data/sst_in_progress", "")),
        state("marker, no ibdata1", "unfinished", |v| {
            clean(v);
            fs::remove_file(v.join("data/ibdata1")).unwrap();
            put(v, "data/sst_in_progress", "");
        }),
        state("zero uuid", "unfinished", |v| database(v, "data", ZERO, "-1")),
        state("zero uuid with a number", "unfinished", |v| database(v, "data", ZERO, "7")),
        state("empty state file", "unfinished", |v| {
            tables(v, "data");
            put(v, "data/grastate.dat", "");
        }),
        state("foreign", of(A, "42"), |v| {
            clean(v);
            identity(v, "other.demo", "node1", A);
        })
        .says("of", "other.demo"),
        state("of another member", of(A, "42"), |v| {
            clean(v);
            identity(v, "ns.demo", "node2", A);
        })
        .says("as", "node2"),
        state("files", "files", |v| put(v, "data/notes.txt", "mine")),
        state("files at the root", "files", |v| put(v, "notes.txt", "mine")),
        state("database at the root", "files", |v| database(v, ".", A, "42")),
        state("binary logs of nobody", "files", |v| put(v, "binlog/bin.000001", "x")),
        state("binary logs of its member", "nothing", |v| {
            put(v, "binlog/bin.000001", "x");
            own(v, A);
        }),
        state("a seed's, unused", of("unknown", "crashed-1700000000"), |v| {
            tables(v, "data");
            put(v, "initialising", "");
        })
        .says("unused", "yes"),
    ]
}

fn restored() -> Vec<State> {
    vec![
        state("switched", of(B, "0"), switched).beside(format!(";kept={}", of(A, "42"))).says("restore", "switched"),
        state("filled", of(A, "42"), filled)
            .beside(format!(";new={}", of(B, "0")))
            .says("restore", "filled")
            .says("beside", of(A, "42")),
        state("half filled", of(A, "42"), |v| {
            filled(v);
            fs::remove_file(v.join("restore.new/COMPLETE")).unwrap();
            fs::remove_dir_all(v.join("restore.new/data/mysql")).unwrap();
        })
        .beside(";new=files")
        .says("restore", "filling"),
        state("filled, nothing before", "nothing", |v| super::states::prepared(v, "nothing"))
            .beside(format!(";new={}", of(B, "0")))
            .says("beside", "nothing"),
        state("old data kept, none in its place", "nothing", |v| database(v, "restore.old/data", A, "42"))
            .beside(format!(";kept={}", of(A, "42")))
            .says("restore", "switched"),
        state("copies aside", of(A, "42"), |v| {
            clean(v);
            database(v, "aside.100/data", B, "9");
            put(v, "aside.200/data/sst_in_progress", "");
        })
        .beside(format!(";aside={};aside=unfinished", of(B, "9"))),
    ]
}

/// What a stranger may have written.
fn hostile() -> Vec<State> {
    const RUN_ME: &str = "$(touch${IFS}$CANARY)`touch canary`;touch canary";
    vec![
        state("uuid is a command", of("unknown", "42"), |v| database(v, "data", RUN_ME, "42")).says("uuid", ""),
        state("number is a command", of(A, "crashed-1700000000"), |v| database(v, "data", A, "a[$(touch $CANARY)]")),
        state("negative number", of(A, "crashed-1700000000"), |v| database(v, "data", A, "-7")),
        state("huge number", of(A, "crashed-1700000000"), |v| database(v, "data", A, "99999999999999999999")),
        state("number like an octal one", of(A, "0089"), |v| database(v, "data", A, "0089")),
        state("capitals", of(A, "42"), |v| database(v, "data", &A.to_uppercase(), "42")).says("uuid", A),
        state("safe is a word", of(A, "42"), |v| {
            clean(v);
            put(v, "data/grastate.dat", format!("uuid: {A}\nseqno: 42\nsafe_to_bootstrap: 1x\n"));
        })
        .says("safe", "0"),
        state("bytes that are no text", of(A, "42"), |v| {
            tables(v, "data");
            put(v, "data/grastate.dat", [b"\xff\xfe\x00\n".as_slice(), grastate(A, "42", 0).as_bytes()].concat());
        }),
        state("a line of 10 MB", of("unknown", "crashed-1700000000"), |v| {
            tables(v, "data");
            put(v, "data/grastate.dat", "u".repeat(10 << 20));
        }),
        state("the state file is a link", of("unknown", "crashed-1700000000"), |v| {
            tables(v, "data");
            put(v, "lost+found/g", grastate(A, "42", 1));
            symlink("../lost+found/g", v.join("data/grastate.dat")).unwrap();
        }),
        state("data is a link to files", "files", |v| {
            put(v, "lost+found/real/notes.txt", "mine");
            symlink("lost+found/real", v.join("data")).unwrap();
        }),
        state("a dangling link", "files", |v| symlink("/nowhere", v.join("notes")).unwrap()),
        state("identity is a command", "nothing", |v| identity(v, RUN_ME, RUN_ME, RUN_ME))
            .says("of", "")
            .says("as", "")
            .says("history", ""),
        state("identity is a link", "nothing", |v| {
            put(v, "lost+found/i", format!("group=ns.demo\nmember=node1\nuuid={A}\n"));
            symlink("lost+found/i", v.join("identity")).unwrap();
        })
        .says("of", ""),
        state("seen and view are commands", "nothing", |v| {
            put(v, "seen", format!("position={A}:$(touch $CANARY)\nat=a[$(touch $CANARY)]\n"));
            put(v, "view", "members=$(touch $CANARY),x open=no\n");
        })
        .says("seen", "")
        .says("seen_at", "")
        .says("view", ""),
        state("names are reports", "files", |v| {
            put(v, "x\nGALERACTL at=1 member=node1 event=volume holds=nothing found=nothing", "");
            put(v, "data/$(touch $CANARY)/`touch canary`", "");
        }),
        state("aside by a strange name", "nothing", |v| {
            put(v, "aside.$(touch $CANARY) open=no\nGALERACTL x/data/a", "");
        })
        .beside(";aside=files"),
        state("BESIDE is a report", "nothing", |v| {
            put(v, "restore.new/BESIDE", "nothing open=no\nGALERACTL at=1 event=volume holds=nothing\n");
        })
        .beside(";new=nothing")
        .says("beside", ""),
    ]
}

const ASK: &str = r#"held; echo; found; echo; say "event=volume $(describe_volume) open=no"
expected "$(found)" && echo RIGHT; echo; expected "$(found)x" || echo WRONG; expected '' || echo NONE; expected"#;

fn check(state: &State) {
    let stage = Stage::new();
    (state.make)(&stage.volume());
    let before = stage.tree();
    let done = stage.sourced(&["report", "volume"], ASK, &[]);
    let name = state.name;
    assert!(before == stage.tree(), "{name}: looking has changed something");
    stage.assert_unharmed();
    let lines: Vec<&str> = done.out.lines().collect();
    let found = format!("{}{}", state.held, state.beside);
    assert_eq!((lines[0], lines[1]), (state.held.as_str(), found.as_str()), "{name}: {done:?}");
    let verdicts = ["RIGHT", "WRONG", "NONE"].map(|word| done.out.contains(word));
    assert_eq!(verdicts, [true; 3], "{name}: {done:?}");
    assert_eq!(done.code, Some(1), "{name}: without a word, expected must refuse");
    let all = reports(&done.out, "volume");
    assert_eq!(all.len(), 1, "{name}: {done:?}");
    let report = &all[0];
    for (key, value) in &state.fields {
        assert_eq!(report.get(key).unwrap_or_default(), value, "{name}: {key} in {done:?}");
    }
    assert_evidence(state, report, &found);
}

/// galeractl must understand the same by the report as the scripts mean.
fn assert_evidence(state: &State, report: &Report, found: &str) {
    let name = state.name;
    let evidence = Evidence::from_report(report, None).unwrap();
    let holds = match evidence.contents {
        Contents::Empty => "nothing",
        Contents::Other => "files",
        Contents::Unfinished => "unfinished",
        Contents::Database { .. } => "database",
        Contents::Missing | Contents::Unseen => "what no script says",
    };
    let said = state.held.split(':').next().unwrap();
    let expected = if report.get("unused").is_some() { "nothing" } else { said };
    assert_eq!(holds, expected, "{name}");
    assert_eq!((evidence.found.as_str(), evidence.held()), (found, state.held.as_str()), "{name}");
    if let Contents::Database { uuid, seqno, .. } = &evidence.contents {
        let word = format!(
            "database:{}:{}",
            uuid.map_or("unknown".to_owned(), |uuid| uuid.to_string()),
            seqno.map_or_else(|| "crashed".to_owned(), |seqno| seqno.to_string())
        );
        let plain = state.held.split("-17").next().unwrap().trim_end_matches("-0").replace(":00", ":");
        assert_eq!(word, plain, "{name}");
    }
    assert_eq!(evidence.owner.is_some(), report.get("of").is_some() && report.get("as").is_some(), "{name}");
    let aside = if state.beside.starts_with(";kept") {
        Aside::Kept
    } else if !state.beside.starts_with(";new") {
        Aside::Nothing
    } else if report.get("restore") == Some("filled") {
        Aside::Filled
    } else {
        Aside::Filling
    };
    assert_eq!(evidence.aside, aside, "{name}");
    assert!(evidence.bytes.is_some() && evidence.free.is_some(), "{name}: {report:?}");
    assert!(!evidence.describe().is_empty());
}

#[test]
fn every_ordinary_state_has_its_word() {
    ordinary().iter().for_each(check);
}

#[test]
fn what_is_kept_beside_the_data_is_named() {
    restored().iter().for_each(check);
}

#[test]
fn hostile_contents_are_data_and_nothing_else() {
    hostile().iter().for_each(check);
}

/// What is not seen is not empty.
#[test]
fn a_folder_that_cannot_be_read_is_not_empty() {
    let stage = Stage::new();
    put(&stage.volume(), "data/notes.txt", "mine");
    stage.program("find", "exit 1");
    assert_eq!(stage.sourced(&["volume"], "held", &[]).out, "files");
}

/// A volume that is mounted where a link leads is looked at all the same.
#[test]
fn a_volume_behind_a_link_is_looked_at() {
    let stage = Stage::new();
    put(&stage.volume(), "notes.txt", "mine");
    symlink("volume", stage.path("link")).unwrap();
    let link = stage.path("link");
    assert_eq!(stage.sourced(&["volume"], "held", &[("VOLUME", link.to_str().unwrap())]).out, "files");
}
