//! Having servers take changed options while they run.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use serde_json::json;

use crate::desired::Hidden;
use crate::engine::{StepCx, Verdict};
use crate::error::{Failure, Kind, Result};
use crate::kube::exec::{Place, exec};
use crate::kube::objects::Objects;
use crate::manifests::config::{ROOT_PASSWORD, config_sum, server_options};
use crate::manifests::labels::CONFIG_ANNOTATION;
use crate::manifests::member::CONTAINER;
use crate::manifests::scripts::{self, VALUES};
use crate::names::{Member, RUNS_AS_ANNOTATION};
use crate::observe::objects::RunsAs;
use crate::plans::live::{Readings, Setting, Variable, is_at, read, settings, statement};
use crate::sql::{Door, Login, Ways};

use super::record::Kept;
use super::world::World;

/// A server prints its options within a second, and twice.
const PRINT: Duration = Duration::from_secs(70);
/// A pool of many gigabytes is not made smaller at once.
const STATEMENT: Duration = Duration::from_secs(120);
/// How often a value that is not there yet is asked for.
const AGAIN: Duration = Duration::from_millis(500);

const VARIABLES: &str = "SELECT LOWER(VARIABLE_NAME), GLOBAL_VALUE, GLOBAL_VALUE_ORIGIN, VARIABLE_SCOPE, VARIABLE_TYPE, \
    READ_ONLY FROM information_schema.SYSTEM_VARIABLES";

/// What a running server would have otherwise after a restart, and whether its container has the options already.
///
/// # Errors
/// It cannot be asked, or does not say so.
pub async fn look(world: &World, kept: &Kept, node: Member) -> Result<(bool, Vec<Setting>)> {
    let (readings, known) = tokio::try_join!(readings(world, node), variables(world, kept, node))?;
    Ok((readings.arrived, settings(&readings, &known)))
}

/// Sets variables of a running server and reads them back. Names are noted in its container before, so that whoever comes
/// after a run that was killed compares them.
///
/// # Errors
/// The server's own words, or what it has instead.
pub async fn take(cx: &StepCx<'_, World>, kept: &Kept, node: Member, taken: &[Setting]) -> Result<()> {
    let world = cx.world;
    let names: Vec<&str> = taken.iter().map(|setting| setting.name.as_str()).collect();
    run(world, node, &names, None).await?;
    let mut root = as_root(world, kept, node).await?;
    for setting in taken {
        let refused =
            |why: String| Failure::message(Kind::Step, format!("{node}: {} = {}: {why}", setting.name, setting.to));
        let statement = statement(setting).ok_or_else(|| refused("it cannot stand in a statement".to_owned()))?;
        root.conn.query(&statement).await.map_err(|error| refused(error.to_string()))?;
    }
    let tries = Cell::new(0);
    cx.wait(world.observer.changes(), AGAIN, world.patience(), async || {
        tries.set(tries.get() + 1);
        let known = match variables(world, kept, node).await {
            Ok(known) => known,
            Err(failure) => return Verdict::Fail(failure),
        };
        match taken.iter().find(|setting| !is_at(&setting.name, Some(&setting.to), &known)) {
            None => Verdict::pass(""),
            Some(setting) => {
                let has = known.get(&setting.name).and_then(|known| known.value.clone()).unwrap_or_default();
                let lacks = format!("{node} to have {}={}: it has {has}", setting.name, setting.to);
                // Only memory comes and goes slowly.
                if setting.name.starts_with("innodb_") && tries.get() < TRIES {
                    Verdict::wait(lacks)
                } else {
                    Verdict::fail(lacks)
                }
            }
        }
    })
    .await
    .map(drop)
}

/// Tries at a value of `InnoDB` before the server is believed to keep its own.
const TRIES: u32 = 60;

/// Writes at a node's pod as which template it runs, or will when its server has taken what is new.
///
/// # Errors
/// The API server refuses.
pub async fn mark(world: &World, node: Member, runs_as: &RunsAs) -> Result<()> {
    let pods: Objects<Pod> = Objects::within(&world.connection.client, &world.desired.namespace);
    let mut annotations = json!({RUNS_AS_ANNOTATION: runs_as.to_string()});
    if let RunsAs::Taken(_) = runs_as {
        annotations[CONFIG_ANNOTATION] = config_sum(&world.desired).into();
    }
    let patch = json!({"metadata": {"annotations": annotations}});
    pods.merge(&world.desired.cluster.pod(node), "annotate", &patch, Kind::Step).await
}

async fn readings(world: &World, node: Member) -> Result<Readings> {
    let options = server_options(&world.desired);
    let printed = run(world, node, &[], Some(&options)).await?;
    read(&printed).map_err(|why| Failure::message(Kind::Step, format!("{node}: {why}")))
}

async fn run(world: &World, node: Member, args: &[&str], stdin: Option<&str>) -> Result<String> {
    let pod = world.desired.cluster.pod(node);
    let place = Place { namespace: &world.desired.namespace, pod: &pod, container: CONTAINER };
    let argv = [&scripts::bash(VALUES)[..], &["values.sh"], args].concat();
    let output = exec(&world.connection.streams, place, &argv, stdin, PRINT).await?;
    match output.exit_code {
        0 => Ok(output.stdout),
        _ => Err(Failure::message(Kind::Step, format!("{node}: {}", output.stderr.trim()))),
    }
}

async fn as_root(world: &World, kept: &Kept, node: Member) -> Result<Door> {
    let pod = world.desired.cluster.pod(node);
    let password = Hidden::new(kept.all.get(ROOT_PASSWORD).cloned().unwrap_or_default());
    let login = Login { user: "root".to_owned(), password };
    let ways = Ways::open(&world.connection.streams, &world.desired, &pod, kept.own.authority.as_ref()).await?;
    ways.enter(&login, STATEMENT).await.map_err(|error| error.into_failure(&pod))
}

async fn variables(world: &World, kept: &Kept, node: Member) -> Result<BTreeMap<String, Variable>> {
    let mut root = as_root(world, kept, node).await?;
    let rows = root.conn.query(VARIABLES).await;
    let rows = rows.map_err(|error| error.into_failure(&world.desired.cluster.pod(node)))?;
    let variable = |row: Vec<Option<String>>| {
        let [name, value, origin, scope, kind, read_only] = <[Option<String>; 6]>::try_from(row).ok()?;
        let read_only = read_only? != "NO";
        Some((name?, Variable { value, origin: origin?, scope: scope?, kind: kind?, read_only }))
    };
    Ok(rows.into_iter().filter_map(variable).collect())
}
