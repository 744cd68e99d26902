//! Whether a volume that exists already may be used as the volume that the settings describe.

use k8s_openapi::api::core::v1::PersistentVolume;
use kube::ResourceExt;
use serde_json::{Value, json};

use super::difference::{Difference, unmet};

/// Why a volume must not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Misfit {
    /// Another claim has it.
    Taken(String),
    /// Its claim is gone; what it holds is still there.
    Released,
    /// It is not what the settings describe.
    Different(Vec<String>),
}

/// Judges a volume against the wanted one. The claim that it is for is judged apart: volumes made by hand may name none.
///
/// # Errors
/// Why it must not be used.
pub fn fits(wanted: &PersistentVolume, live: &PersistentVolume) -> Result<(), Misfit> {
    let claim = |volume: &PersistentVolume| {
        let claim = volume.spec.as_ref()?.claim_ref.as_ref()?;
        Some(format!(
            "{}/{}",
            claim.namespace.as_deref().unwrap_or_default(),
            claim.name.as_deref().unwrap_or_default()
        ))
    };
    let phase = live.status.as_ref().and_then(|status| status.phase.as_deref());
    if let Some(taken) = claim(live).filter(|taken| Some(taken) != claim(wanted).as_ref()) {
        return Err(Misfit::Taken(taken));
    }
    if let Some("Released" | "Failed") = phase {
        return Err(Misfit::Released);
    }
    let differences: Vec<String> = unmet(&essence(live), &essence(wanted)).iter().map(Difference::describe).collect();
    if differences.is_empty() { Ok(()) } else { Err(Misfit::Different(differences)) }
}

/// What makes a volume the one that is meant.
fn essence(volume: &PersistentVolume) -> Value {
    let mut spec = volume.spec.clone().unwrap_or_default();
    spec.claim_ref = None;
    spec.persistent_volume_reclaim_policy = None;
    json!({"label volume": volume.labels().get("volume"), "spec": spec})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::IscsiTarget;
    use crate::manifests::volumes::iscsi_volume;
    use crate::names::Member;

    fn volume(lun: u32) -> PersistentVolume {
        let target =
            IscsiTarget { portal: "10.0.0.1:3260".to_owned(), iqn: "iqn.2018-04.org.example:a".to_owned(), lun };
        iscsi_volume(&crate::desired::tests::desired("c", 3), Member::Node(1), &target)
    }

    fn misfit(change: impl FnOnce(&mut PersistentVolume)) -> Option<Misfit> {
        let mut live = volume(1);
        change(&mut live);
        fits(&volume(1), &live).err()
    }

    #[test]
    fn the_same_volume_fits_with_or_without_its_claim() {
        assert_eq!(misfit(|_| ()), None);
        assert_eq!(misfit(|live| live.spec.as_mut().unwrap().claim_ref = None), None);
    }

    #[test]
    fn another_target_another_claim_and_a_released_volume_do_not() {
        let different = misfit(|live| live.spec.as_mut().unwrap().iscsi.as_mut().unwrap().lun = 2);
        assert_eq!(different, Some(Misfit::Different(vec!["spec.iscsi.lun: 2 → 1".to_owned()])));
        let taken =
            misfit(|live| live.spec.as_mut().unwrap().claim_ref.as_mut().unwrap().namespace = Some("x".to_owned()));
        assert_eq!(taken, Some(Misfit::Taken("x/c-galera-node1-volume-claim".to_owned())));
        let released = misfit(|live| live.status.get_or_insert_default().phase = Some("Released".to_owned()));
        assert_eq!(released, Some(Misfit::Released));
    }
}
