use super::*;
use proptest::prelude::*;
use serde_json::json;

fn variable(kind: &str, value: &str) -> Variable {
    let text = str::to_owned;
    Variable {
        value: Some(text(value)),
        kind: text(kind),
        scope: text("GLOBAL"),
        origin: text("CONFIG"),
        read_only: false,
    }
}

fn values(pairs: &[(&str, &str)]) -> Values {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned()))).collect()
}

fn variables(all: &[(&str, Variable)]) -> BTreeMap<String, Variable> {
    all.iter().map(|(name, variable)| ((*name).to_owned(), variable.clone())).collect()
}

fn ways(began: &[(&str, &str)], next: &[(&str, &str)], known: &[(&str, Variable)]) -> Vec<(String, Way)> {
    let readings = Readings { began: values(began), next: values(next), ..Readings::default() };
    settings(&readings, &variables(known)).into_iter().map(|setting| (setting.name, setting.way)).collect()
}

#[test]
fn each_variable_goes_its_own_way() {
    let session = Variable { scope: "SESSION".to_owned(), ..variable("BIGINT UNSIGNED", "100") };
    let fixed = Variable { read_only: true, ..variable("BIGINT UNSIGNED", "1") };
    let derived = Variable { origin: "AUTO".to_owned(), ..fixed.clone() };
    let of_connection = Variable { scope: "SESSION ONLY".to_owned(), ..variable("INT", "1") };
    let cases = [
        ("max_connections", variable("BIGINT UNSIGNED", "151"), Way::Live),
        ("sort_buffer_size", session, Way::NewConnections),
        ("back_log", derived, Way::ByItself),
        ("innodb_log_files", fixed, Way::Restart("only a start can set it")),
        ("wsrep_retry_autocommit", variable("INT", "1"), Way::Restart("the group is formed with it")),
        ("pseudo", of_connection, Way::Restart("it has no global value")),
    ];
    for (name, known, way) in cases {
        assert_eq!(ways(&[(name, "1")], &[(name, "2")], &[(name, known)]), [(name.to_owned(), way)]);
    }
    let nowhere = ways(&[("bare", "1")], &[("bare", "2")], &[]);
    assert_eq!(nowhere, [("bare".to_owned(), Way::Restart("it is no variable of a running server"))]);
    assert_eq!(ways(&[("version", "1")], &[("version", "1-log")], &[]), []);
    let gone = ways(&[("a", "1")], &[], &[("a", variable("INT", "1"))]);
    assert_eq!(gone, [("a".to_owned(), Way::Restart("only a start knows its default"))]);
    let text =
        ways(&[("init_connect", "")], &[("init_connect", "SET @a='1'")], &[("init_connect", variable("VARCHAR", ""))]);
    assert_eq!(text, [("init_connect".to_owned(), Way::Restart("its value cannot stand in a statement"))]);
}

#[test]
fn the_buffer_pool_has_a_bound_and_goes_by_pieces() {
    let known = |size: &str, piece: &str| {
        let size = [("innodb_buffer_pool_size", variable("BIGINT UNSIGNED", size))];
        let rest = [("innodb_buffer_pool_size_max", "1000000000"), ("innodb_buffer_pool_chunk_size", piece)];
        [size.to_vec(), rest.map(|(name, value)| (name, variable("BIGINT UNSIGNED", value))).to_vec()].concat()
    };
    let to = |size: &str| ways(&[(POOL, "134217728")], &[(POOL, size)], &known("134217728", "0"));
    assert_eq!(to("268435456"), [(POOL.to_owned(), Way::Live)]);
    assert_eq!(to("1000000001"), [(POOL.to_owned(), Way::Restart("it is above innodb_buffer_pool_size_max"))]);
    assert!(is_at(POOL, Some("200000000"), &variables(&known("199229440", "0"))));
    assert!(!is_at(POOL, Some("200000000"), &variables(&known("268435456", "0"))));
    assert!(is_at(POOL, Some("200000000"), &variables(&known("268435456", "134217728"))));
}

#[test]
fn what_was_set_before_is_compared_with_what_is_wanted_now() {
    let readings = |set: &[&str]| Readings {
        began: values(&[("a", "1"), ("b", "1")]),
        next: values(&[("a", "1"), ("b", "1")]),
        set: set.iter().map(|name| (*name).to_owned()).collect(),
        arrived: false,
    };
    let known = variables(&[("a", variable("INT", "7")), ("b", variable("INT", "1"))]);
    assert_eq!(settings(&readings(&[]), &known), [], "what somebody has set by hand is nobody else's business");
    let found = settings(&readings(&["a", "b"]), &known);
    assert_eq!(found.iter().map(|found| (found.name.as_str(), found.to.as_str())).collect::<Vec<_>>(), [("a", "1")]);
}

#[test]
fn values_are_the_same_whatever_their_spelling() {
    for (kind, one, other) in [
        ("BOOLEAN", "ON", "TRUE"),
        ("BOOLEAN", "OFF", "0"),
        ("DOUBLE", "10.000000", "10"),
        ("BIGINT UNSIGNED", "18446744073709551615", "18446744073709551615"),
        ("SET", "A,B", "b,a"),
        ("ENUM", "Utc", "UTC"),
    ] {
        assert!(is_same(kind, Some(one), Some(other)), "{kind} {one} {other}");
    }
    for (kind, one, other) in [("BOOLEAN", "x", "y"), ("DOUBLE", "1.5", "1.6"), ("VARCHAR", "a", "A"), ("INT", "", "0")]
    {
        assert!(!is_same(kind, Some(one), Some(other)), "{kind} {one} {other}");
    }
    assert!(is_same("VARCHAR", None, Some("")));
}

#[test]
fn a_statement_holds_what_it_should() {
    let setting = |name: &str, kind: &str, to: &str| Setting {
        name: name.to_owned(),
        from: String::new(),
        to: to.to_owned(),
        way: Way::Live,
        kind: kind.to_owned(),
    };
    let text = |name, kind, to| statement(&setting(name, kind, to));
    assert_eq!(text("slow_query_log", "BOOLEAN", "TRUE").unwrap(), "SET GLOBAL slow_query_log = ON");
    assert_eq!(text("a", "BIGINT", "-5").unwrap(), "SET GLOBAL a = -5");
    assert_eq!(text("long_query_time", "DOUBLE", "1.5").unwrap(), "SET GLOBAL long_query_time = 1.5");
    assert_eq!(text("sql_mode", "SET", "").unwrap(), "SET GLOBAL sql_mode = ''");
    for (name, kind, to) in [
        ("a b", "INT", "1"),
        ("a", "INT", "1; DROP"),
        ("a", "VARCHAR", "it's"),
        ("a", "DOUBLE", "nan"),
        ("a", "ENUM", "a\nb"),
    ] {
        assert_eq!(text(name, kind, to), None, "{name} {to}");
    }
}

#[test]
fn templates_and_files_are_alike_but_for_the_options() {
    let template = |sum: Option<&str>, image: &str| json!({"metadata": {"annotations": sum.map_or(json!({}), |sum| json!({"galeractl.dev/config": sum}))}, "image": image});
    let alike = |before: &Value, after: &Value| only_config_differs(before, after, "galeractl.dev/config");
    assert!(alike(&template(Some("1"), "a"), &template(Some("2"), "a")));
    assert!(alike(&template(Some("1"), "a"), &template(Some("1"), "a")));
    assert!(!alike(&template(Some("1"), "a"), &template(Some("2"), "b")));
    assert!(!alike(&template(Some("1"), "a"), &template(None, "a")));
    assert!(only_options_differ("[mysqld]\na=1\n\n[sst]\nb\n", "[mysqld]\na=2\n\n[sst]\nb\n"));
    assert!(!only_options_differ("[mysqld]\na=1\n\n[sst]\nb\n", "[mysqld]\na=1\n\n[sst]\nc\n"));
}

#[test]
fn a_table_is_read_and_half_a_table_is_not() {
    let many = |part: &str| (0..400).map(|number| format!("o-{number} {part}\n")).collect::<Vec<_>>().concat();
    let text = format!(
        "== file same\n== set\nmax_connections\n== began\n{}empty-one      \nNone-such   (No default value)\n== next\n{}",
        many("1"),
        many("2")
    );
    let read = |text: &str| super::read(text);
    let readings = read(&text).unwrap();
    assert!(readings.arrived && readings.set.contains("max_connections"));
    assert_eq!(readings.began["o_7"], Some("1".to_owned()));
    assert_eq!((&readings.began["empty_one"], &readings.began["none_such"]), (&Some(String::new()), &None));
    assert!(!read(&text.replace("file same", "file other")).unwrap().arrived);
    assert!(read(&text[..text.len() / 2]).is_err() && read("").is_err());
}

proptest! {
    /// What is set is what a start would give, and nothing that a start would not change is touched.
    #[test]
    fn a_server_comes_to_what_a_start_would_give(
        before in prop::collection::btree_map("[a-e]", 0..3_u8, 0..5),
        after in prop::collection::btree_map("[a-e]", 0..3_u8, 0..5),
        running in prop::collection::btree_map("[a-e]", 0..3_u8, 0..5),
    ) {
        let values = |map: &BTreeMap<String, u8>| -> Values {
            map.iter().map(|(name, value)| (name.clone(), Some(value.to_string()))).collect()
        };
        let known: BTreeMap<String, Variable> =
            running.iter().map(|(name, value)| (name.clone(), variable("INT", &value.to_string()))).collect();
        let readings = Readings { began: values(&before), next: values(&after), ..Readings::default() };
        let found = settings(&readings, &known);
        let mut left = known.clone();
        for setting in &found {
            prop_assert!(before.get(&setting.name) != after.get(&setting.name));
            if setting.way == Way::Live {
                prop_assert!(statement(setting).is_some());
                left.get_mut(&setting.name).unwrap().value = Some(setting.to.clone());
            }
        }
        // Once more, and there is nothing left but what only a restart can do.
        prop_assert!(settings(&readings, &left).iter().all(|left| matches!(left.way, Way::Restart(_))));
    }
}
