//! Another image while clients write: refused, rehearsed, killed between two nodes, paused, interrupted, and led back.

use std::collections::BTreeSet;

use galeractl::engine::event::Event;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;

use crate::checker::check;
use crate::place::{Place, in_namespace};
use crate::process::Ran;
use crate::writers::Writers;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_image_is_judged_and_led_through_node_by_node() {
    in_namespace("upgrade", async |place| {
        place.has_one_proxy();
        place.up(&["--nodes", "2"]).await.ended(0);
        let (uuid, first) = (place.uuid().await, image_of(place, 1).await);
        // The same image under its whole name: another one to Kubernetes.
        let whole = format!("docker.io/library/{first}");
        let proxy = format!("docker.io/library/{}", proxy_image(place).await);
        let upgrade = |image: &str, more: &[&str]| -> Vec<String> {
            let args = ["upgrade", "--progress", "json", "--image", image];
            args.iter().chain(more).map(ToString::to_string).collect()
        };
        refused(place, &first).await;
        let writers = Writers::start(place, vec![vec![place.node(1), place.node(2)]]).await;

        // Killed when the first node is away; the second run waits for it, restarts the other, and not that one again.
        // Proxies are last.
        let both = ["--proxy-image", &proxy];
        let rehearsed = run(place, &upgrade(&whole, &[&both[..], &["--dry-run"]].concat())).await.ended(0);
        let args = upgrade(&whole, &both);
        let mut killed = place.start(&refs(&args));
        assert!(killed.reaches(|event| waits(event, "node2 to leave")).await);
        assert_ne!(proxy_image(place).await, proxy);
        let killed = killed.kill().await;
        let ran = run(place, &args).await.ended(0);
        let acts: BTreeSet<_> = killed.acts().union(&ran.acts()).cloned().collect();
        assert_eq!(rehearsed.rehearsed(), acts, "{rehearsed:?} {killed:?} {ran:?}");
        assert!(!ran.changes().contains(&format!("Deleted pod/{}", place.node(2))), "{ran:?}");
        assert_eq!((image_of(place, 1).await, image_of(place, 2).await), (whole.clone(), whole.clone()));
        assert_eq!(proxy_image(place).await, proxy);
        assert!(run(place, &args).await.ended(0).changes().is_empty());

        // Back, with a pause between: `verify` says what is left. Ctrl-C lets the node that is away come back first.
        let back = upgrade(&first, &["--pause-after", "2"]);
        let paused = run(place, &back).await.ended(0);
        assert!(paused.last_word().0.contains("left: node1"), "{paused:?}");
        assert_eq!((image_of(place, 1).await, image_of(place, 2).await), (whole.clone(), first.clone()));
        let report = place.run(&["verify", "-o", "json"]).await.ended(0).json();
        let left = report["checks"].as_array().unwrap().iter().find(|check| check["id"] == "settings-current").unwrap();
        assert!(left["evidence"].as_str().unwrap().contains(&format!("node1: its image is {whole}")), "{left}");
        assert!(left["hint"].as_str().unwrap().contains(&format!("galeractl upgrade --image {first}")), "{left}");
        let mut stopped = place.start(&refs(&back));
        assert!(stopped.reaches(|event| waits(event, "node1 to leave")).await);
        stopped.interrupt();
        let stopped = stopped.end().await.ended(130);
        assert!(stopped.events().iter().any(|event| says(event, "node1 serves")), "{stopped:?}");
        run(place, &back).await.ended(0);
        assert_eq!(image_of(place, 1).await, first);

        let journal = writers.stop().await;
        check(place, 2, &uuid, &[&journal]).await;
        place.healthy().await;
    })
    .await;
}

/// Images that are none, and verbs that judge no way to another: nothing is changed.
async fn refused(place: &Place, image: &str) {
    let before = place.objects().await;
    for (other, why) in [("registry.invalid/mariadb:0", "cannot get image"), ("haproxy:3.0", "it lacks mariadbd")] {
        let said = place.run(&["upgrade", "--progress", "json", "--image", other]).await.ended(3).last_word();
        assert!(said.0.contains(why), "{said:?}");
    }
    let proxy = place.run(&["upgrade", "--progress", "json", "--proxy-image", image]).await.ended(3).last_word();
    assert!(proxy.0.contains("it has no haproxy"), "{proxy:?}");
    let set = "galera_cluster_docker_image=mariadb:12.3";
    for verb in [&["apply", "--set", set][..], &["up", "--nodes", "2", "--set", set]] {
        let said = place.run(verb).await.ended(3);
        assert!(said.stderr.contains("galeractl upgrade --image mariadb:12.3"), "{said:?}");
    }
    place.run(&["upgrade", "--image", image, "--pause-after", "3"]).await.ended(2);
    assert_eq!(place.objects().await, before);
}

fn refs(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}

async fn run(place: &Place, args: &[String]) -> Ran {
    place.run(&refs(args)).await
}

fn says(event: &Event, begin: &str) -> bool {
    matches!(event, Event::Notice { message, .. } if message.starts_with(begin))
}

fn waits(event: &Event, begin: &str) -> bool {
    matches!(event, Event::StepWaiting { reason, .. } if reason.starts_with(begin))
}

async fn proxy_image(place: &Place) -> String {
    let deployment = place.api::<Deployment>().get(&place.cluster.proxy()).await.unwrap();
    deployment.spec.unwrap().template.spec.unwrap().containers.remove(0).image.unwrap()
}

async fn image_of(place: &Place, node: u32) -> String {
    let pod = place.api::<Pod>().get(&place.node(node)).await.unwrap();
    let containers = pod.spec.unwrap().containers;
    containers.into_iter().find(|container| container.name == "mariadb").unwrap().image.unwrap()
}
