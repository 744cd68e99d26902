//! The four kinds of clusters that the seed's document knows, and the profile of each.

use std::fmt;
use std::str::FromStr;

use super::keys;
use super::merge::Given;
use super::origin::{Origin, Problems};

/// Where a cluster's volumes come from, and with it the profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// Any Kubernetes with a storage class.
    Local,
    /// `VMware` PKS: vSphere volumes, a load balancer of its own.
    Pks,
    /// `CoreOS` Tectonic: existing iSCSI targets, a port on every host.
    Coreos,
    /// iSCSI volumes that a targetd provisioner makes.
    Targetd,
}

impl Variant {
    /// All variants.
    pub const ALL: [Self; 4] = [Self::Local, Self::Pks, Self::Coreos, Self::Targetd];

    /// The profile's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Pks => "pks",
            Self::Coreos => "coreos",
            Self::Targetd => "targetd",
        }
    }

    /// The profile's text, in the form of a `galera.conf`.
    #[must_use]
    pub fn profile(self) -> &'static str {
        match self {
            Self::Local => include_str!("../../profiles/local.conf"),
            Self::Pks => include_str!("../../profiles/pks.conf"),
            Self::Coreos => include_str!("../../profiles/coreos.conf"),
            Self::Targetd => include_str!("../../profiles/targetd.conf"),
        }
    }

    /// What stands for the volumes in the name of their file of manifests.
    #[must_use]
    pub fn volumes_file(self) -> &'static str {
        match self {
            Self::Pks => "vsphere-volumes",
            Self::Targetd => "volumes-targetd",
            Self::Coreos | Self::Local => "volumes",
        }
    }

    /// The variant that alone has a use for a key.
    fn of_key(key: &str) -> Option<Self> {
        match key {
            keys::VSPHERE_CLASS => Some(Self::Pks),
            keys::ISCSI_CLASS => Some(Self::Targetd),
            _ if key.starts_with("galera_cluster_") && key.contains("_iscsi_") => Some(Self::Coreos),
            _ => None,
        }
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Variant {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|variant| variant.name() == text).ok_or_else(|| {
            let names = Self::ALL.map(|variant| format!("`{variant}`")).join(", ");
            format!("`{}` is no profile; expected one of {names}", text.escape_debug())
        })
    }
}

/// Finds the variant: the profile that was asked for, or else the one whose keys are given.
pub(super) fn choose(asked: Option<Variant>, given: &[Given], problems: &mut Problems) -> Variant {
    let mut chosen: Option<(Variant, Option<&Given>)> = asked.map(|variant| (variant, None));
    let mut blamed = Vec::new();
    for item in given {
        let Some(variant) = Variant::of_key(&item.key) else { continue };
        let Some((first, by)) = chosen else {
            chosen = Some((variant, Some(item)));
            continue;
        };
        if variant == first || blamed.contains(&variant) {
            continue;
        }
        blamed.push(variant);
        let against = match by {
            Some(by) => format!("{} ({}) to `{first}`; keep the keys of one variant", by.key, by.origin),
            None => format!("the profile is `{first}`"),
        };
        problems.add(&item.origin, format!("{} belongs to the variant `{variant}`, but {against}", item.key));
    }
    let variant = chosen.map_or(Variant::Local, |(variant, _)| variant);
    general_class(variant, given, problems);
    variant
}

/// A storage class beside the variant's own way to volumes.
fn general_class(variant: Variant, given: &[Given], problems: &mut Problems) {
    let find = |key: &str| given.iter().find(|item| item.key == key);
    let Some(general) = find(keys::STORAGE_CLASS) else { return };
    let mut refuse = |why: String| problems.add(&general.origin, format!("{} {why}", general.key));
    let own = match variant {
        Variant::Local => None,
        Variant::Coreos => {
            refuse("has no use in the variant `coreos`, whose volumes lie on iSCSI targets".to_owned());
            None
        }
        Variant::Pks => find(keys::VSPHERE_CLASS),
        Variant::Targetd => find(keys::ISCSI_CLASS),
    };
    if let Some(own) = own.filter(|own| own.text != general.text) {
        refuse(format!("contradicts {} ({}); keep one of them", own.key, own.origin));
    }
}

/// Origin of the values in a profile.
pub(super) fn origin(variant: Variant) -> Origin {
    Origin::Profile(variant.name())
}
