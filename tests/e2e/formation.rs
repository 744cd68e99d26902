//! A cluster is formed once, by one run, and not touched again.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{DeleteParams, ListParams};

use crate::place::{Place, in_namespace};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_two_runs_forms_the_cluster() {
    in_namespace("formation", async |place| {
        let plan = place.run(&["up", "--nodes", "3", "--dry-run"]).await.ended(0);
        assert!(plan.stdout.contains(&place.cluster.proxy()), "{plan:?}");
        assert_eq!(place.leftovers().await, Vec::<String>::new());

        let args = ["up", "--progress", "json", "--nodes", "3"];
        let (first, second) = (place.start(&args), place.start(&args));
        let (first, second) = tokio::join!(first.end(), second.end());
        let (winner, loser) = if first.code == Some(0) { (first, second) } else { (second, first) };
        let (winner, loser) = (winner.ended(0), loser.ended(5));
        assert_eq!(winner.acts(), plan.rehearsed());
        let (message, hints) = loser.last_word();
        assert!(message.contains(&winner.id()), "the holder is not named: {message}");
        assert!(message.contains("tester@") && !hints.is_empty(), "{message} {hints:?}");
        assert_eq!(loser.changes(), Vec::<String>::new());

        place.healthy().await;
        formed_and_handed_over(place).await;
        all_began_with_the_same(place).await;
        nothing_is_changed_again(place).await;
        no_password_is_told(place).await;
        everybody_said_goodbye(place).await;
    })
    .await;
}

async fn formed_and_handed_over(place: &Place) {
    assert!(place.seed_is_gone().await, "{:?}", place.objects().await);
    let uuid = place.uuid().await;
    let recorded = place.recorded().await;
    assert_eq!(recorded.len(), 3, "{recorded:?}");
    let status = place.run(&["status", "-o", "json"]).await.ended(0).json();
    assert_eq!(status["formed"], true);
    assert_eq!(status["members"].as_array().unwrap().len(), 3);
    for member in status["members"].as_array().unwrap() {
        assert_eq!(member["status"]["uuid"], uuid.as_str(), "{member}");
        assert_eq!(member["crashes"], 0, "{member}");
    }
}

/// Every member's own tables are equal, accounts and times included, and nobody has given anybody a state transfer.
async fn all_began_with_the_same(place: &Place) {
    // What servers count for themselves.
    const OWN: &str = "'gtid_slave_pos', 'innodb_index_stats', 'innodb_table_stats', 'transaction_registry'";
    let tables = format!(
        "SELECT GROUP_CONCAT('`', TABLE_SCHEMA, '`.`', TABLE_NAME, '`' ORDER BY 1) FROM information_schema.TABLES WHERE \
         TABLE_TYPE = 'BASE TABLE' AND TABLE_SCHEMA IN ('mysql', 'sys', 'galeractl') AND ENGINE <> 'CSV' AND TABLE_NAME NOT IN ({OWN})"
    );
    let tables = place.sql(&place.node(1), &tables).await.remove(0).remove(0).unwrap();
    assert!(tables.split(',').count() > 20 && tables.contains("`mysql`.`global_priv`"), "{tables}");
    let sums = place.sql(&place.node(1), &format!("CHECKSUM TABLE {tables} EXTENDED")).await;
    for node in 2..=3 {
        assert_eq!(
            place.sql(&place.node(node), &format!("CHECKSUM TABLE {tables} EXTENDED")).await,
            sums,
            "node{node}"
        );
    }
    for node in 1..=3 {
        let log = place.log(&place.node(node)).await.unwrap().join("\n");
        assert!(log.contains("phase=filled") && !log.contains("status=donor"), "{log}");
    }
}

async fn nothing_is_changed_again(place: &Place) {
    let before = place.objects().await;
    let again = place.up(&[]).await.ended(0);
    assert!(again.last_word().0.ends_with("nothing was changed"), "{again:?}");
    assert_eq!(again.changes(), Vec::<String>::new());

    let same = place.up(&["--nodes", "3"]).await.ended(0);
    assert_eq!(same.changes(), Vec::<String>::new());

    let five = place.up(&["--nodes", "5"]).await.ended(3);
    let (message, hints) = five.last_word();
    assert!(message.contains("has 3 nodes"), "{message}");
    assert!(hints.iter().any(|hint| hint.contains("--nodes 3")), "{hints:?}");

    let plan = place.run(&["up", "--dry-run"]).await.ended(0);
    assert!(plan.stdout.contains("keep") && plan.rehearsed().is_empty(), "{plan:?}");
    assert!(plan.stderr.contains("nothing was changed"), "{plan:?}");
    place.run(&["up", "--nodes", "5", "--dry-run"]).await.ended(3);
    assert_eq!(place.objects().await, before);

    // What is missing beside a running cluster is seen, and made.
    let proxies = place.api::<Deployment>();
    proxies.delete(&place.cluster.proxy(), &DeleteParams::default()).await.unwrap();
    let plan = place.run(&["up", "--dry-run"]).await.ended(0).rehearsed();
    assert_eq!(plan.len(), 1, "{plan:?}");
    assert_eq!(place.up(&[]).await.ended(0).acts(), plan);
}

async fn no_password_is_told(place: &Place) {
    let credentials = place.run(&["credentials", "-o", "json"]).await.ended(0).json();
    assert_eq!(credentials["secret"], place.cluster.credentials());
    place.run(&["credentials"]).await.ended(0);
    place.run(&["config"]).await.ended(0);
    place.run(&["status"]).await.ended(0);
    place.run(&["verify"]).await.ended(0);
    let runs = place.run(&["runs", "list", "-o", "json"]).await.ended(0).json();
    assert!(runs.as_array().unwrap().len() >= 5, "{runs}");
    let shown = place.run(&["runs", "show"]).await.ended(0);
    assert!(shown.stdout.contains("preflight"), "{shown:?}");
    for run in runs.as_array().unwrap() {
        place.run(&["runs", "show", run["id"].as_str().unwrap(), "-o", "json"]).await.ended(0);
    }

    let mut texts = BTreeMap::from([("output", place.said.lock().unwrap().clone())]);
    let pods = place.api::<Pod>().list(&ListParams::default()).await.unwrap();
    texts.insert("pods", serde_json::to_string(&pods.items).unwrap());
    let maps = place.api::<ConfigMap>().list(&ListParams::default()).await.unwrap();
    texts.insert("ConfigMaps", serde_json::to_string(&maps.items).unwrap());
    let journals = place.home.path().join("state/galeractl/runs");
    let journals = std::fs::read_dir(journals).unwrap().map(|entry| entry.unwrap().path());
    texts.insert("journals", journals.map(|path| std::fs::read_to_string(path).unwrap()).collect());
    for (key, password) in place.passwords().await {
        for (what, text) in &texts {
            assert!(!text.is_empty(), "{what}");
            assert!(!text.contains(&password), "the {key} is in the {what}");
        }
    }
}

/// Whoever watches the servers' logs and counters sees nothing of those who look at them.
async fn everybody_said_goodbye(place: &Place) {
    for node in 1..=3 {
        let log = place.log(&place.node(node)).await.unwrap();
        let broken: Vec<_> = log.iter().filter(|line| line.contains("Aborted connection")).collect();
        assert_eq!(broken, Vec::<&String>::new());
    }
}
