//! A stopped cluster comes back with every row, or not at all; its data goes only on explicit wish.

use std::collections::BTreeMap;
use std::time::Duration;

use galeractl::names::Member;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::ResourceExt;
use kube::api::{DeleteParams, ListParams};

use crate::checker::check;
use crate::helper::Helper;
use crate::place::{Place, in_namespace};
use crate::volume::{delete_claim, visit};
use crate::wait::{holds, until};
use crate::writers::Writers;

const LIMIT: Duration = Duration::from_secs(90);
const GRASTATE: &str = "/data/data/grastate.dat";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_cluster_comes_back_or_is_refused() {
    in_namespace("stopped", async |place| {
        place.has_one_proxy();
        place.up(&["--nodes", "3"]).await.ended(0);
        let uuid = place.uuid().await;
        let writers = Writers::start(place, (1..=3).map(|index| vec![place.node(index)]).collect()).await;
        until("200 rows are written", LIMIT, async || {
            let count = writers.acknowledged();
            holds(count >= 200, || format!("{count} rows"))
        })
        .await;
        let journal = writers.stop().await;
        check(place, 3, &uuid, &[&journal]).await;

        all_pods_go_at_once(place).await;
        assert_eq!(place.uuid().await, uuid);
        check(place, 3, &uuid, &[&journal]).await;

        stops_and_keeps_the_volumes(place).await;
        let of_seed = seed_events(place).await;
        let before = place.objects().await;
        let plan = place.run(&["up", "--nodes", "3", "--dry-run"]).await.ended(0);
        assert_eq!(place.objects().await, before, "a dry run has changed something");
        let back = place.up(&["--nodes", "3"]).await.ended(0);
        assert_eq!(back.acts(), plan.rehearsed());
        let seed = place.cluster.member(Member::Seed);
        assert!(!back.changes().iter().any(|change| change.contains(&seed)), "{:?}", back.changes());
        assert_eq!(seed_events(place).await, of_seed, "a seed has been there");
        place.healthy().await;
        assert_eq!(place.uuid().await, uuid);
        check(place, 3, &uuid, &[&journal]).await;

        stops_and_keeps_the_volumes(place).await;
        // As after a crash: the position is known to the servers only, and they are asked.
        visit(place, Member::Node(2), &format!("sed -i 's/^seqno:.*/seqno:   -1/' {GRASTATE}")).await;
        place.up(&["--nodes", "3"]).await.ended(0);
        assert_eq!(place.uuid().await, uuid);
        check(place, 3, &uuid, &[&journal]).await;

        stops_and_keeps_the_volumes(place).await;
        doubtful_volumes_are_refused(place).await;
        data_goes_only_on_explicit_wish(place).await;
    })
    .await;
}

/// Every server stops cleanly, so none remembers a view: they wait with their positions, and `up` compares them.
async fn all_pods_go_at_once(place: &Place) {
    let pods = place.api::<Pod>();
    let nodes = ListParams::default().labels("app.kubernetes.io/component=node");
    let uids =
        async || -> Vec<Option<String>> { pods.list(&nodes).await.unwrap().iter().map(ResourceExt::uid).collect() };
    let before = uids().await;
    pods.delete_collection(&DeleteParams::default(), &nodes).await.unwrap();
    until("three other pods", LIMIT, async || {
        let now = uids().await;
        holds(now.len() == 3 && now.iter().all(|uid| !before.contains(uid)), || format!("{now:?}"))
    })
    .await;
    place.up(&["--nodes", "3"]).await.ended(0);
    place.healthy().await;
}

async fn stops_and_keeps_the_volumes(place: &Place) {
    let plan = place.run(&["teardown", "--dry-run"]).await.ended(0);
    let down = place.run(&["teardown", "--progress", "json"]).await.ended(0);
    // Pods go with their StatefulSets.
    let acts = down.acts().into_iter().filter(|[_, object, _]| !object.starts_with("pod/")).collect();
    assert_eq!(plan.rehearsed(), acts);
    let (message, _) = down.last_word();
    let secret = format!("secret/{}", place.cluster.credentials());
    assert!(message.contains("3 volumes") && message.contains(&secret) && message.contains("stay"), "{message}");
    let claim = |index| format!("persistentvolumeclaim/{}", place.cluster.claim(Member::Node(index)));
    // What the cluster should be, and what it was, stays for as long as its volumes do.
    let maps = [place.cluster.record(), place.cluster.spec()].map(|name| format!("configmap/{name}"));
    let claims = (1..=3).map(claim);
    assert_eq!(place.leftovers().await, [&maps[..], &claims.collect::<Vec<_>>(), &place.secrets(3)].concat());
}

/// What Kubernetes tells of a seed's pod.
async fn seed_events(place: &Place) -> Vec<String> {
    let seed = place.cluster.pod(Member::Seed);
    let fields = ListParams::default().fields(&format!("involvedObject.kind=Pod,involvedObject.name={seed}"));
    place.api::<Event>().list(&fields).await.unwrap().iter().map(ResourceExt::name_any).collect()
}

async fn doubtful_volumes_are_refused(place: &Place) {
    let editor = Helper::start(place, "editor", Some(&place.cluster.claim(Member::Node(2)))).await;
    let before = place.objects().await;
    let other = "11111111-2222-3333-4444-555555555555";
    editor
        .run(&format!("cp {GRASTATE} /data/saved && sed 's/^uuid:.*/uuid:    {other}/' /data/saved >{GRASTATE}"))
        .await;
    refused(place, &before, other).await;

    editor.run(&format!("mv /data/saved {GRASTATE}")).await;
    delete_claim(place, Member::Node(3)).await;
    let before = place.objects().await;
    refused(place, &before, "node3 has no volume, while others hold a database").await;
    editor.end().await;
}

/// `up` says why, with a table of all volumes, and makes nothing.
async fn refused(place: &Place, before: &BTreeMap<String, String>, why: &str) {
    let ran = place.up(&["--nodes", "3"]).await.ended(3);
    let (message, hints) = ran.last_word();
    assert!(message.contains(why), "{message}");
    for index in 1..=3 {
        assert!(message.contains(&place.cluster.claim(Member::Node(index))), "{message}");
    }
    assert!(hints.iter().any(|hint| hint.contains("galeractl recover --plan")), "{hints:?}");
    assert_eq!(place.objects().await, *before);
}

async fn data_goes_only_on_explicit_wish(place: &Place) {
    let before = place.objects().await;
    let alone = place.run(&["teardown", "--delete-volumes"]).await.ended(6);
    assert!(alone.stderr.contains("--confirm"), "{alone:?}");
    place.run(&["teardown", "--delete-volumes", "--confirm", "shoq"]).await.ended(6);
    let verb = place.of_cluster(&["teardown", "--delete-volumes"]);
    let (code, shown) = place.at_terminal(&verb, "Type ", "shoq");
    assert!(code == 6 && shown.contains("nothing was changed"), "{code}: {shown}");
    // The third was deleted before.
    for index in 1..=2 {
        assert!(shown.contains(&place.cluster.claim(Member::Node(index))), "{shown}");
    }
    assert_eq!(place.objects().await, before);
    let (code, shown) = place.at_terminal(&verb, "Type ", place.cluster.as_str());
    assert_eq!(code, 0, "{shown}");
    assert_eq!(place.leftovers().await, Vec::<String>::new());
}
