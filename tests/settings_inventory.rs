//! The inventory reader against Ansible's own, and against nonsense.

use std::collections::BTreeMap;

use galeractl::settings::inventory::{Literal, parse, read, render, write};
use galeractl::settings::{Input, Source, load_from};
use proptest::prelude::*;
use serde_json::Value;

const CASES: &str = include_str!("corpus/inventory/cases.json");

fn as_json(literal: &Literal) -> Value {
    match literal {
        Literal::Text(text) => serde_json::json!({ "text": text }),
        Literal::Number(text) => serde_json::json!({ "number": text }),
        Literal::Bool(value) => serde_json::json!({ "bool": value }),
        Literal::Nothing => "nothing".into(),
        Literal::List => "list".into(),
        Literal::Dict => "dict".into(),
    }
}

/// `tests/corpus/inventory/generate.py` asks Ansible and writes the cases.
#[test]
fn files_mean_what_they_mean_to_ansible() {
    let document: Value = serde_json::from_str(CASES).unwrap();
    let cases = document["cases"].as_array().unwrap();
    assert!(cases.len() > 400, "the corpus has shrunk to {} cases", cases.len());
    let mut wrong = Vec::new();
    for case in cases {
        let text = case["text"].as_str().unwrap();
        let ours = match parse(text.as_bytes()) {
            Ok(inventory) => {
                let vars = inventory.vars.iter().map(|(key, assigned)| (key.clone(), as_json(&assigned.value)));
                Value::Object(vars.collect())
            }
            Err(broken) => {
                assert!(!broken.faults.is_empty());
                Value::Null
            }
        };
        if ours != case["vars"] && !same(&ours, &case["vars"]) {
            wrong.push(format!("--- {text}\nAnsible: {}\nours:    {ours}", case["vars"]));
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

/// Equal apart from the order of keys.
fn same(a: &Value, b: &Value) -> bool {
    let sorted = |value: &Value| Some(value.as_object()?.clone().into_iter().collect::<BTreeMap<_, _>>());
    match (sorted(a), sorted(b)) {
        (Some(a), Some(b)) => a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| a.0 == b.0 && a.1 == b.1),
        _ => false,
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn random_lines_never_panic(text in "(\\[?[a-z:]{0,6}\\]?[ =#'\"\\\\\\[\\]:]{0,3}[a-zé0-9.{}()]{0,5}\n){0,20}") {
        let _ = parse(text.as_bytes());
    }

    #[test]
    fn random_values_never_panic(text in "[-+0-9a-fejxobrun_.'\"\\\\(){}\\[\\],: #\\PC]{0,40}") {
        let _ = read(&text);
    }

    #[test]
    fn every_text_can_be_written(text in any::<String>()) {
        let literal = read(&write(&text)).unwrap();
        prop_assert_eq!(literal.text(), Some(text.as_str()));
    }

    #[test]
    fn written_files_read_back(
        vars in proptest::collection::btree_map("[a-z_]{1,12}", any::<String>(), 0..8),
        options in proptest::collection::btree_map("[a-z_]{1,12}", "[a-z0-9]{0,8}", 0..4),
    ) {
        let text = render(&vars, &options);
        let inventory = parse(text.as_bytes()).unwrap();
        let read: BTreeMap<String, String> =
            inventory.vars.iter().map(|(key, value)| (key.clone(), value.value.text().unwrap().to_owned())).collect();
        prop_assert_eq!(read, vars.into_iter().filter(|(key, _)| key != "ansible_group_priority").collect());
        let read: BTreeMap<String, String> =
            inventory.options.into_iter().map(|option| (option.name, option.value)).collect();
        prop_assert_eq!(read, options);
    }
}

#[test]
fn options_of_a_server_elsewhere_are_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("my.cnf");
    let load_with = |text: &str, own: &str| {
        std::fs::write(&path, text).unwrap();
        let source = Source { name: "galera.conf".to_owned(), bytes: own.into() };
        let input = Input { my_cnf: Some(path.clone()), ..Input::default() };
        load_from(&input, Some(&source)).map_err(|failure| failure.to_string())
    };
    let text = "[client]\nport = 3306\n[mysqld]\ndatadir = /srv/db\nskip-name-resolve\nskip-slave-start\n\
        max_connections = 500 # many\nbinlog_format = ROW\ninnodb-buffer-pool-size = 1G\n";
    let own = "[all:vars]\ngalera_cluster_name=shop\n[mysqld]\ninnodb_buffer_pool_size = 2G\n";
    let settings = load_with(text, own).unwrap();
    let options: Vec<String> = settings.desired.mysqld.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(
        options,
        [
            "binlog_format=ROW",
            "innodb_buffer_pool_size=2G",
            "max_connections=500",
            "skip_name_resolve=",
            "skip_slave_start="
        ]
    );
    assert_eq!(settings.values["mysqld.max_connections"].origin.to_string(), format!("{}:7", path.display()));
    let told: Vec<&str> =
        settings.notices.iter().filter_map(|notice| notice.split_once("my.cnf")).map(|(_, rest)| rest).collect();
    let told = told.join("\n");
    for part in [
        ": sections that servers do not read are left out: [client]",
        ":4: datadir is left out: it lies on the data volume",
    ] {
        assert!(told.contains(part), "{told}");
    }
    for (text, why) in [
        ("[mysqld]\n!includedir /etc/mysql/conf.d\n", "my.cnf:2: names other files"),
        ("[mysqld]\nmax_connection = 9\n", "my.cnf:2: [mysqld] max_connection abbreviates max_connections"),
        ("[mysqld]\ndefault_time_zone = Europe/Berlin\n", "my.cnf:2: [mysqld] default_time_zone takes no names"),
    ] {
        let failure = load_with(text, own).unwrap_err();
        assert!(failure.contains(why), "{failure}");
    }
    std::fs::remove_file(&path).unwrap();
    let input = Input { my_cnf: Some(path.clone()), ..Input::default() };
    assert!(load_from(&input, None).unwrap_err().to_string().contains("my.cnf: cannot be read: "));
}

/// What becomes of options as people have them; a real server is asked about those that are let through in `tests/kube`.
#[test]
fn every_server_option_has_its_judgement() {
    let mut count = 0;
    for line in include_str!("corpus/server_options.txt").lines().filter(|line| !line.starts_with('#')) {
        let Some((option, judgement)) = line.split_once(" | ") else { continue };
        count += 1;
        let source = Source { name: "galera.conf".to_owned(), bytes: format!("[mysqld]\n{option}\n").into() };
        let judged = load_from(&Input::default(), Some(&source)).map(|settings| settings.desired.mysqld);
        if judgement.starts_with("ok") {
            assert_eq!(judged.map(|options| options.len()).map_err(|failure| failure.to_string()), Ok(1), "{option}");
        } else {
            let refusal = judged.expect_err(option).to_string();
            assert!(refusal.starts_with("galera.conf:2: [mysqld] ") && refusal.contains(judgement), "{refusal}");
        }
    }
    assert!(count > 140, "{count}");
}
