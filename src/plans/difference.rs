//! Where two versions of an object differ, field by field.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use similar::{ChangeTag, TextDiff};

/// One field that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Where it is, such as `spec.containers[mariadb].image`.
    pub path: String,
    /// What it is now; `None` where it is missing.
    pub live: Option<Value>,
    /// What it should be; `None` where it should be missing.
    pub wanted: Option<Value>,
}

/// What the API server keeps for itself.
const NOT_OURS: [&str; 7] = [
    "status",
    "metadata.managedFields",
    "metadata.resourceVersion",
    "metadata.generation",
    "metadata.uid",
    "metadata.creationTimestamp",
    "metadata.selfLink",
];

/// All fields in which two versions of an object differ, in the order of the fields.
#[must_use]
pub fn differences(live: &Value, wanted: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare("", Some(live), Some(wanted), &mut found);
    found
}

/// The fields that `wanted` names and `live` has otherwise; what only `live` has, the API server may have added.
#[must_use]
pub fn unmet(live: &Value, wanted: &Value) -> Vec<Difference> {
    differences(live, wanted).into_iter().filter(|difference| difference.wanted.is_some()).collect()
}

fn compare(path: &str, live: Option<&Value>, wanted: Option<&Value>, found: &mut Vec<Difference>) {
    if live == wanted || NOT_OURS.contains(&path) {
        return;
    }
    match (live, wanted) {
        (Some(Value::Object(live)), Some(Value::Object(wanted))) => fields(path, live, wanted, found),
        (Some(Value::Array(live)), Some(Value::Array(wanted))) => items(path, live, wanted, found),
        _ => found.push(Difference { path: path.to_owned(), live: live.cloned(), wanted: wanted.cloned() }),
    }
}

fn fields(path: &str, live: &Map<String, Value>, wanted: &Map<String, Value>, found: &mut Vec<Difference>) {
    let added = wanted.keys().filter(|key| !live.contains_key(*key));
    for key in live.keys().chain(added) {
        let path = match (path, key.contains(['.', '/'])) {
            ("", _) => key.clone(),
            (path, true) => format!("{path}[{key}]"),
            (path, false) => format!("{path}.{key}"),
        };
        compare(&path, live.get(key), wanted.get(key), found);
    }
}

/// Items with names are compared by name, all others by place.
fn items(path: &str, live: &[Value], wanted: &[Value], found: &mut Vec<Difference>) {
    let names = |items: &[Value]| -> Option<Vec<String>> {
        let names: Option<Vec<String>> =
            items.iter().map(|item| item.get("name")?.as_str().map(str::to_owned)).collect();
        names.filter(|names| names.iter().collect::<BTreeSet<_>>().len() == names.len())
    };
    let (Some(live_names), Some(wanted_names)) = (names(live), names(wanted)) else {
        for index in 0..live.len().max(wanted.len()) {
            compare(&format!("{path}[{index}]"), live.get(index), wanted.get(index), found);
        }
        return;
    };
    let place = |names: &[String], name: &str| names.iter().position(|known| known == name);
    let added = wanted_names.iter().filter(|name| !live_names.contains(name));
    for name in live_names.iter().chain(added) {
        let item = |items: &'_ [Value], names: &[String]| place(names, name).map(|index| items[index].clone());
        let (before, after) = (item(live, &live_names), item(wanted, &wanted_names));
        compare(&format!("{path}[{name}]"), before.as_ref(), after.as_ref(), found);
    }
}

impl Difference {
    /// One line, or for longer texts the lines that go and come. Values under `data` of a Secret are to be masked
    /// before.
    #[must_use]
    pub fn describe(&self) -> String {
        if let (Some(Value::String(live)), Some(Value::String(wanted))) = (&self.live, &self.wanted)
            && (live.contains('\n') || wanted.contains('\n'))
        {
            return format!("{}:\n{}", self.path, lines(live, wanted));
        }
        format!("{}: {} → {}", self.path, short(self.live.as_ref()), short(self.wanted.as_ref()))
    }
}

fn lines(live: &str, wanted: &str) -> String {
    let diff = TextDiff::from_lines(live, wanted);
    let changed = diff.iter_all_changes().filter_map(|change| match change.tag() {
        ChangeTag::Delete => Some(format!("  - {}", change.value().trim_end())),
        ChangeTag::Insert => Some(format!("  + {}", change.value().trim_end())),
        ChangeTag::Equal => None,
    });
    changed.collect::<Vec<_>>().join("\n")
}

fn short(value: Option<&Value>) -> String {
    const MOST: usize = 200;
    let Some(value) = value else { return "(none)".to_owned() };
    // On one line, whatever it is.
    let text = value.as_str().map_or_else(|| value.to_string(), |text| text.replace('\n', "\\n"));
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn told(live: &Value, wanted: &Value) -> Vec<String> {
        differences(live, wanted).iter().map(Difference::describe).collect()
    }

    #[test]
    fn fields_are_named_by_their_path_and_items_by_their_name() {
        let live = json!({
            "metadata": {"generation": 3, "labels": {"a/b": "1"}},
            "spec": {"replicas": 2, "containers": [{"name": "a", "image": "x:1"}, {"name": "b"}], "args": [1, 2]},
            "status": {"ready": 1},
        });
        let wanted = json!({
            "metadata": {"labels": {"a/b": "2"}},
            "spec": {"replicas": 3, "containers": [{"name": "b"}, {"name": "a", "image": "x:2"}], "args": [1]},
        });
        assert_eq!(
            told(&live, &wanted),
            [
                "metadata.labels[a/b]: 1 → 2",
                "spec.replicas: 2 → 3",
                "spec.containers[a].image: x:1 → x:2",
                "spec.args[1]: 2 → (none)"
            ]
        );
        let unmet: Vec<String> = unmet(&live, &wanted).into_iter().map(|difference| difference.path).collect();
        assert_eq!(unmet, ["metadata.labels[a/b]", "spec.replicas", "spec.containers[a].image"]);
    }

    #[test]
    fn texts_differ_by_lines() {
        let (live, wanted) = (json!({"data": {"f": "a\nb\n"}}), json!({"data": {"f": "a\nc\n"}}));
        assert_eq!(told(&live, &wanted), ["data.f:\n  - b\n  + c"]);
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![any::<bool>().prop_map(Value::from), "[a-c]{0,2}".prop_map(Value::from)];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-c]|name", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// A value never differs from itself, and two that differ are told so, order of named items aside.
        #[test]
        fn equal_is_quiet_and_different_is_not(a in values(), b in values()) {
            prop_assert_eq!(differences(&a, &a), vec![]);
            prop_assert_eq!(differences(&a, &b).len(), differences(&b, &a).len());
        }
    }
}
