//! A made-up node with a backup volume: folders in a temporary place, and programs that answer as the real ones do.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use galeractl::backups::{Catalog, Trust};

use galeractl::manifests::scripts::RESTORE;

use crate::stage::{Tree, tree};

pub(crate) const UUID: &str = "79651a2b-0000-11f0-8000-0123456789ab";
pub(crate) const INCARNATION: &str = "3f2a91bc-1111-4222-8333-444455556666";
pub(crate) const FULL: &str = "20261120T020000Z-full";
pub(crate) const INCREMENT: &str = "20261120T021500Z-inc";
pub(crate) const LOG: &str = "1795140000-3f2a91bc-bin.000001.zst";
/// A moment after the good backups.
pub(crate) const NOW: i64 = 1_795_150_000;

/// Answers the questions of the agent. The server has two binary logs, of which the first is closed.
const MARIADB: &str = r#"#!/bin/bash
case ${!#} in
    *"SHOW BINARY LOGS"*) printf 'bin.000001\t100\nbin.000002\t100\n' ;;
    *"IN 'bin.000001'"*) printf 'bin\t4\tGtid_list\t1\t2\t[0-1-10]\n' ;;
    *"IN 'bin.000002'"*) printf 'bin\t4\tGtid_list\t1\t2\t[0-1-20,103-1-5]\n' ;;
    *gtid_binlog_pos*) echo '0-1-20,103-1-5' ;;
    *log_bin*) echo 1 ;;
    *state_uuid*) echo 79651a2b-0000-11f0-8000-0123456789ab ;;
    *VERSION*) echo "11.8.9-MariaDB-0+deb13u1 from Debian-log" ;;
esac
"#;

/// Writes a stream of one file, and goes on where the backup before has ended.
const BACKUP: &str = r#"#!/bin/bash
from=0
for option; do
    case $option in
        --extra-lsndir=*) dir=${option#*=} ;;
        --incremental-basedir=*) from=$(sed -n 's/^to_lsn = //p' "${option#*=}/mariadb_backup_checkpoints") ;;
    esac
done
printf 'from_lsn = %s\nto_lsn = %s\n' "$from" $((from + 10)) >"$dir/mariadb_backup_checkpoints"
printf "binlog_pos = filename 'x', position '1', GTID of the last change '0-1-15,103-1-5'\n" >"$dir/mariadb_backup_info"
text='79651a2b-0000-11f0-8000-0123456789ab:15'
printf 'XBSTCK01\0P\x1a\0\0\0mariadb_backup_galera_info\x28\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0%s\n' "$text"
printf 'XBSTCK01\0E\x1a\0\0\0mariadb_backup_galera_info'
echo 'completed OK!' >&2
"#;

/// Unpacks a stream into one file.
const MBSTREAM: &str = "#!/bin/bash\nexec cat >\"${!#}/stream\"\n";

/// Passes everything through: what is compressed does not matter here.
const ZSTD: &str = "#!/bin/bash\nif [ -f \"${!#}\" ]; then exec cat \"${!#}\"; else exec cat; fi\n";

pub(crate) struct World {
    dir: tempfile::TempDir,
}

impl World {
    /// A volume with a full backup, an increment and a binary log, all good.
    pub(crate) fn new() -> Self {
        let world = Self { dir: tempfile::tempdir().unwrap() };
        for folder in ["bin", "server", "own", "volume/data", "volume/binlog", "outside", "backups/data/shop/binlog"] {
            fs::create_dir_all(world.at(folder)).unwrap();
        }
        for (name, text) in [("mariadb", MARIADB), ("mariadb-backup", BACKUP), ("zstd", ZSTD), ("mbstream", MBSTREAM)] {
            fs::write(world.at("bin").join(name), text).unwrap();
            fs::set_permissions(world.at("bin").join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        fs::write(world.at("volume/data/incarnation"), format!("{INCARNATION}\n")).unwrap();
        for (log, time) in [("bin.000001", NOW - 100), ("bin.000002", NOW)] {
            fs::write(world.at("volume/binlog").join(log), binary_log(time, (11..=20).map(|number| (number, 0, time))))
                .unwrap();
        }
        world.backup(FULL, "", FULL, 0);
        world.backup(INCREMENT, FULL, FULL, 10);
        world.write(&format!("binlog/{LOG}"), b"log");
        world.write(&format!("binlog/{LOG}.json"), log_json(LOG).as_bytes());
        world
    }

    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    /// A path in the folder of the cluster's backups.
    pub(crate) fn root(&self, path: &str) -> PathBuf {
        self.at("backups/data/shop").join(path)
    }

    /// Comes into being when something is obeyed that should only have been read.
    pub(crate) fn canary(&self) -> PathBuf {
        self.at("canary")
    }

    pub(crate) fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.root(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// A whole backup that begins at an LSN.
    pub(crate) fn backup(&self, id: &str, base: &str, chain: &str, lsn: u64) {
        self.write(&format!("{id}/data.mb.zst"), b"1234567");
        let checkpoints = format!("from_lsn = {lsn}\nto_lsn = {}\n", lsn + 10);
        self.write(&format!("{id}/lsn/mariadb_backup_checkpoints"), checkpoints.as_bytes());
        self.write(&format!("{id}/backup.json"), backup_json(id, base, chain, lsn).as_bytes());
    }

    /// Runs bash with the agent's functions, on this volume. Nothing waits, and the clocks are the script's.
    pub(crate) fn agent(&self, script: &str) -> String {
        let prelude = format!(
            r"
            export GALERA_MEMBER=node3 GALERA_CLUSTER=shop GALERA_NAMESPACE=data POD_UID=00000000-0000-4000-8000-000000000001
            export FULL_SECONDS=3600 INCREMENTAL_SECONDS=60 LOG_SECONDS=60 RETENTION_DAYS=100000 KEEP=1 WORLD={world}
            . {scripts}/agent.sh
            set +e
            SERVER=$WORLD/server OWN=$WORLD/own VOLUME=$WORLD/volume DATA=$WORLD/volume/data LOGS=$WORLD/volume/binlog
            KEYS=$WORLD/keys ROOT=$WORLD/backups/data/shop GROUP={UUID} STARTED_AT=0 TICK=0
            unset EPOCHSECONDS
            EPOCHSECONDS={NOW}
            pause() {{ :; }}
            report() {{ :; }}
            look_at_clock() {{ NOW=$TICK; }}
            ",
            world = self.dir.path().display(),
            scripts = scripts().display(),
        );
        let output = self.bash(&format!("{prelude}\n{script}"), &[], b"");
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    }

    /// What the catalog says of this volume, whoever has written it.
    pub(crate) fn catalog(&self) -> Catalog {
        self.catalog_by(&Trust { signer: None, unsigned: true })
    }

    /// What the catalog says of this volume to somebody who believes these.
    pub(crate) fn catalog_by(&self, trust: &Trust) -> Catalog {
        let text = fs::read_to_string(scripts().join("common.sh")).unwrap()
            + &fs::read_to_string(scripts().join("catalog.sh")).unwrap();
        let text = text.replace("/backups", &self.at("backups").display().to_string());
        let output = self.bash(&text, &["data/shop"], b"");
        assert!(output.status.success(), "{output:?}");
        Catalog::parse("data/shop", &String::from_utf8_lossy(&output.stdout), trust)
    }

    /// What a reader gives to whoever says this.
    pub(crate) fn serve(&self, request: &[u8]) -> Vec<u8> {
        fs::write(self.at("token"), "secret").unwrap();
        fs::write(self.at("plan"), "the plan\n").unwrap();
        let text = fs::read_to_string(scripts().join("serve.sh")).unwrap();
        let text = text.replace("/tmp/", &format!("{}/", self.dir.path().display()));
        let text = text.replace("/backups", &self.at("backups").display().to_string());
        self.bash(&text, &[], request).stdout
    }

    /// Fills a volume with what a plan says, by the script of the Job, up to the point where a server would be started.
    /// Answers with what it said, and with what it would have given to the server.
    pub(crate) fn fill(&self, plan: &str, signed: bool) -> (String, Tree) {
        let (functions, _) = RESTORE.split_once("\n[ -d \"$TARGET\" ] && [ -w \"$TARGET\" ]").unwrap();
        let target = self.at("target");
        drop(fs::remove_dir_all(&target));
        fs::create_dir_all(target.join("restore.new")).unwrap();
        fs::create_dir_all(self.at("run")).unwrap();
        fs::write(self.at("plan"), plan).unwrap();
        let signed = if signed { "yes" } else { "no" };
        let script = format!(
            r#"
            export WORLD={world} MODE=fill GALERA_MEMBER=node1 SOURCE=- NEW_UUID=- SERVER_OPTIONS=- NEEDED=1 SIGNED={signed}
            export VOLUME=$WORLD/target RUN=$WORLD/run KEYS=$WORLD/opening
            {functions}
            fetch() {{ [ "$1" != file ] || cat "$WORLD/backups/$2" 2>/dev/null; }}
            PLAN=$(cat "$WORLD/plan")
            copy
            tell phase=copied
            "#,
            world = self.dir.path().display()
        );
        let output = self.bash(&script, &[], b"");
        let mut given = tree(&target.join("restore.new"));
        given.retain(|name, text| text != b"/" && !["sum", "error", "sum.fifo"].contains(&name.as_str()));
        (String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr), given)
    }

    fn bash(&self, script: &str, args: &[&str], stdin: &[u8]) -> Output {
        let file = self.at("script.sh");
        fs::write(&file, script).unwrap();
        let path = format!("{}:{}", self.at("bin").display(), std::env::var("PATH").unwrap());
        let mut child = Command::new("timeout")
            .args(["60", "bash"])
            .arg(file)
            .args(args)
            .env("PATH", path)
            .current_dir(self.dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(stdin).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_ne!(output.status.code(), Some(124), "it hangs: {output:?}");
        output
    }

    /// What must hold after anything: nothing was obeyed, and the good backups are there and can be used.
    pub(crate) fn good_backups_are_fine(&self, case: &str) {
        assert!(!self.canary().exists(), "{case} was obeyed");
        let catalog = self.catalog();
        assert!(!self.canary().exists(), "{case} was obeyed by the catalog");
        for (id, base, lsn) in [(FULL, "", 0), (INCREMENT, FULL, 10)] {
            let json = fs::read_to_string(self.root(id).join("backup.json")).unwrap();
            assert_eq!(json, backup_json(id, base, FULL, lsn), "{case}");
            assert!(catalog.backup(id).is_some(), "{case} hides {id}: {catalog:?}");
        }
    }
}

pub(crate) fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/manifests/scripts/backup")
}

pub(crate) fn backup_json(id: &str, base: &str, chain: &str, lsn: u64) -> String {
    let kind = id.rsplit('-').next().unwrap();
    format!(
        "{{\"id\":\"{id}\",\"kind\":\"{kind}\",\"chain\":\"{chain}\",\"base\":\"{base}\",\"namespace\":\"data\",\
         \"cluster\":\"shop\",\"member\":\"node3\",\"incarnation\":\"{INCARNATION}\",\"uuid\":\"{UUID}\",\"seqno\":10,\
         \"gtid\":\"0-1-10,103-1-5\",\"from_lsn\":{lsn},\"to_lsn\":{},\"version\":\"11.8.9-MariaDB-0+deb13u1 from Debian-log\",\
         \"began\":1795140000,\"ended\":1795140001,\"bytes\":7,\"data\":100,\"sha256\":\"{}\"}}\n",
        lsn + 10,
        "a".repeat(64)
    )
}

/// A binary log that was begun at a time, with transactions: number, domain, time.
pub(crate) fn binary_log(begun: i64, transactions: impl Iterator<Item = (u64, u32, i64)>) -> Vec<u8> {
    let event = |kind: u8, time: i64, body: &[u8]| {
        let size = u32::try_from(19 + body.len()).unwrap().to_le_bytes();
        let time = u32::try_from(time).unwrap().to_le_bytes();
        [time.as_slice(), &[kind], &[1, 0, 0, 0], &size, &[0; 6], body].concat()
    };
    let mut log = [b"\xfebin".as_slice(), &event(15, begun, &[0; 60])].concat();
    for (number, domain, time) in transactions {
        log.extend(event(162, time, &[number.to_le_bytes().as_slice(), &domain.to_le_bytes(), &[0; 7]].concat()));
        // What it did: bytes that look like the event of another transaction.
        log.extend(event(23, time, &event(162, time, &[9; 19])));
    }
    log
}

pub(crate) fn log_json(name: &str) -> String {
    format!(
        "{{\"name\":\"{name}\",\"incarnation\":\"{INCARNATION}\",\"uuid\":\"{UUID}\",\"from\":\"\",\"to\":\"0-1-10\",\
         \"gaps\":\"\",\"begin\":1795130000,\"end\":1795140000,\"bytes\":3,\"sha256\":\"{}\"}}\n",
        "b".repeat(64)
    )
}
