//! Pods that tests start beside a cluster, to look at something or to change it.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, PostParams};
use serde_json::json;

use crate::place::{Place, parse};
use crate::wait::{holds, until};

const LIMIT: Duration = Duration::from_secs(90);
const CONTAINER: &str = "main";

/// A pod that does nothing by itself.
pub(crate) struct Helper<'a> {
    place: &'a Place,
    name: String,
}

impl<'a> Helper<'a> {
    /// Starts one. The volume of a claim lies under `/data`.
    pub(crate) async fn start(place: &'a Place, name: &str, claim: Option<&str>) -> Self {
        let (volumes, mounts) = if let Some(claim) = claim {
            let volume = json!({"name": "data", "persistentVolumeClaim": {"claimName": claim}});
            (json!([volume]), json!([{"name": "data", "mountPath": "/data"}]))
        } else {
            (json!([]), json!([]))
        };
        let pod: Pod = parse(json!({
            "metadata": {"name": name},
            "spec": {
                "terminationGracePeriodSeconds": 0,
                "securityContext": {"runAsNonRoot": true, "runAsUser": 999, "fsGroup": 999, "seccompProfile": {"type": "RuntimeDefault"}},
                "containers": [{
                    "name": CONTAINER, "image": "mariadb:11.8", "command": ["sleep", "infinity"],
                    "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
                    "volumeMounts": mounts,
                }],
                "volumes": volumes,
            },
        }));
        let pods = place.api::<Pod>();
        pods.create(&PostParams::default(), &pod).await.unwrap();
        until(&format!("{name} runs"), LIMIT, async || {
            let status = pods.get(name).await.unwrap().status;
            let phase = status.as_ref().and_then(|status| status.phase.as_deref());
            holds(phase == Some("Running"), || format!("{status:?}"))
        })
        .await;
        Self { place, name: name.to_owned() }
    }

    /// What a shell script prints, which must succeed.
    pub(crate) async fn run(&self, script: &str) -> String {
        let output = self.place.shell(&self.name, CONTAINER, script).await;
        assert_eq!(output.exit_code, 0, "{script}: {output:?}");
        output.stdout
    }

    /// Removes it.
    pub(crate) async fn end(self) {
        let (pods, name) = (self.place.api::<Pod>(), &self.name);
        pods.delete(name, &DeleteParams::default()).await.unwrap();
        until(&format!("the end of {name}"), LIMIT, async || {
            holds(pods.get_opt(name).await.unwrap().is_none(), || "it is still there".to_owned())
        })
        .await;
    }
}
