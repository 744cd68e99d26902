//! The Role that galeractl prints for verbs is enough for them, and for nothing more.

use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::api::PostParams;
use serde_json::json;

use crate::place::{Place, in_namespace, parse};
use crate::process::Ran;

const ONE: [&str; 2] = ["--nodes=1", "--set=galera_cluster_haproxy_replicas=1"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn printed_roles_are_enough_and_not_more() {
    in_namespace("least", async |place| {
        let owner = account(place, "owner", &["up", "verify", "teardown"]).await;
        let reader = account(place, "reader", &["verify", "status"]).await;
        act(place, &owner, &[&["up"], &ONE[..]].concat()).await.ended(0);
        act(place, &owner, &["verify"]).await.ended(0);
        act(place, &reader, &["verify"]).await.ended(0);
        act(place, &reader, &["status"]).await.ended(0);
        let renewer = account(place, "renewer", &["certificates"]).await;
        act(place, &renewer, &["certificates", "renew"]).await.ended(0);
        let rotator = account(place, "rotator", &["credentials-rotate"]).await;
        act(place, &rotator, &["credentials", "rotate"]).await.ended(0);
        for verb in [
            &["teardown"][..],
            &["up", "--nodes=1"],
            &["purge"],
            &["expose"],
            &["certificates", "rotate"],
            &["credentials", "rotate"],
        ] {
            let refused = act(place, &reader, verb).await.ended(3);
            assert!(refused.stderr.contains("you may not: "), "{refused:?}");
        }
        act(place, &owner, &["teardown", "--delete-volumes", "--confirm", place.cluster.as_str()]).await.ended(0);
        assert_eq!(place.leftovers().await, Vec::<String>::new());
    })
    .await;
}

pub(crate) async fn act(place: &Place, who: &str, args: &[&str]) -> Ran {
    place.run(&[args, &["--as", who]].concat()).await
}

/// An account with the Role for these verbs and no other rights.
pub(crate) async fn account(place: &Place, name: &str, verbs: &[&str]) -> String {
    let args = [&["permissions"], verbs, &["--role", name], &ONE].concat();
    let printed = place.bare(&place.of_cluster(&args)).end().await.ended(0);
    let role: Role = serde_saphyr::from_str(&printed.stdout).unwrap();
    let binding: RoleBinding = parse(json!({
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": place.namespace}],
    }));
    let account: ServiceAccount = parse(json!({"metadata": {"name": name}}));
    let post = PostParams::default();
    place.api::<ServiceAccount>().create(&post, &account).await.unwrap();
    place.api::<Role>().create(&post, &role).await.unwrap();
    place.api::<RoleBinding>().create(&post, &binding).await.unwrap();
    format!("system:serviceaccount:{}:{name}", place.namespace)
}
