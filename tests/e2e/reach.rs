//! Whoever uses a running cluster gets to it, with no more rights than are needed.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;

use galeractl::names::Member;
use k8s_openapi::api::core::v1::Pod;
use kube::api::DeleteParams;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder};

use crate::least::{account, act};
use crate::place::{Place, in_namespace};
use crate::process::to_kubernetes;
use crate::wait::{holds, until};

const UP: [&str; 4] = ["up", "--nodes=2", "--set=galera_mysql_user=app", "--set=galera_mysql_database=shop"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_cluster_is_read_written_and_watched() {
    in_namespace("reach", async |place| {
        place.has_one_proxy();
        place.run(&UP).await.ended(0);
        statements(place).await;
        at_a_terminal(place);
        logins(place).await;
        names(place).await;
        rights(place).await;
        the_writer_moves(place).await;
    })
    .await;
}

async fn statements(place: &Place) {
    let make = "CREATE TABLE shop.t (a INT PRIMARY KEY); INSERT INTO shop.t VALUES (1), (2); SELECT @@hostname";
    let made = place.run(&["sql", "--write", "-e", make]).await.ended(0);
    assert_eq!(made.stdout, format!("@@hostname\n{}\n", place.node(1)), "root writes where all write");
    let read = place.run(&["sql", "-e", "SELECT COUNT(*), @@hostname FROM shop.t"]).await.ended(0);
    assert_eq!(read.stdout, format!("COUNT(*)\t@@hostname\n2\t{}\n", place.node(2)));
    for statement in [
        "SET SESSION tx_read_only=0; INSERT INTO shop.t VALUES (3)",
        "SET SESSION tx_read_only=0; DROP TABLE shop.t",
        "SET GLOBAL read_only=1",
        "SET SESSION tx_read_only=0; GRANT ALL ON *.* TO galeractl_reader@localhost",
        "SELECT 1 INTO OUTFILE '/tmp/x'",
    ] {
        let refused = place.run(&["sql", "--node", "1", "-e", statement]).await.ended(1);
        assert!(refused.stderr.contains("denied"), "{refused:?}");
    }
    fs::write(place.home.path().join("q.sql"), "SELECT MAX(a) FROM t;\n\\! id\n").unwrap();
    let file = place.run(&["sql", "-f", "q.sql"]).await.ended(1);
    assert!(file.stderr.contains("No database selected"), "{file:?}");
    let mut args = to_kubernetes(&place.of_cluster(&["sql", "-f", "q.sql"]));
    args.extend(["--", "shop"].map(str::to_owned));
    let file = place.bare(&args).end().await.ended(1);
    assert_eq!(file.stdout, "MAX(a)\n2\n", "no shell in the pod for statements from a file");
    assert!(file.stderr.contains("sandbox"), "{file:?}");
    let missing = place.run(&["sql", "--node", "3", "-e", "SELECT 1"]).await.ended(2);
    assert!(missing.stderr.contains("there is no node3 among 2"), "{missing:?}");
}

fn at_a_terminal(place: &Place) {
    let (code, shown) =
        place.at_terminal(&place.of_cluster(&["sql", "--node", "1"]), "]> ", "SELECT 6 * 7 AS seen;\nexit");
    assert!(code == 0 && shown.contains("node1 [(none)]> ") && shown.contains("| seen |"), "{code}: {shown}");
    assert!(!shown.contains("password?") && !shown.contains("ready"), "{shown}");
}

async fn logins(place: &Place) {
    let passwords = place.passwords().await;
    let password = |key: &str| passwords.iter().find(|(known, _)| known == key).unwrap().1.clone();
    let uri = place.run(&["credentials", "--uri"]).await.ended(0);
    assert_eq!(uri.stdout, format!("mysql://app@shop-galera-haproxy.{}.svc:3306/shop\n", place.namespace));
    let file = place.run(&["credentials", "--my-cnf", "--show", "--user=root"]).await.ended(0);
    assert!(file.stdout.contains(&format!("password=\"{}\"", password("root-password"))), "{file:?}");
    let env = place.run(&["credentials", "--env", "--show"]).await.ended(0);
    assert!(env.stdout.contains(&format!("export MYSQL_PWD='{}'", password("user-password"))), "{env:?}");
    place.run(&["credentials", "--env", "--user=nobody"]).await.ended(2);
    for form in
        [&["credentials"][..], &["credentials", "-o", "json"], &["credentials", "--env"], &["credentials", "--my-cnf"]]
    {
        let told = place.run(form).await.ended(0).stdout;
        assert!(passwords.iter().all(|(_, password)| !told.contains(password)), "{form:?} tells a password");
    }
}

async fn names(place: &Place) {
    let all = place.reaching(&["list", "-A", "-o", "json"]).end().await.ended(0).json();
    let own = all.as_array().unwrap().iter().find(|row| row["namespace"] == place.namespace.as_str()).unwrap();
    assert_eq!((&own["name"], &own["state"], &own["ready"]), (&"shop".into(), &"running".into(), &2.into()), "{own}");
    let table = place.reaching(&["list", "-n", place.namespace.as_str()]).end().await.ended(0).stdout;
    assert!(table.contains("shop") && table.contains("2/2"), "{table}");
    let lost = place.reaching(&["status", "-n", place.namespace.as_str(), "--name", "shoe"]).end().await.ended(1);
    assert!(lost.stderr.contains("there is: shop"), "{lost:?}");
    let lost = place.reaching(&["status", "-n", "kube-public", "--name", "shop"]).end().await.ended(1);
    assert!(
        lost.stderr.contains(&format!("shop in namespace {}", place.namespace)) || lost.stderr.contains("list -A"),
        "{lost:?}"
    );
}

async fn rights(place: &Place) {
    let user = account(place, "user", &["sql", "logs", "port-forward", "credentials", "list"]).await;
    let reader = account(place, "reader", &["logs", "list"]).await;
    act(place, &user, &["sql", "-e", "SELECT 1"]).await.ended(0);
    act(place, &user, &["credentials", "--uri", "--show"]).await.ended(0);
    act(place, &reader, &["list"]).await.ended(0);
    let told = act(place, &reader, &["logs", "--errors", "--proxy", "node2"]).await.ended(0);
    assert!(!told.stdout.contains("[Note]") && !told.stdout.contains(" node1 "), "{told:?}");
    let refused = act(place, &reader, &["sql", "-e", "SELECT 1"]).await;
    assert!(refused.code == Some(3) && refused.stderr.contains("forbidden"), "{refused:?}");
}

/// A connection through the local port, as the application makes one.
async fn writer(place: &Place, port: u16) -> Result<String, String> {
    let passwords = place.passwords().await;
    let password = passwords.iter().find(|(key, _)| key == "user-password").map(|(_, password)| password.clone());
    let options = OptsBuilder::default()
        .ip_or_hostname("127.0.0.1")
        .tcp_port(port)
        .user(Some("app"))
        .pass(password)
        .prefer_socket(false);
    let mut conn = Conn::new(options).await.map_err(|error| error.to_string())?;
    let name: Option<String> = conn.query_first("SELECT @@hostname").await.map_err(|error| error.to_string())?;
    conn.disconnect().await.map_err(|error| error.to_string())?;
    name.ok_or_else(|| "no row".to_owned())
}

async fn the_writer_moves(place: &Place) {
    let mut command = place.command(&to_kubernetes(&place.of_cluster(&["port-forward", "--port", "0"])));
    let told = place.home.path().join("told");
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(fs::File::create(&told).unwrap()).spawn().unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    let port = first.trim().strip_prefix("mysql://app@127.0.0.1:").and_then(|rest| rest.strip_suffix("/shop"));
    let port: u16 = port.unwrap_or_else(|| panic!("{first}")).parse().unwrap();
    let says = |words: &str| fs::read_to_string(&told).unwrap().contains(words);
    assert_eq!(writer(place, port).await.unwrap(), place.node(1));
    let many = futures::future::join_all((0..20).map(|_| writer(place, port))).await;
    assert!(many.iter().all(|name| *name == Ok(place.node(1))), "{many:?}");
    until("the writer to be told", Duration::from_secs(20), async || {
        holds(says("connections go to node1"), || fs::read_to_string(&told).unwrap())
    })
    .await;
    let following = place.start(&["logs", "-f", "node1", "--since", "1m"]);
    let pod = place.cluster.pod(Member::Node(1));
    place.api::<Pod>().delete(&pod, &DeleteParams::default()).await.unwrap();
    until("node2 to take the writes", Duration::from_secs(60), async || {
        let name = writer(place, port).await?;
        holds(name == place.node(2), || name.clone())
    })
    .await;
    until("the move to be told", Duration::from_secs(20), async || {
        holds(says("the writer moves from node1 to node2"), || fs::read_to_string(&told).unwrap())
    })
    .await;
    let stopped = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(stopped.success());
    let code = tokio::task::spawn_blocking(move || child.wait().unwrap().code()).await.unwrap();
    assert_eq!(code, Some(0), "{}", fs::read_to_string(&told).unwrap());
    place.healthy().await;
    following.interrupt();
    let lines = following.end().await.stdout;
    let (before, after) = lines.split_once(" node1 * has stopped its server").unwrap_or_else(|| panic!("{lines}"));
    assert!(before.contains(" node1 * stops"), "{before}");
    assert!(after.contains(" node1 * starts its server"), "the new pod is followed as well: {after}");
    let times: Vec<&str> = lines.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(times.is_sorted(), "{lines}");
}
