//! A row that is written through one door and read on every node.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use tokio::time::Instant;

use crate::checks::Proof;
use crate::desired::{Desired, Hidden};
use crate::kube::client::Connection;
use crate::kube::tunnel::Tunnel;
use crate::manifests::services::SQL_PORT;
use crate::names::Member;
use crate::observe::OWN_USER;
use crate::sql::{Conn, Login, connect, prepare_marker, read_marker, write_marker};

/// A statement that takes longer than this is stuck.
const STATEMENT_LIMIT: Duration = Duration::from_secs(10);

/// Writes a fresh marker through the proxy pod, or at the first node that takes it where there is none, and reads it
/// on every node with causal reads.
pub async fn prove(
    connection: &Connection,
    desired: &Desired,
    password: &Hidden,
    proxy: Option<&str>,
    nodes: &[Member],
) -> Proof {
    let token = format!("verify-{}", jiff::Timestamp::now().as_nanosecond());
    let mut proof = Proof::default();
    if let Some(pod) = proxy {
        proof.through_proxy = Some(write(connection, desired, password, pod, &token).await);
    }
    if !matches!(proof.through_proxy, Some(Ok(_))) {
        for node in nodes {
            let result = write(connection, desired, password, &desired.cluster.pod(*node), &token).await;
            let done = result.is_ok();
            proof.at_node = Some((*node, result));
            if done {
                break;
            }
        }
    }
    let written = matches!(proof.through_proxy, Some(Ok(_))) || matches!(proof.at_node, Some((_, Ok(_))));
    if written {
        let reads = join_all(nodes.iter().map(|node| read(connection, desired, password, *node, &token))).await;
        proof.read = nodes.iter().copied().zip(reads).collect::<BTreeMap<_, _>>();
    }
    proof
}

async fn open(
    connection: &Connection,
    desired: &Desired,
    password: &Hidden,
    pod: &str,
) -> Result<(Tunnel, Conn), String> {
    let tunnel = Tunnel::open(&connection.streams, &desired.namespace, pod, SQL_PORT)
        .await
        .map_err(|failure| failure.to_string())?;
    let login = Login { user: OWN_USER.to_owned(), password: password.clone() };
    let conn = connect(&tunnel, &login).await.map_err(|error| error.to_string())?;
    Ok((tunnel, conn.with_timeout(STATEMENT_LIMIT)))
}

async fn write(
    connection: &Connection,
    desired: &Desired,
    password: &Hidden,
    pod: &str,
    token: &str,
) -> Result<Duration, String> {
    let (_tunnel, mut conn) = open(connection, desired, password, pod).await?;
    prepare_marker(&mut conn).await.map_err(|error| error.to_string())?;
    let begun = Instant::now();
    write_marker(&mut conn, token).await.map_err(|error| error.to_string())?;
    Ok(begun.elapsed())
}

async fn read(
    connection: &Connection,
    desired: &Desired,
    password: &Hidden,
    node: Member,
    token: &str,
) -> Result<Duration, String> {
    let (_tunnel, mut conn) = open(connection, desired, password, &desired.cluster.pod(node)).await?;
    let begun = Instant::now();
    match read_marker(&mut conn).await.map_err(|error| error.to_string())? {
        Some(found) if found == token => Ok(begun.elapsed()),
        Some(found) => Err(format!("reads an older row ({found})")),
        None => Err("does not have the row".to_owned()),
    }
}
