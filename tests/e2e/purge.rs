//! Volumes are emptied only where nobody uses them and somebody has said so; a run that dies is gone on with, and a new
//! cluster is formed on what is left.

use std::time::Duration;

use futures::future::join_all;
use galeractl::engine::event::Event;
use galeractl::names::Member;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::ResourceExt;

use crate::helper::Helper;
use crate::place::{Place, in_namespace};
use crate::volume::{delete_claim, make_claim, visit};
use crate::wait::{holds, until};

const LIMIT: Duration = Duration::from_secs(90);
const NODE: Member = Member::Node(1);
/// A node of which nothing is known but its claim.
const FAR: Member = Member::Node(5);
/// A file that a careless `rm *` leaves.
const HIDE: &str = "mkdir /data/.left && echo row >/data/.left/.file";
/// Everything but the file system's own folder.
const LOOK: &str = "find /data -mindepth 1 -maxdepth 1 ! -name lost+found";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn volumes_are_emptied_also_when_a_run_dies_half_way() {
    in_namespace("purge", async |place| {
        place.up(&["--nodes", "1"]).await.ended(0);
        place.healthy().await;
        let uuid = place.uuid().await;
        a_running_cluster_is_refused(place).await;
        place.run(&["teardown"]).await.ended(0);
        let claim = uid_of_claim(place).await;

        make_claim(place, Member::Seed).await;
        make_claim(place, FAR).await;
        a_volume_in_use_is_refused(place).await;
        join_all([NODE, Member::Seed].map(|member| visit(place, member, HIDE))).await;
        a_run_dies_before_it_has_emptied_anything(place).await;
        what_would_be_lost_is_shown(place, &uuid).await;
        a_run_dies_while_its_job_works(place).await;

        let claims = [NODE, FAR, Member::Seed].map(|member| place.cluster.claim(member));
        let mut left =
            vec![format!("configmap/{}", place.cluster.record()), format!("configmap/{}", place.cluster.spec())];
        left.extend(claims.iter().map(|claim| format!("persistentvolumeclaim/{claim}")));
        left.extend(place.secrets(1));
        assert_eq!(place.leftovers().await, left);
        let found = join_all([NODE, Member::Seed, FAR].map(|member| visit(place, member, LOOK))).await;
        assert_eq!(found, ["", "", "/data/.left\n"]);

        delete_claim(place, FAR).await;
        place.up(&["--nodes", "1"]).await.ended(0);
        assert_ne!(place.uuid().await, uuid, "the old cluster is back");
        assert_eq!(uid_of_claim(place).await, claim, "the claim was replaced");
    })
    .await;
}

async fn uid_of_claim(place: &Place) -> Option<String> {
    place.api::<PersistentVolumeClaim>().get(&place.cluster.claim(NODE)).await.unwrap().uid()
}

async fn a_running_cluster_is_refused(place: &Place) {
    let before = place.objects().await;
    let busy = place.run(&["purge", "--confirm", place.cluster.as_str()]).await.ended(3);
    assert!(busy.stderr.contains("is not down"), "{busy:?}");
    for pod in place.proxy_pods().await.into_iter().chain([place.node(1)]) {
        assert!(busy.stderr.contains(&pod), "{pod} is not named: {busy:?}");
    }
    assert_eq!(place.objects().await, before);
}

/// Also where the volume belongs to a node beyond the number that is known.
async fn a_volume_in_use_is_refused(place: &Place) {
    let user = Helper::start(place, "somebody", Some(&place.cluster.claim(FAR))).await;
    user.run(HIDE).await;
    let refused = place.run(&["purge", "--node", "5", "--confirm", place.cluster.as_str()]).await.ended(3);
    assert!(refused.stderr.contains("in use: somebody"), "{refused:?}");
    assert_eq!(user.run(LOOK).await, "/data/.left\n");
    user.end().await;
}

/// Starts a run and kills it as soon as it tells what passes the test.
async fn dies(place: &Place, args: &[&str], pass: impl FnMut(&Event) -> bool) {
    let mut run = place.start(args);
    let reached = run.reaches(pass).await;
    let ran = run.kill().await;
    assert!(reached && ran.code.is_none(), "{ran:?}");
}

async fn a_run_dies_before_it_has_emptied_anything(place: &Place) {
    let args = ["purge", "--seed-only", "--confirm", place.cluster.as_str(), "--progress", "json"];
    dies(place, &args, |event| matches!(event, Event::StepStarted { step, .. } if step == "purge")).await;
    let plan = place.run(&["purge", "--seed-only", "--dry-run"]).await.ended(0);
    let ran = place.run(&args).await.ended(0);
    assert_eq!(ran.acts(), plan.rehearsed());
    let changes = ran.changes();
    for member in [NODE, FAR] {
        let job = place.cluster.purge_job(member);
        assert!(!changes.iter().any(|change| change.contains(&job)), "{changes:?}");
    }
}

async fn what_would_be_lost_is_shown(place: &Place, uuid: &str) {
    let before = place.objects().await;
    let plan = place.run(&["purge", "--dry-run"]).await.ended(0);
    let acts = plan.rehearsed();
    for (member, is_emptied) in [(NODE, true), (Member::Seed, false), (FAR, true)] {
        let job = format!("job/{}", place.cluster.purge_job(member));
        assert_eq!(
            acts.iter().filter(|[_, object, _]| *object == job).count(),
            if is_emptied { 2 } else { 0 },
            "{acts:?}"
        );
    }
    let shown = plan.stdout;
    for (member, words) in [(NODE, uuid), (Member::Seed, " empty"), (FAR, "files, but no database")] {
        let claim = place.cluster.claim(member);
        let line = shown.lines().find(|line| line.contains(&claim));
        assert!(line.is_some_and(|line| line.contains(words)), "{member}: {shown}");
    }
    let absent = place.run(&["purge", "--node", "7", "--confirm", place.cluster.as_str()]).await.ended(3);
    let claim = place.cluster.claim(Member::Node(7));
    assert!(absent.stderr.contains(&format!("there is no claim {claim}")), "{absent:?}");
    let unasked = place.run(&["purge"]).await.ended(6);
    assert!(unasked.stderr.contains(&format!("--confirm {}", place.cluster)), "{unasked:?}");
    place.run(&["purge", "--confirm", "shoq"]).await.ended(6);
    assert_eq!(place.objects().await, before);
}

/// The Job ends by itself; what the run would have done after it is left.
async fn a_run_dies_while_its_job_works(place: &Place) {
    let args = ["purge", "--node", "1", "--confirm", place.cluster.as_str(), "--progress", "json"];
    let name = place.cluster.purge_job(NODE);
    let told = format!("job/{name}");
    dies(place, &args, |event| matches!(event, Event::Object { object, .. } if *object == told)).await;
    until(&format!("the success of {told}"), LIMIT, async || {
        let status = place.api::<Job>().get(&name).await.unwrap().status;
        let succeeded = status.as_ref().and_then(|status| status.succeeded);
        holds(succeeded == Some(1), || format!("{status:?}"))
    })
    .await;
    let plan = place.run(&["purge", "--node", "1", "--dry-run"]).await.ended(0);
    let ran = place.run(&args).await.ended(0);
    assert_eq!(ran.acts(), plan.rehearsed());
    let record = format!("configmap/{}", place.cluster.record());
    assert_eq!(ran.acts(), [["proof", record.as_str(), "change"].map(str::to_owned)].into());
    let recorded = place.recorded().await;
    assert!(recorded.values().all(Option::is_none), "the old cluster is still recorded: {recorded:?}");
}
