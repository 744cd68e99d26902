use super::*;
use crate::gates::group::tests::{desired, healthy};
use crate::names::Member::{Node, Seed};
use crate::observed::{ClaimView, PodView, ProxyView, SqlSilence};
use crate::wsrep::{Uuid, WsrepStatus};

/// A healthy cluster of three with everything around it.
pub(super) struct World {
    desired: Desired,
    record: Record,
    observed: Observed,
    proof: Proof,
    accounts: BTreeMap<String, Result<(), NoLogin>>,
    pub(super) content: Content,
    proxies: BTreeMap<String, Result<Vec<Backend>, String>>,
    leftovers: Vec<String>,
    exposures: Vec<Exposed>,
    certificates: certificates::Ends,
    walls: network::Walls,
}

impl World {
    pub(super) fn new() -> Self {
        let desired = desired(3);
        let nodes: Vec<Member> = desired.members().collect();
        let mut observed = healthy(&nodes);
        let uuid = observed.members[&Node(1)].status().unwrap().uuid;
        observed.proxy = ProxyView { exists: true, wanted: 2, available: 2, ..ProxyView::default() };
        let bound = ClaimView { phase: "Bound".to_owned(), recorded: Some(uuid), ..ClaimView::default() };
        observed.claims = nodes.iter().map(|node| (desired.cluster.claim(*node), bound.clone())).collect();
        let backend = |member: &Member| Backend {
            member: *member,
            up: true,
            check: "L7OK 200".to_owned(),
            address: String::new(),
        };
        let fast = Duration::from_millis(3);
        Self {
            record: Record { formed: true, uuid: Some(uuid) },
            proof: Proof {
                through_proxy: Some(Ok(fast)),
                at_nodes: BTreeMap::new(),
                left: None,
                read: nodes.iter().map(|node| (*node, Ok(fast))).collect(),
            },
            proxies: [("p1".to_owned(), Ok(nodes.iter().map(backend).collect()))].into(),
            accounts: [("root".to_owned(), Ok(()))].into(),
            content: Content {
                tables: Some(Ok(content::Tables::default())),
                events: nodes.iter().map(|node| (*node, Ok(Vec::new()))).collect(),
            },
            leftovers: Vec::new(),
            exposures: Vec::new(),
            certificates: certificates::Ends::new(),
            walls: network::Walls::new(),
            desired,
            observed,
        }
    }

    fn status(&mut self, member: Member) -> &mut WsrepStatus {
        self.observed.members.get_mut(&member).unwrap().sql.as_mut().unwrap().as_mut().unwrap()
    }

    fn checks(&self) -> Vec<Check> {
        let case = Case {
            desired: &self.desired,
            record: &self.record,
            observed: &self.observed,
            proof: &self.proof,
            accounts: &self.accounts,
            content: &self.content,
            proxies: &self.proxies,
            leftovers: &self.leftovers,
            exposures: &self.exposures,
            certificates: &self.certificates,
            walls: &self.walls,
            backups: None,
            backup_key: None,
            now: Timestamp::UNIX_EPOCH,
        };
        run(&case)
    }

    pub(super) fn check(&self, id: &str) -> Check {
        self.checks().into_iter().find(|check| check.id == id).unwrap()
    }

    /// A node whose pod is gone.
    fn stop(&mut self, node: Member) {
        self.observed.members.remove(&node);
        if let Some(read) = self.proof.read.get_mut(&node) {
            *read = Err(Unread::Silent("nobody listens".to_owned()));
        }
    }

    fn outside(&mut self, node: Member) {
        let status = self.status(node);
        "non-Primary".clone_into(&mut status.cluster_status);
        status.ready = false;
        status.state = 0;
        status.conf_id = None;
        status.members.clear();
    }

    /// Ids of the checks that failed, and those that warned.
    fn failed(&self) -> (Vec<&'static str>, Vec<&'static str>) {
        let checks = self.checks();
        let with =
            |mark: Mark| checks.iter().filter(|check| check.mark == mark).map(|check| check.id).collect::<Vec<_>>();
        let judged = |check: &&Check| matches!(check.mark, Mark::Fail | Mark::Warning);
        assert!(checks.iter().filter(judged).all(|check| check.hint.as_ref().is_some_and(|hint| !hint.is_empty())));
        (with(Mark::Fail), with(Mark::Warning))
    }
}

#[test]
fn a_healthy_cluster_passes() {
    assert_eq!(World::new().failed(), (vec![], vec![]));
}

#[test]
fn what_runs_with_something_of_before_is_named_with_the_verb_that_mends_it() {
    let mut world = World::new();
    let sum = crate::manifests::config::config_sum(&world.desired);
    for view in world.observed.members.values_mut() {
        view.pod.image = Some(world.desired.mariadb_image.clone());
        (view.pod.outdated, view.pod.config) = (Some(false), Some(sum.clone()));
    }
    assert_eq!(world.check("settings-current").mark, Mark::Pass);
    world.observed.members.get_mut(&Node(1)).unwrap().pod.outdated = Some(true);
    world.observed.members.get_mut(&Node(3)).unwrap().pod.config = Some("0".to_owned());
    world.observed.proxy.outdated = vec!["c-galera-haproxy-1".to_owned()];
    let check = world.check("settings-current");
    assert_eq!(check.mark, Mark::Warning);
    let wanted = "node1: its pod is of an earlier template; node3: its scripts or server options are of another galeractl; \
        c-galera-haproxy-1: its image or configuration is another";
    assert_eq!(check.evidence, wanted);
    assert!(check.hint.unwrap().ends_with("galeractl apply"));
    world.observed.members.get_mut(&Node(2)).unwrap().pod.image = Some("mariadb:11.4".to_owned());
    let check = world.check("settings-current");
    assert!(check.evidence.contains("node2: its image is mariadb:11.4"), "{}", check.evidence);
    let hint = check.hint.unwrap();
    assert!(hint.ends_with(&format!("galeractl upgrade --image {}", world.desired.mariadb_image)), "{hint}");
}

#[test]
fn a_node_that_is_down_leaves_questions_open_and_blames_no_row() {
    let mut world = World::new();
    let view = world.observed.members.get_mut(&Node(3)).unwrap();
    view.pod = PodView { exists: true, phrase: "container is restarted".to_owned(), ..PodView::default() };
    view.sql = Some(Err(SqlSilence::Closed("nobody listens".to_owned())));
    world.proof.read.insert(Node(3), Err(Unread::Silent("nobody listens".to_owned())));
    assert_eq!(world.failed().0, ["pods-running", "sql-answers", "proxy-backends"]);
    for (id, evidence) in [
        ("primary", "Primary and ready; only 2 of 3 nodes answer"),
        ("synced", "Synced; only 2 of 3 nodes answer"),
        ("members", "node1, node2; only 2 of 3 nodes answer as part of a Primary component"),
        ("one-component", "one; only 2 of 3 nodes answer"),
        ("write-read", "on node1, node2 within 3 ms; node3 could not be asked: container is restarted"),
    ] {
        let check = world.check(id);
        assert_eq!((check.mark, check.evidence.as_str()), (Mark::Skipped, evidence), "{id}");
    }
}

#[test]
fn nobody_answers() {
    let mut world = World::new();
    (1..=3).for_each(|node| world.stop(Node(node)));
    world.proof.read.clear();
    world.proof.at_nodes = (1..=3).map(|node| (Node(node), Err("no pod".to_owned()))).collect();
    assert_eq!(world.failed().0, ["pods-running", "sql-answers", "proxy-backends"]);
    for id in ["primary", "state-uuid", "one-component", "synced", "one-view", "members", "write-read"] {
        assert_eq!(world.check(id).mark, Mark::Skipped, "{id}");
    }
    assert_eq!(world.check("primary").evidence, "no node answers");
}

#[test]
fn nodes_that_all_wait_for_each_other_need_a_run_of_up() {
    let mut world = World::new();
    for view in world.observed.members.values_mut() {
        view.sql = None;
        view.pod.running = true;
        view.log.phase = Some("waiting".to_owned());
    }
    assert!(world.check("sql-answers").hint.unwrap().ends_with("galeractl up"));
    world.observed.members.get_mut(&Node(1)).unwrap().log.phase = Some("starting".to_owned());
    assert!(world.check("sql-answers").hint.unwrap().starts_with("kubectl logs"));
}

#[test]
fn a_row_that_is_missing_is_told_from_a_node_that_is_silent() {
    let mut world = World::new();
    world.proof.read.insert(Node(2), Err(Unread::Missing("does not have the row".to_owned())));
    let check = world.check("write-read");
    assert_eq!((check.mark, check.evidence.as_str()), (Mark::Fail, "node2 does not have the row"));
    assert!(check.hint.unwrap().contains("acknowledged"));
    world.proof.read.insert(Node(2), Err(Unread::Silent("no answer within 10s".to_owned())));
    let check = world.check("write-read");
    assert_eq!((check.mark, check.evidence.as_str()), (Mark::Fail, "node2: no answer within 10s"));
    assert!(!check.hint.unwrap().contains("acknowledged"));
}

#[test]
fn a_node_outside_of_the_primary_component() {
    let mut world = World::new();
    world.outside(Node(2));
    world.proof.read.insert(Node(2), Err(Unread::Silent("the server is not ready".to_owned())));
    let (failed, _) = world.failed();
    assert_eq!(failed, ["primary", "synced", "one-view", "proxy-backends"]);
    assert!(world.check("primary").hint.unwrap().contains("comes back by itself once"));
    assert_eq!(world.check("write-read").mark, Mark::Skipped);
}

#[test]
fn no_majority_does_not_come_back_by_itself() {
    let mut world = World::new();
    (1..=3).for_each(|node| world.outside(Node(node)));
    let hint = world.check("primary").hint.unwrap();
    assert!(
        hint.starts_with("no node has a majority, and none comes back by itself: galeractl recover --plan"),
        "{hint}"
    );
    assert_eq!(world.check("one-component").mark, Mark::Skipped);
    world.stop(Node(3));
    assert!(world.check("primary").hint.unwrap().starts_with("no node that answers has a majority"));
}

#[test]
fn a_claim_that_waits_is_not_data_that_is_lost() {
    let mut world = World::new();
    let claim = world.observed.claims.get_mut("c-galera-node2-volume-claim").unwrap();
    "Pending".clone_into(&mut claim.phase);
    let check = world.check("volumes");
    assert_eq!(check.evidence, "c-galera-node2-volume-claim is Pending: its volume is not made yet");
    assert!(check.hint.unwrap().starts_with("see what it waits for: kubectl describe pvc"));
    world.observed.claims.remove("c-galera-node1-volume-claim");
    let check = world.check("volumes");
    assert!(check.evidence.starts_with("c-galera-node1-volume-claim does not exist"), "{}", check.evidence);
    assert!(check.hint.unwrap().contains("save the data first"));
}

#[test]
fn an_account_that_cannot_log_in_is_named_and_silence_is_no_judgement() {
    let mut world = World::new();
    world.accounts.insert("app".to_owned(), Err(NoLogin::Denied("Access denied (1045)".to_owned())));
    assert_eq!(world.failed(), (vec![], vec!["accounts"]));
    assert_eq!(world.check("accounts").evidence, "app: Access denied (1045)");
    world.accounts = [("app".to_owned(), Err(NoLogin::Silent("closed".to_owned())))].into();
    assert_eq!(world.check("accounts").mark, Mark::Skipped);
}

#[test]
fn a_split_and_a_zero_uuid() {
    let mut world = World::new();
    world.status(Node(1)).members = ["c-galera-node1".to_owned()].into();
    world.status(Node(1)).size = 1;
    for node in [Node(2), Node(3)] {
        world.status(node).members.remove("c-galera-node1");
    }
    assert!(world.failed().0.contains(&"one-component"));
    let mut world = World::new();
    world.status(Node(1)).uuid = Uuid::ZERO;
    assert!(world.failed().0.contains(&"state-uuid"));
}

#[test]
fn a_stranger_and_a_proxy_that_points_elsewhere() {
    let mut world = World::new();
    world.status(Node(1)).members.insert("c-galera-seed".to_owned());
    world.leftovers.push("pod/c-galera-seed".to_owned());
    assert_eq!(world.failed().0, ["members", "no-leftovers"]);
    let mut world = World::new();
    world.observed.members.get_mut(&Node(1)).unwrap().pod.address = Some("10.0.0.1".to_owned());
    if let Some(Ok(list)) = world.proxies.get_mut("p1") {
        list[0].address = "10.0.0.99:3306".to_owned();
        list.push(Backend { member: Seed, up: true, check: String::new(), address: String::new() });
    }
    assert_eq!(world.failed().0, ["proxy-backends"]);
}

#[test]
fn crashes_and_slow_nodes_only_warn() {
    let mut world = World::new();
    world.observed.members.get_mut(&Node(1)).unwrap().log.crashes = 2;
    world.status(Node(2)).receive_queue = 5_000;
    assert_eq!(world.failed(), (vec![], vec!["no-crashes", "flow-control"]));
}

#[test]
fn an_exposure_may_be_open_until_its_end() {
    let mut world = World::new();
    world.exposures.push(Exposed {
        name: "c-galera-external-lb".to_owned(),
        way: crate::desired::ExternalAccess::LoadBalancer,
        hosts: vec!["10.0.0.1".to_owned()],
        port: 3306,
        allow: Vec::new(),
        until: Some("1970-01-01T00:00:01Z".to_owned()),
    });
    assert_eq!(world.failed(), (vec![], vec![]));
    world.exposures[0].until = Some("1969-12-31T23:59:59Z".to_owned());
    assert_eq!(world.failed().0, ["exposure"]);
}

#[test]
fn certificates_that_end_are_told_in_time() {
    let mut case = World::new();
    assert!(case.checks().iter().all(|check| check.id != "certificates"), "there are none");
    case.desired.tls = Some(crate::desired::Tls::default());
    assert_eq!(case.check("certificates").mark, Mark::Skipped);
    let in_days = |days: i64| Ok(Timestamp::from_second(days * 24 * 60 * 60).unwrap());
    for (end, mark, words) in [
        (in_days(40), Mark::Pass, "1970-02-10"),
        (in_days(29), Mark::Warning, "ends in 29 days"),
        (Err("no answer".to_owned()), Mark::Warning, "is not known: no answer"),
        (in_days(13), Mark::Fail, "ends in 13 days"),
        (in_days(-2), Mark::Fail, "has ended 2 days ago"),
    ] {
        case.certificates = [("node1".to_owned(), end), ("the authority".to_owned(), in_days(3000))].into();
        let check = case.check("certificates");
        assert_eq!(check.mark, mark, "{check:?}");
        assert!(check.evidence.contains(words), "{check:?}");
    }
}

#[test]
fn a_network_that_ignores_policies_is_told() {
    let mut case = World::new();
    assert!(case.checks().iter().all(|check| check.id != "network-policies"), "nobody wants any");
    case.desired.network = Some(crate::desired::Network::default());
    assert_eq!(case.check("network-policies").mark, Mark::Skipped);
    let open = || Ok(network::Wall::Open("node3 port 3306".to_owned()));
    for (walls, mark, words) in [
        (vec![Ok(network::Wall::Holds), Err("you may not".to_owned())], Mark::Pass, "tried from node1"),
        (vec![Ok(network::Wall::Holds), open()], Mark::Warning, "node2 reaches node3 port 3306"),
        (vec![Err("you may not".to_owned())], Mark::Skipped, "node1: you may not"),
    ] {
        case.walls = walls.into_iter().zip(1..).map(|(wall, node)| (Node(node), wall)).collect();
        let check = case.check("network-policies");
        assert_eq!(check.mark, mark, "{check:?}");
        assert!(check.evidence.contains(words), "{check:?}");
    }
}
