//! A stage for the scripts: a volume, the folders of a pod, and programs that stand for the real ones.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use galeractl::manifests::scripts::MEMBER;
use tempfile::TempDir;

/// Two histories, and none.
pub(crate) const A: &str = "aaaaaaaa-1111-4222-8333-444444444444";
pub(crate) const B: &str = "bbbbbbbb-1111-4222-8333-444444444444";
pub(crate) const ZERO: &str = "00000000-0000-0000-0000-000000000000";
pub(crate) const GROUP: &str = "ns.demo";
pub(crate) const POD: &str = "pod-1";

const PATIENCE: Duration = Duration::from_secs(60);

/// Programs on PATH, by name. What they are to do lies in files under $STUB.
const PROGRAMS: [(&str, &str); 10] = [
    // Peers answer from files; whatever else has a time limit is run without one.
    (
        "timeout",
        r#"case "$*" in
*/dev/tcp/*) for host; do :; done
  echo "$host" >>"$STUB/asked"
  case "$*" in *4567*) [ -e "$STUB/open/$host" ]; exit;; esac
  cat "$STUB/peers/$host" 2>/dev/null; exit;;
esac
case $1 in --signal=*)
  shift
  left=$(cat "$STUB/hangs" 2>/dev/null || echo 0)
  [ "$left" = 0 ] || { echo $((left - 1)) >"$STUB/hangs"; exit 137; };;
esac
shift; exec "$@""#,
    ),
    (
        "mariadbd",
        r#"for word; do case $word in --help) options=1;; --wsrep-recover) recover=1;; --log-error=*) log=${word#*=};;
  --init-file=*) first=1;; esac; done
if [ -n "${options:-}" ]; then
  [ ! -e "$STUB/objects" ] || exec sh "$STUB/objects" "$@"
  exit 0
fi
if [ -n "${recover:-}" ]; then
  [ ! -e "$STUB/position" ] || printf '1 [Note] WSREP: Recovered position: %s\n' "$(cat "$STUB/position")" >"$log"
  exit 0
fi
if [ -n "${first:-}" ]; then
  cp "$RUN/seed.sql" "$STUB/seed.sql"
  printf '%s\n' "$*" >>"$STUB/first"
  [ ! -e "$STUB/no-first" ] || exit 1
  printf 'uuid:    aaaaaaaa-1111-4222-8333-444444444444\nseqno:   1\nsafe_to_bootstrap: 1\n' >"$VOLUME/data/grastate.dat"
  trap 'exit 0' TERM
  echo 'mariadbd: ready for connections.'
  echo 'WSREP: Synchronized with group, ready for connections'
  sleep 600 & wait
fi
printf '%s\n' "$*" >>"$STUB/started"; exit 1"#,
    ),
    ("mariadb", r#"[ ! -e "$STUB/rows" ] || cat "$STUB/rows"; exit "$(cat "$STUB/code" 2>/dev/null || echo 0)""#),
    (
        "mariadb-install-db",
        r#"[ ! -e "$STUB/no-install" ] || exit 1
mkdir -p "$VOLUME/data/mysql" && echo new >"$VOLUME/data/ibdata1""#,
    ),
    ("wsrep_sst_mariabackup", "sleep 10\necho stock"),
    ("wsrep_sst_common", ":"),
    // Whoever asks the seed for its copy gets what lies there.
    ("socat", r#"case "$*" in *TCP:*:4444*) exec cat "$STUB/copy";; esac; exec sleep 600"#),
    ("zstd", "exec cat"),
    ("getent", r#"[ ! -e "$STUB/no-seed" ]"#),
    ("nproc", "echo 2"),
];

pub(crate) struct Stage {
    dir: TempDir,
}

/// How a script ended.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl std::fmt::Display for Done {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "code {:?}\n{}\n{}", self.code, self.out, self.err)
    }
}

impl Stage {
    pub(crate) fn new() -> Self {
        let stage = Self { dir: tempfile::Builder::new().prefix("scripts").tempdir().unwrap() };
        for folder in ["volume", "run", "state", "secrets", "stub/peers", "stub/bin", "root/usr/lib/galera"] {
            fs::create_dir_all(stage.path(folder)).unwrap();
        }
        stage.write("root/usr/lib/galera/libgalera_smm.so", "");
        stage.write("state/wanted", "demo-galera-node1\ndemo-galera-node2\ndemo-galera-node3\n");
        for key in ["root-password", "galeractl-password", "user-password"] {
            stage.write(&format!("secrets/{key}"), "secret");
        }
        for (name, text) in MEMBER {
            stage.write(&format!("scripts/{name}"), text);
        }
        stage.write("scripts/server.cnf", "[mysqld]\nwsrep_provider_options=\"pc.wait_prim_timeout=PT5M\"\n");
        for (name, text) in PROGRAMS {
            stage.program(name, text);
        }
        stage
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn volume(&self) -> PathBuf {
        self.path("volume")
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        put(self.dir.path(), name, text);
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.path(name).symlink_metadata().is_ok()
    }

    pub(crate) fn program(&self, name: &str, text: &str) {
        let place = self.path("stub/bin").join(name);
        // Closed before it is run: a file that somebody writes cannot be executed.
        fs::write(&place, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&place, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// What a peer answers to `/state`.
    pub(crate) fn peer(&self, name: &str, answer: &str) {
        self.write(&format!("stub/peers/demo-galera-{name}.test"), answer);
    }

    /// `bash ARGS` in the pod of node1, or of whoever `env` names.
    fn command(&self, args: &[&str], env: &[(&str, &str)]) -> Command {
        let mut command = Command::new("bash");
        let path = format!("{}:{}", self.path("stub/bin").display(), std::env::var("PATH").unwrap());
        command.args(args).current_dir(self.dir.path()).env("PATH", path).process_group(0).stdin(Stdio::null());
        for (name, folder) in [
            ("VOLUME", "volume"),
            ("RUN", "run"),
            ("STATE", "state"),
            ("SCRIPTS", "scripts"),
            ("SECRETS", "secrets"),
            ("STUB", "stub"),
            ("ROOT", "root"),
            ("REPORTS", "reports"),
            ("CANARY", "canary"),
        ] {
            command.env(name, self.path(folder));
        }
        command.envs([
            ("GALERA_MEMBER", "node1"),
            ("GALERA_NODE_NAME", "demo-galera-node1"),
            ("GALERA_SEED_NAME", "demo-galera-seed"),
            ("GALERA_GROUP", GROUP),
            ("GALERA_DOMAIN", "test"),
            ("GALERA_DATABASE", ""),
            ("GALERA_USER", ""),
            ("HOSTNAME", "Demo-Seed"),
            ("POD_IP", "10.0.0.1"),
            ("POD_UID", POD),
            ("LC_ALL", "C.UTF-8"),
        ]);
        command.envs(env.iter().copied());
        command
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, args: &[&str], env: &[(&str, &str)]) -> Done {
        let mut running = self.start(args, env);
        let code = wait_for("the script to end", || running.child.try_wait().unwrap());
        Done { code: code.code(), out: running.out(), err: running.err() }
    }

    /// `bash -c` with the parts of the scripts that `parts` names in front of `code`.
    pub(crate) fn sourced(&self, parts: &[&str], code: &str, env: &[(&str, &str)]) -> Done {
        let parts = parts.iter().map(|part| format!(". \"$SCRIPTS/{part}.sh\"; ")).collect::<Vec<_>>().concat();
        self.run(&["-c", &format!("set -uo pipefail; {parts}{code}")], env)
    }

    pub(crate) fn start(&self, args: &[&str], env: &[(&str, &str)]) -> Running {
        let outputs = [".out", ".err"].map(|ending| {
            let file = tempfile::Builder::new().suffix(ending).tempfile_in(self.path("stub")).unwrap();
            file.keep().unwrap()
        });
        let [(out, out_path), (err, err_path)] = outputs;
        let child = self.command(args, env).stdout(out).stderr(err).spawn().unwrap();
        Running { child, out_path, err_path }
    }

    /// Everything on the volume except the lock.
    pub(crate) fn tree(&self) -> Tree {
        let mut tree = tree(&self.volume());
        tree.remove("lock");
        tree
    }

    /// Nothing that lies on a volume may ever be run.
    pub(crate) fn assert_unharmed(&self) {
        assert!(!self.has("canary") && !self.has("volume/canary"), "something on the volume was taken for a command");
    }
}

/// A script that runs, with all its children in one process group.
pub(crate) struct Running {
    pub(crate) child: Child,
    out_path: PathBuf,
    err_path: PathBuf,
}

impl Running {
    pub(crate) fn out(&self) -> String {
        lossy(&self.out_path)
    }

    pub(crate) fn err(&self) -> String {
        lossy(&self.err_path)
    }

    pub(crate) fn ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
        let _ = self.child.wait();
    }
}

fn lossy(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned()
}

/// Whether tables are gone through with each value of one column beside each of all others, and not only in pairs.
pub(crate) fn everything() -> bool {
    std::env::var_os("EVERY_CASE").is_some()
}

/// Asks until there is an answer.
pub(crate) fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(3));
    }
}

/// Writes a file and the folders that it lies in.
pub(crate) fn put(root: &Path, name: &str, text: impl AsRef<[u8]>) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut file = fs::File::create(path).unwrap();
    file.write_all(text.as_ref()).unwrap();
}

/// What lies where: contents of files, targets of links, and `/` for folders.
pub(crate) type Tree = BTreeMap<String, Vec<u8>>;

pub(crate) fn tree(root: &Path) -> Tree {
    let mut found = Tree::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            let kind = path.symlink_metadata().unwrap().file_type();
            let text = if kind.is_symlink() {
                fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
            } else if kind.is_dir() {
                folders.push(path);
                b"/".to_vec()
            } else {
                fs::read(&path).unwrap()
            };
            found.insert(name, text);
        }
    }
    found
}

/// The reports of one event in what a script has printed.
pub(crate) fn reports(text: &str, event: &str) -> Vec<galeractl::wsrep::Report> {
    text.lines().filter_map(galeractl::wsrep::Report::parse).filter(|report| report.event == event).collect()
}
