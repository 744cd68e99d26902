//! Writing what a running cluster should be, before its nodes are restarted with it.

use crate::cluster::nodes::{make, objects};
use crate::cluster::record::{Kept, Secrets, blank_secrets};
use crate::cluster::world::World;
use crate::desired::Desired;
use crate::engine::{Finished, Named, StepCx};
use crate::error::{Failure, Kind, Result};
use crate::plans::change::fixed;
use crate::plans::course::Course;
use crate::plans::stage::Stage;

/// The step.
pub const SETTINGS: Named = Named::new("settings", "write what the cluster should be");

/// What the step makes, or puts right. Where nodes and proxies are not to be replaced at the same time, the proxy's objects
/// are left to a later step.
#[must_use]
pub fn stage(desired: &Desired, with_proxy: bool) -> Stage {
    Stage::makes(SETTINGS.id, [blank_secrets(desired, false), objects(desired, with_proxy)].concat())
}

/// Whether a cluster that was `before` can become what is wanted while it runs.
///
/// # Errors
/// All that it cannot become.
pub fn can_change(before: &Desired, wanted: &Desired) -> Result<()> {
    let fixed = fixed(before, wanted);
    if fixed.is_empty() {
        return Ok(());
    }
    let why: Vec<&str> = fixed.iter().map(|fixed| fixed.why.as_str()).collect();
    let failure = Failure::message(Kind::Preflight, why.join("; "));
    Err(fixed.iter().fold(failure, |failure, fixed| failure.hint(&fixed.hint)))
}

/// Whether there is a running cluster to be changed.
///
/// # Errors
/// There is none.
pub fn runs(course: &Course) -> Result<()> {
    if *course == Course::Keep {
        return Ok(());
    }
    Err(Failure::message(Kind::Preflight, "only a formed cluster that runs can be changed")
        .hint("form it, or bring it back: galeractl up"))
}

/// Writes settings and templates, and the proxy's objects as [`stage`]; restarts no node.
///
/// # Errors
/// The lock was lost, or the API server refuses.
pub async fn settings(cx: &StepCx<'_, World>, known: Option<&Secrets>, with_proxy: bool) -> Result<Finished<Kept>> {
    let world = cx.world;
    world.confirm_lock().await?;
    let kept = make(cx, known, with_proxy).await?;
    let written = world.changes() > 0;
    Ok(Finished::which(written, if written { "written" } else { "they are what they should be" }).with(kept))
}
