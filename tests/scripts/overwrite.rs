//! May what lies here be replaced by a copy of what the running component has?

use super::stage::{A, B, GROUP, Stage, ZERO, everything, reports};
use super::states::{identity, own};

const ARGS: [&str; 4] = ["--role", "joiner", "--address", "10.0.0.1"];

fn ask(stage: &Stage, args: &[&str]) -> Option<i32> {
    let script = stage.path("scripts/overwrite.sh");
    // Nobody comes later: the time that a component may need to say so is over at once.
    stage.program("sleep", "exit 0");
    let args: Vec<&str> = [&[script.to_str().unwrap()], args].concat();
    stage.run(&args, &[]).code
}

#[test]
fn only_a_copy_of_the_same_history_takes_its_place() {
    let database = |uuid: &str| format!("database:{uuid}:42");
    let words = [database(A), database(B), database("unknown"), "nothing".into(), "unfinished".into(), "files".into()];
    let histories = [None, Some(A), Some(B)];
    let components = [vec![A], vec![B], vec![A, B], vec![ZERO]];
    let mut cases = 0;
    for (i, held) in words.iter().enumerate() {
        for (j, known) in histories.into_iter().enumerate() {
            for (k, record) in histories.into_iter().enumerate() {
                for (l, follow) in components.iter().enumerate() {
                    // All pairs of any two of them.
                    if !everything() && (i + j + k + l) % histories.len() != 0 {
                        continue;
                    }
                    let stage = Stage::new();
                    stage.write("run/held", held);
                    if let Some(uuid) = known {
                        own(&stage.volume(), uuid);
                    }
                    if let Some(uuid) = record {
                        stage.write("state/uuid", uuid);
                    }
                    for (node, uuid) in ["node2", "node3"].iter().zip(follow.iter().cycle()) {
                        stage.peer(node, &format!("serves=yes primary=yes uuid={uuid} members=x\n"));
                    }
                    let of = held.strip_prefix("database:").map(|rest| rest.split(':').next().unwrap());
                    let of = of.filter(|uuid| *uuid != "unknown");
                    let history = of.or(known);
                    let group = follow[0];
                    let may = follow.len() == 1
                        && group != ZERO
                        && held != "files"
                        && of.is_none_or(|of| known.is_none_or(|known| known == of))
                        && record.is_none_or(|record| record == group && history.is_none_or(|of| of == record))
                        && match held.as_str() {
                            "nothing" => history.is_none_or(|history| history == group),
                            "unfinished" => history.or(record) == Some(group),
                            _ => history == Some(group),
                        };
                    let before = stage.tree();
                    let code = ask(&stage, &ARGS);
                    let name = format!("{held} known {known:?} record {record:?} component {follow:?}");
                    assert_eq!(code, Some(i32::from(!may)), "{name}");
                    assert_eq!(stage.has("run/overwrite"), !may, "{name}");
                    assert_eq!(reports(&stage.read("reports"), "refused").len(), usize::from(!may), "{name}");
                    assert!(before == stage.tree(), "{name}");
                    cases += 1;
                }
            }
        }
    }
    assert_eq!(cases, if everything() { 216 } else { 72 });
}

#[test]
fn without_an_answer_or_on_a_foreign_volume_it_says_no() {
    let stage = Stage::new();
    stage.write("run/held", format!("database:{A}:42"));
    let script = stage.path("scripts/overwrite.sh");
    let code = r#"sleep() { SECONDS=200; }; s=$1; shift; . "$s""#;
    let args = ["-c", code, "_", script.to_str().unwrap(), "--role", "joiner", "--address", "x"];
    assert_eq!(stage.run(&args, &[]).code, Some(1), "nobody has answered");
    assert!(stage.has("run/overwrite") && reports(&stage.read("reports"), "refused").is_empty(), "nobody has judged");
    for (group, member) in [("other.demo", "node1"), (GROUP, "node2")] {
        let stage = Stage::new();
        stage.write("run/held", format!("database:{A}:42"));
        identity(&stage.volume(), group, member, A);
        stage.peer("node2", &format!("serves=yes primary=yes uuid={A} members=x\n"));
        assert_eq!(ask(&stage, &ARGS), Some(1), "{group} {member}");
    }
    // What was there before the server started must be known.
    let stage = Stage::new();
    stage.peer("node2", &format!("serves=yes primary=yes uuid={A} members=x\n"));
    assert_eq!(ask(&stage, &ARGS), Some(1));
}

#[test]
fn a_donor_is_not_asked() {
    let stage = Stage::new();
    stage.write("run/held", "files");
    assert_eq!(ask(&stage, &["--role", "donor", "--address", "x"]), Some(0));
}

/// The derived script asks before it does anything, and is otherwise the stock one.
#[test]
fn the_transfer_is_begun_by_the_question() {
    let stage = Stage::new();
    stage.program("wsrep_sst_mariabackup", "  sleep 10\ntouch \"$STUB/replaced\"");
    stage.write("run/held", "files");
    let code = r#". "$SCRIPTS/start.sh"; derive_sst_method; "$RUN/bin/wsrep_sst_galeractl" "$@""#;
    let run = |role: &str| stage.run(&["-c", code, "_", "--role", role, "--address", "x"], &[]).code;
    stage.peer("node2", &format!("serves=yes primary=yes uuid={A} members=x\n"));
    assert_eq!(run("joiner"), Some(1));
    assert!(!stage.has("stub/replaced"));
    assert!(stage.read("run/bin/wsrep_sst_galeractl").contains("sleep 0.2"));
    assert_eq!(run("donor"), Some(0));
    assert!(stage.has("stub/replaced"));
}
