//! What of a running cluster can be changed, and what it should be when only a part of it was said.

use serde_json::{Map, Value};

use crate::desired::Desired;

use super::quantity::thousandths;

/// A change that is not made, why, and what to do instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fixed {
    /// A sentence.
    pub why: String,
    /// What to do.
    pub hint: String,
}

/// What it is about, its value, and what to do about it.
type Same<'a> = (&'a str, &'a dyn Fn(&Desired) -> String, &'a str);

/// Everything in which a running cluster is wanted to be another, and cannot become one.
#[must_use]
pub fn fixed(before: &Desired, wanted: &Desired) -> Vec<Fixed> {
    let nodes = |desired: &Desired| desired.nodes.to_string();
    let class = |desired: &Desired| desired.storage_class.clone().unwrap_or_else(|| "the default one".to_owned());
    let size = |desired: &Desired| desired.volume_size.clone();
    let targets = |desired: &Desired| match desired.iscsi.len() {
        0 => "made by a class".to_owned(),
        _ => serde_json::to_string(&desired.iscsi).unwrap_or_default(),
    };
    let tls = |desired: &Desired| if desired.tls.is_some() { "own" } else { "off" }.to_owned();
    let image = |desired: &Desired| desired.mariadb_image.clone();
    let upgrade = format!("the way to another image is judged: galeractl upgrade --image {}", wanted.mariadb_image);
    let scale = format!("another number of nodes: galeractl scale --nodes {}", wanted.nodes);
    let volumes = "a volume stays what it was made as; form another cluster, and bring a backup into it";
    let shrink = "leave galera_cluster_volume_size as it is, since no volume becomes smaller; or form another cluster, and bring a \
         backup into it";
    let by_hand = "leave galera_cluster_volume_size as it is: no class makes these volumes, so what lies on the targets grows \
         by hand";
    let stop =
        "members with TLS and members without are strangers; stop the cluster, its volumes stay: galeractl teardown";
    let grows = |before: &Desired| {
        let sizes = thousandths(&before.volume_size).zip(thousandths(&wanted.volume_size));
        before.iscsi.is_empty() && sizes.is_some_and(|(before, wanted)| before <= wanted)
    };
    let size_hint = if before.iscsi.is_empty() { shrink } else { by_hand };
    let all: [Same<'_>; 6] = [
        ("the number of nodes is", &nodes, &scale),
        ("the image of the nodes is", &image, &upgrade),
        ("the storage class of the volumes is", &class, volumes),
        ("the size of the volumes is", &size, size_hint),
        ("the volumes are", &targets, volumes),
        ("galera_cluster_tls is", &tls, stop),
    ];
    let differs = all
        .into_iter()
        .filter(|(what, value, _)| value(before) != value(wanted) && !(what.starts_with("the size") && grows(before)));
    differs
        .map(|(what, value, hint)| Fixed {
            why: format!("{what} {}, and does not become {} while nodes run", value(before), value(wanted)),
            hint: hint.to_owned(),
        })
        .collect()
}

/// What is stored, with everything in which the wish differs from what it would be if nobody had said anything.
#[must_use]
pub fn rebased(stored: &Value, unsaid: &Value, wish: &Value) -> Value {
    if wish == unsaid {
        return stored.clone();
    }
    let (Value::Object(stored), Value::Object(unsaid), Value::Object(wish)) = (stored, unsaid, wish) else {
        return wish.clone();
    };
    let mut result: Map<String, Value> = stored.clone();
    for (key, wish) in wish {
        let unsaid = unsaid.get(key).unwrap_or(&Value::Null);
        let value = rebased(stored.get(key).unwrap_or(&Value::Null), unsaid, wish);
        if stored.contains_key(key) || !value.is_null() {
            result.insert(key.clone(), value);
        }
    }
    Value::Object(result)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::{IscsiTarget, Tls};
    use crate::names::Member;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn what_a_volume_was_made_as_stays() {
        let before = crate::desired::tests::desired("c", 3);
        assert_eq!(fixed(&before, &before), []);
        let free = Desired {
            haproxy_image: "haproxy:3.2".to_owned(),
            gcache_size: "1G".to_owned(),
            proxy_replicas: 3,
            ..before.clone()
        };
        assert_eq!(fixed(&before, &free), []);
        let all = Desired {
            nodes: 5,
            mariadb_image: "mariadb:11.8.4".to_owned(),
            storage_class: Some("fast".to_owned()),
            volume_size: "5Gi".to_owned(),
            tls: Some(Tls::default()),
            ..before.clone()
        };
        let found = fixed(&before, &all);
        assert_eq!(found.len(), 5, "{found:?}");
        let larger = |before: &Desired| fixed(before, &Desired { volume_size: "20480Mi".to_owned(), ..before.clone() });
        assert_eq!(larger(&before), [], "volumes grow");
        let target = IscsiTarget { portal: "p:3260".to_owned(), iqn: "iqn".to_owned(), lun: 1 };
        let by_hand = Desired { iscsi: [(Member::Node(1), target)].into(), ..before.clone() };
        assert!(larger(&by_hand)[0].hint.contains("by hand"));
        assert_eq!(found[0].why, "the number of nodes is 3, and does not become 5 while nodes run");
    }

    #[test]
    fn what_was_not_said_stays_as_it_is_stored() {
        let stored = json!({"a": 1, "b": {"x": 1, "y": 2}, "c": [1]});
        let unsaid = json!({"a": 0, "b": {}, "c": []});
        assert_eq!(rebased(&stored, &unsaid, &unsaid), stored);
        let wish = json!({"a": 0, "b": {"y": 3, "z": 4}, "c": [], "d": null});
        assert_eq!(rebased(&stored, &unsaid, &wish), json!({"a": 1, "b": {"x": 1, "y": 3, "z": 4}, "c": [1]}));
    }

    proptest! {
        #[test]
        fn a_wish_about_one_thing_changes_one_thing(nodes in 1..9_u32, replicas in 1..9_u32, size in 1..9_u32) {
            let value = |desired: &Desired| serde_json::to_value(desired).unwrap();
            let unsaid = crate::desired::tests::desired("c", 3);
            let stored = Desired { nodes, gcache_size: format!("{size}G"), ..unsaid.clone() };
            let wish = Desired { proxy_replicas: replicas, ..unsaid.clone() };
            let result: Desired =
                serde_json::from_value(rebased(&value(&stored), &value(&unsaid), &value(&wish))).unwrap();
            let replicas = if replicas == unsaid.proxy_replicas { stored.proxy_replicas } else { replicas };
            prop_assert_eq!(value(&result), value(&Desired { proxy_replicas: replicas, ..stored }));
        }
    }
}
