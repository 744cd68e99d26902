//! Addresses: a headless Service per member, and the proxy's Service.

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::labels::{member_meta, member_selector, meta, selector};
use crate::desired::Desired;
use crate::names::{Member, Role};

/// The proxy's port for reading and writing.
pub const SQL_PORT: u16 = 3306;
/// Port of the group, where each server talks to all others.
pub const GROUP_PORT: u16 = 4567;
/// The proxy's port that spreads reads over all nodes.
pub const READ_PORT: u16 = 3307;
/// Where a server that has no connection left for clients still lets galeractl in. No Service and no proxy leads there.
pub const RESERVED_PORT: u16 = 3308;

fn service_port(name: &str, number: u16) -> ServicePort {
    ServicePort {
        name: Some(name.to_owned()),
        port: i32::from(number),
        target_port: Some(IntOrString::Int(i32::from(number))),
        ..ServicePort::default()
    }
}

/// The name under which peers find a member, whether it is ready or not: a joiner is never ready.
#[must_use]
pub fn member(desired: &Desired, member: Member) -> Service {
    Service {
        metadata: member_meta(desired, desired.cluster.member(member), member),
        spec: Some(ServiceSpec {
            cluster_ip: Some("None".to_owned()),
            publish_not_ready_addresses: Some(true),
            selector: Some(member_selector(desired, member)),
            ports: Some(vec![service_port("mysql", SQL_PORT), service_port("galera", GROUP_PORT)]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

/// The address that applications use.
#[must_use]
pub fn proxy(desired: &Desired) -> Service {
    Service {
        metadata: meta(desired, desired.cluster.proxy(), Role::Proxy),
        spec: Some(ServiceSpec {
            type_: Some("ClusterIP".to_owned()),
            selector: Some(selector(desired, Role::Proxy)),
            ports: Some(vec![service_port("mysql", SQL_PORT), service_port("mysql-read", READ_PORT)]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}
