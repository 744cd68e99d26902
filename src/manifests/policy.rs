//! Who may talk to whom, for networks that enforce policies.

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort,
    NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::Object;
use super::labels::{matching, meta};
use super::member::HEALTH_PORT;
use super::proxy::STATS_PORT;
use super::restore::SERVE_PORT;
use super::services::{READ_PORT, SQL_PORT};
use crate::desired::{Desired, Network, Peer};
use crate::names::{APP, COMPONENT_LABEL, INSTANCE_LABEL, NAME_LABEL, Role};

/// State transfers, the group, incremental state transfers.
const GROUP_PORTS: [u16; 3] = [4444, 4567, 4568];
/// Name servers, also where their pods listen on a port for ordinary users.
const NAME_PORTS: [u16; 2] = [53, 5353];
const MEMBERS: &[Role] = &[Role::Seed, Role::Node];
const PROXIES: &[Role] = &[Role::Proxy];
const HELPERS: &[Role] = &[Role::Inspector, Role::Purge, Role::Reader, Role::Restore];

/// The policies of a cluster: one for its members, one for the proxy, one for pods that work on volumes. What is not
/// named in them is closed. Probes of kubelet come from the host and need none, and neither does what galeractl sends
/// through the API server.
#[must_use]
pub fn policies(desired: &Desired) -> Vec<Object> {
    let Some(network) = &desired.network else { return Vec::new() };
    vec![
        Object::of(&members(desired)),
        Object::of(&proxy(desired, network)),
        Object::of(&policy(
            desired,
            desired.cluster.helpers_policy(),
            HELPERS,
            vec![allow(Some(vec![pods(desired, &[Role::Restore])]), tcp(&[SERVE_PORT]))],
            vec![reach(Some(vec![pods(desired, &[Role::Reader])]), tcp(&[SERVE_PORT]))],
        )),
    ]
}

fn members(desired: &Desired) -> NetworkPolicy {
    let group: Vec<u16> = GROUP_PORTS.into_iter().chain([HEALTH_PORT]).collect();
    let peers = || Some(vec![pods(desired, MEMBERS)]);
    policy(
        desired,
        desired.cluster.members_policy(),
        MEMBERS,
        vec![allow(peers(), tcp(&group)), allow(Some(vec![pods(desired, PROXIES)]), tcp(&[SQL_PORT, HEALTH_PORT]))],
        vec![names(), reach(peers(), tcp(&group))],
    )
}

fn proxy(desired: &Desired, network: &Network) -> NetworkPolicy {
    let own = NetworkPolicyPeer { pod_selector: Some(matching(BTreeMap::new())), ..NetworkPolicyPeer::default() };
    let clients = peers(&network.clients).map(|peers| [vec![own], peers].concat());
    let mut ingress = vec![allow(clients, tcp(&[SQL_PORT, READ_PORT]))];
    if !network.metrics.is_empty() {
        ingress.push(allow(peers(&network.metrics), tcp(&[STATS_PORT])));
    }
    policy(
        desired,
        desired.cluster.proxy(),
        PROXIES,
        ingress,
        vec![names(), reach(Some(vec![pods(desired, MEMBERS)]), tcp(&[SQL_PORT, HEALTH_PORT]))],
    )
}

fn policy(
    desired: &Desired,
    name: String,
    roles: &[Role],
    ingress: Vec<NetworkPolicyIngressRule>,
    egress: Vec<NetworkPolicyEgressRule>,
) -> NetworkPolicy {
    NetworkPolicy {
        metadata: meta(desired, name, Role::Cluster),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(of_roles(desired, roles)),
            policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
            ingress: Some(ingress),
            egress: Some(egress),
        }),
    }
}

fn of_roles(desired: &Desired, roles: &[Role]) -> LabelSelector {
    let labels = [(NAME_LABEL, APP), (INSTANCE_LABEL, desired.cluster.as_str())];
    LabelSelector {
        match_labels: Some(labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into()),
        match_expressions: Some(vec![LabelSelectorRequirement {
            key: COMPONENT_LABEL.to_owned(),
            operator: "In".to_owned(),
            values: Some(roles.iter().map(|role| role.label().to_owned()).collect()),
        }]),
    }
}

/// Pods of this cluster with one of these roles.
fn pods(desired: &Desired, roles: &[Role]) -> NetworkPolicyPeer {
    NetworkPolicyPeer { pod_selector: Some(of_roles(desired, roles)), ..NetworkPolicyPeer::default() }
}

/// `None` for everybody.
fn peers(named: &[Peer]) -> Option<Vec<NetworkPolicyPeer>> {
    let peer = |peer: &Peer| match peer {
        Peer::Anyone => None,
        Peer::Namespace(name) => {
            // Kubernetes gives each namespace this label itself, so nobody else can have it.
            let labels = [("kubernetes.io/metadata.name".to_owned(), name.clone())].into();
            Some(NetworkPolicyPeer { namespace_selector: Some(matching(labels)), ..NetworkPolicyPeer::default() })
        }
        Peer::Range(cidr) => Some(range(cidr)),
    };
    named.iter().map(peer).collect()
}

/// Everybody with an address in this range.
pub(super) fn range(cidr: &str) -> NetworkPolicyPeer {
    let block = IPBlock { cidr: cidr.to_owned(), except: None };
    NetworkPolicyPeer { ip_block: Some(block), ..NetworkPolicyPeer::default() }
}

pub(super) fn tcp(ports: &[u16]) -> Vec<NetworkPolicyPort> {
    ports.iter().map(|number| port(*number, "TCP")).collect()
}

fn port(number: u16, protocol: &str) -> NetworkPolicyPort {
    NetworkPolicyPort {
        port: Some(IntOrString::Int(i32::from(number))),
        protocol: Some(protocol.to_owned()),
        end_port: None,
    }
}

pub(super) fn allow(from: Option<Vec<NetworkPolicyPeer>>, ports: Vec<NetworkPolicyPort>) -> NetworkPolicyIngressRule {
    NetworkPolicyIngressRule { from, ports: Some(ports) }
}

fn reach(to: Option<Vec<NetworkPolicyPeer>>, ports: Vec<NetworkPolicyPort>) -> NetworkPolicyEgressRule {
    NetworkPolicyEgressRule { to, ports: Some(ports) }
}

/// Where name servers are differs from cluster to cluster; some are on each host.
fn names() -> NetworkPolicyEgressRule {
    let ports = ["UDP", "TCP"].into_iter().flat_map(|protocol| NAME_PORTS.map(|number| port(number, protocol)));
    reach(None, ports.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ingress(network: Option<Network>, role: Role) -> Vec<NetworkPolicyIngressRule> {
        let desired = Desired { network, ..crate::desired::tests::desired("c", 3) };
        let selects = |object: &Object| {
            let selector = &object.value["spec"]["podSelector"]["matchExpressions"][0]["values"];
            selector.as_array().unwrap().iter().any(|value| value == role.label())
        };
        let found = policies(&desired).into_iter().find(selects);
        found.map(|object| serde_json::from_value(object.value["spec"]["ingress"].clone()).unwrap()).unwrap_or_default()
    }

    #[test]
    fn every_pod_of_a_cluster_is_closed_by_one_policy() {
        for role in [MEMBERS, PROXIES, HELPERS].concat() {
            assert!(!ingress(Some(Network::default()), role).is_empty(), "{role:?}");
        }
        assert!(policies(&crate::desired::tests::desired("c", 3)).is_empty(), "nobody wants them");
    }

    #[test]
    fn clients_come_from_where_the_settings_say() {
        let of_clients = |clients: Vec<Peer>| {
            let rules = ingress(Some(Network { clients, metrics: Vec::new() }), Role::Proxy);
            assert_eq!(rules.len(), 1, "nobody may read the metrics");
            rules[0].from.clone()
        };
        assert_eq!(of_clients(Vec::new()).unwrap().len(), 1, "the own namespace");
        let two = of_clients(vec![Peer::Namespace("shop".to_owned()), Peer::Range("10.1.0.0/16".to_owned())]).unwrap();
        assert_eq!(two.len(), 3);
        assert_eq!(of_clients(vec![Peer::Range("10.1.0.0/16".to_owned()), Peer::Anyone]), None, "everybody");
        let metrics = vec![Peer::Namespace("monitoring".to_owned())];
        assert_eq!(ingress(Some(Network { clients: Vec::new(), metrics }), Role::Proxy).len(), 2);
    }
}
