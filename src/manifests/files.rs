//! The manifests as files, named and ordered as in the seed's document, for whoever applies them by hand.

use super::access::{self, Exposure};
use super::{Object, backup_volumes, claims, nodes, proxy, purge, seed, shared, volumes};
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

/// Files beside those that form a cluster. They open doors or empty volumes, so nobody gets them unasked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Include {
    /// Access from outside.
    Access,
    /// Jobs that empty volumes.
    Purge,
}

/// The files that form a cluster in the order of the steps, and after them what is included. With `secrets`, these
/// are among them. `volumes_name` is the variant's word in the name of the second file. What is recorded about a
/// cluster is in none of them.
#[must_use]
pub fn files(desired: &Desired, volumes_name: &str, secrets: Option<&[Object]>, include: &[Include]) -> Vec<File> {
    let mut files = forming(desired, volumes_name, secrets);
    if include.contains(&Include::Access) {
        files.extend(doors(desired));
    }
    if include.contains(&Include::Purge) {
        files.push(purge_jobs(desired));
    }
    files
}

fn forming(desired: &Desired, volumes_name: &str, secrets: Option<&[Object]>) -> Vec<File> {
    let count = desired.nodes;
    let with_backup = desired.backup.is_some();
    let file = |name: &str, about: String, objects| File { name: format!("galera-{count}-{name}.yml"), about, objects };
    let seed_pod = desired.cluster.pod(Member::Seed);
    let namespace = &desired.namespace;
    let secret = desired.cluster.credentials();
    let certificates = desired.tls.is_some();
    let about_secret = match secrets {
        Some(_) if certificates => format!("The passwords are in it, as secret/{secret}, and the certificates."),
        Some(_) if super::seal::is_wanted(desired) => {
            format!("The passwords are in it, as secret/{secret}, and the keys of the backups.")
        }
        Some(_) => format!("The passwords are in it, as secret/{secret}."),
        None if certificates => format!(
            "Before Step 2, the Secrets with passwords and certificates must exist: galeractl render --show-secrets has \
             secret/{secret}, secret/{} and one for each member in this file",
            desired.cluster.authority()
        ),
        None if super::seal::is_wanted(desired) => format!(
            "Before Step 2, the Secrets with passwords and with the keys of the backups must exist: galeractl render \
             --show-secrets has secret/{secret}, secret/{} and secret/{} in this file",
            desired.cluster.backup_key(),
            desired.cluster.backup_signer()
        ),
        None => format!("Before Step 2, secret/{secret} must exist: {}", secret_command(desired)),
    };
    let mut shared = shared(desired);
    shared.extend(secrets.into_iter().flatten().cloned());
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
                "Step 2: the seed. It begins a new cluster when all nodes of Step 3 have said that their volumes are \
                 empty, so go on with Step 3 at once. What it waits for: kubectl logs -n {namespace} {seed_pod}"
            ),
            seed(desired),
        ),
        file(
            if with_backup { "nodes-backup" } else { "nodes" },
            format!(
                "Step 3: the nodes say what their volumes hold, and join by themselves. Wait for all: kubectl wait -n {namespace} --for=condition=Ready \
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
    ]
}

fn doors(desired: &Desired) -> [File; 2] {
    let door = |name: &str, what: &str, way| File {
        name: name.to_owned(),
        about: format!("Access from outside by {what}, open to everybody who reaches it; delete it to close."),
        objects: access::objects(desired, &Exposure { way, ..Exposure::of(desired) }),
    };
    [
        door("galera-external-lb.yml", "a load balancer", ExternalAccess::LoadBalancer),
        door("galera-external-access.yml", "a port on every host", ExternalAccess::NodePort),
    ]
}

fn purge_jobs(desired: &Desired) -> File {
    let members = std::iter::once(Member::Seed).chain(desired.members());
    File {
        name: format!("galera-{}-purge-volumes-jobs.yml", desired.nodes),
        about:
            "Deletes ALL DATA on a volume of a cluster that is down, if EXPECT in its Job says what the volume holds; \
                as they are, the Jobs change nothing, and their log says what they found. `galeractl purge` looks \
                before, asks, and checks afterwards."
                .to_owned(),
        objects: members.map(|member| Object::of(&purge::job(desired, member, ""))).collect(),
    }
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
