//! A restore that dies goes on or says exactly what to do, and never leaves a volume that starts with half of the data.

use galeractl::engine::event::Event;

use crate::place::{Place, in_namespace};

const TWO: [&str; 4] = [
    "--nodes=2",
    "--set=galera_cluster_haproxy_replicas=1",
    "--backup",
    "--set=galera_cluster_backup_incremental_interval=1h",
];
const ONE: [&str; 4] = ["--nodes=1", TWO[1], TWO[2], TWO[3]];

/// A stopped cluster, and a backup of it that lacks its newest row. The agent takes others, when it finds other data.
async fn backed_up(place: &Place, up: &[&str]) -> String {
    place.up(up).await.ended(0);
    place.make_table().await;
    place.insert(1).await;
    let backup = place.backup("--full").await;
    place.insert(2).await;
    place.stop().await;
    backup
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_that_dies_converges() {
    in_namespace("dies", async |place| {
        let backup = backed_up(place, &TWO).await;
        let args = restore(place, &backup, &TWO);
        // While volumes are filled nothing has happened to what is on them: it is begun anew.
        let filling =
            |event: &Event| matches!(event, Event::Object { object, .. } if object.contains("restore-node2-job"));
        dies_at(place, &args, filling).await;
        // Now one volume from the backup, the other by a state transfer.
        place.run(&[&args[..], &["--fill", "one"]].concat()).await.ended(0);
        assert_eq!(place.rows(2).await, "1");
        place.insert(3).await;
        place.stop().await;

        // After that, some volumes have been switched and others not.
        let switches = |event: &Event| matches!(event, Event::StepStarted { step, .. } if step == "switch");
        let mut switching = false;
        dies_at(place, &args, |event| {
            switching |= switches(event);
            switching && matches!(event, Event::Object { object, .. } if object.contains("restore-node"))
        })
        .await;
        place.run(&["restore", "--continue"]).await.ended(6);
        let confirmed = ["restore", "--continue", "--confirm", place.cluster.as_str(), "--progress", "json"];
        let rehearsed = place.run(&["restore", "--continue", "--dry-run"]).await.ended(0).rehearsed();
        assert_eq!(place.run(&confirmed).await.ended(0).acts(), rehearsed);
        assert_eq!(place.rows(2).await, "1");
        place.healthy().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_restore_has_left_is_forgotten_or_taken_back() {
    in_namespace("left", async |place| {
        let backup = backed_up(place, &ONE).await;
        let args = restore(place, &backup, &ONE);
        what_was_prepared_does_not_take_the_place_of_newer_rows(place, &args).await;

        dies_at(place, &args, |event| matches!(event, Event::StepStarted { step, .. } if step == "nodes")).await;
        place.run(&["teardown", "--force"]).await.ended(0);
        let refused = place.run(&args).await.ended(3);
        assert!(
            refused.stderr.contains("restore --continue") && refused.stderr.contains("restore --undo"),
            "{refused:?}"
        );
        let undo = ["restore", "--undo", "--progress", "json"];
        place.run(&undo).await.ended(6);
        let rehearsed = place.run(&["restore", "--undo", "--dry-run"]).await.ended(0).rehearsed();
        let undone = place.run(&[&undo[..], &["--confirm", place.cluster.as_str()]].concat()).await.ended(0);
        assert_eq!(undone.acts(), rehearsed);
        place.up(&ONE).await.ended(0);
        assert_eq!(place.rows(1).await, "1,2,3,4,5");
        place.healthy().await;
    })
    .await;
}

/// The volumes are filled and not switched yet when the run dies; then the cluster goes on without the backup.
async fn what_was_prepared_does_not_take_the_place_of_newer_rows(place: &Place, args: &[&str]) {
    dies_at(place, args, |event| matches!(event, Event::StepStarted { step, .. } if step == "switch")).await;
    let up = place.up(&ONE).await.ended(0);
    assert!(up.stderr.contains("a restore was broken off"), "the leftover is not named: {up:?}");
    assert_eq!(place.rows(1).await, "1,2");
    for row in 3..=5 {
        place.insert(row).await;
    }
    place.healthy().await;
    place.stop().await;

    let before = place.objects().await;
    let resume = ["restore", "--continue"];
    let unasked = place.run(&resume).await;
    assert!(matches!(unasked.code, Some(3 | 6)), "{unasked:?}");
    assert_eq!(place.objects().await, before);
    place.run(&[&resume[..], &["--confirm", place.cluster.as_str()]].concat()).await.ended(3);
    place.up(&ONE).await.ended(0);
    assert_eq!(place.rows(1).await, "1,2,3,4,5");
    place.stop().await;
}

fn restore<'a>(place: &'a Place, backup: &'a str, up: &[&'a str]) -> Vec<&'a str> {
    let args = ["restore", "--from", backup, "--confirm", place.cluster.as_str(), "--progress", "json"];
    [&args[..], up].concat()
}

async fn dies_at(place: &Place, args: &[&str], pass: impl FnMut(&Event) -> bool) {
    let mut running = place.start(args);
    let reached = running.reaches(pass).await;
    let ran = running.kill().await;
    assert!(reached, "{ran:?}");
}
