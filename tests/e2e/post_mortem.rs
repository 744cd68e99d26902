//! What is left of a failed test, before its namespace goes.

use std::any::Any;
use std::io::Write as _;

use galeractl::kube::logs;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::ResourceExt;
use kube::api::ListParams;

use crate::place::Place;

const LINES: u32 = 60;

/// Says at once why a test has failed, past the harness, which keeps everything back until all tests are over.
pub(crate) fn tell(name: &str, panic: &(dyn Any + Send)) {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    let text: String = text.unwrap_or("it panicked").chars().take(2000).collect();
    drop(writeln!(std::io::stderr(), "\n{} {name}: {text}", jiff::Timestamp::now()));
}

pub(crate) async fn print(place: &Place) {
    eprintln!("==== namespace {} after the failure", place.namespace);
    let all = ListParams::default();
    let pods = place.api::<Pod>().list(&all).await.map(|list| list.items).unwrap_or_default();
    for pod in &pods {
        let status = pod.status.clone().unwrap_or_default();
        let containers: Vec<String> = status
            .container_statuses
            .iter()
            .flatten()
            .map(|container| {
                format!("ready={} restarts={} {:?}", container.ready, container.restart_count, container.state)
            })
            .collect();
        let phase = status.phase.unwrap_or_default();
        eprintln!("pod/{} {phase} {:?} {}", pod.name_any(), pod.metadata.deletion_timestamp, containers.join(" "));
    }
    let mut events = place.api::<Event>().list(&all).await.map(|list| list.items).unwrap_or_default();
    events.sort_by_key(|event| event.metadata.creation_timestamp.as_ref().map(|time| time.0));
    for event in events.iter().filter(|event| event.type_.as_deref() != Some("Normal")) {
        let of = event.involved_object.name.as_deref().unwrap_or_default();
        let (reason, message) = (event.reason.as_deref(), event.message.as_deref());
        eprintln!("event {of} {}: {}", reason.unwrap_or_default(), message.unwrap_or_default());
    }
    for pod in &pods {
        for container in pod.spec.iter().flat_map(|spec| &spec.containers) {
            let (streams, name) = (&place.connection.streams, pod.name_any());
            let tail = logs::tail(streams, &place.namespace, &name, &container.name, LINES, false).await;
            eprintln!("---- log of pod/{name}");
            for line in tail.unwrap_or_else(|failure| vec![failure.to_string()]) {
                eprintln!("{line}");
            }
        }
    }
    let said = place.said.lock().unwrap().clone();
    let lines: Vec<&str> = said.lines().collect();
    eprintln!("---- the last that galeractl said");
    for line in &lines[lines.len().saturating_sub(40)..] {
        eprintln!("{line}");
    }
}
