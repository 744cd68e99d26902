//! `galeractl list`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use serde::Serialize;

use crate::commands::Globals;
use crate::error::{Kind, OrFail, Result};
use crate::kube::client::Connection;
use crate::kube::objects::Objects;
use crate::manifests::config::{read_record_map, read_spec_map};
use crate::names::{ClusterName, INSTANCE_LABEL, MANAGED_BY_LABEL, MANAGER, Member, Namespace};
use crate::ui::Ui;
use crate::ui::color::Tone;
use crate::ui::table::{Cell, Table};

use super::Format;
use super::target::{self, connect};

/// List the clusters that are there
///
/// All clusters of which something exists in the namespace, or with -A everywhere: how many nodes are ready of those that
/// there should be, how old the cluster is, and its state in a word. `forming`: not all nodes have been part of it yet.
/// `running`: all are ready. `degraded`: some are. `down`: none is. `stopped`: volumes are left, and nothing runs.
/// `unknown`: its settings are missing or cannot be read. No server is asked; for that there is `galeractl verify`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  galeractl list
  galeractl list -A -o json")]
pub struct Args {
    /// In all namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// table or json
    #[arg(short, long, value_name = "FORMAT", default_value = "table", value_parser = ["table", "json"])]
    output: String,
}

/// A cluster in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    Forming,
    Running,
    Degraded,
    Down,
    Stopped,
    Unknown,
}

impl State {
    fn word(self) -> (Tone, &'static str) {
        match self {
            Self::Forming => (Tone::Warn, "forming"),
            Self::Running => (Tone::Ok, "running"),
            Self::Degraded => (Tone::Warn, "degraded"),
            Self::Down => (Tone::Fail, "down"),
            Self::Stopped => (Tone::Dim, "stopped"),
            Self::Unknown => (Tone::Fail, "unknown"),
        }
    }
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    namespace: String,
    name: String,
    state: State,
    /// Nodes that Kubernetes calls ready.
    ready: u32,
    /// Nodes that there should be; nothing where that is not known.
    nodes: Option<u32>,
    image: Option<String>,
    created: Option<Timestamp>,
}

/// What is known of one cluster before it is judged.
#[derive(Debug, Default)]
struct Known {
    nodes: Option<(u32, String)>,
    formed: bool,
    has_sets: bool,
    ready: u32,
    created: Option<Timestamp>,
}

pub(crate) async fn run(args: &Args, globals: &Globals, ui: &Ui) -> Result<()> {
    let connection = connect(globals).await?;
    let namespace: Option<Namespace> = if args.all_namespaces {
        None
    } else {
        let name = globals.namespace.as_ref().unwrap_or(&connection.default_namespace);
        Some(name.parse().or_fail(Kind::Usage)?)
    };
    let rows = rows(&connection, namespace.as_ref()).await?;
    if Format::of(&args.output) == Format::Json {
        return ui.json(&rows);
    }
    if rows.is_empty() {
        let place = namespace.map_or("in any namespace".to_owned(), |namespace| format!("in namespace {namespace}"));
        return ui.out(&format!("there is no cluster {place}; form one: galeractl up"));
    }
    ui.table(&table(&rows, Timestamp::now()))
}

async fn rows(connection: &Connection, namespace: Option<&Namespace>) -> Result<Vec<Row>> {
    let client = &connection.client;
    let (maps, sets): (Objects<ConfigMap>, Objects<StatefulSet>) = match namespace {
        Some(namespace) => (Objects::within(client, namespace), Objects::within(client, namespace)),
        None => (Objects::everywhere(client), Objects::everywhere(client)),
    };
    let labels = format!("{MANAGED_BY_LABEL}={MANAGER}");
    let more = |failure: crate::error::Failure| match namespace {
        Some(_) => failure,
        None => failure.hint("look into one namespace, for which a Role is enough: -n NAMESPACE"),
    };
    let (maps, sets) =
        futures::future::try_join(maps.list(&labels, Kind::Preflight), sets.list(&labels, Kind::Preflight))
            .await
            .map_err(more)?;
    let mut known = known(&maps, &sets);
    // Volumes may be all that is left, also of a cluster whose settings somebody has deleted.
    if let Some(namespace) = namespace {
        for name in target::clusters(connection, namespace).await?.0 {
            known.entry((namespace.to_string(), name)).or_default();
        }
    }
    Ok(known.into_iter().map(|((namespace, name), known)| row(namespace, &name, known)).collect())
}

fn known(maps: &[ConfigMap], sets: &[StatefulSet]) -> BTreeMap<(String, ClusterName), Known> {
    let mut all: BTreeMap<(String, ClusterName), Known> = BTreeMap::new();
    for map in maps {
        let Some((key, cluster)) = key(map) else { continue };
        let name = map.name_any();
        if name == cluster.spec() {
            let known = all.entry(key).or_default();
            known.nodes = read_spec_map(map).ok().map(|desired| (desired.nodes, desired.mariadb_image));
            known.created = map.metadata.creation_timestamp.as_ref().map(|time| time.0);
        } else if name == cluster.record() {
            all.entry(key).or_default().formed = read_record_map(map).is_ok_and(|record| record.formed);
        }
    }
    for set in sets {
        let Some((key, cluster)) = key(set) else { continue };
        let (prefix, name) = (format!("{cluster}-galera-"), set.name_any());
        if name.strip_prefix(&prefix).is_none_or(|member| member.parse::<Member>().is_err()) {
            continue;
        }
        let known = all.entry(key).or_default();
        known.has_sets = true;
        let ready = set.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or(0);
        known.ready += u32::try_from(ready).unwrap_or(0);
    }
    all
}

/// Whose an object is, by its labels.
fn key(object: &impl ResourceExt) -> Option<((String, ClusterName), ClusterName)> {
    let cluster: ClusterName = object.labels().get(INSTANCE_LABEL)?.parse().ok()?;
    Some(((object.namespace()?, cluster.clone()), cluster))
}

fn row(namespace: String, name: &ClusterName, known: Known) -> Row {
    let (nodes, image) = known.nodes.unzip();
    let state = match nodes {
        _ if !known.has_sets => State::Stopped,
        None => State::Unknown,
        Some(_) if !known.formed => State::Forming,
        Some(_) if known.ready == 0 => State::Down,
        Some(nodes) if known.ready < nodes => State::Degraded,
        Some(_) => State::Running,
    };
    Row { namespace, name: name.to_string(), state, ready: known.ready, nodes, image, created: known.created }
}

/// How long ago, in the largest unit: `45s`, `3m`, `2h`, `14d`. Nothing is older than the present.
fn short_age(from: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(from).as_secs().max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86400),
    }
}

fn table(rows: &[Row], now: Timestamp) -> Table {
    let mut table = Table::new(["NAMESPACE", "NAME", "STATE", ">READY", "AGE", "IMAGE"]);
    for row in rows {
        let (tone, word) = row.state.word();
        let nodes = row.nodes.map_or("?".to_owned(), |nodes| nodes.to_string());
        table.row([
            Cell::from(&row.namespace),
            Cell::from(&row.name),
            Cell::new(tone, word),
            Cell::from(format!("{}/{nodes}", row.ready)),
            Cell::from(row.created.map(|created| short_age(created, now)).unwrap_or_default()),
            Cell::from(row.image.clone().unwrap_or_default()),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::tests::desired;
    use crate::manifests::config::{Record, record_map, spec_map};
    use crate::ui::color::Paint;

    fn set(name: &str, ready: i32) -> StatefulSet {
        serde_json::from_value(serde_json::json!({
            "metadata": {"name": name, "namespace": "data", "labels": {INSTANCE_LABEL: "c", MANAGED_BY_LABEL: MANAGER}},
            "status": {"replicas": 1, "readyReplicas": ready},
        }))
        .unwrap()
    }

    fn judged(formed: bool, sets: &[StatefulSet]) -> Row {
        let desired = desired("c", 2);
        let record = record_map(&desired, &Record { formed, uuid: None });
        let known = known(&[spec_map(&desired), record], sets);
        let ((namespace, name), known) = known.into_iter().next().unwrap();
        row(namespace, &name, known)
    }

    #[test]
    fn a_cluster_is_told_in_a_word() {
        let sets = |first, second| [set("c-galera-node1", first), set("c-galera-node2", second)];
        for (formed, sets, state) in [
            (false, &sets(0, 0)[..], State::Forming),
            (true, &sets(1, 1), State::Running),
            (true, &sets(0, 1), State::Degraded),
            (true, &sets(0, 0), State::Down),
            (true, &[], State::Stopped),
            // Somebody else's, with this cluster's label.
            (true, &[set("c-other", 1)], State::Stopped),
        ] {
            assert_eq!(judged(formed, sets).state, state);
        }
        let bare = known(&[], &sets(1, 1)).into_values().next().unwrap();
        assert_eq!(row("data".to_owned(), &"c".parse().unwrap(), bare).state, State::Unknown);
    }

    #[test]
    fn a_list_is_a_table() {
        let row =
            Row { created: Some("2026-11-28T10:00:00Z".parse().unwrap()), ..judged(true, &[set("c-galera-node1", 1)]) };
        let shown = table(&[row], "2026-11-28T12:30:00Z".parse().unwrap()).render(Paint::new(false));
        insta::assert_snapshot!(shown, @r"
        NAMESPACE  NAME  STATE     READY  AGE  IMAGE
        data       c     degraded    1/2  2h   mariadb:11.8
        ");
    }
}
