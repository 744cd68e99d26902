//! Pods that tell what an image is before anything of the cluster runs with it.

use k8s_openapi::api::core::v1::{Container, EnvVar, Pod, PodSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::config::server_options;
use super::labels::meta;
use super::pod::{HAPROXY_UID, MARIADB_UID, base, confined, dress, env, mount, requirements, scratch};
use super::scripts;
use crate::desired::Desired;
use crate::names::{Member, Role};

/// Container of these pods.
pub const CONTAINER: &str = "image";

/// A pod that has the wanted image fetched where a node will need it, has its server judge the wanted options, and ends.
/// `plugins` are the libraries that the servers have loaded.
#[must_use]
pub fn of_servers(desired: &Desired, member: Member, host: Option<&str>, plugins: &[String]) -> Pod {
    // Files with keys are not here, and are of no version.
    let options = server_options(&Desired { tls: None, ..desired.clone() });
    let env =
        vec![env("GALERA_MEMBER", member.to_string()), env("OPTIONS", options), env("PLUGINS", plugins.join(" "))];
    let command = scripts::bash(scripts::IMAGE);
    let container = container(desired, &desired.mariadb_image, command, env);
    pod(desired, desired.cluster.image_inspector(member), container, MARIADB_UID, host)
}

/// The same for the image of the proxy, wherever there is room.
#[must_use]
pub fn of_proxy(desired: &Desired) -> Pod {
    let command = ["/bin/sh", "-c", scripts::IMAGE_PROXY];
    let container = container(desired, &desired.haproxy_image, command, Vec::new());
    pod(desired, desired.cluster.proxy_image_inspector(), container, HAPROXY_UID, None)
}

fn container(desired: &Desired, image: &str, command: [&str; 3], env: Vec<EnvVar>) -> Container {
    Container {
        name: CONTAINER.to_owned(),
        image: Some(image.to_owned()),
        image_pull_policy: Some(desired.image_pull_policy.clone()),
        command: Some(command.map(str::to_owned).into()),
        env: Some(env),
        volume_mounts: Some(vec![mount("tmp", "/tmp", false)]),
        resources: requirements(&desired.helper_resources),
        security_context: Some(confined()),
        ..Container::default()
    }
}

fn pod(desired: &Desired, name: String, container: Container, uid: i64, host: Option<&str>) -> Pod {
    let mut metadata: ObjectMeta = meta(desired, name, Role::Inspector);
    dress(desired, &mut metadata);
    let spec = PodSpec {
        restart_policy: Some("Never".to_owned()),
        termination_grace_period_seconds: Some(1),
        node_name: host.map(str::to_owned),
        volumes: Some(vec![scratch("tmp")]),
        containers: vec![container],
        ..base(desired, uid)
    };
    Pod { metadata, spec: Some(spec), ..Pod::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::Tls;

    #[test]
    fn they_have_the_wanted_images_and_nothing_of_the_cluster() {
        let desired = Desired {
            mariadb_image: "mariadb:12.3".to_owned(),
            haproxy_image: "haproxy:3.2".to_owned(),
            image_pull_secrets: vec!["login".to_owned()],
            tls: Some(Tls::default()),
            ..crate::desired::tests::desired("c", 3)
        };
        let plugins = ["a.so".to_owned(), "b.so".to_owned()];
        let server = of_servers(&desired, Member::Node(2), Some("host2"), &plugins);
        for (pod, name, image, host) in [
            (server.clone(), "c-galera-inspect-image-node2", "mariadb:12.3", Some("host2")),
            (of_proxy(&desired), "c-galera-inspect-image-haproxy", "haproxy:3.2", None),
        ] {
            assert_eq!(pod.metadata.name.as_deref(), Some(name));
            let spec = pod.spec.unwrap();
            assert_eq!((spec.node_name.as_deref(), spec.restart_policy.as_deref()), (host, Some("Never")));
            assert_eq!(spec.image_pull_secrets.unwrap()[0].name, "login");
            assert!(spec.volumes.unwrap().iter().all(|volume| volume.empty_dir.is_some()), "no data, no keys");
            assert_eq!(spec.containers[0].image.as_deref(), Some(image));
        }
        let env = server.spec.unwrap().containers.remove(0).env.unwrap();
        let value = |name: &str| env.iter().find(|env| env.name == name).and_then(|env| env.value.clone()).unwrap();
        assert_eq!(value("PLUGINS"), "a.so b.so");
        assert!(value("OPTIONS").starts_with("[mysqld]") && !value("OPTIONS").contains("ssl_key"));
    }
}
