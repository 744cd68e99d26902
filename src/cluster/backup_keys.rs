//! The keys of a cluster's backups: those that are there are kept, and where there are none they are made.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::ResourceExt;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use serde_json::json;

use crate::backups::{KeyFile, Signer, Source, Trust};
use crate::checks::KeyState;
use crate::desired::Desired;
use crate::engine::StepCx;
use crate::engine::event::Level;
use crate::error::{Failure, Kind, OrFail, Result};
use crate::kube::apply::{Applier, is_ours};
use crate::kube::objects::Objects;
use crate::manifests::Object;
use crate::manifests::seal::{self, DECRYPT, ENCRYPT, ID, Keys, SIGN, VERIFY};
use crate::names::EXPORTED_ANNOTATION;

use super::certificates::value;
use super::world::World;

/// Field manager of what is recorded about an exported key.
const RECORDER: &str = "galeractl-record";

/// What the user says about whose backups are believed.
#[derive(Debug, Clone, Default)]
pub struct Word {
    /// The key that they were made with, in place of the cluster's own.
    pub file: Option<KeyFile>,
    /// Believe those as well that nobody has signed.
    pub unsigned: bool,
}

/// A whole set: one pair that decrypts, and one that signs.
///
/// # Errors
/// What the library says.
pub fn fresh() -> Result<Keys> {
    let pair = || {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256);
        pair.map_err(|error| Failure::message(Kind::Step, format!("no key for the backups can be made: {error}")))
    };
    let (decrypts, signs) = (pair()?, pair()?);
    let verify = signs.public_key_pem();
    let id = Signer::from_pem(&verify).map_err(|why| Failure::message(Kind::Bug, why))?.id().to_owned();
    let keys = [
        (DECRYPT, decrypts.serialize_pem()),
        (ENCRYPT, decrypts.public_key_pem()),
        (SIGN, signs.serialize_pem()),
        (VERIFY, verify),
        (ID, id),
    ];
    Ok(keys.map(|(name, text)| (name.to_owned(), text)).into())
}

/// Both Secrets of a set, for whoever applies manifests by hand; none where backups are not encrypted.
///
/// # Errors
/// As [`fresh`].
pub fn fresh_secrets(desired: &Desired) -> Result<Vec<Object>> {
    if !seal::is_wanted(desired) {
        return Ok(Vec::new());
    }
    let keys = fresh()?;
    Ok(vec![Object::of(&seal::all(desired, &keys)), Object::of(&seal::agent(desired, &keys))])
}

/// Both Secrets without what is in them, for questions about them; none where backups are not encrypted.
#[must_use]
pub fn blank(desired: &Desired) -> Vec<Object> {
    if !seal::is_wanted(desired) {
        return Vec::new();
    }
    let none = Keys::new();
    vec![Object::of(&seal::all(desired, &none)), Object::of(&seal::agent(desired, &none))]
}

/// What a Secret of keys holds, and whether it carries this cluster's labels.
struct Kept {
    keys: Keys,
    ours: bool,
}

async fn look(applier: &Applier, desired: &Desired) -> Result<(Option<Kept>, Option<Kept>)> {
    let mut found = Vec::new();
    for live in applier.read_all(&blank(desired)).await? {
        let Some(live) = live else {
            found.push(None);
            continue;
        };
        let ours = is_ours(&live, &desired.cluster);
        let secret: Secret = live.try_parse().or_fail(Kind::Preflight)?;
        found.push(Some(Kept { keys: keys_of(&secret), ours }));
    }
    let agent = found.pop().flatten();
    Ok((found.pop().flatten(), agent))
}

fn keys_of(secret: &Secret) -> Keys {
    let names = [DECRYPT, ENCRYPT, SIGN, VERIFY, ID];
    names.iter().filter_map(|name| Some(((*name).to_owned(), value(secret.data.as_ref(), name)?))).collect()
}

/// What the agent has to have, of these two Secrets; `None` where new keys are to be made. The one with all keys may be kept
/// elsewhere: nothing of what is taken needs it.
fn fit(desired: &Desired, all: Option<&Keys>, agent: Option<&Keys>) -> Result<Option<Keys>> {
    let (whole, signer) = (desired.cluster.backup_key(), desired.cluster.backup_signer());
    let complete = |name: &str, keys: &Keys, needed: &[&str]| {
        for key in needed {
            if !keys.contains_key(*key) {
                return Err(Failure::message(Kind::Preflight, format!("secret/{name} has no `{key}`"))
                    .hint("restore it: backups that were made with other keys need these"));
            }
        }
        Ok(())
    };
    if let Some(agent) = agent {
        complete(&signer, agent, &[ENCRYPT, SIGN, VERIFY, ID])?;
    }
    let Some(all) = all else { return Ok(agent.cloned()) };
    complete(&whole, all, &[DECRYPT, ENCRYPT, SIGN, VERIFY, ID])?;
    if let Some(agent) = agent
        && [ENCRYPT, SIGN, VERIFY, ID].iter().any(|key| agent.get(*key) != all.get(*key))
    {
        return Err(Failure::message(Kind::Preflight, format!("secret/{signer} has other keys than secret/{whole}"))
            .hint(format!(
                "restore the one that is wrong; or delete secret/{signer}, and it is made again from the other"
            )));
    }
    Ok(Some(all.clone()))
}

/// Looks at the keys without changing anything.
///
/// # Errors
/// A Secret is somebody else's, is not complete, or does not fit to the other.
pub async fn judge(applier: &Applier, desired: &Desired) -> Result<()> {
    let (all, agent) = look(applier, desired).await?;
    fit(desired, all.as_ref().map(|kept| &kept.keys), agent.as_ref().map(|kept| &kept.keys)).map(drop)
}

/// Makes the keys where there are none, and gives the agent those that it needs.
///
/// # Errors
/// As [`judge`]; the API server refuses.
pub async fn keep(cx: &StepCx<'_, World>) -> Result<()> {
    let world = cx.world;
    let desired = &world.desired;
    if !seal::is_wanted(desired) {
        return Ok(());
    }
    let (all, agent) = look(&world.applier, desired).await?;
    let known = fit(desired, all.as_ref().map(|kept| &kept.keys), agent.as_ref().map(|kept| &kept.keys))?;
    let is_new = known.is_none();
    let keys = known.map_or_else(fresh, Ok)?;
    // What decrypts goes first: nothing may ever be encrypted that nobody can read.
    if is_new || all.is_some() {
        world.keep_or_make(cx, all.as_ref().is_some_and(|kept| kept.ours), &seal::all(desired, &keys)).await?;
    }
    world.keep_or_make(cx, agent.as_ref().is_some_and(|kept| kept.ours), &seal::agent(desired, &keys)).await?;
    if is_new {
        let name = desired.cluster.backup_key();
        cx.notice(
            Level::Warning,
            format!(
                "backups are encrypted, and only the key in secret/{name} opens them: without it nobody can ever read \
                 them. Keep a copy elsewhere: galeractl backup key export FILE"
            ),
        );
    }
    Ok(())
}

async fn stored(client: &Client, desired: &Desired, name: &str) -> Result<Option<Secret>> {
    let secrets: Objects<Secret> = Objects::within(client, &desired.namespace);
    if seal::is_wanted(desired) {
        return secrets.get(name, Kind::Preflight).await;
    }
    // Backups may have been encrypted earlier; who may not look goes without.
    Ok(secrets.look(name, Kind::Preflight).await?.there())
}

/// Whose descriptions of backups are believed, in the folder of one cluster, given as `namespace/cluster`.
///
/// # Errors
/// A Secret cannot be read, or holds something else.
pub async fn trust(client: &Client, desired: &Desired, folder: &str, word: &Word) -> Result<Trust> {
    let unsigned = word.unsigned || in_clear(desired, folder);
    if let Some(file) = &word.file {
        return Ok(Trust { signer: Some(file.signer.clone()), unsigned });
    }
    for name in [desired.cluster.backup_signer(), desired.cluster.backup_key()] {
        let Some(secret) = stored(client, desired, &name).await? else { continue };
        let text = value(secret.data.as_ref(), VERIFY).unwrap_or_default();
        let signer = Signer::from_pem(&text);
        let signer =
            signer.map_err(|why| Failure::message(Kind::Preflight, format!("secret/{name}, key `{VERIFY}`: {why}")))?;
        return Ok(Trust { signer: Some(signer), unsigned });
    }
    Ok(Trust { signer: None, unsigned })
}

/// Whether this cluster takes its backups in clear. Of another's backups that is not known: somebody may have stripped them.
fn in_clear(desired: &Desired, folder: &str) -> bool {
    let own = folder == format!("{}/{}", desired.namespace, desired.cluster);
    own && desired.backup.as_ref().is_some_and(|backup| !backup.encrypted)
}

/// What opens the cluster's backups, where the cluster has it.
///
/// # Errors
/// As [`trust`].
pub async fn opener(client: &Client, desired: &Desired) -> Result<Option<KeyFile>> {
    let name = desired.cluster.backup_key();
    let Some(secret) = stored(client, desired, &name).await? else { return Ok(None) };
    let text = |key| value(secret.data.as_ref(), key);
    let (Some(private), Some(public)) = (text(DECRYPT), text(VERIFY)) else {
        return Err(Failure::message(
            Kind::Preflight,
            format!("secret/{name} lacks `{DECRYPT}` or `{VERIFY}`, without which no backup can be read"),
        ));
    };
    KeyFile::of(private, public)
        .map(Some)
        .map_err(|why| Failure::message(Kind::Preflight, format!("secret/{name}, key `{VERIFY}`: {why}")))
}

/// What opens what is to be restored.
#[derive(Debug, Clone, Default)]
pub struct Opening {
    /// The key; `None` where nobody has one, and nothing is encrypted.
    pub key: Option<KeyFile>,
    /// Whether all of it has to be signed.
    pub signed: bool,
}

/// Finds what opens the backups of a restore.
///
/// # Errors
/// They are encrypted for a key that is not there.
pub async fn opening(client: &Client, desired: &Desired, word: &Word, source: &Source) -> Result<Opening> {
    let key = match &word.file {
        Some(file) => Some(file.clone()),
        None => opener(client, desired).await?,
    };
    let closed = source.backups.iter().find(|backup| {
        let fits = |key: &KeyFile| key.signer.id() == backup.key_id;
        !backup.key_id.is_empty() && !key.as_ref().is_some_and(fits)
    });
    if let Some(backup) = closed {
        let (id, key) = (&backup.id, &backup.key_id);
        return Err(Failure::message(
            Kind::Preflight,
            format!("backup {id} is encrypted for key {key}, which is not here"),
        )
        .hint("name the file of that key, which galeractl backup key export has written: --key FILE"));
    }
    let last = source.last();
    let folder = format!("{}/{}", last.namespace, last.cluster);
    Ok(Opening { key, signed: !word.unsigned && !in_clear(desired, &folder) })
}

/// Records that the key has been written to a file.
///
/// # Errors
/// The API server refuses.
pub async fn mark_exported(client: &Client, desired: &Desired) -> Result<()> {
    let secrets: Objects<Secret> = Objects::within(client, &desired.namespace);
    let patch = json!({"metadata": {"annotations": {EXPORTED_ANNOTATION: Timestamp::now().to_string()}}});
    secrets.merge_as(RECORDER, &desired.cluster.backup_key(), "annotate", &patch, Kind::Step).await
}

/// Where the key is kept; `None` where backups are not encrypted.
///
/// # Errors
/// The Secret cannot be read.
pub async fn state(client: &Client, desired: &Desired) -> Result<Option<KeyState>> {
    if !seal::is_wanted(desired) {
        return Ok(None);
    }
    let secrets: Objects<Secret> = Objects::within(client, &desired.namespace);
    let found = secrets.get(&desired.cluster.backup_key(), Kind::Preflight).await?;
    Ok(Some(match found {
        None => KeyState::Elsewhere,
        Some(secret) if secret.annotations().contains_key(EXPORTED_ANNOTATION) => KeyState::Exported,
        Some(_) => KeyState::OnlyHere,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::tests::backed_up;

    #[test]
    fn keys_are_made_only_where_there_are_none() {
        let (desired, keys) = (backed_up("c"), fresh().unwrap());
        let mut agents = keys.clone();
        agents.remove(DECRYPT);
        assert_eq!(fit(&desired, None, None).unwrap(), None);
        for (all, agent) in [(Some(&keys), None), (Some(&keys), Some(&agents)), (None, Some(&agents))] {
            let kept = fit(&desired, all, agent).unwrap().unwrap();
            assert_eq!(kept.get(SIGN), keys.get(SIGN));
        }
        let mut others = fresh().unwrap();
        others.remove(DECRYPT);
        let failure = fit(&desired, Some(&keys), Some(&others)).unwrap_err();
        assert_eq!(failure.to_string(), "secret/c-galera-backup-signer has other keys than secret/c-galera-backup-key");
        for key in [SIGN, ENCRYPT, VERIFY, ID] {
            let mut broken = agents.clone();
            broken.remove(key);
            let failure = fit(&desired, Some(&keys), Some(&broken)).unwrap_err();
            assert_eq!(failure.to_string(), format!("secret/c-galera-backup-signer has no `{key}`"));
        }
    }

    #[test]
    fn only_of_its_own_backups_is_it_known_that_they_are_in_clear() {
        let mut desired = backed_up("c");
        assert!(!in_clear(&desired, "data/c"));
        desired.backup.as_mut().unwrap().encrypted = false;
        assert!(in_clear(&desired, "data/c"));
        assert!(!in_clear(&desired, "data/d") && !in_clear(&desired, "other/c"));
        desired.backup = None;
        assert!(!in_clear(&desired, "data/c"), "nobody knows how they were taken");
    }

    #[test]
    fn the_agent_cannot_decrypt_and_what_is_exported_cannot_sign() {
        let (desired, keys) = (backed_up("c"), fresh().unwrap());
        let agent = seal::agent(&desired, &keys).data.unwrap();
        assert!(!agent.contains_key(DECRYPT) && agent.contains_key(SIGN));
        let file = KeyFile::of(keys[DECRYPT].clone(), keys[VERIFY].clone()).unwrap();
        let text = file.text("data/c");
        assert!(text.contains(keys[DECRYPT].trim()) && !text.contains(keys[SIGN].trim()));
        assert_eq!(KeyFile::parse(&text).unwrap(), file);
        assert_eq!(file.signer.id(), keys[ID]);
        assert!(!format!("{file:?}").contains("PRIVATE"));
    }
}
