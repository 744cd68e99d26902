//! What is left of a stopped cluster, whatever became of it meanwhile: volumes without claims, claims without labels, no
//! record, no data, the data of somebody else. It comes back with every row, or nothing happens.

use std::cell::Cell;
use std::time::Duration;

use galeractl::names::{INSTANCE_LABEL, MANAGED_BY_LABEL, Member};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod};
use kube::ResourceExt;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::applied::{apply, certify_seed, delete, steps};
use crate::helper::Helper;
use crate::place::{Place, in_namespace, parse};
use crate::volume::{offer, release, visit};
use crate::wait::{holds, until};

const LIMIT: Duration = Duration::from_secs(90);
const NODE: Member = Member::Node(1);
const ONE: [&str; 2] = ["--nodes", "1"];
const OWNED: [&str; 3] = ["--nodes", "1", "--take-ownership"];
/// Everything on a volume but the file system's own folder.
const ALL: &str = "-mindepth 1 -maxdepth 1 ! -name lost+found";
const SUMS: &str = "find /data/data -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum";
const STRANGER: &str = "11111111-2222-3333-4444-555555555555";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_left_of_a_stopped_cluster_comes_back() {
    in_namespace("outlived", async |place| {
        let file = place.home.path().join("galera.conf");
        std::fs::write(
            &file,
            "[all:vars]\ngalera_cluster_nodes=1\ngalera_cluster_haproxy_replicas=1\n[mysqld]\nmax_connections=77\n",
        )
        .unwrap();
        place.up(&[]).await.ended(0);
        std::fs::remove_file(&file).unwrap();
        place.make_table().await;
        place.insert(1).await;
        let left = Left { place, uuid: place.uuid().await, rows: Cell::new(1) };
        left.is_what_it_was().await;
        left.jobs_by_hand_do_nothing().await;
        left.content_that_is_away().await;
        left.volumes_without_claims().await;
        left.claims_without_labels().await;
        left.of_another_cluster().await;
        left.manifests_by_hand().await;
    })
    .await;
}

struct Left<'a> {
    place: &'a Place,
    uuid: String,
    /// How many have been written.
    rows: Cell<u32>,
}

impl Left<'_> {
    /// It runs again with all rows, and takes another one.
    async fn comes_back(&self, args: &[&str]) {
        self.place.up(args).await.ended(0);
        self.has_all_rows().await;
        assert_eq!(self.place.uuid().await, self.uuid);
        assert!(self.place.seed_is_gone().await);
        self.rows.set(self.rows.get() + 1);
        self.place.insert(self.rows.get()).await;
    }

    async fn has_all_rows(&self) {
        let rows: Vec<String> = (1..=self.rows.get()).map(|row| row.to_string()).collect();
        assert_eq!(self.place.rows(1).await, rows.join(","));
    }

    /// Nobody says again how many nodes there are, and with which options.
    async fn is_what_it_was(&self) {
        self.place.stop().await;
        self.comes_back(&[]).await;
        let option = self.place.sql(&self.place.node(1), "SELECT @@max_connections").await;
        assert_eq!(option[0][0].as_deref(), Some("77"));
    }

    /// A Job empties a volume only if nobody uses it, and it holds what somebody has looked at.
    async fn jobs_by_hand_do_nothing(&self) {
        let place = self.place;
        let folder = place.render("purge", "1", &["--include", "purge"]).await;
        let jobs = steps(&folder, 1, &["purge-volumes-jobs"]);
        let job = jobs.iter().find(|job| job["metadata"]["name"] == place.cluster.purge_job(NODE)).unwrap();
        let wrong = format!("database:{}:1", self.uuid);
        let why = purge(place, job, &wrong).await;
        assert!(why.contains("a server has the data directory open"), "{why}");
        self.has_all_rows().await;

        place.stop().await;
        let before = visit(place, NODE, SUMS).await;
        let why = purge(place, job, &wrong).await;
        assert!(why.contains(&format!("expected was {wrong}")), "{why}");
        let why = purge(place, job, "").await;
        assert!(why.contains("not said what this volume is expected to hold"), "{why}");
        assert_eq!(visit(place, NODE, SUMS).await, before);
    }

    /// An empty volume where there was a database is no reason to begin another one.
    async fn content_that_is_away(&self) {
        let place = self.place;
        let helper = Helper::start(place, "keeper", Some(&place.cluster.claim(NODE))).await;
        helper
            .run(&format!("mkdir /tmp/kept && find /data {ALL} -exec cp -a -t /tmp/kept {{}} + -exec rm -rf {{}} +"))
            .await;
        let refused = place.up(&[]).await.ended(3);
        assert!(refused.last_word().0.contains("is on record"), "{refused:?}");
        assert_eq!(place.recorded().await[&place.cluster.claim(NODE)].as_ref(), Some(&self.uuid));
        assert_eq!(helper.run(&format!("find /data {ALL}")).await, "");
        helper.run("find /tmp/kept -mindepth 1 -maxdepth 1 -exec cp -a -t /data {} +").await;
        helper.end().await;
        self.comes_back(&[]).await;
    }

    async fn volumes_without_claims(&self) {
        let place = self.place;
        place.stop().await;
        let volume = release(place, NODE).await;
        let refused = place.up(&[]).await.ended(3);
        let (message, hints) = refused.last_word();
        assert!(message.contains(&volume) && message.contains("Released"), "{message}");
        let patch = format!("patch pv {volume} ");
        assert!(hints.iter().any(|hint| hint.contains(&patch)), "{hints:?}");
        offer(place, &volume).await;
        self.comes_back(&[]).await;

        place.stop().await;
        assert_eq!(release(place, NODE).await, volume);
        self.forget().await;
        offer(place, &volume).await;
        self.comes_back(&ONE).await;
    }

    /// Takes away what is recorded; the passwords stay.
    async fn forget(&self) {
        let maps = self.place.api::<ConfigMap>();
        for name in [self.place.cluster.record(), self.place.cluster.spec()] {
            if maps.get_opt(&name).await.unwrap().is_some() {
                maps.delete(&name, &DeleteParams::default()).await.unwrap();
            }
        }
    }

    async fn claims_without_labels(&self) {
        let (place, claims) = (self.place, self.place.api::<PersistentVolumeClaim>());
        place.stop().await;
        let patch = json!({"metadata": {"labels": {INSTANCE_LABEL: null, MANAGED_BY_LABEL: null}}});
        claims.patch(&place.cluster.claim(NODE), &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
        let refused = place.up(&ONE).await.ended(3);
        assert!(refused.last_word().1.iter().any(|hint| hint.contains("--take-ownership")), "{refused:?}");
        self.comes_back(&OWNED).await;
    }

    /// Also where galeractl is not asked, the start script is.
    async fn of_another_cluster(&self) {
        let place = self.place;
        place.stop().await;
        let change = format!(
            "cp -a /data/identity /data/data/grastate.dat /data/restore.kept/ && sed -i 's/^uuid:.*/uuid:    {STRANGER}/' \
             /data/data/grastate.dat && sed -i 's/^uuid=.*/uuid={STRANGER}/; s/^group=.*/group=other.shop/' /data/identity"
        );
        let before = visit(place, NODE, &format!("mkdir /data/restore.kept && {change} && {SUMS}")).await;
        let refused = place.up(&[]).await.ended(3);
        assert!(refused.last_word().0.contains("other.shop"), "{refused:?}");

        let folder = place.render("stranger", "1", &[]).await;
        apply(place, &steps(&folder, 1, &["volumes", "nodes"])).await;
        let line = place.says(&place.node(1), &["GALERACTL", "event=refused"]).await;
        assert!(line.contains("belongs to node1 of other.shop"), "{line}");
        delete(place, &steps(&folder, 1, &["nodes"])).await;
        crate::pods::gone(place, &place.node(1)).await;
        let back = "cd /data/restore.kept && cp -a grastate.dat /data/data/ && cp -a identity /data/ && rm -r /data/restore.kept";
        assert_eq!(visit(place, NODE, &format!("{SUMS} && {back}")).await, before);
        self.comes_back(&OWNED).await;
    }

    /// All at once, over a stopped volume, and with nothing on record: the seed hears of the data from the node.
    async fn manifests_by_hand(&self) {
        let place = self.place;
        place.stop().await;
        self.forget().await;
        let folder = place.render("by-hand", "1", &[]).await;
        certify_seed(place).await;
        apply(place, &steps(&folder, 1, &["volumes", "seed", "nodes"])).await;
        let line = place.says(&place.cluster.pod(Member::Seed), &["GALERACTL", "event=refused"]).await;
        assert!(line.contains("begin another history"), "{line}");
        place.in_phase(&place.node(1), "waiting").await;
        self.comes_back(&OWNED).await;
        place.healthy().await;
    }
}

/// Runs a purge Job that expects this, which must fail, and answers with why it says so.
async fn purge(place: &Place, job: &Value, expected: &str) -> String {
    let (jobs, mut job) = (place.api::<Job>(), job.clone());
    let name = job["metadata"]["name"].as_str().unwrap().to_owned();
    let env = job["spec"]["template"]["spec"]["containers"][0]["env"].as_array_mut().unwrap();
    let place_of = env.iter_mut().find(|variable| variable["name"] == "EXPECT").unwrap();
    place_of["value"] = json!(expected);
    jobs.create(&PostParams::default(), &parse(job)).await.unwrap();
    let why = refusal(place, &name).await;
    jobs.delete(&name, &DeleteParams::background()).await.unwrap();
    let pods = ListParams::default().labels(&format!("job-name={name}"));
    until(&format!("the end of job/{name}"), LIMIT, async || {
        let left = place.api::<Pod>().list(&pods).await.unwrap().items.len();
        holds(left == 0 && jobs.get_opt(&name).await.unwrap().is_none(), || format!("{left} pods"))
    })
    .await;
    why
}

/// Why a purge Job has done nothing.
pub(crate) async fn refusal(place: &Place, job: &str) -> String {
    let pods = ListParams::default().labels(&format!("job-name={job}"));
    until(&format!("the failure of job/{job}"), LIMIT, async || {
        let status = place.api::<Job>().get(job).await.unwrap().status;
        holds(status.as_ref().is_some_and(|status| status.failed > Some(0)), || format!("{status:?}"))?;
        let failed = place.api::<Pod>().list(&pods).await.unwrap().items.pop().ok_or("its pod is gone")?;
        let log = place.api::<Pod>().logs(&failed.name_any(), &kube::api::LogParams::default()).await;
        let log = log.map_err(|error| error.to_string())?;
        let line = log.lines().find(|line| line.starts_with("GALERACTL") && line.contains("refused=yes"));
        line.map(str::to_owned).ok_or(log.clone())
    })
    .await
}
