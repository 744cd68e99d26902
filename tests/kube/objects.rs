use std::time::{Duration, Instant};

use galeractl::cluster::certificates;
use galeractl::cluster::record::choose_passwords;
use galeractl::desired::{Desired, ExternalAccess, Passwords};
use galeractl::engine::event::Change;
use galeractl::error::Kind;
use galeractl::kube::access::{Right, denied};
use galeractl::kube::apply::{Applied, Strategy};
use galeractl::kube::client::{Connection, Options};
use galeractl::kube::delete::{Deletion, Found, delete, owned};
use galeractl::kube::lease::{self, Claim, Pace};
use galeractl::manifests::access::{self, Exposure};
use galeractl::manifests::config::credentials;
use galeractl::manifests::files::{Include, files};
use galeractl::manifests::restore::{self, Fill, Near, Turn};
use galeractl::manifests::{Object, member};
use galeractl::names::Member;
use galeractl::settings::{Flag, Input, load_from};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service};
use kube::api::{Api, ApiResource, Patch, PatchParams};
use serde_json::json;

use crate::cluster::{IMAGE, Place, in_namespace, options, pod_spec};

fn changes(applied: &[Applied]) -> Vec<Change> {
    applied.iter().map(|one| one.change).collect()
}

fn map(place: &Place, name: &str, value: &str) -> Object {
    place.object::<ConfigMap>(name, json!({"data": {"k": value}}))
}

fn set(place: &Place, cpu: &str) -> Object {
    let mut pod = pod_spec(IMAGE, "sleep 1000");
    pod["containers"][0]["resources"] = json!({"requests": {"cpu": cpu, "memory": "128Mi"}});
    place.object::<StatefulSet>(
        "set",
        json!({"spec": {"replicas": 0, "serviceName": "set",
        "selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}, "spec": pod}}}),
    )
}

#[tokio::test]
async fn a_second_apply_keeps_everything() {
    in_namespace(|place| async move {
        let service = place.object::<Service>("s", json!({"spec": {"clusterIP": "None", "ports": [{"port": 3306}]}}));
        let objects = [map(&place, "a", "1"), service, set(&place, "0.5")];
        let dry = place.applier(Strategy::ServerDryRun);
        let apply = place.applier(Strategy::Apply);
        assert_eq!(changes(&dry.apply_all(&objects).await.unwrap()), [Change::Created; 3]);
        assert_eq!(changes(&apply.apply_all(&objects).await.unwrap()), [Change::Created; 3]);
        assert_eq!(changes(&dry.apply_all(&objects).await.unwrap()), [Change::Kept; 3]);
        assert_eq!(changes(&apply.apply_all(&objects).await.unwrap()), [Change::Kept; 3]);
        let changed = [map(&place, "a", "2"), objects[1].clone(), set(&place, "250m")];
        let expected = [Change::Changed, Change::Kept, Change::Changed];
        assert_eq!(changes(&dry.apply_all(&changed).await.unwrap()), expected);
        assert_eq!(changes(&apply.apply_all(&changed).await.unwrap()), expected);
    })
    .await;
}

/// Every profile's objects, checked by the API server and its admission as if they were created.
/// Settings that change what pods and Services look like.
const ADORNMENT: [&str; 10] = [
    "galera_cluster_tls=own",
    "galera_cluster_tls_names=db.example.org,192.0.2.7",
    "galera_cluster_tolerations=dedicated=db:NoSchedule,spot:NoExecute,old",
    "galera_cluster_priority_class=system-cluster-critical",
    "galera_cluster_labels=team=shop",
    "galera_cluster_annotations=example.org/note=two words",
    "galera_cluster_service_annotations=example.org/internal=true",
    "galera_cluster_domain=cluster.local",
    "galera_cluster_backup_nfs_server=192.168.1.107",
    "galera_cluster_backup_path=/backups",
];

fn targets() -> Vec<String> {
    let members = ["seed", "node1", "node2", "node3", "node4", "node5"];
    let of = |(lun, member): (usize, &str)| {
        [
            format!("galera_cluster_{member}_iscsi_targetportal=192.168.100.40:3260"),
            format!("galera_cluster_{member}_iscsi_iqn=iqn.2018-04.org.example:galera"),
            format!("galera_cluster_{member}_iscsi_lun={lun}"),
        ]
    };
    members.into_iter().enumerate().flat_map(of).collect()
}

#[tokio::test]
async fn the_objects_of_every_profile_are_accepted() {
    in_namespace(|place| async move {
        for profile in ["local", "pks", "coreos", "targetd"] {
            let mut sets: Vec<String> = ADORNMENT.iter().map(ToString::to_string).collect();
            match profile {
                "pks" => sets.push("galera_vsphere_storage_class=thin".to_owned()),
                "targetd" => sets.push("galera_iscsi_storage_class=targetd".to_owned()),
                "coreos" => sets.extend(targets()),
                _ => {}
            }
            let flags = vec![
                Flag::name("--name", place.cluster.as_str()),
                Flag::namespace("-n", place.namespace.as_str()),
                Flag::nodes("--nodes", "5"),
            ];
            let input = Input { profile: Some(profile.to_owned()), sets, flags, ..Input::default() };
            let desired = load_from(&input, None).unwrap().desired;
            let passwords = Object::of(&credentials(&desired, &choose_passwords(&desired, &Passwords::default())));
            let secrets = [vec![passwords], certificates::fresh(&desired, Timestamp::now()).unwrap()].concat();
            let mut objects = vec![Object::of(&member::inspector(&desired, Member::Node(1)))];
            let files = files(&desired, "volumes", Some(&secrets), &[Include::Access, Include::Purge]);
            objects.extend(files.into_iter().flat_map(|file| file.objects));
            let allow = vec!["10.0.0.0/8".to_owned()];
            for way in [ExternalAccess::LoadBalancer, ExternalAccess::NodePort] {
                let exposure = Exposure { way, allow: allow.clone(), ..Exposure::of(&desired) };
                objects.extend(access::policy(&desired, &exposure).as_ref().map(Object::of));
                objects.push(Object::of(&access::service(&desired, &exposure)));
            }
            objects.extend(restoring(&desired));
            // The namespace is there.
            objects.retain(|object| object.resource.kind != "Namespace");
            let applied = place.applier(Strategy::ServerDryRun).apply_all(&objects).await.unwrap();
            assert!(applied.iter().all(|one| one.change == Change::Created), "{profile}");
        }
    })
    .await;
}

/// What restores a backup, and tries one.
fn restoring(desired: &Desired) -> Vec<Object> {
    let fill = Fill {
        signed: true,
        source: "10.0.0.1".to_owned(),
        uuid: String::new(),
        at: 0,
        needed: 1 << 30,
        discard: false,
        expected: "nothing".to_owned(),
    };
    let (node, other) = (Member::Node(1), Member::Node(2));
    vec![
        Object::of(&restore::reader(desired, &desired.cluster.backup_claim(), None)),
        Object::of(&restore::fill(desired, &fill, node, Some(Near::Reader))),
        Object::of(&restore::turn(desired, other, Turn::Switch, "nothing", Some(Near::Backups))),
        Object::of(&restore::verify(desired, &fill)),
    ]
}

#[tokio::test]
async fn fields_and_objects_of_others_are_refused() {
    in_namespace(|place| async move {
        let maps: Api<ConfigMap> = Api::namespaced(place.connection.client.clone(), place.namespace.as_str());
        let theirs = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b"}, "data": {"k": "x"}});
        maps.patch("b", &PatchParams::apply("kubectl-edit"), &Patch::Apply(&theirs)).await.unwrap();
        let apply = place.applier(Strategy::Apply);
        let refused = apply.apply(&map(&place, "b", "1")).await.unwrap_err();
        assert_eq!(refused.kind, Kind::Preflight);
        assert!(refused.to_string().ends_with("it was written by kubectl-edit"), "{refused}");

        place.apply(&map(&place, "a", "1")).await;
        let edit = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "x"}});
        maps.patch("a", &PatchParams::apply("kubectl-edit").force(), &Patch::Apply(&edit)).await.unwrap();
        let conflict = apply.apply(&map(&place, "a", "2")).await.unwrap_err();
        assert_eq!(conflict.to_string(), "cannot apply configmap/a: .data.k was set by kubectl-edit");

        let taken =
            apply.take_ownership(true).apply_all(&[map(&place, "a", "2"), map(&place, "b", "2")]).await.unwrap();
        assert_eq!(changes(&taken), [Change::Changed; 2]);
    })
    .await;
}

#[tokio::test]
async fn refusals_of_the_api_server_are_explained() {
    in_namespace(|place| async move {
        let apply = place.applier(Strategy::ServerDryRun);
        let service = place.object::<Service>("s", json!({"spec": {"ports": [{"port": 0}]}}));
        let invalid = apply.apply(&service).await.unwrap_err();
        assert!(invalid.to_string().contains("rejects spec.ports[0].port: Invalid value: 0"), "{invalid}");

        let mut spec = pod_spec(IMAGE, "true");
        spec["securityContext"] = json!({});
        let insecure = apply.apply(&place.object::<Pod>("p", json!({"spec": spec}))).await.unwrap_err();
        assert!(insecure.to_string().contains("violates PodSecurity"), "{insecure}");
        assert!(insecure.hints[0].contains("pod-security.kubernetes.io/enforce"), "{:?}", insecure.hints);
    })
    .await;
}

#[tokio::test]
async fn missing_rights_are_found_and_named() {
    in_namespace(|place| async move {
        let right = |verb, resource, subresource| Right {
            verb,
            group: "",
            resource,
            subresource,
            namespace: Some(place.namespace.to_string()),
        };
        let rights = [right("create", "configmaps", ""), right("create", "pods", "exec")];
        assert_eq!(denied(&place.connection.client, &rights).await.unwrap(), []);
        let bob = Options { impersonate: Some("bob".to_owned()), ..options() };
        let bob = Connection::open(&bob).await.unwrap();
        assert_eq!(denied(&bob.client, &rights).await.unwrap(), rights);
        let failure = galeractl::kube::apply::Applier::new(bob.client, place.cluster.clone(), Strategy::Apply)
            .apply(&map(&place, "a", "1"))
            .await
            .unwrap_err();
        assert!(failure.to_string().contains(r#"User "bob" cannot get resource "configmaps""#), "{failure}");
    })
    .await;
}

#[tokio::test]
async fn only_what_was_seen_is_deleted() {
    in_namespace(|place| async move {
        let client = &place.connection.client;
        place.apply(&map(&place, "a", "1")).await;
        let kinds = [ApiResource::erase::<ConfigMap>(&()), ApiResource::erase::<Service>(&())];
        let found = owned(client, &place.namespace, &place.cluster, &kinds, &[]).await.unwrap();
        assert_eq!(found.iter().map(Found::display).collect::<Vec<_>>(), ["configmap/a"]);
        let mut another = found[0].clone();
        another.uid = "00000000-0000-0000-0000-000000000000".to_owned();
        let refused = delete(client, &another, None).await.unwrap_err();
        assert!(refused.to_string().contains("was replaced"), "{refused}");
        assert_eq!(delete(client, &found[0], None).await.unwrap(), Deletion::Requested);
        assert_eq!(delete(client, &found[0], None).await.unwrap(), Deletion::Gone);
    })
    .await;
}

#[tokio::test]
async fn the_lock_is_held_lost_and_taken_over() {
    in_namespace(|place| async move {
        let client = &place.connection.client;
        let claim = |holder: &str| {
            Claim::new(client.clone(), place.namespace.clone(), place.cluster.clone(), holder.to_owned())
        };
        let ms = Duration::from_millis;
        let pace = Pace { duration: ms(2000), renew: ms(200), retry: ms(200), give_up: ms(1500) };
        let lock = claim("alice").acquire_at(pace, Duration::ZERO, &mut |_| ()).await.unwrap();
        let held = lease::holder(client, &place.namespace, &place.cluster).await.unwrap().unwrap();
        assert_eq!(held.holder, "alice");
        let refused = claim("bob").acquire(Duration::ZERO, &mut |_| ()).await.err().unwrap();
        assert_eq!(refused.kind, Kind::Locked);
        lock.confirm().await.unwrap();
        assert!(!lock.lost().is_cancelled());

        // A stranger on another machine that never renews.
        let leases: Api<Lease> = Api::namespaced(client.clone(), place.namespace.as_str());
        let stranger = json!({"metadata": {"annotations": {"galeractl.dev/holder-process": null}}, "spec": {"holderIdentity": "eve"}});
        let name = place.cluster.lock();
        leases.patch(&name, &PatchParams::default(), &Patch::Merge(&stranger)).await.unwrap();
        lock.lost().cancelled().await;
        assert!(lock.why_lost().unwrap().to_string().contains("it was taken over by eve"));
        drop(lock);

        let begun = Instant::now();
        let mut reasons = 0;
        let lock = claim("bob").acquire_at(pace, Duration::ZERO, &mut |_| reasons += 1).await.unwrap();
        assert!(begun.elapsed() >= pace.duration && reasons == 1, "{:?}, {reasons}", begun.elapsed());
        lock.release_and_delete().await.unwrap();
        assert!(leases.get_opt(&name).await.unwrap().is_none());
    })
    .await;
}
