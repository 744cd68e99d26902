use super::*;
use proptest::prelude::*;

#[test]
fn names_follow_the_seed() {
    let c: ClusterName = "tier1".parse().unwrap();
    assert_eq!(c.claim(Member::Seed), "tier1-galera-seed-volume-claim");
    assert_eq!(c.claim(Member::Node(3)), "tier1-galera-node3-volume-claim");
    assert_eq!(c.pod(Member::Seed), "tier1-galera-seed");
    assert_eq!(c.pod(Member::Node(1)), "tier1-galera-node1-0");
    assert_eq!(c.proxy(), "tier1-galera-haproxy");
}

#[test]
fn refused_names_say_why() {
    let why = |name: &str| name.parse::<ClusterName>().unwrap_err().to_string();
    assert_eq!(why(""), "cluster name `` is empty");
    assert_eq!(why("Shop"), "cluster name `Shop` contains `S`; only a-z, 0-9 and `-` are allowed");
    assert_eq!(why("1shop"), "cluster name `1shop` does not start with a letter");
    assert_eq!(why("shop-"), "cluster name `shop-` starts or ends with `-`");
    assert!(why(&"a".repeat(39)).ends_with("has 39 characters, at most 38 are allowed"));
    assert!("node0".parse::<Member>().is_err());
}

proptest! {
    #[test]
    fn group_names_fit_and_tell_clusters_apart(a in "[a-z]{1,38}", b in "[a-z]{1,38}", ns in "[a-z]{1,63}") {
        let ns: Namespace = ns.parse().unwrap();
        let (x, y): (ClusterName, ClusterName) = (a.parse().unwrap(), b.parse().unwrap());
        prop_assert!(x.group(&ns).len() <= MAX_GROUP_NAME);
        prop_assert_eq!(x == y, x.group(&ns) == y.group(&ns));
    }

    #[test]
    fn members_round_trip(index in 1_u32..10_000) {
        let node = Member::Node(index);
        prop_assert_eq!(node.to_string().parse::<Member>().unwrap(), node);
    }
}
