//! Headings of the table of settings.

/// Headings under which the settings are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// Name, namespace and size.
    Cluster,
    /// Container images.
    Images,
    /// Volumes of any kind.
    Storage,
    /// Volumes on iSCSI targets that exist already.
    Iscsi,
    /// What the seed creates.
    Database,
    /// The proxy and the way in from outside.
    Access,
    /// What the pods need from their hosts.
    Pods,
    /// Backups.
    Backup,
    /// Keys of old files that nothing reads.
    Unused,
}

impl Topic {
    /// All topics, in the order of the reference page.
    pub const ALL: [Self; 9] = [
        Self::Cluster,
        Self::Images,
        Self::Storage,
        Self::Iscsi,
        Self::Database,
        Self::Access,
        Self::Pods,
        Self::Backup,
        Self::Unused,
    ];

    /// The heading.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Cluster => "Cluster",
            Self::Images => "Images",
            Self::Storage => "Storage",
            Self::Iscsi => "iSCSI targets",
            Self::Database => "Database and passwords",
            Self::Access => "Proxy and access from outside",
            Self::Pods => "Pods",
            Self::Backup => "Backup",
            Self::Unused => "Accepted, without effect",
        }
    }
}
