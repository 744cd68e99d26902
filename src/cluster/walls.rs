//! Whether the network holds its policies: the servers themselves try ways that no policy opens.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;

use crate::checks::network::{Wall, Walls};
use crate::desired::Desired;
use crate::kube::client::Connection;
use crate::kube::exec::{Place, exec};
use crate::manifests::member::{CONTAINER, HEALTH_PORT};
use crate::manifests::scripts::{KNOCK, bash};
use crate::manifests::services::SQL_PORT;
use crate::names::Member;

/// Two ports are tried, for two seconds each.
const LIMIT: Duration = Duration::from_secs(10);

/// Has each of these nodes try the next one: by the port of the health answers, which policies open among nodes, and by that
/// of clients, which they open to the proxy only. Nothing is sent. Empty without policies, and where there is only one node.
pub async fn look(connection: &Connection, desired: &Desired, nodes: Vec<Member>) -> Walls {
    if desired.network.is_none() || nodes.len() < 2 {
        return Walls::new();
    }
    let others = nodes.iter().cycle().skip(1);
    let asked = nodes.iter().zip(others).map(async |(from, to)| (*from, knock(connection, desired, *from, *to).await));
    join_all(asked).await.into_iter().collect()
}

async fn knock(connection: &Connection, desired: &Desired, from: Member, to: Member) -> Result<Wall, String> {
    let pod = desired.cluster.pod(from);
    let place = Place { namespace: &desired.namespace, pod: &pod, container: CONTAINER };
    let (host, health, sql) = (desired.cluster.member(to), HEALTH_PORT.to_string(), SQL_PORT.to_string());
    let argv = [&bash(KNOCK)[..], &["knock", &host, &health, &sql]].concat();
    let output = exec(&connection.streams, place, &argv, None, LIMIT).await.map_err(|failure| failure.to_string())?;
    let answers: BTreeMap<&str, &str> = output.stdout.lines().filter_map(|line| line.split_once(' ')).collect();
    match (answers.get(health.as_str()).copied(), answers.get(sql.as_str()).copied()) {
        (Some("open"), Some("closed")) => Ok(Wall::Holds),
        (_, Some("open")) => Ok(Wall::Open(format!("{to} port {sql}"))),
        (Some("closed"), Some("closed")) => Err(format!("{to} cannot be reached at all")),
        _ => Err("it does not say what it has reached".to_owned()),
    }
}
