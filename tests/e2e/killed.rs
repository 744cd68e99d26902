//! Killed at the beginning and at the end of every step, and run again: it converges, and no write is lost.

use galeractl::engine::event::Event;
use galeractl::names::Member;

use crate::checker::check;
use crate::place::in_namespace;
use crate::writers::Writers;

const STEPS: [&str; 8] = ["preflight", "namespace", "volumes", "seed", "nodes", "haproxy", "handover", "leftovers"];
const UP: [&str; 5] = ["up", "--progress", "json", "--nodes", "3"];

#[derive(Debug, Clone, Copy)]
enum Edge {
    Start,
    End,
}

fn is_edge(event: &Event, at: &str, edge: Edge) -> bool {
    match (event, edge) {
        (Event::StepStarted { step, .. }, Edge::Start) | (Event::StepFinished { step, .. }, Edge::End) => step == at,
        _ => false,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_formation_that_is_killed_anywhere_converges() {
    in_namespace("killed", async |place| {
        let pods: Vec<String> = [Member::Seed, Member::Node(1), Member::Node(2), Member::Node(3)]
            .map(|member| place.cluster.pod(member))
            .into();
        let mut writers: Option<(Writers, String)> = None;
        for step in STEPS {
            for edge in [Edge::Start, Edge::End] {
                // After the end of the last one, the run may be over before it can be killed.
                if step == "leftovers" && matches!(edge, Edge::End) {
                    continue;
                }
                let mut run = place.start(&UP);
                let reached = run.reaches(|event| is_edge(event, step, edge)).await;
                let ran = run.kill().await;
                assert!(reached && ran.code.is_none(), "{edge:?} of {step}: {ran:?}");
                assert_eq!(steps_of(&ran.events()), STEPS, "the list of steps has changed");
                if step == "seed" && matches!(edge, Edge::End) {
                    let uuid = place.sql(&pods[0], "SHOW STATUS LIKE 'wsrep_cluster_state_uuid'").await;
                    let backwards = pods.iter().rev().cloned().collect();
                    let started = Writers::start(place, vec![pods.clone(), backwards]).await;
                    writers = Some((started, uuid[0][1].clone().unwrap()));
                }
            }
        }
        place.up(&["--nodes", "3"]).await.ended(0);
        place.healthy().await;
        let (writers, uuid) = writers.expect("the seed came up");
        let journal = writers.stop().await;
        assert_eq!(place.uuid().await, uuid, "the cluster that the first seed began");
        assert!(place.seed_is_gone().await);
        check(place, 3, &uuid, &[&journal]).await;

        let runs = place.run(&["runs", "list", "-o", "json"]).await.ended(0).json();
        let outcomes: Vec<String> = runs.as_array().unwrap().iter().map(|run| run["result"].to_string()).collect();
        let unfinished = outcomes.iter().filter(|outcome| outcome.contains("unfinished")).count();
        assert_eq!((outcomes.len(), unfinished), (2 * STEPS.len(), 2 * STEPS.len() - 1), "{outcomes:?}");
    })
    .await;
}

fn steps_of(events: &[Event]) -> Vec<String> {
    let steps = events.iter().find_map(|event| match event {
        Event::RunStarted { steps, .. } => Some(steps.iter().map(|(id, _)| id.clone()).collect()),
        _ => None,
    });
    steps.unwrap_or_default()
}
