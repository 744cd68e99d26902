//! What the proxies believe.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;

use crate::checks::{Backend, haproxy};
use crate::desired::Desired;
use crate::kube::client::Connection;
use crate::kube::http;
use crate::manifests::proxy::STATS_PORT;
use crate::observed::Observed;

/// A proxy that has not answered by then is silent.
const ANSWER_LIMIT: Duration = Duration::from_secs(4);

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
