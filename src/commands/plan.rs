//! `galeractl up --dry-run`: every step and every object, without changing anything.

use k8s_openapi::api::core::v1::Namespace;
use kube::api::Api;

use crate::desired::Desired;
use crate::engine::event::Change;
use crate::error::{Kind, Result};
use crate::kube::apply::{Applier, Strategy};
use crate::kube::client::Connection;
use crate::kube::errors::explain;
use crate::manifests::config::{Record, config_map, credentials, spec_map};
use crate::manifests::{self, Object};
use crate::names::Member;
use crate::steps::record;
use crate::ui::Ui;
use crate::ui::color::Tone;
use crate::ui::table::{Cell, Table};

/// Prints the plan as a table.
pub(super) async fn print(connection: &Connection, desired: &Desired, ui: &Ui) -> Result<()> {
    let all: Api<Namespace> = Api::all(connection.client.clone());
    let name = desired.namespace.as_str();
    let exists = match all.get_opt(name).await {
        // Someone who may work in a namespace need not be allowed to look at it.
        Err(kube::Error::Api(status)) if status.code == 403 => true,
        found => found.map_err(|error| explain(Kind::Preflight, format!("read namespace/{name}"), error))?.is_some(),
    };
    let stored = record::stored(&connection.client, &desired.namespace, &desired.cluster).await?;
    let record = stored.map(|(_, record)| record).unwrap_or_default();
    let mut table = Table::new(["STEP", "OBJECT", "CHANGE"]);
    let state = if exists { Change::Kept } else { Change::Created };
    row(&mut table, "0 namespace", &format!("namespace/{name}"), state);
    for (step, objects) in steps(desired, &record) {
        for (object, change) in changes(connection, desired, exists, &objects).await? {
            row(&mut table, step, &object, change);
        }
    }
    if !record.formed {
        for object in ["pod", "service"] {
            row(
                &mut table,
                "5 handover",
                &format!("{object}/{}", desired.cluster.member(Member::Seed)),
                Change::Deleted,
            );
        }
        let claim = format!("persistentvolumeclaim/{}", desired.cluster.claim(Member::Seed));
        row(&mut table, "5 handover", &claim, Change::Deleted);
    }
    ui.table(&table)
}

fn row(table: &mut Table, step: &str, object: &str, change: Change) {
    let (tone, word) = match change {
        Change::Created => (Tone::Ok, "create"),
        Change::Changed => (Tone::Warn, "change"),
        Change::Kept => (Tone::Dim, "keep"),
        Change::Deleted => (Tone::Fail, "delete"),
    };
    table.row([Cell::from(step), Cell::from(object), Cell::new(tone, word)]);
}

/// Objects by step. A seed is only needed where nothing has been formed.
fn steps(desired: &Desired, record: &Record) -> Vec<(&'static str, Vec<Object>)> {
    let none = std::collections::BTreeMap::new();
    let shared = [
        Object::of(&credentials(desired, &none)),
        Object::of(&config_map(desired)),
        Object::of(&spec_map(desired, record)),
    ];
    let seed = if record.formed { Vec::new() } else { manifests::seed(desired) };
    vec![
        ("1 volumes", manifests::claims(desired, !record.formed)),
        ("2 seed", shared.into_iter().chain(seed).collect()),
        ("3 nodes", manifests::nodes(desired)),
        ("4 haproxy", manifests::proxy(desired)),
    ]
}

/// What would become of the objects. Claims and the Secret are never changed once they exist.
async fn changes(
    connection: &Connection,
    desired: &Desired,
    namespace_exists: bool,
    objects: &[Object],
) -> Result<Vec<(String, Change)>> {
    if !namespace_exists {
        return Ok(objects.iter().map(|object| (object.display(), Change::Created)).collect());
    }
    let applier = Applier::new(connection.client.clone(), desired.cluster.clone(), Strategy::ServerDryRun);
    let mut changes = Vec::new();
    for (object, before) in objects.iter().zip(applier.read_all(objects).await?) {
        let kept = matches!(object.resource.kind.as_str(), "Secret" | "PersistentVolumeClaim") && before.is_some();
        let change = if kept { Change::Kept } else { applier.apply(object).await?.change };
        changes.push((object.display(), change));
    }
    Ok(changes)
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
