//! One node whose server is kept down while clients write at the others, and one that gets a fresh copy.

use galeractl::engine::event::Event;
use k8s_openapi::api::core::v1::Pod;
use kube::api::DeleteParams;

use crate::checker::check;
use crate::place::{Place, in_namespace};
use crate::writers::Writers;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_is_held_let_go_and_given_a_fresh_copy() {
    in_namespace("hold", async |place| {
        place.has_one_proxy();
        place.up(&["--nodes", "3"]).await.ended(0);
        let uuid = place.uuid().await;
        let writers = Writers::start(place, vec![vec![place.node(1)], vec![place.node(2)]]).await;

        // Held, and held again by its next pod; whoever needs all nodes says so at once, and changes nothing.
        place.run(&["hold", "--node", "3", "--dry-run"]).await.ended(0);
        place.run(&["hold", "--node", "3"]).await.ended(0);
        place.api::<Pod>().delete(&place.node(3), &DeleteParams::default()).await.unwrap();
        for verb in [&["restart", "--node", "2"][..], &["hold", "--node", "2"], &["rebuild", "--node", "2"]] {
            let refused = place.run(verb).await.ended(3);
            assert!(refused.stderr.contains("node3 is held by tester@"), "{refused:?}");
        }
        let seen = place.run(&["verify"]).await.ended(1).stdout;
        assert!(seen.contains("node3: is held by tester@") && seen.contains("galeractl release --node 3"), "{seen}");
        assert!(place.run(&["status"]).await.ended(0).stdout.contains("is held by tester@"));
        assert!(place.run(&["hold", "--node", "3"]).await.ended(0).changes().is_empty());
        place.run(&["release", "--node", "3"]).await.ended(0);
        place.healthy().await;

        // Killed while it is held; the same command goes on, and what was there is kept.
        let mut run = place.start(&["rebuild", "--node", "3", "--progress", "json"]);
        let held = |event: &Event| serde_json::to_string(event).unwrap().contains("node3 to be held");
        assert!(run.reaches(held).await);
        run.kill().await;
        let ran = place.run(&["rebuild", "--node", "3"]).await.ended(0);
        assert!(ran.stderr.contains("is kept on its volume, as aside."), "{ran:?}");
        place.healthy().await;
        let seen = place.run(&["verify"]).await.ended(0).stdout;
        assert!(seen.contains("what had to make room for a copy, beside the data of node3"), "{seen}");
        let journal = writers.stop().await;
        assert!(journal.unknown.is_empty(), "{journal:?}");
        check(place, 3, &uuid, &[&journal]).await;
        let kept = on_volume(place, "cat /var/lib/mysql/aside.*/data/grastate.dat").await;
        assert!(kept.contains(&uuid), "{kept}");
    })
    .await;
}

async fn on_volume(place: &Place, script: &str) -> String {
    use galeractl::kube::exec::{Place as At, exec};
    let pod = place.node(3);
    let at = At { namespace: &place.namespace, pod: &pod, container: "mariadb" };
    let limit = std::time::Duration::from_secs(20);
    let output = exec(&place.connection.streams, at, &["bash", "-c", script], None, limit).await.unwrap();
    assert_eq!(output.exit_code, 0, "{output:?}");
    output.stdout
}
