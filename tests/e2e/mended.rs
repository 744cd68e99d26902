//! A first `up` that fails leaves nothing in the way of the next one, nor of a teardown.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::place::{Place, in_namespace};

/// Until the reason is seen, and told.
const SOON: Duration = Duration::from_secs(90);
const TYPO: &str = "inodb_buffer_pool_size=1G";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_attempt_that_fails_is_mended_by_the_next_one() {
    in_namespace("mended", async |place| {
        let image = ["--nodes", "1", "--set", "galera_cluster_docker_image=registry.invalid/mariadb:0"];
        let memory = [
            "--nodes",
            "1",
            "--set",
            "galera_cluster_memory_request=100Ti",
            "--set",
            "galera_cluster_memory_limit=100Ti",
        ];
        fails(place, &image, "registry.invalid/mariadb:0").await;
        fails(place, &memory, "Insufficient memory").await;
        let file = place.home.path().join("galera.conf");
        std::fs::write(&file, format!("[all:vars]\ngalera_cluster_nodes=1\n[mysqld]\n{TYPO}\n")).unwrap();
        let said = fails(place, &[], "unknown variable").await;
        assert!(said.contains(TYPO), "the server's own line is not quoted: {said}");
        clean(place).await;

        fails(place, &[], "unknown variable").await;
        std::fs::write(&file, "[all:vars]\ngalera_cluster_nodes=1\n[mysqld]\ninnodb_buffer_pool_size=64M\n").unwrap();
        place.up(&[]).await.ended(0);
        place.healthy().await;
        let size = place.sql(&place.node(1), "SELECT @@innodb_buffer_pool_size >> 20").await;
        assert_eq!(size[0][0].as_deref(), Some("64"));
        options_that_would_stop_a_running_server(place, &file).await;
    })
    .await;
}

/// They are refused while the server still runs with the old ones.
async fn options_that_would_stop_a_running_server(place: &Place, file: &Path) {
    let before = place.objects().await;
    std::fs::write(file, format!("[all:vars]\ngalera_cluster_nodes=1\n[mysqld]\n{TYPO}\n")).unwrap();
    let refused = place.up(&[]).await.ended(3).last_word();
    assert!(refused.0.contains(&format!("unknown variable '{TYPO}'")), "{refused:?}");
    assert_eq!(place.objects().await, before);
    place.healthy().await;
}

/// Ends soon, as a step that failed, and says why: what it said.
async fn fails(place: &Place, args: &[&str], why: &str) -> String {
    let begun = Instant::now();
    let (message, hints) = place.up(args).await.ended(4).last_word();
    eprintln!("after {:.1} s: {message}", begun.elapsed().as_secs_f32());
    assert!(message.contains(why), "{message}");
    assert!(!hints.is_empty() && begun.elapsed() < SOON, "{:?}: {message} {hints:?}", begun.elapsed());
    message
}

/// What has never been a cluster needs no force to go.
async fn clean(place: &Place) {
    place.run(&["teardown", "--delete-volumes", "--confirm", place.cluster.as_str()]).await.ended(0);
    assert_eq!(place.leftovers().await, Vec::<String>::new());
}
