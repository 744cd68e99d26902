//! Manifests: pure functions from the desired state to Kubernetes objects.

pub mod access;
pub mod backup;
pub mod config;
pub mod files;
pub mod image;
pub mod labels;
pub mod member;
pub mod object;
pub mod pod;
pub mod policy;
pub mod proxy;
pub mod purge;
pub mod restore;
pub mod scripts;
pub mod seal;
pub mod services;
pub mod tls;
pub mod volumes;

pub use object::Object;

use crate::desired::{BackupTarget, Desired};
use crate::names::{Member, Role};

/// Step 1: a claim for the seed and one for every node.
#[must_use]
pub fn claims(desired: &Desired, with_seed: bool) -> Vec<Object> {
    let seed = with_seed.then_some(Member::Seed);
    seed.into_iter().chain(desired.members()).map(|member| Object::of(&volumes::claim(desired, member))).collect()
}

/// Step 1: volumes that no storage class makes: those on iSCSI targets.
#[must_use]
pub fn volumes(desired: &Desired, with_seed: bool) -> Vec<Object> {
    let wanted = desired.iscsi.iter().filter(|(member, _)| match member {
        Member::Seed => with_seed,
        Member::Node(index) => *index <= desired.nodes,
    });
    wanted.map(|(member, target)| Object::of(&volumes::iscsi_volume(desired, *member, target))).collect()
}

/// Step 1: the claim of the backups, and the volume for it where no storage class makes one.
#[must_use]
pub fn backup_volumes(desired: &Desired) -> Vec<Object> {
    let Some(backup) = &desired.backup else { return Vec::new() };
    let share = match &backup.target {
        BackupTarget::Nfs(share) => Some(share),
        BackupTarget::Class(_) => None,
    };
    let volume = share.map(|share| Object::of(&volumes::backup_volume(desired, backup, share)));
    volume.into_iter().chain([Object::of(&volumes::backup_claim(desired, backup))]).collect()
}

/// Who may talk to whom; scripts, server options and settings, which all members share.
#[must_use]
pub fn shared(desired: &Desired) -> Vec<Object> {
    let mut objects = policy::policies(desired);
    objects.extend([Object::of(&config::config_map(desired)), Object::of(&config::spec_map(desired))]);
    objects
}

/// Step 2: the seed and its address.
#[must_use]
pub fn seed(desired: &Desired) -> Vec<Object> {
    vec![Object::of(&services::member(desired, Member::Seed)), Object::of(&member::seed(desired))]
}

/// Step 3: every node's address and StatefulSet, and the budget that protects them.
#[must_use]
pub fn nodes(desired: &Desired) -> Vec<Object> {
    let mut objects: Vec<Object> = desired.members().map(|node| Object::of(&services::member(desired, node))).collect();
    objects.extend(desired.members().map(|node| Object::of(&member::node(desired, node))));
    objects.push(Object::of(&volumes::budget(desired, desired.cluster.nodes_budget(), Role::Node)));
    objects
}

/// Step 4: the proxy.
#[must_use]
pub fn proxy(desired: &Desired) -> Vec<Object> {
    vec![
        Object::of(&proxy::config_map(desired)),
        Object::of(&services::proxy(desired)),
        Object::of(&proxy::deployment(desired)),
        Object::of(&volumes::budget(desired, desired.cluster.proxy(), Role::Proxy)),
    ]
}
