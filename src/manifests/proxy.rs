//! HAProxy in front of the nodes.

use std::fmt::Write as _;

use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment};
use k8s_openapi::api::core::v1::{ConfigMap, Container, PodSpec, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::labels::{CONFIG_ANNOTATION, labels, matching, meta, selector};
use super::member::HEALTH_PORT;
use super::pod::{
    HAPROXY_UID, apart, base, config_files, confined, domain, dress, env_field, http_probe, mount, port, requirements,
    scratch,
};
use super::services::{READ_PORT, SQL_PORT};
use crate::desired::{Desired, ProxyMode, unquoted};
use crate::names::{Role, fingerprint};

/// Port of statistics, metrics and the proxy's own health.
pub const STATS_PORT: u16 = 8404;

const HEAD: &str = r"global
  log stdout format raw local0
  stats socket /run/haproxy/admin.sock mode 600 level admin
  maxconn {all}
  hard-stop-after 5s
resolvers kubernetes
  parse-resolv-conf
  accepted_payload_size 8192
  resolve_retries 3
  timeout resolve 1s
  timeout retry 1s
  hold valid 2s
  hold nx 5s
  hold obsolete 5s
  hold timeout 30s
  hold refused 30s
defaults
  mode tcp
  log global
  option tcplog
  option dontlognull
  option dontlog-normal
  option redispatch
  option clitcpka
  option srvtcpka
  retries 3
  timeout connect 3s
  timeout check 3s
  timeout client 8h
  timeout server 8h
  default-server inter 1s fastinter 300ms downinter 1s fall 2 rise 2 on-marked-down shutdown-sessions resolvers kubernetes init-addr last,libc,none
";

/// A node that is about to end answers 404: it gets no new clients, and those that it has may end what they have begun.
/// Both ports have to say so, since one follows the other.
const CHECK: &str = "  option httpchk GET /ready\n  http-check disable-on-404\n";

/// How many clients a server takes: what its settings say, or what it does without them.
fn server_connections(desired: &Desired) -> u64 {
    const DEFAULT: u64 = 151;
    desired.mysqld.get("max_connections").and_then(|text| unquoted(text).parse().ok()).unwrap_or(DEFAULT)
}

/// The proxy's configuration. Ports, check and timeouts follow the rule that a node which is not part of the
/// Primary component must be out within seconds, and that an idle application connection is nobody's business.
#[must_use]
pub fn configuration(desired: &Desired) -> String {
    let server = server_connections(desired);
    // A client too many gets the server's own answer, error 1040, and at once. The proxy would let it wait, say nothing
    // and hang up. Both doors may be full at once, and who comes then has to get as far as that.
    let all = 4096.max(4 * server);
    let mut text = HEAD.replace("{all}", &all.to_string());
    let _ =
        write!(text, "listen write\n  bind \"${{GALERA_BIND}}:{SQL_PORT}\"\n{CHECK}  http-check expect status 200\n");
    if desired.proxy_mode == ProxyMode::MultiWriter {
        text.push_str("  balance leastconn\n");
    }
    for (index, member) in desired.members().enumerate() {
        let backup = if index > 0 && desired.proxy_mode == ProxyMode::SingleWriter { " backup" } else { "" };
        let host = desired.cluster.member(member);
        let _ = writeln!(text, "  server {member} \"{host}.${{GALERA_DOMAIN}}:3306\" check port {HEALTH_PORT}{backup}");
    }
    let _ = write!(text, "listen read\n  bind \"${{GALERA_BIND}}:{READ_PORT}\"\n{CHECK}  balance leastconn\n");
    for member in desired.members() {
        let host = desired.cluster.member(member);
        // One check for both ports: the answer is the same, and each check costs the node a process.
        let _ = writeln!(text, "  server {member} \"{host}.${{GALERA_DOMAIN}}:3306\" track write/{member}");
    }
    let _ = write!(
        text,
        "frontend stats\n  bind \"${{GALERA_BIND}}:{STATS_PORT}\"\n  mode http\n  \
         http-request use-service prometheus-exporter if {{ path /metrics }}\n  \
         http-request return status 503 if {{ path /readyz }} {{ nbsrv(write) lt 1 }}\n  \
         http-request return status 200 if {{ path /readyz }}\n  \
         http-request return status 200 if {{ path /healthz }}\n  \
         stats enable\n  stats show-legends\n  stats uri /\n"
    );
    text
}

/// The proxy's container.
pub const CONTAINER: &str = "haproxy";
/// Starts the proxy.
const START: &str = include_str!("scripts/haproxy.sh");

/// Differs where the configuration or the start script differs.
#[must_use]
pub fn config_sum(desired: &Desired) -> String {
    fingerprint(&(configuration(desired) + START))
}

/// ConfigMap with the configuration and the start script.
#[must_use]
pub fn config_map(desired: &Desired) -> ConfigMap {
    let data = [("haproxy.cfg".to_owned(), configuration(desired)), ("haproxy.sh".to_owned(), START.to_owned())];
    ConfigMap {
        metadata: meta(desired, desired.cluster.proxy(), Role::Proxy),
        data: Some(data.into()),
        ..ConfigMap::default()
    }
}

/// The proxy's pods.
#[must_use]
pub fn deployment(desired: &Desired) -> Deployment {
    Deployment {
        metadata: meta(desired, desired.cluster.proxy(), Role::Proxy),
        spec: Some(DeploymentSpec {
            replicas: i32::try_from(desired.proxy_replicas).ok(),
            selector: matching(selector(desired, Role::Proxy)),
            strategy: Some(DeploymentStrategy {
                type_: Some("RollingUpdate".to_owned()),
                rolling_update: Some(RollingUpdateDeployment {
                    max_unavailable: Some(IntOrString::Int(0)),
                    max_surge: Some(IntOrString::Int(1)),
                }),
            }),
            template: PodTemplateSpec { metadata: Some(pod_metadata(desired)), spec: Some(pod(desired)) },
            ..DeploymentSpec::default()
        }),
        ..Deployment::default()
    }
}

fn pod_metadata(desired: &Desired) -> ObjectMeta {
    let mut metadata = ObjectMeta {
        labels: Some(labels(desired, Role::Proxy)),
        annotations: Some([(CONFIG_ANNOTATION.to_owned(), config_sum(desired))].into()),
        ..ObjectMeta::default()
    };
    dress(desired, &mut metadata);
    metadata
}

fn pod(desired: &Desired) -> PodSpec {
    PodSpec {
        termination_grace_period_seconds: Some(15),
        affinity: Some(apart(desired, &[Role::Proxy])),
        volumes: Some(vec![config_files("config", desired.cluster.proxy(), 0o555, &[]), scratch("run")]),
        containers: vec![Container {
            name: CONTAINER.to_owned(),
            image: Some(desired.haproxy_image.clone()),
            image_pull_policy: Some(desired.image_pull_policy.clone()),
            command: Some(vec!["/bin/sh".to_owned(), "/galeractl/haproxy.sh".to_owned()]),
            env: Some(domain(desired).into_iter().chain([env_field("POD_IP", "status.podIP")]).collect()),
            ports: Some(vec![
                port("mysql", i32::from(SQL_PORT)),
                port("mysql-read", i32::from(READ_PORT)),
                port("stats", i32::from(STATS_PORT)),
            ]),
            volume_mounts: Some(vec![mount("config", "/galeractl", true), mount("run", "/run/haproxy", false)]),
            resources: requirements(&desired.proxy_resources),
            security_context: Some(confined()),
            readiness_probe: Some(http_probe("/readyz", i32::from(STATS_PORT), 1, 1, 2)),
            liveness_probe: Some(http_probe("/healthz", i32::from(STATS_PORT), 10, 3, 3)),
            ..Container::default()
        }],
        ..base(desired, HAPROXY_UID)
    }
}
