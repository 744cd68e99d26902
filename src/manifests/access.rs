//! The way in from outside of Kubernetes: a Service before the proxy, and a policy where a Service cannot filter.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::api::networking::v1::{NetworkPolicy, NetworkPolicyPeer, NetworkPolicySpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::Object;
use super::labels::{matching, meta, selector};
use super::policy::{allow, range, tcp};
use super::services::{READ_PORT, SQL_PORT};
use crate::desired::{Desired, ExternalAccess};
use crate::names::Role;

/// Annotation with the moment at which an exposure is over, as RFC 3339.
pub const UNTIL_ANNOTATION: &str = "galeractl.dev/exposed-until";
/// Annotation with the address ranges that may come in, separated by commas.
pub const ALLOW_ANNOTATION: &str = "galeractl.dev/allowed-from";

/// One way into the cluster from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposure {
    /// Kind of Service.
    pub way: ExternalAccess,
    /// Port on every host; `None` lets Kubernetes choose.
    pub node_port: Option<u16>,
    /// Address ranges that may come in; empty for everybody.
    pub allow: Vec<String>,
    /// When it is over, as RFC 3339; `None` for never.
    pub until: Option<String>,
    /// Further annotations, for the load balancer of a cloud.
    pub annotations: BTreeMap<String, String>,
}

impl Exposure {
    /// What the settings say, open to everybody and for good.
    #[must_use]
    pub fn of(desired: &Desired) -> Self {
        Self {
            way: desired.external_access,
            node_port: desired.node_port,
            allow: Vec::new(),
            until: None,
            annotations: desired.service_annotations.clone(),
        }
    }
}

/// Name of the Service of this kind.
#[must_use]
pub fn name(desired: &Desired, way: ExternalAccess) -> String {
    match way {
        ExternalAccess::LoadBalancer => desired.cluster.external_load_balancer(),
        ExternalAccess::NodePort => desired.cluster.external_node_port(),
    }
}

/// The Service. Clients' addresses are kept where ranges are to be told apart, which then needs a proxy on the host
/// that a client reaches.
#[must_use]
pub fn service(desired: &Desired, exposure: &Exposure) -> Service {
    let mut metadata = meta(desired, name(desired, exposure.way), Role::Access);
    let mut annotations = exposure.annotations.clone();
    annotations.extend(exposure.until.iter().map(|until| (UNTIL_ANNOTATION.to_owned(), until.clone())));
    if !exposure.allow.is_empty() {
        annotations.insert(ALLOW_ANNOTATION.to_owned(), exposure.allow.join(","));
    }
    metadata.annotations = (!annotations.is_empty()).then_some(annotations);
    let balanced = exposure.way == ExternalAccess::LoadBalancer;
    Service {
        metadata,
        spec: Some(ServiceSpec {
            type_: Some(if balanced { "LoadBalancer" } else { "NodePort" }.to_owned()),
            selector: Some(selector(desired, Role::Proxy)),
            external_traffic_policy: (!exposure.allow.is_empty()).then(|| "Local".to_owned()),
            load_balancer_source_ranges: (balanced && !exposure.allow.is_empty()).then(|| exposure.allow.clone()),
            ports: Some(vec![ServicePort {
                name: Some("mysql".to_owned()),
                port: i32::from(SQL_PORT),
                target_port: Some(IntOrString::Int(i32::from(SQL_PORT))),
                node_port: exposure.node_port.map(i32::from),
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

/// What lets clients in. The guard is there before the door.
#[must_use]
pub fn objects(desired: &Desired, exposure: &Exposure) -> Vec<Object> {
    let guard = policy(desired, exposure).as_ref().map(Object::of);
    guard.into_iter().chain([Object::of(&service(desired, exposure))]).collect()
}

/// Lets in who may come from outside. Without policies for the whole cluster, one is needed only for a `NodePort` with
/// ranges, as that has no filter of its own: it then keeps pods of this Kubernetes and kubelet's probes as they are.
/// Whether it holds depends on the network plugin.
#[must_use]
pub fn policy(desired: &Desired, exposure: &Exposure) -> Option<NetworkPolicy> {
    let ranges = || exposure.allow.iter().map(|cidr| range(cidr));
    let ingress = if desired.network.is_some() {
        let from = (!exposure.allow.is_empty()).then(|| ranges().collect());
        vec![allow(from, tcp(&[SQL_PORT]))]
    } else if exposure.way == ExternalAccess::NodePort && !exposure.allow.is_empty() {
        let everywhere = Some(matching(BTreeMap::new()));
        let inside = NetworkPolicyPeer { namespace_selector: everywhere, ..NetworkPolicyPeer::default() };
        let from = std::iter::once(inside).chain(ranges()).collect();
        vec![allow(Some(from), tcp(&[SQL_PORT, READ_PORT])), allow(None, tcp(&[super::proxy::STATS_PORT]))]
    } else {
        return None;
    };
    Some(NetworkPolicy {
        metadata: meta(desired, name(desired, exposure.way), Role::Access),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(matching(selector(desired, Role::Proxy))),
            policy_types: Some(vec!["Ingress".to_owned()]),
            ingress: Some(ingress),
            ..NetworkPolicySpec::default()
        }),
    })
}
