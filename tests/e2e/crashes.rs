//! Crashes in bad order on three nodes, volumes that are half or wrong, and manifests over a cluster that runs.

use std::time::{Duration, Instant};

use galeractl::names::Member;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service};
use kube::api::{DeleteParams, ListParams};
use serde_json::Value;

use crate::applied::{apply, certify_seed, delete, documents, steps};
use crate::checker::check;
use crate::outlived::refusal;
use crate::place::{Place, in_namespace};
use crate::pods::{KILL, gone, scale};
use crate::volume::visit;
use crate::wait::{holds, until};
use crate::writers::{Journal, Writers};

const LIMIT: Duration = Duration::from_secs(120);
const UP: [&str; 2] = ["--nodes", "3"];
const FORCED: Duration = Duration::from_secs(100);
const STRANGER: &str = "11111111-2222-3333-4444-555555555555";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crashes_in_bad_order_lose_nothing() {
    in_namespace("crashes", async |place| {
        place.has_one_proxy();
        place.up(&UP).await.ended(0);
        let uuid = place.uuid().await;
        let writers = Writers::start(place, (1..=3).map(|index| vec![place.node(index)]).collect()).await;
        manifests_over_a_running_cluster(place, &writers).await;
        let three = Three { place, journal: writers.stop().await, uuid };
        three.are_whole().await;
        three.a_server_that_dies_twice().await;
        three.half_a_transfer().await;
        three.a_volume_of_another_cluster().await;
        three.two_crash_while_one_leaves().await;
        three.a_crashed_cluster_is_taken_down().await;
    })
    .await;
}

/// Whoever applies all that is rendered changes nothing about what is there.
async fn manifests_over_a_running_cluster(place: &Place, writers: &Writers) {
    written(writers, 100).await;
    let record = async || place.api::<ConfigMap>().get(&place.cluster.record()).await.unwrap().data;
    let before = record().await;
    let folder = place.render("running", "3", &["--include", "purge,access"]).await;
    certify_seed(place).await;
    apply(place, &steps(&folder, 3, &["volumes", "seed", "nodes", "haproxy"])).await;
    let services = place.api::<Service>().list(&ListParams::default()).await.unwrap();
    let open =
        |service: &Service| service.spec.as_ref().and_then(|spec| spec.type_.clone()) != Some("ClusterIP".to_owned());
    assert!(!services.iter().any(open), "a door was opened");
    let line = place.says(&place.cluster.pod(Member::Seed), &["GALERACTL", "event=refused"]).await;
    assert!(line.contains("on record") || line.contains("running cluster"), "{line}");
    written(writers, 100).await;

    assert_eq!(record().await, before);
    place.up(&["--nodes", "3", "--take-ownership"]).await.ended(0);
    until("the end of the seed", LIMIT, async || {
        holds(place.seed_is_gone().await, || "its claim is on its way".to_owned())
    })
    .await;
    place.healthy().await;

    // What opens doors or empties volumes has to be asked for; the Jobs still find out that they are not meant.
    let jobs = steps(&folder, 3, &["purge-volumes-jobs"]);
    let of_nodes = |job: &&Value| job["metadata"]["name"] != place.cluster.purge_job(Member::Seed);
    let jobs: Vec<Value> = jobs.iter().filter(of_nodes).cloned().collect();
    let door = documents(&folder.join("galera-external-access.yml"));
    apply(place, &door).await;
    apply(place, &jobs).await;
    for index in 1..=3 {
        let why = refusal(place, &place.cluster.purge_job(Member::Node(index))).await;
        assert!(why.contains("expected to hold"), "{why}");
    }
    delete(place, &door).await;
    delete(place, &jobs).await;
    written(writers, 100).await;
    assert_eq!(record().await, before);
}

async fn written(writers: &Writers, more: usize) {
    let before = writers.acknowledged();
    until(&format!("{more} more rows"), LIMIT, async || {
        let count = writers.acknowledged() - before;
        holds(count >= more, || format!("{count} rows"))
    })
    .await;
}

struct Three<'a> {
    place: &'a Place,
    journal: Journal,
    uuid: String,
}

impl Three<'_> {
    async fn are_whole(&self) {
        self.place.healthy().await;
        assert_eq!(self.place.uuid().await, self.uuid);
        check(self.place, 3, &self.uuid, &[&self.journal]).await;
    }

    /// Two of one name have kept a majority from its view.
    async fn a_server_that_dies_twice(&self) {
        let (place, pod) = (self.place, self.place.node(3));
        let dies = "server=$(cat /run/galeractl/server) && kill -9 $server && rm -f /var/lib/mysql/data/gvwstate.dat && echo $server";
        let first = place.shell(&pod, "mariadb", dies).await.stdout;
        until("the second death", LIMIT, async || {
            let again = format!("[ \"$(cat /run/galeractl/server)\" != {} ] && {dies}", first.trim());
            let output = place.try_shell(&pod, "mariadb", &again).await?;
            holds(output.exit_code == 0, || format!("{output:?}"))
        })
        .await;
        place.up(&UP).await.ended(0);
        self.are_whole().await;
    }

    async fn half_a_transfer(&self) {
        let (place, node) = (self.place, Member::Node(2));
        scale(place, node, 0).await;
        visit(place, node, "touch /data/data/sst_in_progress && ls -d /data/data/mysql && rm /data/data/ibdata1").await;
        scale(place, node, 1).await;
        place.says(&place.node(2), &["GALERACTL", "event=wsrep", "status=synced"]).await;
        self.are_whole().await;
        let log = place.log(&place.node(2)).await.unwrap();
        assert!(log.iter().any(|line| line.contains("SST completed on joiner")), "{}", log.join("\n"));
    }

    /// It is kept as it is, until somebody says that a copy may take its place.
    async fn a_volume_of_another_cluster(&self) {
        let (place, node, pod) = (self.place, Member::Node(2), self.place.node(2));
        let sums = "find data -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum";
        scale(place, node, 0).await;
        let other = format!(
            "cd /data && sed -i 's/^uuid:.*/uuid:    {STRANGER}/' data/grastate.dat && \
             sed -i 's/^uuid=.*/uuid={STRANGER}/' identity && {sums}"
        );
        let before = visit(place, node, &other).await;
        scale(place, node, 1).await;
        let line = place.says(&pod, &["GALERACTL", "event=refused"]).await;
        assert!(line.contains(STRANGER) && line.contains(&self.uuid), "{line}");
        let at = |script: String| async move { place.shell(&place.node(2), "mariadb", &script).await.stdout };
        assert_eq!(at(format!("cd /var/lib/mysql && {sums}")).await, before);

        let args = ["recover", "--rebuild", "node2"];
        place.run(&args).await.ended(6);
        place.run(&[&args[..], &["--confirm", place.cluster.as_str()]].concat()).await.ended(0);
        self.are_whole().await;
        assert_eq!(at(format!("cd /var/lib/mysql/aside.* && {sums}")).await, before);
    }

    async fn two_crash_while_one_leaves(&self) {
        self.fall().await;
        self.place.up(&UP).await.ended(0);
        self.are_whole().await;
    }

    async fn fall(&self) {
        let (place, leaving) = (self.place, self.place.node(2));
        let pods = place.api::<Pod>();
        let (one, three) = (place.node(1), place.node(3));
        let now = DeleteParams::default();
        let (deleted, _, _) = tokio::join!(
            pods.delete(&leaving, &now),
            place.shell(&one, "mariadb", KILL),
            place.shell(&three, "mariadb", KILL)
        );
        deleted.unwrap();
    }

    async fn a_crashed_cluster_is_taken_down(&self) {
        self.fall().await;
        let begun = Instant::now();
        self.place.run(&["teardown", "--force"]).await.ended(0);
        eprintln!("a fallen cluster is down after {:.1} s", begun.elapsed().as_secs_f32());
        assert!(begun.elapsed() < FORCED, "{:?}", begun.elapsed());
        for index in 1..=3 {
            gone(self.place, &self.place.node(index)).await;
        }
        self.place.up(&UP).await.ended(0);
        self.are_whole().await;
    }
}
