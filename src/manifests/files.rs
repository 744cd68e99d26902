//! The manifests as files, named and ordered as in the seed's document, for whoever applies them by hand.

use std::collections::BTreeMap;

use super::access::{self, Exposure};
use super::config::{Record, config_map, credentials, spec_map};
use super::{Object, backup_volumes, claims, nodes, proxy, purge, seed, volumes};
use crate::desired::{Desired, ExternalAccess};
use crate::names::{MANAGER, Member};

/// One file of manifests.
#[derive(Debug, Clone)]
pub struct File {
    /// Its name.
    pub name: String,
    /// What it is and when to apply it, for a comment at its top.
    pub about: String,
    /// Its objects in the order in which they are applied.
    pub objects: Vec<Object>,
}

/// All files in the order of the steps; those that are not part of forming the cluster come last. With `passwords`,
/// the Secret is among them. `volumes_name` is the variant's word in the name of the second file.
#[must_use]
pub fn files(desired: &Desired, volumes_name: &str, passwords: Option<&BTreeMap<&str, String>>) -> Vec<File> {
    let count = desired.nodes;
    let with_backup = desired.backup.is_some();
    let file = |name: &str, about: String, objects| File { name: format!("galera-{count}-{name}.yml"), about, objects };
    let seed_pod = desired.cluster.pod(Member::Seed);
    let namespace = &desired.namespace;
    let secret = desired.cluster.credentials();
    let about_secret = match passwords {
        Some(_) => format!("The passwords are in it, as secret/{secret}."),
        None => format!("Before Step 2, secret/{secret} must exist: {}", secret_command(desired)),
    };
    let mut shared = vec![Object::of(&config_map(desired)), Object::of(&spec_map(desired, &Record::default()))];
    shared.extend(passwords.map(|passwords| Object::of(&credentials(desired, passwords))));
    let members: Vec<Member> = std::iter::once(Member::Seed).chain(desired.members()).collect();
    let exposure = |way| Object::of(&access::service(desired, &Exposure { way, ..Exposure::of(desired) }));
    vec![
        file(
            "namespace",
            "Step 0: the namespace, where it does not exist.".to_owned(),
            vec![Object::of(&super::volumes::namespace(desired))],
        ),
        file(
            volumes_name,
            format!("Step 1: volumes, scripts and settings. {about_secret}"),
            [shared, volumes(desired, true), claims(desired, true), backup_volumes(desired)].concat(),
        ),
        file(
            "seed",
            format!(
                "Step 2: the seed. Wait for it: kubectl wait -n {namespace} --for=condition=Ready --timeout=10m pod/{seed_pod}"
            ),
            seed(desired),
        ),
        file(
            if with_backup { "nodes-backup" } else { "nodes" },
            format!(
                "Step 3: the nodes join by themselves. Wait for all: kubectl wait -n {namespace} --for=condition=Ready \
                 --timeout=30m pod -l app.kubernetes.io/instance={},app.kubernetes.io/component=node",
                desired.cluster
            ),
            nodes(desired),
        ),
        file(
            "haproxy",
            format!("Step 4: the proxy. After it, Step 5: kubectl delete -f galera-{count}-seed.yml"),
            proxy(desired),
        ),
        File {
            name: "galera-external-lb.yml".to_owned(),
            about: "Access from outside by a load balancer, open to everybody who reaches it; delete it to close."
                .to_owned(),
            objects: vec![exposure(ExternalAccess::LoadBalancer)],
        },
        File {
            name: "galera-external-access.yml".to_owned(),
            about: "Access from outside by a port on every host, open to everybody who reaches it; delete it to close."
                .to_owned(),
            objects: vec![exposure(ExternalAccess::NodePort)],
        },
        file(
            "purge-volumes-jobs",
            "Deletes ALL DATA on the volumes of the seed and the nodes, at once and without a question. The cluster \
             must be down. `galeractl purge` looks before, asks, and checks afterwards."
                .to_owned(),
            members.iter().map(|member| Object::of(&purge::job(desired, *member))).collect(),
        ),
    ]
}

fn secret_command(desired: &Desired) -> String {
    let user = desired.user.as_ref().map(|_| " --from-literal=user-password=…").unwrap_or_default();
    format!(
        "kubectl create secret generic -n {} {} --from-literal=root-password=… --from-literal=galeractl-password=…{user} \
         && kubectl label secret -n {} {} app.kubernetes.io/managed-by={MANAGER} \
         app.kubernetes.io/instance={}",
        desired.namespace,
        desired.cluster.credentials(),
        desired.namespace,
        desired.cluster.credentials(),
        desired.cluster
    )
}
