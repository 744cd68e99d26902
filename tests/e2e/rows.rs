//! A small table whose rows are easy to name, and what the members say while it must not be lost.

use std::time::Duration;

use galeractl::kube::logs;

use crate::place::Place;
use crate::wait::{holds, until};

const LIMIT: Duration = Duration::from_secs(90);
const LINES: u32 = 4000;

impl Place {
    /// Makes the table, at node1.
    pub(crate) async fn make_table(&self) {
        let node = self.node(1);
        self.sql(&node, "CREATE DATABASE d").await;
        self.sql(&node, "CREATE TABLE d.t (id INT PRIMARY KEY)").await;
    }

    /// Writes a row at node1.
    pub(crate) async fn insert(&self, row: u32) {
        self.sql(&self.node(1), &format!("INSERT INTO d.t VALUES ({row})")).await;
    }

    /// The rows, which must be the same on all nodes.
    pub(crate) async fn rows(&self, nodes: u32) -> String {
        let mut found: Vec<String> = Vec::new();
        for node in 1..=nodes {
            let rows = self.sql(&self.node(node), "SELECT GROUP_CONCAT(id ORDER BY id) FROM d.t").await;
            found.push(rows[0][0].clone().unwrap_or_default());
        }
        assert!(found.iter().all(|rows| *rows == found[0]), "the nodes differ: {found:?}");
        found.swap_remove(0)
    }

    /// What the start script and the server of a member have said in this container.
    pub(crate) async fn log(&self, pod: &str) -> Result<Vec<String>, String> {
        let log = logs::tail(&self.connection.streams, &self.namespace, pod, "mariadb", LINES, false).await;
        log.map_err(|failure| failure.to_string())
    }

    /// Waits until a member has said all of this in one line, and answers with the line.
    pub(crate) async fn says(&self, pod: &str, words: &[&str]) -> String {
        until(&format!("{pod} says {words:?}"), LIMIT, async || {
            let log = self.log(pod).await?;
            let line = log.iter().find(|line| words.iter().all(|word| line.contains(word)));
            line.cloned().ok_or_else(|| log.last().cloned().unwrap_or_default())
        })
        .await
    }

    /// Waits until a member's start script is in this phase.
    pub(crate) async fn in_phase(&self, pod: &str, wanted: &str) {
        until(&format!("{pod} is {wanted}"), LIMIT, async || {
            let phase = self.try_shell(pod, "mariadb", "cat /run/galeractl/phase").await?.stdout;
            holds(phase.trim() == wanted, || phase)
        })
        .await;
    }
}
