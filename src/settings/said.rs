//! Whether anybody has said anything.

use super::{Origin, Settings, Value, keys, kind, units};
use crate::desired::Desired;

impl Settings {
    /// Whether the user has named a cluster at most, and left everything else to the defaults.
    #[must_use]
    pub fn only_names(&self) -> bool {
        let unsaid = |(key, value): (&String, &Value)| {
            let name = key == keys::NAME || key == keys::NAMESPACE;
            name || !value.is_given() || matches!(value.origin, Origin::Context)
        };
        self.values.iter().all(unsaid)
    }

    /// What is wanted of a cluster that exists. It keeps its certificates, its network policies and the keys of its backups, or
    /// goes without them as it did, unless the user has said what it is to have: a default that is another one in a later version is no wish.
    #[must_use]
    pub fn beside(&self, stored: &Desired) -> Desired {
        let mut desired = self.desired.clone();
        if self.given(keys::TLS).is_none() {
            desired.tls.clone_from(&stored.tls);
            if let (Some(tls), Some(names)) = (&mut desired.tls, self.given_list(keys::TLS_NAMES)) {
                tls.names = names;
            }
        }
        if self.given(keys::BACKUP_ENCRYPTION).is_none()
            && let (Some(backup), Some(before)) = (&mut desired.backup, &stored.backup)
        {
            backup.encrypted = before.encrypted;
        }
        if self.given(keys::POLICIES).is_none() {
            desired.network.clone_from(&stored.network);
            if let Some(network) = &mut desired.network {
                for (key, peers) in
                    [(keys::ALLOW_FROM, &mut network.clients), (keys::METRICS_FROM, &mut network.metrics)]
                {
                    if let Some(items) = self.given_list(key) {
                        *peers = kind::peers(&items);
                    }
                }
            }
        }
        desired
    }

    fn given(&self, key: &str) -> Option<&Value> {
        self.values.get(key).filter(|value| value.is_given())
    }

    fn given_list(&self, key: &str) -> Option<Vec<String>> {
        self.given(key).map(|value| kind::items(value.reveal()))
    }

    /// The size of a volume in bytes and what set it, where the user has set it.
    #[must_use]
    pub fn given_volume_size(&self) -> Option<(&Origin, u128)> {
        let value = self.given(keys::VOLUME_SIZE)?;
        Some((&value.origin, units::bytes(value.reveal()).ok()?))
    }
}

#[cfg(test)]
mod tests {
    use crate::desired::{Desired, Peer};
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
            let kept = unsaid.beside(stored);
            assert_eq!((&kept.tls, kept.mariadb_image.as_str()), (&stored.tls, "mariadb:11.4"));
        }
        assert_eq!(set("galera_cluster_tls=off").beside(&own).tls, None);
        assert!(set("galera_cluster_tls=own").beside(&off).tls.is_some());
        let named = set("galera_cluster_tls_names=db.example.org");
        assert_eq!(named.beside(&own).tls.unwrap().names, ["db.example.org"]);
        assert_eq!(named.beside(&off).tls, None);
    }

    #[test]
    fn a_default_is_no_wish_to_encrypt_the_backups_of_a_cluster_that_takes_them_in_clear() {
        let with = |more: &str| {
            let sets = ["galera_cluster_backup=yes", more].map(str::to_owned).into();
            load_from(&Input { sets, ..Input::default() }, None).unwrap()
        };
        let encrypted = |desired: &Desired| desired.backup.as_ref().unwrap().encrypted;
        let (own, off) = (with("galera_cluster_backup_encryption=own"), with("galera_cluster_backup_encryption=off"));
        assert!(encrypted(&own.desired) && !encrypted(&off.desired));
        let unsaid = with("galera_cluster_backup_retention_days=3");
        assert!(encrypted(&unsaid.desired), "a new cluster");
        let without = set("galera_cluster_backup=no").desired;
        for (stored, kept) in [(&own.desired, true), (&off.desired, false), (&without, true)] {
            assert_eq!(encrypted(&unsaid.beside(stored)), kept);
        }
        assert!(encrypted(&own.beside(&off.desired)) && !encrypted(&off.beside(&own.desired)));
        let mut old = serde_json::to_value(&off.desired).unwrap();
        assert!(old["backup"].get("encrypted").is_none());
        old["backup"]["encrypted"] = true.into();
        assert!(encrypted(&serde_json::from_value::<Desired>(old).unwrap()));
    }

    #[test]
    fn a_default_is_no_wish_to_close_a_cluster_that_exists_and_no_wish_to_open_one() {
        let closed = load_from(
            &Input {
                sets: vec![
                    "galera_cluster_network_policies=yes".to_owned(),
                    "galera_cluster_allow_from=web".to_owned(),
                ],
                ..Input::default()
            },
            None,
        );
        let (closed, open) = (closed.unwrap().desired, set("galera_cluster_network_policies=no").desired);
        assert_eq!((closed.network.is_some(), open.network.is_some()), (true, false));
        let unsaid = set("galera_cluster_docker_image=mariadb:11.4");
        for stored in [&closed, &open] {
            assert_eq!(unsaid.beside(stored).network, stored.network);
        }
        assert!(set("galera_cluster_network_policies=yes").beside(&open).network.is_some());
        assert_eq!(set("galera_cluster_network_policies=no").beside(&closed).network, None);
        let other = set("galera_cluster_allow_from=shop");
        assert_eq!(other.beside(&closed).network.unwrap().clients, [Peer::Namespace("shop".to_owned())]);
        assert_eq!(other.beside(&open).network, None);
    }

    #[test]
    fn what_was_stored_before_there_were_certificates_has_none() {
        let without = ["galera_cluster_tls=off", "galera_cluster_network_policies=no"].map(str::to_owned).into();
        let desired = load_from(&Input { sets: without, ..Input::default() }, None).unwrap().desired;
        let stored = serde_json::to_value(&desired).unwrap();
        assert!(stored.get("tls").is_none() && stored.get("network").is_none());
        assert_eq!(serde_json::from_value::<Desired>(stored).unwrap(), desired);
    }
}
