//! Ways to log in to Kubernetes that a kubeconfig can name.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::config::Kubeconfig;
use serde_json::{Value, json};

use crate::place::{Place, in_namespace, options, parse};

/// How Kubernetes and such programs talk.
const API: &str = "client.authentication.k8s.io/v1";

/// Providers of Kubernetes give out passes by a program of theirs; here it gives one of a service account, which may
/// do nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_and_certificates_log_in() {
    in_namespace("logins", async |place| {
        let accounts = place.api::<ServiceAccount>();
        let wanted: TokenRequest = parse(json!({"spec": {"audiences": [], "expirationSeconds": 600}}));
        let answer = accounts.create_token_request("default", &PostParams::default(), &wanted).await.unwrap();
        let token = answer.status.unwrap().token;
        let user = format!("system:serviceaccount:{}:default", place.namespace);

        let said = refusal(place, &plugin(place, &pass(&json!({"token": token}))), 3).await;
        assert!(said.contains(&user), "the program's pass is not used: {said}");
        let said = refusal(place, &json!({"token": token}), 3).await;
        assert!(said.contains(&user), "{said}");
        let said = refusal(place, &json!({"tokenFile": file(place, "token", &token)}), 3).await;
        assert!(said.contains(&user), "{said}");
        // What the tests themselves use, wherever they run, given out by a program.
        if let Some(certificate) = own_certificate() {
            let ran = ask(place, &plugin(place, &pass(&certificate))).await;
            assert!(ran.stderr.contains("there is no cluster"), "{ran:?}");
        }

        let said = refusal(place, &plugin(place, "echo secret; echo 'your session is over' >&2; exit 1"), 7).await;
        assert!(said.contains("pass.sh") && said.contains("your session is over"), "{said}");
        assert!(!said.contains("secret"), "what it gives out is told: {said}");
        let said = refusal(place, &plugin(place, "echo secret"), 7).await;
        assert!(said.contains("pass.sh") && !said.contains("secret"), "{said}");
        let said = refusal(place, &program(Path::new("/nowhere/pass")), 7).await;
        assert!(said.contains("/nowhere/pass"), "{said}");
    })
    .await;
}

/// A program that prints this pass.
fn pass(status: &Value) -> String {
    let pass = json!({"apiVersion": API, "kind": "ExecCredential", "status": status});
    format!("cat <<'PASS'\n{pass}\nPASS")
}

fn file(place: &Place, name: &str, text: &str) -> PathBuf {
    let path = place.home.path().join(name);
    fs::write(&path, text).unwrap();
    path
}

fn plugin(place: &Place, script: &str) -> Value {
    let path = file(place, "pass.sh", &format!("#!/bin/sh\n{script}\n"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    program(&path)
}

fn program(path: &Path) -> Value {
    json!({"exec": {"apiVersion": API, "command": path, "interactiveMode": "Never"}})
}

fn own_kubeconfig() -> Value {
    let path = options().kubeconfig.or_else(|| std::env::var_os("KUBECONFIG").map(PathBuf::from));
    let path = path.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap()).join(".kube/config"));
    serde_json::to_value(Kubeconfig::read_from(path).unwrap()).unwrap()
}

/// The certificate and the key of the first user, in the form in which a program gives them out.
fn own_certificate() -> Option<Value> {
    let text = |value: &Value| {
        let bytes = decoded(value.as_str()?)?;
        String::from_utf8(bytes).ok()
    };
    let config = own_kubeconfig();
    let user = &config["users"][0]["user"];
    let (certificate, key) = (text(&user["client-certificate-data"])?, text(&user["client-key-data"])?);
    Some(json!({"clientCertificateData": certificate, "clientKeyData": key}))
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    let quoted = serde_json::to_string(text).ok()?;
    serde_json::from_str::<k8s_openapi::ByteString>(&quoted).ok().map(|bytes| bytes.0)
}

/// `status` with this user of the test's own Kubernetes.
async fn ask(place: &Place, user: &Value) -> crate::process::Ran {
    let own = own_kubeconfig();
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "here",
        "clusters": [{"name": "c", "cluster": own["clusters"][0]["cluster"]}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
    });
    let config = file(place, "kubeconfig", &config.to_string());
    let args = ["status", "--name", "none", "-n", place.namespace.as_str(), "--kubeconfig", config.to_str().unwrap()];
    place.bare(&args).end().await
}

async fn refusal(place: &Place, user: &Value, code: i32) -> String {
    ask(place, user).await.ended(code).stderr
}
