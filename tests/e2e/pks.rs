//! The example files whose volumes come from a storage class.

use std::panic::AssertUnwindSafe;
use std::path::Path;

use futures::FutureExt;
use galeractl::kube::classes::{DEFAULT_CLASS, is_default};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ObjectMeta, PostParams};

use crate::place::{Place, beside_others, without_others};

/// Hosts of tests cannot mount NFS; what backups do is tested on volumes of another kind.
const NO_SHARE: &str = "galera_cluster_backup=no";
/// A storage class of the cluster that the tests run on.
const CLASS: &str = "local";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pks_example_forms_a_cluster_for_drupal() {
    without_others("web", "pks", async |place| {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/pks.conf");
        let thin = default_class(place).await;
        let class = format!("galera_vsphere_storage_class={thin}");
        let args = ["up", "-f", file.to_str().unwrap(), "--set", NO_SHARE, "--set", &class, "--fix-default-class"];
        let in_json = [&args[..], &["--progress", "json"]].concat();
        let classes: Api<StorageClass> = Api::all(place.connection.client.clone());
        let forming = async {
            let declined = place.reaching(&in_json).end().await.ended(6);
            assert!(declined.last_word().1.iter().any(|hint| hint.contains("--yes")), "{declined:?}");
            let (code, shown) = place.at_terminal(&args, "no longer the default one", "n");
            assert!(code == 6 && shown.contains("nothing was changed"), "{code}: {shown}");
            assert!(is_default(&classes.get(&thin).await.unwrap()));
            place.reaching(&[&in_json[..], &["--yes"]].concat()).end().await.ended(0)
        };
        let formed = AssertUnwindSafe(forming).catch_unwind().await;
        let fixed = classes.delete(&thin, &DeleteParams::default()).await.unwrap().left().unwrap();
        let formed = formed.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        assert_eq!(fixed.annotations().get(DEFAULT_CLASS).map(String::as_str), Some("false"));
        assert!(formed.last_word().0.contains("cluster pks is up: 3 nodes"), "{formed:?}");
        place.healthy().await;

        let passwords = place.passwords().await;
        let given = passwords.iter().find(|(key, _)| key == "user-password").map(|(_, password)| password.as_str());
        assert_eq!(given, Some("Fender2000"));
        let proxy = place.proxy_pods().await.remove(0);
        let mut sql = place.door("drupal", "user-password").await.open(&proxy).await.unwrap();
        sql.query("CREATE TABLE drupaldb.node (nid INT PRIMARY KEY, title VARCHAR(40))").await.unwrap();
        sql.query("INSERT INTO drupaldb.node VALUES (1, 'hello')").await.unwrap();
        assert_eq!(sql.value("SELECT title FROM drupaldb.node WHERE nid = 1").await, "hello");
        assert!(sql.query("SELECT * FROM mysql.user").await.is_err(), "drupal may read more than its database");
        let on_node3 = place.sql(&place.node(3), "SELECT title FROM drupaldb.node").await;
        assert_eq!(on_node3, [[Some("hello".to_owned())]]);
        let told = place.said.lock().unwrap().clone();
        assert!(!told.contains("Fender2000"), "a password is told");
    })
    .await;
}

/// A class like the one that the tests use, which is the default one as well, and therefore in the way of others.
async fn default_class(place: &Place) -> String {
    let classes: Api<StorageClass> = Api::all(place.connection.client.clone());
    let name = format!("e2e-thin-{}", std::process::id());
    let mut class = classes.get(CLASS).await.unwrap();
    class.metadata = ObjectMeta {
        name: Some(name.clone()),
        annotations: Some([(DEFAULT_CLASS.to_owned(), "true".to_owned())].into()),
        ..ObjectMeta::default()
    };
    classes.create(&PostParams::default(), &class).await.unwrap();
    name
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_targetd_example_forms_a_cluster() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/targetd.conf");
    let settings =
        galeractl::settings::load(&galeractl::settings::Input { file: Some(file.clone()), ..Default::default() });
    let desired = settings.unwrap().desired;
    beside_others(desired.namespace.as_str(), desired.cluster.as_str(), async |place| {
        let class = format!("galera_iscsi_storage_class={CLASS}");
        let args = ["up", "--progress", "json", "-f", file.to_str().unwrap(), "--set", NO_SHARE, "--set", &class];
        place.reaching(&args).end().await.ended(0);
        place.healthy().await;
        let status = place.run(&["status", "-o", "json"]).await.ended(0).json();
        let classes: Vec<&str> =
            status["volumes"].as_object().unwrap().values().map(|v| v["class"].as_str().unwrap()).collect();
        assert_eq!(classes, vec![CLASS; usize::try_from(desired.nodes).unwrap()]);
        let smaller = [&args[..], &["--set", "galera_cluster_volume_size=5Gi"]].concat();
        let (message, _) = place.reaching(&smaller).end().await.ended(2).last_word();
        assert!(message.contains("--set: galera_cluster_volume_size: 5Gi is less than the 20Gi of"), "{message}");
    })
    .await;
}
