//! What the proxies believe.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;

use crate::checks::{Backend, haproxy};
use crate::desired::Desired;
use crate::kube::client::Connection;
use crate::kube::http;
use crate::manifests::proxy::STATS_PORT;
use crate::names::Member;
use crate::observed::Observed;

/// A proxy that has not answered by then is silent.
const ANSWER_LIMIT: Duration = Duration::from_secs(4);

/// Whether every proxy has looked at all of these nodes and found them up, as far as it can be known.
///
/// # Errors
/// Which proxy does not yet, or gives no answer: a sentence that begins with what is waited for.
pub async fn lead_to(
    connection: &Connection,
    desired: &Desired,
    observed: &Observed,
    nodes: &[Member],
) -> Result<(), String> {
    for (proxy, answer) in backends(connection, desired, observed).await {
        let list = answer.map_err(|why| format!("the proxies to say which nodes they use: {proxy}: {why}"))?;
        let is_up = |node: &&Member| list.iter().any(|backend| backend.member == **node && backend.is_found_up());
        if let Some(node) = nodes.iter().find(|node| !is_up(node)) {
            return Err(format!("the proxies to take {node} for up: {proxy} does not yet"));
        }
    }
    Ok(())
}

/// Each proxy pod's list of backends.
pub async fn backends(
    connection: &Connection,
    desired: &Desired,
    observed: &Observed,
) -> BTreeMap<String, Result<Vec<Backend>, String>> {
    let pods = &observed.proxy.pods;
    let answers = join_all(pods.iter().map(|pod| async move {
        let answer = http::get(&connection.streams, &desired.namespace, pod, STATS_PORT, "/;csv", ANSWER_LIMIT).await;
        let (status, body) = answer.map_err(|failure| failure.to_string())?;
        if status == 200 { haproxy::parse(&body) } else { Err(format!("HTTP status {status}")) }
    }));
    pods.iter().cloned().zip(answers.await).collect()
}
