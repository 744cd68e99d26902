//! A row that is written through one door and read on every node.

use std::time::Duration;

use futures::future::join_all;
use rand::RngExt;
use tokio::time::Instant;

use crate::checks::{Proof, Unread};
use crate::desired::{Access, Desired};
use crate::kube::client::Connection;
use crate::names::Member;
use crate::observe::OWN_USER;
use crate::sql::{Door, Login, Ways, prepare_marker, read_marker, remove_marker, write_marker};

/// A statement that takes longer than this is stuck.
const STATEMENT_LIMIT: Duration = Duration::from_secs(10);

/// Number of the row that the seed writes when everything else is made.
const SEEDED: u32 = 0;

/// A row that only this run writes and reads.
struct Marker {
    id: u32,
    token: String,
}

impl Marker {
    fn fresh() -> Self {
        // Two runs at once must not take the same row; row 0 is older than all of them.
        let id = rand::rng().random_range(1..=i32::MAX.unsigned_abs());
        Self { id, token: format!("verify-{}-{id}", jiff::Timestamp::now().as_nanosecond()) }
    }
}

/// Writes a row of its own through the proxy pod, or at the first node that takes it where there is none, reads it on
/// every node with causal reads, and removes it.
pub async fn prove(
    connection: &Connection,
    desired: &Desired,
    access: &Access,
    proxy: Option<&str>,
    nodes: &[Member],
) -> Proof {
    let marker = Marker::fresh();
    let mut proof = Proof::default();
    let mut door = None;
    if let Some(pod) = proxy {
        proof.through_proxy = Some(write(connection, desired, access, pod, &marker).await.map(|(took, written)| {
            door = Some(written);
            took
        }));
    }
    for node in nodes {
        if door.is_some() {
            break;
        }
        let result = write(connection, desired, access, &desired.cluster.pod(*node), &marker).await;
        let result = result.map(|(took, written)| {
            door = Some(written);
            took
        });
        proof.at_nodes.insert(*node, result);
    }
    if let Some(mut door) = door {
        let reads = join_all(nodes.iter().map(|node| read(connection, desired, access, *node, &marker))).await;
        proof.read = nodes.iter().copied().zip(reads).collect();
        proof.left = remove_marker(&mut door.conn, marker.id).await.err().map(|error| error.to_string());
    }
    proof
}

/// Whether the seed has come to the end of what it was to make, as the row says that it writes last.
///
/// # Errors
/// It gives no answer.
pub async fn seed_is_complete(connection: &Connection, desired: &Desired, access: &Access) -> Result<bool, String> {
    let mut door = open(connection, desired, access, &desired.cluster.pod(Member::Seed)).await?;
    let row = read_marker(&mut door.conn, SEEDED).await.map_err(|error| error.to_string())?;
    Ok(row.is_some())
}

/// Logs in at a pod as galeractl's own user.
pub(super) async fn open(
    connection: &Connection,
    desired: &Desired,
    access: &Access,
    pod: &str,
) -> Result<Door, String> {
    let ways = Ways::open(&connection.streams, desired, pod, access.authority.as_ref()).await;
    let ways = ways.map_err(|failure| failure.to_string())?;
    let login = Login { user: OWN_USER.to_owned(), password: access.password.clone() };
    ways.enter(&login, STATEMENT_LIMIT).await.map_err(|error| error.to_string())
}

async fn write(
    connection: &Connection,
    desired: &Desired,
    access: &Access,
    pod: &str,
    marker: &Marker,
) -> Result<(Duration, Door), String> {
    let mut door = open(connection, desired, access, pod).await?;
    prepare_marker(&mut door.conn).await.map_err(|error| error.to_string())?;
    let begun = Instant::now();
    write_marker(&mut door.conn, marker.id, &marker.token).await.map_err(|error| error.to_string())?;
    Ok((begun.elapsed(), door))
}

async fn read(
    connection: &Connection,
    desired: &Desired,
    access: &Access,
    node: Member,
    marker: &Marker,
) -> Result<Duration, Unread> {
    let mut door = open(connection, desired, access, &desired.cluster.pod(node)).await.map_err(Unread::Silent)?;
    let begun = Instant::now();
    match read_marker(&mut door.conn, marker.id).await.map_err(|error| Unread::Silent(error.to_string()))? {
        Some(found) if found == marker.token => Ok(begun.elapsed()),
        Some(found) => Err(Unread::Missing(format!("has another row in its place ({found})"))),
        None => Err(Unread::Missing("does not have the row".to_owned())),
    }
}
