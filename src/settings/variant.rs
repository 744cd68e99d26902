//! Kinds of clusters, and the profile of each: a row here and a file are all that another one takes.

use std::fmt;
use std::str::FromStr;

use super::keys;
use super::merge::Given;
use super::origin::{Origin, Problems};

/// Where the volumes of a variant come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Volumes {
    /// Any storage class.
    AnyClass,
    /// The storage class that a key of the variant's own names. The key chooses the variant.
    OwnClass(&'static str),
    /// iSCSI targets that exist already. Their keys choose the variant.
    Targets,
}

/// One row: a kind of clusters, and the profile that it starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variant {
    /// The profile's name.
    pub name: &'static str,
    /// The profile's text, in the form of a `galera.conf`.
    pub profile: &'static str,
    /// Where its volumes come from.
    pub volumes: Volumes,
    /// What stands for the volumes in the name of their file of manifests.
    pub volumes_file: &'static str,
}

impl Variant {
    /// Any Kubernetes with a storage class; what holds where nothing chooses another.
    pub const LOCAL: Self = Self {
        name: "local",
        profile: include_str!("../../profiles/local.conf"),
        volumes: Volumes::AnyClass,
        volumes_file: "volumes",
    };
    /// `VMware` PKS: vSphere volumes, a load balancer of its own.
    pub const PKS: Self = Self {
        name: "pks",
        profile: include_str!("../../profiles/pks.conf"),
        volumes: Volumes::OwnClass(keys::VSPHERE_CLASS),
        volumes_file: "vsphere-volumes",
    };
    /// `CoreOS` Tectonic: existing iSCSI targets, a port on every host.
    pub const COREOS: Self = Self {
        name: "coreos",
        profile: include_str!("../../profiles/coreos.conf"),
        volumes: Volumes::Targets,
        volumes_file: "volumes",
    };
    /// iSCSI volumes that a targetd provisioner makes.
    pub const TARGETD: Self = Self {
        name: "targetd",
        profile: include_str!("../../profiles/targetd.conf"),
        volumes: Volumes::OwnClass(keys::ISCSI_CLASS),
        volumes_file: "volumes-targetd",
    };

    /// All variants.
    pub const ALL: [Self; 4] = [Self::LOCAL, Self::PKS, Self::COREOS, Self::TARGETD];

    /// The variant that alone has a use for a key.
    pub(super) fn of_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|variant| match variant.volumes {
            Volumes::AnyClass => false,
            Volumes::OwnClass(own) => key == own,
            Volumes::Targets => key.starts_with("galera_cluster_") && key.contains("_iscsi_"),
        })
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl FromStr for Variant {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|variant| variant.name == text).ok_or_else(|| {
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
    let variant = chosen.map_or(Variant::LOCAL, |(variant, _)| variant);
    general_class(variant, given, problems);
    variant
}

/// A storage class beside the variant's own way to volumes.
fn general_class(variant: Variant, given: &[Given], problems: &mut Problems) {
    let find = |key: &str| given.iter().find(|item| item.key == key);
    let Some(general) = find(keys::STORAGE_CLASS) else { return };
    let mut refuse = |why: String| problems.add(&general.origin, format!("{} {why}", general.key));
    let own = match variant.volumes {
        Volumes::AnyClass => None,
        Volumes::OwnClass(own) => find(own),
        Volumes::Targets => {
            refuse(format!("has no use in the variant `{variant}`, whose volumes lie on iSCSI targets"));
            None
        }
    };
    if let Some(own) = own.filter(|own| own.text != general.text) {
        refuse(format!("contradicts {} ({}); keep one of them", own.key, own.origin));
    }
}

/// Origin of the values in a profile.
pub(super) fn origin(variant: Variant) -> Origin {
    Origin::Profile(variant.name)
}
