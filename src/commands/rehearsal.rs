//! What would become of objects, asked of the API server without changing anything.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::api::DynamicObject;

use crate::cluster::record;
use crate::cluster::world::World;
use crate::desired::Desired;
use crate::engine::StepCx;
use crate::engine::event::Change;
use crate::error::{Kind, Result};
use crate::kube::apply::{Applied, Applier, Strategy};
use crate::kube::client::Connection;
use crate::kube::delete::Found;
use crate::kube::objects::{Objects, Seen};
use crate::manifests::Object;
use crate::plans::course::Course;
use crate::plans::stage::{Fate, Stage};
use crate::steps::up::preflight::PREFLIGHT;
use crate::steps::up::stages;
use crate::ui::Ui;
use crate::ui::color::Tone;
use crate::ui::table::{Cell, Table};

use super::frame::Frame;

/// One object and what would become of it.
pub(super) struct Planned {
    pub(super) step: &'static str,
    pub(super) object: String,
    pub(super) change: Change,
    pub(super) before: Option<DynamicObject>,
    pub(super) after: Option<DynamicObject>,
}

impl Planned {
    pub(super) fn new(step: &'static str, object: String, change: Change) -> Self {
        Self { step, object, change, before: None, after: None }
    }
}

/// Asks the API server as if objects were applied.
pub(super) struct Rehearsal {
    applier: Applier,
    /// Without its namespace nothing exists, and nothing can be asked.
    namespace_exists: bool,
    /// What goes before anything is made, and then comes again.
    goes_first: BTreeSet<String>,
}

impl Rehearsal {
    fn new(connection: &Connection, desired: &Desired, take_ownership: bool) -> Self {
        let applier = Applier::new(connection.client.clone(), desired.cluster.clone(), Strategy::ServerDryRun);
        let applier = applier.take_ownership(take_ownership);
        Self { applier, namespace_exists: true, goes_first: BTreeSet::new() }
    }

    /// Of what belongs to others, it refuses what the run would refuse. The namespace is there unless somebody says
    /// otherwise.
    pub(super) fn on(world: &World) -> Self {
        Self::new(&world.connection, &world.desired, world.choices.take_ownership)
    }

    /// Whether the namespace exists.
    pub(super) fn in_namespace(self, namespace_exists: bool) -> Self {
        Self { namespace_exists, ..self }
    }

    /// These are removed before anything is made.
    pub(super) fn without(self, goes_first: BTreeSet<String>) -> Self {
        Self { goes_first, ..self }
    }

    /// Everything that the stages make and remove, and what would become of it. What several of them make is told of the
    /// first.
    ///
    /// # Errors
    /// The API server cannot be asked, or refuses an object.
    pub(super) async fn of(&self, stages: &[Stage]) -> Result<Vec<Planned>> {
        let mut planned: Vec<Planned> = Vec::new();
        for Stage { step, fate, objects } in stages {
            for object in objects {
                let name = object.display();
                let is_there = planned.iter().any(|planned| planned.object == name);
                match fate {
                    Fate::Made if is_there => {}
                    Fate::Made | Fate::Passing => planned.push(self.applied(step, object).await?),
                    Fate::Removed if is_there || self.exists(object).await? => {
                        planned.push(Planned::new(step, name, Change::Deleted));
                    }
                    Fate::Removed => {}
                }
            }
            if *fate == Fate::Passing {
                planned.extend(objects.iter().map(|object| Planned::new(step, object.display(), Change::Deleted)));
            }
        }
        Ok(planned)
    }

    /// Volumes, claims and the Secret are never changed once they exist.
    async fn applied(&self, step: &'static str, object: &Object) -> Result<Planned> {
        if object.resource.kind == "Namespace" {
            let change = if self.namespace_exists { Change::Kept } else { Change::Created };
            return Ok(Planned::new(step, object.display(), change));
        }
        if !self.namespace_exists || self.goes_first.contains(&object.display()) {
            return Ok(Planned::new(step, object.display(), Change::Created));
        }
        let lasting = ["Secret", "PersistentVolumeClaim", "PersistentVolume"].contains(&object.resource.kind.as_str());
        if lasting && self.applier.exists(object).await? {
            return Ok(Planned::new(step, object.display(), Change::Kept));
        }
        let Applied { change, before, after } = self.applier.apply(object).await?;
        Ok(Planned { before, after: Some(after), ..Planned::new(step, object.display(), change) })
    }

    async fn exists(&self, object: &Object) -> Result<bool> {
        Ok(self.namespace_exists && self.applier.exists(object).await?)
    }
}

/// What `up` would change on a cluster as it is recorded, whoever owns its objects. Stopped volumes are not looked into.
///
/// # Errors
/// As [`Rehearsal::of`].
pub(super) async fn of_recorded(connection: &Connection, desired: &Desired) -> Result<Vec<Planned>> {
    let all: Objects<Namespace> = Objects::everywhere(&connection.client);
    // Someone who may work in a namespace need not be allowed to look at it.
    let exists = all.look(desired.namespace.as_str(), Kind::Preflight).await? != Seen::Missing;
    let record = record::recorded(&connection.client, &desired.namespace, &desired.cluster).await?;
    let record = record.unwrap_or_default();
    let course = if record.formed { Course::Keep } else { Course::Form };
    let mut stages = stages(desired, &course, &record);
    if course == Course::Form {
        // What is there only for a while is no difference.
        stages.retain(|stage| stage.fate != Fate::Removed);
    }
    // What a cluster has been found to be is no part of what it should be.
    for stage in &mut stages {
        stage.objects.retain(|object| object.name != desired.cluster.record());
    }
    Rehearsal::new(connection, desired, true).in_namespace(exists).of(&stages).await
}

/// What would become of objects that were found, and that a step removes.
pub(super) fn removals(step: &'static str, found: &[Found]) -> Vec<Planned> {
    found.iter().map(|found| Planned::new(step, found.display(), Change::Deleted)).collect()
}

/// Looks as a run does before it changes anything, under its frame, and prints what it would do.
pub(super) async fn show(
    frame: &Frame,
    ui: &Ui,
    limit: Option<Duration>,
    world: &World,
    look: impl AsyncFnOnce(&StepCx<'_, World>) -> Result<Vec<Planned>>,
) -> Result<Vec<Planned>> {
    let planned = frame.act(PREFLIGHT, limit, world, look, async |_| Ok(())).await?;
    print(&planned, ui)?;
    Ok(planned)
}

/// Prints the list with the steps in which it happens, if there is anything to do.
pub(super) fn print(planned: &[Planned], ui: &Ui) -> Result<()> {
    if planned.is_empty() {
        return Ok(());
    }
    let mut table = Table::new(["STEP", "OBJECT", "CHANGE"]);
    for Planned { step, object, change, .. } in planned {
        table.row([Cell::from(*step), Cell::from(object.as_str()), word(*change)]);
    }
    ui.table(&table)
}

/// The last word of a dry run: what would happen, and to how many objects.
pub(super) fn outcome(way: impl fmt::Display, planned: &[Planned]) -> String {
    format!("{way}: {}; nothing was changed", totals(planned))
}

/// How many objects would be made, changed, removed and kept.
fn totals(planned: &[Planned]) -> String {
    let count = |change: Change| planned.iter().filter(|planned| planned.change == change).count();
    format!(
        "{} to create, {} to change, {} to delete, {} to keep",
        count(Change::Created),
        count(Change::Changed),
        count(Change::Deleted),
        count(Change::Kept)
    )
}

fn word(change: Change) -> Cell {
    match change {
        Change::Created => Cell::new(Tone::Ok, "create"),
        Change::Changed => Cell::new(Tone::Warn, "change"),
        Change::Kept => Cell::new(Tone::Dim, "keep"),
        Change::Deleted => Cell::new(Tone::Fail, "delete"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::kube::fake;
    use crate::manifests::config::{credentials, spec_map};

    #[tokio::test]
    async fn what_passes_is_made_and_removed_and_what_lasts_is_told_once() {
        let desired = crate::desired::tests::desired("c", 1);
        // Without a namespace nobody is asked.
        let client = fake::client(|request| panic!("asked for {}", request.path)).await;
        let applier = Applier::new(client, desired.cluster.clone(), Strategy::ServerDryRun);
        let rehearsal = Rehearsal { applier, namespace_exists: false, goes_first: BTreeSet::new() };
        let (spec, secret) = (Object::of(&spec_map(&desired)), Object::of(&credentials(&desired, &BTreeMap::new())));
        let stages = [
            Stage::makes("one", vec![spec.clone()]),
            Stage::passes("two", vec![secret.clone()]),
            Stage::makes("three", vec![spec.clone()]),
            Stage::passes("four", vec![secret]),
            Stage::removes("five", vec![spec, Object::of(&crate::manifests::config::config_map(&desired))]),
        ];
        let planned = rehearsal.of(&stages).await.unwrap();
        let row = |planned: &Planned| format!("{} {} {:?}", planned.step, planned.object, planned.change);
        assert_eq!(
            planned.iter().map(row).collect::<Vec<_>>(),
            [
                "one configmap/c-galera-spec Created",
                "two secret/c-galera-credentials Created",
                "two secret/c-galera-credentials Deleted",
                "four secret/c-galera-credentials Created",
                "four secret/c-galera-credentials Deleted",
                "five configmap/c-galera-spec Deleted",
            ]
        );
        assert_eq!(outcome("c", &planned), "c: 3 to create, 0 to change, 3 to delete, 0 to keep; nothing was changed");
    }
}
