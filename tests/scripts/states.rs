//! States of a volume.

use std::fs::{self, FileTimes};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use super::stage::{A, B, GROUP, ZERO, put};

/// When crashed data was last written, in every state that has such data.
pub(crate) const WRITTEN: u64 = 1_700_000_000;

pub(crate) fn grastate(uuid: &str, seqno: &str, safe: u8) -> String {
    format!("# GALERA saved state\nversion: 2.1\nuuid:    {uuid}\nseqno:   {seqno}\nsafe_to_bootstrap: {safe}\n")
}

/// A database under `dir` that has a state file.
pub(crate) fn database(volume: &Path, dir: &str, uuid: &str, seqno: &str) {
    tables(volume, dir);
    put(volume, &format!("{dir}/grastate.dat"), grastate(uuid, seqno, 0));
}

/// A database under `dir` without a state file.
pub(crate) fn tables(volume: &Path, dir: &str) {
    put(volume, &format!("{dir}/mysql/user.frm"), format!("accounts in {dir}"));
    put(volume, &format!("{dir}/shop/orders.ibd"), format!("orders in {dir}"));
    put(volume, &format!("{dir}/ibdata1"), format!("tablespace in {dir}"));
    put(volume, &format!("{dir}/ib_logfile0"), "log");
    let log = fs::File::options().write(true).open(volume.join(dir).join("ib_logfile0")).unwrap();
    let time = UNIX_EPOCH + Duration::from_secs(WRITTEN);
    log.set_times(FileTimes::new().set_accessed(time).set_modified(time)).unwrap();
}

pub(crate) fn identity(volume: &Path, group: &str, member: &str, uuid: &str) {
    put(volume, "identity", format!("group={group}\nmember={member}\nuuid={uuid}\n"));
}

/// One's own.
pub(crate) fn own(volume: &Path, uuid: &str) {
    identity(volume, GROUP, "node1", uuid);
}

pub(crate) fn clean(volume: &Path) {
    database(volume, "data", A, "42");
    own(volume, A);
}

pub(crate) fn crashed(volume: &Path) {
    database(volume, "data", A, "-1");
    own(volume, A);
}

/// Half a copy, as a transfer leaves it when it is broken off.
pub(crate) fn unfinished(volume: &Path) {
    tables(volume, "data");
    put(volume, "data/grastate.dat", grastate(ZERO, "-1", 0));
    put(volume, "data/sst_in_progress", "");
}

/// A restore has filled the volume beside data of A:42; nothing has been switched.
pub(crate) fn filled(volume: &Path) {
    clean(volume);
    put(volume, "seen", format!("position={A}:42\nat=1\n"));
    put(volume, "view", format!("uuid={A}\nat=1\nmembers=demo-galera-node1\n"));
    put(volume, "binlog/bin.000001", "old binary log");
    prepared(volume, &format!("database:{A}:42"));
}

/// New data beside whatever there is.
pub(crate) fn prepared(volume: &Path, beside: &str) {
    database(volume, "restore.new/data", B, "0");
    put(volume, "restore.new/BESIDE", format!("{beside}\n"));
    put(volume, "restore.new/identity", format!("group={GROUP}\nmember=node1\nuuid={B}\n"));
    put(volume, "restore.new/COMPLETE", format!("{B}:0\n"));
}

/// The same after the switch.
pub(crate) fn switched(volume: &Path) {
    database(volume, "data", B, "0");
    own(volume, B);
    database(volume, "restore.old/data", A, "42");
    put(volume, "restore.old/identity", format!("group={GROUP}\nmember=node1\nuuid={A}\n"));
    put(volume, "restore.old/seen", format!("position={A}:42\nat=1\n"));
}

/// The old data kept, and a copy by a state transfer in its place.
pub(crate) fn put_kept(volume: &Path) {
    switched(volume);
    put(volume, "binlog/bin.000001", "new binary log");
    put(volume, "restore.old/binlog/bin.000001", "old binary log");
    put(volume, "view", "members=new\n");
}
