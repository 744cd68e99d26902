//! Whether anybody has said anything.

use super::{Origin, Settings, Value, keys, units};

impl Settings {
    /// Whether the user has named a cluster at most, and left everything else to the defaults.
    #[must_use]
    pub fn only_names(&self) -> bool {
        let unsaid = |(key, value): (&String, &Value)| {
            let name = key == keys::NAME || key == keys::NAMESPACE;
            name || matches!(value.origin, Origin::Default | Origin::Profile(_) | Origin::Context)
        };
        self.values.iter().all(unsaid)
    }

    /// The size of a volume in bytes and what set it, where the user has set it.
    #[must_use]
    pub fn given_volume_size(&self) -> Option<(&Origin, u128)> {
        let value = self.values.get(keys::VOLUME_SIZE)?;
        let given = !matches!(value.origin, Origin::Default | Origin::Profile(_));
        given.then(|| Some((&value.origin, units::bytes(value.reveal()).ok()?)))?
    }
}
