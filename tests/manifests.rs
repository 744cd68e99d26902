//! Every profile's manifests as they would be applied. A change of one of these files is a change of people's clusters.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere, its helpers included")]

use galeractl::desired::{Desired, ExternalAccess, Network, Peer, Tls};
use galeractl::manifests::access::{self, Exposure};
use galeractl::manifests::config::{Record, config_map, record_map, server_options, spec_map};
use galeractl::manifests::files::{Include, files};
use galeractl::manifests::{self, Object, member, policy, proxy, restore};
use galeractl::names::Member;
use galeractl::settings::{Flag, Input, Source, load_from};

fn desired(profile: &str, nodes: &str) -> Desired {
    let path = format!("{}/examples/{profile}.conf", env!("CARGO_MANIFEST_DIR"));
    let source = (profile != "local").then(|| Source { name: path.clone(), bytes: std::fs::read(&path).unwrap() });
    let mut flags = vec![Flag::nodes("--nodes", nodes)];
    if source.is_none() {
        flags.extend([Flag::name("--name", "shop"), Flag::namespace("-n", "data")]);
    }
    load_from(&Input { flags, ..Input::default() }, source.as_ref()).unwrap().desired
}

fn yaml(objects: &[Object]) -> String {
    let documents: Vec<String> = objects.iter().map(|object| serde_saphyr::to_string(&object.value).unwrap()).collect();
    // Sums of scripts and options change with every word in them.
    let lines = documents.join("---\n");
    let masked = lines.lines().map(|line| match line.split_once("galeractl.dev/config: ") {
        Some((indent, sum)) if sum.trim_matches('"').len() == 8 => format!("{indent}galeractl.dev/config: SUM\n"),
        _ => format!("{line}\n"),
    });
    masked.collect()
}

fn all(desired: &Desired) -> Vec<Object> {
    // The scripts are files of their own; here they would only hide what surrounds them.
    let mut config = config_map(desired);
    let mut proxy_config = proxy::config_map(desired);
    for data in [&mut config.data, &mut proxy_config.data] {
        data.as_mut().unwrap().retain(|key, _| !matches!(key.rsplit('.').next(), Some("sh" | "pl")));
    }
    let mut objects = manifests::claims(desired, true);
    objects.extend([
        Object::of(&config),
        Object::of(&spec_map(desired)),
        Object::of(&record_map(desired, &Record::default())),
        Object::of(&proxy_config),
    ]);
    objects.extend(manifests::seed(desired));
    objects.extend(manifests::nodes(desired));
    objects.extend(manifests::proxy(desired).into_iter().filter(|object| object.resource.kind != "ConfigMap"));
    objects
}

#[test]
fn manifests_of_the_local_profile() {
    insta::assert_snapshot!("local", yaml(&all(&desired("local", "3"))));
}

#[test]
fn network_policies_and_the_door_through_them() {
    let network = Network {
        clients: vec![Peer::Namespace("web".to_owned()), Peer::Range("10.1.0.0/16".to_owned())],
        metrics: vec![Peer::Namespace("monitoring".to_owned())],
    };
    let desired = Desired { network: Some(network), ..desired("local", "3") };
    let limited = Exposure { allow: vec!["192.0.2.0/24".to_owned()], ..Exposure::of(&desired) };
    let doors = [Exposure::of(&desired), limited].map(|exposure| access::objects(&desired, &exposure));
    insta::assert_snapshot!("policies", yaml(&[vec![policy::policies(&desired)], doors.into()].concat().concat()));
}

#[test]
fn manifests_of_the_pks_example() {
    insta::assert_snapshot!("pks", yaml(&all(&desired("pks", "3"))));
}

#[test]
fn manifests_of_the_targetd_example() {
    insta::assert_snapshot!("targetd", yaml(&manifests::claims(&desired("targetd", "5"), true)));
}

#[test]
fn files_of_the_coreos_example() {
    let desired = desired("coreos", "3");
    let unasked = files(&desired, "volumes", None, &[]);
    let harmless = |object: &Object| object.resource.kind != "Job" && !object.name.contains("-external-");
    let record = desired.cluster.record();
    assert!(unasked.iter().flat_map(|file| &file.objects).all(|object| harmless(object) && object.name != record));
    let files = files(&desired, "volumes", None, &[Include::Access, Include::Purge]);
    let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "galera-3-namespace.yml",
            "galera-3-volumes.yml",
            "galera-3-seed.yml",
            "galera-3-nodes-backup.yml",
            "galera-3-haproxy.yml",
            "galera-external-lb.yml",
            "galera-external-access.yml",
            "galera-3-purge-volumes-jobs.yml",
        ]
    );
    let of_note = |object: &Object| {
        ["PersistentVolume", "PersistentVolumeClaim", "Job", "Namespace"].contains(&object.resource.kind.as_str())
            || object.name.contains("-external-")
    };
    let objects: Vec<Object> = files.into_iter().flat_map(|file| file.objects).filter(of_note).collect();
    // The scripts stand in files of their own.
    let text = yaml(&objects.into_iter().map(without_script).collect::<Vec<_>>());
    insta::assert_snapshot!("coreos", text);
}

#[test]
fn an_exposure_with_everything() {
    let base = desired("local", "3");
    let service_annotations = [("example.org/internal".to_owned(), "true".to_owned())].into();
    let desired = Desired { service_annotations, network: None, ..base };
    let exposure = |way| Exposure {
        way,
        node_port: (way == ExternalAccess::NodePort).then_some(30306),
        allow: vec!["10.0.0.0/8".to_owned()],
        until: Some("2026-01-01T00:00:00Z".to_owned()),
        ..Exposure::of(&desired)
    };
    let node_port = exposure(ExternalAccess::NodePort);
    let objects = [
        Object::of(&access::service(&desired, &exposure(ExternalAccess::LoadBalancer))),
        Object::of(&access::service(&desired, &node_port)),
        Object::of(&access::policy(&desired, &node_port).unwrap()),
    ];
    insta::assert_snapshot!("access", yaml(&objects));
}

/// The first pod on a volume decides where the volume is: spread over the hosts, and that of the node with the agent
/// where the backups can be reached.
#[test]
fn what_restores_a_backup() {
    let base = desired("pks", "3");
    assert_eq!(base.backup.as_ref().unwrap().node, 3);
    let fill = restore::Fill {
        signed: true,
        source: "10.0.0.1".to_owned(),
        uuid: "00000001-0000-11f0-8000-0123456789ab".to_owned(),
        at: 1_700_000_000,
        needed: 3 << 30,
        discard: false,
        expected: "nothing".to_owned(),
    };
    let claim = base.cluster.backup_claim();
    let objects = [
        Object::of(&restore::reader(&base, &claim, Some("host1"))),
        Object::of(&restore::fill(&base, &fill, Member::Node(3), Some(restore::Near::Reader))),
        Object::of(&restore::turn(
            &base,
            Member::Node(3),
            restore::Turn::Clear,
            "nothing",
            Some(restore::Near::Backups),
        )),
        Object::of(&restore::turn(&base, Member::Node(1), restore::Turn::Switch, "database:unknown:1", None)),
        Object::of(&restore::verify(&base, &fill)),
    ];
    let text = yaml(&objects.map(without_script));
    insta::assert_snapshot!("restore", text);
}

/// Scripts are files of their own.
fn without_script(mut object: Object) -> Object {
    for place in ["/spec/template/spec/containers/0/command/2", "/spec/containers/0/env/0/value"] {
        if let Some(script) = object.value.pointer_mut(place) {
            *script = "(a script)".into();
        }
    }
    object
}

#[test]
fn no_password_stands_anywhere_but_in_the_secret() {
    let text = yaml(&all(&desired("pks", "5")));
    assert!(!text.contains("Fender2000"));
}

#[test]
fn with_certificates_each_member_has_its_own_and_nobody_the_key_of_the_authority() {
    let tls = Some(Tls { names: vec!["db.example.org".to_owned()] });
    let desired = Desired { tls, ..desired("local", "1") };
    let objects = all(&desired);
    let of_members = |object: &&Object| ["Pod", "StatefulSet", "ConfigMap"].contains(&object.resource.kind.as_str());
    let members: Vec<Object> =
        objects.iter().filter(of_members).filter(|object| !object.name.ends_with("haproxy")).cloned().collect();
    insta::assert_snapshot!("tls", yaml(&members));
    assert!(!yaml(&objects).contains(&desired.cluster.authority()));
    let fill = restore::Fill {
        signed: true,
        source: String::new(),
        uuid: String::new(),
        at: 0,
        needed: 0,
        discard: false,
        expected: String::new(),
    };
    let job = without_script(Object::of(&restore::fill(&desired, &fill, Member::Node(1), None)));
    assert!(!yaml(&[job]).contains("tls"), "a Job has no certificate");
}

#[test]
fn permanent_nodes_neither_bootstrap_nor_know_the_seed_for_good() {
    let desired = desired("local", "3");
    for node in desired.members() {
        let text = yaml(&[Object::of(&member::node(&desired, node))]);
        assert!(!text.contains("wsrep-new-cluster") && !text.contains("secrets"), "{node}");
    }
    assert!(!server_options(&desired).contains("gcomm://"));
    assert_eq!(desired.cluster.pod(Member::Seed), "shop-galera-seed");
}
