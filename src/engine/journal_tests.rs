use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use proptest::prelude::*;

use super::super::event::{Change, Outcome};
use super::super::events::tests::Recorder;
use super::*;

fn sample_start() -> Event {
    let steps = [("seed", "Start the seed"), ("nodes", "Join the nodes"), ("haproxy", "Start the proxy")];
    Event::RunStarted {
        run: "20261122-100207-k3f9".into(),
        verb: "up".into(),
        cluster: "shop".into(),
        namespace: "data".into(),
        context: Some("prod-eu".into()),
        steps: steps.iter().map(|(id, title)| ((*id).into(), (*title).into())).collect(),
    }
}

/// A run of 22.1 s, as the engine tells it.
pub(crate) fn sample_run() -> Vec<Stamped> {
    let start: Timestamp = "2026-11-22T10:02:07Z".parse().unwrap();
    let at = |ms: u64, event| Stamped { at: start + Duration::from_millis(ms), event };
    let started = |step: &str, title: &str| Event::StepStarted { step: step.into(), title: title.into() };
    let waiting = |step: &str, reason: &str, elapsed_ms| Event::StepWaiting {
        step: step.into(),
        reason: reason.into(),
        elapsed_ms,
    };
    let finished = |step: &str, outcome, detail: &str, elapsed_ms| Event::StepFinished {
        step: step.into(),
        outcome,
        detail: detail.into(),
        elapsed_ms,
    };
    vec![
        at(0, sample_start()),
        at(1_000, started("seed", "Start the seed")),
        at(
            1_050,
            Event::Object { step: "seed".into(), object: "pod/shop-galera-seed".into(), change: Change::Created },
        ),
        at(1_100, waiting("seed", "seed pod: pulling the image", 100)),
        at(4_000, waiting("seed", "seed pod: starting", 3_000)),
        at(4_100, waiting("seed", "", 3_100)),
        at(5_100, finished("seed", Outcome::Changed, "Primary, uuid 79651f2c, cluster size 1", 4_100)),
        at(5_100, started("nodes", "Join the nodes")),
        at(5_100, waiting("nodes", "pods of node1, node2: starting", 0)),
        at(9_100, waiting("nodes", "state transfer to node2: 40 MiB of 120 MiB", 4_000)),
        at(12_200, waiting("nodes", "node1: Joined; state transfer to node2: 120 MiB of 120 MiB", 7_100)),
        at(14_200, waiting("nodes", "", 9_100)),
        at(15_000, Event::Notice { level: Level::Warning, message: "both nodes run on one host".into() }),
        at(18_000, finished("nodes", Outcome::Changed, "2 nodes Synced", 12_900)),
        at(18_000, started("haproxy", "Start the proxy")),
        at(21_000, finished("haproxy", Outcome::Unchanged, "2 of 2 ready", 3_000)),
        at(22_100, Event::run_finished(Ok("shop is up: 2 nodes"), Duration::from_millis(22_100))),
    ]
}

fn write(directory: &Path, id: &str, events: &[Stamped]) -> PathBuf {
    let mut journal = Journal::create(directory, id).unwrap();
    for event in events {
        journal.event(event).unwrap();
    }
    journal.finish().unwrap();
    journal.path().to_owned()
}

#[test]
fn what_was_written_is_read_again() {
    let home = tempfile::tempdir().unwrap();
    let runs = directory(|name| (name == "HOME").then(|| home.path().into())).unwrap();
    assert!(runs.ends_with(".local/state/galeractl/runs"));
    assert_eq!(list(&runs).unwrap(), []);
    let path = write(&runs, "20261122-100207-k3f9", &sample_run());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(&runs)), (0o600, 0o700));
    for name in ["20261122-100207-k3f9", "20261122-10", "k3f9"] {
        assert_eq!(read(&runs, name).unwrap(), ("20261122-100207-k3f9".into(), sample_run()), "{name}");
    }
    assert!(Journal::create(&runs, "20261122-100207-k3f9").is_err());
}

#[test]
fn lists_show_killed_runs_as_unfinished_and_survive_torn_lines() {
    let home = tempfile::tempdir().unwrap();
    let run = sample_run();
    write(home.path(), "20261122-100207-aaaa", &run);
    let torn = write(home.path(), "20261122-100308-bbbb", &run[..5]);
    let mut file = OpenOptions::new().append(true).open(torn).unwrap();
    file.write_all(br#"{"at":"2026-11-22T10:02:12Z","event":"step-fin"#).unwrap();
    let failed = Event::run_finished(Err::<&str, _>(&Failure::message(Kind::Step, "no")), Duration::from_secs(5));
    let failed = Stamped { at: run[0].at, event: failed };
    write(home.path(), "20261122-100409-cccc", &[run[0].clone(), failed]);
    fs::write(home.path().join("20261122-100510-dddd.jsonl"), "").unwrap();
    fs::write(home.path().join("notes.txt"), "none of ours").unwrap();
    let told: Vec<_> =
        list(home.path()).unwrap().into_iter().map(|run| (run.id, run.elapsed_ms, run.outcome)).collect();
    assert_eq!(
        told,
        [
            ("20261122-100409-cccc".to_owned(), 5_000, RunOutcome::Failed(4)),
            ("20261122-100308-bbbb".to_owned(), 4_000, RunOutcome::Unfinished),
            ("20261122-100207-aaaa".to_owned(), 22_100, RunOutcome::Ok),
        ]
    );
    assert_eq!(read(home.path(), "bbbb").unwrap().1, run[..5]);
    let json = serde_json::to_value(&list(home.path()).unwrap()[0]).unwrap();
    assert_eq!((json["result"].as_str(), json["exit_code"].as_u64()), (Some("failed"), Some(4)));
}

#[test]
fn only_a_unique_name_is_accepted() {
    let home = tempfile::tempdir().unwrap();
    write(home.path(), "20261122-100207-aaaa", &[]);
    write(home.path(), "20261122-100308-bbbb", &[]);
    let why = |id| read(home.path(), id).unwrap_err().to_string();
    assert_eq!(why("zz"), "there is no run `zz`");
    assert_eq!(why(""), "there is no run ``");
    assert_eq!(why("2026"), "`2026` fits 2 runs, among them `20261122-100207-aaaa` and `20261122-100308-bbbb`");
}

#[test]
fn the_newest_files_are_kept() {
    let home = tempfile::tempdir().unwrap();
    for i in 0..KEPT + 5 {
        write(home.path(), &format!("20261122-{i:06}-aaaa"), &[]);
    }
    let ids = ids(home.path()).unwrap();
    assert_eq!((ids.len(), ids[0].as_str()), (KEPT, "20261122-000005-aaaa"));
}

#[test]
fn ids_sort_by_time() {
    let id = run_id("2026-11-22T19:15:36.9Z".parse().unwrap());
    assert!(id.starts_with("20261122-191536-") && id.len() == 20, "{id}");
    assert!(id < run_id("2026-11-22T19:15:37Z".parse().unwrap()));
}

#[test]
fn directories_follow_the_environment() {
    let with = |state: Option<&str>, home: Option<&str>| {
        directory(|name| if name == "HOME" { home } else { state }.map(Into::into)).map(|p| p.display().to_string())
    };
    assert_eq!(with(Some("/s"), Some("/h")).as_deref(), Some("/s/galeractl/runs"));
    assert_eq!(with(Some("relative"), Some("/h")).as_deref(), Some("/h/.local/state/galeractl/runs"));
    assert_eq!(with(None, None), None);
}

#[tokio::test]
async fn a_run_without_a_place_for_its_journal_goes_on() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file");
    fs::write(&file, "").unwrap();
    for home in [None, Some(file.into_os_string())] {
        let recorder = Recorder::default();
        let events = start(Box::new(recorder.clone()), "20261122-100207-aaaa", |_| home.clone());
        events.finish().await;
        let told = format!("{:?}", recorder.events());
        assert!(told.contains("this run has no journal: "), "{told}");
    }
}

fn any_event() -> impl Strategy<Value = Event> {
    let text = || any::<String>();
    let outcome = prop::sample::select(vec![Outcome::Changed, Outcome::Unchanged, Outcome::Skipped, Outcome::Failed]);
    let change = prop::sample::select(vec![Change::Created, Change::Changed, Change::Kept, Change::Deleted]);
    prop_oneof![
        (text(), text(), text(), text(), any::<Option<String>>(), any::<Vec<(String, String)>>()).prop_map(
            |(run, verb, cluster, namespace, context, steps)| Event::RunStarted {
                run,
                verb,
                cluster,
                namespace,
                context,
                steps
            }
        ),
        (text(), text()).prop_map(|(step, title)| Event::StepStarted { step, title }),
        (text(), text(), change).prop_map(|(step, object, change)| Event::Object { step, object, change }),
        (text(), text(), any::<u64>()).prop_map(|(step, reason, elapsed_ms)| Event::StepWaiting {
            step,
            reason,
            elapsed_ms
        }),
        (text(), outcome, text(), any::<u64>()).prop_map(|(step, outcome, detail, elapsed_ms)| {
            Event::StepFinished { step, outcome, detail, elapsed_ms }
        }),
        text().prop_map(|message| Event::Notice { level: Level::Info, message }),
        (any::<bool>(), any::<u8>(), text(), any::<Vec<String>>(), any::<u64>()).prop_map(
            |(ok, exit_code, message, hints, elapsed_ms)| Event::RunFinished {
                ok,
                exit_code,
                message,
                hints,
                elapsed_ms
            }
        ),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn every_event_fits_in_one_line_and_comes_back(event in any_event(), nanos in 0_i64..1_900_000_000_000_000_000) {
        let stamped = Stamped { at: Timestamp::from_nanosecond(nanos.into()).unwrap(), event };
        let line = serde_json::to_string(&stamped).unwrap();
        prop_assert!(!line.contains('\n'));
        prop_assert_eq!(serde_json::from_str::<Stamped>(&line).unwrap(), stamped);
    }
}
