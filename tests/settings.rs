//! Settings from files, environment and flags: good ones, wrong ones, and the texts made from the table.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use galeractl::desired::{BackupTarget, NfsShare};
use galeractl::names::Member;
use galeractl::settings::{Flag, Input, SETTINGS, Settings, Source, Variant, example, load, load_from, reference};
use proptest::prelude::*;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn updating() -> bool {
    std::env::var_os("UPDATE").is_some()
}

fn from_text(text: &str) -> Result<Settings, String> {
    let source = Source { name: "galera.conf".to_owned(), bytes: text.as_bytes().to_vec() };
    load_from(&Input::default(), Some(&source)).map_err(|failure| failure.to_string())
}

/// One case of the corpus: `> ` lines are arguments, `! ` the errors, `~ ` the notices, `= ` some values that
/// result, and all other lines the file, in `[all:vars]` unless it has a header or is the `file whole`, or, as
/// `file my.cnf`, that of a server elsewhere. `\NUL` and `\CR` in it are these characters.
#[derive(Default)]
struct Case {
    title: String,
    arguments: Vec<String>,
    body: Vec<String>,
    errors: Vec<String>,
    notices: Vec<String>,
    values: Vec<String>,
}

impl Case {
    fn read(text: &str) -> Self {
        let (title, rest) = text.split_once('\n').unwrap();
        let mut case = Self { title: title.to_owned(), ..Self::default() };
        for line in rest.trim_end().lines() {
            let (list, line) = match line.split_at_checked(2) {
                Some(("> ", line)) => (&mut case.arguments, line),
                Some(("! ", line)) => (&mut case.errors, line),
                Some(("~ ", line)) => (&mut case.notices, line),
                Some(("= ", line)) => (&mut case.values, line),
                _ => (&mut case.body, line),
            };
            list.push(line.to_owned());
        }
        case
    }

    fn has(&self, argument: &str) -> bool {
        self.arguments.iter().any(|given| given == argument)
    }

    fn text(&self) -> String {
        self.body.join("\n").replace("\\NUL", "\0").replace("\\CR", "\r")
    }

    fn input(&self, folder: &Path) -> Input {
        let mut input = Input { fallback_namespace: Some("ctx".to_owned()), ..Input::default() };
        for argument in &self.arguments {
            match argument.split_once(' ').unwrap() {
                ("set", text) => input.sets.push(text.to_owned()),
                ("env", text) => {
                    let (name, value) = text.split_once('=').unwrap();
                    input.environment.push((name.to_owned(), value.to_owned()));
                }
                ("profile", text) => input.profile = Some(text.to_owned()),
                ("file", "whole") => {}
                ("file", "my.cnf") => {
                    let path = folder.join("my.cnf");
                    std::fs::write(&path, self.text()).unwrap();
                    input.my_cnf = Some(path);
                }
                ("context", text) => input.fallback_namespace = Some(text.to_owned()),
                ("nodes", text) => input.flags.push(Flag::nodes("--nodes", text)),
                ("name", text) => input.flags.push(Flag::name("--name", text)),
                ("namespace", text) => input.flags.push(Flag::namespace("-n", text)),
                (other, _) => panic!("{}: unknown argument {other}", self.title),
            }
        }
        input
    }

    fn source(&self) -> Option<Source> {
        let body = self.text();
        if body.trim().is_empty() || self.has("file my.cnf") {
            return None;
        }
        let whole = body.starts_with('[') || self.has("file whole");
        let headed = if whole { body } else { format!("[all:vars]\n{body}") };
        Some(Source { name: "galera.conf".to_owned(), bytes: headed.into_bytes() })
    }

    /// The case with the outcome that it has, its values as far as it asks for them.
    fn outcome(&self) -> String {
        let mut text = format!("{}\n", self.title);
        for argument in &self.arguments {
            let _ = writeln!(text, "> {argument}");
        }
        for line in &self.body {
            let _ = writeln!(text, "{line}");
        }
        let folder = tempfile::tempdir().unwrap();
        match load_from(&self.input(folder.path()), self.source().as_ref()) {
            Err(failure) => {
                assert_eq!(failure.kind, galeractl::error::Kind::Usage, "{}", self.title);
                for line in failure.to_string().lines() {
                    let _ = writeln!(text, "! {line}");
                }
            }
            Ok(settings) => {
                for notice in &settings.notices {
                    let _ = writeln!(text, "~ {notice}");
                }
                let rows = settings.rows(true);
                for wanted in &self.values {
                    let key = wanted.split(' ').next().unwrap();
                    let row = rows.iter().find(|row| row.key == key);
                    let shown = row.map_or_else(
                        || format!("{key} (unset)"),
                        |row| format!("{key} {} ({})", row.value, row.origin),
                    );
                    let _ = writeln!(text, "= {shown}");
                }
            }
        }
        text.replace(&format!("{}/", folder.path().display()), "")
    }
}

/// Says what the cases of `tests/corpus/settings/` lead to; `UPDATE=1` writes it into the files.
#[test]
fn corpus() {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(root().join("tests/corpus/settings")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut count = 0;
    let mut differences = String::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let mut parts = text.split("## ");
        let mut actual = parts.next().unwrap().to_owned();
        for part in parts {
            count += 1;
            let outcome = Case::read(part).outcome();
            if outcome.trim_end() != part.trim_end() {
                let _ = writeln!(differences, "expected:\n{}\nfound:\n{outcome}", part.trim_end());
            }
            let _ = writeln!(actual, "## {outcome}");
        }
        if updating() {
            std::fs::write(&file, actual.trim_end().to_owned() + "\n").unwrap();
        }
    }
    assert!(count >= 450, "only {count} cases");
    assert!(updating() || differences.is_empty(), "{differences}");
}

#[test]
fn the_documents_pks_example_is_accepted_unchanged() {
    let file = Some(root().join("examples/pks.conf"));
    let settings = load(&Input { file, ..Input::default() }).unwrap();
    let desired = &settings.desired;
    assert_eq!(settings.variant, Variant::PKS);
    assert_eq!((desired.cluster.as_str(), desired.namespace.as_str(), desired.nodes), ("pks", "web", 3));
    assert_eq!((desired.database.as_deref(), desired.user.as_deref()), (Some("drupaldb"), Some("drupal")));
    assert_eq!(desired.storage_class.as_deref(), Some("vmware-thin"));
    assert_eq!((desired.mariadb_image.as_str(), desired.haproxy_image.as_str()), ("mariadb:11.8", "haproxy:3.0"));
    let backup = desired.backup.as_ref().unwrap();
    let share = NfsShare { server: "192.168.1.107".to_owned(), path: "/idstudios-files-galera-backups".to_owned() };
    assert_eq!(backup.target, BackupTarget::Nfs(share));
    assert_eq!((backup.retention_days, backup.incremental_interval_seconds), (3, 3600));
    for password in [&settings.passwords.root, &settings.passwords.user] {
        assert_eq!(password.as_ref().unwrap().reveal(), "Fender2000");
    }
    assert_eq!(settings.notices.len(), 1, "{:?}", settings.notices);
    for key in
        ["galera_cluster_docker_image", "galera_cluster_haproxy_docker_image", "galera_cluster_backup_agent_image"]
    {
        assert!(settings.notices[0].contains(key), "{}", settings.notices[0]);
    }
}

#[test]
fn the_documents_coreos_example_is_accepted_unchanged() {
    let settings = from_text(&std::fs::read_to_string(root().join("examples/coreos.conf")).unwrap()).unwrap();
    let desired = &settings.desired;
    assert_eq!(settings.variant, Variant::COREOS);
    assert_eq!((desired.cluster.as_str(), desired.nodes, desired.node_port), ("tier1", 3, Some(30306)));
    assert_eq!(desired.iscsi.len(), 4);
    assert_eq!(desired.iscsi[&Member::Seed].iqn, "iqn.2018-04.io.idstudios:server.target0");
    assert_eq!(desired.iscsi[&Member::Node(3)].lun, 3);
    assert_eq!(desired.storage_class, None);
    assert_eq!(settings.notices.len(), 1, "{:?}", settings.notices);
}

#[test]
fn the_targetd_example_is_accepted() {
    let settings = from_text(&std::fs::read_to_string(root().join("examples/targetd.conf")).unwrap()).unwrap();
    assert_eq!(settings.variant, Variant::TARGETD);
    assert_eq!(settings.desired.storage_class.as_deref(), Some("iscsi-targetd"));
    assert_eq!(settings.desired.mysqld["max_connections"], "500");
    assert_eq!(settings.notices, [""; 0]);
}

#[test]
fn nothing_at_all_gives_a_cluster_for_any_kubernetes() {
    let settings = load_from(&Input::default(), None).unwrap();
    let desired = &settings.desired;
    assert_eq!((desired.cluster.as_str(), desired.namespace.as_str(), desired.nodes), ("galera", "default", 3));
    assert_eq!((desired.storage_class.as_deref(), desired.volume_size.as_str()), (None, "10Gi"));
    assert_eq!(settings.notices, [""; 0]);
}

#[test]
fn secrets_are_shown_only_on_request() {
    let settings = from_text("[all:vars]\ngalera_mysql_root_password=Fender2000\n").unwrap();
    let inventory = galeractl::settings::inventory::parse(b"[all:vars]\ngalera_mysql_root_password=Fender2000\n");
    let masked = [format!("{settings:?} {inventory:?}"), settings.json(false).to_string(), settings.file(false)];
    assert!(masked.iter().all(|text| !text.contains("Fender2000")), "{masked:?}");
    assert_eq!(settings.json(true)["galera_mysql_root_password"]["value"], "Fender2000");
    assert_eq!(settings.json(false)["galera_mysql_root_password"]["value"], "***");
    assert_eq!(settings.json(false)["galera_mysql_root_password"]["origin"], "galera.conf:2");
}

#[test]
fn errors_never_repeat_a_password() {
    for line in [
        "galera_mysql_password Fender2000",
        "Fender2000",
        "galera_mysql_pasword=Fender2000",
        "galera_mysql_password=\"Fender2000\\n\"",
        "galera_mysql_password=\"{{ Fender2000 }}\"",
        "galera_mysql_password=[\"Fender2000\"]",
        "galera_mysql_password={[1]: 'Fender2000'}",
    ] {
        let error = from_text(&format!("[all:vars]\n{line}\n")).unwrap_err();
        assert!(!error.contains("Fender2000"), "{error}");
        let error = from_text(&format!("[template_target]\nlocalhost {line} \"\n")).unwrap_err();
        assert!(!error.contains("Fender2000"), "{error}");
    }
    let input = Input {
        sets: vec!["Fender2000".to_owned(), "galera_mysql_password=Fender2000\u{7}".to_owned()],
        ..Input::default()
    };
    let error = load_from(&input, None).unwrap_err().to_string();
    assert!(!error.contains("Fender2000") && error.lines().count() == 2, "{error}");
}

#[test]
fn a_written_file_gives_the_same_settings() {
    for name in ["pks", "coreos", "targetd"] {
        let text = std::fs::read_to_string(root().join(format!("examples/{name}.conf"))).unwrap();
        let settings = from_text(&text).unwrap();
        let again = from_text(&settings.file(true)).unwrap();
        assert_eq!((&again.desired, &again.passwords), (&settings.desired, &settings.passwords));
        assert_eq!(again.notices, [""; 0]);
    }
}

#[test]
fn desired_survives_json() {
    let settings = from_text(&std::fs::read_to_string(root().join("examples/coreos.conf")).unwrap()).unwrap();
    let text = serde_json::to_string(&settings.desired).unwrap();
    assert_eq!(serde_json::from_str::<galeractl::desired::Desired>(&text).unwrap(), settings.desired);
    assert!(!text.contains("Fender2000"));
}

#[test]
fn example_files_load() {
    for variant in Variant::ALL {
        let settings = from_text(&example(variant)).unwrap();
        assert_eq!(settings.variant, variant);
        assert_eq!(settings.notices, [""; 0], "{variant}");
        // Every commented setting is right as well.
        for line in example(variant).lines().filter_map(|line| line.strip_prefix("#galera_")) {
            let (key, value) = line.split_once('=').unwrap();
            let set = format!("galera_{key}={value}");
            let input = Input { sets: vec![set.clone()], ..Input::default() };
            let known = load_from(&input, None).map_err(|failure| failure.to_string());
            assert!(known.is_ok() || known.as_ref().is_err_and(|e| e.contains(" needs ")), "{set}: {known:?}");
        }
    }
}

#[test]
fn profiles_are_right() {
    for variant in Variant::ALL {
        let inventory = galeractl::settings::inventory::parse(variant.profile.as_bytes()).unwrap();
        let known = |key: &String| galeractl::settings::find(key).is_some();
        assert!(inventory.vars.keys().all(known) && inventory.strays.is_empty(), "{variant}");
    }
}

#[test]
fn defaults_and_examples_are_right() {
    for setting in SETTINGS {
        setting.kind.check(&setting.example.replace("{i}", "1")).unwrap();
        if let Some(default) = setting.default {
            setting.kind.check(default).unwrap();
        }
        assert!(setting.key.starts_with("galera_") && setting.doc.ends_with('.'), "{}", setting.key);
    }
}

#[test]
fn a_missing_file_is_named() {
    let input = Input { file: Some(Path::new("no/such.conf").to_owned()), ..Input::default() };
    assert!(load(&input).unwrap_err().to_string().starts_with("no/such.conf: cannot be read: "));
}

#[test]
fn files_of_other_kinds_are_named() {
    for (text, what) in [
        ("$ANSIBLE_VAULT;1.1;AES256\n6231\n", "x.conf:1: is encrypted by ansible-vault"),
        ("all:\n  vars:\n    galera_cluster_name: shop\n", "x.conf:1: is YAML"),
        ("# shop\n\n---\ngalera_cluster_name: shop\n", "x.conf:3: is YAML"),
    ] {
        let source = Source { name: "x.conf".to_owned(), bytes: text.into() };
        let failure = load_from(&Input::default(), Some(&source)).unwrap_err().to_string();
        assert!(failure.starts_with(what), "{failure}");
    }
}

#[test]
fn what_ansible_reads_beside_an_inventory_is_told_not_to_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("galera.conf");
    std::fs::write(&file, "[all:vars]\ngalera_cluster_name=shop\n").unwrap();
    let input = Input { file: Some(file), ..Input::default() };
    assert_eq!(load(&input).unwrap().notices, Vec::<String>::new());
    std::fs::create_dir(folder.path().join("group_vars")).unwrap();
    let notices = load(&input).unwrap().notices;
    assert!(notices.len() == 1 && notices[0].starts_with("group_vars beside "), "{notices:?}");
}

/// `UPDATE=1` rewrites the page.
#[test]
fn the_reference_page_is_fresh() {
    let page = root().join("docs/reference/settings.md");
    if updating() {
        std::fs::write(&page, reference()).unwrap();
    }
    let found = std::fs::read_to_string(&page).unwrap_or_default();
    assert_eq!(found, reference(), "stale: run `UPDATE=1 cargo test --test settings`");
}

proptest! {
    #[test]
    fn random_settings_never_panic(lines in proptest::collection::vec(("[a-z_]{0,12}", any::<String>(), 0..60_usize), 0..12)) {
        let mut text = String::from("[all:vars]\n");
        for (key, value, index) in lines {
            let key = SETTINGS.get(index).map_or(key, |setting| setting.key.replace("{i}", "2"));
            let _ = writeln!(text, "{key}={value}");
        }
        let _ = from_text(&text);
    }

    #[test]
    fn accepted_settings_survive_being_written(
        nodes in 1..100_u32, gigas in 1..5000_u32, days in 1..3650_u32, hours in 1..300_u32,
        name in "[a-z]([a-z0-9-]{0,36}[a-z0-9])?", password in "[^\\pC{}]{1,60}", labels in "[a-z]{1,9}=[a-z0-9]{0,9}",
    ) {
        let sets = vec![
            format!("galera_cluster_name={name}"), format!("galera_cluster_nodes={nodes}"),
            format!("galera_cluster_volume_size={gigas}Gi"), format!("galera_cluster_node_selector={labels}"),
            "galera_cluster_backup_nfs_server=nfs".to_owned(), "galera_cluster_backup_path=/b".to_owned(),
            format!("galera_cluster_backup_retention_days={days}"),
            format!("galera_cluster_backup_incremental_interval={hours}h"),
            format!("galera_mysql_root_password={password}"),
        ];
        let settings = load_from(&Input { sets, ..Input::default() }, None).unwrap();
        prop_assert_eq!(settings.passwords.root.as_ref().unwrap().reveal(), password.as_str());
        let again = from_text(&settings.file(true)).unwrap();
        prop_assert_eq!((&again.desired, &again.passwords), (&settings.desired, &settings.passwords));
    }
}
