//! Options that the servers would not take are refused while these still run with the old ones.

use std::time::Duration;

use crate::desired::Desired;
use crate::error::{Failure, Kind, Result};
use crate::kube::exec::{Place, exec};
use crate::manifests::config::server_options;
use crate::manifests::member::CONTAINER;
use crate::manifests::scripts::{self, NOT_TAKEN, TRY};
use crate::names::Member;
use crate::observed::MemberView;

use super::world::World;

/// A server reads its options within a second.
const LIMIT: Duration = Duration::from_secs(40);

/// Has a server that runs judge options that differ from those with which it was started.
///
/// # Errors
/// [`Kind::Preflight`] with the server's own words.
pub async fn taken(world: &World, before: &Desired) -> Result<()> {
    let desired = &world.desired;
    if before.mysqld == desired.mysqld {
        return Ok(());
    }
    let observed = world.observer.now();
    let serves = |member: &Member| observed.members.get(member).is_some_and(MemberView::is_synced);
    // Nodes without an answer are on their way down or up, and say themselves what they do not take.
    let Some(node) = desired.members().find(serves) else { return Ok(()) };
    let pod = desired.cluster.pod(node);
    let place = Place { namespace: &desired.namespace, pod: &pod, container: CONTAINER };
    let argv = scripts::bash(TRY);
    let output = exec(&world.connection.streams, place, &argv, Some(&server_options(desired)), LIMIT).await?;
    if output.exit_code != 0 {
        let why = output.stderr.trim();
        return Err(Failure::message(Kind::Preflight, format!("{node} cannot judge the options in [mysqld]: {why}")));
    }
    match output.stdout.trim() {
        "" => Ok(()),
        said => {
            let why = said.strip_prefix(NOT_TAKEN).unwrap_or(said);
            Err(Failure::message(Kind::Preflight, format!("the servers would not take the options in [mysqld]: {why}"))
                .hint("correct them in the settings; a node that was restarted with them would stay down"))
        }
    }
}
