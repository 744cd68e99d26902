//! Settings of what containers are given of their hosts.

use super::keys::{self, ResourceKeys};
use super::kind::Kind;
use super::list::setting;
use super::table::Setting;
use super::topic::Topic;

pub(super) const RESOURCES: &[Setting] = &{
    let [a, b, c, d] = of(
        &keys::NODE,
        [Some("250m"), Some("512Mi")],
        ["2", "4", "4Gi", "4Gi"],
        [
            "Processors set aside for each node.",
            "Most processors that a node may use. Best left unset: a throttled node looks dead to its peers.",
            "Memory set aside for each node.",
            "Memory at which a node is killed; leave room above `innodb_buffer_pool_size`.",
        ],
    );
    let [e, f, g, h] = of(
        &keys::PROXY,
        [Some("50m"), Some("64Mi")],
        ["500m", "2", "128Mi", "512Mi"],
        [
            "Processors set aside for each pod of the proxy.",
            "Most processors that a pod of the proxy may use.",
            "Memory set aside for each pod of the proxy.",
            "Memory at which a pod of the proxy is killed: it needs about 40 KiB for a connection.",
        ],
    );
    let [i, j, k, l] = of(
        &keys::AGENT,
        [Some("50m"), Some("128Mi")],
        ["500m", "2", "256Mi", "1Gi"],
        [
            "Processors set aside for the agent that takes backups.",
            "Most processors that the agent may use.",
            "Memory set aside for the agent.",
            "Memory at which the agent is killed.",
        ],
    );
    let [m, n, o, p] = of(
        &keys::HELPER,
        [Some("10m"), Some("32Mi")],
        ["100m", "1", "64Mi", "256Mi"],
        [
            "Processors set aside for a pod that looks into a volume, empties it, or reads backups.",
            "Most processors that such a pod may use.",
            "Memory set aside for such a pod.",
            "Memory at which such a pod is killed.",
        ],
    );
    [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]
};

/// Request and limit of processors, request and limit of memory. Requests alone have defaults.
const fn of(
    keys: &ResourceKeys,
    [cpu, memory]: [Option<&'static str>; 2],
    examples: [&'static str; 4],
    docs: [&'static str; 4],
) -> [Setting; 4] {
    [
        setting(Topic::Pods, keys.cpu_request, Kind::Cpu, cpu, examples[0], docs[0]),
        setting(Topic::Pods, keys.cpu_limit, Kind::Cpu, None, examples[1], docs[1]),
        setting(Topic::Pods, keys.memory_request, Kind::Bytes, memory, examples[2], docs[2]),
        setting(Topic::Pods, keys.memory_limit, Kind::Bytes, None, examples[3], docs[3]),
    ]
}
