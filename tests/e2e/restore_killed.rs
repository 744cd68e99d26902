//! A restore that dies goes on or says exactly what to do, and never leaves a volume that starts with half of the data.

use galeractl::engine::event::Event;

use crate::place::{Place, in_namespace};

const UP: [&str; 3] = ["--nodes=2", "--backup", "--set=galera_cluster_backup_incremental_interval=1h"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_that_dies_converges() {
    in_namespace("dies", async |place| {
        place.up(&UP).await.ended(0);
        let node = place.node(1);
        place.sql(&node, "CREATE DATABASE d").await;
        place.sql(&node, "CREATE TABLE d.t (id INT PRIMARY KEY)").await;
        place.sql(&node, "INSERT INTO d.t VALUES (1)").await;
        place.backup("--full").await;
        place.sql(&node, "INSERT INTO d.t VALUES (2)").await;
        place.stop().await;

        // While volumes are filled nothing has happened to what is on them: it is begun anew.
        dies_at(place, |event| matches!(event, Event::Object { object, .. } if object.contains("restore-node2-job")))
            .await;
        let args = restore(place);
        place.run(&args).await.ended(0);
        assert_eq!(rows(place).await, "1");
        place.sql(&node, "INSERT INTO d.t VALUES (3)").await;
        place.stop().await;

        // After that, some volumes have been switched and others not.
        let switches = |event: &Event| matches!(event, Event::StepStarted { step, .. } if step == "switch");
        let mut switching = false;
        dies_at(place, |event| {
            switching |= switches(event);
            switching && matches!(event, Event::Object { object, .. } if object.contains("restore-node"))
        })
        .await;
        place.run(&["restore", "--continue", "--progress", "json"]).await.ended(0);
        assert_eq!(rows(place).await, "1");
        place.healthy().await;
        place.sql(&node, "INSERT INTO d.t VALUES (4)").await;
        place.stop().await;

        dies_at(place, |event| matches!(event, Event::StepStarted { step, .. } if step == "nodes")).await;
        place.run(&["teardown", "--force"]).await.ended(0);
        let refused = place.run(&args).await.ended(3);
        assert!(
            refused.stderr.contains("restore --continue") && refused.stderr.contains("restore --undo"),
            "{refused:?}"
        );
        place.run(&["restore", "--undo"]).await.ended(6);
        place.run(&["restore", "--undo", "--confirm", place.cluster.as_str()]).await.ended(0);
        place.up(&UP).await.ended(0);
        assert_eq!(rows(place).await, "1,4");
        place.stop().await;

        // One volume from the backup, the other by a state transfer.
        place.run(&[&args[..], &["--fill", "one"]].concat()).await.ended(0);
        assert_eq!(rows(place).await, "1");
        place.healthy().await;
    })
    .await;
}

fn restore(place: &Place) -> Vec<&str> {
    let args = ["restore", "--from", "latest", "--confirm", place.cluster.as_str(), "--progress", "json"];
    [&args[..], &UP].concat()
}

async fn dies_at(place: &Place, pass: impl FnMut(&Event) -> bool) {
    let args = restore(place);
    let mut running = place.start(&args);
    let reached = running.reaches(pass).await;
    let ran = running.kill().await;
    assert!(reached, "{ran:?}");
}

/// What both nodes have.
async fn rows(place: &Place) -> String {
    let query = "SELECT GROUP_CONCAT(id ORDER BY id) FROM d.t";
    let (one, two) = (place.sql(&place.node(1), query).await, place.sql(&place.node(2), query).await);
    assert_eq!(one, two);
    one[0][0].clone().unwrap_or_default()
}
