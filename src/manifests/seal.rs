//! Keys of the backups, as Secrets. What decrypts them is in one that no pod mounts: whoever has a node, or the backup
//! volume, cannot read them.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{EmptyDirVolumeSource, Secret, Volume, VolumeMount};

use super::labels::meta;
use super::pod::{mount, secret_files};
use crate::desired::Desired;
use crate::names::Role;

/// Decrypts, in PEM.
pub const DECRYPT: &str = "decrypt.key";
/// Encrypts, in PEM.
pub const ENCRYPT: &str = "encrypt.pub";
/// Signs, in PEM.
pub const SIGN: &str = "sign.key";
/// Verifies what was signed, in PEM.
pub const VERIFY: &str = "verify.pub";
/// By what these keys are told from others.
pub const ID: &str = "id";

/// All keys, by their names.
pub type Keys = BTreeMap<String, String>;

const VOLUME: &str = "keys";
/// Where scripts find those that they are to have.
pub const PLACE: &str = "/galeractl/keys";

fn secret(desired: &Desired, name: String, keys: &Keys, which: &[&str]) -> Secret {
    let data = keys.iter().filter(|(key, _)| which.contains(&key.as_str()));
    Secret {
        metadata: meta(desired, name, Role::Backup),
        type_: Some("Opaque".to_owned()),
        data: Some(data.map(|(key, text)| (key.clone(), ByteString(text.as_bytes().to_vec()))).collect()),
        ..Secret::default()
    }
}

/// Secret with all keys, for whoever brings backups back.
#[must_use]
pub fn all(desired: &Desired, keys: &Keys) -> Secret {
    secret(desired, desired.cluster.backup_key(), keys, &[DECRYPT, ENCRYPT, SIGN, VERIFY, ID])
}

/// Secret with what the agent needs.
#[must_use]
pub fn agent(desired: &Desired, keys: &Keys) -> Secret {
    secret(desired, desired.cluster.backup_signer(), keys, &[ENCRYPT, SIGN, VERIFY, ID])
}

/// Whether backups are encrypted and signed.
#[must_use]
pub fn is_wanted(desired: &Desired) -> bool {
    desired.backup.as_ref().is_some_and(|backup| backup.encrypted)
}

/// The names of both Secrets; none where backups are not encrypted. They stay as long as the backups do.
#[must_use]
pub fn secrets(desired: &Desired) -> Vec<String> {
    let cluster = &desired.cluster;
    if is_wanted(desired) { vec![cluster.backup_key(), cluster.backup_signer()] } else { Vec::new() }
}

/// The agent's keys as files.
pub(super) fn agent_volume(desired: &Desired) -> Option<Volume> {
    is_wanted(desired).then(|| secret_files(VOLUME, desired.cluster.backup_signer()))
}

/// Where these files appear.
pub(super) fn agent_mount(desired: &Desired) -> Option<VolumeMount> {
    is_wanted(desired).then(|| mount(VOLUME, PLACE, true))
}

/// Memory of a pod that brings a backup back: a key that it is given touches no disk.
pub(super) fn memory() -> (Volume, VolumeMount) {
    let source = EmptyDirVolumeSource { medium: Some("Memory".to_owned()), ..EmptyDirVolumeSource::default() };
    (Volume { name: VOLUME.to_owned(), empty_dir: Some(source), ..Volume::default() }, mount(VOLUME, PLACE, false))
}
