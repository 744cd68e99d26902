//! Backups as tests use them: taking them, listing them, and what a database holds.

use std::time::Duration;

use galeractl::names::Member;
use serde_json::Value;

use crate::helper::Helper;
use crate::place::Place;
use crate::wait::{holds, until};

const LIMIT: Duration = Duration::from_secs(120);

impl Place {
    /// Takes a backup and answers with its name.
    pub(crate) async fn backup(&self, kind: &str) -> String {
        let taken = self.run(&["backup", "now", kind]).await.ended(0);
        assert!(taken.stderr.contains("a backup of cluster"), "{taken:?}");
        let list = self.catalog().await;
        let members = list["chains"].as_array().unwrap().iter().flat_map(|chain| chain["members"].as_array().unwrap());
        let ids: Vec<&str> = members.map(|member| member["backup"]["id"].as_str().unwrap()).collect();
        (*ids.iter().max().unwrap()).to_owned()
    }

    /// Everything on the backup volume.
    pub(crate) async fn catalog(&self) -> Value {
        self.run(&["backup", "list", "-o", "json"]).await.ended(0).json()
    }

    /// Waits until the agent at `node` has copied the binary log with this transaction.
    pub(crate) async fn shipped(&self, node: u32, sequence: u64) {
        until(&format!("the binary log with 0-1-{sequence}"), LIMIT, async || {
            let last = r#"sed -nE 's/.*"to":"0-1-([0-9]+).*/\1/p' "$(ls binlog/*.json | tail -n 1)""#;
            let reached = self.at_agent(node, last).await;
            holds(reached.trim().parse::<u64>().is_ok_and(|number| number >= sequence), || reached)
        })
        .await;
    }

    /// Number of the group's newest transaction at a node.
    pub(crate) async fn sequence(&self, node: u32) -> u64 {
        let rows = self.sql(&self.node(node), "SELECT @@gtid_binlog_pos").await;
        galeractl::backups::sequence(rows[0][0].as_deref().unwrap())
    }

    /// Checksums of these tables at a node.
    pub(crate) async fn sums(&self, node: u32, tables: &str) -> Vec<Option<String>> {
        let rows = self.sql(&self.node(node), &format!("CHECKSUM TABLE {tables} EXTENDED")).await;
        rows.into_iter().flat_map(|row| row.into_iter().skip(1)).collect()
    }

    /// A shell script in the agent's container.
    pub(crate) async fn at_agent(&self, node: u32, script: &str) -> String {
        let name = self.cluster.backup_agent();
        let script = format!("cd /backups/{}/{} && {script}", self.namespace, self.cluster);
        let output = self.shell(&self.cluster.pod(Member::Node(node)), &name, &script).await;
        assert_eq!(output.exit_code, 0, "{script}: {output:?}");
        output.stdout
    }

    /// A pod that has the backup volume under `/data` while the cluster is down.
    pub(crate) async fn beside_backups(&self) -> Helper<'_> {
        Helper::start(self, "beside-backups", Some(&self.cluster.backup_claim())).await
    }

    /// Stops the cluster; volumes and passwords stay.
    pub(crate) async fn stop(&self) {
        self.run(&["teardown"]).await.ended(0);
    }
}
