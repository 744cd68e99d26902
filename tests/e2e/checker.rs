//! Whether every acknowledged row is on every node, and nothing else.

use std::collections::BTreeSet;

use crate::place::Place;
use crate::writers::{Journal, Written};

/// Reads every node with causal reads and compares it with what the writers remember.
///
/// # Panics
/// If an acknowledged row is missing anywhere, if there are rows that nobody wrote or that were refused, or if the
/// nodes differ from each other or from `uuid`.
pub(crate) async fn check(place: &Place, nodes: u32, uuid: &str, journals: &[&Journal]) {
    let union = |of: fn(&Journal) -> &BTreeSet<Written>| -> BTreeSet<Written> {
        journals.iter().flat_map(|journal| of(journal).iter().copied()).collect()
    };
    let acknowledged = union(|journal| &journal.acknowledged);
    let unknown = union(|journal| &journal.unknown);
    assert!(!acknowledged.is_empty(), "nothing was written, so nothing is proven");
    let door = place.root().await;
    let mut sums = BTreeSet::new();
    for node in 1..=nodes {
        let mut sql = door.open(&place.node(node)).await.unwrap();
        sql.query("SET SESSION wsrep_sync_wait = 15").await.unwrap();
        assert_eq!(sql.value("SHOW GLOBAL STATUS LIKE 'wsrep_cluster_state_uuid'").await, uuid, "node{node}");
        let rows = sql.query("SELECT who, seq FROM e2e.acks").await.unwrap();
        let number = |cell: &Option<String>| cell.as_deref().unwrap().parse::<u64>().unwrap();
        let present: BTreeSet<Written> =
            rows.iter().map(|row| (u32::try_from(number(&row[0])).unwrap(), number(&row[1]))).collect();
        let missing: Vec<&Written> = acknowledged.difference(&present).collect();
        assert!(missing.is_empty(), "node{node} lacks {} of {}: {missing:?}", missing.len(), acknowledged.len());
        let phantoms: Vec<&Written> =
            present.iter().filter(|row| !acknowledged.contains(row) && !unknown.contains(row)).collect();
        assert!(phantoms.is_empty(), "node{node} has rows that were refused or never written: {phantoms:?}");
        sums.insert(sql.value("CHECKSUM TABLE e2e.acks EXTENDED").await);
    }
    assert_eq!(sums.len(), 1, "the nodes' tables differ: {sums:?}");
    eprintln!("{} acknowledged rows on {nodes} nodes, {} without an answer", acknowledged.len(), unknown.len());
}
