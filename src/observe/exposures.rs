//! Ways into a cluster from outside, as they are.

use k8s_openapi::api::core::v1::{Pod, Service};
use kube::ResourceExt;

use crate::desired::{Desired, ExternalAccess};
use crate::error::{Kind, Result};
use crate::kube::client::Connection;
use crate::kube::objects::Objects;
use crate::manifests::access::{ALLOW_ANNOTATION, UNTIL_ANNOTATION};
use crate::names::{COMPONENT_LABEL, INSTANCE_LABEL, MANAGED_BY_LABEL, MANAGER, Role};
use crate::observed::Exposed;

/// All ways into the cluster.
///
/// # Errors
/// The API server refuses.
pub async fn list(connection: &Connection, desired: &Desired) -> Result<Vec<Exposed>> {
    let labels = |role: Role| {
        let cluster = &desired.cluster;
        format!("{INSTANCE_LABEL}={cluster},{MANAGED_BY_LABEL}={MANAGER},{COMPONENT_LABEL}={}", role.label())
    };
    let services: Objects<Service> = Objects::within(&connection.client, &desired.namespace);
    let found = services.list(&labels(Role::Access), Kind::Preflight).await?;
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let pods: Objects<Pod> = Objects::within(&connection.client, &desired.namespace);
    let proxies = pods.list(&labels(Role::Proxy), Kind::Preflight).await?;
    Ok(found.iter().filter_map(|service| exposed(service, &proxies)).collect())
}

fn exposed(service: &Service, proxies: &[Pod]) -> Option<Exposed> {
    let spec = service.spec.as_ref()?;
    let way = match spec.type_.as_deref()? {
        "LoadBalancer" => ExternalAccess::LoadBalancer,
        "NodePort" => ExternalAccess::NodePort,
        _ => return None,
    };
    let port = spec.ports.as_ref()?.first()?;
    let (hosts, port) = match way {
        ExternalAccess::LoadBalancer => (ingress(service), port.port),
        // Every host forwards this port, those of the proxy's pods also where clients' addresses are to be kept.
        ExternalAccess::NodePort => (hosts(proxies), port.node_port?),
    };
    let annotation = |key: &str| service.annotations().get(key).cloned();
    Some(Exposed {
        name: service.name_any(),
        way,
        hosts,
        port: u16::try_from(port).ok()?,
        allow: annotation(ALLOW_ANNOTATION)
            .map(|list| list.split(',').map(str::to_owned).collect())
            .unwrap_or_default(),
        until: annotation(UNTIL_ANNOTATION),
    })
}

fn ingress(service: &Service) -> Vec<String> {
    let status = service.status.as_ref().and_then(|status| status.load_balancer.as_ref()?.ingress.clone());
    status.unwrap_or_default().into_iter().filter_map(|ingress| ingress.ip.or(ingress.hostname)).collect()
}

fn hosts(proxies: &[Pod]) -> Vec<String> {
    let host =
        |pod: &Pod| pod.status.as_ref().filter(|status| status.phase.as_deref() == Some("Running"))?.host_ip.clone();
    let mut hosts: Vec<String> = proxies.iter().filter_map(host).collect();
    hosts.sort();
    hosts.dedup();
    hosts
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use serde_json::json;

    fn service(value: serde_json::Value) -> Service {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn addresses_come_from_the_balancer_or_from_the_hosts_of_the_proxy() {
        let pod =
            |ip: &str, phase: &str| serde_json::from_value(json!({"status": {"hostIP": ip, "phase": phase}})).unwrap();
        let proxies: [Pod; 3] = [pod("10.0.0.2", "Running"), pod("10.0.0.2", "Running"), pod("10.0.0.9", "Failed")];
        let node_port = service(json!({
            "metadata": {"name": "a", "annotations": {"galeractl.dev/exposed-until": "2026-01-01T00:00:00Z"}},
            "spec": {"type": "NodePort", "ports": [{"port": 3306, "nodePort": 30306}]},
        }));
        let found = exposed(&node_port, &proxies).unwrap();
        assert_eq!((found.hosts.as_slice(), found.port), (["10.0.0.2".to_owned()].as_slice(), 30306));
        let now: Timestamp = "2026-01-02T00:00:00Z".parse().unwrap();
        assert_eq!(
            found.describe(now),
            "service/a at 10.0.0.2 port 30306, open to everybody, over since 2026-01-01T00:00:00Z"
        );
        let balanced = service(json!({
            "metadata": {"name": "b"},
            "spec": {"type": "LoadBalancer", "ports": [{"port": 3306}]},
            "status": {"loadBalancer": {"ingress": [{"hostname": "x.example"}]}},
        }));
        let found = exposed(&balanced, &[]).unwrap();
        assert_eq!((found.hosts, found.port), (vec!["x.example".to_owned()], 3306));
    }
}
