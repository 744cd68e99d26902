//! Whether anybody has said anything.

use super::{Origin, Settings, Value, keys};

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
}
