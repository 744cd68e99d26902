//! Settings of who may reach the cluster.

use super::keys;
use super::kind::Kind;
use super::list::setting;
use super::table::Setting;
use super::topic::Topic;

pub(super) const NETWORK: &[Setting] = &[
    setting(
        Topic::Access,
        keys::POLICIES,
        Kind::Choice(&["yes", "no"]),
        Some("yes"),
        "no",
        "Whether network policies close every port to whoever has no business there: those of the members to all but \
         members and proxy, that of the proxy to all but its clients. They hold where the network plugin enforces \
         policies.",
    ),
    setting(
        Topic::Access,
        keys::ALLOW_FROM,
        Kind::Peers,
        None,
        "shop,10.1.0.0/16",
        "With network policies: from where clients may reach the proxy, beside the cluster's own namespace and what \
         `galeractl expose` opens. Namespaces and address ranges, or `*` for everywhere.",
    ),
    setting(
        Topic::Access,
        keys::METRICS_FROM,
        Kind::Peers,
        None,
        "monitoring",
        "With network policies: from where the proxy's metrics on port 8404 may be read. Namespaces and address \
         ranges, or `*` for everywhere; without it, from nowhere.",
    ),
];
