//! `galeractl up --dry-run`: every step and every object, without changing anything.

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, DynamicObject};

use crate::desired::Desired;
use crate::engine::event::Change;
use crate::error::{Kind, Result};
use crate::kube::apply::{Applied, Applier, Strategy};
use crate::kube::client::Connection;
use crate::kube::errors::explain;
use crate::manifests::config::{Record, config_map, credentials, record_map, spec_map};
use crate::manifests::{self, Object};
use crate::names::Member;
use crate::steps::record;
use crate::ui::Ui;
use crate::ui::color::Tone;
use crate::ui::table::{Cell, Table};

/// One object and what `up` would do to it.
pub(super) struct Planned {
    pub(super) step: &'static str,
    pub(super) object: String,
    pub(super) change: Change,
    pub(super) before: Option<DynamicObject>,
    pub(super) after: Option<DynamicObject>,
}

impl Planned {
    fn new(step: &'static str, object: String, change: Change) -> Self {
        Self { step, object, change, before: None, after: None }
    }
}

/// Prints the plan as a table.
pub(super) async fn print(connection: &Connection, desired: &Desired, ui: &Ui) -> Result<()> {
    let mut table = Table::new(["STEP", "OBJECT", "CHANGE"]);
    for planned in plan(connection, desired, false).await? {
        row(&mut table, planned.step, &planned.object, planned.change);
    }
    let stored = record::stored(&connection.client, &desired.namespace, &desired.cluster).await?;
    if !stored.is_some_and(|(_, record)| record.formed) {
        let seed = desired.cluster.member(Member::Seed);
        let claim = desired.cluster.claim(Member::Seed);
        for object in [format!("pod/{seed}"), format!("service/{seed}"), format!("persistentvolumeclaim/{claim}")] {
            row(&mut table, "5 handover", &object, Change::Deleted);
        }
    }
    ui.table(&table)
}

/// Prints what would become of a few objects.
pub(super) async fn print_objects(
    connection: &Connection,
    desired: &Desired,
    objects: Vec<Object>,
    ui: &Ui,
) -> Result<()> {
    let mut table = Table::new(["OBJECT", "CHANGE"]);
    for planned in changes(connection, desired, (true, false), "", &objects).await? {
        table.row([Cell::from(planned.object), word(planned.change)]);
    }
    ui.table(&table)
}

/// Everything that `up` makes, in its order, and what would become of it. Nothing is changed. `force` also looks at what
/// belongs to others, as `--take-ownership` does.
///
/// # Errors
/// The API server cannot be asked, or refuses an object.
pub(super) async fn plan(connection: &Connection, desired: &Desired, force: bool) -> Result<Vec<Planned>> {
    let all: Api<Namespace> = Api::all(connection.client.clone());
    let name = desired.namespace.as_str();
    let exists = match all.get_opt(name).await {
        // Someone who may work in a namespace need not be allowed to look at it.
        Err(kube::Error::Api(status)) if status.code == 403 => true,
        found => found.map_err(|error| explain(Kind::Preflight, format!("read namespace/{name}"), error))?.is_some(),
    };
    let stored = record::stored(&connection.client, &desired.namespace, &desired.cluster).await?;
    let record = stored.map(|(_, record)| record).unwrap_or_default();
    let state = if exists { Change::Kept } else { Change::Created };
    let mut planned = vec![Planned::new("0 namespace", format!("namespace/{name}"), state)];
    for (step, objects) in steps(desired, &record) {
        planned.extend(changes(connection, desired, (exists, force), step, &objects).await?);
    }
    Ok(planned)
}

fn row(table: &mut Table, step: &str, object: &str, change: Change) {
    table.row([Cell::from(step), Cell::from(object), word(change)]);
}

fn word(change: Change) -> Cell {
    match change {
        Change::Created => Cell::new(Tone::Ok, "create"),
        Change::Changed => Cell::new(Tone::Warn, "change"),
        Change::Kept => Cell::new(Tone::Dim, "keep"),
        Change::Deleted => Cell::new(Tone::Fail, "delete"),
    }
}

/// Objects by step. A seed is only needed where nothing has been formed.
fn steps(desired: &Desired, record: &Record) -> Vec<(&'static str, Vec<Object>)> {
    let none = std::collections::BTreeMap::new();
    let shared = [
        Object::of(&credentials(desired, &none)),
        Object::of(&config_map(desired)),
        Object::of(&spec_map(desired)),
        Object::of(&record_map(desired, record)),
    ];
    let claims = [
        manifests::volumes(desired, !record.formed),
        manifests::claims(desired, !record.formed),
        manifests::backup_volumes(desired),
    ];
    let claims = claims.concat();
    let seed = if record.formed { Vec::new() } else { manifests::seed(desired) };
    vec![
        ("1 volumes", claims),
        ("2 seed", shared.into_iter().chain(seed).collect()),
        ("3 nodes", manifests::nodes(desired)),
        ("4 haproxy", manifests::proxy(desired)),
    ]
}

/// What would become of the objects. Volumes, claims and the Secret are never changed once they exist.
async fn changes(
    connection: &Connection,
    desired: &Desired,
    (namespace_exists, force): (bool, bool),
    step: &'static str,
    objects: &[Object],
) -> Result<Vec<Planned>> {
    if !namespace_exists {
        return Ok(objects.iter().map(|object| Planned::new(step, object.display(), Change::Created)).collect());
    }
    let applier =
        Applier::new(connection.client.clone(), desired.cluster.clone(), Strategy::ServerDryRun).take_ownership(force);
    let mut planned = Vec::new();
    for object in objects {
        let lasting = ["Secret", "PersistentVolumeClaim", "PersistentVolume"].contains(&object.resource.kind.as_str());
        if lasting && applier.exists(object).await? {
            planned.push(Planned::new(step, object.display(), Change::Kept));
            continue;
        }
        let Applied { change, before, after } = applier.apply(object).await?;
        planned.push(Planned { before, after: Some(after), ..Planned::new(step, object.display(), change) });
    }
    Ok(planned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_object_that_up_makes_is_in_the_plan_and_the_seed_only_before_the_formation() {
        let desired = crate::desired::tests::desired("c", 3);
        let names = |record: &Record| -> Vec<String> {
            steps(&desired, record).iter().flat_map(|(_, objects)| objects.iter().map(Object::display)).collect()
        };
        let fresh = names(&Record::default());
        assert!(fresh.contains(&"pod/c-galera-seed".to_owned()));
        assert!(fresh.contains(&"statefulset/c-galera-node3".to_owned()));
        let formed = names(&Record { formed: true, uuid: None });
        assert!(!formed.iter().any(|name| name.contains("seed")));
    }
}
