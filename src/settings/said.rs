//! Whether anybody has said anything.

use super::{Origin, Settings, Value, keys, kind, units};
use crate::desired::Desired;

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

    /// Lets a cluster that exists keep what it has, unless the user has said whether it is to have certificates: a default
    /// that is another one in a later version is not a wish.
    #[must_use]
    pub fn with_tls_of(&self, stored: &Desired) -> Desired {
        let mut desired = self.desired.clone();
        if !self.is_given(keys::TLS) {
            desired.tls.clone_from(&stored.tls);
            if let (Some(tls), Some(names)) = (&mut desired.tls, self.values.get(keys::TLS_NAMES)) {
                tls.names = kind::items(names.reveal());
            }
        }
        desired
    }

    fn is_given(&self, key: &str) -> bool {
        self.values.get(key).is_some_and(|value| !matches!(value.origin, Origin::Default | Origin::Profile(_)))
    }

    /// The size of a volume in bytes and what set it, where the user has set it.
    #[must_use]
    pub fn given_volume_size(&self) -> Option<(&Origin, u128)> {
        let value = self.values.get(keys::VOLUME_SIZE).filter(|_| self.is_given(keys::VOLUME_SIZE))?;
        Some((&value.origin, units::bytes(value.reveal()).ok()?))
    }
}

#[cfg(test)]
mod tests {
    use crate::desired::Desired;
    use crate::settings::{Input, Settings, load_from};

    fn set(text: &str) -> Settings {
        load_from(&Input { sets: vec![text.to_owned()], ..Input::default() }, None).unwrap()
    }

    #[test]
    fn a_default_is_no_wish_to_change_the_certificates_of_a_cluster_that_exists() {
        let (own, off) = (set("galera_cluster_tls=own").desired, set("galera_cluster_tls=off").desired);
        assert_eq!((own.tls.is_some(), off.tls.is_some()), (true, false));
        let unsaid = set("galera_cluster_docker_image=mariadb:11.4");
        for stored in [&own, &off] {
            let kept = unsaid.with_tls_of(stored);
            assert_eq!((&kept.tls, kept.mariadb_image.as_str()), (&stored.tls, "mariadb:11.4"));
        }
        assert_eq!(set("galera_cluster_tls=off").with_tls_of(&own).tls, None);
        assert!(set("galera_cluster_tls=own").with_tls_of(&off).tls.is_some());
        let named = set("galera_cluster_tls_names=db.example.org");
        assert_eq!(named.with_tls_of(&own).tls.unwrap().names, ["db.example.org"]);
        assert_eq!(named.with_tls_of(&off).tls, None);
    }

    #[test]
    fn what_was_stored_before_there_were_certificates_has_none() {
        let desired = set("galera_cluster_tls=off").desired;
        let stored = serde_json::to_value(&desired).unwrap();
        assert!(stored.get("tls").is_none());
        assert_eq!(serde_json::from_value::<Desired>(stored).unwrap(), desired);
    }
}
