//! The scripts that run in pods: those that a ConfigMap carries as files, and those that a pod has in its command.

/// What members run, by key of the ConfigMap with the scripts.
pub const MEMBER: [(&str, &str); 16] = [
    ("start.sh", include_str!("scripts/start.sh")),
    ("node.sh", include_str!("scripts/node.sh")),
    ("first.sh", include_str!("scripts/first.sh")),
    ("seed.sh", include_str!("scripts/seed.sh")),
    ("peers.sh", include_str!("scripts/lib/peers.sh")),
    ("volume.sh", include_str!("scripts/lib/volume.sh")),
    ("options.sh", include_str!("scripts/lib/options.sh")),
    ("sql.sh", include_str!("scripts/lib/sql.sh")),
    ("report.sh", include_str!("scripts/lib/report.sh")),
    ("health.pl", include_str!("scripts/health.pl")),
    ("notify.sh", include_str!("scripts/notify.sh")),
    ("overwrite.sh", include_str!("scripts/overwrite.sh")),
    ("standby.sh", include_str!("scripts/standby.sh")),
    ("hold.sh", include_str!("scripts/hold.sh")),
    ("order.sh", include_str!("scripts/order.sh")),
    ("forget.sh", include_str!("scripts/forget.sh")),
];

/// Where members find their scripts.
pub const PLACE: &str = "/galeractl/scripts";

/// Has a running server judge other options.
pub const TRY: &str = concat!(include_str!("scripts/lib/options.sh"), include_str!("scripts/try.sh"));
/// Says what a running server has read at its start, and what it would read now.
pub const VALUES: &str = include_str!("scripts/values.sh");
/// What a member says first of options that its server does not take.
pub const NOT_TAKEN: &str = "the server does not take its options: ";

/// Tells what a server image is.
pub const IMAGE: &str = concat!(
    include_str!("scripts/lib/report.sh"),
    include_str!("scripts/lib/options.sh"),
    include_str!("scripts/image.sh")
);
/// Tells what an image of the proxy is.
pub const IMAGE_PROXY: &str = include_str!("scripts/image_proxy.sh");
/// Brings the system tables of a member's server to its version, where that is needed.
pub const TABLES: &str = include_str!("scripts/tables.sh");

/// Runs the server's own client for somebody elsewhere: the account, its settings and options are its arguments.
pub const CLIENT: &str = include_str!("scripts/client.sh");

/// Says which ports of a host can be reached: the host and the ports are its arguments.
pub const KNOCK: &str = include_str!("scripts/knock.sh");

/// Looks into a volume.
pub const INSPECT: &str = concat!(
    include_str!("scripts/lib/report.sh"),
    include_str!("scripts/lib/volume.sh"),
    include_str!("scripts/inspect.sh")
);

/// Empties a volume.
pub const PURGE: &str = concat!(
    include_str!("scripts/lib/report.sh"),
    include_str!("scripts/lib/volume.sh"),
    include_str!("scripts/purge.sh")
);

/// Turns a volume to restored data, or back.
pub const TURN: &str = concat!(
    include_str!("scripts/lib/report.sh"),
    include_str!("scripts/lib/volume.sh"),
    include_str!("scripts/backup/turn.sh")
);

/// Gives files of the backup volume to Jobs, with [`SERVE`] for each of them.
pub const READER: &str = include_str!("scripts/backup/reader.sh");
/// Gives one file.
pub const SERVE: &str = include_str!("scripts/backup/serve.sh");
/// Writes a file where a reader runs: the path is its argument.
pub const PUT: &str = include_str!("scripts/backup/put.sh");
/// Says what a folder of mariadb-backup holds: the folder is its argument.
pub const DIRECTORY: &str = include_str!("scripts/backup/directory.sh");
/// Says all that is known about the backups of a cluster: its folder is the argument.
pub const CATALOG: &str = concat!(include_str!("scripts/backup/common.sh"), include_str!("scripts/backup/catalog.sh"));
/// Asks the agent for something.
pub const ASK: &str = include_str!("scripts/backup/ask.sh");
/// Asks the agent what it would remove.
pub const EXPIRED: &str = include_str!("scripts/backup/expired.sh");

/// Fills a volume from a backup.
pub const RESTORE: &str = concat!(
    include_str!("scripts/lib/report.sh"),
    include_str!("scripts/lib/volume.sh"),
    include_str!("scripts/lib/sql.sh"),
    include_str!("scripts/backup/seal.sh"),
    include_str!("scripts/backup/restore.sh")
);

/// How one of these scripts is run where no file holds it.
#[must_use]
pub fn bash(script: &str) -> [&str; 3] {
    ["/bin/bash", "-c", script]
}
