//! Names of everything that belongs to one cluster, derived from its name alone.

mod objects;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Value of the label `app.kubernetes.io/managed-by` and the field manager of server-side apply.
pub const MANAGER: &str = "galeractl";
/// Value of the label `app.kubernetes.io/name` on every object of every cluster.
pub const APP: &str = "mariadb-galera";
/// Label that holds the cluster's name.
pub const INSTANCE_LABEL: &str = "app.kubernetes.io/instance";
/// Label that holds an object's [`Role`].
pub const COMPONENT_LABEL: &str = "app.kubernetes.io/component";
/// Label that holds [`APP`].
pub const NAME_LABEL: &str = "app.kubernetes.io/name";
/// Label that holds [`MANAGER`].
pub const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";
/// Label that holds a [`Member`]'s short name (`seed`, `node1`, …).
pub const MEMBER_LABEL: &str = "galeractl.dev/member";
/// Annotation on a node's template: when somebody has asked for a restart.
pub const RESTART_ANNOTATION: &str = "galeractl.dev/restarted-at";
/// Annotation on a node's pod: the template that it runs as, though it was made from an earlier one, since its server has
/// taken what is new while it ran.
pub const RUNS_AS_ANNOTATION: &str = "galeractl.dev/runs-as";
/// Annotation on a claim: when its node has left the cluster in good order, so that its data is missed by nobody.
pub const LEFT_ANNOTATION: &str = "galeractl.dev/left-at";
/// Annotation on a claim: state uuid of the Galera cluster whose data the volume holds.
pub const UUID_ANNOTATION: &str = "galeractl.dev/cluster-uuid";
/// Annotation of the Secret with the keys of the backups: when somebody has written them to a file.
pub const EXPORTED_ANNOTATION: &str = "galeractl.dev/exported-at";
/// Annotation of a pod whose kubelet is to look at its Secrets and ConfigMaps now.
pub const LOOK_ANNOTATION: &str = "galeractl.dev/look-at-secrets";

/// Longest cluster name: `<c>-galera-node99` has to stay within the 52 characters that leave room for the
/// revision hash which Kubernetes appends to a StatefulSet's name in a label of at most 63.
pub const MAX_CLUSTER_NAME: usize = 38;
/// `MariaDB` refuses a longer `wsrep_cluster_name`.
const MAX_GROUP_NAME: usize = 32;

/// Why a name was refused, in words that name the rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidName(String);

/// Name of a cluster: a DNS label that starts with a letter, at most [`MAX_CLUSTER_NAME`] characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClusterName(String);

/// Name of a Kubernetes namespace: a DNS label of at most 63 characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Namespace(String);

/// What an object is part of; the value of [`COMPONENT_LABEL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The one-shot pod that bootstraps the cluster.
    Seed,
    /// A permanent Galera node.
    Node,
    /// The load balancer in front of the nodes.
    Proxy,
    /// Objects of the cluster as a whole: Secret, ConfigMaps, Lease.
    Cluster,
    /// A pod that looks into a volume while the cluster is down.
    Inspector,
    /// A way into the cluster from outside of Kubernetes.
    Access,
    /// The volume of the backups.
    Backup,
    /// A Job that empties a volume.
    Purge,
    /// A pod that reads backups.
    Reader,
    /// A Job that restores a backup, or part of it.
    Restore,
}

impl Role {
    /// The label's value.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Seed => "seed",
            Self::Node => "node",
            Self::Proxy => "haproxy",
            Self::Cluster => "cluster",
            Self::Inspector => "inspector",
            Self::Access => "access",
            Self::Backup => "backup",
            Self::Purge => "purge",
            Self::Reader => "reader",
            Self::Restore => "restore",
        }
    }
}

/// One Galera member: the seed, or permanent node 1, 2, ….
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Member {
    /// The temporary first member.
    Seed,
    /// Permanent node, counted from 1.
    Node(u32),
}

impl Member {
    /// Its number, as people type it; 0 for the seed.
    #[must_use]
    pub fn number(self) -> u32 {
        match self {
            Self::Seed => 0,
            Self::Node(number) => number,
        }
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seed => f.write_str("seed"),
            Self::Node(index) => write!(f, "node{index}"),
        }
    }
}

impl FromStr for Member {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        if text == "seed" {
            return Ok(Self::Seed);
        }
        text.strip_prefix("node")
            .and_then(|index| index.parse().ok())
            .filter(|index| *index > 0)
            .map(Self::Node)
            .ok_or_else(|| InvalidName(format!("`{text}` is no member; expected `seed` or `node1`, `node2`, …")))
    }
}

impl TryFrom<String> for Member {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse()
    }
}

impl From<Member> for String {
    fn from(member: Member) -> Self {
        member.to_string()
    }
}

fn dns_label(what: &str, text: &str, max: usize) -> Result<(), InvalidName> {
    let ok = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let problem = if text.is_empty() {
        "is empty".to_owned()
    } else if text.len() > max {
        format!("has {} characters, at most {max} are allowed", text.len())
    } else if let Some(bad) = text.chars().find(|c| !ok(*c)) {
        format!("contains `{}`; only a-z, 0-9 and `-` are allowed", bad.escape_default())
    } else if text.starts_with('-') || text.ends_with('-') {
        "starts or ends with `-`".to_owned()
    } else {
        return Ok(());
    };
    Err(InvalidName(format!("{what} `{}` {problem}", text.escape_default())))
}

impl FromStr for ClusterName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        dns_label("cluster name", text, MAX_CLUSTER_NAME)?;
        if !text.starts_with(|c: char| c.is_ascii_lowercase()) {
            return Err(InvalidName(format!("cluster name `{text}` does not start with a letter")));
        }
        Ok(Self(text.to_owned()))
    }
}

impl FromStr for Namespace {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        dns_label("namespace", text, 63).map(|()| Self(text.to_owned()))
    }
}

macro_rules! string_like {
    ($type:ty) => {
        impl TryFrom<String> for $type {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, InvalidName> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl $type {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
    };
}

string_like!(ClusterName);
string_like!(Namespace);

/// Eight hexadecimal digits that differ for different texts, the same on every machine and in every version (FNV-1a).
#[must_use]
pub fn fingerprint(text: &str) -> String {
    let step = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    format!("{:08x}", text.bytes().fold(0xcbf2_9ce4_8422_2325, step) & 0xffff_ffff)
}

#[cfg(test)]
#[path = "names_tests.rs"]
mod tests;
